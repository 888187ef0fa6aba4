"""How much an endpoint is asked at a time: a concurrency that finds its own level, rates, and a circuit breaker.

Collecting and serving share this. Concurrency follows additive increase, multiplicative decrease (Chiu and Jain,
"Analysis of the Increase and Decrease Algorithms", 1989) after a slow start as in TCP (RFC 5681), with a decrease in
proportion to the share of protests as in DCTCP (RFC 8257); rates are kept by the generic cell rate algorithm (ITU-T
I.371); the breaker is Nygard's ("Release It!", 2007).
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING

from dataset_build.src.errors import ExpertError, ExpertUnavailableError

if TYPE_CHECKING:
    from dataset_build.src.experts.base import Expert
    from dataset_build.src.records import CallEstimate

#: Calls in flight at first; every success adds one until the endpoint first protests.
START_LEVEL = 8
#: Over how many of the last tries the share of protests is a (moving) mean.
SHARE_WINDOW = 64
#: A share of protests up to this is noise: fewer calls in flight would not lessen it.
TOLERATED_SHARE = 0.1
#: Calls that a moving mean of what calls take and write is over.
MEAN_OVER = 16
#: Tries that fail one after another, with no success between, before a breaker opens.
TRIES_UNTIL_OPEN = 10
#: Seconds an open breaker waits before it lets one call through; doubled each time that call fails.
FIRST_COOL_DOWN_S, LONGEST_COOL_DOWN_S = 2.0, 60.0
#: An endpoint that asks for a longer pause than this is left alone: its breaker opens, and nobody sleeps through it.
LONGEST_RETRY_AFTER_S = 120.0
#: Kinds of failure that say "too much at a time".
CONGESTION = frozenset({"rate_limit", "overloaded", "timeout"})
#: Kinds that say something about one instruction, not about the endpoint.
OF_THE_INSTRUCTION = frozenset(
    {"bad_request", "content_filter", "empty_response", "too_long", "refused", "crash", "not_recorded", "no_text"}
)
#: Kinds that no waiting mends: a person must.
FATAL = frozenset({"auth", "quota", "tls", "not_loaded"})
#: The kind of a call that was not made because the breaker was open.
CIRCUIT_OPEN = "circuit_open"


@dataclass(frozen=True, slots=True)
class Limits:
    """What a user allows an endpoint to be asked.

    Attributes:
        concurrency: Calls in flight at most; None leaves it to the caller.
        requests_per_minute: Calls started per minute at most; None means no limit.
        tokens_per_minute: Tokens read and written per minute at most; None means no limit.
    """

    concurrency: int | None = None
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None

    def strictest(self, other: "Limits") -> "Limits":
        """Return what keeps both."""
        pairs = zip(astuple(self), astuple(other), strict=True)
        return Limits(*(min((value for value in pair if value is not None), default=None) for pair in pairs))


class AdaptiveLevel:
    """How many calls may be in flight: up by one a round while all is well, down by half the share of protests.

    A storm of protests halves it. A few at random change nothing: an endpoint that turns down one call in twenty
    whatever it is asked would otherwise be asked ten at a time for ever.

    Args:
        most: The level is never above this.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.level = float(min(START_LEVEL, most))
        self.share = 0.0
        self._outcomes = 0
        self._is_starting = True
        self._epoch = 0

    @property
    def epoch(self) -> int:
        """A number that grows with every decrease; a call carries the one it started in."""
        return self._epoch

    @property
    def is_congested(self) -> bool:
        """Whether the endpoint protests more than now and then."""
        return self.share > TOLERATED_SHARE

    def succeeded(self, *, was_in_use: bool) -> None:
        """Take note of a success; only one that came while the level was in use says that there is room for more."""
        self._weigh(0.0)
        if was_in_use:
            self.level = min(float(self.most), self.level + (1.0 if self._is_starting else 1.0 / self.level))

    def protested(self, epoch: int) -> None:
        """Take note of a protest; calls that started before the last decrease do not lower the level again."""
        self._weigh(1.0)
        if self.is_congested and epoch == self._epoch:
            self._epoch += 1
            self._is_starting = False
            self.level = max(1.0, self.level * (1.0 - self.share / 2.0))

    def _weigh(self, outcome: float) -> None:
        self._outcomes = min(SHARE_WINDOW, self._outcomes + 1)
        self.share += (outcome - self.share) / self._outcomes


