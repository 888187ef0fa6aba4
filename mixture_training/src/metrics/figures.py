"""Figures that carry their resamples with them, so that what is computed from several of them has an interval too."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mixture_training.src.metrics.bootstrap import Interval, percentile_interval

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Figure:
    """A figure and what the resamples make of it, (samples,) or (samples, k)."""

    value: FloatArray
    resampled: FloatArray

    def interval(self) -> Interval:
        """Return the figure, a single number, with its interval."""
        return percentile_interval(float(self.value), self.resampled)

    def __sub__(self, other: "Figure") -> "Figure":
        """Return the paired difference."""
        return Figure(self.value - other.value, self.resampled - other.resampled)


def ratio(sums: FloatArray, counts: FloatArray | float) -> FloatArray:
    """Return sums ÷ counts, NaN where nothing was counted."""
    sums, counts = np.broadcast_arrays(np.asarray(sums, dtype=np.float64), np.asarray(counts, dtype=np.float64))
    quotient: FloatArray = np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)
    return quotient


def each(function: Callable[..., FloatArray], *figures: Figure) -> Figure:
    """Return a function of figures, resample by resample."""
    return Figure(function(*(figure.value for figure in figures)), function(*(figure.resampled for figure in figures)))


def stacked(figures: Sequence[Figure]) -> Figure:
    """Return single figures side by side, the last axis counting them."""
    return Figure(
        np.stack([figure.value for figure in figures], axis=-1),
        np.stack([figure.resampled for figure in figures], axis=-1),
    )


def known_mean(values: FloatArray) -> FloatArray:
    """Return the mean along the last axis over what is known, NaN where nothing is."""
    known = ~np.isnan(values)
    return ratio(np.where(known, values, 0.0).sum(axis=-1), known.sum(axis=-1))
