"""All that makes a classifier's scores fit to decide by, learned from rows the classifier has not learned from.

Those rows are the validation rows and, where the classifier offers its predictions for parts of train that it was
cross-validated on (`out_of_fold_`) or is fast enough to be cross-validated here, the train rows as well: a few hundred
validation rows alone rarely show what a router gains.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from dataset_build import Price
from mixture_training.src.calibration import Calibration, fit_calibration
from mixture_training.src.classifier import Classifier, Prediction
from mixture_training.src.costs import CostModel
from mixture_training.src.guard import Guard, TradeOffs, judge_guard
from mixture_training.src.intervals import Intervals, fit_intervals
from mixture_training.src.metrics.curves import cost_weights
from mixture_training.src.metrics.references import best_column
from mixture_training.src.novelty import Novelty, fit_novelty
from mixture_training.src.trade_off import trade_off_of
from mixture_training.src.training_data import FloatArray, TrainingData

#: Classifiers that are cross-validated here on at most so many rows, in so many parts.
_FAST = ("linear", "logistic", "kernel", "knn", "cluster", "hierarchical", "factorisation")
_MOST_ROWS, _FOLDS = 10_000, 5
#: Trade-offs at which calibration must not make routing worse.
_WEIGHTS = 7


@dataclass(frozen=True)
class Assurance:
    """What is known about a classifier's scores; by default nothing.

    Attributes:
        calibration: Makes scores mean what they say.
        intervals: Around them.
        novelty: How far an instruction is from training.
        guard: Whether routing was shown to be better than no routing.
        trade_offs: What routing costs and reaches.
    """

    calibration: Calibration = field(default_factory=Calibration.identity)
    intervals: Intervals | None = None
    novelty: Novelty | None = None
    guard: Guard | None = None
    trade_offs: TradeOffs | None = None

    def expect(self, prediction: Prediction) -> Prediction:
        """Return the prediction with calibrated scores."""
        if self.calibration.is_identity:
            return prediction
        return replace(prediction, scores=self.calibration.apply(prediction.scores))

    def distances(self, prediction: Prediction) -> FloatArray | None:
        """Return how far each instruction is from training, (n,), above 1 for a novel one; None where nothing tells."""
        if self.novelty is None or prediction.vectors is None:
            return None
        return self.novelty.distances(prediction.vectors)

    def to_state(self) -> dict[str, Any]:
        """Return all but the `arrays` as JSON-able values."""
        return {
            "calibration": self.calibration.to_state(),
            "intervals": None if self.intervals is None else self.intervals.to_state(),
            "guard": None if self.guard is None else self.guard.to_state(),
            "trade_offs": None if self.trade_offs is None else self.trade_offs.to_state(),
        }

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the measure of novelty, by name; none where there is none."""
        return {} if self.novelty is None else self.novelty.arrays()

    @classmethod
    def from_state(cls, state: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]], experts: int) -> "Assurance":
        """Return what `to_state` and `arrays` described; what is not there is not known.

        Raises:
            ValueError: a part is damaged.
        """
        calibration, intervals, guard, trade_offs = (
            state.get(name) for name in ("calibration", "intervals", "guard", "trade_offs")
        )
        return cls(
            Calibration.identity() if calibration is None else Calibration.from_state(calibration, experts),
            None if intervals is None else Intervals.from_state(intervals, experts),
            Novelty.from_arrays(arrays) if arrays else None,
            None if guard is None else Guard.from_state(guard, experts),
            None if trade_offs is None else TradeOffs.from_state(trade_offs),
        )


@dataclass(frozen=True)
class _Rows:
    """Rows not learned from: what was expected and what was observed."""

    scores: FloatArray
    costs: FloatArray
    distances: FloatArray | None
    truth: FloatArray
    paid: FloatArray


