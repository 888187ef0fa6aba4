"""The values of stage one keep their promises."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset_build import ConfigError, ExpertUnavailableError, Instruction, Price, Registry, Response, Score


@given(st.text(), st.none() | st.text(), st.none() | st.text())
def test_an_id_depends_on_source_text_and_reference_alone(text: str, source: str | None, reference: str | None):
    one = Instruction.create(text, source=source, reference=reference)
    two = Instruction.create(text, source=source, reference=reference, category="c", split="test")
    assert one.id == two.id
    assert len(one.id) == 16
    assert Instruction.create(text + ".", source=source, reference=reference).id != one.id


def test_a_response_is_an_answer_or_an_error_never_both_never_neither():
    assert Response("i", "e", error="timeout: late").error_kind == "timeout"
    assert Response("i", "e", text="").error_kind is None
    for text, error in [("a", "b"), (None, None)]:
        with pytest.raises(ValueError, match="either a text or an error"):
            Response("i", "e", text=text, error=error)


@pytest.mark.parametrize("value", [-0.01, 1.01, float("nan")])
def test_a_score_outside_its_range_cannot_be_made(value: float):
    with pytest.raises(ValueError, match="lies in"):
        Score(value, "exact_match")


def test_prices_add_up():
    assert Price(prompt_per_million=2, completion_per_million=4, per_call=1).of_tokens(500_000, None) == 2.0
    assert Price(per_core_hour=3.6).of_cpu(2.0) == pytest.approx(0.002)


def test_an_error_field_is_one_line_with_its_kind():
    problem = ExpertUnavailableError("no\nanswer", expert="gpt", kind="timeout")
    assert problem.as_field() == "timeout: no answer"
    assert problem.retryable
    assert str(problem).startswith("gpt: ")


def test_an_unknown_name_says_what_is_known_and_the_nearest():
    registry: Registry[object] = Registry("metric", {"exact_match": "builtins:object", "number": "builtins:int"})
    with pytest.raises(
        ConfigError, match=r"Unknown metric 'exat_match'. Did you mean 'exact_match'\? Known: exact_match"
    ):
        registry["exat_match"]
    assert registry["number"] is int
    assert list(registry) == ["exact_match", "number"]
    assert "number" in registry
