"""Which word's base form is asked for, and in which language."""

import re
from dataclasses import dataclass

from dataset_build.src.experts.base import CannotAnswerError
from dataset_build.src.experts.tools.payload import quoted_parts, words

_CUE = re.compile(
    r"\b(?:lemma\w*|base|stem\w*|root|infinitiv\w*|dictionar\w*|headword|citation|singular|uninflect\w*|inflect\w*"
    r"|canonical|conjugat\w*|plain form|lexeme|look(?:ed|ing)? (?:\w+ )?up|grundform|forme de base|un?conjugated)\b",
    re.IGNORECASE,
)
#: What people call a language, in English and in itself -> its ISO 639-1 code.
_NAMES = {
    "english": "en", "en": "en", "german": "de", "deutsch": "de", "de": "de", "french": "fr", "français": "fr",
    "fr": "fr", "spanish": "es", "español": "es", "es": "es", "italian": "it", "italiano": "it", "it": "it",
}  # fmt: skip
_LANGUAGE = re.compile(
    r"\b(english|german|deutsch|french|français|spanish|español|italian|italiano)\b|(?:lang(?:uage)?\W{1,3})(en|de|fr|es|it)\b",
    re.IGNORECASE,
)
_MARKED = re.compile(
    r"(?::|->|=>|=)\s*([^\W\d_]{2,30})\b"
    r"|\b(?:word|verb|noun|adjective|form|token|of|for|is|under|does|find|say|see|reads?|with|saw)\s+([^\W\d_]{2,30})\b",
    re.IGNORECASE,
)
_LIST = """
    the a an this that it is what which word form verb noun base lemma of for to in on my me you i and or so not
    german french spanish italian english dictionary infinitive entry just please one under plain basic
    following root stem singular citation canonical headword its their your some any
"""
_FUNCTION_WORDS = frozenset(_LIST.split())


@dataclass(frozen=True, slots=True)
class LemmaRequest:
    """A word, and the ISO code of its language or None where the text does not say."""

    word: str
    language: str | None


def read_request(text: str) -> LemmaRequest:
    """Return what is asked for.

    Raises:
        CannotAnswerError: no base form is asked for, or no word stands out.
    """
    if len(text) > 2000 or _CUE.search(text) is None:
        raise CannotAnswerError("it does not ask for the base form of a word")
    named = _LANGUAGE.search(text)
    language = _NAMES[(named.group(1) or named.group(2)).lower()] if named else None
    quoted = [part for part in quoted_parts(text) if len(words(part)) == 1]
    if quoted:
        return LemmaRequest(words(quoted[-1])[0], language)
    marked = [match.group(1) or match.group(2) for match in _MARKED.finditer(text)]
    marked = [word for word in marked if word.lower() not in _FUNCTION_WORDS]
    if marked:
        return LemmaRequest(marked[-1], language)
    found = [word for word in words(text) if word.lower() not in _FUNCTION_WORDS and not _CUE.fullmatch(word)]
    if not found:
        raise CannotAnswerError("no word stands out")
    return LemmaRequest(found[0], language)
