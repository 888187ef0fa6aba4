"""One place for the limits, the money and the finished calls of all workers of a build.

It runs in an actor of its own. Workers speak to it in batches: while one batch is on its way the next one gathers, so
that a call costs a small share of a round trip, and turns are still given one by one, in the order in which they were
asked for, by the same `Endpoint` and `Budget` that a build in one process has.

A worker that dies takes nothing with it: when its block is begun anew, or when nothing was heard of it for
`SILENT_S`, its turns are given back and what it had set aside counts as spent.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from dataset_build.src.budget import Budget, BudgetMetError
from dataset_build.src.engine.messages import (
    Account,
    Done,
    Down,
    Enter,
    Finished,
    Granted,
    Leave,
    Message,
    Refused,
    Release,
    Reply,
    Reserve,
    Result,
    Settle,
)
from dataset_build.src.errors import ExpertUnavailableError
from dataset_build.src.limits import Endpoint, Limits

#: Seconds without a word after which a worker counts as dead; a live one asks for replies every `POLL_S`.
SILENT_S, POLL_S = 60.0, 5.0
#: Results waiting for the journal above which workers have to wait too.
MOST_RESULTS = 4096
#: Why a turn is refused once the build is to stop.
STOPPED = "the build was stopped"
#: Answers to `exchange`: go on; make no more calls; this worker was taken for dead and must end.
GO_ON, STOP, EXPIRED = "go on", "stop", "expired"


@dataclass(slots=True)
class _Session:
    """What one worker process holds and waits for."""

    turns: Counter[str] = field(default_factory=Counter)
    reservations: Counter[float] = field(default_factory=Counter)
    waiting: set["asyncio.Task[Reply]"] = field(default_factory=set)
    replies: list[Reply] = field(default_factory=list)
    has_replies: asyncio.Event = field(default_factory=asyncio.Event)
    heard_at: float = 0.0


@dataclass(slots=True)
class _Block:
    """A block that is not done: its content, who works at it, and which of its calls have finished."""

    payload: bytes
    session: str | None = None
    finished: set[tuple[str, str]] = field(default_factory=set)


class _DriversBudget(Budget):
    """A budget whose bound the driver writes down: it is told by one `collect`, and has done it by the next."""

    def __init__(self, cap_usd: float | None, spent_usd: float, tell: Callable[[], Awaitable[None]]) -> None:
        super().__init__(cap_usd, spent_usd)
        self._tell = tell
        self._wanted_usd = self._told_usd = 0.0
        self._is_written = asyncio.Event()

    @property
    def waits_for_the_driver(self) -> bool:
        """Whether there is a bound that the driver has not been told."""
        return self._wanted_usd > self._told_usd

    def account(self) -> Account:
        """Return what to tell the driver."""
        self._told_usd = self._wanted_usd
        return Account(self.spent_usd + self.reserved_usd, self._told_usd)

    def is_written_down(self) -> None:
        """Take note that the driver has written down what it was told."""
        self._bound_usd = max(self._bound_usd, self._told_usd)
        self._is_written.set()
        self._is_written.clear()

    async def _raise_bound(self, usd: float) -> None:
        self._wanted_usd = max(self._wanted_usd, usd)
        await self._tell()
        if self._bound_usd < usd:
            await self._is_written.wait()


class Coordinator:
    """Gives turns and money to workers, and their results to the driver.

    Args:
        limits: Endpoint -> calls in flight at most, and further limits.
        cap_usd: What may be spent; None means no cap.
        spent_usd: What is spent already.
        most_blocks: Blocks that may be offered and not done.
        clock: Seconds, monotonic.
    """

    def __init__(
        self,
        limits: Mapping[str, tuple[int, Limits]],
        cap_usd: float | None,
        spent_usd: float,
        most_blocks: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._endpoints = {
            name: Endpoint(name, most=most, limits=one, clock=clock) for name, (most, one) in limits.items()
        }
        self._budget = _DriversBudget(cap_usd, spent_usd, self._tell_driver)
        self._clock = clock
        self._sessions: dict[str, _Session] = {}
        self._expired: set[str] = set()
        self._probes: dict[str, str] = {}
        self._blocks: dict[int, _Block] = {}
        self._most_blocks = most_blocks
        self._offered = 0
        self._is_stopped = self._has_ended = False
        self._results: list[Result] = []
        #: Results handed to the driver that may not be in the journal yet: they are once it asks for the next ones.
        self._handed_over = 0
        self._most_unwritten = sum(endpoint.most for endpoint in self._endpoints.values())
        self._changed = asyncio.Condition()

    # What the driver asks for.

    async def offer(self, payload: bytes) -> int:
        """Add a block, waiting until there is room; returns its number."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self._blocks) < self._most_blocks or self._is_stopped)
            number = self._offered
            self._blocks[number] = _Block(payload)
            self._offered += 1
            self._changed.notify_all()
        return number

    async def collect(self) -> tuple[list[Result], Account]:
        """Return what has finished since the last time, and how the money stands; waits a while for the first.

        What the last time returned is in the journal now.
        """
        self._expire_silent()
        self._budget.is_written_down()
        async with self._changed:
            self._handed_over = 0
            self._changed.notify_all()
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_S):
                    await self._changed.wait_for(lambda: self._results or self._budget.waits_for_the_driver)
            results, self._results = self._results, []
            self._handed_over = len(results)
            self._changed.notify_all()
        return results, self._budget.account()

    async def _tell_driver(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def down(self) -> dict[str, Down]:
        """Return the endpoints that are down."""
        breakers = {name: endpoint.breaker for name, endpoint in self._endpoints.items()}
        return {
            name: Down(breaker.remaining_s, breaker.is_fatal, breaker.reason)
            for name, breaker in breakers.items()
            if breaker.is_open
        }

    async def stop(self) -> None:
        """Let no further call start."""
        self._is_stopped = True
        for session in self._sessions.values():
            for task in tuple(session.waiting):
                task.cancel()
            session.has_replies.set()  # so that the worker hears of it
        async with self._changed:
            self._changed.notify_all()

    async def end(self) -> None:
        """Say that no further block will be offered."""
        async with self._changed:
            self._has_ended = True
            self._changed.notify_all()

    # What the reader of blocks asks for.

    async def take(self, number: int) -> bytes | None:
        """Return a block, waiting until it is offered; empty when it is done already, None after the last one."""
        async with self._changed:
            await self._changed.wait_for(lambda: number < self._offered or self._has_ended)
            if number >= self._offered:
                return None
            block = self._blocks.get(number)
            return block.payload if block is not None else b""

    # What workers ask for.

    async def begin(self, session_id: str, number: int) -> set[tuple[str, str]] | None:
        """Take note that a worker begins a block; returns what has finished of it, None where all of it has.

        Whoever was at work at it before is dead: Ray gives a block to a second worker for no other reason.
        """
        block = self._blocks.get(number)
        if block is None:
            return None
        if block.session not in (None, session_id):
            self._expire(str(block.session))
        self._session(session_id)
        block.session = session_id
        return block.finished

    async def exchange(self, session_id: str, messages: Sequence[Message]) -> str:
        """Take a worker's messages; returns what it is to do. Replies are fetched by `replies`."""
        if session_id in self._expired:
            return EXPIRED
        session = self._session(session_id)
        for message in messages:
            self._handle(session_id, session, message)
        async with self._changed:
            self._changed.notify_all()
            await self._changed.wait_for(lambda: len(self._results) < MOST_RESULTS)
        return STOP if self._is_stopped else GO_ON

    async def replies(self, session_id: str) -> tuple[list[Reply], str]:
        """Return the replies to a worker's messages, waiting a while for the first, and what it is to do."""
        if session_id in self._expired:
            return [], EXPIRED
        session = self._session(session_id)
        with suppress(TimeoutError):
            async with asyncio.timeout(POLL_S):
                await session.has_replies.wait()
        session.has_replies.clear()
        replies, session.replies = session.replies, []
        return replies, STOP if self._is_stopped else GO_ON

    def _session(self, session_id: str) -> _Session:
        session = self._sessions.setdefault(session_id, _Session())
        session.heard_at = self._clock()
        return session

    def _handle(self, session_id: str, session: _Session, message: Message) -> None:
        match message:
            case Enter():
                self._wait(session, message.ticket, self._enter(session_id, session, message))
            case Reserve():
                self._wait(session, message.ticket, self._reserve(session, message))
            case Leave() | Release():
                self._leave(session, message)
            case Settle():
                if message.reserved_usd:
                    session.reservations[message.reserved_usd] -= 1
                self._budget.settle(message.reserved_usd, message.spent_usd)
            case _:
                self._keep(message)

    def _keep(self, result: Result) -> None:
        """Keep what the driver is to be told."""
        if isinstance(result, Finished) and (block := self._blocks.get(result.block)) is not None:
            block.finished.add((result.response.expert, result.response.instruction_id))
        if isinstance(result, Done) and self._blocks.pop(result.block, None) is None:
            return
        self._results.append(result)

    def _wait(self, session: _Session, ticket: int, work: Coroutine[Any, Any, Reply]) -> None:
        """Have the reply of `work` sent when it is there; a refusal where it is cut short."""

        def reply(task: "asyncio.Task[Reply]") -> None:
            session.waiting.discard(task)
            session.replies.append(Refused(ticket, STOPPED) if task.cancelled() else task.result())
            session.has_replies.set()

        task = asyncio.create_task(work)
        session.waiting.add(task)
        task.add_done_callback(reply)
        if self._is_stopped:
            task.cancel()

    async def _enter(self, session_id: str, session: _Session, message: Enter) -> Reply:
        endpoint = self._endpoints[message.endpoint]
        breaker = endpoint.breaker
        is_probe = (
            breaker.is_open
            and not breaker.is_fatal
            and not breaker.remaining_s
            and message.endpoint not in self._probes
        )
        if is_probe:
            self._probes[message.endpoint] = session_id
        try:
            epoch = await endpoint.enter(message.tokens, is_probe=is_probe)
        except ExpertUnavailableError as held_back:
            return Refused(message.ticket, held_back.message)
        except BaseException:
            if is_probe:
                self._probes.pop(message.endpoint, None)
            raise
        try:
            await self._written()
        except BaseException:
            self._probes.pop(message.endpoint, None)
            endpoint.release()
            raise
        session.turns[message.endpoint] += 1
        return Granted(message.ticket, -1 - epoch if is_probe else epoch)

    async def _written(self) -> None:
        """Wait while more results than calls can be in flight are not in the journal.

        So a driver that dies leaves no worker behind that goes on to pay for answers nobody writes down.
        """
        async with self._changed:
            await self._changed.wait_for(lambda: len(self._results) + self._handed_over < self._most_unwritten)

    def _leave(self, session: _Session, message: Leave | Release) -> None:
        name = message.endpoint
        session.turns[name] -= 1
        if isinstance(message, Release):
            self._probes.pop(name, None)
            self._endpoints[name].release()
            return
        is_probe = message.epoch < 0
        epoch = -1 - message.epoch if is_probe else message.epoch
        if is_probe:
            self._probes.pop(name, None)
        problem = None if message.problem is None else message.problem.as_error(name)
        self._endpoints[name].leave(
            epoch,
            problem,
            more_tokens=message.more_tokens,
            is_probe=is_probe and problem is not None,
            took_s=message.took_s,
        )

    async def _reserve(self, session: _Session, message: Reserve) -> Reply:
        try:
            await self._budget.reserve(message.usd)
        except BudgetMetError as met:
            return Refused(message.ticket, met.reason)
        session.reservations[message.usd] += 1
        return Granted(message.ticket, 0)

    def _expire_silent(self) -> None:
        now = self._clock()
        for session_id in [key for key, one in self._sessions.items() if now - one.heard_at > SILENT_S]:
            self._expire(session_id)

    def _expire(self, session_id: str) -> None:
        """Give back the turns of a worker that is dead, and count what it had set aside as spent."""
        session = self._sessions.pop(session_id, None)
        if session is None:
            return
        self._expired.add(session_id)
        for task in session.waiting:
            task.cancel()
        for name in [name for name, holder in self._probes.items() if holder == session_id]:
            del self._probes[name]
        for name, count in session.turns.items():
            for _ in range(count):
                self._endpoints[name].release()
        for usd, count in session.reservations.items():
            for _ in range(count):
                self._budget.settle(usd, usd)
