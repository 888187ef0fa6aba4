"""Hand-made numbers that say what kind of text an instruction is: length, scripts, code, options, question, numbers."""

import math
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mixture_training.src.array_files import save_arrays
from mixture_training.src.encoders import number_facts
from mixture_training.src.encoders.base import Embeddings, Encoder

#: Text beyond this many characters is not read.
_MAX_CHARACTERS = 20_000
#: Standard deviations beyond which a value is as good as one there.
_MOST_DEVIATIONS = 4.0

#: Kinds of characters, whose share of the text counts: characters one by one, or (first, last) code points.
_KINDS: dict[str, str | tuple[tuple[int, int], ...]] = {
    "lower": ((0x61, 0x7A),),
    "upper": ((0x41, 0x5A),),
    "digits": ((0x30, 0x39),),
    "spaces": " \t",
    "newlines": "\n\r",
    "punctuation": ".,;:!?'\"",
    "brackets": "()[]{}",
    "maths": "+-*/=^%<>",
    "code": "_\\|&#@~`$",
    "accented": ((0xC0, 0xD6), (0xD8, 0xF6), (0xF8, 0x24F)),
    "greek": ((0x370, 0x3FF),),
    "cyrillic": ((0x400, 0x52F),),
    "hebrew": ((0x590, 0x5FF),),
    "arabic": ((0x600, 0x6FF), (0x750, 0x77F), (0xFB50, 0xFDFF), (0xFE70, 0xFEFE)),
    "indic": ((0x900, 0xDFF),),
    "thai": ((0xE00, 0xEFF),),
    "hangul": ((0x1100, 0x11FF), (0x3130, 0x318F), (0xAC00, 0xD7AF)),
    "kana": ((0x3040, 0x30FF),),
    "han": ((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF)),
    "symbols": ((0xB1, 0xB3), (0xD7, 0xD7), (0xF7, 0xF7), (0x2070, 0x209F), (0x2190, 0x22FF)),
    "emoji": ((0x2600, 0x27BF), (0x1F300, 0x1FAFF)),
    "typography": ((0x2010, 0x206F), (0x20A0, 0x20CF), (0x3000, 0x303F), (0xFF00, 0xFFEF)),
}
_LAST_CODE = 0x1FFFF

#: What is counted as it stands, in the text in lower case.
_SIGNS = (
    "?", "!", ",", ":", ";", '"', "(", "[", "{", "=", "+", "-", "*", "/", "<", "%", "$", "\\", "_", "#", "^", "|",
    "...", "```", "==", "()", "->", "://", "</", "\n\n", "\n    ", "\n\t", "\n- ", "def ", "class ", "import ",
    "return ", "print", "function", "select ", " from ", "\\frac", "blank", "___", "true", "false", "yes", "not ",
    " or ", " and ", " if ", "please", "step", "passage", "following", "context", "translate", "summar", "how many",
    "how much",
)  # fmt: skip

_ASKING = ("what", "which", "who", "whose", "where", "when", "why", "how")
_ASKING_YES_OR_NO = {
    "is", "are", "was", "were", "am", "do", "does", "did", "can", "could", "will", "would", "shall", "should", "has",
    "have", "had", "may", "might", "must", "isn't", "aren't", "doesn't", "don't", "didn't", "can't",
}  # fmt: skip
_ORDERING = {
    "add", "analyze", "answer", "arrange", "calculate", "change", "check", "choose", "classify", "complete", "compute",
    "consider", "convert", "correct", "count", "create", "decide", "define", "describe", "design", "determine",
    "divide", "draft", "draw", "estimate", "evaluate", "expand", "explain", "express", "extract", "fill", "find",
    "fix", "format", "generate", "give", "identify", "implement", "let", "list", "make", "multiply", "name", "order",
    "pick", "predict", "prove", "provide", "put", "read", "reduce", "remove", "replace", "rewrite", "say", "select",
    "show", "simplify", "solve", "sort", "spell", "state", "subtract", "suggest", "sum", "summarise", "summarize",
    "take", "tell", "think", "total", "translate", "turn", "use", "work", "write",
}  # fmt: skip
_OPENINGS = (*_ASKING, "yes_or_no", "order")

_OPTION = re.compile(r"(?:^|\s)\(?[A-Ha-h1-9][).:](?=\s)")
_SENTENCE_END = re.compile(r"[.!?\n]\s")

NAMES = (
    *(f"share_{kind}" for kind in _KINDS),
    *(f"count_{sign!r}" for sign in _SIGNS),
    *(f"opens_{opening}" for opening in _OPENINGS),
    *(f"asks_{opening}" for opening in _OPENINGS),
    "characters", "words", "word_length", "longest_word", "distinct_words", "lines", "longest_line", "short_lines",
    "options", "sentences", "ends_with_question", "ends_with_colon", "starts_in_lower_case",
    "before_the_question", "after_the_question",
    *number_facts.NAMES,
)  # fmt: skip


