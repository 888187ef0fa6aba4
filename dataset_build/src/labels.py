"""Scores as a classifier learns them: a matrix with a mask of what is missing, and ties kept as ties."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pandas as pd

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Labels:
    """What every expert scored on every instruction.

    Attributes:
        ids: Instruction ids, length n, in the order of their first row.
        experts: Expert names, length E, sorted.
        scores: (n, E), in [0, 1]; NaN where there is no score (failed call, missing row, nothing to compare with).
    """

    ids: tuple[str, ...]
    experts: tuple[str, ...]
    scores: FloatArray

    @property
    def is_known(self) -> BoolArray:
        """Where there is a score, (n, E)."""
        return ~np.isnan(self.scores)

    @property
    def is_best(self) -> BoolArray:
        """Which experts share the best score of an instruction, (n, E); all False where nobody has a score."""
        known = np.where(self.is_known, self.scores, -np.inf)
        best: BoolArray = (known == known.max(axis=1, keepdims=True, initial=-np.inf)) & self.is_known
        return best


def labels_of(frame: "pd.DataFrame") -> Labels:
    """Return the labels of a dataset in interchange form."""
    ids = tuple(frame["instruction_id"].drop_duplicates())
    experts = tuple(sorted(frame["expert"].unique()))
    return Labels(ids, experts, matrix_of(frame, "score", ids, experts))


def matrix_of(frame: "pd.DataFrame", column: str, ids: Sequence[str], experts: Sequence[str]) -> FloatArray:
    """Return a numeric column as a matrix (instructions, experts); NaN where there is no row or no value.

    Args:
        frame: A dataset in interchange form.
        column: Which column.
        ids: The rows of the matrix; every id of the frame is among them.
        experts: The columns of the matrix; every expert of the frame is among them.
    """
    import pandas as pd

    cells = np.full((len(ids), len(experts)), np.nan)
    rows = pd.Series(np.arange(len(ids)), index=pd.Index(ids))[frame["instruction_id"]].to_numpy()
    columns = pd.Series(np.arange(len(experts)), index=pd.Index(experts))[frame["expert"]].to_numpy()
    cells[rows, columns] = frame[column].to_numpy(dtype="float64", na_value=np.nan)
    return cells
