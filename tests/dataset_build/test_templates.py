from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset_build import ConfigError, DataError
from dataset_build.src.records import storable
from dataset_build.src.scorers.multiple_choice import read_options
from dataset_build.src.sources.rows import RowReader
from dataset_build.src.sources.templates import CellPath, Template

QUESTION = {"question": "Capital of France?", "choices": ["Bern", "Paris", "Rome"], "answer": 1}


def text(template: str, row: dict[str, Any]) -> str | None:
    return Template(template).fill(row, "row 1").text


def reference(row: dict[str, Any], first_option: int | None = None) -> str | None:
    reader = RowReader(
        "q.jsonl",
        source="q",
        columns={"reference": "answer"},
        template="{question} {choices}",
        first_option=first_option,
    )
    return reader.instruction(row, "row 1").reference


def test_columns_are_put_in_and_lists_become_lettered_options_that_the_scorer_reads():
    composed = text("{question}\n\n{choices}\n\nAnswer with {{one}} letter.", QUESTION)
    assert composed == "Capital of France?\n\nA) Bern\nB) Paris\nC) Rome\n\nAnswer with {one} letter."
    assert read_options(composed) == {"A": "bern", "B": "paris", "C": "rome"}


@pytest.mark.parametrize(
    "choices",
    [
        ["Bern", "Paris"],
        {"text": ["Bern", "Paris"], "label": ["1", "2"]},
        [{"label": "a", "text": "Bern"}, {"label": "b", "text": "Paris"}],
    ],
)
def test_options_come_in_several_forms(choices: Any):
    assert text("{choices}", {"choices": choices}) == "A) Bern\nB) Paris"


def test_what_is_no_list_is_text_as_in_any_cell():
    row = {"n": 3.0, "t": True, "o": {"a": [1]}, "none": None, "empty": [], "numbers": [1, None, 2.5]}
    assert text("{n} {t} {o} [{none}] {empty}|{numbers}", row) == '3 true {"a": [1]} [] []|A) 1\nB) \nC) 2.5'


def test_more_options_than_letters_are_numbered():
    last = (text("{c}", {"c": [f"o{n}" for n in range(28)]}) or "").splitlines()
    assert last[25:] == ["Z) o25", "27) o26", "28) o27"]


def test_an_empty_column_leaves_no_space_at_the_end_and_only_empty_ones_are_nothing():
    assert text("{instruction}\n\n{input}", {"instruction": "Add 1 and 2.", "input": ""}) == "Add 1 and 2."
    assert text("Question: {instruction}{input}", {"instruction": " ", "input": None}) is None


def test_a_numbered_or_labelled_reference_becomes_the_letter():
    assert reference(QUESTION, first_option=0) == "B"
    assert reference(QUESTION, first_option=1) == "A"
    assert reference({**QUESTION, "answer": "2"}, first_option=0) == "C"
    assert reference(QUESTION) == "1"
    assert reference({**QUESTION, "answer": "Paris"}) == "Paris"
    labelled = {**QUESTION, "choices": {"text": ["Bern", "Paris"], "label": ["1", "2"]}}
    assert reference({**labelled, "answer": "2"}) == "B"
    assert reference({**labelled, "answer": None}, first_option=0) is None


@pytest.mark.parametrize(("answer", "choices"), [(3, ["a", "b", "c"]), (-1, ["a"]), ("b", ["a", "b"]), (0, "a b")])
def test_a_reference_that_numbers_no_option_is_said(answer: Any, choices: Any):
    with pytest.raises(DataError, match=r"q.jsonl, row 1: the reference is .* with first_option=0, one of .* was exp"):
        reference({"question": "?", "answer": answer, "choices": choices}, first_option=0)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("a", {"b": [{"c": 1}, {"c": 2}]}),
        ("a.b[1].c", 2),
        ("a.b[-1].c", 2),
        ("a.b[7].c", None),
        ("none.b[0]", None),
        ("absent", None),
        ("x.y[0]", "dots are part of the name"),
    ],
)
def test_a_path_looks_into_a_column(path: str, value: Any):
    row = {"a": {"b": [{"c": 1}, {"c": 2}]}, "none": None, "x.y[0]": "dots are part of the name"}
    assert CellPath(path).value(row, "row 1") == value


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("a.txt", "row 1: 'a.txt' finds no key 'txt'. Did you mean 'text'? There is: text."),
        ("a[0]", "row 1: 'a[0]' expects a list at 0 and finds a dict."),
        ("a.text.x", "row 1: 'a.text.x' expects an object at 'x' and finds a str."),
    ],
)
def test_a_path_that_leads_nowhere_is_said(path: str, said: str):
    with pytest.raises(DataError) as caught:
        CellPath(path).value({"a": {"text": "t"}}, "row 1")
    assert str(caught.value) == said


@pytest.mark.parametrize("template", ["{question", "question}", "{a}}", "{}", "no column at all", "{{question}}", ""])
def test_a_template_that_makes_no_sense_is_refused(template: str):
    with pytest.raises(ConfigError, match="The template"):
        Template(template)


@settings(max_examples=150, deadline=None)
@given(cell=st.text(), before=st.text())
def test_nothing_in_a_cell_is_read_as_a_template(cell: str, before: str):
    template = before.replace("{", "{{").replace("}", "}}") + "{cell}"
    expected = (before + storable(cell)).strip() if cell.strip() else None
    assert text(template, {"cell": cell, "0": "wrong"}) == expected
