"""Expected score = what the experts scored on the most similar training instructions.

Similarity-weighted k nearest neighbours; how many and how sharply weighted is chosen by leaving each training
instruction out in turn. kNN is a strong router for what it costs (Li, 2025, "Rethinking Predictive Modeling for
LLM Routing").
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from mixture_training.src.encoders.base import Embeddings
from mixture_training.src.targets import scored_rows, shrunk_means
from mixture_training.src.training_data import FloatArray
from mixture_training.src.vector_classifier import Arrays, Encoded, VectorClassifier

NEIGHBOURS = (5, 10, 20, 40, 80, 160)
TEMPERATURES = (0.02, 0.05, 0.1, 0.3)
#: Weight of the expert's overall mean beside the neighbours, whose nearest has weight 1.
_PRIOR = 0.5
#: At most this many training rows are left out in turn to choose.
_TUNING_ROWS = 2_000
_BLOCK = 256


class NeighboursClassifier(VectorClassifier):
    """Weighted means over the nearest training instructions.

    Args:
        encoder: Name of the encoder.
        neighbours: How many; None chooses.
        temperature: Drop in cosine similarity at which a neighbour's weight falls to 1/e; None chooses.
        seed: Of the rows that the choice is made on.
    """

    kind = "knn"

    def __init__(
        self,
        encoder: str = "minilm",
        neighbours: int | None = None,
        temperature: float | None = None,
        seed: int = 0,
    ) -> None:
        self.encoder = encoder
        self.neighbours = neighbours
        self.temperature = temperature
        self.seed = seed

    def _fit_scores(self, train: Encoded, validation: Encoded) -> None:
        scored = scored_rows(train.data)
        self._vectors = _unit(train.vectors[scored])
        self._scores = train.data.scores[scored]
        self._means = shrunk_means(self._scores)
        self._chosen = self._choose()

    def _predict_scores(self, vectors: Embeddings, categories: FloatArray) -> FloatArray:
        count, temperature = self._chosen
        scores = np.empty((len(vectors), len(self._means)))
        for rows, similarity, nearest in self._search(_unit(vectors), count):
            scores[rows] = _average(_weights(similarity, temperature), self._scores[nearest], self._means)
        return scores

    def _arrays(self) -> Arrays:
        return {
            "vectors": self._vectors,
            "scores": self._scores,
            "means": self._means,
            "chosen": np.array(self._chosen, dtype=np.float64),
        }

    def _restore(self, arrays: Arrays) -> None:
        self._vectors, self._scores, self._means = arrays["vectors"], arrays["scores"], arrays["means"]
        self._chosen = int(arrays["chosen"][0]), float(arrays["chosen"][1])

    def diagnostics(self) -> dict[str, Any]:
        """Return the encoder and what was chosen."""
        return {**super().diagnostics(), "neighbours": self._chosen[0], "temperature": self._chosen[1]}

    def _choose(self) -> tuple[int, float]:
        """Return the (neighbours, temperature) with the smallest squared error on left-out training rows."""
        most = len(self._vectors) - 1
        counts = [self.neighbours] if self.neighbours else list(NEIGHBOURS)
        counts = sorted({max(1, min(count, most)) for count in counts})
        temperatures = [self.temperature] if self.temperature else list(TEMPERATURES)
        if most < 1 or len(counts) * len(temperatures) == 1:
            return counts[-1], temperatures[-1]
        sample = np.random.default_rng(self.seed).permutation(len(self._vectors))[:_TUNING_ROWS]
        errors = np.zeros((len(counts), len(temperatures)))
        for rows, similarity, nearest in self._search(self._vectors[sample], counts[-1], leave_out=sample):
            truth = self._scores[sample[rows]]
            for i, count in enumerate(counts):
                for j, temperature in enumerate(temperatures):
                    weights = _weights(similarity[:, :count], temperature)
                    averaged = _average(weights, self._scores[nearest[:, :count]], self._means)
                    errors[i, j] += np.nansum((averaged - truth) ** 2)
        best = divmod(int(errors.argmin()), len(temperatures))
        return counts[best[0]], temperatures[best[1]]

    def _search(
        self, queries: Embeddings, count: int, *, leave_out: npt.NDArray[np.intp] | None = None
    ) -> Iterator[tuple[npt.NDArray[np.intp], FloatArray, npt.NDArray[np.intp]]]:
        """Yield (rows, similarities, neighbours) block by block, the most similar first, ties by row."""
        for start in range(0, len(queries), _BLOCK):
            rows = np.arange(start, min(start + _BLOCK, len(queries)))
            similarity = (queries[rows] @ self._vectors.T).astype(np.float64)
            if leave_out is not None:
                similarity[np.arange(len(rows)), leave_out[rows]] = -np.inf
            # Rounded, so that the same text finds the same neighbours whatever block it is in.
            similarity = np.round(similarity, 6)
            kept = np.argpartition(-similarity, min(count, similarity.shape[1]) - 1, axis=1)[:, :count]
            kept.sort(axis=1)
            values = np.take_along_axis(similarity, kept, axis=1)
            order = np.argsort(-values, axis=1, kind="stable")
            yield rows, np.take_along_axis(values, order, axis=1), np.take_along_axis(kept, order, axis=1)


def _unit(vectors: Embeddings) -> Embeddings:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Embeddings = vectors / np.maximum(lengths, np.float32(1e-9))
    return unit


def _average(weights: FloatArray, values: FloatArray, means: FloatArray) -> FloatArray:
    """Return the weighted means of the neighbours' values, (rows, V); a missing value has no weight.

    Args:
        weights: (rows, k).
        values: (rows, k, V).
        means: (V,), which the neighbours' means are shrunk to.
    """
    known = ~np.isnan(values)
    total = np.einsum("rk,rke->re", weights, np.where(known, values, 0.0)) + _PRIOR * means
    averaged: FloatArray = total / (np.einsum("rk,rke->re", weights, known.astype(np.float64)) + _PRIOR)
    return averaged


def _weights(similarity: FloatArray, temperature: float) -> FloatArray:
    """Return exp((similarity - best) / temperature), so the nearest has weight 1."""
    weights: FloatArray = np.exp((similarity - similarity[:, :1]) / temperature)
    return weights
