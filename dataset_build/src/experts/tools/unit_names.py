"""Names of units as people write them, each with its name in Pint; and the reading of "miles per hour" or "kg/m³"."""

import re

_NAMES = {
    "meter": "m meter meters metre metres", "kilometer": "km kilometer kilometers kilometre kilometres kms",
    "centimeter": "cm centimeter centimeters centimetre centimetres", "decimeter": "dm",
    "millimeter": "mm millimeter millimeters millimetre millimetres", "micrometer": "µm micrometer micrometers",
    "mile": "mi mile miles", "yard": "yd yard yards", "foot": "ft foot feet", "inch": "inch inches in",
    "light_year": "lightyear lightyears", "gram": "g gram grams gramme grammes", "milligram": "mg milligram milligrams",
    "kilogram": "kg kilo kilos kilogram kilograms", "pound": "lb lbs pound pounds", "ounce": "oz ounce ounces",
    "tonne": "tonne tonnes", "stone": "stone stones", "carat": "carat carats", "liter": "l L liter liters litre litres",
    "milliliter": "ml mL milliliter milliliters millilitre millilitres", "centiliter": "cl", "deciliter": "dl",
    "gallon": "gal gallon gallons", "quart": "quart quarts", "pint": "pint pints", "cup": "cup cups",
    "fluid_ounce": "floz", "tablespoon": "tbsp tablespoon tablespoons", "teaspoon": "tsp teaspoon teaspoons",
    "second": "s sec secs second seconds", "minute": "min mins minute minutes", "hour": "h hr hrs hour hours",
    "day": "day days", "week": "week weeks", "year": "year years", "millisecond": "ms millisecond milliseconds",
    "byte": "byte bytes", "kilobyte": "kb KB kilobyte kilobytes", "megabyte": "MB megabyte megabytes",
    "gigabyte": "GB gigabyte gigabytes", "terabyte": "TB terabyte terabytes", "bit": "bit bits",
    "kph": "kph", "mile/hour": "mph", "knot": "knot knots", "hectare": "ha hectare hectares", "acre": "acre acres",
    "joule": "J joule joules", "kilojoule": "kJ kilojoule kilojoules", "kilowatt_hour": "kWh kwh",
    "watt": "W watt watts",
    "kilowatt": "kW kilowatt kilowatts", "watt_hour": "Wh", "calorie": "cal calorie calories", "kilocalorie": "kcal",
    "horsepower": "hp horsepower", "newton": "N newton newtons", "pascal": "Pa pascal pascals",
    "kilopascal": "kPa kilopascal kilopascals", "bar": "bar bars", "atmosphere": "atm atmosphere atmospheres",
    "psi": "psi",
    "degC": "°C ℃ celsius centigrade", "degF": "°F ℉ fahrenheit", "kelvin": "K kelvin kelvins",
    "degree": "degree", "radian": "rad radian radians", "volt": "V volt volts", "ampere": "A amp amps",
}  # fmt: skip
_PHRASES = {
    "nautical miles": "nautical_mile", "nautical mile": "nautical_mile", "us gallons": "gallon", "us gallon": "gallon",
    "uk gallons": "imperial_gallon", "imperial gallons": "imperial_gallon", "us pints": "pint", "us pint": "pint",
    "us cups": "cup", "us cup": "cup", "fluid ounces": "fluid_ounce", "fl oz": "fluid_ounce", "metric tons": "tonne",
    "kilowatt hours": "kilowatt_hour", "kilowatt hour": "kilowatt_hour", "watt hours": "watt_hour",
    "degrees celsius": "degC", "degrees fahrenheit": "degF", "degrees c": "degC", "degrees f": "degF",
    "deg c": "degC", "deg f": "degF", "degrees kelvin": "kelvin", "light years": "light_year",
}  # fmt: skip
_EXACT = {name: pint for pint, names in _NAMES.items() for name in names.split()}
_FOLDED = {name.lower(): pint for name, pint in _EXACT.items() if len(name) > 1} | _PHRASES
#: Every word that occurs in a unit's name, in lower case; a text without two of them converts nothing.
UNIT_WORDS = frozenset(word for name in [*_EXACT, *_PHRASES] for word in name.lower().split()) - {"a"}
_SQUARES = {"square": 2, "sq": 2, "cubic": 3, "squared": 2, "cubed": 3, "²": 2, "³": 3, "^2": 2, "^3": 3}

_LONG = "|".join(re.escape(name) for name in sorted(_FOLDED, key=len, reverse=True))
_SHORT = "|".join(name for name in _EXACT if len(name) == 1)
_ONE = rf"(?:(?:square|sq|cubic)\s)?(?:(?i:{_LONG})|(?:{_SHORT}))(?![A-Za-z])(?:\s(?:squared|cubed)\b|[²³]|\^[23])?"

#: A unit, compound ones included. One-letter names count only after a number or in a compound.
UNIT = rf"{_ONE}(?:\s?(?:/|per\b)\s?{_ONE})?"
_FACTOR = re.compile(rf"(?:(square|sq|cubic)\s)?((?i:{_LONG})|{_SHORT})(?:\s?(squared|cubed|[²³]|\^[23]))?$")


def pint_name(unit: str) -> str:
    """Return what Pint calls `unit`, a match of `UNIT`: "square miles" is "mile**2"."""
    return "/".join(_factor(part.strip()) for part in re.split(r"/|\bper\b", unit))


def _factor(text: str) -> str:
    match = _FACTOR.match(text)
    if match is None:
        raise KeyError(text)
    before, name, after = match.groups()
    pint = _EXACT.get(name) or _FOLDED[name.lower()]
    power = _SQUARES.get(before or after or "", 1)
    return f"({pint})**{power}" if power > 1 else f"({pint})"
