"""A small table of conversion factors: length, mass, volume, time. Rough, and done in microseconds."""

import re

from dataset_build.src.experts.base import CannotAnswerError, ToolExpert

#: Longer instructions are not looked at.
MAX_LENGTH = 2000

#: Dimension -> factor to its base unit -> the names of the unit. Everyday precision.
_TABLE: dict[str, dict[float, str]] = {
    "length": {
        1.0: "m meter meters metre metres", 1000.0: "km kilometer kilometers kilometre kilometres",
        0.01: "cm centimeter centimeters centimetre centimetres",
        0.001: "mm millimeter millimeters millimetre millimetres",
        1609.344: "mi mile miles", 0.9144: "yd yard yards", 0.3048: "ft foot feet", 0.0254: "inch inches",
    },
    "mass": {
        1.0: "g gram grams gramme grammes", 1000.0: "kg kilo kilos kilogram kilograms", 453.592: "lb lbs pound pounds",
        28.3495: "oz ounce ounces", 1e6: "tonne tonnes",
    },
    "volume": {
        1.0: "l liter liters litre litres", 0.001: "ml milliliter milliliters millilitre millilitres",
        3.78541: "gal gallon gallons", 0.473176: "pint pints", 0.236588: "cup cups",
    },
    "time": {
        1.0: "s sec second seconds", 60.0: "min minute minutes", 3600.0: "h hr hour hours", 86400.0: "day days",
        604800.0: "week weeks",
    },
}  # fmt: skip
_UNITS = {
    name: (dimension, factor)
    for dimension, units in _TABLE.items()
    for factor, names in units.items()
    for name in names.split()
}
_NAME = "|".join(sorted(_UNITS, key=len, reverse=True))
_AMOUNT = re.compile(rf"(-?\d[\d,]*(?:\.\d+)?)\s*({_NAME})\b(?![²³^/])", re.IGNORECASE)
_MENTION = re.compile(rf"(?<![\w/])(?:{'|'.join(name for name in _UNITS if len(name) > 1)})\b(?![²³^/])", re.IGNORECASE)


class UnitTable(ToolExpert):
    """Takes the first amount with a unit and the first other unit of the same dimension."""

    tool_name = "unit_table"
    tool_description = "Small table of everyday units: length, mass, volume and time; no temperatures, no compounds."

    def solve(self, text: str) -> str:
        """Return the amount in the other unit."""
        if len(text) > MAX_LENGTH:
            raise CannotAnswerError("it is too long")
        amount = _AMOUNT.search(text)
        if amount is None:
            raise CannotAnswerError("there is no amount with a unit I know")
        dimension, factor = _UNITS[amount[2].lower()]
        rest = text[: amount.start()] + " " * len(amount[0]) + text[amount.end() :]
        for mention in _MENTION.finditer(rest):
            other, target = _UNITS[mention[0].lower()]
            if other == dimension and target != factor:
                value = float(amount[1].replace(",", "")) * factor / target
                return f"{value:.6g} {mention[0]}"
        raise CannotAnswerError(f"it names no other unit of {dimension}")
