"""A hard cap on what a build may spend: money is set aside before each call and settled after it.

At any moment `spent + reserved <= cap`, where a reservation is the most the call can cost. So the cap can be exceeded
only where an endpoint charges more than its own price list or answers beyond the tokens it was allowed.

So that this holds over runs that are killed, a bound of the sum is written down before the calls that it covers start.
"""

import asyncio
from collections.abc import Callable

from dataset_build.src.errors import ConfigError, EarlyStopError
from dataset_build.src.experts.base import Expert
from dataset_build.src.experts.chat_call import ChatCall
from dataset_build.src.records import Instruction

#: Shares of a cent that sums of floats may be off by.
ROUNDING_USD = 1e-12
#: Share of what is left that the bound is ahead of what is set aside at most; a kill loses that much more.
MOST_AHEAD = 0.1


class BudgetMetError(EarlyStopError):
    """The next call might cost more than what is left.

    Args:
        reason: What is met, in half a sentence.
        advice: What is kept and what to do, as its continuation.
    """

    def __init__(self, reason: str, advice: str = "") -> None:
        super().__init__(reason + advice)
        self.reason = reason


class Budget:
    """What was spent, what is set aside for calls in flight, and what may be spent in all.

    Args:
        cap_usd: The cap; None only counts.
        spent_usd: What earlier runs of the same build spent.
    """

    def __init__(self, cap_usd: float | None, spent_usd: float = 0.0) -> None:
        self.cap_usd = cap_usd
        self.spent_usd = spent_usd
        self.reserved_usd = 0.0
        self._reservations = 0
        self._changed = asyncio.Event()
        self._write_down: Callable[[float], None] | None = None
        self._bound_usd = 0.0

    def have_written_down(self, write_down: Callable[[float], None]) -> None:
        """Have `write_down` told a bound of all that may be spent, before the first call that goes beyond the last one.

        Args:
            write_down: Makes the bound, in USD, durable.
        """
        self._write_down = write_down

    async def reserve(self, usd: float) -> None:
        """Set `usd` aside, waiting for calls in flight to be settled where that may make room.

        Raises:
            BudgetMetError: there is no room, and none will come.
        """
        if self.cap_usd is None or usd == 0.0:
            return
        while (total := self.spent_usd + self.reserved_usd + usd) > self._bound_usd:
            if total > self.cap_usd + ROUNDING_USD:
                await self._make_room(usd)
            else:
                ahead = min(self.reserved_usd + usd, MOST_AHEAD * max(0.0, self.cap_usd - total))
                await self._raise_bound(total + ahead)
        self._reservations += 1
        self.reserved_usd += usd

    async def _make_room(self, usd: float) -> None:
        if not self._reservations:
            raise BudgetMetError(
                f"the budget of USD {self.cap_usd:g} is met: USD {self.spent_usd:.6g} are spent and the next call "
                f"may cost USD {usd:.3g} (an endpoint's answer may have 1,024 tokens where max_tokens "
                "is not set)"
            )
        self._changed.clear()
        await self._changed.wait()

    async def _raise_bound(self, usd: float) -> None:
        if self._write_down is not None:
            self._write_down(usd)
        self._bound_usd = usd

    def settle(self, reserved_usd: float, spent_usd: float) -> None:
        """Replace a reservation by what was spent."""
        self.spent_usd += spent_usd
        if self.cap_usd is None or reserved_usd == 0.0:
            return
        self._reservations -= 1
        self.reserved_usd = self.reserved_usd - reserved_usd if self._reservations else 0.0
        self._changed.set()


def at_most_usd(expert: Expert, asked: Instruction | ChatCall, timeout_s: float, cores: int = 1) -> float | None:
    """Return the most one call may cost: its tokens, and its time where time is priced; None when nothing bounds it.

    Args:
        expert: Who is asked.
        asked: What it is asked.
        timeout_s: Seconds the call may take.
        cores: Cores it may keep busy.
    """
    price = expert.price
    tokens_usd = 0.0
    if price.prompt_per_million or price.completion_per_million or price.cached_per_million or price.per_call:
        estimate = expert.estimate(asked) if isinstance(asked, Instruction) else expert.estimate_chat(asked)
        bound = price.at_most(estimate)
        if bound is None:
            return None
        tokens_usd = bound
    return tokens_usd + price.per_core_hour * timeout_s * cores / 3600.0


def check_bounded(expert: Expert, instruction: Instruction) -> None:
    """Refuse an expert whose calls could cost any amount, before anything is paid.

    Raises:
        ConfigError: its answers are priced by the token and nothing limits their length.
    """
    if at_most_usd(expert, instruction, 0.0) is None:
        raise ConfigError(
            f"Expert {expert.name!r} is priced per completion token and nothing limits its answers, so no budget can "
            "hold; give it max_tokens."
        )
