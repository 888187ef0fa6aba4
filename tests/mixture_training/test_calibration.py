import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mixture_training.src.calibration import POINTS, Calibration, fit_calibration
from mixture_training.src.metrics.calibration import expected_calibration_error

SCORES = arrays(np.float64, (6, 3), elements=st.floats(0, 1))


def outcomes(n=2000, seed=0, bend=lambda p: p):
    """Return predicted scores and outcomes that come true with another probability, `bend` of it."""
    chance = np.random.default_rng(seed)
    predicted = chance.random((n, 3))
    return predicted, (chance.random((n, 3)) < bend(predicted)).astype(float)


def fitted(predicted, truth):
    return fit_calibration(predicted, truth, np.zeros_like(predicted), [])


def test_scores_that_mean_what_they_say_stay_as_they_are():
    predicted, truth = outcomes()
    found = fitted(predicted, truth)
    assert found.calibration.is_identity
    assert found.calibration.apply(predicted) is predicted


def test_scores_that_are_too_sure_are_made_honest():
    predicted, truth = outcomes(bend=lambda p: 0.25 + 0.5 * p)
    found = fitted(predicted, truth)
    assert not found.calibration.is_identity
    fresh, seen = outcomes(seed=1, bend=lambda p: 0.25 + 0.5 * p)
    before, after = (expected_calibration_error(p, seen) for p in (fresh, found.calibration.apply(fresh)))
    assert after < before / 3
    assert expected_calibration_error(found.scores, truth) < before / 3


def test_one_expert_alone_may_need_a_map_of_its_own():
    predicted, truth = outcomes(4000)
    truth[:, 1] = np.random.default_rng(3).random(4000) < 0.5 * predicted[:, 1]
    found = fitted(predicted, truth).calibration
    assert len(found.kinds) == 3
    assert found.kinds[1] != "identity"
    assert found.apply(np.full((1, 3), 0.8))[0, 1] == pytest.approx(0.4, abs=0.06)


def test_maps_of_their_own_are_not_used_where_routing_by_them_is_worse():
    """What the second expert is said to score is honest on average at 0.7, which hides when it is the better one."""
    chance = np.random.default_rng(0)
    easy = chance.random(3000) < 0.5
    chances = np.column_stack([np.where(easy, 0.8, 0.75), np.where(easy, 0.5, 0.9)])
    truth = (chance.random((3000, 2)) < chances).astype(float)
    predicted = np.column_stack([np.where(easy, 0.9, 0.2), np.full(3000, 0.5)])
    kept = fitted(predicted, truth).calibration.apply(predicted)
    assert np.array_equal(kept.argmax(axis=1), predicted.argmax(axis=1))


@pytest.mark.parametrize("n", [0, 1, 5])
def test_a_few_rows_teach_nothing(n):
    predicted, truth = outcomes(n, bend=lambda p: 1 - p)
    assert fitted(predicted, truth).calibration.is_identity


def test_missing_scores_are_left_out():
    predicted, truth = outcomes(bend=lambda p: 0.25 + 0.5 * p)
    truth[:, 2] = np.nan
    truth[::3, 0] = np.nan
    found = fitted(predicted, truth)
    assert np.isfinite(found.calibration.apply(predicted)).all()


@given(SCORES, st.sampled_from([0.3, 1.0, 3.0]))
def test_a_shared_map_keeps_every_order(scores, slope):
    grid = np.linspace(0, 1, POINTS)
    calibration = Calibration(("platt",), (grid**slope)[None])
    mapped = calibration.apply(scores)
    assert ((mapped >= 0) & (mapped <= 1)).all()
    for row, other in zip(scores, mapped, strict=True):
        order = np.argsort(row, kind="stable")
        assert (np.diff(other[order]) >= -1e-12).all()


def test_a_calibration_survives_json():
    predicted, truth = outcomes(bend=lambda p: p**2)
    calibration = fitted(predicted, truth).calibration
    again = Calibration.from_state(json.loads(json.dumps(calibration.to_state())), 3)
    assert np.array_equal(again.apply(predicted), calibration.apply(predicted))
    assert Calibration.from_state(Calibration.identity().to_state(), 3).is_identity


LINE = np.linspace(0, 1, POINTS).tolist()


@pytest.mark.parametrize(
    "state",
    [
        {"kinds": [], "table": None},
        {"kinds": ["magic"], "table": [LINE]},
        {"kinds": ["platt", "platt"], "table": [LINE, LINE]},
        {"kinds": ["platt"], "table": [LINE[:-1]]},
        {"kinds": ["platt"], "table": [LINE[::-1]]},
        {"kinds": ["platt"], "table": [[*LINE[:-1], 1.5]]},
        {"kinds": ["platt"], "table": [[None, *LINE[1:]]]},
    ],
)
def test_a_map_that_is_none_is_refused(state):
    with pytest.raises((ValueError, TypeError)):
        Calibration.from_state(state, 3)
