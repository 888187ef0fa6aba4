"""The bundled mathematical categories: enough variety, and references that an independent computation confirms."""

import random
import re
from fractions import Fraction

import pytest

from dataset_build.src.experts.tools.math_language import to_digits
from dataset_build.src.experts.tools.pint_units import pint_unit, registry
from dataset_build.src.scorers import scorers
from dataset_build.src.sources.bundled import (
    algebra,
    arithmetic,
    calculus,
    chemistry,
    unit_conversion,
    word_problem,
)
from dataset_build.src.sources.bundled.kinds import Draw, Kind, Task
from dataset_build.src.sources.bundled.numerals import decimal_text, in_words, significant_text, written
from dataset_build.src.sources.bundled.source import BundledSource

KINDS = [module.KIND for module in (algebra, arithmetic, calculus, chemistry, unit_conversion, word_problem)]
TASKS = [pytest.param(kind, task, id=f"{kind.category}-{task.name}") for kind in KINDS for task in kind.tasks]
SAMPLE = 60


def sample(kind: Kind, name: str, count: int = SAMPLE) -> list[Draw]:
    task = next(task for task in kind.tasks if task.name == name)
    rng = random.Random(f"{kind.category}/{name}")
    return [task.draw(rng) for _ in range(count)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.category)
def test_each_category_has_many_families_and_four_hundred_distinct_texts(kind: Kind) -> None:
    templates = [template for task in kind.tasks for template in task.families]
    assert 30 <= len(templates) <= 48
    assert all(len(task.families) >= 6 for task in kind.tasks)
    assert len({re.sub(r"\W", "", template).lower() for template in templates}) == len(templates)
    texts = [each.text for each in BundledSource([kind.category], per_category=400).instructions(seed=3)]
    assert len(set(texts)) == 400


@pytest.mark.parametrize(("kind", "task"), TASKS)
def test_every_slot_is_filled_and_every_reference_scores_itself(kind: Kind, task: Task) -> None:
    from dataset_build.src.records import Instruction

    scorer = scorers[task.metric or kind.metric]()
    rng = random.Random(1)
    for _ in range(SAMPLE):
        drawn = task.draw(rng)
        for template in task.families:
            assert set(re.findall(r"\{(\w+)\}", template)) <= set(drawn.slots)
        instruction = Instruction.create("q", reference=drawn.reference)
        assert scorer.score(instruction, drawn.reference).value == 1.0


def read(text: str):
    """Read a formula of our own with SymPy's parser, which no tool or scorer of ours uses."""
    from sympy.parsing import sympy_parser as reader

    spelled = text.replace("²", "^2").replace("³", "^3").replace("×", "*").replace("÷", "/").replace("·", "*")
    spelled = re.sub(r"(?<![A-Za-z])e\^", "E^", re.sub(r"(?<=\d)e\^", "*e^", spelled.replace("−", "-")))
    rules = (*reader.standard_transformations, reader.implicit_multiplication, reader.convert_xor)
    return reader.parse_expr(spelled, transformations=rules)


def test_sums_agree_with_sympy() -> None:
    words = {" plus ": "+", " added to ": "+", " minus ": "-", " less ": "-", " take away ": "-", " times ": "*",
             " multiplied by ": "*", " divided by ": "/", " over ": "/", " squared": "^2",
             "the square root of ": "sqrt "}  # fmt: skip
    for drawn in sample(arithmetic.KIND, "expression", 150):
        text = to_digits(drawn.slots["expr"]).replace(",", "")
        for word, sign in words.items():
            text = text.replace(word, sign)
        text = re.sub(r"sqrt (\d+)", r"sqrt(\1)", re.sub(r"(\d) x (\d)", r"\1*\2", text))
        assert abs(float(read(text)) - float(drawn.reference)) < 1e-6, drawn


def test_percentages_remainders_and_averages_agree_with_plain_python() -> None:
    import statistics

    for drawn in sample(arithmetic.KIND, "percentage"):
        percent, number = (float(re.sub(r"[^\d.]", "", drawn.slots[name])) for name in ("percent", "number"))
        assert float(drawn.reference) == pytest.approx(percent / 100 * number)
    for drawn in sample(arithmetic.KIND, "remainder"):
        assert divmod(int(drawn.slots["number"].replace(",", "")), int(drawn.slots["divisor"]))[1] == int(
            drawn.reference
        )
    for drawn in sample(arithmetic.KIND, "average"):
        numbers = [int(number) for number in re.findall(r"\d+", drawn.slots["numbers"])]
        assert float(drawn.reference) == pytest.approx(statistics.fmean(numbers))


@pytest.mark.parametrize("name", ["linear", "quadratic"])
def test_solutions_satisfy_their_equations(name: str) -> None:
    import sympy

    for drawn in sample(algebra.KIND, name):
        left, right = (read(side) for side in drawn.slots["equation"].split("="))
        unknown = sympy.Symbol(drawn.slots["var"])
        found = {str(root) for root in sympy.solve(left - right, unknown)}
        stated = {str(sympy.Rational(part.split("=")[1].strip())) for part in drawn.reference.split(",")}
        assert found == stated, drawn


def test_solutions_of_systems_are_sympys() -> None:
    import sympy

    for drawn in sample(algebra.KIND, "system"):
        sides = [equation.split("=") for equation in (drawn.slots["first"], drawn.slots["second"])]
        found = sympy.solve([read(left) - read(right) for left, right in sides], dict=True)
        stated = dict(part.split(" = ") for part in drawn.reference.split(", "))
        assert [{str(name): str(value) for name, value in one.items()} for one in found] == [stated]


