import numpy as np
import pytest

from mixture_training.src.metrics.figures import Figure, each, known_mean, ratio, stacked

ONE = Figure(np.asarray(1.0), np.array([0.0, 1.0, 2.0]))
TWO = Figure(np.asarray(4.0), np.array([4.0, 4.0, 4.0]))


def test_what_is_computed_from_figures_has_resamples_too():
    difference = TWO - ONE
    assert float(difference.value) == 3.0
    assert difference.resampled.tolist() == [4.0, 3.0, 2.0]
    product = each(lambda a, b: a * b, ONE, TWO)
    assert float(product.value) == 4.0
    assert product.resampled.tolist() == [0.0, 4.0, 8.0]
    interval = difference.interval()
    assert (interval.value, interval.low, interval.high) == pytest.approx((3.0, 2.05, 3.95))


def test_figures_side_by_side():
    both = stacked([ONE, TWO])
    assert both.value.tolist() == [1.0, 4.0]
    assert both.resampled.shape == (3, 2)


def test_nothing_counted_is_not_a_number():
    assert ratio(np.array([1.0, 0.0]), np.array([2.0, 0.0])).tolist() == pytest.approx([0.5, np.nan], nan_ok=True)
    assert ratio(np.array([1.0, 3.0]), 2.0).tolist() == [0.5, 1.5]
    assert known_mean(np.array([[1.0, np.nan], [np.nan, np.nan]])).tolist() == pytest.approx([1.0, np.nan], nan_ok=True)
