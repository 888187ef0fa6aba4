"""The 25 kinds of verifiable constraints of IFEval: a text and the constraint's settings in, followed or not out.

J. Zhou et al., "Instruction-Following Evaluation for Large Language Models", 2023 (arXiv 2311.07911). Names and
settings are those of the published data set; the checks are our own. Where we differ: keywords are words, not patterns;
sentences, and words in capitals, are counted by rules of our own (there: NLTK's models); languages are told by
py3langid (there: langdetect), and a text of fewer than three letters has none and passes, as there.
"""

import json
import re
import unicodedata
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from dataset_build.src.scorers.answer_text import listed
from dataset_build.src.scorers.base import UnscorableError, needed

Check = Callable[[str, Mapping[str, Any]], bool]

_WORD = re.compile(r"\w+")
_CAPITALS_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_SENTENCE_END = re.compile(r"[.!?…]+[\"'”’)\]]*(?=\s|\Z)|[。！？]+")
#: What ends in a full stop without ending a sentence.
_ABBREVIATION = re.compile(
    r"(?:\b(?i:mr|mrs|ms|dr|prof|st|jr|sr|vs|no|fig|e\.g|i\.e|u\.s|u\.k|a\.m|p\.m|inc|ltd|co|approx)|(?:\A|\s)[A-Z])\Z",
)
_POSTSCRIPTS = {"P.S.": r"p\.\s?s\.", "P.P.S": r"p\.\s?p\.\s?s"}
#: Codes that py3langid tells apart and instructions do not: Cantonese, and the two ways of writing Norwegian.
_SAME = {"yue": "zh", "nb": "no", "nn": "no"}
_FEW_LETTERS = 3
_LANGUAGE_SAMPLE = 5_000


def _number(settings: Mapping[str, Any], name: str) -> int:
    try:
        return int(settings[name])
    except (KeyError, TypeError, ValueError, OverflowError):
        raise UnscorableError(f"a constraint needs the number {name!r}; it is {settings.get(name)!r:.50}") from None


def _text(settings: Mapping[str, Any], name: str) -> str:
    value = settings.get(name)
    if not isinstance(value, str) or not value.strip():
        raise UnscorableError(f"a constraint needs the text {name!r}; it is {value!r:.50}")
    return value.strip()


def _texts(settings: Mapping[str, Any], name: str) -> list[str]:
    found = listed(settings.get(name))
    if not found:
        raise UnscorableError(f"a constraint needs the list {name!r}; it is {settings.get(name)!r:.50}")
    return [str(one) for one in found]


def _compared(count: int, settings: Mapping[str, Any], wanted: str, relation: str = "relation") -> bool:
    """Return whether `count` keeps to "at least" or "less than" (also "at most", "exactly") the number wanted."""
    threshold = _number(settings, wanted)
    checks = {
        "at least": count >= threshold,
        "less than": count < threshold,
        "at most": count <= threshold,
        "exactly": count == threshold,
    }
    how = settings.get(relation, "at least")
    if how not in checks:
        raise UnscorableError(f"the {relation} {how!r:.50} is none of {', '.join(checks)}")
    return checks[how]


def count_sentences(text: str) -> int:
    """Return the number of sentences: ends in . ! ? or their CJK forms, abbreviations aside; an unended rest is one.

    >>> count_sentences("Dr. Who? Yes! He came at 3.15 p.m. today")
    3
    """
    count, start = 0, 0
    for end in _SENTENCE_END.finditer(text):
        before = text[max(start, end.start() - 12) : end.start()]
        if end[0] == "." and _ABBREVIATION.search(before):
            continue
        count += bool(_WORD.search(text, start, end.end()))
        start = end.end()
    return count + bool(_WORD.search(text, start))


@cache
def _classify() -> Callable[[str], tuple[str, float]]:
    classify: Callable[[str], tuple[str, float]] = needed("py3langid", metric="instruction_following").classify
    return classify


def language_of(text: str) -> str | None:
    """Return the ISO 639-1 code of the language of `text`, or None for one with hardly a letter."""
    sample = text[:_LANGUAGE_SAMPLE].encode("utf-8", "replace").decode().lower()
    if sum(sign.isalpha() for sign in sample) < _FEW_LETTERS:
        return None
    found = _classify()(sample)[0]
    return _SAME.get(found, found)


def _in_language(text: str, settings: Mapping[str, Any]) -> bool:
    found = language_of(text)
    wanted = _text(settings, "language").lower().split("-")[0]
    return found is None or found == _SAME.get(wanted, wanted)


def _is_english(text: str) -> bool:
    return language_of(text) in (None, "en")


def _has_keywords(text: str, settings: Mapping[str, Any]) -> bool:
    folded = text.casefold()
    return all(word.casefold() in folded for word in _texts(settings, "keywords"))


def _keyword_frequency(text: str, settings: Mapping[str, Any]) -> bool:
    return _compared(text.casefold().count(_text(settings, "keyword").casefold()), settings, "frequency")


def _no_forbidden_words(text: str, settings: Mapping[str, Any]) -> bool:
    words = "|".join(map(re.escape, _texts(settings, "forbidden_words")))
    return re.search(rf"\b(?:{words})\b", text, re.IGNORECASE) is None


def _letter_frequency(text: str, settings: Mapping[str, Any]) -> bool:
    count = text.lower().count(_text(settings, "letter").lower())
    return _compared(count, settings, "let_frequency", "let_relation")


def _paragraphs(text: str, settings: Mapping[str, Any]) -> bool:
    parts = [part.strip() for part in text.split("***")]
    if not all(parts[1:-1]):
        return False
    return sum(map(bool, parts)) == _number(settings, "num_paragraphs")


