"""The mathematical tools: typical requests, declining, absurd input, measured cost."""

import sys

import pytest

from dataset_build.src.errors import MissingDependencyError
from dataset_build.src.experts.base import CannotAnswerError, ToolExpert
from dataset_build.src.experts.tools import tools
from dataset_build.src.records import Instruction

NAMES = ("calculator", "periodic_table", "pint_units", "sympy_math", "unit_table", "word_problem_solver")
TYPICAL = {
    "calculator": "What is 12 + 30?",
    "periodic_table": "What is the molar mass of H2O?",
    "pint_units": "Convert 20 °C to °F",
    "sympy_math": "Solve 2x + 3 = 7",
    "unit_table": "Convert 3 km to meters",
    "word_problem_solver": "Ann has 20 pears and gives 3 to each of 4 friends. How many are left?",
}
ABSURD = (
    "",
    "\0\0 = \0",
    "What is 9**9**9?",
    "compute 9^9^9^9^9 please",
    "solve x^999999999 = 2",
    "derivative of (x+1)^99999999",
    "limit of x^(10^30) as x -> infinity",
    "(" * 5000 + "1 + 1",
    "1 + " * 400 + "1 = ?",
    "1 km " * 390,
    "((((((((((((((((((((((((((((((((((((1 + 1",
    "12 / 0 = ?",
    "remainder of 5 divided by 0",
    "molar mass of " + "C9" * 900,
    "M(" * 600,
    "integrate " + "sin(" * 25 + "x" + ")" * 25,
    "how far is 1e308 km in mm?",
    "0^-1 =?",
    "a" * 100_000,
    "7 + " * 25_000,
    "(" * 1900,
    "1,2,3,4," * 240,
    "seven hundred " * 140,
    "½ × ¾ ÷ ∞ = ?",
    "5 \ud800 + 3",
)


@pytest.fixture(scope="module")
def ready() -> dict[str, ToolExpert]:
    experts = {name: tools[name]() for name in NAMES}
    for expert in experts.values():
        expert.warm_up()
    return experts


@pytest.mark.parametrize("name", NAMES)
def test_a_typical_answer_has_a_measured_cost(ready: dict[str, ToolExpert], name: str) -> None:
    answer = ready[name].answer_now(Instruction.create(TYPICAL[name]))
    assert not answer.text.startswith("I cannot")
    assert answer.cost is not None
    assert answer.cost > 0
    assert answer.latency_s is not None


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "text",
    [
        "I loved this film, the actors were wonderful.",
        "Which language is this: Guten Morgen, wie geht es dir?",
        "What is the capital of France?",
        "Summarise the following passage in one sentence.",
    ],
)
def test_it_declines_what_is_not_for_it(ready: dict[str, ToolExpert], name: str, text: str) -> None:
    with pytest.raises(CannotAnswerError):
        ready[name].solve(text)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("text", ABSURD, ids=lambda text: ascii(text[:20]))
def test_absurd_input_ends_soon_and_without_a_crash(ready: dict[str, ToolExpert], name: str, text: str) -> None:
    answer = ready[name].answer_now(Instruction.create(text))  # a crash would be an ExpertCrashedError
    assert len(answer.text) < 1000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("What is 12 × (3 + 4)?", "84"),
        ("2,340 plus 17", "2357"),
        ("15% of 80", "12"),
        ("15 percent of 80 please", "12"),
        ("5 squared minus 3", "22"),
        ("12 x 11", "132"),
        ("the square root of 144 times 5", "60"),
        ("1/3 + 1/3", "0.666666666667"),
        ("how much is 2^10", "1024"),
    ],
)
def test_calculator_reads_signs_and_infix_words(ready: dict[str, ToolExpert], text: str, expected: str) -> None:
    assert ready["calculator"].solve(text) == expected


