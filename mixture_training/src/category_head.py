"""Which kind of instruction it is: a multinomial logistic regression over an encoder's vectors."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mixture_training.src.cross_entropy import Axes, CategoryLoss, fit_linear
from mixture_training.src.targets import category_codes, softmax
from mixture_training.src.training_data import FloatArray, TrainingData

#: Strength of the L2 penalty; unit vectors need little of it.
_PENALTY = 0.1
#: A step that improves the loss by a smaller share than this is the last.
_PROGRESS = 1e-5


@dataclass(frozen=True)
class CategoryHead:
    """Category probabilities from vectors.

    Attributes:
        names: The categories seen in train, sorted: the columns.
        weights: (d, C).
        bias: (C,).
    """

    names: tuple[str, ...]
    weights: FloatArray
    bias: FloatArray

    @classmethod
    def fit(cls, vectors: npt.NDArray[np.floating], train: TrainingData) -> "CategoryHead":
        """Learn from the rows whose category is known; a single category gets probability 1."""
        names = train.category_names
        if len(names) < 2:
            return cls(names, np.zeros((vectors.shape[1], len(names))), np.zeros(len(names)))
        codes = category_codes(train, names)
        known = codes >= 0
        axes = Axes.of(vectors[known])
        loss = CategoryLoss(codes[known], len(names))
        return cls(names, *axes.untwist(*fit_linear(axes, loss, _PENALTY, progress=_PROGRESS)))

    def predict(self, vectors: npt.NDArray[np.floating]) -> FloatArray:
        """Return the probability of each category, (n, C)."""
        return softmax(np.asarray(vectors, dtype=np.float64) @ self.weights + self.bias)

    def save(self, file: Path) -> None:
        """Write the weights to an npz file; `names` are the caller's to keep."""
        np.savez(file, weights=self.weights, bias=self.bias)

    @classmethod
    def load(cls, file: Path, names: tuple[str, ...]) -> "CategoryHead":
        """Return the head that `save` wrote."""
        with np.load(file, allow_pickle=False) as arrays:
            weights, bias = arrays["weights"], arrays["bias"]
        if weights.ndim != 2 or weights.shape[1:] != (len(names),) or bias.shape != (len(names),):
            raise ValueError(f"the weights of {len(names)} labels have the shape {weights.shape}")
        if not (np.isfinite(weights).all() and np.isfinite(bias).all()):
            raise ValueError("a weight is not finite")
        return cls(names, weights, bias)
