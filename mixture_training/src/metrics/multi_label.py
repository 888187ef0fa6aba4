"""How well several yes-or-no labels of a row are told."""

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


def f1_per_label(truth: FloatArray, given: BoolArray) -> FloatArray:
    """Return the F1 of each label, (L,); NaN where no row has it and none was given it.

    Args:
        truth: (n, L), 1 or 0; rows with NaN are left out.
        given: (n, L), what was said of them.
    """
    known = ~np.isnan(truth).any(axis=1)
    has_it, said = truth[known] > 0.5, given[known]
    both = (has_it & said).sum(axis=0)
    total = has_it.sum(axis=0) + said.sum(axis=0)
    with np.errstate(invalid="ignore"):
        scores: FloatArray = 2.0 * both / total
    return scores


def macro_f1(truth: FloatArray, given: BoolArray) -> float:
    """Return the mean of the labels' F1, those that have one; NaN where none has."""
    scores = f1_per_label(truth, given)
    known = scores[~np.isnan(scores)]
    return float(known.mean()) if len(known) else float("nan")
