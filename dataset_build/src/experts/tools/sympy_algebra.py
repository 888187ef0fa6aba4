"""Expressions as SymPy objects, and back as text. Text never reaches SymPy's own parser, which runs it as code."""

from fractions import Fraction
from typing import Any

from dataset_build.src.expressions import Expression, ExpressionError, fold

#: Largest exponent, and largest numbers, that SymPy is given.
MAX_EXPONENT, MAX_BITS = 60, 2000

_FUNCTIONS = {"ln": "log", "arcsin": "asin", "arccos": "acos", "arctan": "atan", "abs": "Abs"}


class SympyAlgebra:
    """What the parts of an expression mean to SymPy; needs SymPy installed."""

    def __init__(self) -> None:
        import sympy

        self._sympy = sympy
        self._named = {"e": sympy.E, "pi": sympy.pi, "oo": sympy.oo}

    def constant(self, value: Fraction) -> Any:  # noqa: ANN401
        """Return a rational number."""
        if max(value.numerator.bit_length(), value.denominator.bit_length()) > MAX_BITS:
            raise ExpressionError("a number too large to work with")
        return self._sympy.Rational(value.numerator, value.denominator)

    def symbol(self, name: str) -> Any:  # noqa: ANN401
        """Return a variable or one of e, pi, oo."""
        return self._named.get(name) or self._sympy.Symbol(name)

    def call(self, function: str, argument: Any) -> Any:  # noqa: ANN401
        """Return a function's value."""
        return getattr(self._sympy, _FUNCTIONS.get(function, function))(argument)

    def operation(self, operator: str, left: Any, right: Any) -> Any:  # noqa: ANN401
        """Return the result; powers are bounded."""
        if operator == "+":
            return left + right
        if operator == "-":
            return left - right
        if operator == "*":
            return left * right
        if operator == "/":
            if right.is_zero:
                raise ExpressionError("division by zero")
            return left / right
        is_large = right.is_number and (right.is_infinite or abs(right) > MAX_EXPONENT)
        if is_large or (right.is_Pow and right.exp.is_number and abs(right.exp) > MAX_EXPONENT):
            raise ExpressionError("a power too large to work with")
        return left**right


def to_sympy(expression: Expression, algebra: SympyAlgebra) -> Any:  # noqa: ANN401
    """Return `expression` as a SymPy object.

    Raises:
        ExpressionError: a part of it is too large.
    """
    return fold(expression, algebra)


def to_text(result: Any) -> str:  # noqa: ANN401
    """Return a SymPy object as people write it: `^` for powers, `ln` for the natural logarithm."""
    return str(result).replace("**", "^").replace("log(", "ln(").replace("exp(", "e^(")
