"""Which abilities an instruction asks for: one logistic regression per ability over an encoder's vectors."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mixture_training.src.training_data import FloatArray, TrainingData

#: Inverse strength of the L2 penalty; unit vectors need little of it.
_C = 10.0
#: A probability from which on an ability counts as asked for.
LIKELY = 0.5


@dataclass(frozen=True)
class AbilityHead:
    """Ability probabilities from vectors, each ability by itself.

    Attributes:
        names: The abilities seen in train, sorted: the columns.
        weights: (d, A).
        bias: (A,).
    """

    names: tuple[str, ...]
    weights: FloatArray
    bias: FloatArray

    @classmethod
    def fit(cls, vectors: npt.NDArray[np.floating], train: TrainingData) -> "AbilityHead":
        """Learn from the rows whose abilities are known; one that all of them ask for is always likely."""
        names = train.ability_names
        weights, bias = np.zeros((vectors.shape[1], len(names))), np.zeros(len(names))
        if not names:
            return cls(names, weights, bias)
        from sklearn.linear_model import LogisticRegression

        targets = ability_targets(train, names)
        known = ~np.isnan(targets[:, 0])
        for column in range(len(names)):
            asked = targets[known, column]
            if asked.all():
                bias[column] = logit(asked.mean())
                continue
            model = LogisticRegression(C=_C, max_iter=200, tol=1e-3).fit(vectors[known], asked)
            weights[:, column], bias[column] = model.coef_[0], model.intercept_[0]
        return cls(names, weights, bias)

    def predict(self, vectors: npt.NDArray[np.floating]) -> FloatArray | None:
        """Return the probability of each ability, (n, A); None where there is none to tell."""
        if not self.names:
            return None
        return sigmoid(np.asarray(vectors, dtype=np.float64) @ self.weights + self.bias)

    def save(self, folder: Path) -> None:
        """Write the weights into `folder`, where there are any; `names` are the caller's to keep."""
        if self.names:
            np.savez(folder / "abilities.npz", weights=self.weights, bias=self.bias)

    @classmethod
    def load(cls, folder: Path, names: tuple[str, ...]) -> "AbilityHead":
        """Return the head that `save` wrote."""
        if not names:
            return cls((), np.zeros((0, 0)), np.zeros(0))
        with np.load(folder / "abilities.npz", allow_pickle=False) as arrays:
            return cls(names, arrays["weights"], arrays["bias"])


def ability_targets(data: TrainingData, names: tuple[str, ...]) -> FloatArray:
    """Return 1 where a row asks for an ability and 0 where it does not, (n, A); rows of NaN where that is unknown."""
    targets = np.full((len(data), len(names)), np.nan)
    column_of = {name: column for column, name in enumerate(names)}
    for row, abilities in enumerate(data.abilities):
        if abilities is not None:
            targets[row] = 0.0
            targets[row, [column_of[name] for name in abilities if name in column_of]] = 1.0
    return targets


def logit(rates: npt.ArrayLike) -> FloatArray:
    """Return the log-odds of rates, kept away from 0 and 1."""
    level = np.clip(np.asarray(rates, dtype=np.float64), 0.02, 0.98)
    odds: FloatArray = np.log(level / (1 - level))
    return odds


def sigmoid(logits: FloatArray) -> FloatArray:
    """Return the logistic function of each value."""
    probabilities: FloatArray = 0.5 * (1.0 + np.tanh(0.5 * logits))
    return probabilities
