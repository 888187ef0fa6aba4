"""Short word problems by rules: which quantities there are, what the cue words ask, Pint where units differ.

The rules are those of early solvers (Bobrow 1964, STUDENT; Hosseini et al. 2014, arXiv:1408.5058 for cue verbs): no
understanding, so a story told in other words is often missed or got wrong.
"""

import re
from dataclasses import dataclass
from fractions import Fraction

from dataset_build.src.experts.base import CannotAnswerError, ToolExpert
from dataset_build.src.experts.tools.math_language import NUMBER, number_text, to_digits
from dataset_build.src.experts.tools.pint_units import pint_unit, registry
from dataset_build.src.experts.tools.unit_names import UNIT

MIN_WORDS, MAX_LENGTH = 8, 2000
#: Fewest and most quantities a story may have.
MIN_QUANTITIES, MAX_QUANTITIES = 2, 5

_QUANTITY = re.compile(
    rf"(?P<money>[$€£])?(?P<number>{NUMBER})(?:\s?(?P<percent>%|percent\b|per cent\b)|\s?(?P<unit>{UNIT}))?"
)
_ASKS = re.compile(r"\?|how (?:much|many|far|long)|what", re.IGNORECASE)
_OFF = re.compile(
    r"\b(?:off|discount\w*|reduc\w*|sale|sav\w*|rebate|cheaper|voucher|minus|keeps?|less|down|drop\w*|falls?|fell|cut)\b",
    re.IGNORECASE,
)
_ON_TOP = re.compile(
    r"\b(?:tax|tip|vat|surcharge|interest|increas\w*|extra|up|ris(?:es?|ing)|rose|rais(?:es?|ed)|gr[eo]ws?|more)\b",
    re.IGNORECASE,
)
_REST = re.compile(
    r"\b(?:left|remain\w*|still|rest|stay\w*|gives?|gave|away|borrow\w*|lent|ate|eaten|spent|shipped"
    r"|did not|took|now)\b",
    re.IGNORECASE,
)
_EACH = re.compile(r"\b(?:each|every|per|apiece|an? (?:piece|hour|day|week|month|night))\b", re.IGNORECASE)
_SHARE = re.compile(r"\b(?:shar\w*|split\w*|divid\w*|equally|evenly)\b", re.IGNORECASE)
_TOTAL = re.compile(r"\b(?:altogether|in total|in all|total|combined|sum|together)\b", re.IGNORECASE)
_NEITHER = re.compile(
    r"\d\s*[-+*/^×÷=]\s*\d|[a-z]\s*="
    r"|\b(?:convert|SELECT|average|mean|derivative|integra\w+)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number of a story with what stands beside it."""

    value: Fraction
    unit: str | None = None
    is_percentage: bool = False
    is_money: bool = False


def quantities_in(text: str) -> list[Quantity]:
    """Return the quantities of a story whose numbers are written in digits."""
    return [
        Quantity(
            Fraction(match["number"].replace(",", "")),
            unit=match["unit"] if match["unit"] and match["unit"].lower() != "in" else None,
            is_percentage=bool(match["percent"]),
            is_money=bool(match["money"]),
        )
        for match in _QUANTITY.finditer(text)
        if len(match["number"]) < 30
    ]


class WordProblemSolver(ToolExpert):
    """Picks one of five schemes by units and cue words."""

    tool_name = "word_problem_solver"
    tool_description = "Rule-based solver of short word problems: prices and percentages, speeds, portions, leftovers."

    def warm_up(self) -> None:
        """Read Pint's definitions and use them once."""
        self.solve("A car drives for 30 minutes at 40 km per hour. How far does it get?")

    def solve(self, text: str) -> str:
        """Return the number the chosen scheme gives, with its unit where it has one."""
        if len(text) > MAX_LENGTH or not _ASKS.search(text) or _NEITHER.search(text) or text.count(" ") < MIN_WORDS:
            raise CannotAnswerError("it is no story with a question")
        text = to_digits(text)
        found = quantities_in(text)
        if not MIN_QUANTITIES <= len(found) <= MAX_QUANTITIES:
            raise CannotAnswerError("it does not have a handful of quantities")
        answer = _percentage(text, found) or _with_units(found) or _counts(text, found)
        if answer is None:
            raise CannotAnswerError("no scheme fits its quantities")
        return answer


def _percentage(text: str, found: list[Quantity]) -> str | None:
    """A price, perhaps a count, and a share off or on top of it."""
    shares = [quantity for quantity in found if quantity.is_percentage]
    others = [quantity.value for quantity in found if not quantity.is_percentage]
    if len(shares) != 1 or not others:
        return None
    prices = [quantity for quantity in found if quantity.is_money]
    counts = [quantity for quantity in found if not quantity.is_money and not quantity.is_percentage]
    base = prices[0].value * (counts[-1].value if counts else 1) if prices else others[0]
    share = shares[0].value / 100
    if _OFF.search(text):
        return number_text(base * (1 - share))
    return number_text(base * (1 + share) if _ON_TOP.search(text) else base * share)


def _with_units(found: list[Quantity]) -> str | None:
    """A rate and a matching quantity are multiplied; two amounts of one dimension are divided."""
    measured = [(quantity, pint_unit(quantity.unit)) for quantity in found if quantity.unit]
    for rate, _ in measured:
        for other, other_unit in measured:
            if rate is other:
                continue
            if rate.unit and re.search(r"/|\bper\b|mph", rate.unit):
                numerator, _, denominator = re.sub(r"\bper\b", "/", rate.unit).partition("/")
                if denominator and pint_unit(denominator.strip()).dimensionality == other_unit.dimensionality:
                    scale = registry().Quantity(1.0, other_unit).to(pint_unit(denominator.strip())).magnitude
                    value = rate.value * other.value * Fraction(scale).limit_denominator(10**9)
                    return f"{number_text(value)} {numerator.strip()}"
    for whole, whole_unit in measured:
        for part, part_unit in measured:
            if whole_unit != part_unit and whole_unit.dimensionality == part_unit.dimensionality and part.value:
                ratio = registry().Quantity(1.0, whole_unit).to(part_unit).magnitude
                if ratio > 1:
                    times = whole.value * Fraction(ratio).limit_denominator(10**9) / part.value
                    return str(int(times))
    return None


def _counts(text: str, found: list[Quantity]) -> str | None:
    """Plain numbers: what is left, an equal share, or a total."""
    values = [quantity.value for quantity in found if not quantity.is_percentage]
    if len(values) >= 3 and (_REST.search(text) or _EACH.search(text)):
        stock = max(values)
        others = [value for value in values if value is not stock][-2:]
        if _REST.search(text) and others[0] * others[1] <= stock:
            return number_text(stock - others[0] * others[1])
    if len(values) == 2:
        high, low = max(values), min(values)
        if _SHARE.search(text) and low:
            return number_text(high / low)
        if _REST.search(text):
            return number_text(high - low)
        if _EACH.search(text):
            return number_text(high * low)
        if _TOTAL.search(text):
            return number_text(high + low)
    return None
