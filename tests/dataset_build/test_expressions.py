"""Reading mathematics from text."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset_build.src.exact_arithmetic import exact_value
from dataset_build.src.expressions import (
    Constant,
    ExpressionError,
    find_expressions,
    parse,
    symbols_of,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2 + 3 × 4", 14),
        ("3(4 + 5)", 27),
        ("(1 + 2)(3 + 4)", 21),
        ("(2)3", 6),
        ("-2^2", -4),
        ("2^3^2", 512),
        ("2^-2", Fraction(1, 4)),
        ("√16 × 2,340", 9360),
        ("4^(1/2)", 2),
        ("cbrt(-27)", -3),
        ("|3 - 5|", 2),
        ("15% × 80", 12),
        ("12 ÷ 8", Fraction(3, 2)),
        ("½ + 1.5e1", Fraction(31, 2)),
        ("--3", 3),
        ("2 ** 5", 32),
        ("sqrt 9/4", Fraction(3, 4)),
    ],
)
def test_exact_arithmetic(text: str, value: Fraction | int) -> None:
    assert exact_value(text) == value


@pytest.mark.parametrize(
    "text",
    ["", "1/0", "0^-1", "9^9^9", "sqrt(2)", "sqrt(-4)", "2^0.1", "x + 1", "sin(1)", "(1", "1 + ", "1 2", "1 = 1",
     "import os", "__class__", "a" * 500, "(" * 60 + "1" + ")" * 60, "2^" * 60 + "2", "sqrt(" + "9" * 390 + ")"],
)  # fmt: skip
def test_what_is_no_bearable_arithmetic_is_an_expression_error(text: str) -> None:
    with pytest.raises(ExpressionError):
        exact_value(text)


@settings(deadline=None)
@given(st.integers(-999, 999), st.integers(-999, 999), st.sampled_from("+-*"))
def test_sums_of_whole_numbers_are_exact(left: int, right: int, operator: str) -> None:
    expected = {"+": left + right, "-": left - right, "*": left * right}[operator]
    assert exact_value(f"({left}) {operator} ({right})") == expected


@settings(deadline=None)
@given(st.text(max_size=300))
def test_any_text_parses_or_is_an_expression_error(text: str) -> None:
    for span in [text, *find_expressions(text)]:
        try:
            parse(span)
        except ExpressionError:
            continue


def test_symbols_leave_out_the_constants() -> None:
    assert symbols_of(parse("2xy + e^t + pi*sin(z)")) == {"x", "y", "t", "z"}
    assert parse("7") == Constant(Fraction(7))


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("Solve for x: 2x + 3 = 7.", ["x", "2 x + 3 = 7"]),
        ("I have 12 × (3 + 4) apples, a 5 and more", ["12 * ( 3 + 4 )", "5"]),
        ("2a + b = 1 | a - 5b = 2", ["2 a + b = 1", "a - 5 b = 2"]),
        ("|x - 2| is what?", ["| x - 2 |"]),
        ("d/dx of x sin(x), and sin 30", ["d", "x sin ( x )", "sin 30"]),
        ("no mathematics - none at all", []),
    ],
)
def test_expressions_are_found_in_sentences(text: str, spans: list[str]) -> None:
    assert find_expressions(text) == spans
