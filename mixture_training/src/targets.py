"""What every classifier does with the scores it learns from, before and around the model itself."""

import numpy as np

from dataset_build import DataError
from mixture_training.src.training_data import FloatArray, TrainingData


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
