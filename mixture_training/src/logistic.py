"""Logistic regression from an encoder's vectors to the score of each expert.

Scores in [0, 1] are soft labels, fitted by cross-entropy; of preferences, each expert's strength is fitted (Bradley and
Terry, 1952) and its expected rate of wins against the others predicted. The penalty is chosen per expert by
cross-validation.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from mixture_training.src.cross_entropy import Axes, Loss, expected_scores, fit_linear, loss_of
from mixture_training.src.encoders.base import Embeddings
from mixture_training.src.stacking import folds_of
from mixture_training.src.targets import ScoreKind, score_kind, scored_rows
from mixture_training.src.training_data import FloatArray
from mixture_training.src.vector_classifier import Arrays, Encoded, VectorClassifier

#: Penalties tried, the strongest first, for unit vectors.
PENALTIES = tuple(float(penalty) for penalty in np.logspace(2.5, -1, 8))
#: Parts of train that are left out in turn to choose, and the rows of which they are parts at most.
_FOLDS, _TUNING_ROWS = 5, 5_000
#: A step that improves the loss by a smaller share than this is the last, while choosing.
_ROUGHLY = 1e-4
#: Scores of the average expert that an expert's own choice starts from.
_SHARED = 50.0


class LogisticClassifier(VectorClassifier):
    """A weight vector per expert, behind the logistic function.

    Args:
        encoder: Name of the encoder.
        penalty: Strength of the L2 penalty; None chooses.
        seed: Of the parts and rows that the choice is made on.
    """

    kind = "logistic"

    def __init__(self, encoder: str = "minilm+tfidf+features", penalty: float | None = None, seed: int = 0) -> None:
        self.encoder = encoder
        self.penalty = penalty
        self.seed = seed

    def _fit_scores(self, train: Encoded, validation: Encoded) -> None:
        scored = scored_rows(train.data)
        data = train.data.take(scored)
        axes, loss = Axes.of(train.vectors[scored]), loss_of(data.scores)
        self._kind: ScoreKind = score_kind(data.scores)
        self._penalties = np.full(len(self.experts_), self.penalty or PENALTIES[0])
        if self.penalty is None:
            rows = np.sort(np.random.default_rng(self.seed).permutation(len(data))[:_TUNING_ROWS])
            fold_of = folds_of([data.texts[row] for row in rows], _FOLDS, seed=self.seed)
            self._penalties = _choose(axes.take(rows), loss.take(rows), ~np.isnan(data.scores[rows]), fold_of)
        self._weights, self._bias = axes.untwist(*fit_linear(axes, loss, self._penalties))

    def _predict_scores(self, vectors: Embeddings, categories: FloatArray) -> FloatArray:
        return expected_scores(vectors.astype(np.float64) @ self._weights + self._bias, self._kind)

    def _arrays(self) -> Arrays:
        return {
            "weights": self._weights,
            "bias": self._bias,
            "penalties": self._penalties,
            "kind": np.array(self._kind),
        }

    def _restore(self, arrays: Arrays) -> None:
        self._weights, self._bias, self._penalties = arrays["weights"], arrays["bias"], arrays["penalties"]
        self._kind = arrays["kind"].item()

    def diagnostics(self) -> dict[str, Any]:
        """Return the encoder, what the scores were taken for, and the chosen penalty of each expert."""
        penalties = dict(zip(self.experts_, self._penalties.tolist(), strict=True))
        return {**super().diagnostics(), "scores": self._kind, "penalty": penalties}


def _choose(axes: Axes, loss: Loss, known: npt.NDArray[np.bool_], fold_of: npt.NDArray[np.intp]) -> FloatArray:
    """Return the penalty of each column with the smallest loss on rows left out, (k,).

    An expert with few scores of its own goes by the loss of all.
    """
    total = np.zeros((len(PENALTIES), known.shape[1]))
    for fold in np.unique(fold_of):
        inside = fold_of == fold
        if inside.all():
            break
        seen, learned, judged = axes.take(~inside), loss.take(~inside), loss.take(inside)
        start = None
        for row, penalty in enumerate(PENALTIES):
            coefficients, intercepts = fit_linear(seen, learned, penalty, start=start, progress=_ROUGHLY)
            start = np.vstack([coefficients, intercepts])
            total[row] += judged.cells(axes.turned[inside] @ coefficients + intercepts)[0].sum(axis=0)
    average = total.sum(axis=1, keepdims=True) / max(int(known.sum()), 1)
    chosen: FloatArray = np.array(PENALTIES)[(total + _SHARED * average).argmin(axis=0)]
    return chosen
