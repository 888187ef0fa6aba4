"""A request → who is to answer it and why; nothing is called and nothing is remembered."""

import asyncio
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dataset_build import ChatCall, ConfigError, Expert, Needs, missing, nearest, text_of
from mixture_training.src.affinity import Affinity, stays
from mixture_training.src.asking import Ask
from mixture_training.src.conversation import routing_text
from mixture_training.src.decisions import new_id, now
from mixture_training.src.model_recommender import explain, explain_guard, usd
from mixture_training.src.receipt import BY_NAME, Candidate, Receipt, candidates_of
from mixture_training.src.routed import Routed, route_text, with_context

if TYPE_CHECKING:
    from mixture_training.src.bandit import Exploration, Explorer
    from mixture_training.src.live_router import ActiveRouter

#: Texts whose routing is remembered (the turns of an agent's loop all have the same one), and how long they may be.
REMEMBERED, LONGEST_REMEMBERED = 512, 8192
#: Routing that takes longer than this many seconds is done in a thread, so that nobody else waits for it.
INLINE_S = 1e-3
#: Tokens that an answer is given room for in an expert's context, where the request does not bound it.
ANSWER_TOKENS = 256
#: Experts that are named at most of those passed over for the same reason.
_TOLD = 5
#: Characters of a token, about, in what is sent besides the text that was routed.
_CHARACTERS = 4
#: Why an expert is passed over that whoever asks may not use; who asks is not told of it.
NOT_ALLOWED = "it is not allowed here"
#: What is told of an expert without a capability: what it cannot do, and how to say that it can.
_LACKS = {
    "tools": "cannot use tools",
    "vision": "cannot see images",
    "audio": "cannot hear sound",
    "json_mode": "cannot be held to a form of answer (response_format)",
    "context_tokens": "has too short a context",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """A decision about to be carried out.

    Attributes:
        ask: The request.
        text: What was routed.
        receipt: What was decided.
        started: When the request came, by `time.perf_counter`.
    """

    ask: Ask
    text: str
    receipt: Receipt
    started: float


class Decider:
    """Decides for whom the conversation is.

    Args:
        experts: Who can be reached, by name.
        affinity: Who answered sessions last; None forgets.
        explorer: Asks others than the best now and then; None never does. The expert of a session is not explored away.
    """

    def __init__(
        self,
        experts: Mapping[str, Expert],
        *,
        affinity: Affinity | None = None,
        explorer: "Explorer | None" = None,
    ) -> None:
        self._experts = experts
        self._affinity = affinity
        self._explorer = explorer
        contexts = [e.capabilities.context_tokens for e in experts.values()]
        self._least_context = min((tokens for tokens in contexts if tokens is not None), default=None)
        self._routed: OrderedDict[tuple[str, str | None, str], Routed] = OrderedDict()
        self._fastest_s: dict[str, float] = {}
        self._lock = threading.Lock()

    async def plan(self, ask: Ask, active: "ActiveRouter", started: float) -> Plan:
        """Return what is decided; routing goes to a thread where it is slow.

        Raises:
            ConfigError: as for `decide`.
        """
        text = routing_text(ask.call)
        if ask.expert is not None:
            return Plan(ask, text, self._by_name(ask, active), started)
        routed = self._remembered(active, ask.policy, text)
        if routed is None:
            if self._fastest_s.get(active.version, INLINE_S) < INLINE_S:
                routed = self._route(active, ask.policy, text)
            else:
                routed = await asyncio.to_thread(self._route, active, ask.policy, text)
        return Plan(ask, text, self._receipt(ask, active, routed, text), started)

    def decide(self, ask: Ask, active: "ActiveRouter") -> Receipt:
        """Return what is decided.

        Raises:
            ConfigError: nobody who may answer can, or there is no such policy or expert.
        """
        if ask.expert is not None:
            return self._by_name(ask, active)
        text = routing_text(ask.call)
        routed = self._remembered(active, ask.policy, text) or self._route(active, ask.policy, text)
        return self._receipt(ask, active, routed, text)

    def _remembered(self, active: "ActiveRouter", policy: str | None, text: str) -> Routed | None:
        key = (active.version, policy, text)
        with self._lock:
            found = self._routed.get(key)
            if found is None or found.correction is not active.router.correction:
                return None
            self._routed.move_to_end(key)
            return found

    def _route(self, active: "ActiveRouter", policy: str | None, text: str) -> Routed:
        started = time.perf_counter()
        routed = route_text(active.recommender, active.router, text, policy)
        took_s = time.perf_counter() - started
        with self._lock:
            if active.version not in self._fastest_s:
                self._fastest_s.clear()  # versions come and go
            self._fastest_s[active.version] = min(took_s, self._fastest_s.get(active.version, took_s))
            if len(text) <= LONGEST_REMEMBERED:
                self._routed[active.version, policy, text] = routed
            if len(self._routed) > REMEMBERED:
                self._routed.popitem(last=False)
        return routed

    def _receipt(self, ask: Ask, active: "ActiveRouter", routed: Routed, text: str) -> Receipt:
        context = 0 if ask.call.is_plain else max(_characters(ask.call) - len(text), 0) // _CHARACTERS
        routed = with_context(routed, active.router, context)
        excluded = self._excluded(ask, routed.experts)
        free = [place for place in routed.order if routed.experts[place] not in excluded]
        if not free:
            raise nobody_left(excluded)
        first = free[0]
        session_expert, saving, place = self._session(ask, routed, excluded)
        is_kept = place is not None and place != first and _is_kept(routed, first, place, saving)
        if is_kept and place is not None:
            first = place
        greedy = chosen = routed.experts[first]
        decision, propensities, explored = new_id(), {chosen: 1.0}, None
        if self._explorer is not None and session_expert is None:
            explored = self._explore(self._explorer, routed, free, decision)
            propensities = dict(zip(routed.experts, explored.propensities.tolist(), strict=True))
            chosen = routed.experts[int(explored.ranking[0])]
        options = candidates_of(routed, excluded, propensities)
        if explored is not None and explored.explored:
            reason = explored.reason
        else:
            reason = _kept_reason(chosen, saving) if is_kept else _reason(active, routed, options)
        return Receipt(
            id=decision,
            created=now(),
            router_version=active.version,
            policy=str(routed.policy),
            rule=str(routed.rule),
            chosen=chosen,
            reason=reason,
            options=options,
            category=routed.category,
            confidence=routed.confidence,
            abilities=routed.abilities,
            novelty=routed.novelty,
            is_guarded=routed.is_guarded,
            is_canary=active.is_canary,
            context_tokens=context,
            session_expert=session_expert,
            session_saving=saving,
            is_explored=explored is not None and explored.explored,
            greedy=greedy,
            features_hash=routed.features_hash,
            features=routed.features,
        )

    @staticmethod
    def _explore(explorer: "Explorer", routed: Routed, free: list[int], decision: str) -> "Exploration":
        """Return whom the explorer draws among those that can answer; the id of the decision is the draw's seed."""
        import numpy as np

        allowed = np.zeros(len(routed.experts), dtype=bool)
        allowed[free] = True
        deviations = routed.table.deviations
        return explorer.choose(
            np.array(routed.scores if routed.mean_scores is None else routed.mean_scores),
            np.array(routed.costs),
            np.zeros(len(routed.experts)) if deviations is None else deviations[0],
            routed.rule,
            allowed,
            np.random.default_rng(int(decision, 16)),
            ranking=np.array(routed.order),
        )

    def _by_name(self, ask: Ask, active: "ActiveRouter") -> Receipt:
        """Return the receipt of a request that names its expert: no routing, and what is known of it on average."""
        name = ask.expert or ""
        if name not in self._experts:
            raise ConfigError(
                f"There is no expert {name!r}.{nearest(name, list(self._experts))} Known: {', '.join(self._experts)}."
            )
        excluded = self._excluded(ask, (name,))
        if excluded:
            raise nobody_left(excluded)
        card = next((card for card in active.router.experts if card.name == name), None)
        score, cost = (0.0, 0.0) if card is None else (card.mean_score, card.mean_cost or 0.0)
        return Receipt(
            id=new_id(),
            created=now(),
            router_version=active.version,
            policy=BY_NAME,
            rule=BY_NAME,
            chosen=name,
            reason=f"{name} was asked for by name; the scores and costs are its means on train.",
            options=(Candidate(name, score, cost, propensity=1.0),),
            is_canary=active.is_canary,
            greedy=name,
        )

    def _session(self, ask: Ask, routed: Routed, excluded: Mapping[str, str]) -> tuple[str | None, float, int | None]:
        """Return who answered the session's last turn, what staying saves, and its place; no session has nobody."""
        if self._affinity is None or ask.session is None:
            return None, 0.0, None
        turn = self._affinity.last(ask.session, owner=ask.key_id)
        if turn is None or turn.expert in excluded or turn.expert not in routed.experts:
            return None, 0.0, None
        return turn.expert, turn.saving(ask.call, self._experts[turn.expert].price), routed.experts.index(turn.expert)

    def _excluded(self, ask: Ask, names: tuple[str, ...]) -> dict[str, str]:
        """Return who cannot answer, and why."""
        excluded: dict[str, str] = {}
        needs = self._needs(ask)
        for name in names:
            expert = self._experts.get(name)
            if expert is None:
                excluded[name] = "there is no connection to it"
            elif ask.allowed is not None and name not in ask.allowed:
                excluded[name] = NOT_ALLOWED
            elif needs is not None and (lacking := missing(expert.capabilities, needs)):
                excluded[name] = _says(lacking, needs, expert)
        return excluded

    def _needs(self, ask: Ask) -> Needs | None:
        """Return what the request needs; None where anybody can take it, which is quickly told of a short text."""
        call = ask.call
        if call.is_plain:
            content = call.messages[0].get("content")
            if isinstance(content, str) and (
                self._least_context is None or len(content) + ANSWER_TOKENS < self._least_context
            ):
                return None
        return Needs.of(call, ANSWER_TOKENS, counts_tokens=self._least_context is not None)


def _characters(call: ChatCall) -> int:
    """Return how many characters of text a conversation has."""
    return sum(len(text_of(message.get("content"))) for message in call.messages)


def nobody_left(excluded: Mapping[str, str]) -> ConfigError:
    """Return the error of a request that nobody can answer."""
    reasons: dict[str, list[str]] = {}
    for name, why in excluded.items():
        if why != NOT_ALLOWED:
            reasons.setdefault(why, []).append(name)
    told = "; ".join(f"{_listed(names)}: {why}" for why, names in reasons.items()) or "none is allowed here"
    declare = [f"`{name}`" for name, what in _LACKS.items() if any(what in why for why in excluded.values())]
    hint = (
        f" An expert that can is declared so in its configuration: capabilities with {', '.join(declare)}."
        if declare
        else ""
    )
    return ConfigError(f"No expert can take this request ({told}).{hint}")


def _listed(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= _TOLD else f"{', '.join(names[:_TOLD])} and {len(names) - _TOLD} more"


def _says(lacking: tuple[str, ...], needs: Needs, expert: Expert) -> str:
    parts = []
    for name in lacking:
        what = _LACKS[name]
        if name == "context_tokens":
            what += f" (about {needs.tokens} tokens are needed, {expert.capabilities.context_tokens} fit)"
        parts.append(what)
    return "it " + " and ".join(parts)


def _is_kept(routed: Routed, first: int, place: int, saving: float) -> bool:
    scores = routed.scores if routed.mean_scores is None else routed.mean_scores
    costs = routed.costs if routed.mean_costs is None else routed.mean_costs
    return stays(
        routed.rule,
        (scores[first], scores[place]),
        (costs[first], costs[place]),
        saving=saving,
        half_width=routed.half_width(place),
    )


def _kept_reason(chosen: str, saving: float) -> str:
    cached = f" and has read the conversation, which saves {usd(saving)}" if saving > 0.0 else ""
    return f"{chosen} answered this session before{cached}; no other is enough better to change."


def _reason(active: "ActiveRouter", routed: Routed, options: tuple[Candidate, ...]) -> str:
    guard, asked = active.router.assurance.guard, str(routed.policy)
    free = [one for one in options if one.excluded is None]
    if routed.is_guarded and guard is not None and len(free) == len(options):
        return explain_guard(free[0].expert, guard, routed.rule, asked, novelty=routed.novelty)
    if routed.is_guarded:
        said = f"{free[0].expert} comes first by the experts' means."
    else:
        said = explain(free, routed.rule, asked)
    if options[0].excluded not in (None, NOT_ALLOWED):
        said += f" {options[0].expert} would have come before it, but {options[0].excluded}."
    return said
