"""Between which bounds a score will lie, wider where the router knows less.

Split conformal intervals with a locally weighted residual (Lei et al. 2018, arXiv:1604.04173, section 5.2): a score
differs from what was expected by at most q · s(score) in `LEVEL` of the rows, where s² = v · score · (1 − score) + a
little, as for outcomes that are 0 or 1, and q and v are those of the expert on rows the classifier has not learned
from. That holds for instructions like those; on recorded data residuals do not grow with distance among them, and are
no guide to what lies outside (coverage of categories left out of training fell to 38 %). So an interval widens to all
of [0, 1] between the distance of one training row in ten and that of a novel instruction.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mixture_training.src.training_data import FloatArray

#: Share of scores inside their interval, for instructions like those of training.
LEVEL = 0.9
#: Fewer known scores of an expert than this, and those of all experts serve it.
LEAST = 50
#: Share of left-out rows nearer than where intervals begin to widen.
NEAR = 0.9
#: Variance that is left where a score is expected to be 0 or 1.
_FLOOR = 0.0025


@dataclass(frozen=True)
class Intervals:
    """Half-widths as learned.

    Attributes:
        quantiles: (E,), q; infinite where nothing is known.
        spreads: (E,), v.
        near: The distance at which intervals begin to widen, at most 1; at 1 they are all of [0, 1].
    """

    quantiles: FloatArray
    spreads: FloatArray
    near: float = 1.0

    def around(self, scores: FloatArray, distances: FloatArray | None = None) -> tuple[FloatArray, FloatArray]:
        """Return (low, high), each (n, E).

        Args:
            scores: (n, E), expected.
            distances: (n,), as `Novelty` gives them; None widens nothing.
        """
        half = self.quantiles * np.sqrt(self.spreads * scores * (1.0 - scores) + _FLOOR)
        low, high = np.maximum(scores - half, 0.0), np.minimum(scores + half, 1.0)
        if distances is not None:
            far = np.minimum(np.maximum((distances - self.near) / max(1.0 - self.near, 1e-9), 0.0), 1.0)[:, None]
            low, high = low * (1.0 - far), high + (1.0 - high) * far
        return low, high

    def to_state(self) -> dict[str, Any]:
        """Return the half-widths as JSON-able values; null is infinite."""
        quantiles = [value if np.isfinite(value) else None for value in self.quantiles.tolist()]
        return {"quantiles": quantiles, "spreads": self.spreads.tolist(), "near": self.near}

    @classmethod
    def from_state(cls, state: Mapping[str, Any], experts: int) -> "Intervals":
        """Return the intervals that `to_state` described.

        Raises:
            ValueError: a number is missing or out of range.
        """
        quantiles = np.array([np.inf if value is None else float(value) for value in state["quantiles"]])
        spreads, near = np.asarray(state["spreads"], dtype=np.float64), float(state["near"])
        if quantiles.shape != (experts,) or spreads.shape != (experts,):
            raise ValueError("intervals are not those of the experts")
        if not ((quantiles >= 0).all() and np.isfinite(spreads).all() and (spreads >= 0).all() and 0 <= near <= 1):
            raise ValueError("an interval is no interval")
        return cls(quantiles, spreads, near)


def fit_intervals(expected: FloatArray, truth: FloatArray, distances: FloatArray | None = None) -> Intervals:
    """Return the intervals that rows not learned from ask for.

    Args:
        expected: (n, E), expected scores.
        truth: (n, E), NaN where missing.
        distances: (n,), of the same rows; None where there is no measure.
    """
    known = ~np.isnan(truth)
    off = np.abs(expected - truth)
    variance = expected * (1.0 - expected)
    quantiles, spreads = np.empty(truth.shape[1]), np.empty(truth.shape[1])
    for column in range(truth.shape[1]):
        cells = np.zeros_like(known)
        cells[:, column] = known[:, column]
        if cells.sum() < LEAST:
            cells = known
        spreads[column] = (off[cells] ** 2).mean() / max(float(variance[cells].mean()), 1e-6) if cells.any() else 1.0
        spreads[column] = min(spreads[column], 100.0)
        quantiles[column] = _quantile(off[cells] / np.sqrt(spreads[column] * variance[cells] + _FLOOR))
    near = 1.0 if distances is None or not len(distances) else min(float(np.quantile(distances, NEAR)), 1.0)
    return Intervals(quantiles, spreads, near)


def _quantile(residuals: FloatArray) -> float:
    """Return the ⌈(n + 1) · `LEVEL`⌉-th smallest; infinite where there are too few."""
    place = int(np.ceil((len(residuals) + 1) * LEVEL)) - 1
    return float(np.partition(residuals, place)[place]) if place < len(residuals) else float("inf")
