"""The scorers `number` and `math`."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset_build.src.records import Instruction
from dataset_build.src.scorers import scorers
from dataset_build.src.scorers.number import final_number


def score(metric: str, reference: str, text: str) -> float | None:
    return scorers[metric]().score(Instruction.create("q", reference=reference), text).value


@pytest.mark.parametrize(
    ("reference", "text", "expected"),
    [
        ("12.5", "The answer is **12.50 km**.", 1),
        ("12.5", "12.46", 1),
        ("12.5", "12.4", 0),
        ("2340", "so 2,340 = 9 * 260", 0),
        ("42", "The answer is 42. I checked 3 times.", 1),
        ("42", "42.0001", 1),
        ("97406", "97407", 0),
        ("0.75", "= 3/4", 1),
        ("2.5", "2 1/2", 1),
        ("2.5", r"\boxed{\frac{5}{2}}", 1),
        ("2.5", r"\boxed{unknown} 2.5", 1),
        ("1/3", "0.33333", 1),
        ("-5", "x = -5", 1),
        ("-3", "−3", 1),
        ("4", "7-3 = 4", 1),
        ("3", "7-3", 1),
        ("18.015", "H2O has 18.015 g/mol", 1),
        ("5", "5 m^2", 1),
        ("10", "it costs $10.00", 1),
        ("1500000", "1.5e6", 1),
        ("0.00032", "3.2 × 10^-4", 1),
        ("12.5", "12.5%", 1),
        ("0.125", "12.5%", 1),
        ("12.5%", "0.125", 1),
        ("12.5%", "1.25", 0),
        ("7", "the answer is: nothing. 7", 1),
        ("7", "a = b, so 7? it is =", 1),
        ("3", "no idea", 0),
        ("3", "", 0),
        ("none", "3", None),
    ],
)
def test_the_final_number_counts(reference: str, text: str, expected: float | None) -> None:
    assert score("number", reference, text) == expected


@settings(deadline=None)
@given(st.fractions(min_value=-(10**9), max_value=10**9, max_denominator=10**6))
def test_a_number_equals_itself(value: Fraction) -> None:
    for written in (str(value), f"{float(value):.6f}", f"{float(value):.9g}"):
        assert score("number", written, written) == 1.0
        assert score("number", written, f"I get {written} kg.") == 1.0


@settings(deadline=None)
@given(st.integers(-(10**12), 10**12))
def test_thousands_separators_do_not_matter(value: int) -> None:
    assert score("number", str(value), f"The answer is {value:,}.") == 1.0
    assert score("number", str(value), str(value + 1)) == 0.0


@settings(deadline=None)
@given(st.text(max_size=200), st.text(max_size=30))
def test_any_text_has_a_score_between_zero_and_one_or_none(text: str, reference: str) -> None:
    for metric in ("number", "math"):
        value = score(metric, reference, text)
        assert value is None or 0.0 <= value <= 1.0


@settings(deadline=None)
@given(st.text(alphabet="0123456789.,-/= %e^x()", max_size=120))
def test_mathematical_gibberish_is_scored_too(text: str) -> None:
    assert score("number", "5", text) in (0.0, 1.0)
    assert score("math", "x^2", text) in (0.0, 1.0)


def test_a_long_answer_is_read_from_its_end() -> None:
    found = final_number("1 " * 100_000 + "= 7")
    assert found is not None
    assert found.value == 7
    assert score("math", "x^2", "y " * 100_000 + "= x^2") == 1.0


@pytest.mark.parametrize(
    ("reference", "text", "expected"),
    [
        ("2x + 2", "The derivative is 2*(x+1).", 1),
        ("2x + 2", r"\boxed{2x+2}", 1),
        ("2x + 2", "2x + 3", 0),
        ("x = 2, x = -3", "x = -3 or x = 2", 1),
        ("x = 2, x = 3", "2 and 3", 1),
        ("x = 2, x = 3", "x = 2 or 3", 1),
        ("x = 2, x = 3", "x = 2", 0),
        ("x = 2, x = 3", "x = 2, x = 3, x = 4", 0),
        ("x = 2, x = -2", "x = ±2", 1),
        ("x = 1, y = 2", "y=2, x=1", 1),
        ("x = 1, y = 2", "x=2, y=1", 0),
        ("x = 1/2", "x = 0.5", 1),
        ("x = 4", "The solution is 4.", 1),
        ("x = 2, x = 3", "$x_1 = 2, x_2 = 3$", 1),
        ("t = 3", "t = 3 hours", 1),
        ("x^3/3 + C", r"$\frac{x^3}{3} + 7$", 1),
        ("x^2/2 + C", "x^2/2 + C, where C is the constant", 1),
        ("(x + 1)^2 + C", "x^2 + 2x", 1),
        ("x^2 + C", "x^3 + C", 0),
        ("ln(x) + C", "ln|x| + C", 1),
        ("x", "The derivative of x^2/2 is x", 1),
        ("6x", "dy/dx = 6x", 1),
        ("3x^2", "f'(x) = 3x^2", 1),
        ("sin(x)^2 + cos(x)^2", "1", 1),
        ("sqrt(x^2)", "|x|", 1),
        ("2e^(2x)", "2*exp(2*x)", 1),
        ("tan(x) + sec(x) + csc(x) + cot(x) + cbrt(x)", "cbrt(x) + 1/tan(x) + 1/sin(x) + (1 + sin(x))/cos(x)", 1),
        ("e^(x^9)", "e^(x^9)", 1),
        ("cos(x)", "-sin(x)", 0),
        ("1/x", "1/(x*0)", 0),
        ("5", "limit = 5", 1),
        ("5", "I do not know", 0),
        ("ln(0)", "1", 0),
        ("1e999", "5", 0),
        ("", "x", None),
        ("x = 2", "no solution", 0),
    ],
)
def test_equal_mathematics_is_right_however_it_is_written(reference: str, text: str, expected: float | None) -> None:
    assert score("math", reference, text) == expected


TERM = st.builds(
    lambda factor, body: f"{factor}*{body}",
    st.integers(1, 20),
    st.sampled_from(["x", "x^2", "sin(x)", "e^x", "ln(x)", "y", "1"]),
)


@settings(deadline=None)
@given(st.lists(TERM, min_size=1, max_size=5))
def test_the_order_of_terms_does_not_matter(terms: list[str]) -> None:
    reference = " + ".join(terms)
    assert score("math", reference, reference) == 1.0
    assert score("math", reference, " + ".join(reversed(terms))) == 1.0
    assert score("math", reference, f"{reference} + x^5") == 0.0


@settings(deadline=None)
@given(st.lists(st.integers(-50, 50), min_size=1, max_size=4, unique=True))
def test_solutions_equal_themselves_in_any_order(roots: list[int]) -> None:
    reference = ", ".join(f"x = {root}" for root in roots)
    assert score("math", reference, reference) == 1.0
    assert score("math", reference, " or ".join(f"x = {root}" for root in reversed(roots))) == 1.0
    assert score("math", reference, f"{reference}, x = 51") == 0.0


@pytest.mark.parametrize(("text", "expected"), [("The answer is not 12 but 13", 1.0), ("13e999999999999", 0.0)])
def test_a_number_ruled_out_or_out_of_range_does_not_count(text: str, expected: float) -> None:
    instruction = Instruction(id="i", text="q", reference="13")
    assert scorers["number"]().score(instruction, text).value == expected


@pytest.mark.parametrize(
    ("reference", "text"),
    [("1234567", "1234568"), ("99999999", "100000000"), ("2^100", "2^100 + 1"), ("1000000", "1000000.5"),
     ("1234567", r"\boxed{1234568}"), ("1e-10", "2e-10"), ("10^{-10}", r"2\times 10^{-10}"), ("0", "1e-10"),
     ("10^400", "10^401"), ("x + 10^9", "x + 10^9 + 1"), ("1e-10*x", "2e-10*x"), ("sqrt(2)*10^7", "sqrt(2)*10^7 + 1"),
     ("x^2+y^2=1", "x+y=1"), ("x^2+y^2=1", "x^3 = 1"), ("x^2+y^2=1", "1"), ("2x+3y=6", "x+y=6"), ("y=2x+1", "z = 2x+1"),
     ("y=2x+1", "y = 2x+2"), ("5", "5!"), ("10", "10!"), ("1/2", r"1\frac{1}{2}"), ("3", "3! ways"),
     ("1/7", "0.142858"),     ("0.1234567x", "0.1234568x"), ("2", "2.0000001"), ("[1234567,2]", "[1234568,2]"),
     ("even", "odd"), ("a", "b"),
     ("1e999", "oo"), ("oo", "-oo"), ("x", "|x|"), ("sqrt(x^2)", "x")],
)  # fmt: skip
def test_what_is_nearly_or_partly_the_reference_is_wrong(reference: str, text: str) -> None:
    assert score("math", reference, text) == 0.0


@pytest.mark.parametrize(
    ("reference", "text"),
    [("1/3", "0.3333333"), (r"\sqrt{2}", "1.41421356"), ("2.718281828", "2.71828"),
     ("x/3", "0.333333x"), ("1/7", "0.142857"),     ("y = 2x + 1", "y - 2x = 1"),
     ("y = 2x + 1", "2x + 1"), ("y = 2x + 1", "The line is 2y = 4x + 2."),
     ("x = y", "y=x"), ("x^2+y^2=1", "x^2 + y^2 - 1 = 0"), ("120", "5!"), ("5!", "120"), ("6!/4!", "30"),
     ("5", "The answer is 5!"), ("log(x^2)", "2 log(x)"),
     ("1 1/2", "1.5"), ("3/2", r"1\frac{1}{2}"), ("0.5", "50%"), ("50", "50%"),
     ("oo", "infinity"), ("5", "The answer is 5, not 4."), ("7", "The answer is 7. To verify, 7 - 3 = 4."),
     ("no solution", "No solution."), ("even", "The function is even."), ("abc", "cba")],
)  # fmt: skip
def test_the_same_value_in_another_form_is_right(reference: str, text: str) -> None:
    assert score("math", reference, text) == 1.0


@pytest.mark.parametrize(
    "text",
    ["10^400", "oo", "sqrt(-4)", "ln(-1)", "no solution", "DNE", "A", "even", "floor(x)", "x mod 2", "1/0", "9^9^9"],
)
def test_what_cannot_be_worked_out_still_equals_itself(text: str) -> None:
    assert score("math", text, text) == score("math", text, f"  {text}.\n") == 1.0


@pytest.mark.parametrize(
    ("reference", "text"),
    [
        ("floor(x)", "x"),
        ("x", "x mod 2"),
        ("3", "floor(3.5)"),
        ("720", "(3!)!"),
        ("sqrt(-1)", "i"),
        ("9^9^9", "9^9^9 + 1"),
    ],
)
def test_what_is_not_read_is_not_guessed_at(reference: str, text: str) -> None:
    assert score("math", reference, text) is None


@settings(deadline=None)
@given(st.integers(-(10**30), 10**30), st.integers(1, 10**6))
def test_whole_numbers_are_equal_to_themselves_only(value: int, further: int) -> None:
    assert score("math", str(value), f"The answer is {value}.") == 1.0
    assert score("math", str(value), f"The answer is {value + further}.") == 0.0
