"""Expected score = what the experts scored on the most similar training instructions.

Similarity-weighted k nearest neighbours; how many and how sharply weighted is chosen by leaving each training
instruction out in turn. kNN is a strong router for what it costs (Li, 2025, "Rethinking Predictive Modeling for
LLM Routing").
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mixture_training.src.ability_head import ability_targets
from mixture_training.src.classifier import Classifier, Prediction
from mixture_training.src.encoders.base import Embeddings
from mixture_training.src.encoders.factory import load_encoder, make_encoder, save_encoder
from mixture_training.src.targets import as_scores, category_codes, check_learnable
from mixture_training.src.training_data import FloatArray, TrainingData

NEIGHBOURS = (5, 10, 20, 40, 80, 160)
TEMPERATURES = (0.02, 0.05, 0.1, 0.3)
#: Weight of the expert's overall mean beside the neighbours, whose nearest has weight 1.
_PRIOR = 0.5
#: At most this many training rows are left out in turn to choose.
_TUNING_ROWS = 2_000
_BLOCK = 256


class NeighboursClassifier(Classifier):
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

    def fit(self, train: TrainingData, validation: TrainingData) -> "NeighboursClassifier":
        """Keep the training vectors and choose by leave-one-out error; `validation` is not needed."""
        check_learnable(train)
        self.experts_ = train.experts
        self.category_names_, self.ability_names_ = train.category_names, train.ability_names
        self._encoder = make_encoder(self.encoder).fit(train.texts)
        self._vectors = _unit(self._encoder.encode(train.texts))
        self._scores = train.scores
        self._codes = category_codes(train, train.category_names)
        self._means = train.expert_means()
        self._abilities = ability_targets(train, train.ability_names)
        self._chosen = self._choose()
        return self

    def predict(self, texts: Sequence[str]) -> Prediction:
        """Return the neighbours' means, shrunk a little to each expert's overall mean."""
        queries = _unit(self._encoder.encode(texts))
        count, temperature = self._chosen
        scores = np.empty((len(texts), len(self._means)))
        categories = np.empty((len(texts), len(self.category_names_)))
        rates = np.nanmean(self._abilities, axis=0) if self.ability_names_ else np.empty(0)
        abilities = np.empty((len(texts), len(rates))) if self.ability_names_ else None
        for rows, similarity, nearest in self._search(queries, count):
            weights = _weights(similarity, temperature)
            scores[rows] = _average(weights, self._scores[nearest], self._means)
            categories[rows] = self._votes(weights, nearest)
            if abilities is not None:
                abilities[rows] = _average(weights, self._abilities[nearest], rates)
        return Prediction(as_scores(scores), categories, None if abilities is None else as_scores(abilities))

    def save(self, folder: Path) -> dict[str, Any]:
        """Write encoder, training vectors and their scores."""
        np.savez(
            folder / "neighbours.npz",
            vectors=self._vectors,
            scores=self._scores,
            codes=self._codes,
            means=self._means,
            abilities=self._abilities,
        )
        return {
            "encoder": self.encoder,
            "neighbours": self.neighbours,
            "temperature": self.temperature,
            "seed": self.seed,
            "chosen": list(self._chosen),
            "category_names": list(self.category_names_),
            "ability_names": list(self.ability_names_),
            "saved_encoder": save_encoder(self._encoder, folder / "encoder"),
        }

    @classmethod
    def load(cls, folder: Path, state: dict[str, Any]) -> "NeighboursClassifier":
        """Return the classifier that `save` wrote."""
        classifier = cls(state["encoder"], state["neighbours"], state["temperature"], state["seed"])
        classifier.category_names_ = tuple(state["category_names"])
        classifier.ability_names_ = tuple(state.get("ability_names", ()))
        classifier._encoder = load_encoder(folder / "encoder", state["saved_encoder"])
        with np.load(folder / "neighbours.npz", allow_pickle=False) as arrays:
            classifier._vectors, classifier._scores = arrays["vectors"], arrays["scores"]
            classifier._codes, classifier._means = arrays["codes"], arrays["means"]
            if classifier.ability_names_:
                classifier._abilities = arrays["abilities"]
            else:
                classifier._abilities = np.empty((len(classifier._scores), 0))
        classifier._chosen = (int(state["chosen"][0]), float(state["chosen"][1]))
        return classifier

    def diagnostics(self) -> dict[str, Any]:
        """Return what was chosen."""
        return {"encoder": self.encoder, "neighbours": self._chosen[0], "temperature": self._chosen[1]}

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

    def _votes(self, weights: FloatArray, nearest: npt.NDArray[np.intp]) -> FloatArray:
        """Return (rows, C) shares of the neighbours' weight; equal shares where no neighbour has a category."""
        names = len(self.category_names_)
        votes = np.full((len(weights), names), 1e-6)
        codes = self._codes[nearest]
        rows, places = np.nonzero(codes >= 0)
        np.add.at(votes, (rows, codes[rows, places]), weights[rows, places])
        return votes / votes.sum(axis=1, keepdims=True) if names else votes


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
