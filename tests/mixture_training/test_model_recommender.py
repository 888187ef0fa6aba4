import math
from types import SimpleNamespace

import numpy as np
import pytest

from dataset_build import ConfigError
from mixture_training.src.assurance import Assurance
from mixture_training.src.classifier import Prediction
from mixture_training.src.costs import CostModel
from mixture_training.src.model_recommender import Option, Recommender, explain, usd
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
