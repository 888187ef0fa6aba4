"""How numbers are written in instructions and references."""

import random
from fractions import Fraction

_BELOW_TWENTY = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
)
_ONES = _BELOW_TWENTY.split()
_TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")


def in_words(number: int) -> str:
    """Return a whole number from 0 to 999 in English words."""
    if number < 20:
        return _ONES[number]
    if number < 100:
        tens, ones = divmod(number, 10)
        return _TENS[tens] + (f"-{_ONES[ones]}" if ones else "")
    hundreds, rest = divmod(number, 100)
    return f"{_ONES[hundreds]} hundred" + (f" and {in_words(rest)}" if rest else "")


def written(number: int, rng: random.Random, *, words: float = 0.0) -> str:
    """Return a whole number as somebody would type it.

    Args:
        number: At least 0.
        rng: The source of chance.
        words: Share of numbers below 100 that are spelled in words.
    """
    if number < 100 and rng.random() < words:
        return in_words(number)
    return f"{number:,}" if number >= 1000 and rng.random() < 0.5 else str(number)


def decimal_text(value: Fraction, *, digits: int = 10) -> str:
    """Return a number in plain decimal notation, exact where `digits` decimals suffice and rounded there if not."""
    if value.denominator == 1:
        return str(value.numerator)
    scaled = round(abs(value) * 10**digits)
    whole, rest = divmod(scaled, 10**digits)
    fraction = f"{rest:0{digits}d}".rstrip("0")
    return ("-" if value < 0 and scaled else "") + (f"{whole}.{fraction}" if fraction else str(whole))


def significant_text(value: Fraction, figures: int = 6) -> str:
    """Return a number rounded to `figures` significant figures, in plain decimal notation."""
    if not value:
        return "0"
    digits = figures - 1
    magnitude = abs(value)
    while magnitude >= 10:
        magnitude, digits = magnitude / 10, digits - 1
    while magnitude < 1:
        magnitude, digits = magnitude * 10, digits + 1
    return decimal_text(value, digits=max(digits, 1)) if value.denominator != 1 else str(value)
