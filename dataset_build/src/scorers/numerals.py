r"""Numbers as people and models write them, in several locales: "12,345.6", "12.345,6", "3/4", "2.1 × 10^-3".

A point is a decimal point and a comma between three digits groups them, unless the number itself says otherwise:
"1.234,56", "1.234.567" and "3,5" have a decimal comma, "12,34,567" is grouped as in India, "1'234.5" as in Switzerland.
"1.234" is always 1.234 and "1,234" always 1234. Digits glued to a letter (H2O, x2, m²) are no numbers.
"""

import re
from dataclasses import dataclass
from fractions import Fraction

from dataset_build.src.scorers.words import UNSPACED

_GAP = "\u202f\u00a0\u2009'’"
_WHOLE = "|".join(
    (
        r"(?P<grouped>(?!0,)\d{1,3}(?:,\d{2,3})*,\d{3}(?![\d])(?:\.\d{1,60})?)",
        r"(?P<dotted>\d{1,3}(?:\.\d{3})+,\d{1,60}(?!\d)|\d{1,3}(?:\.\d{3}){2,}(?![\d.]))",
        rf"(?P<gapped>\d{{1,3}}(?:[{_GAP}]\d{{3}})+(?!\d)(?:[.,]\d{{1,60}})?|\d{{1,3}}(?:\x20\d{{3}})+,\d{{1,2}}(?!\d))",
        r"(?P<comma>(?<![,(\[{])(?:0,\d{1,60}|\d{1,60},(?:\d{1,2}|\d{4,60}))(?![\d,]|\.\d))",
        r"(?P<plain>\d{1,60}(?:\.\d{1,60})?|\.\d{1,60})",
    )
)
#: A letter or digit before a number glues it to a word; in scripts without spaces, and in Korean, it does not.
_FREE = rf"(?<![^\W{UNSPACED}\uac00-\ud7a3])(?<![.^])"
_NUMBER = re.compile(
    rf"{_FREE}(?P<sign>[-−–]\s?)?(?:[$€£¥₹]\s?)?(?P<whole>{_WHOLE})"
    r"(?:(?:\s?(?:[*x×·]|\\times|\\cdot)\s?10\s?(?:\^|\*\*)\s?\{?(?P<ten>[-−+]?\d{1,3})\}?)"
    r"|[eE](?P<exponent>[-+]?\d{1,3})(?![\d.]))?"
    r"(?:(?P<mixed>\s\d{1,9})?\s?/\s?(?P<under>\d{1,15})(?![\d/]))?"
    r"(?P<percent>\s?(?:\\?%|٪|(?:percent|per\s+cent|prozent|pour\s+cent|por\s+ciento|por\s+cento|процент\w*)\b))?"
    r"(?:\s?(?P<scale>thousand|million|billion|trillion)s?\b)?",
    re.IGNORECASE,
)
_SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_LATEX_FRACTION = re.compile(r"\\[dt]?frac\s*\{([^{}]{1,40})\}\s*\{([^{}]{1,40})\}")
_LATEX_SHORT_FRACTION = re.compile(r"\\[dt]?frac\s*(\d)\s*(\d)")
#: A time of day on the hour is its hour: "2:00 pm".
_FULL_HOUR = re.compile(r"\b(\d{1,2}):00\b(?!:)")
#: What follows a run of digits that is only the start of something else: more digits, "/0", an exponent out of range.
_GLUED = re.compile(r"\d|/0|[eE][-+]?\d")
_SIGNS = str.maketrans(
    {
        "٫": ".",
        "٬": ",",
        "．": ".",
        "，": ",",
        "％": "%",
        "½": " 1/2",
        "¼": " 1/4",
        "¾": " 3/4",
        "⅓": " 1/3",
        "⅔": " 2/3",
    }
)


@dataclass(frozen=True, slots=True)
class Numeral:
    """A number read from a text.

    Attributes:
        value: What it is, a percent sign and a word such as "million" aside.
        percent: Whether a percent sign follows.
        scale: 1, or what a word such as "million" stands for.
        places: Decimal places written.
        end: Where it ends in the text it was read from.
    """

    value: Fraction
    percent: bool = False
    scale: int = 1
    places: int = 0
    end: int = 0


def plain_numbers(text: str) -> str:
    r"""Return `text` with LaTeX and typographic ways of writing numbers made plain.

    >>> plain_numbers(r"\\frac{3}{4} of \\$5, 2½")
    '3/4 of $5, 2 1/2'
    """
    text = (
        text.replace("**", " ")
        .replace("\\,", "")
        .replace("\\!", "")
        .replace("{,}", ",")
        .replace("\\$", "$")
        .translate(_SIGNS)
    )
    text = _FULL_HOUR.sub(r"\1", text)
    return _LATEX_SHORT_FRACTION.sub(r"\1/\2", _LATEX_FRACTION.sub(r"\1/\2", text))


def numerals(text: str) -> list[Numeral]:
    """Return every number of a text that `plain_numbers` gave, in order.

    >>> [str(one.value) for one in numerals("1.234,5 - 3/4 of 2e3 H2O")]
    ['2469/2', '3/4', '2000']
    """
    found = []
    for match in _NUMBER.finditer(text):
        if _GLUED.match(text, match.end()):
            continue
        value, places = _value(match)
        # A minus straight after a digit or bracket subtracts: "7-3".
        before = text[max(0, match.start() - 1) : match.start()]
        if match["sign"] and not re.match(r"[\w)]", before):
            value = -value
        scale = _SCALES[match["scale"].lower()] if match["scale"] else 1
        found.append(Numeral(value, bool(match["percent"]), scale, places, match.end()))
    return found


def _value(match: re.Match[str]) -> tuple[Fraction, int]:
    """Return the value without its sign, and the decimal places."""
    written = match["whole"]
    if match["comma"] or match["dotted"]:
        written = written.replace(".", "").replace(",", ".")
    elif match["gapped"]:
        written = re.sub(rf"[{_GAP}\x20]", "", written).replace(",", ".")
    else:
        written = written.replace(",", "")
    value = Fraction(written)
    places = len(written.partition(".")[2])
    power = match["ten"] or match["exponent"]
    if power:
        value *= Fraction(10) ** int(power.replace("−", "-"))
        places = 0
    under = int(match["under"] or 1)
    if match["mixed"] and under:
        return value + Fraction(int(match["mixed"]), under), 0
    return (value / under, 0) if under > 1 else (value, places)