def fit_assurance(
    classifier: Classifier,
    train: TrainingData,
    validation: TrainingData,
    prediction: Prediction,
    *,
    prices: Sequence[Price] | None = None,
    guard: bool = True,
    seed: int = 0,
) -> tuple[CostModel, Assurance]:
    """Return the cost model of a classifier and what can be said about its scores.

    Args:
        classifier: Fitted on `train`.
        train: What it learned from.
        validation: What it has not; may be empty.
        prediction: What it expects for the rows of `validation`.
        prices: The `Price` of each expert; None where they are unknown.
        guard: Whether the guard is to be heeded.
        seed: Of all parts and of the bootstrap.
    """
    vectors = classifier.vectors_of(train.texts)
    costs, left_out_costs = CostModel.fit_left_out(
        train, category_names=classifier.category_names_, vectors=vectors, prices=prices
    )
    costs = costs.choose_source(validation, prediction)
    novelty = None
    if vectors is not None and prediction.vectors is not None:
        novelty = fit_novelty(vectors, prediction.vectors, seed=seed)
    rows = _Rows(
        prediction.scores,
        costs.predict(validation.texts, prediction),
        None if novelty is None else novelty.held_out,
        validation.scores,
        validation.costs,
    )
    out_of_fold = _out_of_fold(classifier, train, vectors, seed)
    if out_of_fold is not None:
        rows = _Rows(
            np.concatenate([np.clip(out_of_fold, 0.0, 1.0), rows.scores]),
            np.concatenate([left_out_costs, rows.costs]),
            None if novelty is None or rows.distances is None else np.concatenate([novelty.train, rows.distances]),
            np.concatenate([train.scores, rows.truth]),
            np.concatenate([train.costs, rows.paid]),
        )
    measure = None if novelty is None else novelty.measure
    if not len(rows.truth) or np.isnan(rows.truth).all():
        return costs, Assurance(novelty=measure)
    best = best_column(train.scores, train.costs)
    mean_scores, mean_costs = train.expert_means(), costs.overall
    grid = cost_weights(mean_scores[None], mean_costs[None], count=_WEIGHTS)
    calibrated = fit_calibration(rows.scores, rows.truth, rows.costs, grid[grid > 0.0].tolist(), seed=seed)
    scores = calibrated.scores
    singles = np.tile(mean_scores, (len(scores), 1)), np.tile(mean_costs, (len(scores), 1))
    routed = trade_off_of(scores, rows.costs, rows.truth, rows.paid, best, seed=seed)
    single = trade_off_of(*singles, rows.truth, rows.paid, best, seed=seed)
    found = judge_guard(
        scores, rows.costs, rows.truth, rows.paid, mean_scores, mean_costs, best=best, on=guard, seed=seed
    )
    return costs, Assurance(
        calibrated.calibration,
        fit_intervals(scores, rows.truth, rows.distances),
        measure,
        found,
        None if routed is None or single is None else TradeOffs(routed, single),
    )


def _out_of_fold(
    classifier: Classifier, train: TrainingData, vectors: npt.NDArray[np.float32] | None, seed: int
) -> FloatArray | None:
    """Return what the classifier gives train rows it has not learned from, (n, E); None where that takes too long."""
    from mixture_training.src.stacking import folds_of
    from mixture_training.src.vector_classifier import Encoded, VectorClassifier

    offered: FloatArray | None = getattr(classifier, "out_of_fold_", None)
    if offered is not None and offered.shape == train.scores.shape:
        return offered
    if not isinstance(classifier, VectorClassifier) or classifier.kind not in _FAST or vectors is None:
        return None
    if len(train) > _MOST_ROWS:
        return None
    fold_of = folds_of(train.texts, _FOLDS, seed=seed)
    found = np.tile(train.expert_means(), (len(train), 1))
    for fold in np.unique(fold_of):
        inside = fold_of == fold
        learned = train.take(~inside)
        if inside.all() or np.isnan(learned.expert_means()).any():
            return None
        again = type(classifier)(**classifier.options())
        again.fit_vectors(Encoded(vectors[~inside], learned), Encoded(vectors[:0], train.take([])))
        found[inside] = again.predict_vectors(vectors[inside]).scores
    return found
