"""Now and then ask another expert than the best known, to learn what it can do: a contextual bandit with a budget.

Thompson sampling (Chapelle and Li 2011) asks each expert as often as it may be the best, given what is not known of the
correction; LinUCB (Li et al. 2010, arXiv:1003.0146) asks whoever would be if all uncertainty were in its favour;
`epsilon` gives a share of the decisions to any expert alike, which makes the best logs to judge other routers by.

The probability of every expert is worked out before one is drawn, so what is logged is exact: Thompson sampling counts
how often each is the best among the same draws every time, and the expert is drawn from those counts.
"""

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import numpy.typing as npt

from dataset_build import ConfigError
from mixture_training.src.policy import IndexArray, Policy
from mixture_training.src.training_data import FloatArray

if TYPE_CHECKING:
    from mixture_training.src.model_recommender import RoutingTable

Strategy = Literal["thompson", "linucb", "epsilon"]
BoolArray = npt.NDArray[np.bool_]

#: Draws of every expert's score that Thompson sampling counts, and the seed they come from.
_DRAWS, _SEED = 256, 0
#: Decisions for which an unused mean budget is kept.
_SAVED = 500.0


@dataclass(frozen=True)
class Exploration:
    """One decision.

    Attributes:
        ranking: Columns of the allowed experts: the one that was drawn, then the others as they were ranked.
        propensities: With what probability each expert was to be first, (E,); they sum to 1.
        explored: Whether the first is not the first of the ranking that was given.
        reason: One sentence that says why it is, or is not.
    """

    ranking: IndexArray
    propensities: FloatArray
    explored: bool
    reason: str


@dataclass(frozen=True)
class Spending:
    """What exploration took so far, as it was expected.

    Attributes:
        decisions: How many there were.
        explored: In how many of them another expert was asked.
        usd: By how much those were dearer.
        quality: How much expected score was given up, summed over decisions.
    """

    decisions: int
    explored: int
    usd: float
    quality: float


class _Purse:
    """One budget: a mean per decision, a total, or both; None is no limit."""

    def __init__(self, mean: float | None, total: float | None) -> None:
        self.mean = mean
        self.left = np.inf if total is None else total
        self.balance = np.inf if mean is None else 0.0
        self.spent = 0.0

    def earn(self) -> None:
        if self.mean is not None:
            self.balance = min(self.balance + self.mean, self.mean * _SAVED)

    def share(self, expected: float) -> float:
        """Return what share of the wish the mean allows."""
        return 1.0 if expected <= max(self.balance, 0.0) else max(self.balance, 0.0) / expected

    def pay(self, amount: float) -> None:
        self.spent += amount
        self.left -= amount
        self.balance -= amount


