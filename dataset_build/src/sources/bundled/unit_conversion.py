"""One quantity in another unit: simple units, temperatures, compound units."""

import random
from fractions import Fraction

from dataset_build.src.sources.bundled.kinds import Draw, Kind, Task
from dataset_build.src.sources.bundled.numerals import decimal_text, significant_text, written

#: Unit as written -> size in the family's base unit, exact by the definitions of the international yard and pound.
_SIMPLE: tuple[dict[str, Fraction], ...] = tuple(
    {name: Fraction(size) for name, size in family.items()}
    for family in (
        {"kilometers": "1000", "km": "1000", "metres": "1", "meters": "1", "centimeters": "0.01", "cm": "0.01",
         "millimetres": "0.001", "mm": "0.001", "miles": "1609.344", "yards": "0.9144", "feet": "0.3048",
         "ft": "0.3048", "inches": "0.0254", "nautical miles": "1852"},
        {"kilograms": "1000", "kg": "1000", "grams": "1", "g": "1", "milligrams": "0.001", "pounds": "453.59237",
         "lbs": "453.59237", "ounces": "28.349523125", "oz": "28.349523125", "tonnes": "1000000",
         "stone": "6350.29318"},
        {"liters": "1", "litres": "1", "milliliters": "0.001", "ml": "0.001", "US gallons": "3.785411784",
         "cubic meters": "1000", "US pints": "0.473176473", "US cups": "0.2365882365"},
        {"hours": "3600", "minutes": "60", "seconds": "1", "days": "86400", "weeks": "604800"},
        {"kilobytes": "1000", "megabytes": "1000000", "gigabytes": "1000000000", "bytes": "1"},
    )
)  # fmt: skip
_COMPOUND: tuple[dict[str, Fraction], ...] = tuple(
    {name: Fraction(size) for name, size in family.items()}
    for family in (
        {"km/h": "5/18", "kilometers per hour": "5/18", "m/s": "1", "metres per second": "1", "mph": "0.44704",
         "miles per hour": "0.44704", "knots": "463/900", "feet per second": "0.3048"},
        {"square meters": "1", "m²": "1", "square feet": "0.09290304", "hectares": "10000", "acres": "4046.8564224",
         "square kilometers": "1000000", "square miles": "2589988.110336", "square inches": "0.00064516"},
        {"joules": "1", "kilojoules": "1000", "kWh": "3600000", "kilowatt hours": "3600000", "watt hours": "3600"},
        {"g/cm³": "1000", "kg/m³": "1", "grams per litre": "1"},
        {"liters per minute": "1/60", "liters per hour": "1/3600", "milliliters per second": "1/1000"},
        {"pascals": "1", "kilopascals": "1000", "bar": "100000", "atmospheres": "101325"},
    )
)  # fmt: skip


def _convert(families: tuple[dict[str, Fraction], ...], rng: random.Random) -> Draw:
    while True:
        units = rng.choice(families)
        source, target = rng.sample(sorted(units), 2)
        ratio = units[source] / units[target]
        if ratio != 1 and Fraction(1, 40_000) < ratio < 40_000:
            break
    shape = rng.random()
    if shape < 0.6:
        value = Fraction(rng.choice((rng.randrange(2, 100), rng.randrange(100, 6000))))
        amount = written(int(value), rng, words=0.08)
    else:
        value = Fraction(rng.randrange(11, 3000), rng.choice((10, 10, 100)))
        amount = decimal_text(value)
    return Draw({"amount": amount, "source": source, "target": target}, significant_text(value * ratio))


def draw_simple(rng: random.Random) -> Draw:
    """Draw a length, mass, volume, time or size of data."""
    return _convert(_SIMPLE, rng)


def draw_compound(rng: random.Random) -> Draw:
    """Draw a speed, area, energy, density, flow or pressure."""
    return _convert(_COMPOUND, rng)


def draw_temperature(rng: random.Random) -> Draw:
    """Draw a temperature and another scale."""
    names = {
        "C": ("degrees Celsius", "°C", "Celsius", "celsius", "degrees C"),
        "F": ("degrees Fahrenheit", "°F", "Fahrenheit", "fahrenheit", "degrees F"),
        "K": ("kelvin", "K", "Kelvin"),
    }
    source, target = rng.choice(("CF", "FC", "CF", "FC", "CK", "KC", "FK"))
    degrees = Fraction(rng.randrange(1, 900) if source == "K" else rng.randrange(-40, 480))
    if rng.random() < 0.2:
        degrees += Fraction(rng.randrange(1, 10), 10)
    celsius = {"C": degrees, "F": (degrees - 32) * 5 / 9, "K": degrees - Fraction("273.15")}[source]
    result = {"C": celsius, "F": celsius * 9 / 5 + 32, "K": celsius + Fraction("273.15")}[target]
    return Draw(
        {"amount": decimal_text(degrees), "source": rng.choice(names[source]), "target": rng.choice(names[target][:3])},
        decimal_text(round(result, 2)),
    )


KIND = Kind(
    "unit_conversion",
    "number",
    (
        Task(
            "simple",
            (
                "Convert {amount} {source} to {target}.",
                "How many {target} are in {amount} {source}?",
                "{amount} {source} in {target}",
                "What is {amount} {source} expressed in {target}?",
                "i need {amount} {source} as {target} thx",
                "Please change {amount} {source} into {target}",
                "The label says {amount} {source}, yet my form only takes {target}. What do I enter?",
                "{amount} {source} equals how many {target}?",
                "My grandmother thinks in {source}, I think in {target}. She just said {amount}.",
                "Turn this into {target}: {amount} {source}",
                "{target}? I've got {amount} {source}",
                "A friend abroad wrote {amount} {source}; tell me that in {target} so I can picture it.",
                "Give the equivalent of {amount} {source} using {target}",
                "Suppose something measures {amount} {source}. In {target} that would be...?",
            ),
            draw_simple,
        ),
        Task(
            "temperature",
            (
                "Which temperature in {target} corresponds to {amount} {source}?",
                "What is {amount} {source} in {target}?",
                "The oven dial reads {amount} {source}. What should I set if mine is marked in {target}?",
                "{amount} {source} to {target}",
                "It's {amount} {source} where my cousin lives; how hot or cold is that in {target}?",
                "Lab notebook says {amount} {source}, the journal wants {target}.",
                "On a thermometer with a {target} scale, where would {amount} {source} lie?",
                "How warm is {amount} {source}, {target} please",
                "Could you translate {amount} {source} for somebody who only knows {target}?",
                "melting point {amount} {source} -> {target}?",
            ),
            draw_temperature,
        ),
        Task(
            "compound",
            (
                "Convert {amount} {source} into {target}",
                "How much is {amount} {source} in {target}?",
                "{amount} {source} = ? {target}",
                "What would {amount} {source} be if you stated it in {target}?",
                "The data sheet gives {amount} {source}. Our engineers use {target}.",
                "Need a figure in {target} for {amount} {source}, please.",
                "An English website mentions {amount} {source} and I only understand {target}. Help?",
                "rewrite {amount} {source} using {target}",
                "{target} from {amount} {source}",
                "Put {amount} {source} on a scale of {target} for the presentation.",
            ),
            draw_compound,
        ),
    ),
)
