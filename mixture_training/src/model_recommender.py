"""Which expert an instruction should go to, who is next, and why."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from dataset_build import ConfigError
from mixture_training.src.ability_head import LIKELY
from mixture_training.src.guard import route
from mixture_training.src.policy import CostWeightPolicy, IndexArray, Policy, QualityPolicy, parse_policy
from mixture_training.src.training_data import FloatArray

if TYPE_CHECKING:
    from mixture_training.src.artifacts import Router
    from mixture_training.src.classifier import Prediction
    from mixture_training.src.guard import Guard

BoolArray = npt.NDArray[np.bool_]
Vectors = npt.NDArray[np.float32]

#: Expected scores this close are called equal in a reason.
_SAME = 0.005


@dataclass(frozen=True, slots=True)
class Option:
    """One expert as the router sees it for one instruction; the cost is in USD.

    Attributes:
        expert: Its name.
        expected_score: Calibrated.
        expected_cost: USD.
        low: The score will lie above this in nine of ten cases like this one; None where nothing tells.
        high: And below this; likewise.
    """

    expert: str
    expected_score: float
    expected_cost: float
    low: float | None = None
    high: float | None = None


class Expected(Protocol):
    """What `explain` asks of an expert: an `Option`, or anything else with these."""

    @property
    def expert(self) -> str:
        """Its name."""

    @property
    def expected_score(self) -> float:
        """Calibrated."""

    @property
    def expected_cost(self) -> float:
        """USD."""


@dataclass(frozen=True)
class Recommendation:
    """Where one instruction should go.

    Attributes:
        expert: The chosen expert, `ranking[0].expert`.
        ranking: Every expert, best first under the policy.
        reason: One sentence that says why the first is first.
        category: The likeliest category; None for a router trained without categories.
        confidence: The probability of that category; None likewise.
        policy: The policy that was asked for.
        abilities: What it likely asks for; None for a router trained without abilities.
        novelty: How far the instruction is from all that the router learned from; above 1 it is novel, as one in a
            hundred training instructions was. None where nothing tells.
        is_guarded: Whether the ranking is that of the experts' means, because routing by instruction was not shown to
            be better, or because the instruction is novel; `ranking` shows what was expected of it all the same.
    """

    expert: str
    ranking: tuple[Option, ...]
    reason: str
    category: str | None
    confidence: float | None
    policy: str
    abilities: tuple[str, ...] | None = None
    novelty: float | None = None
    is_guarded: bool = False

    @property
    def expected_score(self) -> float:
        """The chosen expert's expected score."""
        return self.ranking[0].expected_score

    @property
    def expected_cost(self) -> float:
        """The chosen expert's expected cost, USD."""
        return self.ranking[0].expected_cost

    @property
    def is_novel(self) -> bool | None:
        """Whether the instruction is unlike what the router learned from; None where nothing tells."""
        return None if self.novelty is None else self.novelty > 1.0


@dataclass(frozen=True)
class RoutingTable:
    """Recommendations for n instructions as arrays.

    Attributes:
        experts: The columns, length E.
        scores: Expected scores, calibrated, (n, E).
        costs: Expected USD, (n, E).
        ranking: Columns of the experts, best first, (n, E).
        categories: The likeliest category of each, None without categories.
        confidences: Its probability, NaN without categories, (n,).
        policy: The policy that was asked for.
        abilities: The likely abilities of each, None without abilities.
        rule: The policy that ranked: `quality` or `cost_weight`; None means `policy` itself.
        is_guarded: (n,), whether the ranking is that of the experts' means.
        bounds: (low, high) of the scores, each (n, E); None where nothing tells.
        novelty: (n,), above 1 where an instruction is novel; None where nothing tells.
        vectors: What the classifier read instead of the texts, (n, d); None where it reads no vectors.
        alone: What ranks the experts' means where they are what is ranked by; None means `rule`.
        uncorrected: Expected scores before the correction, (n, E), which feedback is to be compared with; None means
            `scores`.
        deviations: Standard deviations of the correction, (n, E); None where the router has none.
        means: The experts' means, corrected, that guarded rows are ranked by, (E,); None without a guard.
    """

    experts: tuple[str, ...]
    scores: FloatArray
    costs: FloatArray
    ranking: IndexArray
    categories: tuple[str | None, ...]
    confidences: FloatArray
    policy: Policy
    abilities: tuple[tuple[str, ...] | None, ...] = ()
    rule: Policy | None = None
    is_guarded: BoolArray | None = None
    bounds: tuple[FloatArray, FloatArray] | None = None
    novelty: FloatArray | None = None
    vectors: Vectors | None = None
    alone: Policy | None = None
    uncorrected: FloatArray | None = None
    deviations: FloatArray | None = None
    means: FloatArray | None = None

    @property
    def novel_share(self) -> float | None:
        """The share of the instructions that are novel; None where nothing tells."""
        return None if self.novelty is None or not len(self.novelty) else float((self.novelty > 1.0).mean())