class FeaturesEncoder(Encoder):
    """Numbers by `NAMES`, each standardised on the training texts, so that a vector's mean squared length is about 1.

    Each is bounded, however long or strange the text.
    """

    kind = "features"

    @property
    def seconds_per_text(self) -> float:
        """Roughly what a 60-token text costs on one core."""
        return 5e-5

    def fit(self, texts: Sequence[str]) -> "FeaturesEncoder":
        """Learn the mean and the deviation of each number; one that never changes says nothing and becomes 0."""
        values = _describe(texts) if len(texts) else np.zeros((1, len(NAMES)))
        deviation = values.std(axis=0)
        varies = deviation > 1e-9
        self._mean = values.mean(axis=0)
        self._scale = np.zeros(len(NAMES))
        self._scale[varies] = 1.0 / (deviation[varies] * math.sqrt(varies.sum()))
        return self

    def encode(self, texts: Sequence[str]) -> Embeddings:
        """Return the vectors of `texts`, shape (n, d)."""
        limit = _MOST_DEVIATIONS / math.sqrt(max(int(np.count_nonzero(self._scale)), 1))
        vectors: Embeddings = np.clip((_describe(texts) - self._mean) * self._scale, -limit, limit).astype(np.float32)
        return vectors

    def save(self, folder: Path) -> dict[str, Any]:
        """Write means and scales (npz)."""
        save_arrays(folder / "features.npz", {"mean": self._mean, "scale": self._scale})
        return {}

    @classmethod
    def load(cls, folder: Path, state: dict[str, Any]) -> "FeaturesEncoder":
        """Return the fitted encoder that `save` wrote."""
        encoder = cls()
        with np.load(folder / "features.npz", allow_pickle=False) as arrays:
            encoder._mean, encoder._scale = arrays["mean"], arrays["scale"]
        return encoder


def describe(text: str) -> dict[str, float]:
    """Return the numbers of a text before they are standardised, by name."""
    return dict(zip(NAMES, _describe([text])[0].tolist(), strict=True))


def _describe(texts: Sequence[str]) -> npt.NDArray[np.float64]:
    values = np.zeros((len(texts), len(NAMES)))
    kinds = len(_KINDS)
    for row, text in enumerate(texts):
        head = text[:_MAX_CHARACTERS]
        values[row, :kinds] = _shares(head)
        values[row, kinds:] = _measures(head)
    counts = slice(kinds, kinds + len(_SIGNS))
    values[:, :kinds] = np.sqrt(values[:, :kinds])
    values[:, counts] = np.log1p(values[:, counts])
    return values


def _shares(text: str) -> npt.NDArray[np.float64]:
    """Return the share of each kind of character."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
    counts = np.bincount(_kind_of_code()[np.minimum(codes, _LAST_CODE)], minlength=len(_KINDS) + 1)
    return counts[1:] / max(len(text), 1)


@cache
def _kind_of_code() -> npt.NDArray[np.uint8]:
    table = np.zeros(_LAST_CODE + 1, dtype=np.uint8)
    for number, members in enumerate(_KINDS.values(), start=1):
        ranges = [(ord(sign), ord(sign)) for sign in members] if isinstance(members, str) else members
        for first, last in ranges:
            table[first : last + 1] = number
    return table


def _measures(text: str) -> list[float]:
    """Return all that is no share of characters; signs as plain counts."""
    lower = text.lower()
    words = lower.split()
    lengths = [len(word) for word in words]
    lines = [len(line) for line in text.split("\n")]
    stripped = text.strip()
    question = lower.rfind("?")
    start = 0
    if question >= 0:
        ends = [match.end() for match in _SENTENCE_END.finditer(lower, max(0, question - 400), question)]
        start = ends[-1] if ends else max(0, question - 400)
    asked = lower[start:question].split(maxsplit=1) if question >= 0 else []
    log = math.log1p
    return [
        *map(lower.count, _SIGNS),
        *_opening(words[0] if words else ""),
        *_opening(asked[0] if asked else ""),
        log(len(text)),
        log(len(words)),
        min(sum(lengths) / max(len(words), 1), 20.0),
        log(max(lengths, default=0)),
        len(set(words)) / max(len(words), 1),
        log(len(lines)),
        log(max(lines)),
        log(sum(0 < length < 40 for length in lines)),
        log(len(_OPTION.findall(text))),
        log(len(_SENTENCE_END.findall(text))),
        float(stripped.endswith("?")),
        float(stripped.endswith(":")),
        float(stripped[:1].islower()),
        log(start if question >= 0 else 0),
        log(len(text) - question if question >= 0 else 0),
        *number_facts.number_facts(text),
    ]


def _opening(word: str) -> list[float]:
    """Return 1 at the form of a sentence that begins with `word`."""
    word = word.strip("\"'*#([:,.")
    values = [0.0] * len(_OPENINGS)
    if word in _ASKING:
        values[_ASKING.index(word)] = 1.0
    elif word in _ASKING_YES_OR_NO:
        values[-2] = 1.0
    elif word in _ORDERING:
        values[-1] = 1.0
    return values
