"""Are two expressions, or two equations, the same? Found out by working them out, exactly where that can be done.

Expressions with variables are compared at fixed points, which separates any two functions that people write down
(Schwartz 1980, "Fast probabilistic algorithms for verification of polynomial identities", is the argument for
polynomials). Beside each value goes a bound of its rounding error, so that no tolerance hides a difference.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from dataset_build.src.exact_arithmetic import ExactAlgebra
from dataset_build.src.expressions import Call, Constant, Expression, ExpressionError, Operation, fold, symbols_of

#: What two values worked out in floating point may differ by, relative to them and beside their own errors.
RELATIVE_TOLERANCE = 1e-12
#: Digits from which on a decimal number may be another one rounded: it is as far off as its last place tells.
ROUNDED_DIGITS = 6
#: Names people give the constant of integration.
INTEGRATION_CONSTANTS = frozenset("CcK")
#: Values of the variable; further variables take these in another order.
POINTS = (0.37, 1.21, 2.83, 0.71, 4.19, -0.53, -1.87)
#: Points at which a logarithm has to be defined to be compared with what is defined at more of them.
_FEWEST_POINTS = 3
_UNIT = 2.0**-51

_FUNCTIONS: dict[str, Callable[[float], float]] = {
    "sqrt": math.sqrt, "exp": math.exp, "log": math.log, "ln": math.log, "sin": math.sin, "cos": math.cos,
    "tan": math.tan, "sec": lambda x: 1 / math.cos(x), "csc": lambda x: 1 / math.sin(x),
    "cot": lambda x: 1 / math.tan(x), "asin": math.asin, "acos": math.acos, "atan": math.atan, "arcsin": math.asin,
    "arccos": math.acos, "arctan": math.atan, "sinh": math.sinh, "cosh": math.cosh, "tanh": math.tanh, "abs": abs,
    "cbrt": lambda x: math.copysign(abs(x) ** (1 / 3), x), "factorial": lambda x: math.gamma(x + 1),
}  # fmt: skip
_CONSTANTS = {"pi": math.pi, "e": math.e, "oo": math.inf}


@dataclass(frozen=True, slots=True)
class Rounded:
    """A number in floating point and a bound of how far off it is; undefined is nan."""

    value: float
    error: float = 0.0

    @property
    def is_finite(self) -> bool:
        """Whether it is a number, and not infinite."""
        return math.isfinite(self.value)


_UNDEFINED = Rounded(math.nan)


class RoundedAlgebra:
    """Floating-point numbers with their errors, for given values of the variables."""

    def __init__(self, values: Mapping[str, float]) -> None:
        self._values = {**_CONSTANTS, **values}

    def constant(self, value: Fraction) -> Rounded:
        """Return the nearest number; one out of range is undefined."""
        try:
            near = float(value)
        except OverflowError:
            return _UNDEFINED
        return Rounded(near, abs(near) * _UNIT) if near or not value else _UNDEFINED

    def symbol(self, name: str) -> Rounded:
        """Return the variable's value."""
        return Rounded(self._values.get(name, math.nan))

    def call(self, function: str, argument: Rounded) -> Rounded:
        """Return the function's value; its error is that of the argument, carried on."""
        inside = _FUNCTIONS[function]
        try:
            value = inside(argument.value)
        except (ValueError, OverflowError, ZeroDivisionError):
            return _UNDEFINED
        moved = 0.0
        for shifted in (argument.value - argument.error, argument.value + argument.error):
            try:
                moved = max(moved, abs(inside(shifted) - value))
            except (ValueError, OverflowError, ZeroDivisionError):
                continue
        return Rounded(value, moved + 4 * abs(value) * _UNIT)

    def operation(self, operator: str, left: Rounded, right: Rounded) -> Rounded:
        """Return the result."""
        one, other = left.value, right.value
        try:
            if operator in ("+", "-"):
                value, error = one + other if operator == "+" else one - other, left.error + right.error
            elif operator == "*":
                value, error = one * other, abs(one) * right.error + abs(other) * left.error
            elif operator == "/":
                value = one / other
                error = (left.error + abs(value) * right.error) / abs(other)
            else:
                value = math.pow(one, other)
                growth = abs(other) * left.error / abs(one) if one else left.error
                error = abs(value) * (growth + (abs(math.log(abs(one))) if one else 0.0) * right.error)
        except (ValueError, OverflowError, ZeroDivisionError):
            return _UNDEFINED
        return Rounded(value, error + 2 * abs(value) * _UNIT)


def exactly(expression: Expression) -> Fraction | None:
    """Return the value of an expression without variables as a fraction, None where it has or is none."""
    try:
        return fold(expression, ExactAlgebra())
    except ExpressionError:
        return None


def values_at_points(expression: Expression, variables: Sequence[str]) -> list[Rounded]:
    """Return the value of `expression` at each of `POINTS`; variables that are not named are zero."""
    count = len(POINTS)
    values = []
    for row in range(count if variables else 1):
        drawn = {name: POINTS[(row + 3 * column) % count] for column, name in enumerate(variables)}
        values.append(fold(expression, RoundedAlgebra({**dict.fromkeys(INTEGRATION_CONSTANTS, 0.0), **drawn})))
    return values