def _first_word(text: str, settings: Mapping[str, Any]) -> bool:
    parts = [part.strip() for part in text.split("\n\n")]
    number, nth = _number(settings, "num_paragraphs"), _number(settings, "nth_paragraph")
    if sum(map(bool, parts)) != number or not 1 <= nth <= number or not parts[nth - 1]:
        return False
    word = re.split(r"[.,?!'\"]", parts[nth - 1].split()[0].lstrip("'\""), maxsplit=1)[0]
    return word.lower() == _text(settings, "first_word").lower()


def _placeholders(text: str, settings: Mapping[str, Any]) -> bool:
    return len(re.findall(r"\[[^\[\]\n]*\]", text)) >= _number(settings, "num_placeholders")


def _postscript(text: str, settings: Mapping[str, Any]) -> bool:
    marker = _text(settings, "postscript_marker")
    return re.search(_POSTSCRIPTS.get(marker, re.escape(marker)), text, re.IGNORECASE) is not None


def _bullets(text: str, settings: Mapping[str, Any]) -> bool:
    count = sum(bool(re.match(r"\*[^*]|-", line.lstrip())) for line in text.split("\n"))
    return count == _number(settings, "num_bullets")


def _constrained(text: str, settings: Mapping[str, Any]) -> bool:
    return any(f"My answer is {one}." in text for one in ("yes", "no", "maybe"))


def _highlights(text: str, settings: Mapping[str, Any]) -> bool:
    single = sum(bool(found.strip("*").strip()) for found in re.findall(r"\*[^\n*]*\*", text))
    double = sum(bool(found.strip("*").strip()) for found in re.findall(r"\*\*[^\n*]*\*\*", text))
    return single + double >= _number(settings, "num_highlights")


def _sections(text: str, settings: Mapping[str, Any]) -> bool:
    found = re.findall(rf"{re.escape(_text(settings, 'section_spliter'))}\s?\d+", text)
    return len(found) >= _number(settings, "num_sections")


def _is_json(text: str, settings: Mapping[str, Any]) -> bool:
    bare = re.sub(r"\A```(?:json)?", "", text.strip(), flags=re.IGNORECASE).removesuffix("```").strip()
    try:
        json.loads(bare, parse_int=float)
    except (ValueError, RecursionError):
        return False
    return True


def _title(text: str, settings: Mapping[str, Any]) -> bool:
    return any(
        opened >= 0 and line.rfind(">>") > opened and line[opened + 2 : line.rfind(">>")].strip(" <>")
        for line in text.split("\n")
        for opened in [line.find("<<")]
    )


def _two_responses(text: str, settings: Mapping[str, Any]) -> bool:
    parts = [part.strip() for part in text.split("******")]
    given = [part for part in parts if part]
    return all(parts[1:-1]) and len(given) == 2 and given[0] != given[1]


def _repeats(text: str, settings: Mapping[str, Any]) -> bool:
    return text.strip().lower().startswith(_text(settings, "prompt_to_repeat").lower())


def _ends(text: str, settings: Mapping[str, Any]) -> bool:
    return text.strip().strip('"').lower().endswith(_text(settings, "end_phrase").lower())


def _capital_words(text: str, settings: Mapping[str, Any]) -> bool:
    count = sum(word.isupper() for word in _CAPITALS_WORD.findall(unicodedata.normalize("NFC", text)))
    return _compared(count, settings, "capital_frequency", "capital_relation")


def _quoted(text: str, settings: Mapping[str, Any]) -> bool:
    bare = text.strip()
    return len(bare) > 1 and bare[0] == bare[-1] == '"'


#: Published name -> check.
CONSTRAINTS: dict[str, Check] = {
    "keywords:existence": _has_keywords,
    "keywords:frequency": _keyword_frequency,
    "keywords:forbidden_words": _no_forbidden_words,
    "keywords:letter_frequency": _letter_frequency,
    "language:response_language": _in_language,
    "length_constraints:number_sentences": lambda text, s: _compared(count_sentences(text), s, "num_sentences"),
    "length_constraints:number_paragraphs": _paragraphs,
    "length_constraints:number_words": lambda text, s: _compared(len(_WORD.findall(text)), s, "num_words"),
    "length_constraints:nth_paragraph_first_word": _first_word,
    "detectable_content:number_placeholders": _placeholders,
    "detectable_content:postscript": _postscript,
    "detectable_format:number_bullet_lists": _bullets,
    "detectable_format:constrained_response": _constrained,
    "detectable_format:number_highlighted_sections": _highlights,
    "detectable_format:multiple_sections": _sections,
    "detectable_format:json_format": _is_json,
    "detectable_format:title": _title,
    "combination:two_responses": _two_responses,
    "combination:repeat_prompt": _repeats,
    "startend:end_checker": _ends,
    "startend:quotation": _quoted,
    "change_case:capital_word_frequency": _capital_words,
    "change_case:english_capital": lambda text, s: text.isupper() and _is_english(text),
    "change_case:english_lowercase": lambda text, s: text.islower() and _is_english(text),
    "punctuation:no_comma": lambda text, s: "," not in text,
}


def follows(text: str, name: str, settings: Mapping[str, Any]) -> bool:
    """Return whether `text` keeps to one constraint; a blank text keeps to none.

    Raises:
        UnscorableError: there is no such constraint, or a setting is missing or wrong.
    """
    if name not in CONSTRAINTS:
        raise UnscorableError(f"unknown constraint {name!r:.80}")
    return CONSTRAINTS[name](text, settings) and bool(text.strip())
