"""The two ends of a test of code: one process runs the answer, the other the tests, and only plain values pass between.

A copy of this file goes into both jails; it needs nothing but the standard library. The tests run where the answer's
code never does: a call of the answer's function is a message, its result arrives as numbers, texts, lists and the
like, and what the answer does to its own process (leaving it, patching builtins, objects that equal everything) has no
part in the comparison. Started as `code_harness.py answer` or `code_harness.py tests SECONDS FIRST`.
"""

import base64
import builtins
import collections
import decimal
import fractions
import importlib.util
import itertools
import json
import os
import signal
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, NoReturn

#: Most items taken of a generator; longest message between the two, in bytes.
MOST_ITEMS = 100_000
MOST_BYTES = 16 * 2**20
READING, WRITING = 3, 4
_CONTAINERS: dict[str, Any] = {
    "list": list,
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
    "deque": collections.deque,
}
_MAPPINGS: dict[str, Any] = {"dict": dict, "OrderedDict": collections.OrderedDict, "Counter": collections.Counter}


class AnswerError(Exception):
    """The answer raised something that is no builtin exception, or gave a value that cannot be passed."""


class AnswerGone(BaseException):  # noqa: N818 - outside the `Exception` tree, so that no test takes it for an error
    """The process that runs the answer has ended."""


class OutOfTime(BaseException):  # noqa: N818
    """The test ran over its deadline."""


class Remote:
    """An object of the answer, held by its number; equal to itself only."""

    def __init__(self, link: "Link", number: int) -> None:
        self.__dict__["_link"] = link
        self.__dict__["_number"] = number

    def __call__(self, *arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - whatever the answer takes and gives
        """Call it over there."""
        return self._link.ask("call", self._number, arguments, named)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        if name.startswith("__"):
            raise AttributeError(name)
        return self._link.ask("attribute", self._number, (name,))

    def __setattr__(self, name: str, value: object) -> None:
        self._link.ask("set_attribute", self._number, (name, value))

    def __getitem__(self, key: object) -> Any:  # noqa: ANN401
        return self._link.ask("item", self._number, (key,))

    def __setitem__(self, key: object, value: object) -> None:
        self._link.ask("set_item", self._number, (key, value))

    def __contains__(self, item: object) -> bool:
        return self._link.ask("contains", self._number, (item,)) is True

    def __len__(self) -> int:
        return int(self._link.ask("length", self._number))

    def __bool__(self) -> bool:
        return self._link.ask("truth", self._number) is True

    def __iter__(self) -> Iterator[Any]:
        return iter(list(self._link.ask("items", self._number)))

    def __str__(self) -> str:
        return str(self._link.ask("text", self._number))

    __repr__ = __str__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Remote) and other._number == self._number

    def __hash__(self) -> int:
        return hash(self._number)


_DEEDS: dict[str, Callable[..., Any]] = {
    "call": lambda target, *arguments, **named: target(*arguments, **named),
    "attribute": getattr,
    "set_attribute": setattr,
    "item": lambda target, key: target[key],
    "set_item": lambda target, key, value: target.__setitem__(key, value),
    "contains": lambda target, item: item in target,
    "length": len,
    "truth": bool,
    "items": lambda target: list(itertools.islice(target, MOST_ITEMS)),
    "text": str,
}


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

    def lend(self, value: object) -> int:
        """Return the number under which the other end can refer to `value`."""
        for number, lent in enumerate(self._lent):
            if lent is value:
                return number
        self._lent.append(value)
        return len(self._lent) - 1

    def encode(self, value: Any) -> list[Any]:  # noqa: ANN401, C901 - one branch a type
        """Return a value as JSON; what is not plain becomes a number to refer to it by."""
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
        for name, kind in reversed(_MAPPINGS.items()):
            if isinstance(value, kind):
                return [name, [[self.encode(key), self.encode(inner)] for key, inner in value.items()]]
        for name, kind in _CONTAINERS.items():
            if isinstance(value, kind):
                return [name, [self.encode(inner) for inner in value]]
        if isinstance(value, collections.abc.KeysView):
            return ["set", [self.encode(inner) for inner in value]]
        if isinstance(value, collections.abc.ValuesView | collections.abc.ItemsView):
            return ["list", [self.encode(inner) for inner in value]]
        if type(value).__module__ == "numpy" and hasattr(value, "tolist"):
            return self.encode(value.tolist())
        if hasattr(value, "__next__"):
            return ["iterator", [self.encode(inner) for inner in itertools.islice(value, MOST_ITEMS)]]
        return ["mine", self.lend(value)]

    def decode(self, coded: list[Any]) -> Any:  # noqa: ANN401, C901
        """Return the value `encode` was given, always of a builtin type or a `Remote`."""
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
            return bytearray(data) if kind == "bytearray" else data
        if kind in ("Decimal", "Fraction"):
            return decimal.Decimal(parts[0]) if kind == "Decimal" else fractions.Fraction(parts[0])
        if kind == "range":
            return range(*(int(part, 16) for part in parts))
        if kind in _CONTAINERS:
            return _CONTAINERS[kind](self.decode(inner) for inner in parts[0])
        if kind in _MAPPINGS:
            return _MAPPINGS[kind]({self.decode(key): self.decode(inner) for key, inner in parts[0]})
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
        self._send(
            {
                "do": deed,
                "on": number,
                "arguments": [self.encode(argument) for argument in arguments],
                "named": {name: self.encode(value) for name, value in (named or {}).items()},
            }
        )
        while True:
            message = self._receive()
            if "do" in message:
                self._send(self._done(message))
                continue
            for position, coded in (message.get("changed") or {}).items():
                _replace(arguments[int(position)], self.decode(coded))
            if "raised" in message:
                raise _as_exception(*message["raised"])
            return self.decode(message["value"])

    def serve(self) -> None:
        """Do what the other end asks for until it closes."""
        while True:
            self._send(self._done(self._receive()))

    def _done(self, message: dict[str, Any]) -> dict[str, Any]:
        try:
            target = self._lent[message["on"]]
            if not self._is_answer and message["do"] != "call":
                raise AnswerError("only calls are answered here")
            arguments = [self.decode(argument) for argument in message["arguments"]]
            named = {name: self.decode(value) for name, value in message["named"].items()}
            result = self.encode(_DEEDS[message["do"]](target, *arguments, **named))
            changed = {}
            for position, before in enumerate(message["arguments"]):
                if before[0] in ("list", "dict", "set", "deque", "bytearray", "OrderedDict", "Counter"):
                    after = self.encode(arguments[position])
                    if after != before:
                        changed[position] = after
            return {"value": result, "changed": changed}
        except (AnswerGone, OutOfTime):
            raise
        except BaseException as problem:
            return {"raised": [type(problem).__name__, str(problem)[:500]]}

    def _send(self, message: dict[str, Any]) -> None:
        data = json.dumps(message).encode() + b"\n"
        if len(data) > MOST_BYTES:
            data = json.dumps({"raised": ["OverflowError", "the value is too long to be passed"]}).encode() + b"\n"
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


