import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from dataset_build import ConfigError
from mixture_training.src.assurance import Assurance
from mixture_training.src.classifier import Prediction
from mixture_training.src.costs import CostModel
from mixture_training.src.guard import Guard, Verdict
from mixture_training.src.intervals import Intervals
from mixture_training.src.model_recommender import Option, Recommender, explain, usd
from mixture_training.src.novelty import Novelty
from mixture_training.src.policy import parse_policy
from mixture_training.src.training_data import TrainingData


class SumOrTalk:
    """Expects `calculator` to be right where there is a digit, and `writer` elsewhere; both are fair at both."""

    experts_ = ("calculator", "writer")
    ability_names_ = ()

    def __init__(self, categories=("math", "talk")):
        self.category_names_ = categories

    def predict(self, texts):
        digit = np.array([any(letter.isdigit() for letter in text) for text in texts], dtype=float).reshape(-1)
        scores = np.column_stack([0.2 + 0.7 * digit, 0.9 - 0.4 * digit])
        sure = np.column_stack([0.2 + 0.6 * digit, 0.8 - 0.6 * digit])
        return Prediction(scores, sure if self.category_names_ else np.zeros((len(texts), 0)))


def router(categories=("math", "talk"), assurance=None):
    n = 4
    data = TrainingData(
        ids=("1", "2", "3", "4"),
        texts=("1", "2", "a", "b"),
        categories=("math", "math", "talk", "talk") if categories else (None,) * n,
        splits=("train",) * n,
        experts=("calculator", "writer"),
        scores=np.ones((n, 2)),
        costs=np.tile([0.001, 0.01], (n, 1)),
        latencies=np.ones((n, 2)),
    )
    return SimpleNamespace(
        classifier=SumOrTalk(categories),
        costs=CostModel.fit(data),
        default_policy="quality",
        experts=(),
        assurance=assurance or Assurance(),
        correction=None,
    )


def test_the_expert_with_the_highest_expected_score_comes_first():
    first, second = Recommender(router()).recommend(["1 + 1", "a poem"])
    assert (first.expert, second.expert) == ("calculator", "writer")
    assert (first.category, second.category) == ("math", "talk")
    assert first.confidence == pytest.approx(0.8)
    assert first.expected_score == pytest.approx(0.9)
    assert first.expected_cost == pytest.approx(0.001)
    assert [option.expert for option in second.ranking] == ["writer", "calculator"]
    assert first.reason == "calculator has the highest expected score, 0.90; next is writer with 0.50."


def test_a_call_may_name_its_own_policy():
    recommender = Recommender(router(), policy="cost_weight=1000")
    assert recommender.recommend(["a poem"])[0].expert == "calculator"
    assert recommender.recommend(["a poem"], policy="quality")[0].expert == "writer"
    assert "does not pay for" in recommender.recommend(["a poem"])[0].reason


def test_an_unknown_policy_is_an_error():
    with pytest.raises(ConfigError, match="Did you mean 'quality'"):
        Recommender(router(), policy="qualiti")


def test_without_categories_there_is_no_confidence():
    recommendation = Recommender(router(())).recommend(["1"])[0]
    assert recommendation.category is None
    assert recommendation.confidence is None


def test_no_text_gives_no_recommendation():
    assert Recommender(router()).recommend([]) == []
    assert Recommender(router()).table([]).ranking.shape == (0, 2)


def test_one_and_many_give_the_same():
    recommender, texts = Recommender(router()), ["1 + 1", "a poem", "b"]
    assert recommender.recommend(texts) == [recommender.recommend([text])[0] for text in texts]


