import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mixture_training.src.metrics.curves import (
    GapCurve,
    aiq,
    aiqs,
    apgr,
    cost_weights,
    cpt,
    gap_curve,
    promising_first,
    sweep,
    swept,
)
from mixture_training.src.metrics.references import hull
from mixture_training.src.policy import CostWeightPolicy

NAN = np.nan
SCORES = np.array([[0.2, 1.0], [0.9, 1.0]])
COSTS = np.array([[1.0, 3.0], [1.0, 3.0]])


def test_cost_weights_cover_every_swap():
    weights = cost_weights(SCORES, COSTS)
    # The two rows change at 0.8 / 2 and 0.1 / 2.
    assert weights[0] == 0.0
    assert weights[1] == pytest.approx(0.05)
    assert weights[-1] == pytest.approx(0.4 * 1.001)


def test_no_swap_leaves_one_point():
    assert cost_weights(np.array([[1.0, 0.0]]), np.array([[1.0, 2.0]])).tolist() == [0.0]
    assert cost_weights(np.ones((3, 1)), np.ones((3, 1))).tolist() == [0.0]


def test_sweep_by_hand():
    curve = sweep(SCORES, COSTS, np.array([[0.0, 1.0], [1.0, NAN]]), COSTS, weights=np.array([0.0, 0.1, 1.0]))
    # quality: both ask the second expert, whose second score is missing; then only the first row does; then neither.
    assert curve.costs.tolist() == [3.0, 2.0, 1.0]
    assert curve.qualities.tolist() == [1.0, 1.0, 0.5]


def test_an_unknown_cost_counts_at_its_prediction():
    curve = sweep(SCORES, COSTS, np.ones((2, 2)), np.full((2, 2), NAN), weights=np.zeros(1))
    assert curve.costs.tolist() == [3.0]


def test_sweep_without_any_score_is_nan():
    curve = sweep(SCORES, COSTS, np.full((2, 2), NAN), COSTS, weights=np.zeros(1))
    assert math.isnan(curve.qualities[0])
    assert math.isnan(sweep(SCORES[:0], COSTS[:0], SCORES[:0], COSTS[:0]).qualities[0])


def test_aiq_by_hand():
    # From (1, .4) to (3, .8): mean .6 between; beyond 3 flat at .8 until 4.
    value = aiq(np.array([1.0, 3.0]), np.array([0.4, 0.8]), lowest=1.0, highest=4.0)
    assert value == pytest.approx((2 * 0.6 + 0.8) / 3)


def test_aiq_below_the_cheapest_point_comes_from_the_null_router():
    assert aiq(np.array([2.0]), np.array([0.8]), lowest=1.0, highest=2.0) == pytest.approx(0.6)


def test_aiq_of_an_empty_range_or_no_point_is_nan():
    assert math.isnan(aiq(np.array([1.0]), np.array([0.5]), lowest=1.0, highest=1.0))
    assert math.isnan(aiq(np.array([NAN]), np.array([0.5]), lowest=0.0, highest=1.0))
    assert math.isnan(aiq(np.array([1.0]), np.array([0.5]), lowest=NAN, highest=1.0))


def test_aiq_does_not_depend_on_the_currency():
    dear, cheap = (aiq(np.array([1.0, 3.0]) * k, np.array([0.4, 0.8]), lowest=k, highest=4 * k) for k in (1.0, 1e-12))
    assert dear == pytest.approx(cheap)


def test_gap_curve_by_hand():
    weak, strong = np.array([0.0, 0.0, 1.0, 1.0]), np.array([1.0, 1.0, 1.0, 1.0])
    curve = gap_curve(np.array([0.9, 0.8, 0.1, 0.2]), weak, strong)
    assert curve.strong_share.tolist() == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert curve.recovered.tolist() == [0.0, 0.5, 1.0, 1.0, 1.0]
    assert apgr(curve) == pytest.approx(0.75)
    assert cpt(curve, 0.5) == pytest.approx(0.25)
    assert cpt(curve, 0.8) == pytest.approx(0.4)
    assert cpt(curve, 0.0) == 0.0


def test_a_router_that_cannot_tell_is_the_random_one():
    weak, strong = np.array([0.0, 1.0, 0.0, NAN]), np.array([1.0, 0.5, 1.0, 1.0])
    curve = gap_curve(np.zeros(4), weak, strong)
    assert apgr(curve) == pytest.approx(0.5)
    assert cpt(curve, 0.5) == pytest.approx(0.5)
    assert cpt(curve, 0.8) == pytest.approx(0.8)


def test_there_is_no_gap_when_the_strong_expert_is_not_better():
    assert gap_curve(np.zeros(2), np.ones(2), np.ones(2)) is None
    assert gap_curve(np.zeros(1), np.array([NAN]), np.ones(1)) is None


UNIT = st.floats(0, 1)


@settings(max_examples=50, deadline=None)
@given(arrays(np.float64, (6, 3), elements=UNIT), arrays(np.float64, (6, 3), elements=st.floats(0.01, 1)))
def test_a_true_prediction_is_best_at_weight_zero_and_cheapest_at_the_end(scores, costs):
    curve = sweep(scores, costs, scores, costs)
    assert curve.qualities[0] == pytest.approx(scores.max(axis=1).mean())
    assert (np.diff(curve.costs) <= 1e-9).all()
    assert (np.diff(curve.qualities) <= 1e-9).all()
    assert len(curve.weights) <= 41


