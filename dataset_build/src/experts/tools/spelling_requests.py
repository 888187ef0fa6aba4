"""What is asked about spelling: which of two, which word is wrong, or the text put right; and of which text."""

import re
from dataclasses import dataclass
from typing import Literal

from dataset_build.src.experts.base import CannotAnswerError
from dataset_build.src.experts.tools.payload import payload_of, quoted_parts, words

#: Longer instructions are not looked at.
MAX_LENGTH = 2000

_CUE = re.compile(
    r"\b(?:(?:mis)?-?sp[eo]l[lt]\w*|typos?|mistyped|orthograph\w*|proof-?read\w*|autocorrect\w*|dictation|dictionary"
    r"|correct(?:ed|ion|ly)?|(?:missing|wrong|mixed[- ]up) letters?|letters? (?:\w+ ){0,4}(?:wrong|mixed|missing)"
    r"|underlin\w+)\b",
    re.IGNORECASE,
)
_WHICH = re.compile(
    r"\b(?:which|what|find|spot|name|identify|point (?:out|to)|locate|where|underline|list|single out|quote)\b"
    r"(?:[^\w.?!]+\w+){0,9}?[^\w.?!]+(?:words?|typo|mistake|error|misspel\w+|misspelt|offender|offending)\b",
    re.IGNORECASE,
)
#: Between two spellings of a word: "or", "vs", "/", ", the other".
_MAX_BETWEEN = 3


@dataclass(frozen=True, slots=True)
class SpellingRequest:
    """The task, and the words it is about: the two spellings, or the texts to look at, likeliest first."""

    task: Literal["choose", "find", "correct", "correct word"]
    texts: tuple[str, ...]


def alike(first: str, second: str) -> bool:
    """Whether two words might be spellings of one: the same but for up to three letters in one place."""
    first, second = first.lower(), second.lower()
    shorter = min(len(first), len(second))
    if first == second or shorter < 5 or abs(len(first) - len(second)) > 2:
        return False
    start = next((at for at in range(shorter) if first[at] != second[at]), shorter)
    end = next((at for at in range(shorter - start) if first[-1 - at] != second[-1 - at]), shorter - start)
    return start > 0 and max(len(first), len(second)) - start - end <= min(3, shorter // 2)


def read_request(text: str) -> SpellingRequest:
    """Return what is asked.

    Raises:
        CannotAnswerError: the instruction is not about spelling, or too long.
    """
    if len(text) > MAX_LENGTH:
        raise CannotAnswerError("it is too long")
    found = words(text)
    for apart in range(1, _MAX_BETWEEN + 2):
        for first, second in zip(found, found[apart:], strict=False):
            if alike(first, second):
                return SpellingRequest("choose", (first, second))
    if _CUE.search(text) is None:
        raise CannotAnswerError("it does not ask about spelling")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    ends = [line.partition(": ")[2] for line in lines if ": " in line]
    payload = payload_of(text)
    texts = (payload,) if quoted_parts(text) else tuple(dict.fromkeys([payload, *ends, *lines]))
    if _WHICH.search(text) is not None and len(words(payload)) > 1:
        return SpellingRequest("find", texts)
    # The word stands within the request itself: "how do you spell definately".
    return SpellingRequest("correct word" if _CUE.search(payload) else "correct", texts)
