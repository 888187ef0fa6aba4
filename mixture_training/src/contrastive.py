"""Instructions and experts in one space, those together that do well together.

RouterDC's dual contrastive loss (Chen et al., "RouterDC: Query-Based Router by Dual Contrastive Learning for Assembling
Large Language Models", 2024, equations 3 to 6) on a learned projection of an encoder's vectors, which stay as they are.
For an instruction x with the experts of its highest scores T⁺ and of its lowest T⁻ (those under ½), their embeddings k,
an instruction x⁺ of its own group and some of others X⁻, and the cosine over a temperature for s:

    Σ_{t ∈ T⁺} −log(eˢ⁽ˣ'ᵗ⁾ ÷ (eˢ⁽ˣ'ᵗ⁾ + Σ_{T⁻} eˢ)) + λ · −log(eˢ⁽ˣ'ˣ⁺⁾ ÷ (eˢ⁽ˣ'ˣ⁺⁾ + Σ_{X⁻} eˢ))

A likeness is no expected score: a logistic function per expert (Platt, 1999) turns it into one, fitted to likenesses
of rows that were not learned from.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mixture_training.src.adam import Adam
from mixture_training.src.clusters import cluster_centres, count_distinct
from mixture_training.src.cross_entropy import Axes, ScoreLoss, fit_linear
from mixture_training.src.encoders.base import Embeddings
from mixture_training.src.kernel import squared_distances
from mixture_training.src.stacking import folds_of
from mixture_training.src.targets import scored_rows, sigmoid
from mixture_training.src.training_data import FloatArray
from mixture_training.src.vector_classifier import Arrays, Encoded, VectorClassifier

Mask = npt.NDArray[np.bool_]

#: Temperatures tried.
TEMPERATURES = (0.1, 0.3, 1.0)
#: Experts that are drawn nearer and pushed away at most (more where scores are equal), and instructions pushed away.
_BEST, _WORST, _STRANGERS = 3, 3, 3
#: Weight of the likeness of instructions, λ.
_GROUPING = 1.0
#: Groups of similar instructions.
_GROUPS = 8
#: Parts of train that likenesses are made for by what was learned from the others.
_FOLDS = 3
_RATE, _DECAY, _BATCH = 2e-3, 0.1, 64
#: Of the slopes from likeness to log-odds.
_SLOPE_PENALTY = 0.1


class ContrastiveClassifier(VectorClassifier):
    """Likeness to experts, as expected scores.

    Args:
        encoder: Name of the encoder.
        dimensions: Of the common space.
        epochs: Times that every row is seen.
        temperature: Of the likeness; None chooses.
        seed: Of the start, the order, the groups, what is compared, and the parts.
    """

    kind = "contrastive"

    def __init__(
        self,
        encoder: str = "minilm+tfidf+features",
        dimensions: int = 64,
        epochs: int = 20,
        temperature: float | None = None,
        seed: int = 0,
    ) -> None:
        self.encoder = encoder
        self.dimensions = dimensions
        self.epochs = epochs
        self.temperature = temperature
        self.seed = seed

    def _fit_scores(self, train: Encoded, validation: Encoded) -> None:
        scored = scored_rows(train.data)
        vectors, data = train.vectors[scored].astype(np.float64), train.data.take(scored)
        centres = cluster_centres(
            train.vectors[scored], min(_GROUPS, count_distinct(train.vectors[scored])), seed=self.seed
        )
        groups = squared_distances(train.vectors[scored], centres).argmin(axis=1)
        fold_of = folds_of(data.texts, _FOLDS, seed=self.seed)
        best = np.inf
        for temperature in TEMPERATURES if self.temperature is None else (self.temperature,):
            likeness = np.zeros(data.scores.shape)
            for fold in np.unique(fold_of):
                inside = fold_of == fold
                seen = ~inside if not inside.all() else inside
                space = self._learn(vectors[seen], data.scores[seen], groups[seen], temperature)
                likeness[inside] = space.likeness(vectors[inside])
            slopes, levels = _platt(likeness, data.scores)
            error = ScoreLoss.of(data.scores)(likeness * slopes + levels)[0]
            if error < best:
                best, self._temperature, self._slopes, self._levels = error, temperature, slopes, levels
        self._space = self._learn(vectors, data.scores, groups, self._temperature)

    def _learn(
        self, vectors: FloatArray, scores: FloatArray, groups: npt.NDArray[np.intp], temperature: float
    ) -> "Space":
        chance = np.random.default_rng(self.seed)
        projection = chance.standard_normal((vectors.shape[1], self.dimensions)) / np.sqrt(vectors.shape[1])
        space = Space(projection, _first_embeddings(vectors @ projection, scores))
        near, far = best_and_worst(scores)
        adam = Adam([space.projection, space.embeddings], _RATE, _DECAY)
        for _ in range(self.epochs):
            order = chance.permutation(len(vectors))
            for begin in range(0, len(order), _BATCH):
                rows = order[begin : begin + _BATCH]
                friends, strangers = _drawn(groups[rows], chance)
                comparisons = Comparisons(near[rows], far[rows], friends, strangers)
                adam.step(dual_loss(space, vectors[rows], comparisons, temperature)[1:])
        return space

    def _predict_scores(self, vectors: Embeddings, categories: FloatArray) -> FloatArray:
        return sigmoid(self._space.likeness(vectors.astype(np.float64)) * self._slopes + self._levels)

    def _arrays(self) -> Arrays:
        return {
            "projection": self._space.projection,
            "embeddings": self._space.embeddings,
            "slopes": self._slopes,
            "levels": self._levels,
            "temperature": np.array(self._temperature),
        }

    def _restore(self, arrays: Arrays) -> None:
        self._space = Space(arrays["projection"], arrays["embeddings"])
        self._slopes, self._levels = arrays["slopes"], arrays["levels"]
        self._temperature = float(arrays["temperature"])

    def diagnostics(self) -> dict[str, Any]:
        """Return the encoder, the temperature, and how much each expert's likeness tells about its scores."""
        slopes = dict(zip(self.experts_, self._slopes.tolist(), strict=True))
        return {**super().diagnostics(), "temperature": self._temperature, "slope": slopes}


