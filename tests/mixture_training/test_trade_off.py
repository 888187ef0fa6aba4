import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dataset_build import ConfigError
from mixture_training.src.policy import BudgetPolicy, CostWeightPolicy, QualityPolicy, TargetPolicy, parse_policy
from mixture_training.src.trade_off import TradeOff, trade_off_of


def rows(n, seed=0):
    """Return expected scores, expected costs, outcomes and costs of a weak cheap and a strong dear expert."""
    chance = np.random.default_rng(seed)
    weak = chance.random(n)
    expected = np.column_stack([weak, np.full(n, 0.9)])
    truth = (chance.random((n, 2)) < expected).astype(float)
    costs = np.tile([0.001, 0.01], (n, 1))
    return expected, costs, truth, costs * chance.uniform(0.5, 1.5, (n, 2))


def table(n=2000, seed=0):
    return trade_off_of(*rows(n, seed), best=1, seed=0)


def reached(policy, seed=1, n=4000):
    expected, costs, truth, paid = rows(n, seed)
    chosen = policy.choose(expected, costs)
    at = np.arange(n), chosen
    return truth[at].mean() / truth[:, 1].mean(), paid[at].mean()


@pytest.mark.parametrize("budget", [0.0015, 0.003, 0.006, 0.009, 0.02])
def test_a_budget_is_kept_on_new_data_and_mostly_used(budget):
    _, cost = reached(BudgetPolicy(budget).in_terms_of(table()))
    assert cost <= budget
    assert cost >= 0.85 * min(budget, 0.009)


@pytest.mark.parametrize("share", [0.7, 0.9, 0.95])
def test_a_target_is_kept_on_new_data_by_the_cheapest_that_does(share):
    kept, cost = reached(TargetPolicy(share).in_terms_of(table()))
    assert share <= kept < share + 0.07
    assert cost < reached(QualityPolicy())[1]


def test_a_budget_that_allows_everything_is_quality():
    assert BudgetPolicy(1.0).in_terms_of(table()) == QualityPolicy()


def test_a_budget_below_the_cheapest_says_what_that_costs():
    with pytest.raises(ConfigError, match=r"budget=1e-05: the cheapest .* is 0\.00\d+ USD"):
        BudgetPolicy(1e-5).in_terms_of(table())


def test_a_target_that_no_routing_is_sure_to_reach_is_left_to_the_best_single_expert():
    expected, costs, truth, paid = rows(300)
    blind = trade_off_of(1 - expected, costs, truth, paid, best=1)
    assert TargetPolicy(0.99).in_terms_of(blind) is None


def test_a_rare_dear_choice_that_no_row_shows_is_reckoned_with():
    n = 60
    costs, truth = np.tile([0.001, 1.0], (n, 1)), np.ones((n, 2))
    expected = np.column_stack([np.full(n, 0.8), np.full(n, 0.8 - 1e-9)])
    found = trade_off_of(expected, costs, truth, costs, best=0)
    assert found.costs[0] == pytest.approx(0.001)
    assert found.costs_high[0] > 1.0 / (n + 1)
    assert found.costs_high[-1] == pytest.approx(0.001)


def test_promises_are_not_kept_by_single_policies():
    with pytest.raises(ConfigError, match="trade-off table"):
        BudgetPolicy(0.01).choose(np.ones((1, 2)), np.ones((1, 2)))


def test_without_a_score_of_the_best_expert_there_is_no_table():
    expected, costs, truth, paid = rows(20)
    truth[:, 1] = np.nan
    assert trade_off_of(expected, costs, truth, paid, best=1) is None
    assert trade_off_of(expected[:0], costs[:0], truth[:0], paid[:0], best=1) is None


@given(
    arrays(np.float64, (12, 3), elements=st.floats(0, 1)),
    arrays(np.float64, (12, 3), elements=st.floats(0, 1)),
    arrays(np.float64, (12, 3), elements=st.sampled_from([0.0, 0.5, 1.0, np.nan])),
    st.floats(0.01, 1),
)
def test_any_rows_give_a_table_whose_promises_are_points_of_it(expected, costs, truth, number):
    found = trade_off_of(expected, costs, truth, np.full_like(costs, np.nan), best=0)
    if found is None:
        return
    assert TradeOff.from_state(json.loads(json.dumps(found.to_state()))).to_state() == found.to_state()
    assert (found.costs_high >= found.costs - 1e-12).all()
    budget, target = found.for_budget(number), found.for_target(number)
    assert budget is None or (found.costs_high[budget:] <= number).all()
    assert target is None or (found.kept_low[: target + 1] >= number).all()
    assert (found.for_budget(2 * number) or 0) <= (len(expected) * 100 if budget is None else budget)


def test_a_weight_past_all_changes_takes_the_cheapest():
    expected, costs, _, _ = rows(50)
    last = CostWeightPolicy(float(table().weights[-1]))
    assert (last.choose(expected, costs) == 0).all()


@pytest.mark.parametrize("name", ["weights", "costs", "kept_low"])
@pytest.mark.parametrize("wrong", [lambda v: v[:-1], lambda v: [None, *v[1:]], lambda v: [float("inf"), *v[1:]]])
def test_a_table_with_a_wrong_column_is_refused(name, wrong):
    state = table(100).to_state()
    state[name] = wrong(state[name])
    with pytest.raises((ValueError, TypeError)):
        TradeOff.from_state(state)


def test_trade_offs_that_do_not_rise_from_nothing_are_refused():
    state = table(100).to_state()
    with pytest.raises(ValueError, match="rise"):
        TradeOff.from_state({**state, "weights": state["weights"][::-1]})


@pytest.mark.parametrize("text", ["budget=0.002", "target=0.95"])
def test_a_promise_names_itself(text):
    assert str(parse_policy(text)) == text
