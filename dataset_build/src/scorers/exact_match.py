"""Exact match after normalising what people and models add around a short answer."""

import re
import unicodedata

from dataset_build.src.records import Instruction
from dataset_build.src.scorers.answer_text import stated_answer
from dataset_build.src.scorers.base import Scorer

#: Layers of quotes, brackets and lead-ins that are taken off.
_MAX_LAYERS = 20
_FENCE = re.compile(r"\A```[\w+-]*[ \t]*\n(.*?)\n?```\Z", re.DOTALL)
_LEAD_IN = re.compile(
    r"\A(?:(?:so|sure|well|okay|ok)\b[,!.:]?\s+)?"
    r"(?:(?:the|my)\s+)?(?:(?:final|correct|right)\s+)?(?:answer|result|output)\s*(?:is|would be|:|=)\s*:?\s*"
    r"|\A(?:it is|it's|that is|that's|this is)\s+"
)
_HEADING = re.compile(r"\A\*{1,2}([^*:\n]{1,30})(?::\*{1,2}|\*{1,2}:)\s*")
_RAISED = re.compile("[⁻⁺]?[⁰¹²³⁴⁵⁶⁷⁸⁹ⁿⁱ]+")
_EXCLAIMED = re.compile(r"[^\W\d_]{2}!\Z")  # a word, not a factorial
_PAIRS = {'"': '"', "'": "'", "`": "`", "«": "»", "“": "”", "*": "*", "(": ")"}
_QUOTES = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "‐": "-", "–": "-", "—": "-", "−": "-"})


def normalise_answer(text: str) -> str:
    """Return the bare answer in `text`.

    >>> normalise_answer("The answer is: **2024-05-03**.")
    '2024-05-03'
    >>> normalise_answer('"Buenos\u00a0 Aires"')
    'buenos aires'
    """
    text = _RAISED.sub(lambda found: "^" + found[0], text)  # x² is no x2
    text = unicodedata.normalize("NFKC", text).strip()
    fence = _FENCE.match(text)
    text = " ".join((fence.group(1) if fence else text).casefold().split())
    for _ in range(_MAX_LAYERS):
        before = text
        text = _unwrapped(_LEAD_IN.sub("", _HEADING.sub(r"\1: ", text), count=1) or text)
        if text == before:
            break
    return text.translate(_QUOTES)


def _unwrapped(text: str) -> str:
    if len(text) > 1 and text[-1] == "." and text[-2] != ".":
        text = text[:-1].rstrip()
    if _EXCLAIMED.search(text):
        text = text[:-1]
    if len(text) > 2 and _PAIRS.get(text[0]) == text[-1]:
        inside = text[1:-1].strip()
        if inside and (text[0] not in inside or text[0] == text[1] == "*") and text[-1] != text[0] * 2:
            return inside
    return text


def extract_answer(text: str) -> str:
    """Return the bare answer of a response.

    >>> extract_answer('{"reasoning": "…", "answer": "Oslo."}')
    'oslo'
    """
    return normalise_answer(stated_answer(text))


def _as_they_stand(text: str) -> set[str]:
    """Return the answer as it stands, and without white space and quotes around it."""
    stated = stated_answer(text)
    bare = stated.strip()
    quoted = len(bare) > 1 and bare[0] == bare[-1] and bare[0] in "'\""
    return {stated, bare[1:-1] if quoted else bare}


class ExactMatch(Scorer):
    """1 when the bare answers are equal, else 0.

    Equal to "12 345,50 €" are "12 345,50 €" with no-break or narrow no-break spaces, `"12 345,50 €"` in
    quotes, "The answer is 12 345,50 €." and the same in a code fence. "12345,50 €" is not, nor is a sentence
    that merely contains the answer. Letters are compared without case, with accents; typographic apostrophes,
    quotes and dashes count as plain ones. An answer that is a JSON object is read from its field `answer`.

    Args:
        strict: Whether letter case, spaces and all else count, but for white space and a pair of quotes around the
            whole (a literal of a programming language, say).
    """

    metric = "exact_match"
    version = "2"
    max_length = 1_000_000

    def __init__(self, *, strict: bool = False) -> None:
        self.strict = strict

    def compare(self, text: str, reference: str, instruction: Instruction) -> float:
        """Return 1.0 or 0.0."""
        if self.strict:
            return float(not _as_they_stand(text).isdisjoint(_as_they_stand(reference)))
        return float(extract_answer(text) == extract_answer(reference))
