import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mixture_training.src.metrics.trade_offs import (
    arena_score,
    cost_saving,
    pareto_distances,
    pareto_frontier,
    performance_gain,
)

NAN = np.nan
COSTS, QUALITIES = np.array([1.0, 2.0, 4.0]), np.array([0.6, 0.8, 0.9])
UNIT = st.floats(0, 1)


def test_performance_gain_by_hand():
    assert performance_gain(QUALITIES, 0.75) == pytest.approx(0.2)
    assert performance_gain(np.array([NAN, 0.3]), 0.6) == pytest.approx(-0.5)
    assert performance_gain(np.array([[0.5, 0.6], [0.9, NAN]]), np.array([0.5, 0.6])).tolist() == pytest.approx(
        [0.2, 0.5]
    )


def test_performance_gain_over_nothing_is_not_defined():
    assert math.isnan(performance_gain(QUALITIES, 0.0))
    assert math.isnan(performance_gain(np.array([NAN]), 0.5))


def test_cost_saving_by_hand():
    """0.8 is reached for 2 where the best single expert takes 5 for it."""
    assert cost_saving(COSTS, QUALITIES, 5.0, 0.8) == pytest.approx(0.6)
    assert cost_saving(COSTS, QUALITIES, 3.0, 0.85) == pytest.approx(-1 / 3)


def test_a_quality_that_is_not_reached_saves_nothing():
    assert math.isnan(cost_saving(COSTS, QUALITIES, 5.0, 0.95))
    assert math.isnan(cost_saving(np.full(3, NAN), QUALITIES, 5.0, 0.5))
    assert math.isnan(cost_saving(COSTS, QUALITIES, NAN, 0.5))


def test_pareto_frontier_by_hand():
    costs = np.array([3.0, 1.0, 2.0, 2.0, 4.0, NAN])
    qualities = np.array([0.7, 0.5, 0.6, 0.8, 0.8, 1.0])
    assert pareto_frontier(costs, qualities).tolist() == [[1.0, 0.5], [2.0, 0.8]]
    assert pareto_frontier(np.array([NAN]), np.array([1.0])).shape == (0, 2)


def test_pareto_distance_by_hand():
    """The frontier runs from (1, .5) to (3, .9); scaled to it, (2, .5) is half a range from the first point."""
    frontier = np.array([[1.0, 0.5], [3.0, 0.9]])
    distances = pareto_distances(np.array([2.0, 3.0, 3.0]), np.array([0.5, 0.9, 0.1]), frontier)
    assert distances.tolist() == pytest.approx([0.5, 0.0, math.hypot(1.0, 1.0)])
    assert np.isnan(pareto_distances(COSTS, QUALITIES, frontier[:1])).all()


def test_arena_score_is_what_the_owners_code_gives():
    """RouterArena's own function, with USD per 1,000 queries, gave these three."""
    assert arena_score(0.7396, 10.02 / 1000) == pytest.approx(0.6431572544044338)
    assert arena_score(0.7, 0.001) == pytest.approx(0.674439419535773)
    assert arena_score(0.66, 0.00015) == pytest.approx(0.660979474565245)


def test_arena_score_at_the_ends():
    assert arena_score(0.8, 0.0) == pytest.approx(1.1 * 0.8 / 1.08)
    assert arena_score(0.8, 10.0) == 0.0
    assert arena_score(0.0, 0.001) == 0.0
    assert math.isnan(arena_score(0.8, NAN))
    assert math.isnan(arena_score(NAN, 0.001))


@given(UNIT, UNIT, st.floats(0, 0.3), st.floats(0, 0.3))
def test_arena_score_rises_with_quality_and_falls_with_cost(a, b, cheap, dear):
    low, high = sorted((a, b))
    cheap, dear = sorted((cheap, dear))
    assert 0 <= float(arena_score(low, dear)) <= float(arena_score(high, cheap)) + 1e-12 <= 1 + 1e-9


POINTS = st.lists(st.tuples(st.floats(0.01, 5), UNIT), min_size=2, max_size=12)


@given(POINTS, st.randoms())
def test_the_frontier_is_of_the_points_undominated_and_does_not_depend_on_their_order(points, random):
    costs, qualities = (np.array(column) for column in zip(*points, strict=True))
    frontier = pareto_frontier(costs, qualities)
    for cost, quality in frontier:
        assert (cost, quality) in points
        assert not ((costs <= cost) & (qualities > quality)).any()
        assert not ((costs < cost) & (qualities >= quality)).any()
    random.shuffle(points)
    again = pareto_frontier(*(np.array(column) for column in zip(*points, strict=True)))
    assert again.tolist() == frontier.tolist()


@given(POINTS, st.floats(0.001, 1000))
def test_distances_are_zero_on_the_frontier_and_the_same_in_any_currency(points, rate):
    costs, qualities = (np.array(column) for column in zip(*points, strict=True))
    frontier = pareto_frontier(costs, qualities)
    distances = pareto_distances(costs, qualities, frontier)
    if np.isnan(distances).all():
        return
    assert (distances >= 0).all()
    assert pareto_distances(*frontier.T, frontier).tolist() == [0.0] * len(frontier)
    other = pareto_distances(costs * rate, qualities, frontier * [rate, 1.0])
    assert other == pytest.approx(distances, rel=1e-6, abs=1e-9)


@given(arrays(np.float64, (3, 5), elements=UNIT), arrays(np.float64, 3, elements=st.floats(0.1, 1)))
def test_resamples_are_measured_as_one_would_be(qualities, best):
    costs = np.cumsum(np.ones((3, 5)), axis=1)
    many = performance_gain(qualities, best), cost_saving(costs, qualities, 4.0, best)
    for row in range(3):
        alone = performance_gain(qualities[row], best[row]), cost_saving(costs[row], qualities[row], 4.0, best[row])
        assert [float(one) for one in alone] == pytest.approx([one[row] for one in many], nan_ok=True)
