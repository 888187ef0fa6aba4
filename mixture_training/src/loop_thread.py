"""An event loop in a thread of its own, so that experts keep one loop (and its connections) whoever calls."""

import asyncio
import queue
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import aclosing
from typing import Any, TypeVar

T = TypeVar("T")


class _End:
    """Nothing more comes."""


_END = _End()


class LoopThread:
    """Runs coroutines of any thread, and of any other event loop, on one event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True, name="moe-experts")
        self._thread.start()

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> "Future[T]":
        """Start `coroutine` on the loop and return at once."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run `coroutine` on the loop and wait for its result; an interrupt cancels it."""
        future = self.submit(coroutine)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def iterate(self, events: AsyncGenerator[T, None]) -> Iterator[T]:
        """Yield what `events` yields on the loop; who stops early closes them, and waits until that is done."""
        came: queue.SimpleQueue[T | _End] = queue.SimpleQueue()
        ended = threading.Event()
        future = self.submit(_pump(events, came.put, ended.set))
        future.add_done_callback(lambda _: came.put(_END))
        try:
            while not isinstance(event := came.get(), _End):
                yield event
            future.result()
        finally:
            if not future.done():
                future.cancel()
                ended.wait()

    async def aiterate(self, events: AsyncGenerator[T, None]) -> AsyncIterator[T]:
        """Yield the same to another event loop."""
        here = asyncio.get_running_loop()
        came: asyncio.Queue[T | _End] = asyncio.Queue()
        ended = asyncio.Event()

        def hand_over(event: T | _End) -> None:
            here.call_soon_threadsafe(came.put_nowait, event)

        future = self.submit(_pump(events, hand_over, lambda: here.call_soon_threadsafe(ended.set)))
        future.add_done_callback(lambda _: hand_over(_END))
        try:
            while not isinstance(event := await came.get(), _End):
                yield event
            future.result()
        finally:
            if not future.done():
                future.cancel()
                await ended.wait()

    def cancel_all(self) -> None:
        """Cancel what runs, and wait until it has ended."""
        self.run(_cancel_others())

    def close(self) -> None:
        """Cancel what still runs and stop."""
        if self._loop.is_closed():
            return
        self.cancel_all()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _pump(events: AsyncGenerator[T, None], hand_over: Callable[[T], None], end: Callable[[], object]) -> None:
    """Hand over every event; one task does, because what is entered in a task has to be left in it."""
    try:
        async with aclosing(events):
            async for event in events:
                hand_over(event)
    finally:
        end()


async def _cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