def test_values_of_formulas_are_sympys() -> None:
    for drawn in sample(algebra.KIND, "value"):
        assert read(drawn.slots["formula"]).subs(drawn.slots["var"], drawn.slots["value"]) == int(drawn.reference)


def agree(one, other, name: str) -> bool:
    for point in (0.3, 1.1, 2.7):
        left, right = (complex(each.subs(name, point).evalf()) for each in (one, other))
        if abs(left - right) > 1e-6 * (1 + abs(left)):
            return False
    return True


def test_derivatives_and_antiderivatives_agree_with_sympy() -> None:
    import sympy

    for drawn in sample(calculus.KIND, "derivative"):
        name = sympy.Symbol(drawn.slots["var"])
        assert agree(read(drawn.slots["function"]).diff(name), read(drawn.reference), drawn.slots["var"]), drawn
    for drawn in sample(calculus.KIND, "antiderivative"):
        name = sympy.Symbol(drawn.slots["var"])
        whole = read(drawn.reference.removesuffix(" + C"))
        assert agree(whole.diff(name), read(drawn.slots["function"]), drawn.slots["var"]), drawn


def test_areas_and_limits_agree_with_sympy() -> None:
    import sympy

    for drawn in sample(calculus.KIND, "area"):
        name, bounds = sympy.Symbol(drawn.slots["var"]), (int(drawn.slots["low"]), int(drawn.slots["high"]))
        value = sympy.Poly(read(drawn.slots["function"]), name).integrate(name)
        assert float(value.eval(bounds[1]) - value.eval(bounds[0])) == pytest.approx(float(drawn.reference), abs=1e-6)
    for drawn in sample(calculus.KIND, "limit", 24):
        point = sympy.oo if drawn.slots["point"] == "infinity" else int(drawn.slots["point"])
        value = sympy.limit(read(drawn.slots["function"]), sympy.Symbol("x"), point)
        assert float(value) == pytest.approx(float(drawn.reference), abs=1e-6)


@pytest.mark.parametrize("name", ["simple", "temperature", "compound"])
def test_conversions_agree_with_pint(name: str) -> None:
    for drawn in sample(unit_conversion.KIND, name, 200):
        amount = float(to_digits(drawn.slots["amount"]).replace(",", ""))
        source, target = (pint_unit(drawn.slots[slot]) for slot in ("source", "target"))
        value = registry().Quantity(amount, source).to(target).magnitude
        assert float(drawn.reference) == pytest.approx(value, rel=1e-4, abs=0.006), drawn


def number(text: str) -> Fraction:
    return Fraction(re.search(r"\d+(?:\.\d+)?", to_digits(text).replace(",", "")).group())


def test_stories_end_as_plain_arithmetic_says() -> None:
    for drawn in sample(word_problem.KIND, "discount"):
        count, price, percent = (number(drawn.slots[name]) for name in ("count", "price", "percent"))
        assert Fraction(drawn.reference) == count * price - count * price * percent / 100
    for drawn in sample(word_problem.KIND, "journey"):
        assert Fraction(drawn.reference) * 60 == number(drawn.slots["speed"]) * number(drawn.slots["minutes"])
    for drawn in sample(word_problem.KIND, "portions"):
        assert int(drawn.reference) * number(drawn.slots["portion"]) == 1000 * number(drawn.slots["stock"])
    for drawn in sample(word_problem.KIND, "leftover"):
        given = number(drawn.slots["people"]) * number(drawn.slots["share"])
        assert int(drawn.reference) + given == number(drawn.slots["stock"])


def test_chemistry_agrees_with_periodictable() -> None:
    import periodictable

    for drawn in sample(chemistry.KIND, "molar_mass"):
        mass = periodictable.formula(drawn.slots["formula"]).mass
        assert float(drawn.reference) == pytest.approx(mass, rel=1e-4, abs=0.006), drawn
    for drawn in sample(chemistry.KIND, "symbol"):
        assert getattr(periodictable, drawn.reference).name == drawn.slots["element"].lower()
    for drawn in sample(chemistry.KIND, "atomic_number"):
        element = periodictable.elements[int(drawn.reference)]
        assert drawn.slots["element"] in (element.symbol, element.name, element.name.capitalize())
    for drawn in sample(chemistry.KIND, "name"):
        clue = drawn.slots["clue"].split()[-1]
        element = periodictable.elements[int(clue)] if clue.isdigit() else getattr(periodictable, clue)
        assert element.name == drawn.reference


def test_numbers_are_written_as_people_do() -> None:
    assert [in_words(n) for n in (0, 13, 40, 67, 200, 342)] == [
        "zero", "thirteen", "forty", "sixty-seven", "two hundred", "three hundred and forty-two",
    ]  # fmt: skip
    assert {written(2340, random.Random(seed)) for seed in range(20)} == {"2340", "2,340"}
    assert written(12, random.Random(0), words=1.0) == "twelve"
    assert decimal_text(Fraction(-5, 4)) == "-1.25"
    assert significant_text(Fraction(0)) == "0"
    assert significant_text(Fraction(2, 3)) == "0.666667"
    assert significant_text(Fraction(1, 3000)) == "0.000333333"
    assert significant_text(Fraction(2_000_001, 2)) == "1000000.5"
