"""One conversation on its way down a ranking: who is tried, who is passed over and why, and what came of all."""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

from dataset_build import CANNOT_ANSWER, CIRCUIT_OPEN, ChatCall, Endpoint, Expert, ExpertCall, ToolExpert
from mixture_training.src.decisions import Attempt
from mixture_training.src.execution import Ended, Execution, Piece, Resumed, StreamEvent
from mixture_training.src.hedging import Latencies, first_to_win
from mixture_training.src.trial import CANCELLED, Trial

#: So many tools may decline an instruction before the refusal stands.
MOST_DECLINED = 3
#: What an expert is asked that goes on with what another one began.
GO_ON = "Your answer above broke off. Go on exactly where it stops. Repeat nothing of it, and add no remark."
#: The kind of a call that was not made because it would have waited for its turn beyond its deadline.
BUSY = "busy"


@dataclass(frozen=True, slots=True)
class Settings:
    """How an executor goes down a ranking; see `Executor`."""

    timeout_s: float
    first_token_timeout_s: float | None
    retries: int
    hedge_after_s: float | Literal["p95"] | None
    after_break: Literal["error", "continue"]
    on_truncation: Literal["accept", "next"]


@dataclass(slots=True)
class Pool:
    """The experts of an executor, and what their calls have in common.

    Attributes:
        experts: By name.
        endpoints: By `Expert.endpoint`.
        probing: Endpoints whose open circuit lets a call through at this moment.
        latencies: By name of the expert and whether it was streamed.
        warm: Tools that have loaded what they need.
    """

    experts: dict[str, Expert]
    endpoints: dict[str, Endpoint]
    probing: set[str] = field(default_factory=set)
    latencies: defaultdict[tuple[str, bool], Latencies] = field(default_factory=lambda: defaultdict(Latencies))
    warm: set[str] = field(default_factory=set)

    def p95_s(self, name: str) -> float | None:
        """Return the 95th percentile of what an expert's whole answers took; of its first tokens where it streamed."""
        whole = self.latencies[name, False].p95_s
        return self.latencies[name, True].p95_s if whole is None else whole


