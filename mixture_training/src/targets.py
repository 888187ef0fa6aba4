"""What every classifier does with the scores it learns from, before and around the model itself."""

from typing import Literal

import numpy as np
import numpy.typing as npt

from dataset_build import DataError
from mixture_training.src.training_data import FloatArray, TrainingData

#: What scores are: right or wrong; how much is right; which of two was preferred.
ScoreKind = Literal["binary", "fraction", "preference"]


def check_learnable(train: TrainingData) -> None:
    """Raise unless something can be learned about every expert.

    Raises:
        DataError: there are no rows, or an expert has no score in any of them.
    """
    if not len(train):
        raise DataError("The train split is empty; at least one instruction with a score is needed.")
    for expert, mean in zip(train.experts, train.expert_means(), strict=True):
        if np.isnan(mean):
            raise DataError(
                f"Expert {expert!r} has no score in the train split, so nothing can be learned about it; "
                "add scored rows or take it out."
            )


def scored_rows(data: TrainingData) -> npt.NDArray[np.bool_]:
    """Return which rows have a score of any expert, (n,)."""
    return np.asarray((~np.isnan(data.scores)).any(axis=1))


def shrunk_means(scores: FloatArray) -> FloatArray:
    """Return each expert's mean score with one more at the mean of all, (E,): sensible even for one without any.

    Args:
        scores: (n, E), NaN where missing; at least one is not.
    """
    known = ~np.isnan(scores)
    means: FloatArray = (np.nansum(scores, axis=0) + scores[known].mean()) / (known.sum(axis=0) + 1)
    return means


def score_kind(scores: FloatArray) -> ScoreKind:
    """Return what the scores are, which says how they are best fitted.

    "preference" where every row that has scores has exactly two, which sum to 1: only the comparison of the two tells
    something (1 and 0: the first was preferred; ½ and ½: neither). Otherwise "binary" where all are 0 or 1, else
    "fraction".

    Args:
        scores: (n, E), NaN where missing.
    """
    known = ~np.isnan(scores)
    compared = scores[known.any(axis=1)]
    pairs = len(compared) > 0 and (known.sum(axis=1)[known.any(axis=1)] == 2).all()
    if pairs and np.allclose(np.nansum(compared, axis=1), 1.0, rtol=0.0, atol=1e-6):
        return "preference"
    return "binary" if np.isin(scores[known], (0.0, 1.0)).all() else "fraction"


def category_codes(data: TrainingData, names: tuple[str, ...]) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Return the index of each row's category in `names`, -1 where it is unknown."""
    index = {name: code for code, name in enumerate(names)}
    return np.array([index.get(category or "", -1) for category in data.categories], dtype=np.intp)


def as_scores(values: FloatArray) -> FloatArray:
    """Return `values` clipped to [0, 1]."""
    clipped: FloatArray = np.clip(np.asarray(values, dtype=np.float64), 0.0, 1.0)
    return clipped


def softmax(logits: FloatArray) -> FloatArray:
    """Return the softmax of each row."""
    if not logits.shape[1]:
        return logits
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities: FloatArray = shifted / shifted.sum(axis=1, keepdims=True)
    return probabilities


def logit(rates: npt.ArrayLike) -> FloatArray:
    """Return the log-odds of rates, kept away from 0 and 1."""
    level = np.clip(np.asarray(rates, dtype=np.float64), 0.02, 0.98)
    odds: FloatArray = np.log(level / (1 - level))
    return odds


def sigmoid(logits: FloatArray) -> FloatArray:
    """Return the logistic function of each value."""
    probabilities: FloatArray = 0.5 * (1.0 + np.tanh(0.5 * logits))
    return probabilities