def _as_exception(name: object, text: object) -> Exception:
    kind = getattr(builtins, str(name), None)
    if isinstance(kind, type) and issubclass(kind, Exception):
        try:
            return kind(str(text))
        except TypeError:  # UnicodeDecodeError and the like take more than a text
            pass
    return AnswerError(f"{name}: {text}")


def _load(name: str, path: str, names: dict[str, Any]) -> types.ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    module.__dict__.update(names)
    spec.loader.exec_module(module)
    return module


def _link(*, is_answer: bool) -> Link:
    return Link(os.fdopen(READING, "rb"), os.fdopen(WRITING, "wb"), is_answer=is_answer)


def _silence() -> int:
    """Send what is printed from here on nowhere, and return a descriptor of the old standard output."""
    kept = os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nowhere, number)
    return kept


def run_answer() -> None:
    """Load `answer.py` and lend what it defines to the tests."""
    os.close(_silence())
    link = _link(is_answer=True)
    site = {"exit": sys.exit, "quit": sys.exit}  # what `site`, which is not loaded here, would define
    link.lend(lambda: _load("answer", "answer.py", site))
    link.lend(lambda name: getattr(sys.modules["answer"], name))
    try:
        link.serve()
    except AnswerGone:
        os._exit(0)


def _out_of_time(*_: object) -> NoReturn:
    raise OutOfTime


def run_tests(seconds: float, first: int) -> None:
    """Run the functions `test_0`, `test_1`, … of `tests.py` and print one JSON line for each; see `tests.json`.

    Args:
        seconds: What one of them may take; the first also loads the answer.
        first: The number of the first one to run.
    """
    output = os.fdopen(_silence(), "w")

    def tell(**message: object) -> None:
        output.write(json.dumps(message) + "\n")
        output.flush()

    with open("tests.json", encoding="utf-8") as file:
        plan = json.load(file)
    link = _link(is_answer=False)
    signal.signal(signal.SIGALRM, _out_of_time)
    test = first
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        names = {}
        link.ask("call", 0)
        for name in plan["names"]:
            try:
                names[name] = link.ask("call", 1, (name,))
            except AttributeError:  # the answer does not define it: the tests will say so
                continue
        try:
            module = _load("tests", "tests.py", names)
        except ImportError as problem:  # nothing the answer could help
            tell(tests=f"{type(problem).__name__}: {problem}"[:200])
            os._exit(0)
        for test in range(first, plan["count"]):
            signal.setitimer(signal.ITIMER_REAL, seconds)
            try:
                getattr(module, f"test_{test}")()
                reason = None
            except Exception as problem:
                reason = f"{type(problem).__name__}: {problem}"[:200]
            signal.setitimer(signal.ITIMER_REAL, 0)
            tell(test=test, reason=reason)
    except OutOfTime:
        tell(test=test, reason=f"it ran longer than {seconds:g} s", over=True)
    except AnswerGone:
        tell(test=test, reason="the program ended", over=True)
    except Exception as problem:
        tell(load=f"{type(problem).__name__}: {problem}"[:200])
    os._exit(0)


if __name__ == "__main__":
    if sys.argv[1] == "answer":
        run_answer()
    else:
        run_tests(float(sys.argv[2]), int(sys.argv[3]))