def has_value(expression: Expression) -> bool:
    """Return whether `expression` is a real number, or infinite, somewhere."""
    if exactly(expression) is not None:
        return True
    variables = sorted(symbols_of(expression) - INTEGRATION_CONSTANTS)
    return any(not math.isnan(value.value) for value in values_at_points(expression, variables))


def are_equal(one: Expression, other: Expression) -> bool:
    """Return whether two expressions agree wherever the first is defined; not where it is defined nowhere.

    If `one` holds a constant of integration, they may differ by a constant. A logarithm in `other` may be defined at
    fewer points: log(x^2) is 2 log(x).
    """
    if one == other:
        return True
    exact = exactly(one), exactly(other)
    if exact[0] is not None and exact[1] is not None:
        return exact[0] == exact[1] or _rounds_to(exact[0], exact[1])
    one_symbols = symbols_of(one)
    is_family = bool(one_symbols & INTEGRATION_CONSTANTS) and len(one_symbols) > 1
    variables = sorted((one_symbols | symbols_of(other)) - (INTEGRATION_CONSTANTS if is_family else set()))
    both = list(zip(values_at_points(one, variables), values_at_points(other, variables), strict=True))
    if not variables and math.isinf(both[0][0].value):
        return both[0][0].value == both[0][1].value
    both = [(left, right) for left, right in both if left.is_finite]
    pairs = [(left, right) for left, right in both if right.is_finite]
    if not pairs or (len(pairs) < len(both) and (len(pairs) < _FEWEST_POINTS or not _has_logarithm(other))):
        return False
    tolerance = max(RELATIVE_TOLERANCE, _rounding(one), _rounding(other))
    shift = pairs[0][1].value - pairs[0][0].value if is_family else 0.0
    noise = 4 * (pairs[0][0].error + pairs[0][1].error) if is_family else 0.0
    return all(
        abs(left.value + shift - right.value)
        <= tolerance * max(abs(left.value + shift), abs(right.value)) + 4 * (left.error + right.error) + noise
        for left, right in pairs
    )


def are_same_equation(one: tuple[Expression, Expression], other: tuple[Expression, Expression]) -> bool:
    """Return whether left minus right of two equations is the same but for a factor: y = 2x and 4x - 2y = 0."""
    differences = [Operation("-", left, right) for left, right in (one, other)]
    variables = sorted(symbols_of(differences[0]))
    if set(variables) != symbols_of(differences[1]):
        return False
    values = [values_at_points(difference, variables) for difference in differences]
    pairs = [(left, right) for left, right in zip(*values, strict=True) if left.is_finite]
    if len(pairs) < _FEWEST_POINTS or not all(right.is_finite for _, right in pairs):
        return False
    pivot, image = max(pairs, key=lambda pair: abs(pair[0].value))
    if abs(pivot.value) <= 4 * pivot.error or abs(image.value) <= 4 * image.error:
        return False
    factor = image.value / pivot.value
    noise = (image.error + abs(factor) * pivot.error) / abs(pivot.value)
    return all(
        abs(factor * left.value - right.value)
        <= RELATIVE_TOLERANCE * max(abs(factor * left.value), abs(right.value))
        + 4 * (abs(factor) * left.error + right.error + noise * abs(left.value))
        for left, right in pairs
    )


def _has_logarithm(expression: Expression) -> bool:
    if isinstance(expression, Call):
        return expression.function in ("log", "ln") or _has_logarithm(expression.argument)
    return isinstance(expression, Operation) and (_has_logarithm(expression.left) or _has_logarithm(expression.right))


def _places(value: Fraction) -> int | None:
    """Return how many decimal places show `value` exactly, None where none do."""
    rest, counts = value.denominator, {2: 0, 5: 0}
    for prime in counts:
        while rest % prime == 0:
            rest //= prime
            counts[prime] += 1
    return max(counts.values()) if rest == 1 else None


def _rounding(expression: Expression) -> float:
    """Return how far off, as a share of it, the most rounded number in an expression may be; 0 where none is."""
    if isinstance(expression, Constant):
        off = _half_a_place(expression.value)
        return float(off / abs(expression.value)) if off else 0.0
    if isinstance(expression, Call):
        return _rounding(expression.argument)
    if isinstance(expression, Operation):
        return max(_rounding(expression.left), _rounding(expression.right))
    return 0.0


def _half_a_place(value: Fraction) -> Fraction | None:
    """Return half a unit in the last decimal place of a number that may be another one rounded, None of others."""
    places = _places(value)
    if not places or abs(value) * 10**places < 10 ** (ROUNDED_DIGITS - 1):
        return None
    return Fraction(1, 2 * 10**places)


def _rounds_to(one: Fraction, other: Fraction) -> bool:
    """Return whether one of two different numbers is the other one rounded: 0.333333 is 1/3."""
    allowed = (_half_a_place(one), _half_a_place(other))
    return any(off is not None and abs(one - other) <= off for off in allowed)
