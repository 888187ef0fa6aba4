"""Passages for the tools that read them: sentences, words, and the question asked about a passage."""

import re
from dataclasses import dataclass

from dataset_build.src.experts.base import CannotAnswerError
from dataset_build.src.experts.tools.payload import payload_of

#: Longer instructions are not looked at.
MAX_LENGTH = 20_000
#: Fewer sentences are no passage.
MIN_SENTENCES = 3

_BREAK = re.compile(r"\s*\n\s*|(?<=[.!?…][\"'”’»)])\s+(?=\S)|(?<=[.!?…])\s+(?=[^a-z\s])|(?<=[。！？])")
_ABBREVIATED = re.compile(r"(?:\b(?:Mr|Mrs|Ms|Dr|Prof|St|No|vs|e\.g|i\.e|etc|approx)|\b[A-Z])\.\Z")
_LEAD = re.compile(r"\A\s*(?:[-*•–—>]+\s+|\(?\d{1,2}[.)]\s+|[\"“«'‘`]+)")
_TRAIL = re.compile(r"(?<=[.!?…])[\"”»'’`]+\Z")
_WORD = re.compile(r"[^\W_]+")
_LABEL = re.compile(
    r"\A(?:the\s+)?(?:question|query|q|text|passage|context|paragraph|article|story|source|document|excerpt|note)s?\s*[:=-]\s*",
    re.IGNORECASE,
)
_OPENS_QUESTION = re.compile(
    r"\b(?:who|whom|whose|what|where|when|why|which|how|does|did|is|are|was|were|has|have|can|could|do)\b",
    re.IGNORECASE,
)
_REQUEST = re.compile(
    r"\b(?:summar\w+|main (?:point|idea|message)|gist|in a nutshell|tl;?dr|boil\w*|condens\w+|key (?:point|message)"
    r"|one (?:sentence|line)|single sentence|sentence (?:that|which)|passage|paragraph|the text|quote|according to"
    r"|find|tell me|please|thank you|thanks)\b",
    re.IGNORECASE,
)
_STOP_WORDS = (
    "a about all also an and are as at be been but by can could did do does for from had has have he her hers him his"
    " how i if in into is it its just me more my no not of on one or our out she so some than that the their them then"
    " there these they this those to too up us was we were what when where which who whom whose why will with would"
    " you your"
)
_STOP = frozenset(_STOP_WORDS.split())


@dataclass(frozen=True, slots=True)
class Passage:
    """A question and the sentences among which its answer may be."""

    question: str
    sentences: tuple[str, ...]


def sentences_of(text: str) -> list[str]:
    r"""Return the sentences of `text` without bullets, numbering and enclosing quotes; a line break ends one.

    >>> sentences_of("- Dr. Ada came. She sat!\n- All was well")
    ['Dr. Ada came.', 'She sat!', 'All was well']
    """
    sentences: list[str] = []
    start = 0
    ends = [(found.start(), found.end(), "\n" in found.group()) for found in _BREAK.finditer(text)]
    for stop, following, is_line in [*ends, (len(text), len(text), True)]:
        joined = text[start:stop]
        if not is_line and _ABBREVIATED.search(joined[-12:]):
            continue
        start = following
        sentence = _TRAIL.sub("", _LEAD.sub("", _LABEL.sub("", joined.strip()))).strip()
        if _WORD.search(sentence):
            sentences.append(sentence)
    return sentences


def content_words(text: str) -> list[str]:
    """Return the words of `text` that carry meaning, without case and plural or possessive "s"."""
    words = (word for word in _WORD.findall(text.casefold()) if word not in _STOP and len(word) > 1)
    return [word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word for word in words]


def passage_in(text: str) -> list[str]:
    """Return the sentences the instruction `text` is about, without the request.

    Raises:
        CannotAnswerError: there are fewer than three, or the text is too long.
    """
    _check(text)
    sentences = sentences_of(payload_of(text))
    if len(sentences) < MIN_SENTENCES:
        sentences = [sentence for sentence in sentences_of(text) if not _is_request(sentence)]
    if len(sentences) < MIN_SENTENCES:
        raise CannotAnswerError("there is no passage of several sentences in it")
    return sentences


def question_in(text: str) -> Passage:
    """Return the question that the instruction `text` asks and the passage it asks about.

    Raises:
        CannotAnswerError: one of the two is missing, or the text is too long.
    """
    _check(text)
    payload = payload_of(text)
    inside = sentences_of(payload)
    if len(inside) < MIN_SENTENCES:
        payload, inside = text, sentences_of(text)
    around = sentences_of(text.replace(payload, "\n", 1)) if payload != text else []
    sentences = [
        sentence
        for sentence in inside
        if not sentence.endswith("?") and not (payload == text and _is_request(sentence))
    ]
    if len(sentences) < MIN_SENTENCES:
        raise CannotAnswerError("there is no passage of several sentences in it")
    asked = [one for one in (*around, *inside) if one.endswith("?")]
    worded = [one for one in asked if _OPENS_QUESTION.search(one) and content_words(one)]
    if worded:
        question = max(worded, key=lambda one: _shared(one, sentences))
    else:
        # "Find what the text says about …": everything around the passage is the question.
        requests = around or [one for one in inside if _is_request(one)]
        question = max(requests, key=lambda one: _shared(one, sentences), default="")
    if not content_words(question):
        raise CannotAnswerError("there is no question in it")
    return Passage(question, tuple(sentences))


def _check(text: str) -> None:
    if len(text) > MAX_LENGTH:
        raise CannotAnswerError("it is too long")
    if len(text) < 60 or sum(map(text.count, ".!?…。\n")) < MIN_SENTENCES:
        raise CannotAnswerError("there is no passage of several sentences in it")


def _is_request(sentence: str) -> bool:
    return sentence.endswith(("?", ":")) or _REQUEST.search(sentence) is not None


def _shared(question: str, sentences: list[str]) -> float:
    words = set(content_words(question))
    return sum(bool(words & set(content_words(sentence))) for sentence in sentences[:40]) + len(words) / 100
