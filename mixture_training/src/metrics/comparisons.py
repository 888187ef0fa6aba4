"""Whether a difference is more than chance, alone and among many; and means over repeated splits."""

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


def bootstrap_p_value(resampled: FloatArray) -> float:
    """Return the two-sided p-value of a difference being 0, from its bootstrap resamples.

    Twice the smaller of the shares of resamples on either side of 0, each counted with one resample more, so that it is
    never 0 (Davison & Hinkley 1997, *Bootstrap Methods and their Application*, eq. 4.11): it agrees with the percentile
    interval, which excludes 0 at 95 % where p is below 0.05.

    Args:
        resampled: Differences, (samples,); NaN ones are left out.
    """
    usable = resampled[~np.isnan(resampled)]
    if not len(usable):
        return float("nan")
    low, high = (int(np.sum(side)) + 1 for side in (usable <= 0.0, usable >= 0.0))
    return min(1.0, 2.0 * min(low, high) / (len(usable) + 1))


def holm(p_values: FloatArray) -> FloatArray:
    """Return p-values corrected for how many they are (Holm 1979, *Scand. J. Statist.* 6).

    The smallest is multiplied by their number m, the next by m − 1 and so on; none falls below a smaller one. NaN stays
    and does not count.
    """
    corrected = np.full(len(p_values), np.nan)
    known = np.flatnonzero(~np.isnan(p_values))
    order = known[np.argsort(p_values[known], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(p_values[order] * factors), 1.0)
    return corrected


def repeated_mean(values: FloatArray, *, test_to_train: float) -> tuple[float, float, float]:
    """Return the mean of one figure over repeated random splits, and its 95 % interval.

    Splits share their rows, so the variance of the mean is (1/k + test ÷ train) s², not s²/k (Nadeau & Bengio 2003,
    "Inference for the Generalization Error", Machine Learning 52), with k − 1 degrees of freedom.

    Args:
        values: One a split, (k,); NaN ones are left out.
        test_to_train: Test rows for each train row.

    Returns:
        (mean, low, high); no interval from fewer than two.
    """
    from scipy.stats import t

    usable = values[~np.isnan(values)]
    if len(usable) < 2:
        return float(usable.mean()) if len(usable) else float("nan"), float("nan"), float("nan")
    mean = float(usable.mean())
    error = float(np.sqrt((1.0 / len(usable) + test_to_train) * usable.var(ddof=1)))
    half = float(t.ppf(0.975, len(usable) - 1)) * error
    return mean, mean - half, mean + half
