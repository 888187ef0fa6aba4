"""Ridge regression from an encoder's vectors to the score of each expert.

The penalty is chosen per expert by leave-one-out error, which ridge gives in closed form (Golub, Heath and Wahba,
1979): one eigendecomposition serves every penalty and every expert with scores for the same rows.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mixture_training.src.ability_head import AbilityHead
from mixture_training.src.category_head import CategoryHead
from mixture_training.src.classifier import Classifier, Prediction
from mixture_training.src.encoders.factory import load_encoder, make_encoder, save_encoder
from mixture_training.src.targets import as_scores, check_learnable
from mixture_training.src.training_data import FloatArray, TrainingData

#: Penalties tried, for unit vectors.
ALPHAS = tuple(float(alpha) for alpha in np.logspace(-2, 4, 25))


class LinearClassifier(Classifier):
    """A weight vector per expert.

    Args:
        encoder: Name of the encoder.
        seed: Unused by the model itself, which has no chance in it.
    """

    kind = "linear"

    def __init__(self, encoder: str = "minilm+tfidf", seed: int = 0) -> None:
        self.encoder = encoder
        self.seed = seed

    def fit(self, train: TrainingData, validation: TrainingData) -> "LinearClassifier":
        """Learn from every row that has a score, expert by expert; `validation` is not needed."""
        check_learnable(train)
        self.experts_ = train.experts
        self.category_names_, self.ability_names_ = train.category_names, train.ability_names
        self._encoder = make_encoder(self.encoder).fit(train.texts)
        vectors = self._encoder.encode(train.texts).astype(np.float64)
        known = ~np.isnan(train.scores)
        self._weights = np.zeros((vectors.shape[1], len(train.experts)))
        self._bias = np.zeros(len(train.experts))
        self._alphas = np.zeros(len(train.experts))
        for mask in np.unique(known, axis=1).T:
            group = np.flatnonzero((known == mask[:, None]).all(axis=0))
            solved = ridge(vectors[mask], train.scores[np.ix_(mask, group)])
            self._weights[:, group], self._bias[group], self._alphas[group] = solved
        self._categories = CategoryHead.fit(vectors, train)
        self._abilities = AbilityHead.fit(vectors, train)
        return self

    def predict(self, texts: Sequence[str]) -> Prediction:
        """Return the regression's values, clipped to [0, 1]."""
        vectors = self._encoder.encode(texts).astype(np.float64)
        return Prediction(
            as_scores(vectors @ self._weights + self._bias),
            self._categories.predict(vectors),
            self._abilities.predict(vectors),
        )

    def save(self, folder: Path) -> dict[str, Any]:
        """Write encoder, weights and heads."""
        np.savez(folder / "linear.npz", weights=self._weights, bias=self._bias, alphas=self._alphas)
        self._categories.save(folder / "categories.npz")
        self._abilities.save(folder)
        return {
            "encoder": self.encoder,
            "seed": self.seed,
            "category_names": list(self._categories.names),
            "ability_names": list(self._abilities.names),
            "saved_encoder": save_encoder(self._encoder, folder / "encoder"),
        }

    @classmethod
    def load(cls, folder: Path, state: dict[str, Any]) -> "LinearClassifier":
        """Return the classifier that `save` wrote."""
        classifier = cls(state["encoder"], state["seed"])
        classifier._encoder = load_encoder(folder / "encoder", state["saved_encoder"])
        with np.load(folder / "linear.npz", allow_pickle=False) as arrays:
            classifier._weights, classifier._bias = arrays["weights"], arrays["bias"]
            classifier._alphas = arrays["alphas"]
        classifier._categories = CategoryHead.load(folder / "categories.npz", tuple(state["category_names"]))
        classifier._abilities = AbilityHead.load(folder, tuple(state.get("ability_names", ())))
        return classifier

    def diagnostics(self) -> dict[str, Any]:
        """Return the chosen penalty of each expert."""
        return {"encoder": self.encoder, "penalty": dict(zip(self.experts_, self._alphas.tolist(), strict=True))}


def ridge(vectors: FloatArray, scores: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return (weights, intercepts, penalties) of one ridge regression per column of `scores`.

    Args:
        vectors: (n, d).
        scores: (n, k), no NaN.
    """
    n = len(vectors)
    centre, level = vectors.mean(axis=0), scores.mean(axis=0)
    centred, targets = vectors - centre, scores - level
    values, directions = np.linalg.eigh(centred.T @ centred)
    values = np.maximum(values, 0.0)
    projected = centred @ directions
    moments = projected.T @ targets
    best_error = np.full(scores.shape[1], np.inf)
    solution: npt.NDArray[np.float64] = np.zeros_like(moments)
    penalties = np.full(scores.shape[1], ALPHAS[-1])
    for alpha in ALPHAS:
        shrunk = 1.0 / (values + alpha)
        coefficients = moments * shrunk[:, None]
        leverage = np.minimum((projected**2) @ shrunk + 1.0 / n, 1.0 - 1e-6)
        left_out = (targets - projected @ coefficients) / (1.0 - leverage)[:, None]
        error = (left_out**2).mean(axis=0)
        better = error < best_error
        best_error[better], penalties[better] = error[better], alpha
        solution[:, better] = coefficients[:, better]
    weights = directions @ solution
    return weights, level - centre @ weights, penalties
