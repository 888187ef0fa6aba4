"""The inside of a worker process: it builds the tools it is told to, then answers one call after another.

The parent speaks first: one JSON line with the tools and the deadline, then one line per call. Every call is answered
by one line, in order. When the parent is gone the process ends at once, whatever it is doing.
"""

import json
import os
import queue
import signal
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from types import FrameType
from typing import Any, TypeVar

from dataset_build.src.errors import ExpertCrashedError, ExpertError, ExpertUnavailableError, MissingDependencyError
from dataset_build.src.experts.base import ToolExpert
from dataset_build.src.records import Instruction, Price

#: Seconds a tool may take to load what it needs, before its first call.
WARM_UP_S = 120.0
#: A library that swallows the deadline's exception is interrupted again after this many seconds.
REPEAT_S = 0.5

T = TypeVar("T")


class _DeadlinePassed(BaseException):
    """Outside the `Exception` tree, so that a tool's own `except Exception` does not swallow it."""


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise _DeadlinePassed


def build_tool(recipe: dict[str, Any]) -> ToolExpert:
    """Return the tool of a recipe made by `workers.recipe_of`."""
    module, _, attribute = recipe["home"].partition(":")
    found: Any = import_module(module)
    for part in attribute.split("."):
        found = getattr(found, part)
    tool: ToolExpert = found(
        name=recipe["name"], price=Price(**recipe["price"]), description=recipe["description"], **recipe["options"]
    )
    return tool


class ToolRunner:
    """Answers calls in this thread (the main one: deadlines are signals).

    Args:
        recipes: The tools, by position.
        timeout_s: Seconds one call may take.
    """

    def __init__(self, recipes: list[dict[str, Any]], timeout_s: float) -> None:
        self._recipes = recipes
        self._timeout_s = timeout_s
        self._tools: dict[int, ToolExpert] = {}

    def run(self, call: dict[str, Any]) -> dict[str, Any]:
        """Return the answer's fields, or `error`, or `missing` when a package is not installed."""
        name = self._recipes[call["tool"]]["name"]
        try:
            tool = self._within(WARM_UP_S, name, lambda: self._ready_tool(call["tool"]))
            answer = self._within(
                self._timeout_s, name, lambda: tool.answer_now(Instruction(id=call["id"], text=call["text"]))
            )
            if not isinstance(answer.text, str):
                raise TypeError(f"solve returned {type(answer.text).__name__}, a str was expected")
        except MissingDependencyError as missing:
            return {"missing": str(missing)}
        except ExpertError as problem:
            if isinstance(problem.__cause__, MissingDependencyError):
                return {"missing": str(problem.__cause__)}
            return {"error": problem.as_field()}
        except Exception as crash:
            return {"error": ExpertCrashedError(f"{type(crash).__name__}: {crash}", expert=name).as_field()}
        return {
            "text": answer.text,
            "cost": answer.cost,
            "latency_s": answer.latency_s,
            "prompt_tokens": answer.prompt_tokens,
            "completion_tokens": answer.completion_tokens,
            "model": answer.model,
            "finish_reason": answer.finish_reason,
        }

    def _ready_tool(self, position: int) -> ToolExpert:
        if position not in self._tools:
            tool = build_tool(self._recipes[position])
            tool.warm_up()
            self._tools[position] = tool
        return self._tools[position]

    @staticmethod
    def _within(seconds: float, name: str, work: Callable[[], T]) -> T:
        try:
            signal.setitimer(signal.ITIMER_REAL, seconds, REPEAT_S)
            try:
                return work()
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
        except _DeadlinePassed:
            signal.setitimer(signal.ITIMER_REAL, 0)
            raise ExpertUnavailableError(f"no answer within {seconds:g} s", expert=name, kind="timeout") from None


def serve(connection: socket.socket, *, leave: Callable[[int], object] = os._exit) -> None:
    """Answer calls until the other end closes.

    Args:
        connection: A stream socket to the parent.
        leave: Ends the process; called from the reading thread, so that a call in progress does not delay it.
    """
    calls: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()

    def read() -> None:
        with suppress(OSError), connection.makefile("rb") as lines:  # a parent that was killed resets the connection
            for line in lines:
                calls.put(line)
        calls.put(None)
        leave(0)

    threading.Thread(target=read, daemon=True).start()
    first = calls.get()
    if first is None:
        return
    setup = json.loads(first)
    signal.signal(signal.SIGALRM, _interrupt)
    runner = ToolRunner(setup["tools"], setup["timeout_s"])
    connection.sendall(b'{"ready": true}\n')
    while (line := calls.get()) is not None:
        result = runner.run(json.loads(line))
        try:
            connection.sendall(json.dumps(result).encode() + b"\n")
        except OSError:  # the parent went away meanwhile
            return


def main(descriptor: int) -> None:
    """Serve on an inherited socket; Ctrl-C is the parent's to decide about."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    serve(socket.socket(fileno=descriptor))
