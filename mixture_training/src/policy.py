"""How expected score and expected cost are traded: which expert to ask, and who is next when it fails.

Among experts that are equally good the cheaper one is chosen.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dataset_build import ConfigError, nearest
from mixture_training.src.training_data import FloatArray

IndexArray = npt.NDArray[np.intp]

#: Decimals to which utilities are compared, so that rounding noise does not decide between equals.
_DECIMALS = 12


class Policy(ABC):
    """Orders experts by expected score and expected cost."""

    @abstractmethod
    def utility(self, scores: FloatArray, costs: FloatArray) -> FloatArray:
        """Return what is maximised, same shape as `scores` (…, E); `costs` is in USD."""

    def rank(self, scores: FloatArray, costs: FloatArray) -> IndexArray:
        """Return the experts' columns, best first, shape (n, E); the cheaper of two equals comes first."""
        utility = np.round(self.utility(scores, costs), _DECIMALS)
        return np.lexsort((costs, -utility), axis=-1)

    def choose(self, scores: FloatArray, costs: FloatArray) -> IndexArray:
        """Return the column of the best expert for each row, shape (n,)."""
        if not len(scores):
            return np.empty(0, dtype=np.intp)
        return self.rank(scores, costs)[:, 0]

    @abstractmethod
    def __str__(self) -> str:
        """Return the text that `parse_policy` turns into this policy."""


@dataclass(frozen=True)
class QualityPolicy(Policy):
    """The highest expected score, whatever it costs."""

    def utility(self, scores: FloatArray, costs: FloatArray) -> FloatArray:
        """Return the scores."""
        return scores

    def __str__(self) -> str:
        return "quality"


@dataclass(frozen=True)
class CostWeightPolicy(Policy):
    """The highest score − weight · cost.

    Attributes:
        weight: What one USD is worth in score: at 100, a cent more must buy a whole point of score.
    """

    weight: float

    def utility(self, scores: FloatArray, costs: FloatArray) -> FloatArray:
        """Return score − weight · cost."""
        return scores - self.weight * costs

    def __str__(self) -> str:
        return (
            f"cost_weight={self.weight:g}"
            if float(f"{self.weight:g}") == self.weight
            else f"cost_weight={self.weight!r}"
        )


def parse_policy(text: str) -> Policy:
    """Return the policy `text` names: `quality`, or `cost_weight=λ` with λ in score per USD.

    Raises:
        ConfigError: no such policy, or λ is not a number of at least 0.
    """
    name, equals, value = (part.strip() for part in text.strip().partition("="))
    name = name.replace("-", "_")
    if name == "quality" and not equals:
        return QualityPolicy()
    if name == "cost_weight":
        try:
            weight = float(value)
        except ValueError:
            weight = math.nan
        if not (math.isfinite(weight) and weight >= 0):
            raise ConfigError(
                f"Policy {text!r} needs a number of at least 0 after 'cost_weight=' (score per USD), "
                "for example cost_weight=100."
            )
        return CostWeightPolicy(weight)
    if name == "quality":
        raise ConfigError(f"Policy 'quality' takes no value; {text!r} was given.")
    hint = nearest(name, ["quality", "cost_weight"])
    raise ConfigError(f"Unknown policy {text!r}.{hint} Known: quality, cost_weight=NUMBER.")