@dataclass(frozen=True)
class Space:
    """Where instructions and experts are compared.

    Attributes:
        projection: (d, p), of instructions.
        embeddings: (E, p), of experts.
    """

    projection: FloatArray
    embeddings: FloatArray

    def likeness(self, vectors: FloatArray) -> FloatArray:
        """Return the cosine of each instruction and expert, (n, E)."""
        likeness: FloatArray = _unit(vectors @ self.projection)[0] @ _unit(self.embeddings)[0].T
        return likeness


@dataclass(frozen=True)
class Comparisons:
    """What each of n instructions is drawn to and pushed from.

    Attributes:
        near: (n, E), the experts to draw nearer.
        far: (n, E), those to push away.
        friends: (n, n), the instruction to draw nearer, one a row or none.
        strangers: (n, n), those to push away.
    """

    near: Mask
    far: Mask
    friends: Mask
    strangers: Mask


def best_and_worst(scores: FloatArray) -> tuple[Mask, Mask]:
    """Return which experts an instruction is drawn to and pushed from, both (n, E).

    Drawn to: the best three with a score above 0. Pushed from: the worst three, if under ½ and not the best. All whose
    scores are equal are treated alike, so there may be more.

    Args:
        scores: (n, E), NaN where missing.
    """
    high, low = np.where(np.isnan(scores), -1.0, scores), np.where(np.isnan(scores), 2.0, scores)
    experts = scores.shape[1]
    enough = np.sort(high, axis=1)[:, -min(_BEST, experts)][:, None]
    little = np.sort(low, axis=1)[:, min(_WORST, experts) - 1][:, None]
    far = (low <= little) & (low < 0.5) & (low < high.max(axis=1, keepdims=True))
    near = (high >= enough) & (high > 0.0) & ~far
    return near, far


