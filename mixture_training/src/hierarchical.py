"""What an expert scores in the likely categories, and what of the rest the vectors tell.

Expected score = Σ_c p(c | x) · μ(c, expert) + w · residual(x, expert). The means are shrunk towards each expert's
overall mean (empirical Bayes: Efron and Morris, 1975), the residual is a ridge or kernel ridge regression on what the
means leave, and w per expert is the least-squares factor of its left-out predictions: where they say nothing, it is 0.
"""

from typing import Any, Literal

import numpy as np

from mixture_training.src.category_head import CategoryHead
from mixture_training.src.encoders.base import Embeddings
from mixture_training.src.kernel import Kernel, fit_kernel_ridge
from mixture_training.src.linear import Ridge, fit_ridge
from mixture_training.src.targets import category_codes
from mixture_training.src.training_data import FloatArray, TrainingData
from mixture_training.src.vector_classifier import Arrays, Encoded, VectorClassifier

#: Scores at the expert's overall mean that each category's mean starts from.
_PRIOR_SCORES = 5.0
#: Parts of train that category probabilities are made for by a head that saw the others.
_FOLDS = 3


class HierarchicalClassifier(VectorClassifier):
    """Category means plus a shrunken residual; without categories, overall means plus the residual.

    Args:
        encoder: Name of the encoder.
        residual: "ridge" or "kernel".
        seed: Of the folds and of the kernel's landmarks.
    """

    kind = "hierarchical"

    def __init__(
        self,
        encoder: str = "minilm+tfidf+features",
        residual: Literal["ridge", "kernel"] = "kernel",
        seed: int = 0,
    ) -> None:
        self.encoder = encoder
        self.residual = residual
        self.seed = seed

    def _fit_scores(self, train: Encoded, validation: Encoded) -> None:
        data = train.data
        self._means = category_means(data, self.category_names_)
        overall = data.expert_means()
        self._overall = overall
        probabilities = train.categories
        if probabilities is None:
            probabilities = left_out_categories(train.vectors, data, seed=self.seed)
        base = probabilities @ self._means if self.category_names_ else np.tile(overall, (len(data), 1))
        rest = data.scores - base
        fitted: Ridge
        if self.residual == "kernel":
            self._kernel, fitted = fit_kernel_ridge(train.vectors, rest, seed=self.seed)
            weights = self._kernel.projection @ fitted.weights
        else:
            self._kernel, fitted = (
                Kernel(np.empty((0, 0), dtype=np.float32), 1.0, np.empty((0, 0))),
                fit_ridge(train.vectors, rest),
            )
            weights = fitted.weights
        self._factors = _least_squares_factors(fitted.left_out, rest)
        self._weights, self._bias = weights * self._factors, fitted.bias * self._factors

    def _predict_scores(self, vectors: Embeddings, categories: FloatArray) -> FloatArray:
        seen = self._kernel.likeness(vectors) if self.residual == "kernel" else vectors.astype(np.float64)
        base = categories @ self._means if self.category_names_ else self._overall
        scores: FloatArray = base + seen @ self._weights + self._bias
        return scores

    def _arrays(self) -> Arrays:
        return {
            "means": self._means,
            "overall": self._overall,
            "factors": self._factors,
            "weights": self._weights,
            "bias": self._bias,
            "landmarks": self._kernel.landmarks,
            "width": np.array(self._kernel.width),
        }

    def _restore(self, arrays: Arrays) -> None:
        self._means, self._overall, self._factors = arrays["means"], arrays["overall"], arrays["factors"]
        self._weights, self._bias = arrays["weights"], arrays["bias"]
        self._kernel = Kernel(arrays["landmarks"], float(arrays["width"]), np.empty((0, 0)))

    def diagnostics(self) -> dict[str, Any]:
        """Return the encoder and how much each expert's residual counts."""
        return {**super().diagnostics(), "residual": dict(zip(self.experts_, self._factors.tolist(), strict=True))}


def category_means(data: TrainingData, names: tuple[str, ...]) -> FloatArray:
    """Return each expert's mean score in each category, shrunk towards its overall mean, (C, E)."""
    codes, overall = category_codes(data, names), data.expert_means()
    known = ~np.isnan(data.scores)
    filled = np.where(known, data.scores, 0.0)
    means = np.empty((len(names), len(overall)))
    for code in range(len(names)):
        inside = codes == code
        counts = known[inside].sum(axis=0)
        means[code] = (filled[inside].sum(axis=0) + _PRIOR_SCORES * overall) / (counts + _PRIOR_SCORES)
    return means


def left_out_categories(vectors: Embeddings, data: TrainingData, *, seed: int = 0) -> FloatArray:
    """Return category probabilities of each row by a head that was fitted without it, (n, C)."""
    names = data.category_names
    probabilities = np.zeros((len(data), len(names)))
    folds = min(_FOLDS, len(data))
    fold_of = np.random.default_rng(seed).permutation(len(data)) % folds
    for fold in range(folds):
        inside = fold_of == fold
        others = data.take(~inside)
        head = CategoryHead.fit(vectors[~inside], others)
        columns = [names.index(name) for name in head.names]
        probabilities[np.ix_(inside, columns)] = head.predict(vectors[inside])
    return probabilities


def _least_squares_factors(predicted: FloatArray, truth: FloatArray) -> FloatArray:
    """Return, per column, the w in [0, 1] with the smallest Σ(truth − w · predicted)²."""
    known = ~np.isnan(truth) & ~np.isnan(predicted)
    p, t = np.where(known, predicted, 0.0), np.where(known, truth, 0.0)
    squares = (p**2).sum(axis=0)
    factors = np.divide((p * t).sum(axis=0), squares, out=np.zeros(len(squares)), where=squares > 1e-12)
    clipped: FloatArray = np.clip(factors, 0.0, 1.0)
    return clipped
