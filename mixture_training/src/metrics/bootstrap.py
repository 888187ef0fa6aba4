"""Bootstrap intervals over instructions.

Percentile bootstrap (Efron & Tibshirani 1993, *An Introduction to the Bootstrap*, ch. 13): instructions are drawn
with replacement n at a time, and the interval is the central share of the resampled statistic. Drawing n of n with
replacement gives each instruction a multinomial weight, so a resampled sum is a weighted sum and all resamples are
one matrix product. Two methods are compared on the same draws (paired), which removes what is common to both:
how hard the instructions are.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IndexArray = npt.NDArray[np.intp]

#: Weights held in memory at once.
_BLOCK = 2_000_000
#: Instructions whose weights are multiplied at once.
_ROWS = 4096
#: Weights kept, a byte each; where n · samples is more, there are fewer resamples, but never below `_FEWEST`.
_KEPT = 2_000_000_000
_FEWEST = 200


@dataclass(frozen=True)
class Interval:
    """A statistic and the interval around it; all three are NaN where there was nothing to average."""

    value: float
    low: float
    high: float


class Resamples:
    """The same draws for everything that is compared.

    Weights are small whole numbers, kept as bytes and multiplied in double precision, so sums are as exact as any.

    Args:
        n: Instructions.
        samples: Resamples; 0 gives intervals without ends.
        seed: Of the draws; they are those of `bootstrap_weights`.
    """

    def __init__(self, n: int, *, samples: int, seed: int) -> None:
        self.n = n
        self.samples = min(samples, max(_FEWEST, _KEPT // max(n, 1)))
        self._weights = np.empty((n, self.samples), dtype=np.uint8)  # row by row is how they are read
        start = 0
        for block in bootstrap_weights(n, samples=self.samples, seed=seed) if n else ():
            self._weights[:, start : start + len(block)] = block.T
            start += len(block)

    def sums(self, columns: FloatArray, rows: IndexArray | None = None) -> FloatArray:
        """Return the resampled sum of each column, (samples, k).

        Args:
            columns: (n, k), without NaN; or (len(rows), k).
            rows: Which instructions the rows of `columns` are; None means all, in order.
        """
        total = np.zeros((self.samples, columns.shape[1]))
        for start in range(0, len(columns), _ROWS):
            stop = start + _ROWS
            weights = self._weights[start:stop] if rows is None else self._weights[rows[start:stop]]
            total += weights.T.astype(np.float64) @ columns[start:stop]
        return total

    def counts(self, groups: IndexArray, number: int) -> FloatArray:
        """Return how often instructions of each group are drawn, (samples, number).

        Args:
            groups: (n,), the group of each instruction, from 0; below 0 is in none.
            number: Groups in all.
        """
        order = np.argsort(groups, kind="stable")
        ends = np.searchsorted(groups[order], np.arange(number), side="right")
        start, found = int(np.searchsorted(groups[order], 0)), np.zeros((self.samples, number))
        for group, stop in enumerate(ends):
            for first in range(start, int(stop), _ROWS):
                weights = self._weights[order[first : min(first + _ROWS, int(stop))]]
                found[:, group] += weights.sum(axis=0, dtype=np.int64)
            start = int(stop)
        return found

    def group_sums(self, values: FloatArray, order: IndexArray, ends: IndexArray) -> tuple[FloatArray, FloatArray]:
        """Return the resampled count and sum of `values` in each of g consecutive groups, (samples, g) both.

        Args:
            values: (m,), without NaN.
            order: The instruction of each value, (m,).
            ends: Where each group ends in them, rising, (g,); the last is m.
        """
        counts, sums = np.zeros((self.samples, len(ends))), np.zeros((self.samples, len(ends)))
        start = 0
        for group, stop in enumerate(ends):
            for first in range(start, int(stop), _ROWS):
                inside = slice(first, min(first + _ROWS, int(stop)))
                weights = self._weights[order[inside]]
                counts[:, group] += weights.sum(axis=0, dtype=np.int64)
                sums[:, group] += values[inside] @ weights.astype(np.float64)
            start = int(stop)
        return counts, sums


def bootstrap_weights(n: int, *, samples: int, seed: int) -> Iterator[FloatArray]:
    """Yield multinomial weights in blocks of rows, `samples` rows of length n in all, each summing to n."""
    rng = np.random.default_rng(seed)
    rows = max(1, _BLOCK // max(n, 1))
    for start in range(0, samples, rows):
        block = min(rows, samples - start)
        cells = rng.integers(0, n, size=(block, n)) + np.arange(block)[:, None] * n
        yield np.bincount(cells.ravel(), minlength=block * n).reshape(block, n).astype(np.float64)


def mean_intervals(
    values: FloatArray, *, confidence: float = 0.95, samples: int = 2000, seed: int = 0
) -> list[Interval]:
    """Return the mean of each column with its interval; every column sees the same draws.

    Args:
        values: (n, k); NaN entries are left out of their column.
        confidence: The share of resamples inside the interval.
        samples: How many resamples.
        seed: Of the draws.
    """
    n, columns = values.shape
    known = ~np.isnan(values)
    if not n or not known.any():
        return [Interval(float("nan"), float("nan"), float("nan"))] * columns
    filled, mask = np.where(known, values, 0.0), known.astype(np.float64)
    resampled = np.empty((samples, columns))
    start = 0
    with np.errstate(invalid="ignore", divide="ignore"):
        for weights in bootstrap_weights(n, samples=samples, seed=seed):
            resampled[start : start + len(weights)] = (weights @ filled) / (weights @ mask)
            start += len(weights)
        means = filled.sum(axis=0) / mask.sum(axis=0)
    return [percentile_interval(float(means[j]), resampled[:, j], confidence) for j in range(columns)]


def mean_interval(values: FloatArray, *, confidence: float = 0.95, samples: int = 2000, seed: int = 0) -> Interval:
    """Return the mean of `values` (n,) with its interval; NaN entries are left out."""
    column = np.asarray(values, dtype=np.float64)[:, None]
    return mean_intervals(column, confidence=confidence, samples=samples, seed=seed)[0]


def paired_difference(
    a: FloatArray, b: FloatArray, *, confidence: float = 0.95, samples: int = 2000, seed: int = 0
) -> Interval:
    """Return mean(a − b) with its interval over the instructions where both are known."""
    difference = np.asarray(a, dtype=np.float64) - np.asarray(b, dtype=np.float64)
    return mean_interval(difference, confidence=confidence, samples=samples, seed=seed)


def gap_interval(
    routed: FloatArray,
    best_single: FloatArray,
    oracle: FloatArray,
    *,
    confidence: float = 0.95,
    samples: int = 2000,
    seed: int = 0,
) -> Interval:
    """Return (routed − best single) ÷ (oracle − best single), of means, with its interval from paired draws.

    Only rows all three (n,) are known for count. NaN where the oracle is no better than the best single expert.
    """
    known = ~(np.isnan(routed) | np.isnan(best_single) | np.isnan(oracle))
    gained, possible = (routed - best_single)[known], (oracle - best_single)[known]
    if not known.any() or possible.mean() <= 1e-12:
        return Interval(float("nan"), float("nan"), float("nan"))
    parts = np.column_stack([gained, possible])
    sums = np.concatenate([weights @ parts for weights in bootstrap_weights(len(parts), samples=samples, seed=seed)])
    usable = sums[sums[:, 1] > 0]
    return percentile_interval(float(gained.mean() / possible.mean()), usable[:, 0] / usable[:, 1], confidence)


def percentile_interval(value: float, resampled: FloatArray, confidence: float = 0.95) -> Interval:
    """Return `value` with the central `confidence` share of `resampled`; resamples that are NaN are left out."""
    usable = resampled[~np.isnan(resampled)]
    if not len(usable) or np.isnan(value):
        return Interval(value, float("nan"), float("nan"))
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(usable, [tail, 1.0 - tail])
    return Interval(value, float(low), float(high))
