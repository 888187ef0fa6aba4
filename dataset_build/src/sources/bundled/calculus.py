"""Derivatives, integrals and limits; every problem is built from pairs whose answer is known."""

import random
from collections.abc import Callable
from fractions import Fraction

from dataset_build.src.sources.bundled.kinds import Draw, Kind, Task
from dataset_build.src.sources.bundled.numerals import decimal_text


def _times(factor: Fraction | int, body: str) -> str:
    """Return `factor · body` as people write it: "x", "-3x", "(2/3)x"."""
    factor = Fraction(factor)
    if factor == 1:
        return body
    if factor == -1:
        return f"-{body}"
    return f"{factor}{body}" if factor.denominator == 1 else f"({factor}){body}"


def _power(name: str, exponent: int, mark: str = "^") -> str:
    if exponent == 1:
        return name
    return (
        f"{name}{ {2: '²', 3: '³'}[exponent] }"
        if mark == "²" and exponent < 4
        else f"{name}{'^' if mark == '²' else mark}{exponent}"
    )


def _joined(terms: list[str]) -> str:
    text = terms[0]
    for term in terms[1:]:
        text += f" - {term[1:]}" if term.startswith("-") else f" + {term}"
    return text


def _factor(rng: random.Random, limit: int = 9) -> int:
    return rng.choice([number for number in range(-limit, limit + 1) if number])


def _inner(name: str, speed: int) -> str:
    return name if speed == 1 else f"{speed}{name}"


def _pairs(rng: random.Random, name: str, mark: str) -> tuple[str, str]:
    """Return a function and its derivative, both with a whole factor of their own."""
    a, k, n = _factor(rng), rng.randrange(1, 6), rng.randrange(2, 7)
    inner = _inner(name, k)
    shapes: tuple[Callable[[], tuple[str, str]], ...] = (
        lambda: (_times(a, _power(name, n, mark)), _times(a * n, _power(name, n - 1))),
        lambda: (_times(a, _power(name, n, mark)), _times(a * n, _power(name, n - 1))),
        lambda: (_times(a, f"sin({inner})"), _times(a * k, f"cos({inner})")),
        lambda: (_times(a, f"cos({inner})"), _times(-a * k, f"sin({inner})")),
        lambda: (_times(a, f"e^({inner})" if k > 1 else f"e^{name}"), _times(a * k, f"e^({inner})")),
        lambda: (_times(a, f"ln({name})"), f"{a}/{name}"),
        lambda: (_times(a, name), str(a)),
    )
    return rng.choice(shapes)()


def _product(rng: random.Random, name: str) -> tuple[str, str]:
    n = rng.randrange(2, 5)
    body = _power(name, n)
    lower = _times(n, _power(name, n - 1))
    return rng.choice(
        (
            (f"{body} sin({name})", f"{lower}*sin({name}) + {body}*cos({name})"),
            (f"{body} * e^{name}", f"{lower}*e^{name} + {body}*e^{name}"),
            (f"{body} ln({name})", f"{lower}*ln({name}) + {_power(name, n - 1)}"),
            (f"{name} cos({name})", f"cos({name}) - {name}*sin({name})"),
            (f"({name}^2 + {n})^3", f"6{name}*({name}^2 + {n})^2"),
            (f"sqrt({name})", f"1/(2*sqrt({name}))"),
        )
    )


def _function(rng: random.Random, name: str) -> tuple[str, str]:
    mark = rng.choice(("^", "^", "²", "**"))
    pairs = [_pairs(rng, name, mark) for _ in range(rng.choice((1, 2, 2, 3)))]
    if rng.random() < 0.2:
        pairs[0] = _product(rng, name)
    return _joined([pair[0] for pair in pairs]), _joined([pair[1] for pair in pairs])


def draw_derivative(rng: random.Random) -> Draw:
    """Draw a function; its derivative is known term by term."""
    name = rng.choice("xxxxty")
    function, derivative = _function(rng, name)
    return Draw({"function": function, "var": name}, derivative)


def draw_antiderivative(rng: random.Random) -> Draw:
    """Draw an integrand that is the known derivative of something."""
    name = rng.choice("xxxxt")
    terms: list[str] = []
    wholes: list[str] = []
    for _ in range(rng.choice((1, 2, 2, 3))):
        a, n, k = _factor(rng), rng.randrange(1, 6), rng.randrange(1, 5)
        inner = _inner(name, k)
        term, whole = rng.choice(
            (
                (_times(a, _power(name, n)), _times(Fraction(a, n + 1), _power(name, n + 1))),
                (_times(a, _power(name, n)), _times(Fraction(a, n + 1), _power(name, n + 1))),
                (_times(a * k, f"cos({inner})"), _times(a, f"sin({inner})")),
                (_times(a * k, f"sin({inner})"), _times(-a, f"cos({inner})")),
                (_times(a * k, f"e^({inner})"), _times(a, f"e^({inner})")),
                (f"{a}/{name}", _times(a, f"ln({name})")),
                (str(a), _times(a, name)),
            )
        )
        terms.append(term)
        wholes.append(whole)
    if rng.random() < 0.12:
        terms, wholes = [f"{name} e^{name}"], [f"({name} - 1)*e^{name}"]
    return Draw({"function": _joined(terms), "var": name}, f"{_joined(wholes)} + C")


