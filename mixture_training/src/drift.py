"""Whether what arrives is still what the router was trained for, and whether the experts still are as good.

Instructions are compared with those of the validation split, which neither classifier nor encoder learned from: their
vectors by the energy distance (Székely and Rizzo 2013), their categories by the population stability index, both judged
by permutations, and how many are novel by how many may be, as far as so many validation rows can tell. Under no drift
one of the three raises an alarm in `ALARM` of the comparisons, if instructions come independently of each other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mixture_training.src.correction import Axes, Vectors
from mixture_training.src.expert_drift import ALARM, ExpertDrift, compare_scores
from mixture_training.src.novelty import QUANTILE
from mixture_training.src.training_data import FloatArray

if TYPE_CHECKING:
    from mixture_training.src.artifacts import Router

IndexArray = npt.NDArray[np.intp]

#: Fewer instructions than this are not compared.
LEAST = 30
#: Rows of either side that are compared, and permutations they are judged by.
_MOST, _PERMUTATIONS = 400, 999
#: Share below which a category is not taken to be, so that a new one does not make the index infinite.
_SMALL = 1e-3


@dataclass(frozen=True)
class Drift:
    """What was found; a number is None where nothing was compared.

    Attributes:
        rows: Recent instructions that were compared.
        distance: Energy distance of their vectors, in units of the mean distance within the reference.
        distance_p: Its p-value.
        novel_share: Share of novel ones.
        novel_p: Its p-value, against more than there may be.
        stability: Population stability index of the likeliest categories; from 0.25 on it is usually called large.
        stability_p: Its p-value.
        experts: One entry for every expert with enough scores.
    """

    rows: int = 0
    distance: float | None = None
    distance_p: float | None = None
    novel_share: float | None = None
    novel_p: float | None = None
    stability: float | None = None
    stability_p: float | None = None
    experts: tuple[ExpertDrift, ...] = ()

    @property
    def is_drifted(self) -> bool:
        """Whether the instructions are not like those of training."""
        found = [p for p in (self.distance_p, self.novel_p, self.stability_p) if p is not None]
        return bool(found) and min(found) <= ALARM / len(found)

    @property
    def changed(self) -> tuple[ExpertDrift, ...]:
        """The experts that degraded or improved, the most degraded first."""
        named = [one for one in self.experts if one.is_degraded or one.is_improved]
        return tuple(sorted(named, key=lambda one: one.difference))

    def measures(self) -> dict[str, float]:
        """Return the numbers by name, for a monitor."""
        known = {"distance": self.distance, "novel_share": self.novel_share, "stability": self.stability}
        return {name: value for name, value in known.items() if value is not None}

    def __str__(self) -> str:
        parts = []
        if self.rows:
            numbers = []
            if self.distance is not None:
                numbers.append(f"distance {self.distance:.3f}, p = {self.distance_p:.3f}")
            if self.novel_share is not None:
                numbers.append(f"{self.novel_share:.0%} novel")
            if self.stability is not None:
                numbers.append(f"categories moved by {self.stability:.2f}")
            word = "are not" if self.is_drifted else "are"
            parts.append(f"The last {self.rows} instructions {word} like those of training ({'; '.join(numbers)}).")
        if self.experts:
            changed = ", ".join(str(one) for one in self.changed)
            parts.append(f"Experts: {changed}." if changed else "Every expert scores as expected.")
        return " ".join(parts) or "Too little arrived to tell whether anything drifted."


@dataclass(frozen=True)
class Instructions:
    """n instructions as they are compared; what is None is not.

    Attributes:
        places: Vectors along the directions of training, and how far outside of them, (n, r + 1).
        is_novel: (n,).
        categories: Number of the likeliest category, (n,).
    """

    places: FloatArray | None = None
    is_novel: npt.NDArray[np.bool_] | None = None
    categories: IndexArray | None = None

    def __len__(self) -> int:
        return max((len(part) for part in (self.places, self.is_novel, self.categories) if part is not None), default=0)

    def latest(self, most: int) -> "Instructions":
        """Return the last so many."""
        parts = (None if part is None else part[-most:] for part in (self.places, self.is_novel, self.categories))
        return Instructions(*parts)  # type: ignore[arg-type]  # the three types in their order


class DriftMonitor:
    """What a router's instructions are compared with; made once, used often.

    Args:
        router: Whose validation rows are read and encoded.

    Raises:
        DataError: the router keeps no training data.
    """

    def __init__(self, router: "Router") -> None:
        self._experts = router.expert_names
        self._names = router.classifier.category_names_
        self._novelty = router.assurance.novelty
        self._axes = None if self._novelty is None else Axes.of(self._novelty)
        prediction = router.classifier.predict(router.training_data().split("validation").texts)
        likeliest = prediction.categories.argmax(axis=1) if prediction.categories.shape[1] else None
        self._reference = self._instructions(prediction.vectors, likeliest)
        rows = len(prediction.scores)
        place = max(int(np.ceil(QUANTILE * (rows - 1))), 0)  # of the distance that is called 1, from below
        self._beyond = (rows - place, place + 1) if self._novelty is not None and rows else None

    def _instructions(self, vectors: Vectors | None, categories: IndexArray | None) -> Instructions:
        if vectors is None or self._novelty is None or self._axes is None:
            return Instructions(None, None, categories)
        unit = float(np.linalg.norm(self._axes.directions[:, 0]))
        inside = self._axes.read(vectors)[:, 1:]
        whole = ((vectors.astype(np.float64) - self._novelty.centre) ** 2).sum(axis=1) * unit**2
        outside = np.sqrt(np.maximum(whole - (inside**2).sum(axis=1), 0.0))
        places = np.concatenate([inside, outside[:, None]], axis=1)
        return Instructions(places, self._novelty.distances(vectors) > 1.0, categories)

    def instructions(self, vectors: Vectors | None, categories: Sequence[str | None]) -> Instructions:
        """Return instructions as they are compared.

        Args:
            vectors: (n, d), what they were decided by, oldest first; None where there are none.
            categories: The likeliest of each; empty where there are none.
        """
        number = {name: index for index, name in enumerate(self._names)}
        known = [number.get(name or "", len(number)) for name in categories]
        return self._instructions(vectors, np.array(known, dtype=np.intp) if known and self._names else None)

    def measure(
        self,
        vectors: Vectors | None,
        categories: Sequence[str | None] = (),
        *,
        columns: IndexArray | None = None,
        scores: FloatArray | None = None,
        expected: FloatArray | None = None,
        moments: FloatArray | None = None,
        seed: int = 0,
    ) -> Drift:
        """Return how instructions, and the scores of judged ones, differ from what training let expect.

        Args:
            vectors: (n, d), oldest first, of the instructions to compare.
            categories: The likeliest of each, length n.
            columns: Who answered, (m,), oldest first; the judged ones need not be the instructions compared.
            scores: Observed, (m,).
            expected: Of the same experts, without any correction, (m,).
            moments: When, in any unit, (m,).
            seed: Of the permutations.
        """
        recent = self.instructions(vectors, categories)
        found = compare(self._reference, recent, beyond=self._beyond, seed=seed)
        if columns is None or scores is None or expected is None:
            return found
        experts = compare_scores(self._experts, columns, scores, expected, moments)
        return Drift(**{**{name: getattr(found, name) for name in found.__dataclass_fields__}, "experts": experts})


def compare(
    reference: Instructions, recent: Instructions, *, beyond: tuple[int, int] | None = None, seed: int = 0
) -> Drift:
    """Return how recent instructions differ from the reference; nothing where either has fewer than `LEAST`.

    Args:
        reference: Instructions like those of training.
        recent: The latest are compared.
        beyond: How many rows from the largest distance down reached that which is called novel, and how many did not
            and one; None tells nothing of novelty.
        seed: Of the permutations.
    """
    reference, recent = reference.latest(_MOST), recent.latest(_MOST)
    first, second = len(reference), len(recent)
    if min(first, second) < LEAST:
        return Drift()
    chance = np.random.default_rng(seed)
    is_recent = np.zeros((_PERMUTATIONS + 1, first + second))
    is_recent[0, first:] = 1.0  # the first is the one that happened
    is_recent[1:] = chance.permuted(np.tile(is_recent[0], (_PERMUTATIONS, 1)), axis=1)
    distance = distance_p = novel_share = novel_p = stability = stability_p = None
    if reference.places is not None and recent.places is not None:
        energies = _energies(np.concatenate([reference.places, recent.places]), is_recent)
        distance, distance_p = float(energies[0]), _p_value(energies)
    if beyond is not None and recent.is_novel is not None:
        from scipy.stats import betabinom

        # Of new rows, the share beyond the k-th largest of m is Beta(k, m + 1 - k).
        novel = int(recent.is_novel.sum())
        novel_share, novel_p = novel / second, float(betabinom.sf(novel - 1, second, *beyond))
    if reference.categories is not None and recent.categories is not None:
        indices = _stabilities(np.concatenate([reference.categories, recent.categories]), is_recent)
        stability, stability_p = float(indices[0]), _p_value(indices)
    return Drift(second, distance, distance_p, novel_share, novel_p, stability, stability_p)


def _p_value(statistics: FloatArray) -> float:
    """Return the share of the permutations, the one that happened among them, that are at least as far out."""
    return float((statistics >= statistics[0] - 1e-12).mean())


def _energies(places: FloatArray, is_recent: FloatArray) -> FloatArray:
    """Return the energy distance of every permutation, in units of the mean distance between any two places."""
    squares = (places**2).sum(axis=1)
    apart = np.sqrt(np.maximum(squares[:, None] + squares - 2.0 * places @ places.T, 0.0))
    np.fill_diagonal(apart, 0.0)
    second = is_recent[0].sum()
    first = len(places) - second
    to_recent = is_recent @ apart
    within_recent = (to_recent * is_recent).sum(axis=1)
    between = to_recent.sum(axis=1) - within_recent
    within_reference = apart.sum() - 2.0 * between - within_recent
    mean = max(apart.sum() / len(places) ** 2, 1e-12)
    return np.asarray(
        (2.0 * between / (first * second) - within_recent / second**2 - within_reference / first**2) / mean
    )


def _stabilities(categories: IndexArray, is_recent: FloatArray) -> FloatArray:
    """Return the population stability index of every permutation."""
    one_hot = np.eye(int(categories.max()) + 1)[categories]
    recent = is_recent @ one_hot
    reference = one_hot.sum(axis=0) - recent
    shares = [np.maximum(counts / counts.sum(axis=1, keepdims=True), _SMALL) for counts in (reference, recent)]
    return np.asarray(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum(axis=1))