@given(st.lists(st.tuples(st.floats(0.1, 5), UNIT), min_size=1, max_size=6), st.tuples(st.floats(0.1, 5), UNIT))
def test_aiq_lies_between_zero_and_one_and_another_point_never_lowers_it(points, extra):
    def of(these):
        costs, qualities = (np.array(column) for column in zip(*these, strict=True))
        return aiq(costs, qualities, lowest=0.5, highest=4.0)

    assert -1e-12 <= of(points) <= of([*points, extra]) + 1e-9 <= 1 + 2e-9


@given(arrays(np.float64, 8, elements=UNIT), arrays(np.float64, 8, elements=UNIT), arrays(np.float64, 8, elements=UNIT))
def test_knowing_the_gain_is_at_least_as_good_as_any_guess(guess, weak, strong):
    curve, best = gap_curve(guess, weak, strong), gap_curve(strong - weak, weak, strong)
    if curve is not None and curve.recovered[-1] == pytest.approx(1.0):
        assert apgr(curve) <= apgr(best) + 1e-6
        assert 0 <= cpt(best, 0.8) <= cpt(curve, 0.8) + 1e-6 <= 1 + 2e-6


def test_aiq_is_what_the_owners_code_gives():
    """RouterBench's own hull and trapezoids gave .568 and .42 for these points, from no cost to 5."""
    costs, qualities = np.array([0.0, 1.0, 2.0, 3.0, 4.0, 5.0]), np.array([0.0, 0.3, 0.62, 0.6, 0.8, 0.78])
    assert aiq(costs, qualities, lowest=0.0, highest=5.0) == pytest.approx(0.568)
    assert aiq(np.array([2.0, 4.0]), np.array([0.5, 0.55]), lowest=0.0, highest=5.0) == pytest.approx(0.42)


def test_apgr_and_cpt_are_what_the_owners_code_gives():
    """RouteLLM's trapezoids and interpolation gave .708, 21.67 % and 50 % for these accuracies."""
    accuracy = np.array([0.5, 0.62, 0.68, 0.72, 0.74, 0.75])
    curve = GapCurve(np.linspace(0.0, 1.0, 6), (accuracy - 0.5) / 0.25)
    assert apgr(curve) == pytest.approx(0.708)
    assert cpt(curve, 0.5) == pytest.approx(0.2166667)
    assert cpt(curve, 0.8) == pytest.approx(0.5)


@given(
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=1, max_size=8),
    st.integers(0, 5),
    st.integers(6, 14),
)
def test_the_walked_hull_has_the_area_of_the_drawn_one(points, lowest, highest):
    costs, qualities = (np.array(column, dtype=float) for column in zip(*points, strict=True))
    line = hull(np.append(costs, 0.0), np.append(qualities, 0.0))
    grid = np.linspace(lowest, highest, 20001)
    drawn = np.interp(grid, line[:, 0], line[:, 1]).mean()
    assert aiq(costs, qualities, lowest=lowest, highest=highest) == pytest.approx(drawn, abs=0.002)


def test_many_curves_at_once_are_each_curve_alone():
    rng = np.random.default_rng(0)
    costs, qualities = rng.random((6, 5)), rng.random((6, 5))
    costs[2, 3] = qualities[4, 0] = np.nan
    qualities[5] = np.nan
    low, high = np.full(6, 0.1), np.array([0.9, 0.9, 0.9, 0.9, 0.05, 0.9])
    many = aiqs(costs, qualities, lowest=low, highest=high)
    alone = [aiq(*one[:2], lowest=one[2], highest=one[3]) for one in zip(costs, qualities, low, high, strict=True)]
    assert many.tolist() == pytest.approx(alone, nan_ok=True)
    assert np.isnan(many).tolist() == [False] * 4 + [True] * 2


def test_every_curve_can_have_as_many_points_as_another():
    few = np.tile([[0.2, 1.0]], (50, 1))
    assert len(cost_weights(few, np.tile([[1.0, 3.0]], (50, 1)), count=30, distinct=False)) == 30
    assert len(cost_weights(few, np.tile([[1.0, 3.0]], (50, 1)), count=30)) < 30


@settings(max_examples=50, deadline=None)
@given(
    arrays(np.float64, (5, 4), elements=st.integers(0, 3).map(lambda value: value / 4)),
    arrays(np.float64, (5, 4), elements=st.integers(1, 3).map(float)),
    st.sampled_from([0.0, 0.125, 0.5, 2.0]),
)
def test_a_curve_chooses_as_the_policy_does_ties_included(scores, costs, weight):
    reached, paid = swept(scores, costs, scores, costs, weights=np.array([weight]))
    chosen = CostWeightPolicy(weight).choose(scores, costs)
    assert reached[:, 0].tolist() == scores[np.arange(5), chosen].tolist()
    assert paid[:, 0].tolist() == costs[np.arange(5), chosen].tolist()


@given(arrays(np.float64, 40, elements=UNIT), arrays(np.float64, 40, elements=st.just(0.0) | st.just(1.0)))
def test_fewer_groups_end_where_ties_end(gain, strong):
    gain = np.round(gain, 1)
    order, ends = promising_first(gain, np.zeros(40), strong, groups=4)
    assert len(ends) <= 4
    assert ends[-1] == len(order) == 40
    for end in ends[:-1]:
        assert gain[order[end - 1]] > gain[order[end]]
