"""One instruction's row of a routing table, as plain values: what a decision is made of, cheap to keep."""

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from mixture_training.src.policy import Policy

if TYPE_CHECKING:
    from mixture_training.src.artifacts import Router
    from mixture_training.src.model_recommender import Recommender, RoutingTable


@dataclass(frozen=True, slots=True)
class Routed:
    """Where one text goes, all experts considered; lists have one entry per expert, in the order of `experts`.

    Attributes:
        experts: Their names.
        policy: The policy that was asked for.
        rule: What ranked: `quality` or `cost_weight`.
        order: Places of the experts, best first.
        scores: Expected, calibrated.
        costs: Expected USD.
        lows: Lower ends of the intervals around the scores; None where nothing tells.
        highs: Upper ends; likewise.
        mean_scores: What was ranked instead of `scores`; None where they were.
        mean_costs: What was ranked instead of `costs`; likewise.
        category: The likeliest, None without categories.
        confidence: Its probability.
        abilities: What the text likely asks for; None for a router trained without abilities.
        novelty: Above 1 for a novel text; None where nothing tells.
        table: The row as it came, for the explorer.
        correction: What the router had learned from feedback when it was routed; with another it is routed anew.
        features: The vector it was decided by, little-endian float16; None where the classifier reads none.
        features_hash: SHA-256 of `features`, 16 hex digits.
    """

    experts: tuple[str, ...]
    policy: Policy
    rule: Policy
    order: list[int]
    scores: list[float]
    costs: list[float]
    lows: list[float] | None
    highs: list[float] | None
    mean_scores: list[float] | None
    mean_costs: list[float] | None
    category: str | None
    confidence: float | None
    abilities: tuple[str, ...] | None
    novelty: float | None
    table: "RoutingTable"
    correction: object
    features: bytes | None
    features_hash: str | None

    @property
    def is_guarded(self) -> bool:
        """Whether the experts' means were ranked."""
        return self.mean_scores is not None

    def half_width(self, place: int) -> float | None:
        """Return half the interval around an expert's score; None where nothing tells."""
        if self.lows is None or self.highs is None:
            return None
        return (self.highs[place] - self.lows[place]) / 2.0


def route_text(recommender: "Recommender", router: "Router", text: str, policy: str | None = None) -> Routed:
    """Return where `text` goes.

    Args:
        recommender: Of the router.
        router: Itself.
        text: What is routed.
        policy: As `Recommender.table` takes it.

    Raises:
        ConfigError: no such policy, or one whose promise this router cannot keep.
    """
    correction, guard = router.correction, router.assurance.guard
    table = recommender.table([text], policy=policy)
    is_guarded = guard is not None and table.is_guarded is not None and bool(table.is_guarded[0])
    rule = table.rule or table.policy
    confidence = float(table.confidences[0])
    features = features_hash = None
    if table.vectors is not None:
        with np.errstate(over="ignore"):  # what float16 cannot hold is infinite, and still the same in every replay
            features = table.vectors[0].astype("<f2").tobytes()
        features_hash = hash_of(features)
    return Routed(
        experts=table.experts,
        policy=table.policy,
        rule=table.alone or rule if is_guarded else rule,
        order=table.ranking[0].tolist(),
        scores=table.scores[0].tolist(),
        costs=table.costs[0].tolist(),
        lows=None if table.bounds is None else table.bounds[0][0].tolist(),
        highs=None if table.bounds is None else table.bounds[1][0].tolist(),
        mean_scores=table.means.tolist() if is_guarded and table.means is not None else None,
        mean_costs=guard.mean_costs.tolist() if is_guarded and guard is not None else None,
        category=table.categories[0],
        confidence=None if confidence != confidence else confidence,
        abilities=table.abilities[0] if table.abilities else None,
        novelty=None if table.novelty is None else float(table.novelty[0]),
        table=table,
        correction=correction,
        features=features,
        features_hash=features_hash,
    )


def with_context(routed: Routed, router: "Router", tokens: int) -> Routed:
    """Return the row of a conversation of which more is sent than was routed: experts read that too, at their prices.

    Args:
        routed: The row of the text that was routed.
        router: Whose experts' prices hold.
        tokens: How many more tokens there are, about.
    """
    more = [card.price.prompt_per_million * tokens / 1e6 for card in router.experts]
    if tokens <= 0 or not any(more):
        return routed
    costs = [cost + extra for cost, extra in zip(routed.costs, more, strict=True)]
    means = routed.mean_costs
    if means is not None:
        means = [cost + extra for cost, extra in zip(means, more, strict=True)]
    scores = routed.scores if routed.mean_scores is None else routed.mean_scores
    order = routed.rule.rank(np.array([scores]), np.array([costs if means is None else means]))[0].tolist()
    return replace(routed, costs=costs, mean_costs=means, order=order)


def hash_of(features: bytes) -> str:
    """Return the `features_hash` of a vector as it is kept."""
    return hashlib.sha256(features).hexdigest()[:16]