class Explorer:
    """Draws the expert to ask; safe to use from several threads.

    What an expert costs or is expected to score less counts nothing where it is cheaper or expected to score more.

    Args:
        strategy: How others than the best are chosen.
        share: Of the decisions that `epsilon` gives to any expert alike.
        width: Standard deviations in every expert's favour, for `linucb`.
        floor: The least probability of an expert that may be explored, while the budget allows.
        usd_per_decision: By how much decisions may be dearer on average; None is no limit.
        usd_total: By how much all together may.
        quality_per_decision: How much expected score may be given up on average.
        quality_total: And by all together.
        seed: Of the draws, for calls that bring no generator.

    Raises:
        ConfigError: no such strategy, or a number is out of range.
    """

    def __init__(
        self,
        strategy: Strategy = "thompson",
        *,
        share: float = 0.05,
        width: float = 1.0,
        floor: float = 0.001,
        usd_per_decision: float | None = None,
        usd_total: float | None = None,
        quality_per_decision: float | None = 0.01,
        quality_total: float | None = None,
        seed: int | None = None,
    ) -> None:
        if strategy not in get_args(Strategy):
            raise ConfigError(f"Unknown strategy {strategy!r} to explore by. Known: {', '.join(get_args(Strategy))}.")
        for name, value, most in (("share", share, 1.0), ("width", width, np.inf), ("floor", floor, 0.5)):
            if not 0.0 <= value <= most:
                raise ConfigError(f"{name} of exploration is {value}; a number from 0 to {most:g} is expected.")
        budgets = {
            "usd_per_decision": usd_per_decision,
            "usd_total": usd_total,
            "quality_per_decision": quality_per_decision,
            "quality_total": quality_total,
        }
        for name, budget in budgets.items():
            if budget is not None and not 0.0 <= budget < np.inf:
                raise ConfigError(f"{name} of exploration is {budget}; a number of at least 0 is expected.")
        self.strategy = strategy
        self.share = share
        self.width = width
        self.floor = floor
        self._usd = _Purse(usd_per_decision, usd_total)
        self._quality = _Purse(quality_per_decision, quality_total)
        self._decisions = self._explored = 0
        self._chance = np.random.default_rng(seed)
        self._draws = np.empty((_DRAWS, 0))
        self._lock = threading.Lock()

    @property
    def spending(self) -> Spending:
        """What it took so far."""
        with self._lock:
            return Spending(self._decisions, self._explored, self._usd.spent, self._quality.spent)

    def explore(
        self,
        table: "RoutingTable",
        row: int,
        allowed: BoolArray | None = None,
        rng: np.random.Generator | None = None,
    ) -> Exploration:
        """Return whom to ask first of one row of a routing table; the other arguments are those of `choose`.

        Where the ranking is that of the experts' means, so is what is explored: what is expected of the instruction
        was not shown to be worth following. A router without a correction has nothing to be uncertain of, and only
        `epsilon` explores by it; `Correction.of` gives it one.
        """
        scores, rule = table.scores[row], table.rule or table.policy
        if table.is_guarded is not None and table.is_guarded[row] and table.means is not None:
            scores, rule = table.means, table.alone or rule
        deviations = np.zeros(len(scores)) if table.deviations is None else table.deviations[row]
        return self.choose(scores, table.costs[row], deviations, rule, allowed, rng, ranking=table.ranking[row])

    def choose(
        self,
        scores: FloatArray,
        costs: FloatArray,
        deviations: FloatArray,
        policy: Policy,
        allowed: BoolArray | None = None,
        rng: np.random.Generator | None = None,
        *,
        ranking: IndexArray | None = None,
    ) -> Exploration:
        """Return whom to ask first.

        Args:
            scores: Expected, (E,).
            costs: Expected USD, (E,).
            deviations: Standard deviations of the scores as they are expected, (E,).
            policy: What ranks, `RoutingTable.rule`.
            allowed: Who may be asked at all, (E,); None means everybody.
            rng: What the expert is drawn by; None is the explorer's own.
            ranking: Columns as the router ranked them, best first, where that is not by these scores (a guarded one).

        Raises:
            ValueError: nobody may be asked.
        """
        may = np.ones(len(scores), dtype=bool) if allowed is None else allowed
        order = policy.rank(scores[None], costs[None])[0] if ranking is None else ranking
        order = order[may[order]]
        if not len(order):
            raise ValueError("No expert is allowed, so none can be asked.")
        first = int(order[0])
        dearer, worse = np.maximum(costs - costs[first], 0.0), np.maximum(scores[first] - scores, 0.0)
        wish = self._wish(scores, costs, deviations, policy, may, first)
        with self._lock:
            self._usd.earn()
            self._quality.earn()
            affordable = may & (dearer <= self._usd.left) & (worse <= self._quality.left)
            affordable[first] = True
            wish = self._with_floor(wish, affordable, first)
            share = min(self._usd.share(float(wish @ dearer)), self._quality.share(float(wish @ worse)))
            propensities = wish * share
            propensities[first] = 0.0
            propensities[first] = 1.0 - propensities.sum()
            drawn = float((self._chance if rng is None else rng).random())
            column = _column(propensities, drawn, first)
            self._usd.pay(float(dearer[column]))
            self._quality.pay(float(worse[column]))
            self._decisions += 1
            self._explored += column != first
        if column == first:
            spent = share == 0.0 or (affordable.sum() == 1 and may.sum() > 1)
            reason = "the exploration budget is used up" if spent else "the best known was drawn"
            return Exploration(order, propensities, explored=False, reason=f"Not explored: {reason}.")
        reason = f"Explored by {self.strategy}: it was to be asked first with probability {propensities[column]:.3f}."
        order = np.concatenate([[column], order[order != column]])
        return Exploration(order, propensities, explored=True, reason=reason)

    def _wish(
        self,
        scores: FloatArray,
        costs: FloatArray,
        deviations: FloatArray,
        policy: Policy,
        may: BoolArray,
        first: int,
    ) -> FloatArray:
        """Return with what probability each expert is to be asked, whatever that costs, (E,)."""
        experts = len(scores)
        wish = np.zeros(experts)
        if self.strategy == "epsilon":
            wish[may] = self.share / may.sum()
            wish[first] += 1.0 - self.share
            return wish
        if not deviations.any():
            wish[first] = 1.0
            return wish
        draws = self._thompson_draws(experts) if self.strategy == "thompson" else np.full((1, experts), self.width)
        worth = policy.utility(scores + deviations * draws, costs)
        worth[:, ~may] = -np.inf
        worth[:, first] += 1e-12  # among equals the one that is ranked first
        counts = np.bincount(worth.argmax(axis=1), minlength=experts)
        return np.asarray(counts / len(draws))

    def _thompson_draws(self, experts: int) -> FloatArray:
        """Return standard normal numbers, (`_DRAWS`, E), whose mean is 0; the same in every call."""
        if self._draws.shape[1] != experts:
            half = np.random.default_rng(_SEED).standard_normal((_DRAWS // 2, experts))
            self._draws = np.concatenate([half, -half])
        return self._draws

    def _with_floor(self, wish: FloatArray, affordable: BoolArray, first: int) -> FloatArray:
        """Return the wish without those that cannot be paid, and no other below the floor."""
        wish = np.where(affordable, wish, 0.0)
        wish[first] += 1.0 - wish.sum()
        number = int(affordable.sum())
        floor = min(self.floor, 0.5 / number)
        return np.asarray(np.where(affordable, wish * (1.0 - number * floor) + floor, 0.0))


def _column(propensities: FloatArray, drawn: float, first: int) -> int:
    """Return the column in whose part of [0, 1) the number lies; never one of probability 0."""
    column = int(np.searchsorted(np.cumsum(propensities), drawn, side="right"))
    return column if column < len(propensities) and propensities[column] > 0.0 else first
