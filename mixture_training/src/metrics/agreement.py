"""How two scores of the same things agree: in value, in rank, beside chance; with intervals.

Quadratic-weighted kappa is Cohen's (1968, "Weighted kappa"); alpha is Krippendorff's for interval data (2004, *Content
Analysis*, ch. 11). Both are 1 for equal scores and 0 where chance would agree as well. Every function returns NaN where
its value is not defined: nothing to compare, or a constant side.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from mixture_training.src.metrics.bootstrap import FloatArray, Interval, bootstrap_weights

#: Differences below this are none.
TINY = 1e-9

Statistic = Callable[..., float]


def share_within(one: FloatArray, other: FloatArray, tolerance: float) -> float:
    """Return the share of pairs that differ by at most `tolerance`."""
    return float(np.mean(np.abs(one - other) <= tolerance + TINY)) if len(one) else float("nan")


def weighted_kappa(one: FloatArray, other: FloatArray, levels: int) -> float:
    """Return quadratic-weighted kappa of scores in [0, 1], each rounded to one of `levels` steps."""
    if not len(one):
        return float("nan")
    a, b = np.round(one * levels), np.round(other * levels)
    by_chance = a.var() + b.var() + (a.mean() - b.mean()) ** 2
    return float(1.0 - np.mean((a - b) ** 2) / by_chance) if by_chance > TINY else float("nan")


def cohen_kappa(one: npt.NDArray[np.int64], other: npt.NDArray[np.int64]) -> float:
    """Return Cohen's kappa of two labellings."""
    if not len(one):
        return float("nan")
    labels = np.union1d(one, other)
    by_chance = float(sum(np.mean(one == label) * np.mean(other == label) for label in labels))
    return float((np.mean(one == other) - by_chance) / (1.0 - by_chance)) if by_chance < 1.0 - TINY else float("nan")


def interval_alpha(one: FloatArray, other: FloatArray) -> float:
    """Return Krippendorff's alpha for two raters and interval data."""
    if not len(one):
        return float("nan")
    by_chance = 2.0 * np.concatenate([one, other]).var(ddof=1)
    return float(1.0 - np.mean((one - other) ** 2) / by_chance) if by_chance > TINY else float("nan")


def spearman(one: FloatArray, other: FloatArray) -> float:
    """Return Spearman's rank correlation, ties at their mean rank."""
    return _pearson(_ranks(one), _ranks(other))


def kendall(one: FloatArray, other: FloatArray) -> float:
    """Return Kendall's tau-b."""
    from scipy.stats import kendalltau

    if len(one) < 2 or np.ptp(one) <= TINY or np.ptp(other) <= TINY:
        return float("nan")
    return float(kendalltau(one, other).statistic)


def partial_spearman(one: FloatArray, other: FloatArray, given: FloatArray) -> float:
    """Return the rank correlation of two scores that is left when what both owe to a third is taken out.

    Where the third is constant there is nothing to take out.
    """
    ranks = _ranks(one), _ranks(other), _ranks(given)
    direct, first, second = _pearson(ranks[0], ranks[1]), _pearson(ranks[0], ranks[2]), _pearson(ranks[1], ranks[2])
    if len(given) and np.ptp(given) <= TINY:
        return direct
    left = (1.0 - first**2) * (1.0 - second**2)
    return float((direct - first * second) / np.sqrt(left)) if left > TINY else float("nan")


def clustered_intervals(
    statistics: Mapping[str, Statistic],
    columns: Sequence[FloatArray],
    clusters: Sequence[str],
    *,
    confidence: float = 0.95,
    samples: int = 1000,
    seed: int = 0,
) -> dict[str, Interval]:
    """Return each statistic of the columns with its bootstrap interval.

    Args:
        statistics: Name -> function of all columns.
        columns: Of equal length n.
        clusters: What each row belongs to; clusters are drawn whole, because the rows of one are no independent
            evidence.
        confidence: The share of resamples inside the interval.
        samples: How many resamples.
        seed: Of the draws.
    """
    values = {name: statistic(*columns) for name, statistic in statistics.items()}
    if not len(clusters):
        return {name: Interval(value, float("nan"), float("nan")) for name, value in values.items()}
    _, cluster_of = np.unique(np.asarray(clusters, dtype=object).astype(str), return_inverse=True)
    drawn: dict[str, list[float]] = {name: [] for name in statistics}
    for block in bootstrap_weights(int(cluster_of.max()) + 1, samples=samples, seed=seed):
        for weights in block:
            rows = np.repeat(np.arange(len(cluster_of)), weights[cluster_of].astype(np.intp))
            resampled = [column[rows] for column in columns]
            for name, statistic in statistics.items():
                drawn[name].append(statistic(*resampled))
    tail = (1.0 - confidence) / 2.0
    intervals = {}
    for name, value in values.items():
        usable = np.asarray(drawn[name])
        usable = usable[~np.isnan(usable)]
        low, high = np.quantile(usable, [tail, 1.0 - tail]) if len(usable) else (np.nan, np.nan)
        intervals[name] = Interval(value, float(low), float(high))
    return intervals


def _ranks(values: FloatArray) -> FloatArray:
    from scipy.stats import rankdata

    ranks: FloatArray = rankdata(values)
    return ranks


def _pearson(one: FloatArray, other: FloatArray) -> float:
    if len(one) < 2:
        return float("nan")
    a, b = one - one.mean(), other - other.mean()
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / scale if scale > TINY else float("nan")
