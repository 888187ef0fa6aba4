"""Work in a thread of its own, awaited."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


async def in_thread(work: Callable[[], T]) -> T:
    """Return what `work` returns, run in a thread of its own.

    Unlike a thread of the default executor, one that hangs delays neither the end of the event loop nor the end
    of the process.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def deliver(settle: Callable[[], None]) -> None:
        if not future.done():
            settle()

    def run() -> None:
        try:
            result = work()
        except BaseException as problem:  # what ends a thread, `sys.exit()` say, ends nothing else
            is_plain = isinstance(problem, Exception) and not isinstance(problem, StopIteration)
            raised = problem if is_plain else RuntimeError(repr(problem))
            settle: Callable[[], None] = lambda: future.set_exception(raised)  # noqa: E731
        else:
            settle = lambda: future.set_result(result)  # noqa: E731
        with suppress(RuntimeError):  # the loop has ended meanwhile and nobody waits
            loop.call_soon_threadsafe(deliver, settle)

    threading.Thread(target=run, daemon=True).start()
    return await future
