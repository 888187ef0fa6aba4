r"""Is the number an answer ends with the right one?

    reference "12.5", answer "The answer is **12.50 km**."    1.0
    reference "2340", answer "so 2,340 = 9 * 260"             0.0   (the last number is 260)
    reference "0.75", answer "= 3/4"                          1.0

Which number counts, in this order: what is inside the last `\boxed{…}`; what follows the last "answer is"; what
follows the last "="; the last number. Digits glued to a letter (H2O, x2, m²) are no numbers.
"""

import re
from fractions import Fraction

from dataset_build.src.records import Instruction
from dataset_build.src.scorers.base import Scorer

#: An answer this much longer is read from its end only.
MAX_LENGTH = 4000

_DIGITS = r"(?:\d{1,3}(?:[,\u202f\u00a0]\d{3})+(?!\d)|\d{1,60})(?:\.\d{1,60})?|\.\d{1,60}"
_NUMBER = re.compile(
    rf"(?<![\w.^])(?P<sign>[-−–]\s?)?(?:[$€£¥]\s?)?(?P<whole>(?:{_DIGITS}))"
    r"(?:(?:\s?[*x×·]\s?10\s?(?:\^|\*\*)\s?\{?(?P<ten>[-−+]?\d{1,3})\}?)|[eE](?P<exponent>[-+]?\d{1,3})(?![\d.]))?"
    r"(?:(?P<mixed>\s\d{1,9})?\s?/\s?(?P<under>\d{1,15})(?![\d/]))?(?P<percent>\s?(?:\\?%|percent\b))?"
)
_LATEX_FRACTION = re.compile(r"\\[dt]?frac\s*\{([^{}]{1,40})\}\s*\{([^{}]{1,40})\}")
_BOXED = re.compile(r"\\boxed\s*\{")
#: What follows a run of digits that is only the start of something else: more digits, "/0", an exponent out of range.
_GLUED = re.compile(r"\d|/0|[eE][-+]?\d")
#: A number that is named to be ruled out: "not 12 but 13".
_RULED_OUT = re.compile(r"\b(?:not|isn't)\s+[-−]?\d[\d.,]*")
_ANSWER_IS = re.compile(r"\banswer\s*(?:is|:|=)+", re.IGNORECASE)


def _value(match: re.Match[str]) -> Fraction:
    value = Fraction(re.sub(r"[,\u202f\u00a0]", "", match["whole"]))
    power = match["ten"] or match["exponent"]
    if power:
        value *= Fraction(10) ** int(power.replace("−", "-"))
    under = int(match["under"] or 1)
    if match["mixed"] and under:
        value += Fraction(int(match["mixed"]), under)
    elif under:
        value /= under
    return -value if match["sign"] else value


def _numbers(text: str) -> list[tuple[Fraction, bool]]:
    """Return (value, has a percent sign) for every number of `text`, in order."""
    found = []
    for match in _NUMBER.finditer(text):
        glued = _GLUED.match(text, match.end())
        # A minus straight after a digit or bracket subtracts: "7-3".
        subtracts = match["sign"] and re.search(r"[\w)]$", text[max(0, match.start() - 1) : match.start()])
        if not glued:
            found.append((abs(_value(match)) if subtracts else _value(match), bool(match["percent"])))
    return found


def final_number(text: str) -> tuple[Fraction, bool] | None:
    """Return the number an answer ends with and whether it is a percentage, or None when it has no number."""
    text = _LATEX_FRACTION.sub(r"\1/\2", text[-MAX_LENGTH:].replace("**", " ").replace("\\,", "").replace("\\$", "$"))
    boxed = list(_BOXED.finditer(text))
    if boxed:
        inside = _numbers(text[boxed[-1].end() :].partition("}")[0])
        if inside:
            return inside[-1]
    said = list(_ANSWER_IS.finditer(text))
    if said:
        sentence = re.split(r"(?<!\d)\.|\.(?!\d)|\n", text[said[-1].end() :].strip(), maxsplit=1)[0]
        sentence = _RULED_OUT.sub(" ", sentence)
        numbers = _numbers(sentence.rpartition("=")[2])
        if numbers:
            return numbers[0]
    line, equals, after = text.rpartition("=")
    if equals:
        numbers = _numbers(after)
        if numbers:
            return numbers[0]
    numbers = _numbers(line if equals else text)
    return numbers[-1] if numbers else None


class Number(Scorer):
    """1.0 when the answer's final number equals the reference's, else 0.0.

    A whole number must equal a whole reference exactly. Otherwise the answer may be off by half a unit in the last
    decimal place the reference shows, or by a ten-thousandth of it, whichever is more: a reference "12.5" accepts
    12.46 and refuses 12.4. A percentage may be written as 12.5, 12.5 % or 0.125 as long as one of the two has a sign.
    """

    metric = "number"

    def compare(self, text: str, reference: str, instruction: Instruction) -> float | None:
        """Return 1.0 or 0.0, or None when the reference holds no number."""
        expected, given = final_number(reference), final_number(text)
        if expected is None:
            return None
        if given is None:
            return 0.0
        (right, right_percent), (value, percent) = expected, given
        decimals = re.search(r"\.(\d+)\D*$", reference)
        places = len(decimals[1]) if decimals else 0
        if _agree(value, right, places):
            return 1.0
        if percent and not right_percent and _agree(value / 100, right, places + 2):
            return 1.0
        return float(right_percent and not percent and _agree(value * 100, right, places))


def _agree(value: Fraction, right: Fraction, places: int) -> bool:
    if value.denominator == 1 and right.denominator == 1 and not places:
        return value == right
    slack = abs(right) / 10_000
    if places:
        slack = max(slack, Fraction(1, 2 * 10**places))
    return abs(value - right) <= slack
