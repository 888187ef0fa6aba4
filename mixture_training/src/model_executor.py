"""Runs the recommended expert, and the next one when it fails: whole answers and streams."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Literal, Self

from dataset_build import ChatCall, ConfigError, Expert, endpoints_of
from mixture_training.src.decisions import Attempt
from mixture_training.src.execution import (
    Ended,
    Execution,
    ExpertHealth,
    Piece,
    Resumed,
    StreamEvent,
    TokenUsage,
)
from mixture_training.src.journey import Journey, Pool, Settings

__all__ = [
    "Attempt",
    "Ended",
    "Execution",
    "ExecutionStream",
    "Executor",
    "ExpertHealth",
    "Piece",
    "Resumed",
    "StreamEvent",
    "TokenUsage",
]

logger = logging.getLogger(__name__)

#: Seconds one expert may take, and all experts together.
DEFAULT_TIMEOUT_S, DEFAULT_TOTAL_TIMEOUT_S = 60.0, 120.0
#: Calls of one expert in flight at most, where its own limits do not say otherwise.
DEFAULT_CONCURRENCY = 64


class Executor:
    """Goes down a ranking until an expert answers.

    The next expert is asked on errors and timeouts, where the text was filtered, and at once where a circuit is open
    or a turn would not come in time. So it is where a tool declines ("I cannot answer this: …"), but at most
    `MOST_DECLINED` times, because far down the ranking an answer is a guess; then the first refusal is the answer.
    Turns, rates and circuits are those of collection: experts that share an endpoint share them.

    Args:
        experts: By name; a ranked expert that is not here is passed over.
        timeout_s: Seconds one expert may take, its retries included, so that a silent one leaves time for the next. Of
            a stream: until its first token, and between two pieces.
        total_timeout_s: Seconds all of them may take; no further expert is tried once it is used up.
        retries: Further tries of the same expert after a failure worth one; none that its time does not allow.
        hedge_after_s: Seconds after which an expert is late and a second one is asked beside it, of a stream until the
            first token; the first answer wins, and the other call is ended. "p95" is the expert's own 95th percentile
            once it is known; None means never.
        concurrency: Calls in flight at most per expert, where its own limits do not say otherwise.
        after_break: What follows when a stream breaks after its first token: "error" ends it, "continue" has the next
            expert go on where it stopped, marked by `Resumed`. Only a plain text can be gone on with.
        first_token_timeout_s: Seconds until the first token of a stream; None means `timeout_s`.
        on_truncation: What to do with an answer that was cut off at its length: "accept" it, or ask the "next" expert
            that may write more. A stream is always accepted.

    Raises:
        ConfigError: a number of seconds, or of calls, is not above 0.
    """

    def __init__(
        self,
        experts: Mapping[str, Expert],
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        total_timeout_s: float = DEFAULT_TOTAL_TIMEOUT_S,
        retries: int = 1,
        hedge_after_s: float | Literal["p95"] | None = None,
        concurrency: int = DEFAULT_CONCURRENCY,
        after_break: Literal["error", "continue"] = "error",
        first_token_timeout_s: float | None = None,
        on_truncation: Literal["accept", "next"] = "accept",
    ) -> None:
        for name, value in (
            ("timeout_s", timeout_s),
            ("total_timeout_s", total_timeout_s),
            ("first_token_timeout_s", first_token_timeout_s),
            ("concurrency", concurrency),
        ):
            if value is not None and not value > 0:
                raise ConfigError(f"{name} is {value}; a number above 0 was expected.")
        if isinstance(hedge_after_s, str) and hedge_after_s != "p95":
            raise ConfigError(f"hedge_after_s is {hedge_after_s!r}; seconds, 'p95' or nothing was expected.")
        self.experts = dict(experts)
        self._pool = Pool(self.experts, endpoints_of(self.experts.values(), concurrency))
        self._total_timeout_s = total_timeout_s
        self._settings = Settings(timeout_s, first_token_timeout_s, retries, hedge_after_s, after_break, on_truncation)

    async def run(
        self,
        call: ChatCall | str,
        ranking: Sequence[str],
        *,
        total_timeout_s: float | None = None,
        on_cancel: Callable[[Execution], None] | None = None,
    ) -> Execution:
        """Return the first answer down the ranking; never raises for a failing expert.

        Args:
            call: A conversation, or an instruction.
            ranking: Names, best first.
            total_timeout_s: Seconds all of them may take; None means those of the executor.
            on_cancel: Told what there was where the task is cancelled: every call is ended by then, and has its cost.
        """
        journey = self._journey(call, ranking, total_timeout_s, is_streamed=False)
        try:
            return await journey.whole()
        except asyncio.CancelledError:
            if on_cancel is not None:
                on_cancel(journey.execution())
            raise

    def stream(
        self, call: ChatCall | str, ranking: Sequence[str], *, total_timeout_s: float | None = None
    ) -> "ExecutionStream":
        """Return the events of an answer as they come, `Ended` last; the arguments are those of `run`.

        Nothing is shown of an expert that fails before its first token. Time counts from this call on.
        """
        return ExecutionStream(self._journey(call, ranking, total_timeout_s, is_streamed=True))

    def health(self) -> dict[str, ExpertHealth]:
        """Return how each expert's endpoint does."""
        found = {}
        for name, expert in self.experts.items():
            endpoint = self._pool.endpoints[expert.endpoint]
            breaker = endpoint.breaker
            found[name] = ExpertHealth(
                is_open=breaker.is_open,
                reason=breaker.reason if breaker.is_open else None,
                retry_in_s=breaker.remaining_s,
                in_flight=endpoint.in_flight,
                waiting=endpoint.waiting,
                level=int(endpoint.level.level),
                p95_s=self._pool.p95_s(name),
            )
        return found

    async def aclose(self) -> None:
        """Release every expert's connections and processes; one that fails to is logged and holds up no other."""
        for expert in self.experts.values():
            try:
                await expert.aclose()
            except Exception as problem:
                logger.warning("expert %r could not be closed: %s: %s", expert.name, type(problem).__name__, problem)

    def _journey(
        self, call: ChatCall | str, ranking: Sequence[str], total_timeout_s: float | None, *, is_streamed: bool
    ) -> Journey:
        return Journey(
            self._pool,
            self._settings,
            ChatCall.of(call) if isinstance(call, str) else call,
            ranking,
            total_timeout_s=self._total_timeout_s if total_timeout_s is None else total_timeout_s,
            is_streamed=is_streamed,
        )


class ExecutionStream(AsyncIterator[StreamEvent]):
    """The events of one answer, to be iterated once and by one task at a time.

    Where the client goes away, close it, or cancel the task that iterates: every call under way is ended and its
    connection closed, and `execution` tells what there was and what it cost.

    Args:
        journey: The way down the ranking.
    """

    def __init__(self, journey: Journey) -> None:
        self._journey = journey
        self._events = journey.events()

    @property
    def execution(self) -> Execution:
        """What has come of it so far; after `Ended`, or after it was closed, all that came of it."""
        return self._journey.execution()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> StreamEvent:
        return await anext(self._events)

    async def aclose(self) -> None:
        """End every call that is under way; closing a stream that has ended does nothing."""
        await self._events.aclose()