class Recommender:
    """A router's classifier, cost model and policy, put together.

    Args:
        router: The trained router.
        policy: What to use when a call names none; None means the router's default.
        heed_guard: False routes by expected scores even where that was not shown to be better.
    """

    def __init__(self, router: "Router", *, policy: str | Policy | None = None, heed_guard: bool = True) -> None:
        self._router = router
        self._heed_guard = heed_guard
        self._policy = _as_policy(policy if policy is not None else router.default_policy)

    @property
    def experts(self) -> tuple[str, ...]:
        """The experts it chooses among."""
        return self._router.classifier.experts_

    def table(self, texts: Sequence[str], *, policy: str | Policy | None = None) -> RoutingTable:
        """Return the routing of `texts` as arrays; no text gives zero rows.

        Raises:
            ConfigError: no such policy, or one whose promise this router cannot keep.
        """
        chosen_policy = self._policy if policy is None else _as_policy(policy)
        assurance = self._router.assurance
        prediction = assurance.expect(self._router.classifier.predict(texts))
        costs = self._router.costs.predict(texts, prediction)
        distances = assurance.distances(prediction)
        bounds = None if assurance.intervals is None else assurance.intervals.around(prediction.scores, distances)
        uncorrected, deviations = prediction.scores, None
        correction = self._router.correction  # read once: a running server replaces it
        if correction is not None:
            prediction, bounds, deviations = correction.expect(prediction, bounds)
            assurance = correction.assured(assurance)
        routing = route(
            prediction.scores, costs, chosen_policy, assurance, distances=distances, heed_guard=self._heed_guard
        )
        names = self._router.classifier.category_names_
        if names and len(texts):
            best = prediction.categories.argmax(axis=1)
            categories: tuple[str | None, ...] = tuple([names[index] for index in best.tolist()])
            confidences: FloatArray = prediction.categories[np.arange(len(texts)), best]
        else:
            categories, confidences = (None,) * len(texts), np.full(len(texts), np.nan)
        return RoutingTable(
            experts=self.experts,
            scores=prediction.scores,
            costs=costs,
            ranking=routing.ranking,
            categories=categories,
            confidences=confidences,
            policy=chosen_policy,
            abilities=self._abilities(prediction),
            rule=routing.policy,
            is_guarded=routing.is_guarded | (routing.is_novel & self._heeds_novelty),
            bounds=bounds,
            novelty=distances,
            vectors=prediction.vectors,
            alone=routing.alone,
            uncorrected=uncorrected,
            deviations=deviations,
            means=None if assurance.guard is None else assurance.guard.mean_scores,
        )

    @property
    def _heeds_novelty(self) -> bool:
        guard = self._router.assurance.guard
        return self._heed_guard and guard is not None and guard.on

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
            ConfigError: no such policy, or one whose promise this router cannot keep.
        """
        table = self.table(texts, policy=policy)
        named, rule = str(table.policy), table.rule or table.policy
        guard = self._router.assurance.guard
        guarded = [False] * len(texts) if table.is_guarded is None else table.is_guarded.tolist()
        nothing = [[None] * len(table.experts)] * len(texts)
        scores, costs, ranking = table.scores.tolist(), table.costs.tolist(), table.ranking.tolist()
        lows, highs = (part.tolist() for part in table.bounds) if table.bounds is not None else (nothing, nothing)
        novelties = [None] * len(texts) if table.novelty is None else table.novelty.tolist()
        recommendations = []
        for row, confidence in enumerate(table.confidences.tolist()):
            values = list(zip(table.experts, scores[row], costs[row], lows[row], highs[row], strict=True))
            options = tuple([Option(*values[column]) for column in ranking[row]])
            recommendations.append(
                Recommendation(
                    expert=options[0].expert,
                    ranking=options,
                    reason=explain_guard(options[0].expert, guard, rule, named, novelty=novelties[row])
                    if guarded[row] and guard is not None
                    else explain(options, rule, named),
                    category=table.categories[row],
                    confidence=None if confidence != confidence else confidence,
                    policy=named,
                    abilities=table.abilities[row],
                    novelty=novelties[row],
                    is_guarded=guarded[row],
                )
            )
        return recommendations


def explain_guard(expert: str, guard: "Guard", rule: Policy, asked: str, *, novelty: float | None = None) -> str:
    """Return one sentence that says why an instruction goes to `expert`, whatever is expected of it.

    Args:
        expert: The first of the ranking.
        guard: What was found.
        rule: What ranked.
        asked: The policy that was asked for.
        novelty: Of the instruction.
    """
    for_quality = isinstance(rule, QualityPolicy)
    best = f"{expert} is the best single expert{'' if for_quality else f' for {asked}'}"
    if novelty is not None and novelty > 1.0:
        return f"{best}, and the instruction is unlike anything the router learned from."
    found = guard.quality if for_quality else guard.cost
    return (
        f"{best}; routing by instruction was not shown to be better ({found.value:+.3f}, 95 % interval "
        f"{found.low:+.3f} to {found.high:+.3f}, over {found.rows} instructions)."
    )


def explain(ranking: Sequence[Expected], policy: Policy, asked: str | None = None) -> str:
    """Return one sentence that says why the first of `ranking` comes first.

    Args:
        ranking: Every expert, best first.
        policy: What ranked.
        asked: The policy that was asked for, where it is another.
    """
    first = ranking[0]
    if len(ranking) == 1:
        return f"{first.expert} is the only expert (expected score {first.expected_score:.2f})."
    best = max(ranking, key=lambda option: option.expected_score)
    if isinstance(policy, CostWeightPolicy) and best.expected_score - first.expected_score > _SAME:
        return (
            f"{first.expert} is expected to score {first.expected_score:.2f} for {usd(first.expected_cost)}; "
            f"{best.expert} would score {best.expected_score:.2f}, but for {usd(best.expected_cost)}, "
            f"which {asked or policy} does not pay for."
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
    if isinstance(policy, str):
        return parse_policy(policy)
    if not isinstance(policy, Policy):
        raise ConfigError(f"A policy is a text such as 'cost_weight=100'; {policy!r} was given.")
    return policy
