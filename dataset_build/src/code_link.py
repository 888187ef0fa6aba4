"""The connection between an answer and its tests: calls as messages, results as plain values.

Runs in both jails (see `code_harness`); needs nothing but the standard library.
"""

import base64
import collections
import contextlib
import datetime
import decimal
import fractions
import inspect
import io
import itertools
import json
import sys
from collections.abc import Callable
from typing import Any, BinaryIO

from dataset_build.src.code_remote import (
    DEEDS,
    MOST_ITEMS,
    AnswerError,
    AnswerGone,
    CannotTellError,
    OutOfTime,
    Remote,
    stand_in,
)

#: Longest message between the two, in bytes.
MOST_BYTES = 16 * 2**20
#: Bytes of what one call prints that are passed on.
MOST_PRINTED = 2**20
#: Classes that an exception of the answer is derived from, at most.
MOST_ANCESTORS = 20
_CONTAINERS: dict[str, Any] = {
    "list": list,
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
    "deque": collections.deque,
}
_CHANGEABLE = (list, dict, set, collections.deque, bytearray)
_MAPPINGS: dict[str, Any] = {"dict": dict, "OrderedDict": collections.OrderedDict, "Counter": collections.Counter}
_DATES: dict[str, Callable[[list[Any]], Any]] = {
    "datetime": lambda parts: datetime.datetime.fromisoformat(parts[0]).replace(fold=parts[1]),
    "date": lambda parts: datetime.date.fromisoformat(parts[0]),
    "time": lambda parts: datetime.time.fromisoformat(parts[0]),
    "timedelta": lambda parts: datetime.timedelta(*parts),
}


def _date_as_code(value: Any) -> list[Any] | None:  # noqa: ANN401
    if isinstance(value, datetime.datetime):
        return ["datetime", datetime.datetime.isoformat(value), value.fold]
    if isinstance(value, datetime.date):
        return ["date", datetime.date.isoformat(value)]
    if isinstance(value, datetime.time):
        return ["time", datetime.time.isoformat(value)]
    if isinstance(value, datetime.timedelta):
        return ["timedelta", value.days, value.seconds, value.microseconds]
    return None


class _Kept(io.BytesIO):
    """What is written, cut when it is too much."""

    def write(self, data: Any) -> int:  # noqa: ANN401 - any buffer
        given = bytes(data)
        super().write(given[: max(0, MOST_PRINTED - self.tell())])
        return len(given)

    def fileno(self) -> int:
        return 1


class _Printed(io.TextIOWrapper):
    """A standard output that keeps what is printed, with all that programs expect of one."""

    def __init__(self) -> None:
        self.kept = _Kept()
        super().__init__(self.kept, encoding="utf-8", errors="surrogateescape", write_through=True)

    def text(self) -> str:
        """Return what was printed, nothing where it was closed."""
        return "" if self.kept.closed else self.kept.getvalue().decode("utf-8", "replace")