@pytest.mark.parametrize(
    "text", ["7^2800", "solve 2y + 3 = 7", "meet me on 2024-03-05 at 10", "5 / 0 now", "1 / (7^3000)"]
)
def test_calculator_declines_what_is_too_large_or_not_a_sum(ready: dict[str, ToolExpert], text: str) -> None:
    with pytest.raises(CannotAnswerError):
        ready["calculator"].solve(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Differentiate x^2 + 3x", "2*x + 3"),
        ("Let g(x) = -x. Determine g'(x).", "-1"),
        ("derivative of x*y with respect to y", "x"),
        ("Integrate cos(x) with respect to x", "sin(x) + C"),
        ("Integrate 3x^2 from 0 to 2", "8"),
        ("velocity is 2t, how far from t = 1 until t = 3", "8"),
        ("limit of sin(3x)/x as x approaches 0", "3"),
        ("lim (2x + 1)/(x - 5) for x -> infinity", "2"),
        ("Solve x^2 - 5x + 6 = 0", "x = 2, x = 3"),
        ("Solve x^2 + 1 = 0", "x = -I, x = I"),
        ("3a - 6b = 75 and -6a + b = -84", "a = 13, b = -6"),
        ("Evaluate x^2 - 1 at x = 5", "24"),
        ("substitute -5 for z in 3(z + 2)", "-9"),
        ("f is x^2 + 1, I want f(3)", "10"),
        ("sum of 12 and 30", "42"),
        ("subtract 5 from twenty-three", "18"),
        ("the mean of 2, 4 and 9", "5"),
        ("remainder when 17 is divided by 5", "2"),
        ("I tip 15% and the bill is 80", "12"),
        ("twelve times two hundred and three", "2436"),
        ("4(x - 1) = 2x + 6 | x", "x = 5"),
    ],
)
def test_sympy_math_does_calculus_algebra_and_arithmetic(
    ready: dict[str, ToolExpert], text: str, expected: str
) -> None:
    assert ready["sympy_math"].solve(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "solve x^2 + y^2 = 4",
        "solve sin(x) = x^2",
        "solve x + y = 4",
        "x + y = 1 and x + y = 2",
        "derivative of x*y*z",
        "differentiate " + "+".join(f"sin({n}x)" for n in range(2, 40)),
        "integrate e^(x^2)/ln(x)",
    ],
)
def test_sympy_math_says_what_it_cannot_do(ready: dict[str, ToolExpert], text: str) -> None:
    with pytest.raises(CannotAnswerError):
        ready["sympy_math"].solve(text)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("unit_table", "How many miles is 10 km?", "6.21371 miles"),
        ("unit_table", "2.5 kg in grams", "2500 grams"),
        ("pint_units", "Convert 20 degrees Celsius to Fahrenheit", "68 Fahrenheit"),
        ("pint_units", "what is 60 miles per hour in km/h", "96.56064 km/h"),
        ("pint_units", "12 square feet in square inches", "1728 square inches"),
        ("pint_units", "3 m² = ? cm^2", "30000 cm^2"),
        ("pint_units", "She thinks in inches, I in cm. She said ten.", "25.4 cm"),
        ("pint_units", "-40 °C in °F", "-40 °F"),
        ("pint_units", "5 in to cm", "12.7 cm"),
    ],
)
def test_unit_tools_convert(ready: dict[str, ToolExpert], name: str, text: str, expected: str) -> None:
    assert ready[name].solve(text) == expected


@pytest.mark.parametrize(
    "text", ["Convert 3 km to kg", "Convert 3 km", "3 and km and h", "the day in the week, one hour"]
)
def test_unit_tools_decline_without_two_units_of_one_dimension(ready: dict[str, ToolExpert], text: str) -> None:
    for name in ("unit_table", "pint_units"):
        with pytest.raises(CannotAnswerError):
            ready[name].solve(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Three shirts cost $20 each and the shop takes 10% off. What is the bill?", "54"),
        ("A meal costs $40 and we add a tip of 15 percent. How much do we pay?", "46"),
        ("Of 200 people at the fair 30% came by bike. How many is that?", "60"),
        ("A car drives for 30 minutes at 80 km per hour. How far does it get?", "40 km"),
        ("How many servings of 200 g can you get from a bag of 5 kg?", "25"),
        ("Ann has 20 pears and gives 3 to each of 4 friends. How many are left?", "8"),
        ("Ben had 20 pears in the basket and gave 8 to his mother. How many remain?", "12"),
        ("We split 24 cookies equally among 6 kids, so how many does a child get?", "4"),
        ("There are 5 boxes with 12 eggs in each of them. How many eggs?", "60"),
        ("I found 5 shells and my sister found 7. How many in total have we?", "12"),
    ],
)
def test_word_problem_solver_picks_a_scheme(ready: dict[str, ToolExpert], text: str, expected: str) -> None:
    assert ready["word_problem_solver"].solve(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Once there were 3 bears and 5 wolves who lived in a wood. What colour was it?",
        "There was only 1 bear in the wood and it was sleeping. How long does it sleep?",
    ],
)
def test_word_problem_solver_declines_without_a_scheme(ready: dict[str, ToolExpert], text: str) -> None:
    with pytest.raises(CannotAnswerError):
        ready["word_problem_solver"].solve(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("molar mass of Ca(OH)2", "74.0920"),
        ("M(NaCl) = ?", "58.4"),
        ("What is the atomic number of iron?", "26"),
        ("symbol for aluminium", "Al"),
        ("Which element has the symbol W?", "tungsten"),
        ("Which element has atomic number 79?", "gold"),
        ("what is the symbol of the element with atomic number 79", "Au"),
        ("atomic mass of helium", "4.0026"),
        ("tell me about the element sodium", "Na"),
    ],
)
def test_periodic_table_answers(ready: dict[str, ToolExpert], text: str, expected: str) -> None:
    assert ready["periodic_table"].solve(text).startswith(expected)


def test_periodic_table_declines_unknown_elements(ready: dict[str, ToolExpert]) -> None:
    with pytest.raises(CannotAnswerError):
        ready["periodic_table"].solve("What is the molar mass of Xx2Q?")


@pytest.mark.parametrize(
    ("name", "module"), [("sympy_math", "sympy"), ("pint_units", "pint"), ("periodic_table", "periodictable")]
)
def test_a_missing_library_is_named_with_its_install_line(
    monkeypatch: pytest.MonkeyPatch, name: str, module: str
) -> None:
    from dataset_build.src.experts.tools import periodic_table, pint_units

    monkeypatch.setitem(sys.modules, module, None)
    for cached in (pint_units.registry, pint_units.pint_unit, periodic_table._elements):
        cached.cache_clear()
    with pytest.raises(MissingDependencyError, match=r'pip install "moe-toolkit\[tools\]"'):
        tools[name]().solve(TYPICAL[name])
