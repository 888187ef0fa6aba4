"""Arithmetic said in words, turned into digits and signs."""

import re
from fractions import Fraction

_ONES = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
}  # fmt: skip
_TEENS = {
    "ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16,
    "seventeen": 17, "eighteen": 18, "nineteen": 19, "zero": 0,
}  # fmt: skip
_TENS = {
    "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90,
}  # fmt: skip
_SCALES = {"hundred": 100, "thousand": 1000, "million": 1_000_000}
_VALUES = {**_ONES, **_TEENS, **_TENS}

_ONE_OF = {name: "|".join(words) for name, words in (("ones", _ONES), ("teens", _TEENS), ("tens", _TENS))}
_SMALL = rf"(?:(?:{_ONE_OF['tens']})(?:[-\s](?:{_ONE_OF['ones']})\b)?|(?:{_ONE_OF['teens']})|(?:{_ONE_OF['ones']}))"
_BELOW_THOUSAND = rf"(?:(?:{_ONE_OF['ones']}|a)\shundred(?:\s(?:and\s)?{_SMALL}\b)?|{_SMALL})"
_NUMBER_WORDS = re.compile(
    rf"\b{_BELOW_THOUSAND}(?:\s(?:thousand|million)(?:\s(?:and\s)?{_BELOW_THOUSAND})?)?\b", re.IGNORECASE
)
_ANY_NUMBER_WORD = re.compile(rf"\b(?:{'|'.join([*_VALUES, *_SCALES])})\b", re.IGNORECASE)

#: A number in digits, with a sign only where it cannot be a subtraction.
NUMBER = r"(?<![\w.,])-?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?"

_GAP = r"(?<=[\d)%²³])\s+"
_INFIX = tuple(
    (re.compile(_GAP + rf"(?:{words})\s+(?=[-\d(√]|sqrt|the square|square)", re.IGNORECASE), f" {sign} ")
    for words, sign in (
        ("plus|added to|and add", "+"),
        ("minus|less|take away", "-"),
        ("times|multiplied by|x", "*"),
        ("divided by|over", "/"),
        ("(?:raised )?to the power(?: of)?", "^"),
    )
)
_SIGN_WORDS = (
    (re.compile(r"(?<=\d)\s*(?:%|percent|per cent)\s+of\s+(?:the\s+)?(?=[\d(])", re.IGNORECASE), "/100*"),
    (re.compile(r"(?<=\d)\s+(?:percent|per cent)\b", re.IGNORECASE), "%"),
    (re.compile(r"(?:the\s+)?square root of\s+", re.IGNORECASE), "sqrt "),
    (re.compile(r"(?<=[\w)])\s+squared\b", re.IGNORECASE), "^2"),
    (re.compile(r"(?<=[\w)])\s+cubed\b", re.IGNORECASE), "^3"),
    (re.compile(r"(?<=\d)\s*x\s*(?=\d)"), " * "),
)


def _value_of(words: str) -> int:
    total = part = 0
    for word in re.findall(r"[a-z]+", words.lower()):
        if word in _VALUES:
            part += _VALUES[word]
        elif word == "hundred":
            part = (part or 1) * 100
        elif word in _SCALES:
            total += part * _SCALES[word]
            part = 0
    return total + part


def to_digits(text: str) -> str:
    """Return `text` with numbers in words written in digits; a lone "one" stays, it is mostly a pronoun."""
    if not _ANY_NUMBER_WORD.search(text):
        return text
    return _NUMBER_WORDS.sub(
        lambda match: match.group() if match.group().lower() == "one" else str(_value_of(match.group())), text
    )


def to_signs(text: str) -> str:
    """Return `text` with "plus", "percent of", "squared" and their like between numbers written as signs."""
    for pattern, sign in _SIGN_WORDS + _INFIX:
        text = pattern.sub(sign, text)
    return text


def numbers_in(text: str) -> list[Fraction]:
    """Return the numbers in digits in `text`, in order."""
    return [Fraction(match.replace(",", "")) for match in re.findall(NUMBER, text) if len(match) < 60]


def number_text(value: Fraction) -> str:
    """Return a number in plain decimal notation, rounded to twelve decimals."""
    if value.denominator == 1:
        return str(value.numerator)
    text = f"{float(value):.12f}".rstrip("0") if abs(value) < 10**15 and abs(value) > 10**-9 else f"{float(value):.12g}"
    return text.rstrip(".")
