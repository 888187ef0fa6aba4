import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mixture_training.src.intervals import LEVEL, Intervals, fit_intervals


def rows(n, seed=0, noise=0.1):
    """Return expected scores, and fractional scores around them that err more the more can be erred."""
    chance = np.random.default_rng(seed)
    expected = chance.random((n, 2))
    return expected, np.clip(expected + chance.normal(0, noise, (n, 2)) * np.sqrt(expected * (1 - expected)), 0, 1)


def coverage(intervals, expected, truth, distances=None):
    low, high = intervals.around(expected, distances)
    return ((truth >= low) & (truth <= high)).mean()


@pytest.mark.parametrize("noise", [0.1, 0.5])
def test_nine_of_ten_scores_lie_inside(noise):
    intervals = fit_intervals(*rows(1000, noise=noise))
    assert coverage(intervals, *rows(4000, seed=1, noise=noise)) == pytest.approx(LEVEL, abs=0.02)


def test_outcomes_that_are_right_or_wrong_are_covered_too():
    def draw(n, seed):
        chance = np.random.default_rng(seed)
        expected = chance.beta(3, 1, (n, 2))
        return expected, (chance.random((n, 2)) < expected).astype(float)

    intervals = fit_intervals(*draw(2000, 0))
    assert coverage(intervals, *draw(8000, 1)) == pytest.approx(LEVEL, abs=0.02)
    low, high = intervals.around(np.array([[0.5, 0.99]]))
    assert (high - low)[0, 0] > (high - low)[0, 1]


def test_an_interval_widens_to_everything_away_from_training():
    expected, truth = rows(1000)
    intervals = fit_intervals(expected, truth, np.linspace(0, 1.01, 1000))
    score = np.full((4, 2), 0.5)
    low, high = intervals.around(score, np.array([0.2, 0.93, 1.0, 7.0]))
    widths = (high - low)[:, 0]
    assert widths[0] < widths[1] < widths[2] == widths[3] == 1.0


def test_scores_unlike_those_of_training_are_covered_where_they_are_novel():
    expected, truth = rows(1000)
    intervals = fit_intervals(expected, truth, np.random.default_rng(0).random(1000))
    strange = 1 - np.round(expected)
    assert coverage(intervals, expected, strange) < 0.5
    assert coverage(intervals, expected, strange, np.full(1000, 1.3)) == 1.0


def test_an_expert_with_few_scores_is_served_by_those_of_all():
    expected, truth = rows(1000)
    truth[20:, 1] = np.nan
    intervals = fit_intervals(expected, truth)
    assert intervals.quantiles[1] == pytest.approx(intervals.quantiles[0], rel=0.1)


def test_too_few_scores_promise_nothing():
    low, high = fit_intervals(*rows(3)).around(np.array([[0.5, 0.2]]))
    assert (low.tolist(), high.tolist()) == ([[0, 0]], [[1, 1]])
    assert fit_intervals(np.zeros((0, 2)), np.zeros((0, 2))).around(np.array([[0.5, 0.2]]))[1].tolist() == [[1, 1]]


@given(arrays(np.float64, (5, 2), elements=st.floats(0, 1)), arrays(np.float64, 5, elements=st.floats(0, 3)))
def test_an_interval_holds_its_score_and_stays_within_bounds(scores, distances):
    intervals = Intervals(np.array([0.7, np.inf]), np.array([1.0, 0.0]), 0.8)
    low, high = intervals.around(scores, distances)
    assert ((low >= 0) & (low <= scores + 1e-12) & (scores <= high + 1e-12) & (high <= 1)).all()


def test_intervals_survive_json():
    intervals = Intervals(np.array([0.7, np.inf]), np.array([1.0, 0.5]), 0.8)
    again = Intervals.from_state(json.loads(json.dumps(intervals.to_state())), 2)
    assert np.array_equal(again.quantiles, intervals.quantiles)
    assert again.near == 0.8


@pytest.mark.parametrize(
    "change",
    [
        {"quantiles": [-1.0, 1.0]},
        {"quantiles": [1.0]},
        {"spreads": [1.0, None]},
        {"spreads": [1.0, -1.0]},
        {"near": 2.0},
        {"near": None},
        {"quantiles": ["x", 1.0]},
    ],
)
def test_numbers_that_are_no_intervals_are_refused(change):
    state = Intervals(np.array([0.7, 0.7]), np.array([1.0, 0.5]), 0.8).to_state()
    with pytest.raises((ValueError, TypeError)):
        Intervals.from_state({**state, **change}, 2)
