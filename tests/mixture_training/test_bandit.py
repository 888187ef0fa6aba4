"""Exploring: probabilities that are exact, budgets that hold, experts that are never asked."""

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset_build import ConfigError
from mixture_training.src.bandit import Explorer
from mixture_training.src.correction import Correction
from mixture_training.src.fitting import fit_router
from mixture_training.src.linear import LinearClassifier
from mixture_training.src.model_recommender import Recommender
from mixture_training.src.policy import parse_policy

QUALITY = parse_policy("quality")
SCORES, COSTS, DEVIATIONS = np.array([0.8, 0.75, 0.3, 0.7]), np.array([0.01, 0.001, 0.02, 0.0]), np.full(4, 0.1)
STRATEGIES = ["thompson", "linucb", "epsilon"]
unit = st.floats(0.0, 1.0)


def free(strategy, **options):
    return Explorer(strategy, quality_per_decision=None, **options)


@settings(max_examples=60, deadline=None)
@given(
    strategy=st.sampled_from(STRATEGIES),
    rows=st.lists(st.tuples(unit, unit, unit, st.booleans()), min_size=1, max_size=8),
    budget=st.none() | st.floats(0.0, 0.1),
    seed=st.integers(0, 99),
)
def test_probabilities_sum_to_one_and_only_allowed_experts_have_any(strategy, rows, budget, seed):
    scores, costs, deviations, allowed = (np.array(column) for column in zip(*rows, strict=True))
    allowed[0] = True
    explorer = Explorer(strategy, quality_per_decision=budget, usd_total=budget)
    found = explorer.choose(
        scores, costs, deviations, parse_policy("cost_weight=1"), allowed, np.random.default_rng(seed)
    )
    assert found.propensities.sum() == pytest.approx(1.0, abs=1e-12)
    assert (found.propensities >= 0.0).all()
    assert (found.propensities[~allowed] == 0.0).all()
    assert found.propensities[found.ranking[0]] > 0.0
    assert sorted(found.ranking) == np.flatnonzero(allowed).tolist()


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_experts_are_drawn_as_often_as_their_probability_says(strategy):
    explorer, chance = free(strategy, share=0.3, floor=0.01), np.random.default_rng(0)
    found = [explorer.choose(SCORES, COSTS, DEVIATIONS, QUALITY, rng=chance) for _ in range(6000)]
    drawn = np.bincount([one.ranking[0] for one in found], minlength=4) / len(found)
    assert all(np.array_equal(one.propensities, found[0].propensities) for one in found)
    assert drawn == pytest.approx(found[0].propensities, abs=0.02)
    assert found[0].propensities.min() >= 0.01


def test_thompson_asks_each_expert_as_often_as_it_may_be_the_best():
    sure = free("thompson", floor=0.0).choose(SCORES, COSTS, np.full(4, 1e-6), QUALITY)
    assert sure.propensities.tolist() == [1.0, 0.0, 0.0, 0.0]
    found = free("thompson", floor=0.0).choose(SCORES, COSTS, DEVIATIONS, QUALITY).propensities
    draws = np.random.default_rng(5).normal(SCORES, DEVIATIONS, (40_000, 4)).argmax(axis=1)
    assert found == pytest.approx(np.bincount(draws, minlength=4) / 40_000, abs=0.06)


