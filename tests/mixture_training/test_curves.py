import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mixture_training.src.metrics.curves import aiq, apgr, cost_weights, cpt, gap_curve, sweep

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
