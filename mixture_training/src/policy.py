"""How expected score and expected cost are traded: which expert to ask, and who is next when it fails.

Among experts that are equally good the cheaper one is chosen. `quality` and `cost_weight` rank by themselves; `budget`
and `target` are promises about many instructions, and a router's trade-off table says which cost weight keeps them.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dataset_build import ConfigError, nearest
from mixture_training.src.trade_off import TradeOff
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
        return f"cost_weight={_number(self.weight)}"


@dataclass(frozen=True)
class _LookedUpPolicy(Policy):
    """A promise about means, that one router keeps by one cost weight and another by another."""

    def utility(self, scores: FloatArray, costs: FloatArray) -> FloatArray:
        """Raise: single instructions do not tell.

        Raises:
            ConfigError: always; `in_terms_of` gives the policy to rank by.
        """
        raise ConfigError(f"Policy {self} needs the trade-off table of a trained router.")

    @abstractmethod
    def in_terms_of(self, table: TradeOff) -> Policy | None:
        """Return the policy that keeps the promise by this table; None where only the best single expert does.

        Raises:
            ConfigError: nothing keeps it.
        """


@dataclass(frozen=True)
class BudgetPolicy(_LookedUpPolicy):
    """The best that costs at most so much on average.

    Attributes:
        budget: Mean USD per instruction, over many.
    """

    budget: float

    def in_terms_of(self, table: TradeOff) -> Policy:
        """Return the smallest cost weight whose mean cost is within the budget."""
        point = table.for_budget(self.budget)
        if point is None:
            raise ConfigError(
                f"Policy {self}: the cheapest this router can do is {float(table.costs_high[-1]):.3g} USD per "
                "instruction on average. Give a larger budget."
            )
        return _at(table, point)

    def __str__(self) -> str:
        return f"budget={_number(self.budget)}"


@dataclass(frozen=True)
class TargetPolicy(_LookedUpPolicy):
    """The cheapest that keeps a share of the best single expert's quality.

    Attributes:
        share: Of its mean score, above 0 and at most 1.
    """

    share: float

    def in_terms_of(self, table: TradeOff) -> Policy | None:
        """Return the largest cost weight that keeps the share; None where no routing is sure to."""
        point = table.for_target(self.share)
        return None if point is None else _at(table, point)

    def __str__(self) -> str:
        return f"target={_number(self.share)}"


LookedUpPolicy = BudgetPolicy | TargetPolicy


def _at(table: TradeOff, point: int) -> Policy:
    weight = float(table.weights[point])
    return CostWeightPolicy(weight) if weight > 0.0 else QualityPolicy()


def _number(value: float) -> str:
    return f"{value:g}" if float(f"{value:g}") == value else repr(value)


#: What each policy is called, what its number may be, and an example.
_KNOWN: dict[str, tuple[str, str, Callable[[float], bool], Callable[[float], Policy]]] = {
    "cost_weight": ("of at least 0 (score per USD)", "100", lambda value: value >= 0.0, CostWeightPolicy),
    "budget": ("above 0 (mean USD per instruction)", "0.002", lambda value: value > 0.0, BudgetPolicy),
    "target": (
        "above 0 and at most 1 (share of the best single expert's quality)",
        "0.95",
        lambda value: 0.0 < value <= 1.0,
        TargetPolicy,
    ),
}
#: How policies are written, for help and errors.
POLICIES = "quality, cost_weight=NUMBER, budget=USD, target=SHARE"


def parse_policy(text: str) -> Policy:
    """Return the policy `text` names.

    `quality`, `cost_weight=λ` with λ in score per USD, `budget=USD` per instruction on average, or `target=SHARE` of
    the best single expert's quality.

    Raises:
        ConfigError: no such policy, or its number is out of range.
    """
    name, equals, number = (part.strip() for part in text.strip().partition("="))
    name = name.replace("-", "_")
    if name == "quality":
        if equals:
            raise ConfigError(f"Policy 'quality' takes no value; {text!r} was given.")
        return QualityPolicy()
    if name not in _KNOWN:
        raise ConfigError(f"Unknown policy {text!r}.{nearest(name, ['quality', *_KNOWN])} Known: {POLICIES}.")
    says, example, allows, make = _KNOWN[name]
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and allows(value)):
        raise ConfigError(f"Policy {text!r} needs a number {says} after '{name}=', for example {name}={example}.")
    return make(value)
