import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset_build.src.records import Instruction
from dataset_build.src.scorers import scorers
from dataset_build.src.scorers.code_text import CodeText, extract_code
from dataset_build.src.scorers.exact_match import ExactMatch, normalise_answer


def score(metric, text, reference):
    return scorers[metric]().score(Instruction.create("?", reference=reference), text).value


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("12\u202f345,50\u00a0€", "12 345,50 €"),
        ("The answer is 2024-05-03.", "2024-05-03"),
        ("Sure, the final answer is: **Buenos Aires**", "buenos aires"),
        ('"Paris"', "Paris"),
        ("`EUR`", "EUR"),
        ("```\nTuesday\n```", "tuesday"),
        ("1’234.50", "1'234.50"),
        ("  New \n  Zealand. ", "New Zealand"),
        ("It's Oslo", "Oslo"),
        ("Yes.", "yes"),
    ],
)
def test_what_surrounds_an_answer_does_not_count(text, reference):
    assert score("exact_match", text, reference) == 1.0


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("12345,50 €", "12 345,50 €"),
        ("The capital is not Paris", "Paris"),
        ("Bogota", "Bogotá"),
        ("", "yes"),
        ("1.5", "15"),
        ("I cannot answer this: no date", "2024-05-03"),
    ],
)
def test_a_different_answer_scores_nothing(text, reference):
    assert score("exact_match", text, reference) == 0.0


@pytest.mark.parametrize(
    ("text", "reference"), [("102", "10²"), ("x2", "x²"), ("2", "²"), ("1012", "10¹²"), ("10-3", "10⁻³")]
)
def test_a_power_is_no_digit_of_its_number(text, reference):
    assert score("exact_match", text, reference) == score("exact_match", reference, text) == 0.0
    assert score("exact_match", "x^2", "x²") == score("exact_match", "x²", "x²") == 1.0


def test_normalising_keeps_something_of_a_lead_in_without_answer():
    assert normalise_answer("The answer is") == "the answer is"


@given(st.text(max_size=200), st.text(max_size=200))
def test_scores_lie_in_the_unit_interval(text, reference):
    assert score("exact_match", text, reference) in (0.0, 1.0)
    assert score("code_text", text, reference) in (0.0, 1.0)


@given(st.text(max_size=200))
def test_a_reference_equals_itself(reference):
    assert score("exact_match", reference, reference) == 1.0
    assert score("code_text", reference, reference) == 1.0


@given(st.text(max_size=80))
def test_normalising_twice_changes_nothing_more(text):
    once = normalise_answer(text)
    assert normalise_answer(once) == once


def test_a_missing_reference_gives_no_score():
    assert ExactMatch().score(Instruction.create("?"), "x").value is None
    assert CodeText().score(Instruction.create("?"), "x").value is None


@pytest.mark.parametrize(
    "text",
    [
        "def f(x):\n    return x",
        "```python\ndef f(x):\n    return x\n```",
        "Here you go:\n\n```py\ndef f(x):   \n    return x\n```\nHope that helps!",
        "\n\ndef f(x):\r\n    return x\n\n",
    ],
)
def test_code_is_found_in_prose_and_fences(text):
    assert score("code_text", text, "def f(x):\n    return x") == 1.0


@pytest.mark.parametrize(
    "text", ["def f(x):\n  return x", "def f(x): return x", "def F(x):\n    return x", "def f(x):\n\n    return x", ""]
)
def test_the_layout_of_code_counts(text):
    assert score("code_text", text, "def f(x):\n    return x") == 0.0


def test_a_final_semicolon_of_a_query_does_not_count():
    assert score("code_text", "`SELECT a FROM t;`", "SELECT a FROM t") == 1.0
    assert extract_code("SELECT a;\nSELECT b;") == ["SELECT a;", "SELECT b"]


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("Paris!", "Paris"),
        ("**Answer:** Paris", "Paris"),
        ("**Final answer**: Paris.", "Paris"),
        ("2024\u201105\u201103", "2024-05-03"),
        ("2024\u201405", "2024-05"),
    ],
)
def test_emphasis_and_typography_do_not_count(text, reference):
    assert score("exact_match", text, reference) == 1.0


@pytest.mark.parametrize(("text", "reference"), [("5!", "5"), ("x" * 30_000 + "y", "x" * 30_000 + "z")])
def test_factorials_and_the_ends_of_long_answers_count(text, reference):
    assert score("exact_match", text, reference) == 0.0


@pytest.mark.parametrize("text", ["``` sql\nSELECT 1\n```", "```\nSELECT 1", "~~~\n\nSELECT 1;\n~~~\nDone."])
def test_fences_that_are_spaced_or_never_close_are_fences(text):
    assert extract_code(text) == ["SELECT 1"]


@pytest.mark.parametrize("text", ["~~~a\n" * 5_000, "\n" * 20_000, "*" * 20_000, "the answer is " * 2_000])
@pytest.mark.parametrize("read", [extract_code, normalise_answer])
def test_repetitive_answers_are_read_about_as_fast_as_plain_ones(read, text):
    def seconds(answer):
        started = time.process_time()
        for _ in range(5):
            read(answer)
        return time.process_time() - started

    assert seconds(text) < 200 * seconds("plain words " * (len(text) // 12)) + 0.2


def test_strict_lets_only_white_space_and_quotes_go():
    strict = ExactMatch(strict=True)
    for text, expected in (
        ("'Abc d'", 1.0),
        (' "Abc d"\n', 1.0),
        ('{"answer": "Abc d"}', 1.0),
        ("abc d", 0.0),
        ("Abc  d", 0.0),
    ):
        assert strict.score(Instruction.create("?", reference="'Abc d'"), text).value == expected
    assert strict.score(Instruction.create("?", reference="' x '"), '{"answer": " x "}').value == 1.0


def test_the_field_answer_of_a_json_reply_counts():
    assert score("exact_match", '```json\n{"reasoning": "…", "answer": "Oslo."}\n```', "oslo") == 1.0
