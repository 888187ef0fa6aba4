"""How good a routing is, beside the best single expert and the oracle. Arguments are scores per instruction."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class WinRate:
    """Shares of the instructions that both sides have a score for; NaN where there is none."""

    wins: float
    ties: float
    losses: float


def gap_closed(routed: FloatArray, best_single: FloatArray, oracle: FloatArray) -> float:
    """Return (routed − best single) ÷ (oracle − best single), of means over the rows all three are known for.

    1 is the oracle, 0 is the best single expert, below 0 is worse than not routing. NaN where the oracle is no
    better than the best single expert, or no row is known.
    """
    both = ~(np.isnan(routed) | np.isnan(best_single) | np.isnan(oracle))
    if not both.any():
        return float("nan")
    base = best_single[both].mean()
    gap = oracle[both].mean() - base
    return float((routed[both].mean() - base) / gap) if gap > 1e-12 else float("nan")


def regret(routed: FloatArray, oracle: FloatArray) -> float:
    """Return the mean of oracle − routed over the rows both are known for; NaN without any."""
    difference = oracle - routed
    known = ~np.isnan(difference)
    return float(difference[known].mean()) if known.any() else float("nan")


def win_rate(a: FloatArray, b: FloatArray) -> WinRate:
    """Return how often `a` scores above, equal to and below `b`."""
    difference = a - b
    known = difference[~np.isnan(difference)]
    if not len(known):
        return WinRate(float("nan"), float("nan"), float("nan"))
    return WinRate(float((known > 0).mean()), float((known == 0).mean()), float((known < 0).mean()))


def choice_entropy(counts: FloatArray) -> FloatArray:
    """Return the entropy of the choices over that of an even spread, −Σ p ln p ÷ ln E, (…).

    0 is routing collapse, one expert for everything; 1 is every expert equally often.

    Args:
        counts: How often each expert was chosen, (…, E).

    Returns:
        NaN without a choice; 0 where there is only one expert.
    """
    totals = counts.sum(axis=-1, keepdims=True)
    shares = np.divide(counts, totals, out=np.full(counts.shape, np.nan), where=totals > 0)
    logs = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
    entropy: FloatArray = -(shares * logs).sum(axis=-1) / np.log(max(counts.shape[-1], 2))
    return np.abs(entropy)
