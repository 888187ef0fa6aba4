"""Sums, percentages, remainders and averages."""

import random
from fractions import Fraction

from dataset_build.src.sources.bundled.kinds import Draw, Kind, Task
from dataset_build.src.sources.bundled.numerals import decimal_text, in_words, written

_SIGNS = {"+": ("+",), "-": ("-", "−"), "*": ("×", "*", "x", "·"), "/": ("÷", "/")}
_WORDS = {
    "+": ("plus", "added to"),
    "-": ("minus", "less", "take away"),
    "*": ("times", "multiplied by"),
    "/": ("divided by", "over"),
}


def _apply(operator: str, left: Fraction, right: Fraction) -> Fraction:
    if operator == "+":
        return left + right
    if operator == "-":
        return left - right
    return left * right if operator == "*" else left / right


def _pair(rng: random.Random) -> tuple[str, int, int]:
    """Return an operator and two whole numbers; quotients are whole."""
    operator = rng.choice("+-*/")
    if operator == "+":
        return operator, rng.randrange(12, 9000), rng.randrange(12, 9000)
    if operator == "-":
        left = rng.randrange(200, 9000)
        return operator, left, rng.randrange(11, left)
    if operator == "*":
        return operator, rng.randrange(12, 400), rng.randrange(6, 99)
    right = rng.randrange(3, 48)
    return operator, right * rng.randrange(6, 250), right


def _two_terms(rng: random.Random) -> tuple[str, Fraction]:
    operator, left, right = _pair(rng)
    value = _apply(operator, Fraction(left), Fraction(right))
    style = rng.random()
    if style < 0.55:
        return f"{written(left, rng)} {rng.choice(_SIGNS[operator])} {written(right, rng)}", value
    word = rng.choice(_WORDS[operator])
    if style < 0.85 or left > 999 or right > 999:
        return f"{written(left, rng)} {word} {written(right, rng)}", value
    return f"{in_words(left)} {word} {in_words(right)}", value


def _compound(rng: random.Random) -> tuple[str, Fraction]:
    a, b, c = rng.randrange(2, 60), rng.randrange(2, 60), rng.randrange(2, 25)
    times = rng.choice(_SIGNS["*"])
    shapes = (
        (f"{a} + {b} {times} {c}", a + b * c),
        (f"({a} + {b}) {times} {c}", (a + b) * c),
        (f"{c}({a} - {b})", c * (a - b)),
        (f"{a}^2 - {b}", a * a - b),
        (f"{a * c} / {c} + {b}", a + b),
        (f"{a} squared plus {b}", a * a + b),
        (f"the square root of {a * a} times {b}", a * b),
        (f"{c}² + {a} {times} {b}", c * c + a * b),
    )
    text, value = rng.choice(shapes)
    return text, Fraction(value)


def _decimals(rng: random.Random) -> tuple[str, Fraction]:
    left, right = Fraction(rng.randrange(101, 9999), 100), Fraction(rng.randrange(11, 999), 10)
    operator = rng.choice("+-*")
    sign = rng.choice(_SIGNS[operator])
    return f"{float(left)} {sign} {float(right)}", _apply(operator, left, right)


def draw_expression(rng: random.Random) -> Draw:
    """Draw something to work out, in signs or words."""
    text, value = rng.choice((_two_terms, _two_terms, _compound, _decimals))(rng)
    return Draw({"expr": text}, decimal_text(value))


def draw_percentage(rng: random.Random) -> Draw:
    """Draw a percentage of a number."""
    percent, number = rng.choice((2, 3, 4, 5, 7, 8, 12, 15, 17, 18, 22, 30, 35, 45, 60, 75)), rng.randrange(20, 9000, 5)
    sign = rng.choice((f"{percent}%", f"{percent} percent", f"{percent} %"))
    return Draw({"percent": sign, "number": written(number, rng)}, decimal_text(Fraction(percent * number, 100)))


def draw_remainder(rng: random.Random) -> Draw:
    """Draw a division that does not come out even."""
    divisor = rng.randrange(3, 60)
    number = rng.randrange(divisor * 3, 9000)
    return Draw({"number": written(number, rng), "divisor": str(divisor)}, str(number % divisor))


def draw_average(rng: random.Random) -> Draw:
    """Draw a handful of numbers whose mean has at most two decimals."""
    count = rng.choice((4, 5))
    numbers = [rng.randrange(3, 400) for _ in range(count)]
    last = f"{' and' if rng.random() < 0.5 else ','} {numbers[-1]}"
    listed = ", ".join(map(str, numbers[:-1])) + last
    return Draw({"numbers": listed}, decimal_text(Fraction(sum(numbers), count)))


KIND = Kind(
    "arithmetic",
    "number",
    (
        Task(
            "expression",
            (
                "What is {expr}?",
                "Calculate {expr}.",
                "{expr} = ?",
                "Could you please work out {expr} for me?",
                "how much is {expr}",
                "I need the exact result of {expr} before the meeting starts.",
                "Evaluate: {expr}",
                "My son's worksheet has {expr} on it and he swears his result is right. What should it be?",
                "{expr} comes to what?",
                "No pencil at hand. Tell me {expr}.",
                "Crunch this: {expr}",
                "On the whiteboard stands {expr} and nobody dares to finish it. Please do.",
                "I typed {expr} into my till and the display went dark; which figure should have appeared?",
                "Give me a single value for {expr}",
            ),
            draw_expression,
        ),
        Task(
            "percentage",
            (
                "What is {percent} of {number}?",
                "Find {percent} of {number}",
                "{percent} of {number} please",
                "Out of {number} voters, {percent} stayed home. How many is that?",
                "Take {number} and tell me how large a {percent} share would be.",
                "if my bill is {number} and I want to tip {percent}, what's the tip?",
                "Work out a commission: sales of {number}, rate {percent}.",
                "They want {percent} deposit on {number}. How big is the deposit?",
                "I only get to keep {percent} when {number} comes in... so I keep what?",
                "Tax is {percent}. The base is {number}. Tax amount?",
            ),
            draw_percentage,
        ),
        Task(
            "remainder",
            (
                "What is the remainder when {number} is divided by {divisor}?",
                "{number} mod {divisor}",
                "Divide {number} by {divisor}. What is left over?",
                "compute {number} modulo {divisor} pls",
                "If you pack {number} pencils into boxes of {divisor}, how many pencils don't fill a box?",
                "How far is {number} above the closest smaller multiple of {divisor}?",
                "In a language like C, which value does {number} % {divisor} produce?",
                "Long division of {number} by {divisor}: I only care about the rest at the end.",
            ),
            draw_remainder,
        ),
        Task(
            "average",
            (
                "What is the average of {numbers}?",
                "Find the mean of {numbers}.",
                "avg {numbers}",
                "My scores so far are {numbers}. Where does that put me on average?",
                "Take these readings, {numbers}, add them up and divide by how many there are.",
                "The arithmetic mean, please: {numbers}",
                "If {numbers} were all evened out so that each became the same, what would each be?",
                "Daily visitors this week: {numbers}. How many came on a typical day?",
            ),
            draw_average,
        ),
    ),
)
