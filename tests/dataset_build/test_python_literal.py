"""The scorer `python_literal`."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset_build.src.records import Instruction
from dataset_build.src.scorers.python_literal import PythonLiteral, literal

LITERALS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.tuples(inner, inner) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=12,
)


def score(reference: str, text: str) -> float | None:
    return PythonLiteral().score(Instruction.create("q", reference=reference), text).value


@pytest.mark.parametrize(
    ("reference", "text", "expected"),
    [
        ("[(4, 1), (2, 3)]", '{"reasoning": "…", "answer": "[(4,1),(2,3)]"}', 1),
        ("[(4, 1), (2, 3)]", '{"answer": "[[4, 1], [2, 3]]"}', 0),
        ("[1, 'a']", '```json\n{"answer": [1, "a"]}\n```', 1),
        ("'bcksrut'", '{"answer": "bcksrut"}', 1),
        ("'bcksrut'", "\"'bcksrut'\"", 0),
        ("' 4 2 '", '{"answer": " 4 2 "}', 1),
        ("''", '{"answer": "\'\'"}', 1),
        ("''", '{"answer": ""}', 1),
        ("'a\\nb'", '{"answer": "a\\\\nb"}', 1),
        ("{'a': 1, 'b': 2}", "{\"answer\": \"{'b': 2, 'a': 1}\"}", 1),
        ("{'a': 1}", "assert f(x) == {'a': 1}", 1),
        ("[3]", "[ANSWER]\nassert f() == [3]\n[/ANSWER]", 1),
        ("[3]", "The output is `[3]`.", 1),
        ("[3]", "I think\n\n```python\n[3]\n```", 1),
        ("[3]", "[4]", 0),
        ("True", "1", 0),
        ("1", "1.0", 1),
        ("20", "'20'", 0),
        ("[3]", "", 0),
        ("not a literal", "not a literal", 1),
        ("5", "__import__('os').getpid()", 0),
        ("5", "2 + 3", 0),
        ("5", "(" * 100_000, 0),
        ("5", "[" * 80 + "]" * 80, 0),
        ("5", "-" * 100_000 + "5", 0),
        ("5", "9" * 10_000_000, 0),
        ("5", "9**9**9", 0),
    ],
)
def test_equal_values_are_right_however_they_are_written(reference: str, text: str, expected: float) -> None:
    assert score(reference, text) == expected


@settings(deadline=None)
@given(LITERALS)
def test_a_value_equals_itself(value: object) -> None:
    assert score(repr(value), repr(value)) == 1.0
    assert score(repr([value]), f"The output is {[value]!r}") == 1.0
    assert score(repr([value]), repr([value, 0])) == 0.0


@settings(deadline=None)
@given(st.text(max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    assert literal(text)[0] in (True, False)
    assert score("[1]", text) in (0.0, 1.0)
