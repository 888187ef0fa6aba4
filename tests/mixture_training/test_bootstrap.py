import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mixture_training.src.metrics.bootstrap import (
    Resamples,
    bootstrap_weights,
    mean_interval,
    mean_intervals,
    paired_difference,
)

VALUES = arrays(np.float64, st.integers(1, 30), elements=st.floats(0, 1))


def test_weights_are_multinomial():
    weights = np.vstack(list(bootstrap_weights(4, samples=5000, seed=1)))
    assert weights.shape == (5000, 4)
    assert (weights.sum(axis=1) == 4).all()
    assert weights.mean(axis=0) == pytest.approx([1.0] * 4, abs=0.06)
    assert weights.var(axis=0) == pytest.approx([0.75] * 4, abs=0.06)  # n·p·(1−p)


def test_blocks_do_not_change_how_many_resamples_there_are():
    blocks = list(bootstrap_weights(1_500_000, samples=3, seed=0))
    assert [len(block) for block in blocks] == [1, 1, 1]


def test_two_values_by_hand():
    """Of two values 0 and 1, a resample is 0, ½ or 1 with probability ¼, ½, ¼."""
    interval = mean_interval(np.array([0.0, 1.0]))
    assert (interval.value, interval.low, interval.high) == (0.5, 0.0, 1.0)
    narrow = mean_interval(np.array([0.0, 1.0]), confidence=0.4)
    assert (narrow.low, narrow.high) == (0.5, 0.5)


def test_interval_is_the_normal_one_for_many_values():
    values = np.random.default_rng(0).normal(size=2000)
    interval = mean_interval(values)
    half = 1.96 * values.std() / math.sqrt(2000)
    assert interval.high - interval.value == pytest.approx(half, rel=0.1)
    assert interval.value - interval.low == pytest.approx(half, rel=0.1)


def test_pairing_removes_what_both_share():
    hard = np.random.default_rng(0).uniform(size=500)
    difference = paired_difference(hard + 0.1, hard)
    assert (difference.low, difference.high) == pytest.approx((0.1, 0.1))


def test_missing_values_are_left_out():
    assert mean_interval(np.array([0.5, np.nan, 0.5])).value == 0.5
    assert paired_difference(np.array([1.0, np.nan]), np.array([0.25, 0.0])).value == 0.75


@pytest.mark.parametrize("values", [np.empty(0), np.array([np.nan])])
def test_nothing_to_average_is_nan(values):
    assert math.isnan(mean_interval(values).value)
    assert math.isnan(mean_interval(values).low)


def test_a_column_without_values_beside_one_with():
    missing, known = mean_intervals(np.array([[np.nan, 1.0], [np.nan, 1.0]]))
    assert math.isnan(missing.low)
    assert known.low == known.high == 1.0


def test_the_seed_decides():
    values = np.random.default_rng(0).uniform(size=50)
    assert mean_interval(values, seed=1) == mean_interval(values, seed=1)
    assert mean_interval(values, seed=1) != mean_interval(values, seed=2)


@settings(max_examples=30, deadline=None)
@given(VALUES)
def test_the_interval_lies_within_the_values_and_around_the_mean(values):
    interval = mean_interval(values, samples=200)
    assert values.min() - 1e-9 <= interval.low <= interval.high <= values.max() + 1e-9
    assert interval.value == pytest.approx(values.mean())


@settings(max_examples=30, deadline=None)
@given(VALUES, st.floats(0, 1))
def test_adding_a_constant_moves_the_interval(values, shift):
    a, b = mean_interval(values, samples=100), mean_interval(values + shift, samples=100)
    assert (b.low, b.high) == pytest.approx((a.low + shift, a.high + shift), abs=1e-9)


def test_resampled_sums_are_those_of_the_weights():
    weights = np.vstack(list(bootstrap_weights(7, samples=50, seed=3)))
    columns = np.random.default_rng(0).random((7, 4))
    resamples = Resamples(7, samples=50, seed=3)
    assert resamples.sums(columns) == pytest.approx(weights @ columns)
    rows = np.array([5, 0, 2])
    assert resamples.sums(columns[rows], rows) == pytest.approx(weights[:, rows] @ columns[rows])


def test_resampled_groups_are_those_of_the_weights(monkeypatch):
    monkeypatch.setattr("mixture_training.src.metrics.bootstrap._ROWS", 3)
    weights = np.vstack(list(bootstrap_weights(9, samples=20, seed=1)))
    resamples = Resamples(9, samples=20, seed=1)
    groups = np.array([2, 0, -1, 1, 0, 0, 2, 0, 0])
    counts = resamples.counts(groups, 4)
    assert counts == pytest.approx(np.stack([weights[:, groups == group].sum(axis=1) for group in range(4)], axis=1))
    order, values = np.array([8, 1, 0, 3, 5]), np.array([0.5, 0.25, 1.0, -1.0, 2.0])
    counts, sums = resamples.group_sums(values, order, np.array([4, 5]))
    assert counts == pytest.approx(np.stack([weights[:, order[:4]].sum(axis=1), weights[:, 5]], axis=1))
    assert sums == pytest.approx(np.stack([weights[:, order[:4]] @ values[:4], weights[:, 5] * 2.0], axis=1))


def test_too_many_weights_for_memory_are_fewer_resamples(monkeypatch):
    monkeypatch.setattr("mixture_training.src.metrics.bootstrap._KEPT", 3000)
    assert Resamples(10, samples=1000, seed=0).samples == 300
    assert Resamples(1000, samples=1000, seed=0).samples == 200
    assert Resamples(10, samples=0, seed=0).sums(np.ones((10, 2))).shape == (0, 2)
