import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dataset_build import ConfigError
from mixture_training.src.policy import CostWeightPolicy, QualityPolicy, parse_policy

SCORES = np.array([[0.9, 0.8, 0.9]])
COSTS = np.array([[0.02, 0.001, 0.01]])


def test_quality_takes_the_best_and_the_cheaper_of_equals():
    assert QualityPolicy().choose(SCORES, COSTS).tolist() == [2]
    assert QualityPolicy().rank(SCORES, COSTS).tolist() == [[2, 0, 1]]


def test_rounding_noise_does_not_decide_between_equals():
    noisy = np.array([[0.3, 0.1 + 0.2]])
    assert QualityPolicy().choose(noisy, np.array([[1.0, 2.0]])).tolist() == [0]


def test_cost_weight_trades_score_for_usd():
    assert CostWeightPolicy(1.0).choose(SCORES, COSTS).tolist() == [2]
    # 0.9 - 20*0.01 = 0.70 < 0.8 - 20*0.001 = 0.78
    assert CostWeightPolicy(20.0).choose(SCORES, COSTS).tolist() == [1]


def test_no_rows_give_no_choices():
    assert QualityPolicy().choose(np.empty((0, 3)), np.empty((0, 3))).tolist() == []


@pytest.mark.parametrize("text", ["quality", "cost_weight=100", "cost_weight=0.125"])
def test_a_policy_names_itself(text):
    assert str(parse_policy(text)) == text


@given(st.floats(0, 1e9))
def test_any_weight_survives_its_name(weight):
    assert parse_policy(str(CostWeightPolicy(weight))) == CostWeightPolicy(weight)


def test_kebab_case_is_understood():
    assert parse_policy(" cost-weight = 5 ") == CostWeightPolicy(5.0)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("qualty", "Did you mean 'quality'"),
        ("cost_wieght=3", "Did you mean 'cost_weight'"),
        ("zzz", "Known: quality, cost_weight=NUMBER, budget=USD, target=SHARE"),
        ("buget=3", "Did you mean 'budget'"),
        ("budget", "above 0 .*for example budget=0.002"),
        ("budget=0", "above 0"),
        ("budget=inf", "above 0"),
        ("target=0", "at most 1"),
        ("target=95", "at most 1"),
        ("target=", "for example target=0.95"),
        ("", "Unknown policy ''"),
        ("cost_weight", "a number of at least 0"),
        ("cost_weight=-1", "a number of at least 0"),
        ("cost_weight=nan", "a number of at least 0"),
        ("cost_weight=cheap", "a number of at least 0"),
        ("quality=3", "takes no value"),
    ],
)
def test_a_wrong_policy_says_what_is_known(text, says):
    with pytest.raises(ConfigError, match=says):
        parse_policy(text)


MATRIX = arrays(np.float64, (4, 3), elements=st.floats(0, 1))


@given(MATRIX, MATRIX, st.floats(0, 100))
def test_the_choice_has_the_highest_utility_and_a_higher_weight_never_costs_more(scores, costs, weight):
    policy = CostWeightPolicy(weight)
    rows = np.arange(4)
    chosen = policy.choose(scores, costs)
    utility = policy.utility(scores, costs)
    assert np.allclose(utility[rows, chosen], utility.max(axis=1), atol=1e-9)
    assert np.array_equal(np.sort(policy.rank(scores, costs), axis=1), np.tile(np.arange(3), (4, 1)))
    dearer = costs[rows, CostWeightPolicy(weight + 1).choose(scores, costs)]
    assert (dearer <= costs[rows, chosen] + 1e-9).all()
