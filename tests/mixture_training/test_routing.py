import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mixture_training.src.metrics.routing import choice_entropy, gap_closed, regret, win_rate

NAN = np.nan
ROW = arrays(np.float64, 6, elements=st.floats(0, 1))


def test_gap_closed_by_hand():
    routed, best, oracle = np.array([1.0, 1.0, 0.0]), np.array([1.0, 0.0, 0.0]), np.array([1.0, 1.0, 1.0])
    assert gap_closed(routed, best, oracle) == pytest.approx(0.5)


def test_gap_closed_uses_only_rows_that_all_three_know():
    assert gap_closed(np.array([1.0, NAN]), np.array([0.0, 0.0]), np.array([1.0, 1.0])) == 1.0
    assert math.isnan(gap_closed(np.array([NAN]), np.array([0.0]), np.array([1.0])))


def test_there_is_no_gap_to_close_when_the_oracle_is_no_better():
    same = np.array([1.0, 0.0])
    assert math.isnan(gap_closed(same, same, same))


def test_regret_by_hand():
    assert regret(np.array([0.5, NAN, 0.0]), np.array([1.0, 1.0, 1.0])) == 0.75
    assert math.isnan(regret(np.array([NAN]), np.array([1.0])))


def test_win_rate_by_hand():
    rate = win_rate(np.array([1.0, 0.5, 0.0, NAN]), np.array([0.0, 0.5, 0.0, 1.0]))
    assert (rate.wins, rate.ties, rate.losses) == pytest.approx((1 / 3, 2 / 3, 0.0))
    assert math.isnan(win_rate(np.array([NAN]), np.array([0.0])).wins)


@given(ROW, ROW)
def test_win_rate_shares_sum_to_one_and_swap(a, b):
    there, back = win_rate(a, b), win_rate(b, a)
    assert there.wins + there.ties + there.losses == pytest.approx(1.0)
    assert (there.wins, there.losses) == (back.losses, back.wins)


@given(ROW, ROW)
def test_regret_against_the_better_of_two_is_never_negative(a, b):
    assert regret(a, np.maximum(a, b)) >= 0


def test_choice_entropy_by_hand():
    assert choice_entropy(np.array([4.0, 0.0, 0.0])) == 0.0
    assert choice_entropy(np.array([2.0, 2.0])) == pytest.approx(1.0)
    assert choice_entropy(np.array([[1.0, 1.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0]])).tolist() == pytest.approx([0.5, 1.0])
    assert choice_entropy(np.array([3.0])) == 0.0
    assert math.isnan(choice_entropy(np.zeros(2)))


@given(arrays(np.float64, 5, elements=st.integers(0, 50).map(float)), st.permutations(range(5)))
def test_choice_entropy_is_a_share_and_does_not_know_the_experts_by_name(counts, order):
    if counts.sum():
        assert 0 <= choice_entropy(counts) <= 1 + 1e-12
        assert choice_entropy(counts[order]) == pytest.approx(choice_entropy(counts))