@pytest.mark.parametrize(
    ("options", "policy", "says"),
    [
        ([Option("a", 0.5, 1.0)], "quality", "a is the only expert"),
        ([Option("a", 0.5, 0.001), Option("b", 0.5, 0.02)], "quality", "as well as b, for $0.001 instead of $0.02"),
        ([Option("a", 0.5, 0.02), Option("b", 0.499, 0.001)], "quality", "as well as b."),
        ([Option("a", 0.8, 1.0), Option("b", 0.9, 5.0)], "cost_weight=1", "b would score 0.90, but for $5.00"),
        ([Option("a", 0.9, 1.0), Option("b", 0.8, 5.0)], "cost_weight=1", "highest expected score, 0.90"),
    ],
)
def test_the_reason_says_why(options, policy, says):
    assert says in explain(options, parse_policy(policy))


@pytest.mark.parametrize(
    ("amount", "text"),
    [(0.0, "$0"), (12.345, "$12.35"), (0.0332, "$0.0332"), (0.00012345, "$0.000123"), (1.2e-7, "$1.2e-7")],
)
def test_usd_keeps_three_digits(amount, text):
    assert usd(amount) == text
    assert not math.isnan(amount)


def stopped():
    """Return what is known about a router that was not shown to be better than always asking `writer`."""
    verdict = Verdict(-0.01, -0.03, 0.01, 200)
    return Assurance(
        intervals=Intervals(np.array([0.5, 0.5]), np.ones(2)),
        guard=Guard(verdict, verdict, True, np.array([0.4, 0.7]), np.array([0.001, 0.01])),
    )


def test_a_router_not_shown_to_be_better_asks_the_best_single_expert_and_says_so():
    recommendation = Recommender(router(assurance=stopped())).recommend(["1 + 1"])[0]
    assert [option.expert for option in recommendation.ranking] == ["writer", "calculator"]
    assert recommendation.is_guarded
    assert recommendation.reason == (
        "writer is the best single expert; routing by instruction was not shown to be better "
        "(-0.010, 95 % interval -0.030 to +0.010, over 200 instructions)."
    )
    assert recommendation.ranking[1].expected_score == pytest.approx(0.9)  # what was expected stays visible


def test_under_cost_it_asks_the_expert_that_is_worth_most_on_average():
    recommendation = Recommender(router(assurance=stopped()), policy="cost_weight=100").recommend(["a poem"])[0]
    assert recommendation.expert == "calculator"
    assert "calculator is the best single expert for cost_weight=100;" in recommendation.reason


def test_told_otherwise_it_routes_all_the_same():
    recommendation = Recommender(router(assurance=stopped()), heed_guard=False).recommend(["1 + 1"])[0]
    assert recommendation.expert == "calculator"
    assert not recommendation.is_guarded


def test_options_carry_the_bounds_of_their_score():
    option = Recommender(router(assurance=stopped())).recommend(["1 + 1"])[0].ranking[0]
    assert 0 <= option.low < option.expected_score < option.high <= 1
    assert Recommender(router()).recommend(["1 + 1"])[0].ranking[0].low is None


def test_a_novel_instruction_is_told_and_sent_to_the_safe_expert():
    known = stopped()
    better = replace(known.guard.quality, value=0.1, low=0.05, high=0.2)
    measure = Novelty(np.zeros(1, np.float32), np.ones((1, 1), np.float32), np.zeros((1, 1), np.float32), 1.0)
    assurance = replace(known, guard=replace(known.guard, quality=better), novelty=measure)
    made = router(assurance=assurance)
    made.classifier = LetterCounter()
    recommender = Recommender(made)
    usual, strange = recommender.recommend(["a", "1 + 1"])
    assert (usual.is_novel, usual.is_guarded) == (False, False)
    assert (strange.is_novel, strange.is_guarded, strange.expert) == (True, True, "writer")
    assert "unlike anything the router learned from" in strange.reason
    assert recommender.table(["a", "1 + 1"]).novel_share == 0.5
    told = Recommender(made, heed_guard=False).recommend(["1 + 1"])[0]
    assert (told.is_novel, told.is_guarded, told.expert) == (True, False, "calculator")


class LetterCounter(SumOrTalk):
    """Reads nothing but the number of letters."""

    def predict(self, texts):
        return replace(super().predict(texts), vectors=np.array([[len(text)] for text in texts], dtype=np.float32))
