import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mixture_training.src.metrics.calibration import brier_score, expected_calibration_error, reliability

CELLS = st.integers(1, 40).flatmap(
    lambda n: st.tuples(
        arrays(np.float64, n, elements=st.floats(0, 1)),
        arrays(np.float64, n, elements=st.floats(0, 1) | st.just(np.nan)),
    )
)


def test_a_hand_computed_example():
    found = reliability(np.array([0.1, 0.2, 0.9, 0.7]), np.array([0.0, 1.0, 1.0, 0.0]), bins=2)
    assert found.predicted == pytest.approx([0.15, 0.8])
    assert found.observed == pytest.approx([0.5, 0.5])
    assert found.counts.tolist() == [2, 2]
    assert found.ece == pytest.approx(0.5 * 0.35 + 0.5 * 0.3)
    assert found.brier == pytest.approx((0.01 + 0.64 + 0.01 + 0.49) / 4)


def test_missing_scores_are_left_out_and_none_at_all_is_nan():
    assert brier_score(np.array([[0.5, 0.9]]), np.array([[np.nan, 0.9]])) == 0.0
    nothing = reliability(np.array([0.5]), np.array([np.nan]))
    assert np.isnan(nothing.ece)
    assert np.isnan(nothing.brier)
    assert nothing.counts.shape == (0,)


def test_a_score_of_one_falls_into_the_last_bin():
    assert reliability(np.array([1.0, 0.95]), np.array([1.0, 1.0]), bins=10).counts.tolist() == [2]


def test_shapes_that_differ_and_no_bins_are_errors():
    with pytest.raises(ValueError, match="shape"):
        reliability(np.zeros(2), np.zeros(3))
    with pytest.raises(ValueError, match="at least 1"):
        reliability(np.zeros(2), np.zeros(2), bins=0)


@given(CELLS, st.integers(1, 20))
def test_the_bins_hold_all_cells_and_their_means_give_back_the_whole(cells, bins):
    predicted, truth = cells
    found = reliability(predicted, truth, bins)
    known = ~np.isnan(truth)
    assert found.counts.sum() == known.sum()
    if known.any():
        assert found.predicted @ found.counts == pytest.approx(predicted[known].sum())
        assert found.observed @ found.counts == pytest.approx(truth[known].sum())
        assert (np.diff(found.predicted) >= 0).all()
        assert 0 <= found.ece <= 1
        # Bins can only hide a difference: the gap of the means is the least an expected calibration error can be.
        assert found.ece >= abs(predicted[known].mean() - truth[known].mean()) - 1e-9


@given(CELLS, st.randoms())
def test_the_order_of_cells_does_not_matter(cells, chance):
    predicted, truth = cells
    order = list(range(len(truth)))
    chance.shuffle(order)
    one, other = (expected_calibration_error(p, t) for p, t in ((predicted, truth), (predicted[order], truth[order])))
    assert one == pytest.approx(other, nan_ok=True)


@given(arrays(np.float64, 20, elements=st.floats(0, 1)))
def test_perfect_predictions_have_no_error(truth):
    assert expected_calibration_error(truth, truth) == pytest.approx(0.0, abs=1e-12)
    assert brier_score(truth, truth) == 0.0
