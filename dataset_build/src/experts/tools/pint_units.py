"""Units of every kind, temperatures and compound units included, by Pint."""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from dataset_build.src.errors import MissingDependencyError
from dataset_build.src.experts.base import CannotAnswerError, ToolExpert
from dataset_build.src.experts.tools.math_language import NUMBER, to_digits
from dataset_build.src.experts.tools.unit_names import UNIT, UNIT_WORDS, pint_name

#: Longer instructions are not looked at.
MAX_LENGTH = 2000
#: Most units looked at in one instruction.
MAX_UNITS = 24

_MENTION = re.compile(rf"(?:(?P<amount>{NUMBER}|−\d+(?:\.\d+)?)\s*)?(?<![A-Za-z/])(?P<unit>{UNIT})")
_NUMBER = re.compile(NUMBER)
_WORD = re.compile(r"[A-Za-z°℃℉µ']+")


@lru_cache(maxsize=1)
def registry() -> Any:  # noqa: ANN401
    """Return the registry of units, read once.

    Raises:
        MissingDependencyError: Pint is not installed.
    """
    try:
        import pint
    except ImportError:
        raise MissingDependencyError('unit tools need Pint: pip install "moe-toolkit[tools]"') from None
    return pint.UnitRegistry(autoconvert_offset_to_baseunit=True, cache_folder=None)


@lru_cache(maxsize=2048)
def pint_unit(text: str) -> Any:  # noqa: ANN401
    """Return the unit that `text`, a match of `UNIT`, names."""
    return registry().Unit(pint_name(text))


def _mentions(text: str) -> Iterator[tuple[float | None, str]]:
    """Yield (amount or None, unit) in order.

    A unit of one letter, and "in", counts only with an amount or after "in" or "to".
    """
    for count, match in enumerate(_MENTION.finditer(text)):
        if count >= MAX_UNITS:
            return
        unit, amount = match["unit"], match["amount"]
        if amount is not None:
            follows = text[match.end() :].lstrip().split(" ", 1)[0]
            if unit == "in" and follows not in ("to", "into", "in", "as", "="):
                continue
            yield float(amount.replace(",", "").replace("−", "-")), unit
        elif (len(unit) > 1 and unit.lower() != "in") or re.search(r"\b(?:in|to|into|as)\s+$", text[: match.start()]):
            yield None, unit


class PintUnits(ToolExpert):
    """Takes the first amount for which another unit of the same dimension is named."""

    tool_name = "pint_units"
    tool_description = (
        "Unit conversion (Pint): lengths to energies, temperatures, compound units such as miles per hour."
    )

    def warm_up(self) -> None:
        """Read Pint's definitions and use them once."""
        self.solve("3 miles per hour in km/h")

    def solve(self, text: str) -> str:
        """Return the amount in the other unit."""
        if len(text) > MAX_LENGTH:
            raise CannotAnswerError("it is too long")
        if sum(word.lower() in UNIT_WORDS for word in _WORD.findall(text)) < 2:
            raise CannotAnswerError("it does not name two units")
        text = to_digits(text)
        if not _NUMBER.search(text):
            raise CannotAnswerError("there is no amount in it")
        mentions = list(_mentions(text))
        if len(mentions) < 2:
            raise CannotAnswerError("it does not name two units")
        pairs = [
            (amount, source, target)
            for amount, source in mentions
            if amount is not None
            for other, target in mentions
            if other is None and pint_unit(target) != pint_unit(source)
        ]
        numbers = [float(match.replace(",", "")) for match in _NUMBER.findall(text) if len(match) < 60]
        units = [unit for amount, unit in mentions if amount is None]
        if len(numbers) == 1 and len(units) >= 2:
            pairs.append((numbers[0], units[0], units[1]))
        for amount, source, target in pairs:
            if pint_unit(source).dimensionality == pint_unit(target).dimensionality:
                value = registry().Quantity(amount, pint_unit(source)).to(pint_unit(target)).magnitude
                return f"{value:.10g} {target}"
        raise CannotAnswerError("it does not name two units of one dimension")
