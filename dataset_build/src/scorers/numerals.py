r"""Numbers as people and models write them, in several locales: "12,345.6", "12.345,6", "3/4", "2.1 × 10^-3".

A point is a decimal point and a comma between three digits groups them, unless the number itself says otherwise:
"1.234,56", "1.234.567" and "3,5" have a decimal comma, "12,34,567" is grouped as in India, "1'234.5" as in Switzerland.
"1.234" is always 1.234 and "1,234" always 1234. Digits glued to a letter (H2O, x2, m²) are no numbers, nor is what
stands under a root or before a power that is not read. "2.5k", "$1.5M" and "150万" are what they stand for.
"""

import re
from dataclasses import dataclass
from fractions import Fraction

from dataset_build.src.exact_arithmetic import bounded_factorial, bounded_power
from dataset_build.src.expressions import ExpressionError
from dataset_build.src.scorers.words import UNSPACED

_GAP = "\u202f\u00a0\u2009'’"
_WHOLE = "|".join(
    (
        r"(?P<grouped>(?!0,)\d{1,3}(?:,\d{2,3})*,\d{3}(?![\d])(?:\.\d{1,60})?)",
        r"(?P<dotted>\d{1,3}(?:\.\d{3})+,\d{1,60}(?!\d)|\d{1,3}(?:\.\d{3}){2,}(?![\d.]))",
        rf"(?P<gapped>\d{{1,3}}(?:[{_GAP}]\d{{3}})+(?!\d)(?:[.,]\d{{1,60}})?"
        r"|(?<!\d\x20)\d{1,3}(?:\x20\d{3})+(?!\x20?\d|/)(?:[.,]\d{1,60})?(?!\x20?\d))",
        r"(?P<comma>(?<![,(\[{])(?:0,\d{1,60}|\d{1,60},(?:\d{1,2}|\d{4,60}))(?![\d,]|\.\d))",
        r"(?P<plain>\d{1,60}(?:\.\d{1,60})?|\.\d{1,60})",
    )
)
#: A letter or digit before a number glues it to a word; in scripts without spaces, and in Korean, it does not.
_FREE = rf"(?<![^\W{UNSPACED}\uac00-\ud7a3])(?<![.^√万萬亿億千百兆만억])"
_NUMBER = re.compile(
    rf"{_FREE}(?P<sign>[-−–]\s?|(?:minus|negative)\s)?(?P<currency>[$€£¥₹]\s?)?(?P<whole>{_WHOLE})"
    r"(?:(?:\s?(?:[*x×·]|\\times|\\cdot)\s?10\s?(?:\^|\*\*)\s?\{?(?P<ten>[-−+]?\d{1,3})\}?)"
    r"|[eE](?P<exponent>[-+]?\d{1,3})(?![\d.])|\^\s?\{?(?P<power>[-−+]?\d{1,3})(?!\.?\d)\}?"
    r"|(?P<factorial>!)(?=\s*[a-z×·*/+^=)]))?"
    r"(?P<times>[万萬亿億千百兆만억]|\s?(?:lakh|crore)s?\b)?"
    r"(?P<letter>(?(currency)\s?(?-i:k|K|M|m|B|T|bn|mn)|(?-i:k|K|M|B|bn|mn))(?!\w))?"
    r"(?:(?P<mixed>\s\d{1,9})?\s?/\s?(?P<under>\d{1,15})(?![\d/]))?"
    r"(?P<percent>\s?(?:\\?%|٪|(?:percent|per\s+cent|prozent|pour\s+cent|por\s+ciento|por\s+cento|процент\w*)\b))?"
    r"(?:\s?(?P<scale>dozen|thousand|million|billion|trillion)s?\b)?",
    re.IGNORECASE,
)
_SCALES = {"dozen": 12, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_TIMES = {
    "百": 10**2, "千": 10**3, "万": 10**4, "萬": 10**4, "만": 10**4, "lakh": 10**5, "crore": 10**7, "亿": 10**8,
    "億": 10**8, "억": 10**8, "兆": 10**12,
}  # fmt: skip
_LETTERS = {"k": 10**3, "m": 10**6, "mn": 10**6, "b": 10**9, "bn": 10**9, "t": 10**12}
_RAISED = re.compile("[⁻⁺⁰¹²³⁴⁵⁶⁷⁸⁹]+")
_RAISED_DIGITS = str.maketrans("⁻⁺⁰¹²³⁴⁵⁶⁷⁸⁹", "-+0123456789")
#: How a currency is written before a number, other than by its sign.
_CURRENCY = re.compile(r"\b(?:USD|EUR|GBP|INR|CAD|AUD|NZD|JPY|CNY|RMB|CHF|HK\$|US\$|R\$|[Rr]s\.?)\s?(?=\d)")
#: One of these is in every text that the pattern finds something in.
_CURRENCIES = (
    "USD",
    "EUR",
    "GBP",
    "INR",
    "CAD",
    "AUD",
    "NZD",
    "JPY",
    "CNY",
    "RMB",
    "CHF",
    "S$",
    "K$",
    "R$",
    "Rs",
    "rs",
)
_LATEX_FRACTION = re.compile(r"\\[dt]?frac\s*\{([^{}]{1,40})\}\s*\{([^{}]{1,40})\}")
_LATEX_SHORT_FRACTION = re.compile(r"\\[dt]?frac\s*(\d)\s*(\d)")
_POWER = re.compile(r"\*\*(?<=\d\*\*)(?=[-+]?\d+(?!\*|\d))")
_GROUPED_BY_LINES = re.compile(r"_(?<=\d_)(?=\d{3}(?!\d))")
#: A time of day on the hour is its hour: "2:00 pm".
_FULL_HOUR = re.compile(r"\b(\d{1,2}):00\b(?!:)")
#: What follows a run of digits that is only the start of something else: more digits, "/0", an exponent out of range.
_GLUED = re.compile(r"\d|/0|[eE][-+]?\d|\s?\^")
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
        start: Where it starts there.
    """

    value: Fraction
    percent: bool = False
    scale: int = 1
    places: int = 0
    end: int = 0
    start: int = 0


def plain_numbers(text: str) -> str:
    r"""Return `text` with LaTeX and typographic ways of writing numbers made plain.

    >>> plain_numbers(r"\\frac{3}{4} of \\$5, 2½")
    '3/4 of $5, 2 1/2'
    """
    text = (
        _RAISED.sub(lambda found: "^" + found[0].translate(_RAISED_DIGITS), _POWER.sub("^", text))
        .replace("**", " ")
        .replace("\\,", "")
        .replace("\\!", "")
        .replace("{,}", ",")
        .replace("\\$", "$")
        .translate(_SIGNS)
    )
    text = _GROUPED_BY_LINES.sub("", text)
    if any(code in text for code in _CURRENCIES):
        text = _CURRENCY.sub("$", text)
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
        try:
            value, places = _value(match)
        except ExpressionError:  # a power or factorial out of range
            continue
        # A minus after a digit or bracket subtracts: "7-3", "7 minus 3".
        before = text[max(0, match.start() - 3) : match.start()]
        spelled = match["sign"] and match["sign"][0].isalpha()
        if match["sign"] and not re.search(r"(?:[\d)]|\b\w)\s?\Z" if spelled else r"[\w)]\Z", before):
            value = -value
        scale = _SCALES[match["scale"].lower()] if match["scale"] else 1
        if match["letter"]:
            letter = _LETTERS[match["letter"].strip().lower()]
            if match["currency"] or match["letter"] == "k":
                value, places = value * letter, 0
            else:  # millions, or moles a litre
                scale = letter
        found.append(Numeral(value, bool(match["percent"]), scale, places, match.end(), match.start()))
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
    if match["power"]:
        value, places = bounded_power(value, Fraction(match["power"].replace("−", "-"))), 0
    if match["factorial"]:
        value = bounded_factorial(value)
    if match["times"]:
        value, places = value * _TIMES[match["times"].strip().lower().removesuffix("s")], 0
    under = int(match["under"] or 1)
    if match["mixed"] and under:
        return value + Fraction(int(match["mixed"]), under), 0
    return (value / under, 0) if under > 1 else (value, places)
