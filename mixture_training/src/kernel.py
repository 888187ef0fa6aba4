"""Kernel ridge regression from an encoder's vectors to the score of each expert.

Saunders, Gammerman and Vovk, 1998. The Gaussian kernel is approximated from a sample of the training rows (Nyström
method: Williams and Seeger, 2001), so that time and size grow with the rows, not with their square; up to
`LANDMARKS` rows it is exact.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mixture_training.src.encoders.base import Embeddings
from mixture_training.src.linear import Ridge, fit_ridge
from mixture_training.src.training_data import FloatArray
from mixture_training.src.vector_classifier import Arrays, Encoded, VectorClassifier

#: Training rows that the kernel is measured against at most.
LANDMARKS = 1000
#: Widths tried, in units of the mean squared distance between training rows.
WIDTHS = (0.25, 0.5, 1.0, 2.0)


class KernelClassifier(VectorClassifier):
    """A smooth function per expert, of the likeness to training instructions.

    Args:
        encoder: Name of the encoder.
        landmarks: Training rows the kernel is measured against at most.
        seed: Of the choice of those.
    """

    kind = "kernel"

    def __init__(self, encoder: str = "minilm+tfidf+features", landmarks: int = LANDMARKS, seed: int = 0) -> None:
        self.encoder = encoder
        self.landmarks = landmarks
        self.seed = seed

    def _fit_scores(self, train: Encoded, validation: Encoded) -> None:
        self._kernel, fitted = fit_kernel_ridge(
            train.vectors, train.data.scores, landmarks=self.landmarks, seed=self.seed
        )
        self._weights, self._bias = self._kernel.projection @ fitted.weights, fitted.bias

    def _predict_scores(self, vectors: Embeddings, categories: FloatArray) -> FloatArray:
        scores: FloatArray = self._kernel.likeness(vectors) @ self._weights + self._bias
        return scores

    def _arrays(self) -> Arrays:
        return {
            "landmarks": self._kernel.landmarks,
            "width": np.array(self._kernel.width),
            "weights": self._weights,
            "bias": self._bias,
        }

    def _restore(self, arrays: Arrays) -> None:
        self._kernel = Kernel(arrays["landmarks"], float(arrays["width"]), np.empty((0, 0)))
        self._weights, self._bias = arrays["weights"], arrays["bias"]

    def diagnostics(self) -> dict[str, Any]:
        """Return the encoder, the chosen width and the number of landmarks."""
        return {**super().diagnostics(), "width": self._kernel.width, "landmarks": len(self._kernel.landmarks)}


@dataclass(frozen=True)
class Kernel:
    """The Gaussian kernel exp(−‖x − l‖² ÷ width) to a set of landmarks.

    Attributes:
        landmarks: (m, d).
        width: In squared distance.
        projection: (m, k), from likenesses to features whose inner products are the kernel; only while fitting.
    """

    landmarks: Embeddings
    width: float
    projection: FloatArray

    def likeness(self, vectors: Embeddings) -> FloatArray:
        """Return the kernel of each vector and each landmark, (n, m)."""
        likeness: FloatArray = np.exp(-squared_distances(vectors, self.landmarks) / self.width)
        return likeness

    def features(self, vectors: Embeddings) -> FloatArray:
        """Return vectors whose inner products approximate the kernel, (n, k)."""
        features: FloatArray = self.likeness(vectors) @ self.projection
        return features


def fit_kernel_ridge(
    vectors: Embeddings, scores: FloatArray, *, landmarks: int = LANDMARKS, seed: int = 0
) -> tuple[Kernel, Ridge]:
    """Return the kernel of the width with the smallest left-out error, and the ridge regressions on its features.

    Args:
        vectors: (n, d).
        scores: (n, E), NaN where missing.
        landmarks: Rows to measure against at most.
        seed: Of their choice.
    """
    chance = np.random.default_rng(seed)
    chosen = np.sort(chance.permutation(len(vectors))[:landmarks])
    picked = np.ascontiguousarray(vectors[chosen])
    between = squared_distances(picked, picked)
    scale = max(float(between.mean()), 1e-9)
    best: tuple[float, Kernel, Ridge] | None = None
    for width in WIDTHS:
        kernel = Kernel(picked, width * scale, _projection(np.exp(-between / (width * scale))))
        fitted = fit_ridge(kernel.features(vectors), scores)
        error = float(np.nanmean((fitted.left_out - scores) ** 2))
        if best is None or error < best[0]:
            best = error, kernel, fitted
    assert best is not None
    return best[1], best[2]


def squared_distances(one: Embeddings, other: Embeddings) -> FloatArray:
    """Return the squared Euclidean distances of every pair, (n, m), at least 0."""
    a, b = one.astype(np.float64), other.astype(np.float64)
    distances: FloatArray = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2.0 * (a @ b.T)
    return np.maximum(distances, 0.0, out=distances)


def _projection(likeness: FloatArray) -> npt.NDArray[np.float64]:
    """Return U Λ^(−1/2) of a kernel matrix, directions without weight left out."""
    values, directions = np.linalg.eigh(likeness)
    kept = values > values[-1] * 1e-8
    projection: FloatArray = directions[:, kept] / np.sqrt(values[kept])
    return projection