class RateLimit:
    """So much per minute, spread evenly, with one second's worth at once.

    Args:
        per_minute: The rate.
        clock: Seconds, monotonic.
    """

    def __init__(self, per_minute: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval = 60.0 / per_minute
        self._burst = max(1.0, per_minute / 60.0)
        self._clock = clock
        self._free_at = clock()

    def book(self, amount: float) -> float:
        """Book `amount` and return the seconds to wait before using it; bookings are served in order.

        More than a burst at once waits until what is above it has passed, so a single large booking is possible.
        """
        now = self._clock()
        start = max(now, self._free_at)
        self._free_at = start + amount * self._interval
        return max(0.0, self._free_at - now - max(self._burst, amount) * self._interval)

    @property
    def wait_s(self) -> float:
        """Seconds that a small booking made now would wait."""
        return max(0.0, self._free_at - self._clock() - self._burst * self._interval)

    def correct(self, amount: float) -> None:
        """Add to the last bookings what they turned out to use more (or less, when negative)."""
        self._free_at += amount * self._interval


class CircuitBreaker:
    """Opens when an endpoint is plainly down, and lets one call through now and then until it is back.

    Args:
        clock: Seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self._cool_down_s = FIRST_COOL_DOWN_S
        self._opened_at: float | None = None
        self._asked_s = 0.0
        self.is_fatal = False
        self.reason = ""
        #: How often it has opened: who sees the number grow knows that others have gone away meanwhile.
        self.openings = 0

    @property
    def is_open(self) -> bool:
        """Whether calls are held back."""
        return self._opened_at is not None

    @property
    def remaining_s(self) -> float:
        """Seconds until one call may be let through; 0 when closed."""
        if self._opened_at is None:
            return 0.0
        return max(0.0, self._opened_at + max(self._cool_down_s, self._asked_s) - self._clock())

    def succeeded(self) -> None:
        """Take note of an answer, or of a failure that only concerns its instruction."""
        self._failures = 0
        self._opened_at = None
        self._cool_down_s = FIRST_COOL_DOWN_S
        self.is_fatal = False

    def failed(self, problem: ExpertError) -> bool:
        """Take note of a failed try; returns whether this opened the breaker."""
        self._failures += 1
        self.reason = problem.as_field()
        asked_s = problem.retry_after_s or 0.0
        if self.is_open or (self._failures < TRIES_UNTIL_OPEN and asked_s <= LONGEST_RETRY_AFTER_S):
            return False
        self._open(problem)
        return True

    def probe_failed(self, problem: ExpertError) -> None:
        """Take note that the call let through failed too."""
        self.reason = problem.as_field()
        self._cool_down_s = min(LONGEST_COOL_DOWN_S, 2.0 * self._cool_down_s)
        self._open(problem)

    def _open(self, problem: ExpertError) -> None:
        self.is_fatal = problem.kind in FATAL
        self.openings += 1
        self._opened_at = self._clock()
        self._asked_s = problem.retry_after_s or 0.0


class TokenForecast:
    """How many tokens a call will use: what it reads, and as many to write as calls wrote before."""

    def __init__(self) -> None:
        self._mean: float | None = None

    def expect(self, estimate: "CallEstimate") -> int:
        """Return the tokens; before anything was written, the most that may be."""
        written = estimate.most_completion_tokens if self._mean is None else round(self._mean)
        return estimate.prompt_tokens + (written or 0)

    def learn(self, written: int) -> None:
        """Take note of what a call wrote."""
        self._mean = written if self._mean is None else self._mean + (written - self._mean) / MEAN_OVER


class Endpoint:
    """The limits of one endpoint at work; experts of equal `Expert.endpoint` share one.

    Args:
        name: What to call it in errors.
        most: Calls in flight at most.
        limits: Further limits a user set.
        clock: Seconds, monotonic.
    """

    def __init__(
        self, name: str, *, most: int, limits: Limits | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        limits = limits or Limits()
        self.name = name
        self.level = AdaptiveLevel(limits.concurrency or most)
        self.breaker = CircuitBreaker(clock)
        self.counts_tokens = limits.tokens_per_minute is not None
        self.forecast = TokenForecast()
        self._requests = RateLimit(limits.requests_per_minute, clock) if limits.requests_per_minute else None
        self._tokens = RateLimit(limits.tokens_per_minute, clock) if limits.tokens_per_minute else None
        self._clock = clock
        self._running = 0
        self._called = 0  # whose turn it is, and who do not know it yet
        self._paused_until = 0.0
        self._is_stopped = False
        self._mean_s = 0.0  # that an answer takes
        self._next_start = 0.0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def most(self) -> int:
        """Calls in flight at most."""
        return self.level.most

    @property
    def in_flight(self) -> int:
        """Calls that have their turn."""
        return self._running

    @property
    def waiting(self) -> int:
        """Calls that wait for theirs."""
        return len(self._waiting)

    @property
    def expected_wait_s(self) -> float:
        """Seconds until a call that came now would have its turn, by how long calls took so far."""
        pause = max(0.0, self._paused_until - self._clock()) if self._paused_until else 0.0
        for rate in (self._requests, self._tokens):
            if rate is not None:
                pause = max(pause, rate.wait_s)
        level = int(self.level.level)
        if self._running + self._called < level:
            return pause
        return pause + self._mean_s * (len(self._waiting) + 1) / level

    async def enter(self, tokens: int = 0, *, is_probe: bool = False) -> int:
        """Wait for a turn; returns what `leave` wants back.

        Args:
            tokens: What the call will use, as well as can be told; only needed where `counts_tokens`.
            is_probe: Whether this is the one call that an open breaker lets through.

        Raises:
            ExpertUnavailableError: the breaker is open, or the endpoint was stopped (kind `circuit_open`).
        """
        self._check(is_probe)
        if self._running + self._called >= int(self.level.level):
            await self._turn(is_probe)
        self._running += 1
        if self._requests is not None or self._tokens is not None or self._paused_until or self._is_spaced:
            try:
                await self._wait_for_rate(tokens)
                self._check(is_probe)
            except BaseException:
                self._running -= 1
                self._wake()
                raise
        return self.level.epoch

    @property
    def _is_spaced(self) -> bool:
        """Whether calls start one after the other: two at once may be one too many for who has protested."""
        return self.level.epoch > 0 and self._mean_s > 0.0

    async def _turn(self, is_probe: bool) -> None:
        """Wait in the queue until there is room."""
        has_room = False
        while not has_room:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            try:
                await turn
                self._called -= 1
                self._check(is_probe)
            except (asyncio.CancelledError, ExpertUnavailableError) as problem:
                if turn.done() and not turn.cancelled():  # it was this one's turn: hand it on
                    self._called -= isinstance(problem, asyncio.CancelledError)
                    self._wake()
                raise
            has_room = self._running < int(self.level.level)  # not where the level fell meanwhile

    async def _wait_for_rate(self, tokens: int) -> None:
        pause = max(
            self._requests.book(1.0) if self._requests else 0.0,
            self._tokens.book(tokens) if self._tokens else 0.0,
        )
        if self._is_spaced:
            start = max(self._clock(), self._next_start)
            self._next_start = start + self._mean_s / self.level.level
            pause = max(pause, start - self._clock())
        if pause > 0.0:
            await asyncio.sleep(pause)
        while (pause := self._paused_until - self._clock()) > 0.0 and not (self.breaker.is_open or self._is_stopped):
            await asyncio.sleep(pause)

    def stop(self) -> None:
        """Let nobody in any more; those who wait for a turn are told so."""
        self._is_stopped = True
        self._wake_all()

    def _check(self, is_probe: bool) -> None:
        if self._is_stopped:
            raise ExpertUnavailableError("not asked, because the work was stopped", expert=self.name, kind=CIRCUIT_OPEN)
        if self.breaker.is_open and not is_probe:
            raise ExpertUnavailableError(
                f"not asked, because the last calls failed ({self.breaker.reason})", expert=self.name, kind=CIRCUIT_OPEN
            )

    def leave(
        self,
        epoch: int,
        problem: ExpertError | None,
        *,
        more_tokens: float = 0.0,
        is_probe: bool = False,
        took_s: float | None = None,
    ) -> None:
        """Give the turn back and take note of how the try went.

        Args:
            epoch: What `enter` returned.
            problem: What went wrong, or None.
            more_tokens: Tokens used beyond those that `enter` was told.
            is_probe: As for `enter`.
            took_s: Seconds the try took.
        """
        was_in_use = self._running + self._called >= int(self.level.level)
        self._running -= 1
        if self._tokens is not None and more_tokens:
            self._tokens.correct(more_tokens)
        if problem is None or problem.kind in OF_THE_INSTRUCTION:
            self.breaker.succeeded()
            self.level.succeeded(was_in_use=was_in_use)
            if took_s is not None:
                self._mean_s = took_s if not self._mean_s else self._mean_s + (took_s - self._mean_s) / MEAN_OVER
        else:
            if problem.kind in CONGESTION:
                self.level.protested(epoch)
            asked_s = problem.retry_after_s or 0.0
            if self.level.is_congested and 0.0 < asked_s <= LONGEST_RETRY_AFTER_S:  # else only that call waits
                self._paused_until = max(self._paused_until, self._clock() + asked_s)
            if is_probe:
                self.breaker.probe_failed(problem)
                self._wake_all()
            elif self.breaker.failed(problem):
                self._wake_all()
        self._wake()

    def release(self) -> None:
        """Give the turn back of a call that was dropped: it says nothing about the endpoint."""
        self._running -= 1
        self._wake()

    def _wake(self) -> None:
        self._call(int(self.level.level) - self._running - self._called)

    def _wake_all(self) -> None:
        self._call(len(self._waiting))

    def _call(self, count: int) -> None:
        """Tell the next `count` of those who wait that it is their turn."""
        while count > 0 and self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                self._called += 1
                count -= 1


def limits_of(experts: "Iterable[Expert]") -> dict[str, Limits]:
    """Return `Expert.endpoint` -> what it may be asked; experts that share an endpoint share the strictest limits."""
    limits: dict[str, Limits] = {}
    for expert in experts:
        limits[expert.endpoint] = limits.get(expert.endpoint, Limits()).strictest(expert.limits or Limits())
    return limits


def endpoints_of(experts: "Iterable[Expert]", most: int) -> dict[str, Endpoint]:
    """Return `Expert.endpoint` -> its limits at work.

    Args:
        experts: Whose endpoints.
        most: Calls in flight at most, where no limit says otherwise.
    """
    return {name: Endpoint(name, most=most, limits=one) for name, one in limits_of(experts).items()}
