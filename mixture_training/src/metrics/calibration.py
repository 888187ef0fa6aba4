"""Whether predicted scores mean what they say.

The reliability diagram is DeGroot and Fienberg's (1983); the expected calibration error, over bins of equal width, is
Naeini, Cooper and Hauskrecht's (2015) as Guo et al. use it (2017, arXiv:1706.04599, eq. 3); the Brier score is the mean
squared difference (Brier, 1950). All three hold for scores between 0 and 1 as they do for outcomes that are 0 or 1.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

#: Bins of [0, 1] where a caller names no other number.
BINS = 15


@dataclass(frozen=True)
class Reliability:
    """How predicted scores compare with observed ones, over all cells with a score.

    Attributes:
        predicted: Mean prediction of each bin, rising; bins without a cell are left out.
        observed: Mean observed score of each bin.
        counts: Cells in each bin.
        ece: Expected calibration error; NaN without any cell.
        brier: Mean squared difference; NaN likewise.
    """

    predicted: FloatArray
    observed: FloatArray
    counts: FloatArray
    ece: float
    brier: float


def reliability(predicted: FloatArray, truth: FloatArray, bins: int = BINS) -> Reliability:
    """Return the reliability of predictions over `bins` bins of equal width.

    Args:
        predicted: Predicted scores in [0, 1], any shape.
        truth: Observed scores of the same shape; NaN where there is none.
        bins: How many bins [0, 1] is cut into.

    Raises:
        ValueError: the shapes differ, or there is no bin.
    """
    if predicted.shape != truth.shape:
        raise ValueError(f"Predicted scores of shape {predicted.shape} and observed ones of shape {truth.shape}.")
    if bins < 1:
        raise ValueError(f"{bins} bins; at least 1 is needed.")
    known = ~(np.isnan(predicted) | np.isnan(truth))
    given, seen = predicted[known].astype(np.float64), truth[known].astype(np.float64)
    if not len(given):
        nothing = np.empty(0)
        return Reliability(nothing, nothing, nothing, float("nan"), float("nan"))
    place = np.clip((given * bins).astype(np.intp), 0, bins - 1)
    counts = np.bincount(place, minlength=bins).astype(np.float64)
    used = counts > 0
    sums = (np.bincount(place, weights=values, minlength=bins)[used] for values in (given, seen))
    mean_given, mean_seen = (total / counts[used] for total in sums)
    error = float(np.abs(mean_given - mean_seen) @ counts[used] / len(given))
    return Reliability(mean_given, mean_seen, counts[used], error, float(np.mean((given - seen) ** 2)))


def expected_calibration_error(predicted: FloatArray, truth: FloatArray, bins: int = BINS) -> float:
    """Return Σ (share of cells in the bin) · |mean prediction − mean observed|; NaN without any known cell."""
    return reliability(predicted, truth, bins).ece


def brier_score(predicted: FloatArray, truth: FloatArray) -> float:
    """Return the mean of (predicted − observed)² over the known cells; NaN without any."""
    return reliability(predicted, truth, 1).brier