class Journey:
    """Goes down a ranking, once.

    Args:
        pool: Who can be called.
        settings: How.
        call: What is asked.
        ranking: Names, best first; one that is not in the pool is passed over.
        total_timeout_s: Seconds all of it may take.
        is_streamed: Whether the answer is passed on piece by piece.
    """

    def __init__(
        self,
        pool: Pool,
        settings: Settings,
        call: ChatCall,
        ranking: Iterable[str],
        *,
        total_timeout_s: float,
        is_streamed: bool,
    ) -> None:
        self._pool, self._settings = pool, settings
        self._asked = self._call = call
        self._names = [name for name in ranking if name in pool.experts]
        self._next = 0
        self._is_streamed = is_streamed
        self._clock = asyncio.get_running_loop().time
        self._started = time.perf_counter()
        self._ended_s: float | None = None
        self._total_s = total_timeout_s
        self._deadline = self._clock() + total_timeout_s
        self._trials: list[Trial] = []
        self._declined: list[Trial] = []
        self._cut: Trial | None = None
        #: Who has answered, or begun to; of a stream that was continued, one after the other.
        self._speakers: list[Trial] = []

    async def whole(self) -> Execution:
        """Return what came of it, the answer as a whole."""
        try:
            winner = await self._first()
        finally:
            self._ended_s = time.perf_counter() - self._started
        if winner is not None:
            self._speakers.append(winner)
        return self.execution()

    async def events(self) -> AsyncGenerator[StreamEvent, None]:
        """Yield pieces from the first token of the expert that answers, and the end.

        Whoever closes the generator ends every call that is under way; `execution` then tells what there was.
        """
        try:
            while (trial := await self._first()) is not None:
                async with aclosing(self._spoken(trial)) as spoken:
                    async for event in spoken:
                        yield event
                if trial.error is None or not self._can_continue():
                    break
                written = {"role": "assistant", "content": self._written()}
                messages = (*self._asked.messages, written, {"role": "user", "content": GO_ON})
                self._call = ChatCall(messages, self._asked.options)
        finally:
            self._ended_s = time.perf_counter() - self._started
        yield Ended(self.execution())

    async def _spoken(self, trial: Trial) -> AsyncGenerator[Piece | Resumed, None]:
        """Yield what an expert says that has begun to answer, or to go on."""
        before = self._speakers[-1] if self._speakers else None
        self._speakers.append(trial)
        try:
            if before is not None:
                yield Resumed(trial.expert.name, before.expert.name)
            async with aclosing(trial.pieces()) as pieces:
                async for piece in pieces:
                    yield Piece(trial.expert.name, piece)
        finally:
            await trial.close()

    def execution(self) -> Execution:
        """Return what came of it so far."""
        latency_s = time.perf_counter() - self._started if self._ended_s is None else self._ended_s
        attempts = tuple(trial.as_attempt() for trial in self._trials)
        if self._speakers:
            return self._of(self._speakers[-1], attempts, latency_s)
        second_best = [trial for trial in (self._cut, *self._declined[:1]) if trial is not None]
        if second_best:
            return self._of(second_best[0], attempts, latency_s)
        errors = [attempt.error for attempt in attempts if attempt.error is not None]
        if self._clock() >= self._deadline:
            errors.append(f"timeout: the total of {self._total_s:g} s is used up")
        error = errors[-1] if errors else "unavailable: none of the experts can be called"
        return Execution(None, None, attempts, latency_s, error=error)

    def _of(self, trial: Trial, attempts: tuple[Attempt, ...], latency_s: float) -> Execution:
        """Return what came of it where an expert has answered, or begun to."""
        response, usage = trial.response, trial.usage()
        if response is None or response.text is None:
            error = trial.error or CANCELLED
            return Execution(
                trial.expert.name, self._written(), attempts, latency_s, usage=usage, is_partial=True, error=error
            )
        before = "".join(one.text for one in self._speakers[:-1])
        choice = response.choice
        if before and choice is not None:
            choice = {**choice, "message": {**(choice.get("message") or {}), "content": before + response.text}}
        return Execution(
            trial.expert.name,
            before + response.text,
            attempts,
            latency_s,
            choice=choice,
            finish_reason=response.finish_reason,
            model=response.model,
            usage=usage,
        )

    def _written(self) -> str:
        return "".join(trial.text for trial in self._speakers)

    def _can_continue(self) -> bool:
        """Return whether another expert may go on: with a plain text only, and only where that is wanted."""
        form = self._asked.options.get("response_format")
        is_text = not isinstance(form, Mapping) or form.get("type", "text") == "text"
        return self._settings.after_break == "continue" and is_text and all(one.only_text for one in self._speakers)

    async def _first(self) -> Trial | None:
        """Return the next expert that answers, or begins to; those before it have failed."""
        return await first_to_win(self._following, self._attempt, self._wins, self._hedge_after_s)

    def _following(self, is_hedge: bool) -> Trial | None:
        """Return the next expert that may be asked now; those that may not are recorded with the reason."""
        while self._next < len(self._names) and len(self._declined) < MOST_DECLINED:
            now = self._clock()
            if now >= self._deadline:
                return None
            expert = self._pool.experts[self._names[self._next]]
            self._next += 1
            endpoint = self._pool.endpoints[expert.endpoint]
            settings = self._settings
            seconds = settings.timeout_s
            if self._is_streamed and settings.first_token_timeout_s is not None:
                seconds = settings.first_token_timeout_s
            until = min(self._deadline, now + seconds)
            started_s = time.perf_counter() - self._started
            breaker, is_probe = endpoint.breaker, False
            if breaker.is_open:
                if breaker.remaining_s > 0.0 or endpoint.name in self._pool.probing:
                    error = f"{CIRCUIT_OPEN}: not asked, because the last calls failed ({breaker.reason})"
                    self._trials.append(Trial(expert, None, started_s=started_s, error=error))
                    continue
                is_probe = True
                self._pool.probing.add(endpoint.name)
            elif (wait_s := endpoint.expected_wait_s) >= until - now:
                error = f"{BUSY}: not asked, because its turn would come in about {wait_s:.3g} s"
                self._trials.append(Trial(expert, None, started_s=started_s, error=error))
                continue
            call = ExpertCall(
                expert,
                self._call,
                timeout_s=settings.timeout_s,
                retries=0 if is_probe else settings.retries,
                endpoint=endpoint,
                is_probe=is_probe,
                until=until,
            )
            trial = Trial(
                expert,
                call,
                started_s=started_s,
                until=until,
                total=self._deadline,
                allowed_s=(seconds, self._total_s),
                is_hedge=is_hedge,
                ended=partial(self._pool.probing.discard, endpoint.name) if is_probe else None,
            )
            self._trials.append(trial)
            return trial
        return None

    async def _attempt(self, trial: Trial) -> None:
        expert = trial.expert
        if isinstance(expert, ToolExpert) and expert.name not in self._pool.warm:
            self._pool.warm.add(expert.name)
            await trial.warm_up()
        latencies = self._pool.latencies[expert.name, self._is_streamed]
        try:
            await (trial.open() if self._is_streamed else trial.run())
        except asyncio.CancelledError:
            latencies.note_unfinished(trial.latency_s)
            raise
        if trial.error is None:
            latencies.note(trial.first_token_s or trial.latency_s)
        elif trial.error.startswith("timeout:"):
            latencies.note_unfinished(trial.latency_s)

    async def _wins(self, trial: Trial) -> bool:
        """Return whether a trial that has been attempted is the answer."""
        if trial.error is not None:
            return False
        said = trial.declined
        if said is not None:
            if trial.response is None:
                await trial.drain()
            trial.error = f"declined: {said.removeprefix(CANNOT_ANSWER).strip()}"
            self._declined.append(trial)
            return False
        if self._is_cut(trial) and any(self._writes_more(name, trial) for name in self._names[self._next :]):
            self._cut = self._cut or trial
            return False
        return True

    def _is_cut(self, trial: Trial) -> bool:
        response = trial.response
        is_cut = response is not None and response.finish_reason == "length"
        return is_cut and not self._is_streamed and self._settings.on_truncation == "next"

    def _writes_more(self, name: str, cut: Trial) -> bool:
        """Return whether an expert may write more than the one that was cut off has written; unknown counts as more."""
        expert = self._pool.experts[name]
        estimate, context = expert.estimate_chat(self._call), expert.capabilities.context_tokens
        written = cut.response.completion_tokens if cut.response is not None else None
        bounds = [] if estimate.most_completion_tokens is None else [estimate.most_completion_tokens]
        bounds += [] if context is None else [context - estimate.prompt_tokens]
        return written is None or all(bound > written for bound in bounds)

    def _hedge_after_s(self, trial: Trial) -> float | None:
        after = self._settings.hedge_after_s
        if after == "p95":
            return self._pool.latencies[trial.expert.name, self._is_streamed].p95_s
        return after
