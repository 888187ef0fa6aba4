"""How far an instruction is from all that the router learned from.

The distance is to the nearest of at most `REFERENCES` training vectors, in the `DIRECTIONS` directions that training
varies in most, plus what the vector has outside of them (nearest neighbours for out-of-distribution detection: Sun et
al. 2022, arXiv:2204.06507; the part outside of a subspace: Wang et al. 2022, arXiv:2203.10807). A distance of 1 is the
`QUANTILE` of training rows that were left out: what lies beyond is called novel.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mixture_training.src.training_data import FloatArray

Vectors = npt.NDArray[np.float32]

#: Directions kept, and training vectors the nearest is sought among.
DIRECTIONS, REFERENCES = 32, 1024
#: Share of left-out training rows within distance 1.
QUANTILE = 0.99
#: Fewer training rows than this say nothing about what is novel, and fewer others nothing about what is usual.
LEAST, LEAST_HELD_OUT = 50, 20
_FOLDS = 5
#: How far a text is of which nothing is known.
_SILENCE = 2.0
#: Rows whose distances are worked out at once.
_BLOCK = 4096


@dataclass(frozen=True)
class Novelty:
    """The measure.

    Attributes:
        centre: (d,), the mean training vector.
        directions: (d, r), orthonormal.
        references: (m, r), training vectors along them.
        unit: The distance that is called 1.
        knows_silence: Whether some training vector was all zeros, as an encoder gives for a text of which it knows
            no word; where none was, such a text is novel, however near to the others the zeros are.
    """

    centre: Vectors
    directions: Vectors
    references: Vectors
    unit: float
    knows_silence: bool = False

    def __post_init__(self) -> None:
        # |z − r|² = |z|² − 2 z·r + |r|²: the last part is the same in every call.
        object.__setattr__(self, "_squares", np.einsum("ij,ij->i", self.references, self.references))

    def distances(self, vectors: npt.NDArray[np.floating]) -> FloatArray:
        """Return the distance of each vector, (n,); above 1 it is novel."""
        found = np.empty(len(vectors))
        for start in range(0, len(vectors), _BLOCK):
            found[start : start + _BLOCK] = self._distances(vectors[start : start + _BLOCK]) / self.unit
        if not self.knows_silence:
            found[~vectors.any(axis=1)] = _SILENCE
        return found

    def _distances(self, vectors: npt.NDArray[np.floating]) -> FloatArray:
        moved = vectors.astype(np.float32, copy=False) - self.centre
        along = moved @ self.directions
        squares: Vectors = self.__dict__["_squares"]
        nearest = (squares - 2.0 * (along @ self.references.T)).min(axis=1)
        # |z|² inside and outside of the directions add up to |x|², whatever the directions are.
        whole = np.einsum("ij,ij->i", moved, moved)
        return np.asarray(np.sqrt(np.maximum(whole + nearest, 0.0)), dtype=np.float64)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the measure as arrays."""
        return {
            "centre": self.centre,
            "directions": self.directions,
            "references": self.references,
            "unit": np.array([self.unit]),
            "knows_silence": np.array([self.knows_silence]),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> "Novelty":
        """Return the measure that `arrays` described.

        Raises:
            ValueError: the arrays do not belong together.
        """
        names = "centre", "directions", "references", "unit", "knows_silence"
        centre, directions, references, unit, silence = (arrays[name] for name in names)
        wide, kept = directions.shape
        if centre.shape != (wide,) or references.ndim != 2 or references.shape[1] != kept or not len(references):
            raise ValueError("the arrays of novelty have other shapes than they should")
        if not all(np.isfinite(part).all() for part in (centre, directions, references, unit)):
            raise ValueError("an array of novelty is not finite")
        if unit.shape != (1,) or not unit[0] > 0:
            raise ValueError(f"the unit of novelty is {unit.tolist()}")
        if silence.shape != (1,) or silence.dtype != np.bool_:
            raise ValueError("whether novelty knows silence is not told")
        return cls(
            centre.astype(np.float32, copy=False),
            directions.astype(np.float32, copy=False),
            references.astype(np.float32, copy=False),
            float(unit[0]),
            bool(silence[0]),
        )


@dataclass(frozen=True)
class FittedNovelty:
    """A measure, and the distances of the rows it was fitted by, each by a measure that had not seen it.

    Attributes:
        measure: Fitted to all training rows.
        train: (n,), distances of the training rows.
        held_out: (m,), of the other rows.
    """

    measure: Novelty
    train: FloatArray
    held_out: FloatArray


def fit_novelty(
    train: npt.NDArray[np.floating], held_out: npt.NDArray[np.floating], *, seed: int = 0
) -> FittedNovelty | None:
    """Return the measure for a classifier that learned from `train`; None where there are too few rows.

    Args:
        train: (n, d), vectors learned from.
        held_out: (m, d), vectors of rows that neither classifier nor encoder learned from; where there are at least
            `LEAST_HELD_OUT`, they say what distance is usual, and otherwise parts of `train` do.
        seed: Of the parts and of the references.
    """
    if len(train) < LEAST:
        return None
    chance = np.random.default_rng(seed)
    fold_of = chance.permutation(np.arange(len(train)) % _FOLDS)
    left_out = np.empty(len(train))
    for fold in range(_FOLDS):
        inside = fold_of == fold
        left_out[inside] = _measure(train[~inside], chance).distances(train[inside])
    measure = _measure(train, chance)
    others = measure.distances(held_out)
    usual = others if len(others) >= LEAST_HELD_OUT else left_out
    # The quantile of few rows is their largest, and uncertain: one more row may well lie beyond it.
    unit = float(np.quantile(usual, QUANTILE, method="higher")) * (1.0 + 0.5 / np.sqrt(len(usual)))
    unit = max(unit, 1e-6)  # where all instructions are the same, every other one is novel
    named = replace(measure, unit=unit)
    return FittedNovelty(named, left_out / unit, others / unit)


def _measure(vectors: npt.NDArray[np.floating], chance: np.random.Generator) -> Novelty:
    """Return the measure whose unit is 1."""
    centre = vectors.mean(axis=0, dtype=np.float64)
    moved = vectors - centre
    _, directions = np.linalg.eigh(moved.T @ moved)
    kept = directions[:, ::-1][:, :DIRECTIONS]
    chosen = np.sort(chance.permutation(len(vectors))[:REFERENCES])
    references = moved[chosen] @ kept
    return Novelty(
        centre.astype(np.float32),
        np.ascontiguousarray(kept, np.float32),
        references.astype(np.float32),
        1.0,
        bool((~vectors.any(axis=1)).any()),
    )
