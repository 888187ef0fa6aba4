"""Which abilities an instruction asks for: one logistic regression per ability over an encoder's vectors."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mixture_training.src.cross_entropy import Axes, ScoreLoss, fit_linear
from mixture_training.src.targets import logit as logit
from mixture_training.src.targets import sigmoid as sigmoid
from mixture_training.src.training_data import FloatArray, TrainingData

#: Strength of the L2 penalty; unit vectors need little of it.
_PENALTY = 0.1
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
        if not names:
            return cls(names, np.zeros((vectors.shape[1], 0)), np.zeros(0))
        targets = ability_targets(train, names)
        known = ~np.isnan(targets[:, 0])
        axes = Axes.of(vectors[known])
        return cls(names, *axes.untwist(*fit_linear(axes, ScoreLoss.of(targets[known]), _PENALTY)))

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
            weights, bias = arrays["weights"], arrays["bias"]
        if weights.ndim != 2 or weights.shape[1:] != (len(names),) or bias.shape != (len(names),):
            raise ValueError(f"the weights of {len(names)} labels have the shape {weights.shape}")
        if not (np.isfinite(weights).all() and np.isfinite(bias).all()):
            raise ValueError("a weight is not finite")
        return cls(names, weights, bias)


def ability_targets(data: TrainingData, names: tuple[str, ...]) -> FloatArray:
    """Return 1 where a row asks for an ability and 0 where it does not, (n, A); rows of NaN where that is unknown."""
    targets = np.full((len(data), len(names)), np.nan)
    column_of = {name: column for column, name in enumerate(names)}
    for row, abilities in enumerate(data.abilities):
        if abilities is not None:
            targets[row] = 0.0
            targets[row, [column_of[name] for name in abilities if name in column_of]] = 1.0
    return targets
