"""Agreement of two scores against published formulas, and the same whatever the order of the rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import cohen_kappa_score

from mixture_training.src.metrics.agreement import (
    clustered_intervals,
    cohen_kappa,
    interval_alpha,
    kendall,
    partial_spearman,
    share_within,
    spearman,
    weighted_kappa,
)

RNG = np.random.default_rng(0)


def sample(n=60, levels=9, noise=0.2):
    gold = RNG.integers(0, levels + 1, n) / levels
    return gold, np.clip(np.round((gold + RNG.normal(0, noise, n)) * levels) / levels, 0, 1)


@pytest.mark.parametrize("noise", [0.05, 0.2, 1.0])
def test_kappas_and_ranks_are_those_of_the_libraries(noise):
    one, other = sample(noise=noise)
    a, b = np.round(one * 9).astype(int), np.round(other * 9).astype(int)
    labels = list(range(10))
    assert weighted_kappa(one, other, 9) == pytest.approx(cohen_kappa_score(a, b, weights="quadratic", labels=labels))
    assert cohen_kappa(a, b) == pytest.approx(cohen_kappa_score(a, b, labels=labels))
    assert spearman(one, other) == pytest.approx(stats.spearmanr(one, other).statistic)
    assert kendall(one, other) == pytest.approx(stats.kendalltau(one, other).statistic)


def test_alpha_is_krippendorffs():
    """By his definition: disagreement within units over that among all values, each pair of values once."""
    one, other = sample(n=25)
    pooled = np.concatenate([one, other])
    expected = np.mean([(pooled[i] - pooled[j]) ** 2 for i in range(50) for j in range(50) if i != j])
    assert interval_alpha(one, other) == pytest.approx(1 - np.mean((one - other) ** 2) / expected)


def test_a_bias_for_length_shows_only_beyond_what_is_known():
    gold = RNG.uniform(size=400)
    length = gold + RNG.normal(0, 0.3, 400)  # better answers are longer
    honest, biased = gold + RNG.normal(0, 0.1, 400), gold + length + RNG.normal(0, 0.1, 400)
    assert spearman(honest, length) > 0.5
    assert abs(partial_spearman(honest, length, gold)) < 0.15
    assert partial_spearman(biased, length, gold) > 0.7
    ranks = [stats.rankdata(x) for x in (biased, length, gold)]
    left = [x - np.polyval(np.polyfit(ranks[2], x, 1), ranks[2]) for x in ranks[:2]]
    assert partial_spearman(biased, length, gold) == pytest.approx(np.corrcoef(*left)[0, 1])


def test_what_is_not_defined_is_nan():
    empty, same, other = np.array([]), np.full(4, 0.5), np.array([0.1, 0.2, 0.3, 0.4])
    for function in (spearman, kendall, interval_alpha):
        assert np.isnan(function(empty, empty))
    assert np.isnan(spearman(same, other))
    assert np.isnan(kendall(same, other))
    assert np.isnan(interval_alpha(same, same))
    assert np.isnan(weighted_kappa(same, same, 9))
    assert np.isnan(share_within(empty, empty, 0.1))
    assert np.isnan(partial_spearman(other, same, other))
    found = clustered_intervals({"x": spearman}, [empty, empty], [])
    assert np.isnan(found["x"].value)


scores = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=2, max_size=40)


@given(scores, st.randoms())
@settings(max_examples=100, deadline=None)
def test_agreement_is_bounded_symmetric_and_blind_to_order(pairs, random):
    def measures(rows):
        one, other = (np.array(column) / 9 for column in zip(*rows, strict=True))
        return [spearman(one, other), kendall(one, other), interval_alpha(one, other), weighted_kappa(one, other, 9)]

    found = measures(pairs)
    assert all(np.isnan(value) or value <= 1 + 1e-9 for value in found)
    shuffled = list(pairs)
    random.shuffle(shuffled)
    np.testing.assert_allclose(measures(shuffled), found, atol=1e-9)
    np.testing.assert_allclose(measures([(b, a) for a, b in pairs]), found, atol=1e-9)


def test_intervals_hold_the_value_of_the_population_as_often_as_they_say():
    rng = np.random.default_rng(5)
    held = 0
    for seed in range(100):
        means = rng.normal(0.5, 0.1, 40)
        values = np.repeat(means, 3) + rng.normal(0, 0.02, 120)
        clusters = [str(n // 3) for n in range(120)]
        found = clustered_intervals({"mean": np.mean}, [values], clusters, samples=200, seed=seed)["mean"]
        held += found.low <= 0.5 <= found.high
    assert 86 <= held <= 100
