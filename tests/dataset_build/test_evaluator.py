import pytest

from dataset_build.src.errors import ConfigError
from dataset_build.src.evaluator import Evaluator
from dataset_build.src.records import Instruction, Response
from dataset_build.src.scorers import scorers
from dataset_build.src.scorers.base import Scorer


class Fragile(Scorer):
    metric = "fragile"
    version = "7"

    def compare(self, text, reference, instruction):
        if text == "boom":
            raise RecursionError("too deep")
        return 0.25


@pytest.fixture(autouse=True)
def _registered(monkeypatch):
    monkeypatch.setitem(scorers._home, "fragile", f"{__name__}:Fragile")


def score(text=None, *, error=None, metric=None, reference="4"):
    evaluator = Evaluator("exact_match")
    instruction = Instruction(id="i", text="2 + 2", reference=reference, metric=metric)
    return evaluator, evaluator.score(instruction, Response("i", "e", text=text, error=error))


def test_the_instructions_metric_beats_the_default():
    assert score("4")[1].metric == "exact_match"
    assert score("4")[1].value == 1.0
    assert score("4", metric="fragile")[1].value == 0.25


def test_a_failed_call_has_no_score_ever():
    _, found = score(error="timeout: slow")
    assert found.value is None
    assert found.reason == "failed call: timeout"


def test_without_a_reference_there_is_no_score():
    assert score("4", reference=None)[1].value is None


def test_a_scorer_that_raises_costs_one_score_and_says_why():
    _, found = score("boom", metric="fragile")
    assert found.value is None
    assert found.reason == "the metric raised RecursionError"


def test_an_answer_that_declines_scores_nothing_whatever_words_it_shares():
    declined = "I cannot answer this: no number 4 in it"
    for metric in ("fragile", "number", "text_overlap", "label"):
        assert score(declined, metric=metric)[1].value == 0.0
    assert score(declined, metric="exact_match", reference=declined)[1].value == 1.0
    assert score(declined, reference=None)[1].value is None


def test_unknown_metrics_are_found_before_anything_is_asked():
    with pytest.raises(ConfigError, match="Did you mean 'exact_match'"):
        Evaluator("exact_mach")
    with pytest.raises(ConfigError, match="nonsense"):
        Evaluator("exact_match").check({"nonsense"})


def test_versions_of_the_scorers_in_use_are_known():
    evaluator, _ = score("4", metric="fragile")
    assert evaluator.versions()["fragile"] == "7"
