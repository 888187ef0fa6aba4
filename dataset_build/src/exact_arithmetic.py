"""Expressions without variables, worked out in fractions, with bounded effort."""

import math
from fractions import Fraction

from dataset_build.src.expressions import MAX_FACTORIAL, ExpressionError, fold, parse

#: Largest power worked out, in bits of the result.
MAX_POWER_BITS = 20_000


class ExactAlgebra:
    """Rational arithmetic without variables; roots only where they are exact."""

    def constant(self, value: Fraction) -> Fraction:
        """Return the number."""
        return value

    def symbol(self, name: str) -> Fraction:
        """Refuse: there are no variables here."""
        raise ExpressionError(f"{name} has no value")

    def call(self, function: str, argument: Fraction) -> Fraction:
        """Return an exact square root, cube root, factorial or absolute value."""
        if function == "abs":
            return abs(argument)
        if function == "factorial":
            return bounded_factorial(argument)
        if function in ("sqrt", "cbrt"):
            return exact_root(argument, 2 if function == "sqrt" else 3)
        raise ExpressionError(f"{function} is not exact")

    def operation(self, operator: str, left: Fraction, right: Fraction) -> Fraction:
        """Return the exact result; a power is bounded by `MAX_POWER_BITS`."""
        if operator == "+":
            return left + right
        if operator == "-":
            return left - right
        if operator == "*":
            return left * right
        if operator == "/":
            if not right:
                raise ExpressionError("division by zero")
            return left / right
        return bounded_power(left, right)


def bounded_power(base: Fraction, exponent: Fraction) -> Fraction:
    """Return `base ** exponent` where it is exact and of bearable size.

    Raises:
        ExpressionError: it is neither.
    """
    if exponent.denominator in (2, 3):
        return bounded_power(exact_root(base, exponent.denominator), Fraction(exponent.numerator))
    if exponent.denominator != 1:
        raise ExpressionError("a power that is not exact")
    if base == 0 and exponent < 0:
        raise ExpressionError("division by zero")
    bits = max(base.numerator.bit_length(), base.denominator.bit_length())
    if abs(exponent) * bits > MAX_POWER_BITS:
        raise ExpressionError("a power too large to work out")
    return base ** int(exponent)


def bounded_factorial(value: Fraction) -> Fraction:
    """Return `value!`.

    Raises:
        ExpressionError: it is no whole number from 0 to `MAX_FACTORIAL`.
    """
    if value.denominator != 1 or not 0 <= value <= MAX_FACTORIAL:
        raise ExpressionError("a factorial that is not exact, or too large to work out")
    return Fraction(math.factorial(int(value)))


def exact_root(value: Fraction, degree: int) -> Fraction:
    """Return the square root (degree 2) or cube root (degree 3) of `value`.

    Raises:
        ExpressionError: it is irrational, or too large to tell.
    """
    sign = -1 if value < 0 and degree == 3 else 1
    root = Fraction(_whole_root(sign * value.numerator, degree), _whole_root(value.denominator, degree))
    return sign * root


def _whole_root(value: int, degree: int) -> int:
    if value < 0 or value.bit_length() > 900:
        raise ExpressionError("a root that is not exact")
    guess = int(round(float(value) ** (1 / degree)))
    for root in (guess - 1, guess, guess + 1):
        if root**degree == value:
            return root
    raise ExpressionError("a root that is not exact")


def exact_value(text: str) -> Fraction:
    """Return the exact value of an arithmetic expression.

    Raises:
        ExpressionError: it has variables, is not exact, or is too large.
    """
    return fold(parse(text), ExactAlgebra())
