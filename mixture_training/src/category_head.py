"""Which kind of instruction it is: a multinomial logistic regression over an encoder's vectors."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mixture_training.src.targets import category_codes, softmax
from mixture_training.src.training_data import FloatArray, TrainingData

#: Inverse strength of the L2 penalty; unit vectors need little of it.
_C = 10.0


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
        codes = category_codes(train, names)
        if len(names) < 2:
            return cls(names, np.zeros((vectors.shape[1], len(names))), np.zeros(len(names)))
        from sklearn.linear_model import LogisticRegression

        known = codes >= 0
        model = LogisticRegression(C=_C, max_iter=200, tol=1e-3).fit(vectors[known], codes[known])
        coefficients, intercept = model.coef_, model.intercept_
        if len(names) == 2:  # scikit-learn keeps one row of weights for two classes
            coefficients = np.vstack([np.zeros_like(coefficients), coefficients])
            intercept = np.concatenate([[0.0], intercept])
        return cls(names, np.asarray(coefficients.T, dtype=np.float64), np.asarray(intercept, dtype=np.float64))

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
            return cls(names, arrays["weights"], arrays["bias"])
