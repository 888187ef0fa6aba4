"""Calls to the Hugging Face hub, each under a deadline of our own.

The hub's own time-outs do not cover every case: a server that accepts a connection and never answers was
seen to hold `from_pretrained` for over nine minutes.
"""

import logging
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from dataset_build.src.errors import ConfigError, ToolkitError

T = TypeVar("T")

#: Seconds a hub call may take; a command that cannot reach the hub then ends within ten.
HUB_TIMEOUT_S = 8.0
#: A token, or the beginning of one where the message was cut.
_TOKEN = re.compile(r"hf_[A-Za-z0-9]+")
_IS_LEFT_ALONE: ContextVar[bool] = ContextVar("is_left_alone", default=False)


@contextmanager
def hub_left_alone() -> Iterator[None]:
    """Have models that are not on this machine taken for granted, instead of looked up: a dry run asks nobody."""
    token = _IS_LEFT_ALONE.set(True)
    try:
        yield
    finally:
        _IS_LEFT_ALONE.reset(token)


def is_hub_left_alone() -> bool:
    """Return whether this is inside of `hub_left_alone`."""
    return _IS_LEFT_ALONE.get()


def call_hub(
    what: str,
    function: Callable[[], T],
    *,
    timeout_s: float = HUB_TIMEOUT_S,
    verb: str = "load",
    advice: str = "Check the name and the network, or give a local path.",
) -> T:
    """Return `function()`, or give up after `timeout_s`.

    Args:
        what: What is asked for, for the message ("model 'roberta-large'").
        function: The call; it goes on in a daemon thread when we give up on it.
        timeout_s: Seconds to wait.
        verb: What is done with it, for the message.
        advice: What to do where it fails, for the message.

    Raises:
        ConfigError: it failed or did not answer in time; one line that says what to do.
    """
    outcome: list[T] = []
    failure: list[BaseException] = []

    def work() -> None:
        try:
            outcome.append(function())
        except BaseException as problem:  # noqa: BLE001 - handed to the caller below
            failure.append(problem)

    thread = threading.Thread(target=work, name="hub", daemon=True)
    quiet = _Quiet(thread)
    thread.start()
    thread.join(timeout_s)
    if not thread.is_alive():
        quiet.lift()
    if outcome:
        return outcome[0]
    if not failure:
        raise ConfigError(
            f"Cannot {verb} {what}: the hub did not answer within {timeout_s:g} s{quiet.reason()}. {advice}"
        )
    if isinstance(failure[0], ToolkitError | KeyboardInterrupt):
        raise failure[0]
    reason = " ".join(str(failure[0]).split())[:200].rstrip(".") or type(failure[0]).__name__
    raise ConfigError(f"Cannot {verb} {what}: {reason}. {advice}") from failure[0]


def without_tokens(message: str, token: str | None = None) -> str:
    """Return the message with `token`, and whatever looks like a token of the hub, left out."""
    return _TOKEN.sub("hf_…", message.replace(token, "…") if token else message)


class _Quiet(logging.Filter):
    """Keeps what the hub's library says in one thread (a line per retry) off the screen, and remembers the last.

    It stays in place while the thread goes on after we gave up on it.
    """

    def __init__(self, thread: threading.Thread) -> None:
        super().__init__()
        self._thread = thread
        self._last = ""
        self._handlers = list(logging.getLogger("huggingface_hub").handlers)
        for handler in self._handlers:
            handler.addFilter(self)

    def filter(self, record: logging.LogRecord) -> bool:
        if record.thread != self._thread.ident:
            return True
        if "Retrying in" not in record.getMessage():
            self._last = record.getMessage()
        return False

    def lift(self) -> None:
        for handler in self._handlers:
            handler.removeFilter(self)

    def reason(self) -> str:
        """Return ` (Connection refused)` or the like; nothing when the library said nothing."""
        quoted = re.match(r"'(?:\[Errno -?\d+\] )?(.+?)' thrown", self._last)
        return f" ({quoted[1]})" if quoted else ""


def in_one_line(what: str, function: Callable[[], T]) -> T:
    """Return `function()`, which may take as long as it needs; whatever it raises becomes one line.

    For local data, and for downloads once the hub is known to answer.

    Raises:
        ConfigError: it failed.
    """
    try:
        return function()
    except Exception as problem:  # the library's own errors share no base
        reason = " ".join(str(problem).split())[:300] or type(problem).__name__
        raise ConfigError(f"Cannot load {what}: {reason}") from problem
