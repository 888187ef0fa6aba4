"""What routing costs and reaches at every trade-off, measured on rows the classifier has not learned from.

The policies `budget` and `target` look their trade-off up here, so that one fitted router serves every budget. Both
start where the promise is surely kept (the cheapest trade-off, the best one) and go on until it would be broken: with
a bound that holds at `CONFIDENCE` for each step, that is fixed-sequence testing (for risks of predictors: Angelopoulos
et al. 2021, arXiv:2110.01052), and needs no correction for having looked at many.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from mixture_training.src.metrics.bootstrap import bootstrap_weights
from mixture_training.src.metrics.curves import cost_weights
from mixture_training.src.metrics.references import pick
from mixture_training.src.training_data import FloatArray

#: Confidence of each one-sided bound.
CONFIDENCE = 0.95
#: Trade-offs in a table, at most.
POINTS = 100
#: Resamples that bounds are taken from.
_SAMPLES = 1000


@dataclass(frozen=True)
class TradeOff:
    """One point per trade-off, the first for quality alone; all of length k.

    Attributes:
        weights: Score per USD, rising from 0.
        costs: Mean USD per instruction.
        costs_high: Its upper bound.
        qualities: Mean score.
        qualities_low: Its lower bound.
        qualities_high: Its upper bound.
        kept: Mean score ÷ that of the best single expert on the same rows.
        kept_low: Its lower bound, paired.
    """

    weights: FloatArray
    costs: FloatArray
    costs_high: FloatArray
    qualities: FloatArray
    qualities_low: FloatArray
    qualities_high: FloatArray
    kept: FloatArray
    kept_low: FloatArray

    def for_budget(self, budget: float) -> int | None:
        """Return the first point from which on every mean cost is within `budget`.

        As sure as `CONFIDENCE`; None where not even the last, the cheapest, is.
        """
        broken = np.flatnonzero(~(self.costs_high <= budget))
        first = int(broken[-1]) + 1 if len(broken) else 0
        return first if first < len(self.weights) else None

    def for_target(self, share: float) -> int | None:
        """Return the last point up to which every one keeps `share` of the best single expert's quality.

        As sure as `CONFIDENCE`; None where not even the first does.
        """
        broken = np.flatnonzero(~(self.kept_low >= share))
        last = int(broken[0]) - 1 if len(broken) else len(self.weights) - 1
        return last if last >= 0 else None

    def to_state(self) -> dict[str, Any]:
        """Return the table as JSON-able values."""
        return {part.name: getattr(self, part.name).tolist() for part in fields(self)}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> "TradeOff":
        """Return the table that `to_state` described.

        Raises:
            ValueError: a number is missing, or the trade-offs do not rise from 0.
        """
        columns = {part.name: np.asarray(state[part.name], dtype=np.float64) for part in fields(cls)}
        weights = columns["weights"]
        if weights.ndim != 1 or not len(weights) or any(column.shape != weights.shape for column in columns.values()):
            raise ValueError("the trade-offs are no table")
        if not all(np.isfinite(column).all() for column in columns.values()):
            raise ValueError("a trade-off is missing a number")
        if weights[0] != 0.0 or (np.diff(weights) <= 0.0).any() or columns["costs_high"].min() < 0.0:
            raise ValueError("the trade-offs do not rise from 0")
        return cls(**columns)


def trade_off_of(
    scores: FloatArray,
    costs: FloatArray,
    truth: FloatArray,
    paid: FloatArray,
    best: int,
    *,
    weights: Sequence[float] | FloatArray | None = None,
    seed: int = 0,
) -> TradeOff | None:
    """Return the table of choosing by score − weight · cost; None where no score is known.

    Args:
        scores: (n, E), expected, for rows not learned from.
        costs: (n, E), expected USD.
        truth: (n, E), observed scores, NaN where missing; such a choice is left out of the point's mean score.
        paid: (n, E), observed USD; an unknown one counts as expected.
        best: Column of the best single expert.
        weights: Score per USD, rising from 0; None means those at which choices change.
        seed: Of the bootstrap.
    """
    alone = truth[:, best]
    if not len(truth) or np.isnan(alone).all():
        return None
    grid = np.asarray(_weights(scores, costs) if weights is None else weights, dtype=np.float64)
    real = np.where(np.isnan(paid), costs, paid)
    reached, spent = np.empty((len(truth), len(grid))), np.empty((len(truth), len(grid)))
    for index, weight in enumerate(grid):
        chosen = np.lexsort((costs, -np.round(scores - weight * costs, 12)), axis=-1)[:, 0]
        reached[:, index], spent[:, index] = pick(truth, chosen), pick(real, chosen)
    reached[:, np.isnan(reached).all(axis=0)] = 0.0
    # A dear choice that happens once in a thousand may happen in none of n rows, and no resample of them shows it:
    # one more row at the dearest expert's cost stands for what was not seen. By cost alone there is no such choice.
    unseen = np.full((1, len(grid)), real.mean(axis=0).max())
    unseen[0, -1] = spent[:, -1].mean()
    both = ~(np.isnan(reached) | np.isnan(alone)[:, None])
    parts = {
        "qualities": (np.nan_to_num(reached), (~np.isnan(reached)).astype(np.float64)),
        "routed": (np.where(both, reached, 0.0), both.astype(np.float64)),
        "alone": (np.where(both, alone[:, None], 0.0), both.astype(np.float64)),
    }
    whole = np.ones((1, len(truth)))
    points = {name: _means(whole, *part)[0] for name, part in parts.items()}
    drawn: dict[str, list[FloatArray]] = {name: [] for name in parts}
    for block in bootstrap_weights(len(truth), samples=_SAMPLES, seed=seed):
        for name, part in parts.items():
            drawn[name].append(_means(block, *part))
    sampled = {name: np.concatenate(blocks) for name, blocks in drawn.items()}
    mean_spent, cautious = spent.mean(axis=0), np.concatenate([spent, unseen])
    drawn_spent = np.concatenate(
        [block @ cautious for block in bootstrap_weights(len(cautious), samples=_SAMPLES, seed=seed)]
    ) / len(cautious)
    kept = _ratio(sampled["routed"], sampled["alone"])
    tails = 1.0 - CONFIDENCE, CONFIDENCE
    return TradeOff(
        weights=grid,
        costs=mean_spent,
        costs_high=np.maximum(np.quantile(drawn_spent, tails[1], axis=0), mean_spent),
        qualities=points["qualities"],
        qualities_low=np.quantile(sampled["qualities"], tails[0], axis=0),
        qualities_high=np.quantile(sampled["qualities"], tails[1], axis=0),
        kept=_ratio(points["routed"], points["alone"]),
        kept_low=np.quantile(kept, tails[0], axis=0),
    )


def _weights(scores: FloatArray, costs: FloatArray) -> FloatArray:
    """Return the weights at which choices change, and one so large that only cost counts."""
    grid = cost_weights(scores, costs, count=POINTS - 1)
    return np.append(grid, max(grid[-1], 1.0) * 1e4)


def _means(weights: FloatArray, values: FloatArray, known: FloatArray) -> FloatArray:
    """Return weighted means, (samples, k); 0 where a resample holds no known value."""
    total = weights @ known
    return np.divide(weights @ values, total, out=np.zeros_like(total), where=total > 0)


def _ratio(routed: FloatArray, alone: FloatArray) -> FloatArray:
    """Return routed ÷ alone; keeping something of nothing keeps all of it."""
    return np.divide(routed, alone, out=np.ones_like(routed), where=alone > 0)
