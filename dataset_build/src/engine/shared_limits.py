"""The limits and the budget of a distributed build as one of its workers sees them.

`SharedEndpoint` and `SharedBudget` stand in for `Endpoint` and `Budget`; what they are asked travels to the
coordinator with everything else that gathered meanwhile.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from itertools import count

from dataset_build.src.budget import Budget, BudgetMetError
from dataset_build.src.engine.coordinator import EXPIRED, STOP
from dataset_build.src.engine.messages import (
    Enter,
    Granted,
    Leave,
    Message,
    Problem,
    Refused,
    Release,
    Reply,
    Reserve,
    Settle,
)
from dataset_build.src.errors import ExpertError, ExpertUnavailableError
from dataset_build.src.limits import CIRCUIT_OPEN, Endpoint


class Session:
    """The line from one worker process to the coordinator; used in one event loop.

    Args:
        exchange: Brings messages to the coordinator and returns what to do.
        replies: Fetches replies and what to do.
        on_stop: Called once no further call is to start.
        on_expired: Called when the coordinator took this worker for dead: it must end.
    """

    def __init__(
        self,
        exchange: Callable[[Sequence[Message]], Awaitable[str]],
        replies: Callable[[], Awaitable[tuple[list[Reply], str]]],
        *,
        on_stop: Callable[[], None],
        on_expired: Callable[[], None],
    ) -> None:
        self._exchange = exchange
        self._replies = replies
        self._on_stop = on_stop
        self._on_expired = on_expired
        self._outbox: list[Message] = []
        self._has_mail = asyncio.Event()
        self._posted = self._delivered = 0
        self._progress = asyncio.Condition()
        self._tickets = count()
        self._waiting: dict[int, asyncio.Future[Reply]] = {}
        self._problem: BaseException | None = None

    async def run(self) -> None:
        """Send and receive until cancelled; when the line breaks, everything that waits is told."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._send())
                group.create_task(self._receive())
        except* Exception as broken:
            await self._break(broken.exceptions[0])

    async def _send(self) -> None:
        while True:
            await self._has_mail.wait()
            self._has_mail.clear()
            messages, self._outbox = self._outbox, []
            self._obey(await self._exchange(messages))
            async with self._progress:
                self._delivered += len(messages)
                self._progress.notify_all()

    async def _receive(self) -> None:
        while True:
            replies, order = await self._replies()
            self._obey(order)
            for reply in replies:
                waiting = self._waiting.pop(reply.ticket, None)
                if waiting is not None and not waiting.done():
                    waiting.set_result(reply)

    def _obey(self, order: str) -> None:
        if order == EXPIRED:
            self._on_expired()
            raise ConnectionError("the coordinator took this worker for dead")
        elif order == STOP:
            self._on_stop()

    async def _break(self, problem: BaseException) -> None:
        self._problem = problem
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(problem)
        self._waiting.clear()
        async with self._progress:
            self._progress.notify_all()

    def post(self, message: Message) -> None:
        """Send a message with the next batch."""
        self._outbox.append(message)
        self._posted += 1
        self._has_mail.set()

    async def flush(self) -> None:
        """Wait until all that was posted has arrived."""
        goal = self._posted
        async with self._progress:
            await self._progress.wait_for(lambda: self._delivered >= goal or self._problem is not None)
        if self._problem is not None:
            raise self._problem

    async def turn(self, endpoint: str, tokens: int) -> Reply:
        """Wait for a turn at an endpoint."""
        ticket = next(self._tickets)
        return await self._ask(Enter(ticket, endpoint, tokens), ticket, Release(endpoint))

    async def money(self, usd: float) -> Reply:
        """Wait for money to be set aside."""
        ticket = next(self._tickets)
        return await self._ask(Reserve(ticket, usd), ticket, Settle(usd, 0.0))

    async def _ask(self, message: Message, ticket: int, undo: Message) -> Reply:
        """Post a message and wait for its reply; a grant that nobody waits for any more is undone."""
        if self._problem is not None:
            raise self._problem
        reply: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._waiting[ticket] = reply
        self.post(message)
        try:
            return await asyncio.shield(reply)
        except asyncio.CancelledError:
            reply.add_done_callback(lambda late: self._undo(late, undo))
            raise

    def _undo(self, late: "asyncio.Future[Reply]", undo: Message) -> None:
        if not late.cancelled() and late.exception() is None and isinstance(late.result(), Granted):
            self.post(undo)


class SharedEndpoint(Endpoint):
    """An endpoint whose turns, rates and breaker are those of the whole build.

    Args:
        name: As for the coordinator.
        most: Calls in flight at most, in the whole build.
        session: The line to the coordinator.
        counts_tokens: Whether the endpoint wants to know the tokens of a call beforehand.
    """

    def __init__(self, name: str, *, most: int, session: Session, counts_tokens: bool) -> None:
        super().__init__(name, most=most)
        self.counts_tokens = counts_tokens
        self._session = session

    async def enter(self, tokens: int = 0, *, is_probe: bool = False) -> int:
        """Wait for a turn; the coordinator decides which call is the probe of an open breaker.

        Raises:
            ExpertUnavailableError: the breaker is open, or the build is to stop (kind `circuit_open`).
        """
        reply = await self._session.turn(self.name, tokens)
        if isinstance(reply, Refused):
            raise ExpertUnavailableError(reply.reason, expert=self.name, kind=CIRCUIT_OPEN)
        return reply.epoch

    def leave(
        self,
        epoch: int,
        problem: ExpertError | None,
        *,
        more_tokens: float = 0.0,
        is_probe: bool = False,
        took_s: float | None = None,
    ) -> None:
        """Give the turn back and tell how the try went."""
        told = None if problem is None else Problem.of(problem)
        self._session.post(Leave(self.name, epoch, told, more_tokens, took_s))

    def release(self) -> None:
        """Give the turn of a call back that was dropped."""
        self._session.post(Release(self.name))


class SharedBudget(Budget):
    """The budget of the whole build.

    Args:
        cap_usd: The cap; None means that nothing needs to be asked.
        session: The line to the coordinator.
    """

    def __init__(self, cap_usd: float | None, session: Session) -> None:
        super().__init__(cap_usd)
        self._session = session

    async def reserve(self, usd: float) -> None:
        """Set `usd` aside, waiting for calls of any worker to be settled.

        Raises:
            BudgetMetError: there is no room, and none will come.
        """
        if self.cap_usd is None or usd == 0.0:
            return
        reply = await self._session.money(usd)
        if isinstance(reply, Refused):
            raise BudgetMetError(reply.reason)

    def settle(self, reserved_usd: float, spent_usd: float) -> None:
        """Replace a reservation by what was spent."""
        if self.cap_usd is not None and (reserved_usd or spent_usd):
            self._session.post(Settle(reserved_usd, spent_usd))
