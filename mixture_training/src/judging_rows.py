"""The rows that routers are judged on, and what every reference point does on them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mixture_training.src.metrics.curves import Curve, cost_weights, promising_first, sweep, swept
from mixture_training.src.metrics.references import (
    best_column,
    best_per_category,
    hull,
    known_means,
    oracle,
    pick,
    random_values,
)
from mixture_training.src.policy import IndexArray
from mixture_training.src.training_data import FloatArray, TrainingData

#: Points of every curve.
POINTS = 40
#: Points that the interval of APGR and CPT is taken from.
_GAP_POINTS = 200


@dataclass(frozen=True)
class Swept:
    """What a router would do at each cost weight: score and USD per row, (n, points) both; a score may be NaN."""

    weights: FloatArray
    scores: FloatArray
    costs: FloatArray


@dataclass(frozen=True)
class Ordered:
    """The rows by falling predicted gain of the strong expert, for APGR and CPT.

    Attributes:
        predicted_gain: (n,).
        order: Rows that both experts are known for, those that promise most first.
        ends: Where each group of equals ends in them.
    """

    predicted_gain: FloatArray
    order: IndexArray
    ends: IndexArray


@dataclass(frozen=True)
class Rows:
    """What a router did on each row.

    Attributes:
        scores: (n,), NaN where the chosen expert has none.
        costs: (n,), USD, NaN where unknown.
        choice: (n,), columns of `experts`, −1 for none; None where chance chooses.
        experts: The names.
        swept: Its curve, or None where it has a single point.
        ordered: For APGR and CPT, or None where they are not defined.
        extras: Further fields of its `Result`.
    """

    scores: FloatArray
    costs: FloatArray
    choice: IndexArray | None
    experts: tuple[str, ...]
    swept: Swept | None = None
    ordered: Ordered | None = None
    extras: Mapping[str, Any] = field(default_factory=dict)

    def names(self) -> tuple[str | None, ...]:
        """Return the expert chosen for each row, None where there is none."""
        if self.choice is None:
            return (None,) * len(self.scores)
        return tuple(None if column < 0 else self.experts[column] for column in self.choice.tolist())

    def share(self, inside: slice | IndexArray = slice(None)) -> dict[str, float]:
        """Return expert -> share of the rows sent to it, those that got any."""
        if self.choice is None:
            return {}
        choice = self.choice[inside]
        counts = np.bincount(choice[choice >= 0], minlength=len(self.experts)) / max(len(choice), 1)
        return {name: float(part) for name, part in zip(self.experts, counts, strict=True) if part}


class Judged:
    """The rows to judge on, with the reference choices; everything that chooses has learned from `learned`."""

    def __init__(self, data: TrainingData, learned: TrainingData) -> None:
        self.data = data
        self._learned = learned
        self.best = best_column(learned.scores, learned.costs)
        self.weak = _weak_column(learned, self.best)
        self.expert_costs, self.expert_scores = known_means(data.costs), known_means(data.scores)
        self.hull = hull(self.expert_costs, self.expert_scores)

    def chosen(self, choice: IndexArray, **more: Any) -> Rows:  # noqa: ANN401 - fields of Rows
        """Return the rows of fixed choices, −1 where there is none."""
        data = self.data
        return Rows(pick(data.scores, choice), pick(data.costs, choice), choice, data.experts, **more)

    def references(self) -> dict[str, Rows]:
        """Return the rows of every reference point."""
        data, learned = self.data, self._learned
        everyone = np.arange(len(data.experts), dtype=np.intp)
        found = {
            "random": Rows(
                random_values(data.scores),
                random_values(data.costs),
                None,
                data.experts,
                ordered=self.ordered(np.zeros_like(data.scores)),
            )
        }
        for column, name in zip(everyone, data.experts, strict=True):
            found[f"expert:{name}"] = self.chosen(np.full(len(data), column))
        found["best_single"] = self.chosen(np.full(len(data), everyone[self.best]))
        found["best_per_category"] = self.chosen(
            best_per_category(learned.scores, learned.costs, learned.categories, data.categories)
        )
        top = int(np.argmax(np.where(np.isnan(self.expert_scores), -np.inf, self.expert_scores)))
        found["zero_router"] = self.chosen(np.full(len(data), everyone[top]))
        found["oracle"] = self.chosen(
            oracle(data.scores, data.costs),
            swept=self.swept(*self._truth(), data.scores, data.costs),
            ordered=self.ordered(data.scores),
        )
        return found

    def oracle_curve(self) -> Curve | None:
        """Return what the oracle reaches along the cost weights; None where no cost is known."""
        if np.isnan(self.expert_costs).all():
            return None
        truth = self._truth()
        weights = cost_weights(*truth, count=POINTS, distinct=False)
        return sweep(*truth, self.data.scores, self.data.costs, weights=weights)

    def swept(
        self, predicted_scores: FloatArray, predicted_costs: FloatArray, scores: FloatArray, costs: FloatArray
    ) -> Swept:
        """Return the curve of routing by predictions, `POINTS` points or, where nothing ever changes, one."""
        weights = cost_weights(predicted_scores, predicted_costs, count=POINTS, distinct=False)
        return Swept(weights, *swept(predicted_scores, predicted_costs, scores, costs, weights=weights))

    def ordered(self, predicted_scores: FloatArray) -> Ordered | None:
        """Return what APGR and CPT need of predictions with the dataset's columns."""
        if self.weak is None:
            return None
        gain = predicted_scores[:, self.best] - predicted_scores[:, self.weak]
        weak, strong = self.pair()
        return Ordered(gain, *promising_first(gain, weak, strong, groups=_GAP_POINTS))

    def pair(self) -> tuple[FloatArray, FloatArray]:
        """Return the scores of the weak and of the strong expert."""
        weak = self.best if self.weak is None else self.weak
        return self.data.scores[:, weak], self.data.scores[:, self.best]

    def _truth(self) -> tuple[FloatArray, FloatArray]:
        """Return the observed scores and costs with nothing missing: unscored is never worth it, unpriced is dear."""
        known = self.expert_costs[~np.isnan(self.expert_costs)]
        dearest = float(known.max()) if len(known) else 0.0
        data = self.data
        return (
            np.where(np.isnan(data.scores), -1.0, data.scores),
            np.where(np.isnan(data.costs), dearest, data.costs),
        )


def _weak_column(learned: TrainingData, best: int) -> int | None:
    """Return the cheapest expert but the best on train; the worst where costs are unknown."""
    if len(learned.experts) < 2:
        return None
    costs, scores = known_means(learned.costs), known_means(learned.scores)
    key = np.where(np.isnan(costs), np.inf, costs)
    order = np.lexsort((np.where(np.isnan(scores), np.inf, scores), key))
    return int(next(column for column in order if column != best))
