"""From a dataset in interchange form to the arrays that classifiers learn from."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class TrainingData:
    """Instructions and what every expert's response to them scored and cost.

    Attributes:
        ids: Instruction ids, length n.
        texts: Instructions, length n.
        categories: Category of each, or None where unknown, length n.
        splits: "train", "validation" or "test" for each, length n.
        experts: Expert names, length E; the columns of the matrices.
        scores: (n, E), in [0, 1]; NaN where there is no score (failed call, missing row, no reference).
        costs: (n, E), USD per call; NaN where unknown.
        latencies: (n, E), seconds; NaN where unknown.
        descriptions: One line per expert, for a routing language model; may be empty.
    """

    ids: tuple[str, ...]
    texts: tuple[str, ...]
    categories: tuple[str | None, ...]
    splits: tuple[str, ...]
    experts: tuple[str, ...]
    scores: FloatArray
    costs: FloatArray
    latencies: FloatArray
    descriptions: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def category_names(self) -> tuple[str, ...]:
        """The distinct known categories, sorted."""
        return tuple(sorted({category for category in self.categories if category is not None}))

    def take(self, rows: Sequence[int] | npt.NDArray[np.integer] | npt.NDArray[np.bool_]) -> "TrainingData":
        """Return the given rows (indices or a mask), all experts kept."""
        picked = np.arange(len(self))[np.asarray(rows)]
        return replace(
            self,
            ids=tuple(self.ids[i] for i in picked),
            texts=tuple(self.texts[i] for i in picked),
            categories=tuple(self.categories[i] for i in picked),
            splits=tuple(self.splits[i] for i in picked),
            scores=self.scores[picked],
            costs=self.costs[picked],
            latencies=self.latencies[picked],
        )

    def split(self, name: str) -> "TrainingData":
        """Return the rows of one split."""
        return self.take(np.array([split == name for split in self.splits], dtype=bool))

    def expert_means(self) -> FloatArray:
        """Return each expert's mean score over the rows where it has one, shape (E,); NaN where it has none."""
        counts = np.sum(~np.isnan(self.scores), axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            means: FloatArray = np.nansum(self.scores, axis=0) / counts
        return means