def draw_area(rng: random.Random) -> Draw:
    """Draw a polynomial and an interval."""
    name = rng.choice("xxt")
    powers = sorted(rng.sample(range(5), rng.choice((1, 2, 2, 3))), reverse=True)
    factors = {power: _factor(rng) for power in powers}
    low = rng.randrange(-3, 4)
    high = low + rng.randrange(1, 6)
    value = sum(
        (Fraction(factor * (high ** (power + 1) - low ** (power + 1)), power + 1) for power, factor in factors.items()),
        Fraction(0),
    )
    terms = [_times(factor, _power(name, power)) if power else str(factor) for power, factor in factors.items()]
    return Draw(
        {"function": _joined(terms), "var": name, "low": str(low), "high": str(high)}, decimal_text(value, digits=6)
    )


def draw_limit(rng: random.Random) -> Draw:
    """Draw a limit of a well-known shape."""
    a, b, c = rng.randrange(2, 13), rng.randrange(2, 13), rng.randrange(1, 9)
    d = _factor(rng, 9)
    bound = _joined([f"{b}x^2", f"{c}"])
    shapes = (
        (f"(x^2 - {a * a})/(x - {a})", str(a), Fraction(2 * a)),
        (f"sin({a}x)/x", "0", Fraction(a)),
        (f"sin({a}x)/({b}x)", "0", Fraction(a, b)),
        (f"{_joined([f'{a}x^2', _times(d, 'x')])}", str(c), Fraction(a * c * c + d * c)),
        (f"({_joined([f'{a}x^2', _times(d, 'x')])})/({bound})", "infinity", Fraction(a, b)),
        (f"({a}x + {c})/({b}x - {c})", "infinity", Fraction(a, b)),
        (f"(e^({a}x) - 1)/x", "0", Fraction(a)),
        (f"(1 - cos({a}x))/x^2", "0", Fraction(a * a, 2)),
    )
    function, point, value = rng.choice(shapes)
    return Draw({"function": function, "point": point}, decimal_text(value, digits=6))


KIND = Kind(
    "calculus",
    "math",
    (
        Task(
            "derivative",
            (
                "What is the derivative of {function} with respect to {var}?",
                "Differentiate {function}",
                "d/d{var} of {function}",
                "Please find f'({var}) where f({var}) = {function}.",
                "How fast does {function} change as {var} changes? Give the formula.",
                "I have to take the first derivative of {function} and the product rule scares me.",
                "The slope of the graph of {function} at any {var} is given by which expression?",
                "position at time {var} is {function}. what's the velocity?",
                "gradient function for {function}?",
                "Compute dy/d{var} if y = {function}",
                "Let g({var}) = {function}. Determine g'({var}).",
            ),
            draw_derivative,
        ),
        Task(
            "antiderivative",
            (
                "What is the indefinite integral of {function}?",
                "Integrate {function} with respect to {var}.",
                "∫ {function} d{var}",
                "Find an antiderivative of {function}",
                "Which function, when differentiated, gives {function}?",
                "Could you undo the differentiation for me? The result was {function}.",
                "F'({var}) = {function}. Recover F({var}), constant included.",
                "i need the primitive of {function} for my notes",
                "Marginal cost is {function}; total cost up to a constant is ...?",
            ),
            draw_antiderivative,
        ),
        Task(
            "area",
            (
                "Integrate {function} from {low} to {high}.",
                "What is the definite integral of {function} between {var} = {low} and {var} = {high}?",
                "Find the signed area under {function} from {var} = {low} to {var} = {high}",
                "∫ from {low} to {high} of {function} d{var}",
                "Velocity is {function}. How far has it moved from {var} = {low} until {var} = {high}?",
                "evaluate the integral of {function}, lower limit {low}, upper limit {high}",
                "Add up infinitely many slices of {function} over the interval [{low}, {high}].",
                "Could I get the net area enclosed by y = {function} and the axis on [{low}, {high}]?",
            ),
            draw_area,
            metric="number",
        ),
        Task(
            "limit",
            (
                "What is the limit of {function} as x approaches {point}?",
                "Find lim x->{point} of {function}",
                "As x tends to {point}, what does {function} tend to?",
                "{function}: towards which value does it go when x → {point}?",
                "Evaluate the limit for x going to {point}: {function}",
                "L'Hôpital time! {function}, x → {point}",
                "I let x get closer and closer to {point}. Where does {function} end up?",
                "lim({function}), x to {point}, thanks",
            ),
            draw_limit,
            metric="number",
        ),
    ),
)
