"""Equations to solve and formulas to evaluate; the solution is drawn first and the equation built around it."""

import random
from fractions import Fraction

from dataset_build.src.sources.bundled.kinds import Draw, Kind, Task
from dataset_build.src.sources.bundled.numerals import decimal_text

_LETTERS = "xyztnmpk"


def _term(factor: int, power: str, *, first: bool = False) -> str:
    """Return "+ 3x" or "- x"; the first term of a sum has no plus and a tight minus."""
    if not factor:
        return ""
    size = str(abs(factor)) if abs(factor) != 1 or not power else ""
    if first:
        return f"{'-' if factor < 0 else ''}{size}{power}"
    return f" {'-' if factor < 0 else '+'} {size}{power}"


def _nonzero(rng: random.Random, limit: int) -> int:
    return rng.choice([number for number in range(-limit, limit + 1) if number])


def draw_linear(rng: random.Random) -> Draw:
    """Draw a linear equation with a whole or half solution."""
    name = rng.choice(_LETTERS)
    root = Fraction(rng.randrange(-24, 25), rng.choice((1, 1, 1, 2)))
    a, b = rng.choice((2, 3, 4, 5, 6, 7, 8, 9, 11, 12)), _nonzero(rng, 30)
    if root.denominator == 2 and a % 2:
        a += 1
    shape = rng.randrange(4)
    if shape == 0:
        equation = f"{_term(a, name, first=True)}{_term(b, '')} = {int(a * root + b)}"
    elif shape == 1:
        c = rng.choice([factor for factor in range(-6, 12, 2) if factor not in (0, a)])
        equation = f"{_term(a, name, first=True)}{_term(b, '')} = {_term(c, name, first=True)}"
        rest = int((a - c) * root + b)
        equation += _term(rest, "")
    elif shape == 2:
        root = Fraction(int(root))
        shift = _nonzero(rng, 9)
        equation = f"{a}({name}{_term(shift, '')}) = {int(a * (root + shift))}"
    else:
        root = Fraction(a * rng.randrange(-9, 13))
        equation = f"{name}/{a}{_term(b, '')} = {int(root / a + b)}"
    return Draw({"equation": equation, "var": name}, f"{name} = {decimal_text(root)}")


def draw_quadratic(rng: random.Random) -> Draw:
    """Draw a quadratic equation with two different whole roots."""
    name = rng.choice("xxxyztn")
    one, other = rng.sample(range(-12, 13), 2)
    factor = rng.choice((1, 1, 1, 2, 3))
    linear, rest = -factor * (one + other), factor * one * other
    square = f"{name}{rng.choice(('^2', '^2', '²', '**2'))}"
    left = f"{_term(factor, square, first=True)}{_term(linear, name)}"
    shape = rng.randrange(3)
    if shape == 0 and rest:
        equation = f"{left} = {-rest}"
    elif shape == 1 and linear:
        equation = f"{_term(factor, square, first=True)}{_term(rest, '')} = {_term(-linear, name, first=True)}"
    else:
        equation = f"{left}{_term(rest, '')} = 0"
    roots = ", ".join(f"{name} = {root}" for root in sorted((one, other)))
    return Draw({"equation": equation, "var": name}, roots)


def draw_system(rng: random.Random) -> Draw:
    """Draw two linear equations with one whole solution."""
    first_name, second_name = rng.choice(("xy", "xy", "ab", "pq", "mn"))
    x, y = rng.randrange(-12, 16), rng.randrange(-12, 16)
    while True:
        a, b, c, d = (_nonzero(rng, 7) for _ in range(4))
        if a * d != b * c and a > 0:
            break
    equations = [
        f"{_term(p, first_name, first=True)}{_term(q, second_name)} = {p * x + q * y}" for p, q in ((a, b), (c, d))
    ]
    return Draw({"first": equations[0], "second": equations[1]}, f"{first_name} = {x}, {second_name} = {y}")


def draw_value(rng: random.Random) -> Draw:
    """Draw a formula and the value of its variable."""
    name = rng.choice("xxxtnyz")
    at = rng.randrange(-6, 13)
    a, b, c = rng.randrange(1, 8), _nonzero(rng, 12), _nonzero(rng, 40)
    square = f"{name}{rng.choice(('^2', '²'))}"
    shapes = (
        (f"{_term(a, square, first=True)}{_term(b, name)}{_term(c, '')}", a * at * at + b * at + c),
        (f"{_term(a, f'{name}^3', first=True)}{_term(c, '')}", a * at**3 + c),
        (f"{a + 1}({name}{_term(b, '')}){_term(c, name)}", (a + 1) * (at + b) + c * at),
        (f"({name}{_term(b, '')})({name}{_term(c, '')})", (at + b) * (at + c)),
    )
    formula, value = rng.choice(shapes)
    return Draw({"formula": formula, "var": name, "value": str(at)}, str(value))


KIND = Kind(
    "algebra",
    "math",
    (
        Task(
            "linear",
            (
                "Solve for {var}: {equation}",
                "What is {var} if {equation}?",
                "{equation}, find {var}",
                "Please determine the unknown in {equation}.",
                "For which number {var} does {equation} hold true?",
                "I keep getting a different {var} every time I try {equation}. What's the correct one?",
                "Isolate {var} given {equation}",
                "My tutor wrote {equation} and left the room. Help me get {var}!",
                "{var} = ? when {equation}",
                "Which {var} makes both sides match: {equation}",
                "Homework, exercise 4. {equation}. Solution?",
            ),
            draw_linear,
        ),
        Task(
            "quadratic",
            (
                "Solve the quadratic equation {equation}.",
                "Find both roots of {equation}",
                "What are the solutions of {equation}?",
                "Which values of {var} satisfy {equation}?",
                "{equation}. I need all possible {var}, there should be two.",
                "Where does the parabola cross the axis, i.e. {equation}?",
                "Using the abc formula, what do you get for {equation}?",
                "Somebody factored {equation} in two seconds. List every {var} that works.",
                "zeros of {equation} pls",
                "I forgot how completing the square goes. {equation}, so {var} is either ... or ...?",
            ),
            draw_quadratic,
        ),
        Task(
            "system",
            (
                "Solve the system {first} and {second}.",
                "Find the pair of numbers for which {first} as well as {second}.",
                "{first}; {second}. Solve simultaneously.",
                "Two equations, two unknowns: {first}, {second}. What are they?",
                "Given that {first} while also {second}, what must the letters stand for?",
                "At which point do the lines {first} and {second} intersect?",
                "By elimination or substitution, I don't care which: {first} | {second}",
                "If {first} and {second}, then what is each variable?",
            ),
            draw_system,
        ),
        Task(
            "value",
            (
                "Evaluate {formula} at {var} = {value}.",
                "What does {formula} equal when {var} = {value}?",
                "Plug {var} = {value} into {formula}",
                "Substitute {value} for {var} in {formula} and simplify.",
                "Let {var} = {value}. Compute {formula}.",
                "f is given by {formula}. I want f({value}).",
                "If {var} is {value}, how large is {formula}?",
                "The formula in my spreadsheet is {formula}. Which number appears once I set {var} to {value}?",
            ),
            draw_value,
            metric="number",
        ),
    ),
)
