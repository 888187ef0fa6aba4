"""Which label a response names, however it is wrapped in words."""

import re
import unicodedata

from dataset_build.src.records import Instruction
from dataset_build.src.scorers.answer_text import listed, stated_answer
from dataset_build.src.scorers.base import Scorer
from dataset_build.src.scorers.words import UNSPACED

#: Labels that rule one another out: an answer that names two of them has to say which one it means.
_GROUPS = (
    ("positive", "negative", "neutral", "mixed"),
    ("yes", "no"),
    ("true", "false"),
    ("spam", "ham"),
    ("entailment", "contradiction", "neutral"),
    ("arabic", "bulgarian", "catalan", "chinese", "croatian", "czech", "danish", "dutch", "english", "estonian",
     "finnish", "french", "german", "greek", "hebrew", "hindi", "hungarian", "indonesian", "italian", "japanese",
     "korean", "latvian", "lithuanian", "norwegian", "persian", "polish", "portuguese", "romanian", "russian",
     "serbian", "slovak", "slovenian", "spanish", "swedish", "thai", "turkish", "ukrainian", "vietnamese"),
)  # fmt: skip
_NEGATED = re.compile(
    r"(?:\b(?:not|no|never|neither|nor|isn't|wasn't|aren't|cannot be|can't be|rather than|instead of|unlike|hardly)"
    r"(?:\s+(?:a|an|the|really|very|at all|in|written in|purely|simply|necessarily))*|\bnon-"
    r"|\b(?:would|do|does|did|could|can)(?:n't| not)(?: \w+)? (?:say|call|describe|consider|think|label)"
    r"(?: (?:it|this|that|is|was|are|it's|as|to be|the \w+|a|an))*|\bfar from(?: being)?|\banything but)\s*\Z"
    r"|(?:不|不是|并非|並非|非|没有|沒有)\s*\Z"
)
#: What takes a label back: "positive? No.", "ポジティブではない".
_TAKEN_BACK = re.compile(r"\s*\?+\s*(?:no|not|nope|hardly|never)\b|\s*(?:では|じゃ)な")
#: "No" before such a word is an answer; any other word it belongs to: "no idea", "there is no doubt".
_AFTER_NO = re.compile(
    r"(?!\s+[^\W\d_])|\s+(?:it|its|it's|this|that|that's|these|those|the|a|an|there|they|he|she|i|we|you|because|since"
    r"|as|for|and|but|or|if|not|isn't|is|are|was|were|should|means|would|in|at|to|according|based|considering|yes)\b"
)
#: No letter or digit stands beside a label; in scripts without spaces one may.
_BEFORE, _AFTER = rf"(?<![^\W{UNSPACED}])", rf"(?![^\W{UNSPACED}])"
_CLAIMED = re.compile(
    r"(?:\A|\n|[:=>]|\b(?:is|are|was|be|as|in|answer|label|it's|that's|say|call it|overall))"
    r"\s*(?:(?:a|an|the|clearly|mostly|overall|definitely|written in|rather|very)\s+)*[\s\[(]*\Z"
)


def _plain(text: str) -> str:
    text = unicodedata.normalize("NFKC", text).casefold().replace("’", "'")
    return "\n".join(" ".join(line.split()) for line in re.sub(r"[*_`\"“”«»]+", " ", text).splitlines()).strip()


def _bare(text: str) -> str:
    return text.strip(" .!?,;:()[]{}'")


def named_label(text: str, labels: list[str]) -> str | None:
    """Return the one of `labels` that `text` settles on, or None.

    A label that is negated does not count, nor what was said of it before ("Positive? No, it isn't positive"). Of
    several that are named, the last one claimed ("the sentiment is …") does; without a claim a text that names two
    settles on none.

    >>> labels = ["positive", "negative", "neutral"]
    >>> [named_label(t, labels) for t in ("**Positive**.", "Not negative but neutral", "positive or negative")]
    ['positive', 'neutral', None]
    """
    plain = _plain(text)
    for label in labels:
        if _bare(plain) == _bare(_plain(label)) or plain == _plain(label):
            return label
    known = {_plain(label): label for label in labels if _plain(label)}
    if not known:
        return None
    either = "|".join(sorted(map(re.escape, known), key=len, reverse=True))
    joined = re.compile(rf"\s*(?:,?\s*\b(?:or|and)\b|/|,)\s*(?:{either}){_AFTER}")
    claimed: str | None = None
    mentioned: dict[str, None] = {}
    for match in re.finditer(rf"{_BEFORE}(?:{either}){_AFTER}", plain):
        before = plain[max(0, match.start() - 60) : match.start()]
        label = known[match.group()]
        if match.group() == "no" and not _AFTER_NO.match(plain, match.end()):
            continue
        if _NEGATED.search(before) or _TAKEN_BACK.match(plain, match.end()):
            mentioned.pop(label, None)
            claimed = None if claimed == label else claimed
            continue
        mentioned[label] = None
        hedged = joined.match(plain, match.end())
        if _CLAIMED.search(before if match.start() >= 60 else plain[: match.start()]) and not hedged:
            claimed = label
    if claimed is not None:
        return claimed
    return next(iter(mentioned)) if len(mentioned) == 1 else None


class Label(Scorer):
    """1 when the response settles on the right label, else 0.

    The reference is a label, or several accepted ones separated by `|` ("Norwegian|Danish"). Rival labels come from
    the instruction's extra field `labels` (a list, a JSON list, or `a|b|c`) when it has one, else from well-known
    groups such as positive/negative/neutral, yes/no, true/false and the names of languages.
    """

    metric = "label"
    version = "2"
    max_length = 100_000

    def compare(self, text: str, reference: str, instruction: Instruction) -> float:
        """Return 1.0 or 0.0."""
        accepted = [part for part in (part.strip() for part in reference.split("|")) if part] or [reference]
        if text.strip() == reference.strip():
            return 1.0
        rivals = [str(label) for label in listed(instruction.extra.get("labels"))]
        if not rivals:
            wanted = {_plain(label) for label in accepted}
            rivals = [label for group in _GROUPS if wanted & set(group) for label in group]
        plain = {_plain(label) for label in accepted}
        labels = [*accepted, *(label for label in rivals if _plain(label) not in plain)]
        return float(named_label(stated_answer(text), labels) in accepted)
