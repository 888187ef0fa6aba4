import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixture_training.src.off_policy import (
    LEAST_EFFECTIVE,
    Log,
    dr,
    effective_decisions,
    interval,
    ips,
    judging_weights,
    snips,
    terms_of,
)

METHODS = {"ips": ips, "snips": snips, "dr": dr}


def make_log(n=1000, seed=0, explored=0.5, experts=3, selective=False):
    """Logging prefers expert 0; expert 1 is right in 80 % of the cases, the others in 50 %."""
    rng = np.random.default_rng(seed)
    chance = np.tile([0.5, 0.8, 0.5], (n, 1))
    propensities = np.tile(np.eye(experts)[0] * (1 - explored) + explored / experts, (n, 1))
    columns = (propensities.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    rewards = (rng.random(n) < chance[np.arange(n), columns]).astype(float)
    log = Log(rewards, columns, propensities, np.full((n, experts), 0.6))
    return log.take((columns == 1) | (rng.random(n) < 0.2)) if selective else log


def always(column, log, experts=3):
    return np.tile(np.eye(experts)[column], (len(log), 1))


@pytest.mark.parametrize("name", METHODS)
def test_an_estimate_holds_the_truth_and_says_how_much_it_is_worth(name):
    log = make_log(seed=3)
    found = METHODS[name](log, always(1, log))
    assert found.low < 0.8 < found.high
    assert abs(found.value - 0.8) < 0.1
    assert found.is_reliable
    assert found.effective == pytest.approx(1000 / 6)
    difference = METHODS[name](log, always(1, log), always(0, log))
    assert difference.low < 0.3 < difference.high


@pytest.mark.parametrize("name", METHODS)
def test_the_estimate_is_the_mean_of_what_each_decision_says(name):
    log = make_log(200)
    new, old = always(1, log), always(0, log)
    assert METHODS[name](log, new, old).value == pytest.approx(terms_of(name, log, new, old).mean())


def test_without_overlap_nothing_is_estimated():
    log = make_log(explored=0.0)
    for method in METHODS.values():
        found = method(log, always(1, log))
        assert math.isnan(found.value)
        assert not found.is_reliable
        assert "cannot be estimated: for 100.0% of the traffic" in str(found)


def test_a_little_without_overlap_widens_by_all_that_could_have_happened():
    log = make_log(1000)
    blind = log.propensities.copy()
    blind[:5] = [1.0, 0.0, 0.0]
    columns = np.where(np.arange(1000) < 5, 0, log.columns)
    partly = Log(log.rewards, columns, blind, log.expected)
    found = dr(partly, always(1, log))
    assert found.unsupported == pytest.approx(0.005)
    assert found.is_reliable
    whole = dr(log, always(1, log))
    assert found.high - found.low > whole.high - whole.low


def test_the_same_choices_differ_by_nothing_whatever_was_logged():
    log = make_log(explored=0.0)
    found = dr(log, always(1, log), always(1, log))
    assert (found.value, found.low, found.high) == (0.0, 0.0, 0.0)
    assert found.is_reliable


def test_few_effective_decisions_are_not_relied_on():
    log = make_log(100, explored=0.1)
    found = dr(log, always(1, log))
    assert found.effective < LEAST_EFFECTIVE
    assert not found.is_reliable
    assert "are needed" in found.reason


def test_judging_that_depends_on_who_answered_is_noticed():
    log = make_log(3000, selective=True)
    found = dr(log, always(1, log))
    assert not found.is_reliable
    assert "depends on who answered" in found.reason


def test_effective_decisions_do_not_depend_on_luck():
    """No decision with a large weight was drawn: those that were look equal, and say nothing."""
    propensities = np.tile([0.99, 0.01], (100, 1))
    wanted = np.tile([0.0, 1.0], (100, 1))
    assert effective_decisions(propensities, wanted, np.ones(100)) == pytest.approx(1.0)


def test_equal_rewards_are_not_certainty():
    log = Log(np.ones(60), np.zeros(60, dtype=int), np.ones((60, 1)), np.ones((60, 1)))
    found = dr(log, np.ones((60, 1)))
    assert found.low == pytest.approx(1.0 - 3 / 60)


def test_groups_that_move_together_widen_the_interval():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(20), 50)
    terms = rng.normal(size=20)[groups] + rng.normal(size=1000)
    alone = interval(terms, np.ones(1000))
    together = interval(terms, np.ones(1000), groups)
    assert together[1] - together[0] > 3 * (alone[1] - alone[0])


def test_weights_leave_out_what_has_none():
    log = make_log(500)
    half = np.arange(500) < 250
    weighted = Log(log.rewards, log.columns, log.propensities, log.expected, half.astype(float))
    assert dr(weighted, always(1, log)).value == pytest.approx(dr(log.take(half), always(1, log)[half]).value)


def test_judging_weights_undo_unequal_judging():
    rng = np.random.default_rng(1)
    cells = rng.integers(0, 2, 20_000)
    values = np.where(cells == 1, 1.0, 0.0)
    judged = rng.random(20_000) < np.where(cells == 1, 0.4, 0.05)
    weights = judging_weights(cells, judged)
    assert values[judged].mean() > 0.8
    assert np.average(values, weights=weights) == pytest.approx(0.5, abs=0.03)
    assert not weights[~judged].any()


def test_arrays_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="columns has shape"):
        Log(np.ones(3), np.zeros(2, dtype=int), np.ones((3, 2)))
    with pytest.raises(ValueError, match="propensity 0"):
        Log(np.ones(1), np.array([1]), np.array([[1.0, 0.0]]))
    log = make_log(10)
    with pytest.raises(ValueError, match="A target has shape"):
        ips(log, np.ones((10, 2)))
    with pytest.raises(ValueError, match="needs `expected`"):
        dr(Log(log.rewards, log.columns, log.propensities), always(1, log))


@given(
    seed=st.integers(0, 10_000),
    n=st.integers(1, 60),
    name=st.sampled_from(sorted(METHODS)),
    explored=st.sampled_from([0.0, 0.01, 0.3, 1.0]),
)
def test_no_log_gives_a_number_without_an_interval_around_it(seed, n, name, explored):
    log = make_log(n, seed, explored)
    found = METHODS[name](log, always(1, log))
    assert math.isnan(found.value) or found.low <= found.value <= found.high
    assert found.rows == n
    assert found.is_reliable == (not found.reason)


@pytest.mark.slow
@pytest.mark.parametrize("name", METHODS)
def test_intervals_cover(name):
    held = 0
    for seed in range(600):
        log = make_log(600, seed, explored=0.3)
        found = METHODS[name](log, always(1, log), always(0, log))
        held += found.low <= 0.3 <= found.high
    assert 0.925 <= held / 600 <= 0.975
