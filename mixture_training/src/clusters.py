"""What each expert scores on groups of similar training instructions.

Groups by k-means (Lloyd, 1982); an instruction belongs to the nearest ones, the nearest most, and an expert's mean in
a group is shrunk to its overall mean. How many groups, how sharp and how much shrunk is chosen by cross-validation.
Such profiles route about as well as nearest neighbours at a fraction of their size (Jitkrittum et al., "Universal
Model Routing for Efficient LLM Inference", 2025).
"""

from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from mixture_training.src.encoders.base import Embeddings
from mixture_training.src.kernel import squared_distances
from mixture_training.src.stacking import folds_of
from mixture_training.src.targets import scored_rows, shrunk_means
from mixture_training.src.training_data import FloatArray
from mixture_training.src.vector_classifier import Arrays, Encoded, VectorClassifier

#: Numbers of groups tried.
COUNTS = (2, 4, 8, 16, 32, 64, 128)
#: Differences in squared distance at which a group's weight falls to 1/e that are tried, for unit vectors.
TEMPERATURES = (0.02, 0.05, 0.1, 0.2)
#: Scores at the expert's overall mean that each group starts from, as tried.
PRIORS = (2.0, 10.0, 40.0)
#: Parts of train that are left out in turn to choose, and the rows of which they are parts at most.
_FOLDS, _TUNING_ROWS = 5, 5_000
#: More rows than this are grouped in batches.
_MANY = 5_000
#: Steps of k-means at most; later ones move few rows.
_STEPS = 30


class ClusterClassifier(VectorClassifier):
    """Expert means per group.

    Args:
        encoder: Name of the encoder.
        clusters: How many groups; None chooses.
        seed: Of where k-means begins and of the parts that the choice is made on.
    """

    kind = "cluster"

    def __init__(self, encoder: str = "minilm", clusters: int | None = None, seed: int = 0) -> None:
        self.encoder = encoder
        self.clusters = clusters
        self.seed = seed

    def _fit_scores(self, train: Encoded, validation: Encoded) -> None:
        scored = scored_rows(train.data)
        vectors, data = train.vectors[scored], train.data.take(scored)
        rows = np.sort(np.random.default_rng(self.seed).permutation(len(data))[:_TUNING_ROWS])
        fold_of = folds_of([data.texts[row] for row in rows], _FOLDS, seed=self.seed)
        count, self._temperature, self._prior = self._choose(vectors[rows], data.scores[rows], fold_of)
        self._centres = cluster_centres(vectors, count, seed=self.seed)
        belongs = _memberships(squared_distances(vectors, self._centres), self._temperature)
        self._means = group_means(belongs, data.scores, self._prior)

    def _choose(
        self, vectors: Embeddings, scores: FloatArray, fold_of: npt.NDArray[np.intp]
    ) -> tuple[int, float, float]:
        """Return the (number of groups, temperature, prior) with the smallest error on rows left out."""
        distinct = count_distinct(vectors)
        counts = sorted({min(count, distinct) for count in ([self.clusters] if self.clusters else COUNTS)})
        best, chosen = np.inf, (counts[0], TEMPERATURES[0], PRIORS[0])
        for count in counts:
            # The groups do not see scores, so only the means are cross-validated.
            distances = squared_distances(vectors, cluster_centres(vectors, count, seed=self.seed))
            for temperature, prior in product(TEMPERATURES, PRIORS):
                error = _left_out_error(_memberships(distances, temperature), scores, prior, fold_of)
                if error < best:
                    best, chosen = error, (count, temperature, prior)
        return chosen

    def _predict_scores(self, vectors: Embeddings, categories: FloatArray) -> FloatArray:
        belongs = _memberships(squared_distances(vectors, self._centres), self._temperature)
        scores: FloatArray = belongs @ self._means
        return scores

    def _arrays(self) -> Arrays:
        return {
            "centres": self._centres,
            "means": self._means,
            "chosen": np.array([self._temperature, self._prior]),
        }

    def _restore(self, arrays: Arrays) -> None:
        self._centres, self._means = arrays["centres"], arrays["means"]
        self._temperature, self._prior = (float(value) for value in arrays["chosen"])

    def diagnostics(self) -> dict[str, Any]:
        """Return the encoder and what was chosen."""
        chosen = {"clusters": len(self._centres), "temperature": self._temperature, "prior": self._prior}
        return {**super().diagnostics(), **chosen}


def count_distinct(vectors: Embeddings) -> int:
    """Return how many different vectors there are."""
    return len({vector.tobytes() for vector in vectors})


def cluster_centres(vectors: Embeddings, count: int, *, seed: int) -> Embeddings:
    """Return the centres of k-means, (count, d); no more than there are distinct vectors can be asked for.

    Args:
        vectors: (n, d).
        count: k.
        seed: Of where it begins.
    """
    from sklearn.cluster import KMeans, MiniBatchKMeans
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    make = KMeans if len(vectors) <= _MANY else MiniBatchKMeans
    with threadpool_limits(limits=1):  # threads add in the order in which they end
        model = make(n_clusters=count, n_init=1, max_iter=_STEPS, random_state=seed).fit(vectors)
    return np.asarray(model.cluster_centers_, dtype=np.float32)


def group_means(belongs: FloatArray, scores: FloatArray, prior: float) -> FloatArray:
    """Return each expert's mean in each group, shrunk to its overall mean, (k, E).

    Args:
        belongs: (n, k), how much each row belongs to each group.
        scores: (n, E), NaN where missing.
        prior: Scores at the overall mean that a group starts from.
    """
    known = ~np.isnan(scores)
    total = belongs.T @ np.where(known, scores, 0.0) + prior * shrunk_means(scores)
    means: FloatArray = total / (belongs.T @ known + prior)
    return means


def _memberships(distances: FloatArray, temperature: float) -> FloatArray:
    """Return how much each row belongs to each group, (n, k), rows summing to 1."""
    weights: FloatArray = np.exp((distances.min(axis=1, keepdims=True) - distances) / temperature)
    weights /= weights.sum(axis=1, keepdims=True)
    return weights


def _left_out_error(belongs: FloatArray, scores: FloatArray, prior: float, fold_of: npt.NDArray[np.intp]) -> float:
    """Return the mean squared error for the rows of each part by means without them."""
    error = 0.0
    for fold in np.unique(fold_of):
        inside = fold_of == fold
        if inside.all():
            break
        means = group_means(belongs[~inside], scores[~inside], prior)
        error += float(np.nansum((belongs[inside] @ means - scores[inside]) ** 2))
    return error / max(int((~np.isnan(scores)).sum()), 1)
