"""Which of several experts answers first: one after the other, or a second beside the first when that one is late.

Hedged requests are those of Dean and Barroso ("The Tail at Scale", 2013): a second one is sent when the first has
taken longer than most do, and the slower of the two is cancelled.
"""

import asyncio
import math
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from mixture_training.src.trial import CANCELLED, Trial

#: Observations below which an expert's 95th percentile is not known, and that it is taken over.
LEAST_OBSERVATIONS, WINDOW = 20, 256
#: Observations after which it is computed anew.
_RENEWED_AFTER = 16
#: Seconds that a cancelled expert may hold up the answer; one that will not end is left behind.
CANCEL_GRACE_S = 0.1


class Latencies:
    """What an expert's answers took lately; of those that nobody waited for, how long they were waited for."""

    def __init__(self) -> None:
        self._seconds: deque[float] = deque(maxlen=WINDOW)
        self._p95: float | None = None
        self._unseen = 0

    def note(self, seconds: float) -> None:
        """Take note of an answer."""
        self._seconds.append(seconds)
        self._unseen += 1
        if len(self._seconds) >= LEAST_OBSERVATIONS and (self._p95 is None or self._unseen >= _RENEWED_AFTER):
            ordered = sorted(self._seconds)
            self._p95 = ordered[math.ceil(0.95 * len(ordered)) - 1]
            self._unseen = 0

    def note_unfinished(self, seconds: float) -> None:
        """Take note of an answer that had not come after so long; left out, the late ones would seem never to be."""
        if self._p95 is None or seconds > self._p95:
            self.note(seconds)

    @property
    def p95_s(self) -> float | None:
        """The 95th percentile; None before there are enough."""
        return self._p95


async def first_to_win(
    following: Callable[[bool], Trial | None],
    attempt: Callable[[Trial], Coroutine[Any, Any, None]],
    wins: Callable[[Trial], Awaitable[bool]],
    hedge_after_s: Callable[[Trial], float | None],
) -> Trial | None:
    """Return the first trial that wins, the others ended; None where none does.

    At most two run at a time. Where it is cancelled, all that run are ended first.

    Args:
        following: Returns the next trial, told whether it is a hedge; None when there is none.
        attempt: Runs a trial until it can be judged.
        wins: Judges it.
        hedge_after_s: Returns after how many seconds a trial is late; None means never.
    """
    while (trial := following(False)) is not None:
        seconds = hedge_after_s(trial)
        if seconds is None:
            await attempt(trial)
            if await wins(trial):
                return trial
            continue
        winner = await _race(trial, seconds, following, attempt, wins)
        if winner is not None:
            return winner
    return None


async def _race(
    first: Trial,
    seconds: float,
    following: Callable[[bool], Trial | None],
    attempt: Callable[[Trial], Coroutine[Any, Any, None]],
    wins: Callable[[Trial], Awaitable[bool]],
) -> Trial | None:
    """Return the first of two that wins; the second is started when the first is late."""
    running = {asyncio.create_task(attempt(first)): first}
    may_hedge = True
    try:
        while running:
            done, _ = await asyncio.wait(
                running, timeout=seconds if may_hedge else None, return_when=asyncio.FIRST_COMPLETED
            )
            if not done:
                may_hedge = False
                second = following(True)
                if second is not None:
                    running[asyncio.create_task(attempt(second))] = second
                continue
            may_hedge = False  # what failed is followed at once, by whoever asked for this race
            for task in [task for task in running if task in done]:
                task.result()
                if await wins(running[task]):
                    return running.pop(task)
                del running[task]
        return None
    finally:
        await _end(running)


async def _end(running: dict[asyncio.Task[None], Trial]) -> None:
    for task in running:
        task.cancel()
    if running:
        await asyncio.wait(running, timeout=CANCEL_GRACE_S)
    for trial in running.values():
        await trial.close()
        trial.error = trial.error or CANCELLED  # it had an answer too, at the same moment
