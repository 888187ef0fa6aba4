"""Whether an instruction asks for the sentiment of a text at all."""

import re

from dataset_build.src.experts.base import CannotAnswerError
from dataset_build.src.experts.tools.payload import payload_of, sentences

_MAX_LENGTH = 20_000
_TOPIC = re.compile(
    r"sentiment|polarity|\bpositiv|\bnegativ|\bneutral\b|\bvalence\b|\bvibes\b|\bmoods?\b|\btones?\b|\battitude|\bemotion"
    r"|\bfeel(?:s|ings?)?\b|\bopinion|\breviews?\b|\b(?:un)?happy\b"
    r"|\b(?:dis)?(?:pleased|satisfied)\b|thumbs (?:up|down)|\bfavou?rable|\bcomplain(?:t|ing)\b",
    re.IGNORECASE,
)
#: Words that name the classes or the task: they do not count, nor does a sentence with them when others are left.
_TASK_WORDS = re.compile(
    r"\b(?:positive|negative|neutral|pos|neg|sentiment|(?:un)?happy guest|(?:dis)?(?:pleased|satisfied)|indifferent"
    r"|neither|thumbs (?:up|down)|(?:un)?favou?rable|please|thanks?|thank you|complaint|praise)\b",
    re.IGNORECASE,
)
#: Fewer words than this are no text to judge when a much longer instruction stands around them.
_FEW_WORDS = 4


def opinionated_text(instruction: str) -> str:
    """Return the text whose sentiment is asked for, without the words that name the classes.

    Raises:
        CannotAnswerError: no sentiment is asked for.
    """
    if len(instruction) > _MAX_LENGTH:
        raise CannotAnswerError("it is too long")
    if not _TOPIC.search(instruction):
        raise CannotAnswerError("it does not ask how somebody feels about something")
    payload = payload_of(instruction)
    if len(payload.split()) < _FEW_WORDS:
        payload = instruction
    kept = " ".join(sentence for sentence in sentences(payload) if not _TASK_WORDS.search(sentence))
    return kept if len(kept.split()) >= _FEW_WORDS else _TASK_WORDS.sub(" ", payload)
