"""Why an instruction went where it went: the numbers it was decided by, which give the same decision again."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from dataset_build import DataError
from mixture_training.src.affinity import stays
from mixture_training.src.policy import parse_policy
from mixture_training.src.routed import Routed, route_text, with_context

if TYPE_CHECKING:
    from mixture_training.src.artifacts import Router

#: The policy of a decision that named its expert.
BY_NAME = "expert"
#: Expected scores further apart than this are not those of the same router.
_SAME = 1e-6


@dataclass(frozen=True, slots=True)
class Candidate:
    """One expert as it stood when a decision was made.

    Attributes:
        expert: Its name.
        expected_score: Calibrated.
        expected_cost: USD, before what a session saves.
        low: The score will lie above this in nine of ten cases like this one; None where nothing tells.
        high: And below this; likewise.
        propensity: The probability with which it was to be tried first.
        excluded: Why it could not be chosen; None where it could.
        mean_score: Its mean on train, where the experts' means were ranked by; None where what was expected was.
        mean_cost: Its mean USD; likewise.
    """

    expert: str
    expected_score: float
    expected_cost: float
    low: float | None = None
    high: float | None = None
    propensity: float = 0.0
    excluded: str | None = None
    mean_score: float | None = None
    mean_cost: float | None = None


@dataclass(frozen=True, slots=True)
class NearInstruction:
    """A training instruction like the one that was decided on.

    Attributes:
        text: Its text.
        category: Its category, when known.
        similarity: Cosine of the two vectors.
        scores: Expert -> what it scored there, where it was asked.
    """

    text: str
    category: str | None
    similarity: float
    scores: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Replay:
    """What the same decision comes to again.

    Attributes:
        chosen: Who would be chosen.
        agrees: Whether that is who was chosen then.
        difference: What is different, in one sentence; None where nothing is.
    """

    chosen: str
    agrees: bool
    difference: str | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """One decision with its reasons.

    Attributes:
        id: That of the decision.
        created: ISO 8601, UTC.
        router_version: Which router decided.
        policy: The policy that was asked for; `expert` where one was named.
        rule: What ranked: `quality` or `cost_weight=λ`, as the policy comes to with this router.
        chosen: Who was to be tried first.
        reason: One sentence that says why.
        options: Every expert as ranked, those that could not be chosen among them.
        category: The likeliest category, when known.
        confidence: Its probability.
        abilities: What the instruction likely asks for; None for a router trained without abilities.
        novelty: How far it is from training, above 1 for a novel one; None where nothing tells.
        is_guarded: Whether the experts' means were ranked by.
        is_canary: Whether a version on trial decided.
        context_tokens: Tokens of the conversation, about, besides the text that was routed; the costs count them.
        session_expert: Who answered the session's last turn; None without one.
        session_saving: USD that staying with that expert saves.
        is_explored: Whether the explorer chose.
        greedy: Who comes first without exploring.
        features_hash: SHA-256 of the vector as it is kept (float16), 16 hex digits; None where there is none.
        cached_from: The decision whose answer was given again; None where it was answered anew.
        features: The vector itself, little-endian float16; not part of the JSON.
    """

    id: str
    created: str
    router_version: str
    policy: str
    rule: str
    chosen: str
    reason: str
    options: tuple[Candidate, ...]
    category: str | None = None
    confidence: float | None = None
    abilities: tuple[str, ...] | None = None
    novelty: float | None = None
    is_guarded: bool = False
    is_canary: bool = False
    context_tokens: int = 0
    session_expert: str | None = None
    session_saving: float = 0.0
    is_explored: bool = False
    greedy: str = ""
    features_hash: str | None = None
    cached_from: str | None = None
    features: bytes | None = field(default=None, compare=False, repr=False)

    def option(self, expert: str) -> Candidate:
        """Return an expert as it stood.

        Raises:
            KeyError: it was not among the options.
        """
        for candidate in self.options:
            if candidate.expert == expert:
                return candidate
        raise KeyError(expert)

    @property
    def ranking(self) -> tuple[str, ...]:
        """The experts that could be chosen, in the order they were to be tried."""
        others = [one.expert for one in self.options if one.excluded is None and one.expert != self.chosen]
        return (self.chosen, *others)

    @property
    def next_best(self) -> Candidate | None:
        """Who was to be tried next; None where nobody was left."""
        ranking = self.ranking
        return self.option(ranking[1]) if len(ranking) > 1 else None

    @property
    def expected_score(self) -> float:
        """The chosen expert's expected score."""
        return self.option(self.chosen).expected_score

    @property
    def expected_cost(self) -> float:
        """The chosen expert's expected USD, less what its session saves."""
        return self.cost_of(self.option(self.chosen))

    def cost_of(self, candidate: Candidate) -> float:
        """Return the expected USD of an expert, less what its session saves."""
        if candidate.expert != self.session_expert:
            return candidate.expected_cost
        return max(candidate.expected_cost - self.session_saving, 0.0)

    def to_json(self) -> dict[str, Any]:
        """Return the receipt as JSON-able values; `next_best` is told in words of its own, for readers."""
        following = self.next_best
        return {
            "id": self.id,
            "created": self.created,
            "router_version": self.router_version,
            "policy": self.policy,
            "rule": self.rule,
            "chosen": self.chosen,
            "reason": self.reason,
            "options": [
                {
                    "expert": one.expert,
                    "expected_score": one.expected_score,
                    "expected_cost": one.expected_cost,
                    "low": one.low,
                    "high": one.high,
                    "propensity": one.propensity,
                    "excluded": one.excluded,
                    "mean_score": one.mean_score,
                    "mean_cost": one.mean_cost,
                }
                for one in self.options
            ],
            "category": self.category,
            "confidence": self.confidence,
            "abilities": self.abilities if self.abilities is None else list(self.abilities),
            "novelty": self.novelty,
            "is_guarded": self.is_guarded,
            "is_canary": self.is_canary,
            "next_best": None if following is None else following.expert,
            "next_best_score": None if following is None else following.expected_score,
            "next_best_cost": None if following is None else self.cost_of(following),
            "context_tokens": self.context_tokens,
            "session_expert": self.session_expert,
            "session_saving": self.session_saving,
            "is_explored": self.is_explored,
            "greedy": self.greedy,
            "features_hash": self.features_hash,
            "cached_from": self.cached_from,
        }

    @classmethod
    def from_json(cls, state: Mapping[str, Any], features: bytes | None = None) -> "Receipt":
        """Return the receipt that `to_json` described.

        Args:
            state: What `to_json` gave.
            features: The vector, where it was kept.

        Raises:
            DataError: it is no receipt.
        """
        try:
            rest = {key: value for key, value in state.items() if not key.startswith("next_best")}
            rest["options"] = tuple(Candidate(**one) for one in rest["options"])
            if rest["abilities"] is not None:
                rest["abilities"] = tuple(rest["abilities"])
            receipt = cls(**rest, features=features)
            receipt.option(receipt.chosen)
        except (KeyError, TypeError, AttributeError, ValueError) as problem:
            raise DataError(f"This is no receipt of a decision ({type(problem).__name__}: {problem}).") from None
        return receipt

    def recompute(self) -> Replay:
        """Return what the receipt's own numbers come to."""
        if self.policy == BY_NAME:
            return Replay(self.chosen, True)
        chosen = self.greedy_choice()
        if self.is_explored:
            if chosen == self.greedy:
                return Replay(self.chosen, True)
            return Replay(chosen, False, f"without exploring {chosen} comes first, and {self.greedy} did then")
        if chosen == self.chosen:
            return Replay(chosen, True)
        return Replay(chosen, False, f"its numbers put {chosen} first")

    def replay(self, router: "Router", text: str) -> Replay:
        """Return what the router decides for the text today, among the experts that could be chosen then.

        Args:
            router: The version that decided, or another one to compare with.
            text: What was routed.
        """
        from mixture_training.src.model_recommender import Recommender

        if self.policy == BY_NAME:
            return Replay(self.chosen, True)
        routed = route_text(Recommender(router, policy=self.policy), router, text)
        routed = with_context(routed, router, self.context_tokens)
        excluded = {one.expert: one.excluded for one in self.options if one.excluded is not None}
        again = replace(
            self,
            rule=str(routed.rule),
            options=candidates_of(routed, {name: why for name, why in excluded.items() if name in routed.experts}),
            features_hash=routed.features_hash,
        )
        if all(one.excluded is not None for one in again.options):
            return Replay("", False, "this router knows none of the experts that could be chosen")
        first = again.greedy_choice()
        if again.features_hash != self.features_hash and self.features_hash is not None:
            return Replay(first, False, "the text is not the one that was decided on, or its encoder is another")
        scores = {one.expert: one.expected_score for one in again.options}
        apart = [one.expert for one in self.options if abs(scores.get(one.expert, 2.0) - one.expected_score) > _SAME]
        wanted = self.greedy if self.is_explored else self.chosen
        if first != wanted:
            return Replay(first, False, f"this router puts {first} first")
        return Replay(self.chosen, True, f"other scores are expected of {', '.join(apart)}" if apart else None)

    def nearest(self, router: "Router", k: int = 3) -> tuple[NearInstruction, ...]:
        """Return the `k` training instructions most like this one; none where no vector was kept.

        Args:
            router: The version that decided.
            k: How many.
        """
        if self.features is None:
            return ()
        data = router.training_data().split("train")
        vectors = router.classifier.vectors_of(data.texts)
        vector = np.frombuffer(self.features, dtype="<f2").astype(np.float32)
        if vectors is None or vectors.shape[1:] != vector.shape:
            return ()
        lengths = np.linalg.norm(vectors, axis=1) * float(np.linalg.norm(vector))
        alike = np.divide(vectors @ vector, lengths, out=np.zeros(len(vectors), np.float32), where=lengths > 0)
        return tuple(
            NearInstruction(
                data.texts[row],
                data.categories[row],
                float(alike[row]),
                {
                    name: float(score)
                    for name, score in zip(data.experts, data.scores[row], strict=True)
                    if not np.isnan(score)
                },
            )
            for row in np.argsort(-alike, kind="stable")[:k].tolist()
        )

    def greedy_choice(self) -> str:
        """Return who comes first by the numbers, the session heeded and nothing explored."""
        free = [one for one in self.options if one.excluded is None]
        scores = [one.expected_score if one.mean_score is None else one.mean_score for one in free]
        costs = [one.expected_cost if one.mean_cost is None else one.mean_cost for one in free]
        rule = parse_policy(self.rule)
        first = int(rule.choose(np.array([scores]), np.array([costs]))[0])
        for place, one in enumerate(free):
            if one.expert == self.session_expert and place != first:
                half = None if one.low is None or one.high is None else (one.high - one.low) / 2.0
                pair = (scores[first], scores[place]), (costs[first], costs[place])
                if stays(rule, *pair, saving=self.session_saving, half_width=half):
                    return one.expert
        return free[first].expert


def candidates_of(
    routed: Routed, excluded: Mapping[str, str | None], propensities: Mapping[str, float] | None = None
) -> tuple[Candidate, ...]:
    """Return the experts as ranked.

    Args:
        routed: What is expected of them.
        excluded: Expert -> why it cannot be chosen, for those that cannot.
        propensities: Expert -> the probability with which it is tried first; 0 for those left out.
    """
    lows, highs, means, mean_costs = routed.lows, routed.highs, routed.mean_scores, routed.mean_costs
    chances = propensities or {}
    return tuple(
        [
            Candidate(
                name := routed.experts[place],
                routed.scores[place],
                routed.costs[place],
                None if lows is None else lows[place],
                None if highs is None else highs[place],
                chances.get(name, 0.0),
                excluded.get(name),
                None if means is None else means[place],
                None if mean_costs is None else mean_costs[place],
            )
            for place in routed.order
        ]
    )
