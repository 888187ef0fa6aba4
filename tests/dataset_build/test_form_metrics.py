"""JSON, JSON Schema and patterns: whether an answer has a form."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset_build import Instruction
from dataset_build.src.scorers import scorers
from dataset_build.src.scorers.base import UnscorableError
from dataset_build.src.scorers.bounded_patterns import BoundedPatterns
from dataset_build.src.scorers.json_text import NotJsonError, extract_json
from dataset_build.src.scorers.regular_expression import extract_match

SCHEMA = {
    "type": "object",
    "required": ["name"],
    "properties": {"name": {"type": "string", "pattern": "^(a+)+$"}, "tags": {"uniqueItems": True}},
    "patternProperties": {"^x-": {"type": "integer"}},
    "additionalProperties": False,
}
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


def scored(metric, text, reference=None, options=None, **extra):
    return scorers[metric](**options or {}).score(Instruction.create("?", reference=reference, extra=extra), text)


@pytest.mark.parametrize(
    "text",
    [
        '{"a": [1, 2]}', ' {"a": [1, 2]}\n', '```json\n{"a": [1, 2]}\n```', '```\n{"a": [1, 2]}\n```',
        'Sure! Here it is:\n\n```json\n{\n  "a": [1, 2]\n}\n```\nAnything else?', 'Here:\n{"a": [1, 2]}\nDone.',
        '\ufeff{"a": [1, 2]}', '~~~\n{"a": [1, 2]}\n~~~', '```\nnot this\n```\n```json\n{"a": [1, 2]}\n```',
        '<think>{"b": 3}</think>{"a": [1, 2]}',
    ],
)  # fmt: skip
def test_json_is_found_where_models_put_it(text):
    assert scored("json_valid", text).value == 1.0
    assert scored("json_schema", text, schema={"required": ["a"]}).value == 1.0


@pytest.mark.parametrize(
    "text",
    [
        "", "Sure!", "{'a': 1}", '{"a": 1,}', '{"a": NaN}', "[Infinity]", '{"a": 1', "As in [1], it is so.",
        "I cannot answer this: no", '{"a": 1} and {"b": 2}', "```json\n{a: 1}\n```", "\ud800",
    ],
)  # fmt: skip
def test_what_is_no_json_scores_zero(text):
    assert scored("json_valid", text).value == 0.0
    assert scored("json_schema", text, schema={}).value == 0.0


def test_nothing_may_stand_around_json_where_the_whole_is_asked_for():
    assert scored("json_valid", '{"a": 1}', options={"whole": True}).value == 1.0
    assert scored("json_valid", '```json\n{"a": 1}\n```', options={"whole": True}).value == 0.0
    assert scored("json_schema", '```json\n{"a": 1}\n```', options={"whole": True}, schema={}).value == 0.0


@given(VALUES)
def test_every_value_is_read_back(value):
    text = json.dumps(value)
    for wrapped in (text, f"```json\n{text}\n```", f"Here:\n```\n{json.dumps(value, indent=2)}\n```"):
        assert extract_json(wrapped) == value


def test_without_json_it_says_so():
    with pytest.raises(NotJsonError):
        extract_json("none")
    assert "nested too deeply" in scored("json_valid", "[" * 100_000).reason


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"name": "aaa"}', 1.0), ('{"name": "aaa", "x-y": 3}', 1.0), ('{"name": "aaa", "x-y": "3"}', 0.0),
        ('{"name": "b"}', 0.0), ('{"name": 1}', 0.0), ("{}", 0.0), ('{"name": "a", "other": 1}', 0.0),
        ('{"name": "a", "tags": [1, 1.0]}', 0.0), ('{"name": "a", "tags": [1, true, {"a": 1}, {"a": 2}]}', 1.0),
        ('{"name": "a", "tags": [[1.0], [1]]}', 0.0), ("[]", 0.0),
    ],
)  # fmt: skip
def test_the_schema_decides(text, expected):
    assert scored("json_schema", text, schema=SCHEMA).value == expected
    assert scored("json_schema", text, schema=json.dumps(SCHEMA)).value == expected
    assert scored("json_schema", text, json.dumps(SCHEMA)).value == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a": 0.3}', 1),
        ('{"a": 0.35}', 0),
        ('{"a": 1e-400}', 1),
        ('{"a": 1e400}', 0),
        ('{"a": 7}', 1),
        ('{"a": "0.3"}', 1),
    ],
)
def test_multiples_are_those_of_the_numbers_as_written(text, expected):
    assert scored("json_schema", text, schema={"properties": {"a": {"multipleOf": 0.1}}}).value == expected


def test_a_list_before_the_object_that_is_asked_for_does_not_hide_it():
    answer = 'First I list:\n[1, 2]\nFinal answer:\n{"a": 1}'
    for schema, expected in (
        ({"type": "object"}, 1),
        ({"required": ["a"]}, 1),
        ({"type": "array"}, 1),
        ({"enum": [1]}, 0),
    ):
        assert scored("json_schema", answer, schema=schema).value == expected
    assert scored("json_schema", "[1, 2]", schema={"type": "object"}).value == 0


SCHEMAS = [
    {"items": {"multipleOf": 2}},
    {"type": "object"},
    {"type": ["array", "null"]},
    {"minProperties": 1},
    {"enum": [1, "a"]},
    {"items": {"type": "integer"}, "uniqueItems": True},
    {"additionalProperties": {"type": "string"}},
]


@given(VALUES, st.sampled_from(SCHEMAS))
def test_verdicts_are_those_of_the_package(value, schema):
    jsonschema = pytest.importorskip("jsonschema")
    expected = jsonschema.Draft202012Validator(schema).is_valid(value)
    assert scored("json_schema", json.dumps(value), schema=schema).value == float(expected)


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        (None, "no schema"), ("nonsense", "no schema"), ({"type": 3}, "the schema is none"),
        ({"$ref": "http://127.0.0.1:9/x"}, "Unresolvable"), ({"$ref": "#"}, "nested too deeply"),
        ({"pattern": "((a{1000}){1000}){1000}"}, "too large"), ({"pattern": "^(a|aa)+$"}, "took more than"),
        ({"unevaluatedProperties": False, "patternProperties": {}}, "not supported"),
    ],
)  # fmt: skip
def test_a_schema_that_cannot_be_applied_gives_a_reason_and_no_score(schema, reason, monkeypatch):
    monkeypatch.setattr("dataset_build.src.scorers.json_schema._PATTERNS_S", 0.05)
    score = scored("json_schema", json.dumps("a" * 100_000 + "b"), schema=schema)
    assert score.value is None
    assert reason in score.reason


@pytest.mark.parametrize(
    ("pattern", "text", "options", "expected"),
    [
        (r"\b(1[89]|20)\d\d-\d\d-\d\d\b", "It was on 1969-07-20.", {}, 1.0),
        (r"\b(1[89]|20)\d\d-\d\d-\d\d\b", "It was in July.", {}, 0.0),
        (r"\d+", " 42 \n", {"match": "full"}, 1.0),
        (r"\d+", "It is 42", {"match": "full"}, 0.0),
        ("paris", "PARIS", {}, 0.0),
        ("paris", "PARIS", {"ignore_case": True}, 1.0),
        (r"(?<=is )\w+$", "it is so", {}, 1.0),
        (".*", "", {}, 0.0),
        ("", "x", {}, None),
    ],
)
def test_the_pattern_decides(pattern, text, options, expected):
    assert scored("regex", text, pattern, options).value == expected


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [("(", "is no pattern"), ("a{99999}{99999}", "too large"), ("(" * 9000 + ")" * 9000, "too large"),
     ("a" * 20_000, "too large"), ("(a|aa)+$", "took more than 0.05 s")],
)  # fmt: skip
def test_a_pattern_that_is_wrong_or_never_ends_gives_a_reason(pattern, reason):
    score = scored("regex", "a" * 200_000 + "b", pattern, {"timeout_s": 0.05})
    assert score.value is None
    assert reason in score.reason


def test_the_match_is_what_was_found():
    pattern = BoundedPatterns("regex").compile(r"\d+")
    assert extract_match("a 12 b 3", pattern, whole=False, timeout_s=1.0) == "12"
    assert extract_match("a 12", pattern, whole=True, timeout_s=1.0) is None


@given(st.text(max_size=60), st.text(max_size=20))
def test_any_pattern_on_any_text_ends_in_a_score_or_a_reason(text, pattern):
    score = scored("regex", text, pattern)
    assert score.value in (0.0, 1.0) or score.reason


def test_only_so_many_patterns_are_kept(monkeypatch):
    monkeypatch.setattr("dataset_build.src.scorers.bounded_patterns._KEPT", 3)
    patterns = BoundedPatterns("regex")
    for number in range(10):
        patterns.compile(f"a{number}")
    assert len(patterns._compiled) <= 3
    with pytest.raises(UnscorableError):
        patterns.compile("[")
