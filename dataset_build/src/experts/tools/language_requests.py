"""Whether an instruction asks which language a text is in, and the text."""

import re
import unicodedata

from dataset_build.src.experts.base import CannotAnswerError
from dataset_build.src.experts.tools.payload import payload_of

_MAX_LENGTH = 20_000
_NAME = (
    "(?:Arabic|Chinese|Czech|Danish|Dutch|English|Finnish|French|German|Greek|Hindi|Hungarian|Italian|Japanese|Korean"
    "|Norwegian|Polish|Portuguese|Romanian|Russian|Spanish|Swedish|Turkish|Ukrainian)"
)
#: "Language", also misspelt (no letter but its own), or a choice between two languages.
_TOPIC = re.compile(
    r"\bl(?!eague\b)[angue]{5,9}s?\b|\blang\b|detect_lang|\btongues?\b|\bidiom(?:s|a)?\b|\bsprache\b|\blangue\b|\blinguist|\bspeak(?:s|ing)?\b"
    r"|\bspoken?\b|\binterpreter\b|\btranslat(?:e|es|or|ion)\b|\bwritten in\b|\bspell checker\b"
    rf"|\b{_NAME}(?:,|\?|,? or) {_NAME}\b",
    re.IGNORECASE,
)
_OTHER_TOPIC = re.compile(r"\bselect\b.+\bfrom\b|\bdef \w+\(|\b(?:lemma|misspelt|summari[sz]e)\b", re.IGNORECASE)
_PIECE = re.compile(r"(?<=[.?!。:;])\s+|\n+|\s(?:-|=|<-|->)\s")
_ENGLISH_WORDS = (
    "the a an is are was of to in and i it this that what which who you my me for on or not from with how please"
    " name language word words says tell he she they just written write text read english help do does one"
)
_ENGLISH = frozenset(_ENGLISH_WORDS.split())
#: Shares of common English words: with more, a part set off holds the request too; with fewer, a piece is the sample.
_ENGLISH_REQUEST, _MOSTLY_FOREIGN = 0.2, 0.1


def foreign_text(instruction: str) -> str:
    """Return the text whose language is asked for.

    That is what is set off as such; within a part that is mostly the English request, the pieces with the
    fewest common English words.

    Raises:
        CannotAnswerError: no language is asked for.
    """
    if len(instruction) > _MAX_LENGTH:
        raise CannotAnswerError("it is too long")
    if not _TOPIC.search(instruction) or _OTHER_TOPIC.search(instruction):
        raise CannotAnswerError("it does not ask which language something is in")
    payload = payload_of(instruction)
    if not any(character.isalpha() for character in payload):
        raise CannotAnswerError("there are no words in it")
    if payload != instruction.strip() and _english_share(payload) < _ENGLISH_REQUEST:
        return payload
    pieces = [piece.strip() for piece in _PIECE.split(instruction) if any(map(str.isalpha, piece))]
    piece = min(pieces, key=lambda piece: (_english_share(piece), -len(piece)))
    return _longest_run(piece) if _english_share(piece) > _MOSTLY_FOREIGN else piece


def _longest_run(text: str) -> str:
    """Return the longest run of words that are not common English ones."""
    runs: list[list[str]] = [[]]
    for word in text.split():
        if word.strip(".,;:!?\"'()").lower() in _ENGLISH:
            runs.append([])
        else:
            runs[-1].append(word)
    return max((" ".join(run) for run in runs), key=len) or text


def _english_share(text: str) -> float:
    words = re.findall(r"[^\W\d_]+", unicodedata.normalize("NFC", text).lower())
    return sum(word in _ENGLISH for word in words) / max(1, len(words))