def test_linucb_asks_who_might_be_best_and_the_policy_counts():
    unknown = np.array([0.0, 0.0, 0.0, 0.3])
    assert free("linucb").choose(SCORES, COSTS, unknown, QUALITY).propensities.argmax() == 3
    others = free("linucb").choose(
        SCORES, COSTS, np.array([0.0, 0.1, 0.0, 0.3]), QUALITY, np.array([True, True, True, False])
    )
    assert others.propensities.argmax() == 1
    dear = parse_policy("cost_weight=1000")
    assert free("linucb").choose(SCORES, COSTS + [0, 0, 0, 1], unknown, dear).propensities.argmax() == 1


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_mean_budgets_hold_over_many_decisions(strategy):
    chance = np.random.default_rng(1)
    explorer = Explorer(strategy, share=1.0, quality_per_decision=0.004, usd_per_decision=0.0005, seed=1)
    for _ in range(3000):
        explorer.choose(chance.random(5), chance.random(5) * 0.02, np.full(5, 0.3), QUALITY)
    spent = explorer.spending
    assert 0 < spent.explored < spent.decisions == 3000
    assert spent.quality <= 0.004 * 3000 + 1.0  # the last may reach over what was saved
    assert spent.usd <= 0.0005 * 3000 + 0.02


@pytest.mark.parametrize("budget", ["quality_total", "usd_total"])
def test_a_total_is_never_passed_and_then_the_best_is_asked_and_it_says_so(budget):
    explorer = Explorer("epsilon", share=1.0, quality_per_decision=None, seed=2, **{budget: 0.5})
    scores, costs = np.array([0.9, 0.5]), np.array([0.0, 0.2])
    found = [explorer.choose(scores, costs, np.zeros(2), QUALITY) for _ in range(50)]
    spent = explorer.spending
    assert (spent.quality if budget == "quality_total" else spent.usd) <= 0.5
    assert 1 <= spent.explored <= 2
    assert found[-1].propensities.tolist() == [1.0, 0.0]
    assert "used up" in found[-1].reason
    assert not found[-1].explored


def test_what_was_explored_comes_first_and_the_others_as_they_were_ranked():
    chance = np.random.default_rng(0)
    found = [free("epsilon", share=1.0).choose(SCORES, COSTS, DEVIATIONS, QUALITY, rng=chance) for _ in range(40)]
    for one in found:
        rest = [column for column in (0, 1, 3, 2) if column != one.ranking[0]]
        assert one.ranking[1:].tolist() == rest
        assert one.explored == (one.ranking[0] != 0)
    assert any(one.explored for one in found)


def test_the_given_ranking_says_who_is_the_best_known():
    ranking = np.array([2, 0, 1, 3])
    found = free("epsilon", share=0.0, floor=0.0).choose(SCORES, COSTS, DEVIATIONS, QUALITY, ranking=ranking)
    assert found.ranking.tolist() == [2, 0, 1, 3]
    with pytest.raises(ValueError, match="No expert"):
        free("epsilon").choose(SCORES, COSTS, DEVIATIONS, QUALITY, np.zeros(4, dtype=bool))


def test_threads_share_one_budget():
    explorer = Explorer("epsilon", share=1.0, quality_per_decision=None, quality_total=3.0, seed=3)

    def work():
        for _ in range(200):
            explorer.choose(SCORES, COSTS, DEVIATIONS, QUALITY)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert explorer.spending.decisions == 800
    assert explorer.spending.quality <= 3.0


@pytest.mark.parametrize(
    "options",
    [
        {"strategy": "magic"},
        {"share": 1.5},
        {"floor": -0.1},
        {"usd_total": -1.0},
        {"quality_per_decision": float("nan")},
    ],
)
def test_options_that_cannot_be_are_refused(options):
    with pytest.raises(ConfigError):
        Explorer(**options)


def test_a_guarded_row_is_explored_by_the_means_of_the_experts(small_data):
    router = fit_router(small_data, LinearClassifier("tfidf"))
    router.correction = Correction.of(router)
    table = Recommender(router).table(small_data.texts[:5])
    assert not table.is_guarded.any()
    explorer = free("thompson", floor=0.0)
    plain = explorer.explore(table, 0).propensities
    table.is_guarded[:] = True
    guarded = explorer.explore(table, 0).propensities
    wanted = explorer.choose(
        table.means, table.costs[0], table.deviations[0], table.alone or table.rule, ranking=table.ranking[0]
    )
    assert np.array_equal(guarded, wanted.propensities)
    assert not np.array_equal(guarded, plain)
