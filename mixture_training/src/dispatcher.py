"""Decides, lets the experts answer, and remembers what came of it: what the controller and the server share.

A `Dispatcher` belongs to one event loop. Every request ends in one `Decision`, however it ends (answered, failed, or
the caller went away in the middle), and that is given to `remember` before the last piece of the answer is handed out.
"""

import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from dataset_build import ChatPiece, count_tokens
from mixture_training.src.affinity import Affinity
from mixture_training.src.asking import Ask, MoEResult, NobodyAnsweredError
from mixture_training.src.deciding import Decider, Plan
from mixture_training.src.decisions import Attempt, Decision, Outcome, new_id, now
from mixture_training.src.model_executor import Ended, Execution, Executor, Piece, Resumed
from mixture_training.src.receipt import Receipt

if TYPE_CHECKING:
    from mixture_training.src.bandit import Explorer
    from mixture_training.src.live_router import ActiveRouter, LiveRouter
    from mixture_training.src.response_cache import ResponseCache

__all__ = ["Ask", "Dispatcher", "MoEResult", "NobodyAnsweredError"]


class Dispatcher:
    """The way of a request through router and experts.

    Args:
        live: The router in use, and the one on trial beside it.
        executor: Who calls the experts.
        remember: Takes each decision; called on the event loop, so it has to be quick.
        keep_texts: Whether decisions hold the instruction and the response.
        keep_features: Whether they hold the vector that was decided by.
        hash_of: What is stored in place of a user's or a session's name; None stores neither.
        affinity: Who answered sessions last; None makes a table of its own.
        cache: Answers that may be given again; None asks every time.
        explorer: Asks others than the best now and then, to learn what they can do; None never does.
    """

    def __init__(
        self,
        live: "LiveRouter",
        executor: Executor,
        remember: Callable[[Decision], None],
        *,
        keep_texts: bool = False,
        keep_features: bool = True,
        hash_of: Callable[[str], str] | None = None,
        affinity: Affinity | None = None,
        cache: "ResponseCache | None" = None,
        explorer: "Explorer | None" = None,
    ) -> None:
        self._live, self._executor, self._remember = live, executor, remember
        self._keep_texts, self._keep_features, self._hash_of = keep_texts, keep_features, hash_of
        self._affinity = Affinity() if affinity is None else affinity
        self._cache = cache
        self._decider = Decider(executor.experts, affinity=self._affinity, explorer=explorer)

    def decide(self, ask: Ask) -> Receipt:
        """Return where a request would go and why; nobody is called and nothing is remembered.

        Raises:
            ConfigError: nobody who may answer can, or there is no such policy or expert.
        """
        return self._decider.decide(ask, self._pick(ask))

    async def answer(self, ask: Ask) -> MoEResult:
        """Return the answer of the first expert that gives one.

        Raises:
            ConfigError: as for `decide`; nothing is remembered then.
            NobodyAnsweredError: every expert failed.
        """
        started = time.perf_counter()
        active = self._pick(ask)
        key = None if self._cache is None else self._cache.key(ask, active.version)
        if self._cache is not None and key is not None and (found := self._cache.get(key)) is not None:
            return self._again(ask, found, started)
        plan = await self._decider.plan(ask, active, started)
        execution = await self._executor.run(
            ask.call,
            plan.receipt.ranking,
            total_timeout_s=ask.timeout_s,
            on_cancel=lambda ended: self._cancelled(plan, ended),
        )
        return self._finished(plan, execution, key)

    async def stream(self, ask: Ask) -> "AsyncGenerator[Receipt | Piece | Resumed | Ended | MoEResult, None]":
        """Yield what was decided, then the events of the execution, and the result last.

        The piece that ends the answer is handed out when the decision is remembered.

        Raises:
            ConfigError: as for `decide`, before anything is yielded.
            NobodyAnsweredError: every expert failed, or the one that had begun broke off, after its pieces.
        """
        started = time.perf_counter()
        active = self._pick(ask)
        key = None if self._cache is None else self._cache.key(ask, active.version)
        if self._cache is not None and key is not None and (found := self._cache.get(key)) is not None:
            again = self._again(ask, found, started)
            yield again.receipt
            yield Piece(again.expert, _whole(again))
            yield again
            return
        plan = await self._decider.plan(ask, active, started)
        events = self._executor.stream(ask.call, plan.receipt.ranking, total_timeout_s=ask.timeout_s)
        is_remembered, held = False, None
        try:
            yield plan.receipt
            async for event in events:
                if isinstance(event, Ended):
                    is_remembered = True
                    result = self._finished(plan, event.execution, key)
                    if held is not None:
                        yield held
                    yield event
                    yield result
                    return
                if held is not None:
                    yield held
                    held = None
                if isinstance(event, Piece) and event.piece.finish_reason is not None:
                    held = event
                else:
                    yield event
        finally:
            try:
                await events.aclose()
            finally:
                if not is_remembered:
                    self._cancelled(plan, events.execution)

    def _pick(self, ask: Ask) -> "ActiveRouter":
        return self._live.pick(ask.session or ask.user or new_id())

    def _finished(self, plan: Plan, execution: Execution, key: bytes | None) -> MoEResult:
        """Remember the decision and return its result.

        Raises:
            NobodyAnsweredError: there is no whole answer.
        """
        ask, receipt = plan.ask, plan.receipt
        latency_s = time.perf_counter() - plan.started
        if execution.expert is None or execution.response is None or execution.is_partial:
            self._store(plan, execution.attempts, "failed", None, None, execution.cost, latency_s)
            raise _failure(receipt, execution)
        expert, response = execution.expert, execution.response
        self._store(plan, execution.attempts, "answered", expert, response, execution.cost, latency_s)
        if ask.session is not None:
            read = execution.usage.prompt_tokens if execution.usage is not None else None
            tokens = count_tokens(ask.call.transcript) if read is None else read
            self._affinity.note(ask.session, execution.expert, ask.call, tokens, owner=ask.key_id)
        result = MoEResult(
            response=execution.response,
            expert=execution.expert,
            category=receipt.category,
            confidence=receipt.confidence,
            cost=execution.cost,
            latency_s=latency_s,
            alternatives=tuple(
                [one for one in receipt.options if one.expert != execution.expert and one.excluded is None]
            ),
            id=receipt.id,
            attempts=execution.attempts,
            expected_score=_expected(receipt, expert),
            reason=receipt.reason,
            policy=receipt.policy,
            abilities=receipt.abilities,
            receipt=receipt,
            choice=execution.choice,
            usage=execution.usage,
            finish_reason=execution.finish_reason,
            model=execution.model,
            router_version=receipt.router_version,
        )
        if self._cache is not None and key is not None:
            self._cache.put(key, result)
        return result

    def _again(self, ask: Ask, found: MoEResult, started: float) -> MoEResult:
        """Return an earlier result as one of its own, remembered as such."""
        receipt = replace(found.receipt, id=new_id(), created=now(), cached_from=found.id)
        plan = Plan(ask, "", receipt, started)
        latency_s = time.perf_counter() - started
        self._store(plan, (), "answered", found.expert, found.response, 0.0, latency_s)
        return replace(
            found, id=receipt.id, receipt=receipt, cost=0.0, attempts=(), latency_s=latency_s, is_cached=True
        )

    def _cancelled(self, plan: Plan, execution: Execution) -> None:
        """Remember it under who had begun to answer, so that what was seen of the answer can be judged."""
        latency_s = time.perf_counter() - plan.started
        begun = execution.expert if execution.response else None
        self._store(plan, execution.attempts, "cancelled", begun, execution.response, execution.cost, latency_s)

    def _store(
        self,
        plan: Plan,
        attempts: tuple[Attempt, ...],
        outcome: Outcome,
        expert: str | None,
        response: str | None,
        cost: float,
        latency_s: float,
    ) -> None:
        ask, receipt, hash_of = plan.ask, plan.receipt, self._hash_of
        self._remember(
            Decision(
                id=receipt.id,
                created=receipt.created,
                instruction=plan.text if self._keep_texts and receipt.cached_from is None else None,
                expert=expert,
                response=response if self._keep_texts else None,
                ranking=receipt.ranking,
                policy=receipt.policy,
                category=receipt.category,
                confidence=receipt.confidence,
                expected_score=_expected(receipt, expert or receipt.chosen),
                cost=cost,
                latency_s=latency_s,
                attempts=attempts,
                outcome=outcome,
                router_version=receipt.router_version,
                features_hash=receipt.features_hash,
                features=receipt.features if self._keep_features else None,
                propensities={one.expert: one.propensity for one in receipt.options},
                receipt=receipt.to_json(),
                session=None if ask.session is None or hash_of is None else hash_of(ask.session),
                user=None if ask.user is None or hash_of is None else hash_of(ask.user),
                key_id=ask.key_id,
            )
        )


def _failure(receipt: Receipt, execution: Execution) -> NobodyAnsweredError:
    tried = "; ".join(f"{attempt.expert}: {attempt.error}" for attempt in execution.attempts) or "nobody was called"
    if execution.is_partial:
        what = f"the answer broke off ({execution.error or tried})"
    else:
        what = f"every expert failed ({tried})"
    return NobodyAnsweredError(
        f"{what}. Remembered as decision {receipt.id}.", receipt=receipt, attempts=execution.attempts
    )


def _expected(receipt: Receipt, expert: str) -> float:
    return next((one.expected_score for one in receipt.options if one.expert == expert), 0.0)


def _whole(result: MoEResult) -> ChatPiece:
    message = (result.choice or {}).get("message") or {"content": result.response}
    return ChatPiece({"role": "assistant", **message}, result.finish_reason or "stop")
