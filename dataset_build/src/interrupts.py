"""Ctrl-C and SIGTERM as events of the work, instead of the end of it."""

import asyncio
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def interruptions() -> Iterator["asyncio.Queue[str]"]:
    """Give a queue that gets the name of every interrupt, instead of the process ending there and then."""
    arrived: asyncio.Queue[str] = asyncio.Queue()
    names = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}
    loop = asyncio.get_running_loop()
    caught = list(names) if threading.current_thread() is threading.main_thread() else []
    for number in caught:
        loop.add_signal_handler(number, arrived.put_nowait, names[number])
    try:
        yield arrived
    finally:
        for number in caught:
            loop.remove_signal_handler(number)
