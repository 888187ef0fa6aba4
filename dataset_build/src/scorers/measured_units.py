"""The unit written after a number, and numbers converted from one unit to another by Pint."""

import re
from fractions import Fraction
from functools import cache
from typing import Any

from dataset_build.src.errors import MissingDependencyError

_NAME = r"(?:[^\W\d_]|[°µμ℃℉Ω])[^\W\d_]*"
_PART = rf"(?:(?:square|cubic|sq\.?)\s)?{_NAME}(?:\s?(?:\^|\*\*)\s?-?\d(?!\d)|[²³]|(?<=[a-z])[23](?!\d))?"
_UNIT = re.compile(
    rf"\A[\s\\$}}]*(?:\\?(?:text|mathrm|,)\s*\{{?\s*)?({_PART}(?:(?:\s?[/*·]\s?|\sper\s){_PART}){{0,3}})", re.IGNORECASE
)
_SIGNS = {"²": "**2", "³": "**3", "^": "**", "·": "*", "μ": "µ"}
#: What people write and Pint reads as something else, or not at all.
_NAMES = {
    "°C": "degC", "℃": "degC", "C": "degC", "celsius": "degC", "°F": "degF", "℉": "degF", "F": "degF",
    "fahrenheit": "degF", "mph": "mile/hour", "kph": "km/hour", "kmh": "km/hour", "sec": "second", "secs": "second",
    "hrs": "hour", "hr": "hour", "mins": "minute", "lbs": "pound", "kgs": "kg", "degrees": "degree",
    "kilo": "kilogram", "kilos": "kilogram", "cc": "cm**3",
}  # fmt: skip


def unit_after(text: str) -> str:
    """Return the unit at the start of what follows a number, in Pint's spelling, or an empty text.

    >>> unit_after(" km/h, roughly"), unit_after(" square metres"), unit_after(". Done")
    ('km/h', 'metres**2', '')
    """
    found = _UNIT.match(text)
    if found is None:
        return ""
    unit = re.sub(r"\s+per\s+", "/", found[1], flags=re.IGNORECASE)
    unit = re.sub(r"\b(?:square|sq\.?)\s(\w+)", r"\1**2", unit, flags=re.IGNORECASE)
    unit = re.sub(r"\bcubic\s(\w+)", r"\1**3", unit, flags=re.IGNORECASE)
    for sign, spelling in _SIGNS.items():
        unit = unit.replace(sign, spelling)
    unit = re.sub(r"(?<=[a-z])([23])\b", r"**\1", unit)
    parts = re.split(r"([/*]+\s?\d?)", unit.replace(" ", ""))
    return "".join(_NAMES.get(part, _NAMES.get(part.lower(), part)) if part else "" for part in parts)


@cache
def _registry() -> Any:  # noqa: ANN401 - a class of a package without types
    try:
        import pint
    except ImportError as error:
        raise MissingDependencyError(
            'The option units of number needs Pint: pip install "moe-toolkit[tools]"'
        ) from error
    return pint


class Converter:
    """Converts numbers between units.

    Raises:
        MissingDependencyError: Pint is not installed.
    """

    def __init__(self) -> None:
        self._pint = _registry()
        self._units = self._pint.UnitRegistry(autoconvert_offset_to_baseunit=True)

    def convert(self, value: Fraction, unit: str, wanted: str) -> Fraction | None:
        """Return `value`, in `unit`, in the unit `wanted`; as it is where a unit is none; None between kinds."""
        try:
            known = self._units.Unit(unit), self._units.Unit(wanted)
        except (self._pint.PintError, AttributeError, ValueError, TypeError, OverflowError):
            return value
        try:
            return Fraction(float(self._units.Quantity(float(value), known[0]).to(known[1]).magnitude))
        except (self._pint.DimensionalityError, OverflowError, ValueError):
            return None
