import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mixture_training.src.metrics.bootstrap import percentile_interval
from mixture_training.src.metrics.comparisons import bootstrap_p_value, holm, repeated_mean

NAN = np.nan


def test_holm_by_hand():
    """0.01·3, 0.03·2, and 0.04·1, which may not fall below the one before."""
    assert holm(np.array([0.04, 0.01, 0.03])).tolist() == pytest.approx([0.06, 0.03, 0.06])
    assert holm(np.array([0.5, 0.9])).tolist() == [1.0, 1.0]


def test_holm_leaves_out_what_is_not_known():
    assert holm(np.array([NAN, 0.02, 0.5])).tolist() == pytest.approx([NAN, 0.04, 0.5], nan_ok=True)
    assert holm(np.empty(0)).tolist() == []


@given(arrays(np.float64, st.integers(1, 8), elements=st.floats(0, 1)))
def test_holm_never_lowers_and_keeps_the_order(p_values):
    corrected = holm(p_values)
    assert (corrected >= p_values).all()
    assert (corrected <= np.minimum(1.0, p_values * len(p_values)) + 1e-12).all()
    assert (np.diff(corrected[np.argsort(p_values, kind="stable")]) >= 0).all()


def test_p_value_by_hand():
    """Of 9 resamples two are not above 0: 2 · (2 + 1) ÷ 10."""
    assert bootstrap_p_value(np.array([-1, 0, 1, 2, 3, 4, 5, 6, 7.0])) == pytest.approx(0.6)
    assert bootstrap_p_value(np.ones(99)) == pytest.approx(0.02)
    assert bootstrap_p_value(np.zeros(99)) == 1.0
    assert math.isnan(bootstrap_p_value(np.array([NAN])))


@given(st.integers(0, 2**32 - 1), st.floats(-3, 3))
def test_p_value_agrees_with_the_interval(seed, shift):
    resampled = np.random.default_rng(seed).normal(shift, 1.0, 999)
    interval, p_value = percentile_interval(shift, resampled), bootstrap_p_value(resampled)
    if abs(p_value - 0.05) > 0.005:
        assert (p_value < 0.05) == (interval.low > 0 or interval.high < 0)


def test_mean_over_splits_by_hand():
    """Mean .5, s² = .01, three splits of a test a quarter of train: t(2) · √((1/3 + 1/4) · .01)."""
    mean, low, high = repeated_mean(np.array([0.4, 0.5, 0.6]), test_to_train=0.25)
    half = 4.302652729911275 * math.sqrt((1 / 3 + 0.25) * 0.01)
    assert (mean, low, high) == pytest.approx((0.5, 0.5 - half, 0.5 + half))


def test_one_split_has_no_spread():
    assert repeated_mean(np.array([0.4, NAN]), test_to_train=0.25)[0] == 0.4
    assert math.isnan(repeated_mean(np.array([0.4, NAN]), test_to_train=0.25)[1])
    assert math.isnan(repeated_mean(np.array([NAN]), test_to_train=0.25)[0])