def dual_loss(
    space: Space, vectors: FloatArray, comparisons: Comparisons, temperature: float
) -> tuple[float, FloatArray, FloatArray]:
    """Return the loss an instruction, and its derivatives by projection and embeddings."""
    instructions, lengths = _unit(vectors @ space.projection)
    experts, sizes = _unit(space.embeddings)
    to_experts = contrast(instructions @ experts.T / temperature, comparisons.near, comparisons.far)
    to_others = contrast(instructions @ instructions.T / temperature, comparisons.friends, comparisons.strangers)
    scale = 1.0 / (len(vectors) * temperature)
    pairs = _GROUPING * (to_others[1] + to_others[1].T)
    by_instruction = (to_experts[1] @ experts + pairs @ instructions) * scale
    by_expert = to_experts[1].T @ instructions * scale
    return (
        (to_experts[0] + _GROUPING * to_others[0]) / len(vectors),
        vectors.T @ _before_unit(by_instruction, instructions, lengths),
        _before_unit(by_expert, experts, sizes),
    )


def contrast(likeness: FloatArray, near: Mask, far: Mask) -> tuple[float, FloatArray]:
    """Return Σ over each near one of −log(eˢ ÷ (eˢ + Σ_far eˢ)), and its derivative by s.

    Args:
        likeness: (n, m), s.
        near: (n, m).
        far: (n, m); a row without any adds nothing.
    """
    exponentials = np.where(far, np.exp(likeness - likeness.max(axis=1, keepdims=True)), 0.0)
    total = exponentials.sum(axis=1, keepdims=True)
    some = total > 0.0
    pushed = np.log(np.where(some, total, 1.0)) + likeness.max(axis=1, keepdims=True)
    counted = near & some
    losses = np.where(counted, np.logaddexp(0.0, pushed - likeness), 0.0)
    pull = np.where(counted, sigmoid(pushed - likeness), 0.0)
    share = exponentials / np.where(some, total, 1.0)
    return float(losses.sum()), share * pull.sum(axis=1, keepdims=True) - pull


def _unit(vectors: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the vectors at length 1, and their lengths, (n, 1)."""
    lengths = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    return vectors / lengths, lengths


def _before_unit(derivative: FloatArray, unit: FloatArray, lengths: FloatArray) -> FloatArray:
    """Return the derivative by vectors from that by the same at length 1."""
    across: FloatArray = (derivative - unit * (unit * derivative).sum(axis=1, keepdims=True)) / lengths
    return across


def _first_embeddings(projected: FloatArray, scores: FloatArray) -> FloatArray:
    """Return, per expert, the mean instruction, moved to those it does better on than on the mean one, (E, p)."""
    known = ~np.isnan(scores)
    counts = np.maximum(known.sum(axis=0), 1)
    filled = np.where(known, scores, 0.0)
    gains = np.where(known, filled - filled.sum(axis=0) / counts, 0.0) / counts
    embeddings: FloatArray = 0.1 * projected.mean(axis=0) + gains.T @ projected
    return embeddings


def _drawn(groups: npt.NDArray[np.intp], chance: np.random.Generator) -> tuple[Mask, Mask]:
    """Return for each row one other of its group and some of other groups, by lot, both (n, n)."""
    lots = chance.random((len(groups), len(groups)))
    same = groups[:, None] == groups
    friends = np.where(same & ~np.eye(len(groups), dtype=bool), lots, -1.0)
    strangers = np.where(same, -1.0, lots)
    enough = np.sort(strangers, axis=1)[:, -min(_STRANGERS, len(groups))][:, None]
    return (
        (friends == friends.max(axis=1, keepdims=True)) & (friends >= 0.0),
        (strangers >= enough) & (strangers >= 0.0),
    )


def _platt(likeness: FloatArray, scores: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return slope and level per expert of the log-odds of its score as a function of its likeness, both (E,)."""
    slopes, levels = np.zeros(scores.shape[1]), np.zeros(scores.shape[1])
    for expert in range(scores.shape[1]):
        known = ~np.isnan(scores[:, expert])
        axes = Axes.of(likeness[known][:, [expert]])
        weights, level = axes.untwist(*fit_linear(axes, ScoreLoss.of(scores[known][:, [expert]]), _SLOPE_PENALTY))
        slopes[expert], levels[expert] = weights[0, 0], level[0]
    return slopes, levels
