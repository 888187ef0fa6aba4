"""The interval of the gap closed: right in the corners, and wide enough."""

import math

import numpy as np
import pytest

from mixture_training.src.metrics.bootstrap import gap_interval


def test_the_oracle_closes_all_of_it_and_the_best_single_none():
    best, oracle = np.array([0.0, 1.0, 0.0, 1.0]), np.ones(4)
    assert gap_interval(oracle, best, oracle).value == 1.0
    assert gap_interval(best, best, oracle).value == 0.0


def test_no_gap_has_no_interval():
    ones = np.ones(3)
    assert math.isnan(gap_interval(ones, ones, ones).value)
    assert math.isnan(gap_interval(np.full(3, np.nan), ones, ones).value)


def test_rows_with_a_gap_somewhere_are_left_out():
    routed = np.array([1.0, np.nan, 0.0])
    assert gap_interval(routed, np.zeros(3), np.ones(3)).value == 0.5


def test_a_ratio_of_known_truth_is_inside_about_as_often_as_stated():
    truth, inside, draws = 0.8, 0, 200
    for seed in range(draws):
        rng = np.random.default_rng(seed)
        oracle = (rng.random(300) < 0.9).astype(float)
        best = oracle * (rng.random(300) < 1 / 9)
        routed = np.where(oracle > best, (rng.random(300) < truth).astype(float), best)
        found = gap_interval(routed, best, oracle, samples=500, seed=seed)
        inside += found.low <= truth <= found.high
    assert inside / draws == pytest.approx(0.95, abs=0.05)
