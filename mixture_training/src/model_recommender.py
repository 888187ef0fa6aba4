"""Which expert an instruction should go to, who is next, and why."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mixture_training.src.ability_head import LIKELY
from mixture_training.src.policy import CostWeightPolicy, IndexArray, Policy, parse_policy
from mixture_training.src.training_data import FloatArray

if TYPE_CHECKING:
    from mixture_training.src.artifacts import Router
    from mixture_training.src.classifier import Prediction

#: Expected scores this close are called equal in a reason.
_SAME = 0.005


@dataclass(frozen=True)
class Option:
    """One expert as the router sees it for one instruction; the cost is in USD."""

    expert: str
    expected_score: float
    expected_cost: float


@dataclass(frozen=True)
class Recommendation:
    """Where one instruction should go.

    Attributes:
        expert: The chosen expert, `ranking[0].expert`.
        ranking: Every expert, best first under the policy.
        reason: One sentence that says why the first is first.
        category: The likeliest category; None for a router trained without categories.
        confidence: The probability of that category; None likewise.
        policy: The policy that ranked.
        abilities: What it likely asks for; None for a router trained without abilities.
    """

    expert: str
    ranking: tuple[Option, ...]
    reason: str
    category: str | None
    confidence: float | None
    policy: str
    abilities: tuple[str, ...] | None = None

    @property
    def expected_score(self) -> float:
        """The chosen expert's expected score."""
        return self.ranking[0].expected_score

    @property
    def expected_cost(self) -> float:
        """The chosen expert's expected cost, USD."""
        return self.ranking[0].expected_cost


@dataclass(frozen=True)
class RoutingTable:
    """Recommendations for n instructions as arrays.

    Attributes:
        experts: The columns, length E.
        scores: Expected scores, (n, E).
        costs: Expected USD, (n, E).
        ranking: Columns of the experts, best first, (n, E).
        categories: The likeliest category of each, None without categories.
        confidences: Its probability, NaN without categories, (n,).
        policy: The policy that ranked.
        abilities: The likely abilities of each, None without abilities.
    """

    experts: tuple[str, ...]
    scores: FloatArray
    costs: FloatArray
    ranking: IndexArray
    categories: tuple[str | None, ...]
    confidences: FloatArray
    policy: Policy
    abilities: tuple[tuple[str, ...] | None, ...] = ()


class Recommender:
    """A router's classifier, cost model and policy, put together.

    Args:
        router: The trained router.
        policy: What to use when a call names none; None means the router's default.
    """

    def __init__(self, router: "Router", *, policy: str | Policy | None = None) -> None:
        self._router = router
        self._policy = _as_policy(policy if policy is not None else router.default_policy)

    @property
    def experts(self) -> tuple[str, ...]:
        """The experts it chooses among."""
        return self._router.classifier.experts_

    def table(self, texts: Sequence[str], *, policy: str | Policy | None = None) -> RoutingTable:
        """Return the routing of `texts` as arrays; no text gives zero rows.

        Raises:
            ConfigError: no such policy.
        """
        chosen_policy = self._policy if policy is None else _as_policy(policy)
        prediction = self._router.classifier.predict(texts)
        costs = self._router.costs.predict(texts, prediction)
        names = self._router.classifier.category_names_
        if names and len(texts):
            best = prediction.categories.argmax(axis=1)
            categories: tuple[str | None, ...] = tuple(names[index] for index in best)
            confidences: FloatArray = prediction.categories[np.arange(len(texts)), best]
        else:
            categories, confidences = (None,) * len(texts), np.full(len(texts), np.nan)
        return RoutingTable(
            experts=self.experts,
            scores=prediction.scores,
            costs=costs,
            ranking=chosen_policy.rank(prediction.scores, costs),
            categories=categories,
            confidences=confidences,
            policy=chosen_policy,
            abilities=self._abilities(prediction),
        )

    def _abilities(self, prediction: "Prediction") -> tuple[tuple[str, ...] | None, ...]:
        """Return the abilities whose probability is above one half, for each row; None where there is none to tell."""
        if prediction.abilities is None:
            return (None,) * len(prediction.scores)
        names = self._router.classifier.ability_names_
        return tuple(
            tuple(name for name, share in zip(names, row, strict=True) if share > LIKELY)
            for row in prediction.abilities
        )

    def recommend(self, texts: Sequence[str], *, policy: str | Policy | None = None) -> list[Recommendation]:
        """Return one recommendation per text.

        Raises:
            ConfigError: no such policy.
        """
        table = self.table(texts, policy=policy)
        recommendations = []
        for row, (category, confidence) in enumerate(zip(table.categories, table.confidences, strict=True)):
            ranking = tuple(
                Option(table.experts[column], float(table.scores[row, column]), float(table.costs[row, column]))
                for column in table.ranking[row]
            )
            recommendations.append(
                Recommendation(
                    expert=ranking[0].expert,
                    ranking=ranking,
                    reason=explain(ranking, table.policy),
                    category=category,
                    confidence=None if np.isnan(confidence) else float(confidence),
                    policy=str(table.policy),
                    abilities=table.abilities[row],
                )
            )
        return recommendations


def explain(ranking: Sequence[Option], policy: Policy) -> str:
    """Return one sentence that says why the first of `ranking` comes first."""
    first = ranking[0]
    if len(ranking) == 1:
        return f"{first.expert} is the only expert (expected score {first.expected_score:.2f})."
    best = max(ranking, key=lambda option: option.expected_score)
    if isinstance(policy, CostWeightPolicy) and best.expected_score - first.expected_score > _SAME:
        return (
            f"{first.expert} is expected to score {first.expected_score:.2f} for {usd(first.expected_cost)}; "
            f"{best.expert} would score {best.expected_score:.2f}, but for {usd(best.expected_cost)}, "
            f"which {policy} does not pay for."
        )
    second = ranking[1]
    lead = first.expected_score - second.expected_score
    if abs(lead) <= _SAME:
        beside = f"as well as {second.expert}"
        if first.expected_cost < second.expected_cost:
            beside += f", for {usd(first.expected_cost)} instead of {usd(second.expected_cost)}"
        return f"{first.expert} is expected to score {first.expected_score:.2f}, {beside}."
    if lead < 0:
        return (
            f"{first.expert} is expected to score {first.expected_score:.2f} for {usd(first.expected_cost)}, "
            f"the best trade under {policy}."
        )
    return (
        f"{first.expert} has the highest expected score, {first.expected_score:.2f}; "
        f"next is {second.expert} with {second.expected_score:.2f}."
    )


def usd(amount: float) -> str:
    """Return an amount of USD with three significant digits, as people write it."""
    if amount == 0:
        return "$0"
    if abs(amount) >= 0.01:
        return f"${amount:.2f}" if abs(amount) >= 1 else f"${amount:.3g}"
    return f"${amount:.3g}".replace("e-0", "e-")


def _as_policy(policy: str | Policy) -> Policy:
    return parse_policy(policy) if isinstance(policy, str) else policy
