r"""Is the number an answer ends with the right one?

    reference "12.5", answer "The answer is **12.50 km**."    1.0
    reference "2340", answer "so 2,340 = 9 * 260"             0.0   (the last number is 260)
    reference "0.75", answer "= 3/4"                          1.0
    reference "1234.5", answer "Das Ergebnis ist 1.234,5"     1.0
    reference "12 km", answer "12,000 m"                      0.0   (1.0 with `units`)
    reference "1500000", answer "$1.5M"                       1.0   (so "150万", "1.5 × 10⁶")
    reference "6", answer "5 or 6"                            0.0   (undecided)

Which number counts, in this order: what is inside the last `\boxed{…}`; what follows the last "####" (GSM8K); what
follows the last "answer is", in any of some twenty languages; what follows the last "=", or the one number of a
conclusion drawn below it; the last number; a number in English words. A number that is ruled out ("not 12") is none. An
answer that is a JSON object is read from its field `answer`.
"""

import re
from collections.abc import Sequence
from fractions import Fraction
from typing import TypeAlias

from dataset_build.src.errors import ConfigError
from dataset_build.src.exact_arithmetic import exact_value
from dataset_build.src.expressions import ExpressionError
from dataset_build.src.records import Instruction
from dataset_build.src.scorers.answer_phrases import ANNOUNCEMENT
from dataset_build.src.scorers.answer_text import stated_answer
from dataset_build.src.scorers.base import Scorer
from dataset_build.src.scorers.measured_units import Converter, unit_after
from dataset_build.src.scorers.number_words import number_in_words
from dataset_build.src.scorers.numerals import Numeral, numerals, plain_numbers

#: An answer this much longer is read from its end only.
MAX_LENGTH = 4000

#: Words that may follow an answer that is a number in words.
MOST_WORDS_AFTER = 3

_BOXED = re.compile(r"\\boxed\s*\{")
#: A number that is named to be ruled out: "not 12 but 13".
_RULED_OUT = re.compile(
    r"(?:\b(?:n(?:ot(?:\s+equal\s+to)?|icht|o\s+es)|isn['’]t|pas)\s+|≠\s?)[-−$€£¥₹]{0,2}\d(?:[\d.,]*\d)?",
    re.IGNORECASE,
)
#: Nothing but a power, factorial or root: "10^6".
_FORMULA = re.compile(r"[\d\s().+*/^!√×÷·−-]{2,60}")
_OR = re.compile(r"\s*,?\s*(?:or|oder|ou|или|或|或者|또는)\s*", re.IGNORECASE)
#: How an answer was worked out, after it: "13 (7+6)".
_WORKING = re.compile(r"(?<=\d)\s*\([^()\n]{0,60}\d\s*[-+*/×÷−]\s*\d[^()\n]{0,60}\)(?=\W*\Z)")
_CONCLUDES = re.compile(
    r"\W{0,8}(?:so|thus|therefore|hence|in total|overall|finally|in conclusion|rounded|rounding|also|daher|donc)\b",
    re.I,
)
_SENTENCE_END = re.compile(r"(?<!\d)\.|\.(?!\d)|[。\n]")


def final_number(text: str) -> Numeral | None:
    """Return the number an answer ends with, or None when it has no number; its `end` is that in its own sentence.

    >>> final_number("The answer is 4. I checked 3 times.").value
    Fraction(4, 1)
    """
    found = extract_number(text)
    return found[0] if found else None


def extract_number(text: str) -> tuple[Numeral, str] | None:
    """Return the number an answer ends with and what is written after it, or None when it has no number."""
    text = _RULED_OUT.sub(" ", plain_numbers(stated_answer(text)[-MAX_LENGTH:]))
    for stage in (_formula, _boxed, _announced_number, _computed):
        is_settled, number = stage(text)
        if is_settled:
            return number
    rest = _WORKING.sub("", text) if "=" not in text else text.rpartition("=")[0]
    found = numerals(rest)
    if found:
        return None if _is_undecided(rest, found[-2:]) else (found[-1], rest[found[-1].end :])
    spelled = number_in_words(text.strip())
    if spelled and len(text.strip()[spelled[1] :].split()) <= MOST_WORDS_AFTER:
        return Numeral(Fraction(spelled[0])), text.strip()[spelled[1] :]
    return None


#: Whether this is where the answer stands, and its number, if it has one, with what follows.
_Found: TypeAlias = tuple[bool, tuple[Numeral, str] | None]


def _formula(text: str) -> _Found:
    whole = text.strip().strip("$")
    if not _FORMULA.fullmatch(whole) or not re.search("[!^√]", whole):
        return False, None
    return True, _worked_out(whole)


def _boxed(text: str) -> _Found:
    boxed = list(_BOXED.finditer(text))
    if not boxed:
        return False, None
    inside, _, after = text[boxed[-1].end() :].partition("}")
    is_formula, number = _formula(inside)
    found = [] if is_formula else numerals(inside)
    if found:
        return True, (found[-1], inside[found[-1].end :] or after)
    return is_formula, number


def _announced_number(text: str) -> _Found:
    for start in (text.rfind("####") + 4, _announced(text)):
        if start > 3:
            sentence = _SENTENCE_END.split(text[start:].strip(), maxsplit=1)[0].rpartition("=")[2].strip()
            found = numerals(sentence)
            if found:
                return True, None if _is_undecided(sentence, found[:2]) else (found[0], sentence[found[0].end :])
            spelled = number_in_words(sentence)
            if spelled:
                return True, (Numeral(Fraction(spelled[0])), sentence[spelled[1] :])
    return False, None