class Link:
    """One end of the connection.

    Args:
        reading: Where the other end's messages arrive.
        writing: Where messages to it go.
        is_answer: Whether this is the end with the answer: the other one may do more than call what it was given.
    """

    def __init__(self, reading: BinaryIO, writing: BinaryIO, *, is_answer: bool) -> None:
        self._reading = reading
        self._writing = writing
        self._is_answer = is_answer
        self._lent: list[Any] = []
        #: The answer's globals that are plain values, as this end knows them, and as both ends last knew them.
        self.globals: dict[str, Any] = {}
        self.known: dict[str, list[Any]] = {}
        #: Exceptions the answer defines, by name, at the end with the tests.
        self.exceptions: dict[str, type[Exception]] = {}

    def lend(self, value: object) -> int:
        """Return the number under which the other end can refer to `value`."""
        for number, lent in enumerate(self._lent):
            if lent is value:
                return number
        self._lent.append(value)
        return len(self._lent) - 1

    def encode(
        self, value: Any, met: list[Any] | None = None, named: dict[int, int] | None = None  # noqa: ANN401
    ) -> list[Any]:  # fmt: skip
        """Return a value as JSON; what is not plain becomes a number to refer to it by.

        Args:
            value: Anything.
            met: Gets the containers in it that can be changed, in order.
            named: Identity -> number of containers the other end has; they are only named.
        """
        if named and id(value) in named:
            return ["same", named[id(value)]]
        if isinstance(value, _CHANGEABLE) and met is not None:
            met.append(value)
        return self._container(value, met, named) or self._single(value)

    def _container(self, value: Any, met: list[Any] | None, named: dict[int, int] | None) -> list[Any] | None:  # noqa: ANN401
        for name, kind in reversed(_MAPPINGS.items()):
            if isinstance(value, kind):
                inside = [[self.encode(key, met, named), self.encode(one, met, named)] for key, one in value.items()]
                return [name, inside]
        for name, kind in _CONTAINERS.items():
            if isinstance(value, kind):
                return [name, [self.encode(inner, met, named) for inner in value]]
        if isinstance(value, collections.abc.KeysView):
            return ["set", [self.encode(inner) for inner in value]]
        if isinstance(value, collections.abc.ValuesView | collections.abc.ItemsView):
            return ["list", [self.encode(inner) for inner in value]]
        return None

    def _single(self, value: Any) -> list[Any]:  # noqa: ANN401, C901 - one branch a type
        if value is None or value is True or value is False:
            return ["plain", value]
        if isinstance(value, Remote):
            return ["yours", value._number]
        if isinstance(value, str):
            return ["plain", str.__str__(value)]
        if isinstance(value, int):
            return ["int", hex(int.__index__(value))]
        if isinstance(value, float):
            return ["float", float.hex(value)]
        if isinstance(value, complex):
            return ["complex", value.real.hex(), value.imag.hex()]
        if isinstance(value, bytes | bytearray):
            return [type(value).__name__, base64.b64encode(value).decode()]
        if isinstance(value, decimal.Decimal | fractions.Fraction):
            return [type(value).__name__, str(value)]
        if isinstance(value, range):
            return ["range", *(hex(part) for part in (value.start, value.stop, value.step))]
        if (date := _date_as_code(value)) is not None:
            return date
        if type(value).__module__ == "numpy" and hasattr(value, "tolist"):
            return self.encode(value.tolist())
        if hasattr(value, "__next__"):
            return ["iterator", [self.encode(inner) for inner in itertools.islice(value, MOST_ITEMS)]]
        if inspect.iscoroutine(value):
            return ["coroutine", self.lend(value)]
        return ["mine", self.lend(value)]

    def decode(self, coded: list[Any], met: list[Any] | None = None, same: list[Any] | None = None) -> Any:  # noqa: ANN401, C901
        """Return the value `encode` was given, always of a builtin type or a `Remote`.

        Args:
            coded: What it returned.
            met: Gets the containers in it that can be changed, in the order `encode` met them.
            same: The containers that are named by number.
        """
        kind, *parts = coded
        if kind == "plain" and isinstance(parts[0], str | bool | None):
            return parts[0]
        if kind == "int":
            return int(parts[0], 16)
        if kind == "float":
            return float.fromhex(parts[0])
        if kind == "complex":
            return complex(float.fromhex(parts[0]), float.fromhex(parts[1]))
        if kind in ("bytes", "bytearray"):
            data = base64.b64decode(parts[0])
            if kind == "bytearray":
                return _met(bytearray(data), met)
            return data
        if kind in _DATES:
            return _DATES[kind](parts)
        if kind == "same" and same is not None:
            return same[parts[0]]
        if kind in ("Decimal", "Fraction"):
            return decimal.Decimal(parts[0]) if kind == "Decimal" else fractions.Fraction(parts[0])
        if kind == "range":
            return range(*(int(part, 16) for part in parts))
        if kind in ("list", "deque"):
            made = _met(_CONTAINERS[kind](), met)
            made.extend(self.decode(inner, met, same) for inner in parts[0])
            return made
        if kind == "set":
            made = _met(set(), met)
            made.update(self.decode(inner, met, same) for inner in parts[0])
            return made
        if kind in _CONTAINERS:
            return _CONTAINERS[kind](self.decode(inner, met, same) for inner in parts[0])
        if kind in _MAPPINGS:
            made = _met(_MAPPINGS[kind](), met)
            for key, inner in parts[0]:
                name = self.decode(key, met, same)
                made[name] = self.decode(inner, met, same)
            return made
        if kind == "coroutine" and isinstance(parts[0], int):
            return self._wait_for(parts[0])
        if kind == "iterator":
            return iter([self.decode(inner) for inner in parts[0]])
        if kind == "yours":
            return self._lent[parts[0]]
        if kind == "mine" and isinstance(parts[0], int):
            return Remote(self, parts[0])
        raise AnswerError(f"a value of unknown kind {kind!r}")

    def ask(self, deed: str, number: int, arguments: tuple[Any, ...] = (), named: dict[str, Any] | None = None) -> Any:  # noqa: ANN401
        """Have the other end do something with an object it lent, and return the result.

        Lists, dicts and the like among the arguments are changed as the other end changed them.
        """
        lent: list[Any] = []
        self._send(
            {
                "do": deed,
                "on": number,
                "arguments": [self.encode(argument, lent) for argument in arguments],
                "named": {name: self.encode(value, lent) for name, value in (named or {}).items()},
                "globals": self._news(),
            }
        )
        while True:
            message = self._receive()
            if "do" in message:
                self._send(self._done(message))
                continue
            if "cannot" in message:
                raise CannotTellError(str(message["cannot"])[:200])
            if message.get("printed"):
                sys.stdout.write(str(message["printed"]))
            changed = message.get("changed") or {}
            for position, coded in changed.items():
                _replace(lent[int(position)], self.decode(coded, same=lent))
            self._hear(message.get("globals") or {})
            if "raised" in message:
                raise self._as_exception(*message["raised"])
            return self.decode(message["value"], same=lent)

    async def _wait_for(self, number: int) -> Any:  # noqa: ANN401
        return self.ask("await", number)

    def watch(self, name: str, value: object) -> None:
        """Keep a global of the answer the same at both ends, if it is a plain value."""
        coded = self.encode(value)
        if coded[0] not in ("mine", "yours", "iterator", "coroutine"):
            self.known[name] = coded

    def _news(self) -> dict[str, list[Any]]:
        """Return the watched globals that changed here."""
        news = {}
        for name, before in self.known.items():
            if name in self.globals:
                after = self.encode(self.globals[name])
                if after != before:
                    news[name] = self.known[name] = after
        return news

    def _hear(self, news: dict[str, list[Any]]) -> None:
        for name, coded in news.items():
            if name not in self.known:
                continue
            value = self.decode(coded)
            if isinstance(value, _CHANGEABLE) and type(self.globals.get(name)) is type(value):
                _replace(self.globals[name], value)
            else:
                self.globals[name] = value
            self.known[name] = coded

    def serve(self) -> None:
        """Do what the other end asks for until it closes."""
        while True:
            self._send(self._done(self._receive()))

    def _done(self, message: dict[str, Any]) -> dict[str, Any]:
        printed = _Printed()
        told: dict[str, Any]
        try:
            target = self._lent[message["on"]]
            if not self._is_answer and message["do"] != "call":
                raise AnswerError("only calls are answered here")
            self._hear(message.get("globals") or {})
            lent: list[Any] = []
            arguments = [self.decode(argument, lent) for argument in message["arguments"]]
            named = {name: self.decode(value, lent) for name, value in message["named"].items()}
            numbers = {id(one): number for number, one in enumerate(lent)}
            before = [self._inside(one, numbers) for one in lent]
            with contextlib.redirect_stdout(printed) if self._is_answer else contextlib.nullcontext():
                result = DEEDS[message["do"]](target, *arguments, **named)
            try:
                told = {"value": self.encode(result)}
            except RecursionError:
                return {"cannot": "what a value is that is nested too deeply to be passed"}
            after = [self._inside(one, numbers) for one in lent]
            told["changed"] = {number: now for number, now in enumerate(after) if now != before[number]}
        except (AnswerGone, OutOfTime, CannotTellError):
            raise
        except BaseException as problem:
            names = [kind.__name__ for kind in type(problem).__mro__]
            told = {"raised": [names, str(problem)[:500]]}
        return {**told, "printed": printed.text(), "globals": self._news()}

    def _inside(self, value: Any, numbers: dict[int, int]) -> list[Any]:  # noqa: ANN401
        """Return a container as `encode` does, the ones inside it that the other end has by their numbers."""
        return self._container(value, None, numbers) or self._single(value)

    def _as_exception(self, names: object, text: object) -> Exception:
        """Return what stands here for an exception of the other end: one of the answer's own, or a builtin one."""
        known = [str(name) for name in names if str(name).isidentifier()] if isinstance(names, list) else []
        kind = stand_in(known[:MOST_ANCESTORS], self.exceptions)
        if kind is Exception and known[:1] != ["Exception"]:
            return AnswerError(f"{known[0] if known else 'an exception'}: {text}")
        try:
            return kind(str(text))
        except TypeError:  # UnicodeDecodeError and the like take more than a text
            return AnswerError(f"{known[0]}: {text}")

    def _send(self, message: dict[str, Any]) -> None:
        data = json.dumps(message).encode() + b"\n"
        if len(data) > MOST_BYTES:
            data = json.dumps({"cannot": "what a value is that is too long to be passed"}).encode() + b"\n"
        try:
            self._writing.write(data)
            self._writing.flush()
        except OSError:
            raise AnswerGone from None

    def _receive(self) -> dict[str, Any]:
        line = self._reading.readline(MOST_BYTES + 1)
        if not line.endswith(b"\n"):
            raise AnswerGone
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            raise AnswerGone from None
        if not isinstance(message, dict):
            raise AnswerGone
        return message


def _replace(old: Any, new: Any) -> None:  # noqa: ANN401 - any container
    if isinstance(old, list | bytearray) and isinstance(new, list | bytearray):
        old[:] = new
    elif isinstance(old, dict | set) and isinstance(new, dict | set):
        old.clear()
        old.update(new)
    elif isinstance(old, collections.deque):
        old.clear()
        old.extend(new)


def _met(made: Any, met: list[Any] | None) -> Any:  # noqa: ANN401
    if met is not None:
        met.append(made)
    return made
