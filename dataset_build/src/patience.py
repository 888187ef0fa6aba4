"""Deadlines for many waits in a row, such as for the pieces of a stream, by one timer instead of one a wait."""

import asyncio
import math
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


class Patience:
    """Bounds each of many waits by a moment of its own; belongs to one event loop, and waits for one thing at a time.

    Setting and clearing a timer costs more than most waits of a stream take. Here the timer stays, and looks, when it
    fires, whether the wait under way has passed its moment.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._until = math.inf
        self._task: asyncio.Task[object] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_expired = False

    async def wait(self, awaitable: Awaitable[T], until: float) -> T:
        """Return what `awaitable` gives.

        Args:
            awaitable: What to wait for; cancelled when its time is over.
            until: The moment, by the event loop's clock.

        Raises:
            TimeoutError: its time was over.
        """
        task = asyncio.current_task()
        assert task is not None
        cancelling = task.cancelling()
        self._until, self._task, self._is_expired = until, task, False
        if self._timer is None or self._timer.when() > until:
            self._set(until)
        try:
            return await awaitable
        except asyncio.CancelledError:
            if self._is_expired:
                self._is_expired = False
                if task.uncancel() <= cancelling:  # else somebody else has cancelled it too
                    raise TimeoutError from None
            raise
        finally:
            self._task = None
            if self._is_expired:  # it ended in another way in the very moment that it was cancelled
                task.uncancel()

    def close(self) -> None:
        """Clear the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set(self, until: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(until, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._task is None:
            return
        if self._loop.time() < self._until:
            self._set(self._until)
        else:
            self._is_expired = True
            self._task.cancel()