def _computed(text: str) -> _Found:
    """Read what follows the last "=", or the conclusion drawn below it."""
    _, equals, after = text.rpartition("=")
    if not equals:
        return False, None
    computed, _, concluded = after.partition("\n")
    found = numerals(computed)
    if found:
        conclusion = _conclusion(found[0].value, concluded.rstrip().rpartition("\n")[2])
        return True, conclusion or (found[0], computed[found[0].end :])
    found = numerals(after)
    return (True, (found[0], after[found[0].end :])) if found else (False, None)


def _worked_out(formula: str) -> tuple[Numeral, str] | None:
    try:
        return Numeral(exact_value(formula.rstrip(". "))), ""
    except ExpressionError:
        return None


def _is_undecided(text: str, found: Sequence[Numeral]) -> bool:
    """Return whether two numbers that are not the same are joined by "or"."""
    if len(found) < 2 or not _OR.fullmatch(text[found[0].end : found[1].start]):
        return False
    one, other = (number.value * number.scale / (100 if number.percent else 1) for number in found)
    return abs(one - other) > abs(one) / 100


def _conclusion(computed: Fraction, text: str) -> tuple[Numeral, str] | None:
    """Return the one number of the conclusion drawn below a computation, where it is another than what was computed.

    "= 0.24⏎So the chance is 24 %." concludes 24 %, "= 5⏎She needs 5 for 30 days." nothing else.
    """
    if not _CONCLUDES.match(text):
        return None
    found = numerals(text)
    if len({one.value for one in found}) != 1 or found[0].value == computed:
        return None
    return found[0], text[found[0].end :]


def _announced(text: str) -> int:
    """Return where the last announcement of an answer ends, or 0."""
    return max((match.end() for match in ANNOUNCEMENT.finditer(text)), default=0)


class Number(Scorer):
    """1.0 when the answer's final number equals the reference's, else 0.0.

    Without a tolerance a whole number must equal a whole reference exactly. Otherwise the answer may be off by half a
    unit in the last decimal place the reference shows, or by a ten-thousandth of it, whichever is more: a reference
    "12.5" accepts 12.46 and refuses 12.4. A percentage may be written as 12.5, 12.5 % or 0.125 as long as one of the
    two has a sign; "1.5 million" may be written 1.5 or 1,500,000. Units do not matter unless `units`.

    Args:
        tolerance: How far off the answer may be, as a share of the reference: 0.01 for a hundredth.
        absolute_tolerance: How far off it may be, as a number.
        units: Whether an answer in another unit of the same kind is converted, and one in a unit of another kind is
            wrong; a thousandth off is right then. A number without a unit is taken to be in the other's.

    Raises:
        ConfigError: a tolerance is negative.
        MissingDependencyError: `units` needs Pint.
    """

    metric = "number"
    version = "2"

    def __init__(
        self, *, tolerance: float | None = None, absolute_tolerance: float | None = None, units: bool = False
    ) -> None:
        for name, given in (("tolerance", tolerance), ("absolute_tolerance", absolute_tolerance)):
            if given is not None and not 0.0 <= given < float("inf"):
                raise ConfigError(f"Metric 'number': {name} is {given!r}; it must be 0 or more.")
        self.tolerance = tolerance
        self.absolute_tolerance = absolute_tolerance
        self.units = units
        self._converter = Converter() if units else None

    def compare(self, text: str, reference: str, instruction: Instruction) -> float | None:
        """Return 1.0 or 0.0, or None when the reference holds no number."""
        expected, given = extract_number(reference), extract_number(text)
        if expected is None:
            return None
        if given is None:
            return 0.0
        (right, right_rest), (number, rest) = expected, given
        if self._converter is not None:
            unit, right_unit = unit_after(rest), unit_after(right_rest)
            if unit and right_unit and unit != right_unit:
                converted = self._converter.convert(number.value * number.scale, unit, right_unit)
                return float(converted is not None and self._agree(converted, right, right.scale, 0, converted=True))
        return float(any(self._agree(*reading) for reading in _readings(number, right)))

    def _agree(
        self, value: Fraction, right: Numeral, scale: int, further_places: int, *, converted: bool = False
    ) -> bool:
        wanted = right.value * scale
        if self.tolerance is not None or self.absolute_tolerance is not None:
            slack = max(abs(wanted) * Fraction(self.tolerance or 0), Fraction(self.absolute_tolerance or 0))
            return abs(value - wanted) <= slack
        places = right.places + further_places if right.places or further_places else 0
        if value.denominator == 1 and wanted.denominator == 1 and not places and not converted:
            return value == wanted
        slack = abs(wanted) / (1_000 if converted else 10_000)
        if places:
            slack = max(slack, Fraction(scale, 2 * 10**places))
        return abs(value - wanted) <= slack


def _readings(number: Numeral, right: Numeral) -> list[tuple[Fraction, Numeral, int, int]]:
    """Return the ways in which the two may be meant: (value, right number, its scale, further decimal places)."""
    readings = [
        (number.value * scale, right, right_scale, 0) for scale in {1, number.scale} for right_scale in {1, right.scale}
    ]
    if number.percent and not right.percent:
        readings.append((number.value / 100, right, 1, 2))
    if right.percent and not number.percent:
        readings.append((number.value * 100, right, 1, 0))
    return readings
