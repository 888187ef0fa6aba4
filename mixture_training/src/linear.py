"""Ridge regression from an encoder's vectors to the score of each expert.

The penalty is chosen per expert by leave-one-out error, which ridge gives in closed form (Golub, Heath and Wahba,
1979): one eigendecomposition serves every penalty and every expert with scores for the same rows.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mixture_training.src.encoders.base import Embeddings
from mixture_training.src.training_data import FloatArray
from mixture_training.src.vector_classifier import Arrays, Encoded, VectorClassifier

#: Penalties tried, for unit vectors.
ALPHAS = tuple(float(alpha) for alpha in np.logspace(-2, 4, 13))


class LinearClassifier(VectorClassifier):
    """A weight vector per expert.

    Args:
        encoder: Name of the encoder.
        seed: Of the encoder; the model itself has no chance in it.
    """

    kind = "linear"

    def __init__(self, encoder: str = "minilm+tfidf+features", seed: int = 0) -> None:
        self.encoder = encoder
        self.seed = seed

    def _fit_scores(self, train: Encoded, validation: Encoded) -> None:
        fitted = fit_ridge(train.vectors, train.data.scores)
        self._weights, self._bias, self._alphas = fitted.weights, fitted.bias, fitted.penalties

    def _predict_scores(self, vectors: Embeddings, categories: FloatArray) -> FloatArray:
        scores: FloatArray = vectors.astype(np.float64) @ self._weights + self._bias
        return scores

    def _arrays(self) -> Arrays:
        return {"weights": self._weights, "bias": self._bias, "alphas": self._alphas}

    def _restore(self, arrays: Arrays) -> None:
        self._weights, self._bias, self._alphas = arrays["weights"], arrays["bias"], arrays["alphas"]

    def diagnostics(self) -> dict[str, Any]:
        """Return the encoder and the chosen penalty of each expert."""
        return {**super().diagnostics(), "penalty": dict(zip(self.experts_, self._alphas.tolist(), strict=True))}


@dataclass(frozen=True)
class Ridge:
    """One ridge regression per expert.

    Attributes:
        weights: (d, E).
        bias: (E,).
        penalties: (E,), as chosen.
        left_out: (n, E), what each row is given by the regression without it; NaN where the score is missing.
    """

    weights: FloatArray
    bias: FloatArray
    penalties: FloatArray
    left_out: FloatArray

    def predict(self, vectors: npt.NDArray[np.floating]) -> FloatArray:
        """Return the regressions' values, (n, E)."""
        values: FloatArray = vectors.astype(np.float64) @ self.weights + self.bias
        return values


def fit_ridge(vectors: npt.NDArray[np.floating], scores: FloatArray) -> Ridge:
    """Return ridge regressions of every column of `scores`, each from the rows that have one.

    Args:
        vectors: (n, d).
        scores: (n, E), NaN where missing; every column has at least one.
    """
    exact = vectors.astype(np.float64)
    known = ~np.isnan(scores)
    experts = scores.shape[1]
    weights, bias, penalties = np.zeros((exact.shape[1], experts)), np.zeros(experts), np.zeros(experts)
    left_out = np.full(scores.shape, np.nan)
    for mask in np.unique(known, axis=1).T:
        group = np.flatnonzero((known == mask[:, None]).all(axis=0))
        cells = np.ix_(mask, group)
        weights[:, group], bias[group], penalties[group], left_out[cells] = _solve(exact[mask], scores[cells])
    return Ridge(weights, bias, penalties, left_out)


def _solve(vectors: FloatArray, scores: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return (weights, intercepts, penalties, left-out predictions) for rows that all have all scores.

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
    moments, squares = projected.T @ targets, projected**2
    best_error = np.full(scores.shape[1], np.inf)
    solution: npt.NDArray[np.float64] = np.zeros_like(moments)
    penalties, residuals = np.full(scores.shape[1], ALPHAS[-1]), np.array(targets)
    for alpha in ALPHAS:
        shrunk = 1.0 / (values + alpha)
        coefficients = moments * shrunk[:, None]
        leverage = np.minimum(squares @ shrunk + 1.0 / n, 1.0 - 1e-6)
        left_out = (targets - projected @ coefficients) / (1.0 - leverage)[:, None]
        error = (left_out**2).mean(axis=0)
        better = error < best_error
        best_error[better], penalties[better] = error[better], alpha
        solution[:, better], residuals[:, better] = coefficients[:, better], left_out[:, better]
    weights = directions @ solution
    return weights, level - centre @ weights, penalties, scores - residuals
