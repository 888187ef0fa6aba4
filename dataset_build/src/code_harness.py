"""The two ends of a test of code: one process runs the answer, the other the tests, and only plain values pass between.

A copy of this file goes into both jails; it needs nothing but the standard library. The tests run where the answer's
code never does: a call of the answer's function is a message, its result arrives as numbers, texts, lists and the
like, and what the answer does to its own process (leaving it, patching builtins, objects that equal everything) has no
part in the comparison. Started as `code_harness.py answer` or `code_harness.py tests SECONDS FIRST`.
"""

import base64
import builtins
import collections
import contextlib
import dataclasses
import datetime
import decimal
import fractions
import importlib.util
import inspect
import io
import itertools
import json
import operator
import os
import signal
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, NoReturn

#: Most items taken of a generator; longest message between the two, in bytes.
MOST_ITEMS = 100_000
MOST_BYTES = 16 * 2**20
#: Characters of what one call prints that are passed on.
MOST_PRINTED = 2**20
#: Classes that an exception of the answer is derived from, at most.
MOST_ANCESTORS = 20
READING, WRITING = 3, 4
_CONTAINERS: dict[str, Any] = {
    "list": list,
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
    "deque": collections.deque,
}
_CHANGEABLE = (list, dict, set, collections.deque, bytearray)
_MAPPINGS: dict[str, Any] = {"dict": dict, "OrderedDict": collections.OrderedDict, "Counter": collections.Counter}


class AnswerError(Exception):
    """The answer raised something that is no builtin exception, or gave a value that cannot be passed."""


class AnswerGone(BaseException):  # noqa: N818 - outside the `Exception` tree, so that no test takes it for an error
    """The process that runs the answer has ended."""


class OutOfTime(BaseException):  # noqa: N818
    """The test ran over its deadline."""


class CannotTellError(BaseException):
    """A test needs what only the answer's own process could say, so that its result would prove nothing."""


class Remote:
    """An object of the answer, held by its number; equal to itself, and to one of the same fields if a dataclass."""

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

    def __repr__(self) -> str:
        return str(self._link.ask("shown", self._number))

    def __enter__(self) -> Any:  # noqa: ANN401
        return self._link.ask("enter", self._number)

    def __exit__(self, kind: object, problem: object, trace: object) -> bool:
        return self._link.ask("exit", self._number, (problem is not None,)) is True

    def __instancecheck__(self, instance: object) -> bool:
        if not isinstance(instance, Remote):
            raise CannotTellError("whether a plain value is of a class of the answer")
        return self._link.ask("isinstance", self._number, (instance,)) is True

    def __subclasscheck__(self, other: object) -> bool:
        return isinstance(other, Remote) and self._link.ask("issubclass", self._number, (other,)) is True

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Remote):
            return False
        if other._number == self._number:
            return True
        one, another = (self._link.ask("fields", each._number) for each in (self, other))
        if "own" in (one[0], another[0]):
            raise CannotTellError("whether two objects are equal of a class that says so itself")
        return bool(one[1]) and one == another

    def _refuse(self, other: object) -> bool:
        raise CannotTellError("the order of objects of the answer")

    __lt__ = __le__ = __gt__ = __ge__ = _refuse

    def __hash__(self) -> int:
        return hash(self._number)


def _operation(name: str) -> Callable[..., Any]:
    def operate(self: Remote, *others: object) -> Any:  # noqa: ANN401
        if not all(isinstance(other, Remote) for other in others):
            raise CannotTellError("what an operator does with an object of the answer and a plain value")
        return self._link.ask(name, self._number, others)

    return operate


def _reflected(self: Remote, other: object) -> Any:  # noqa: ANN401
    raise CannotTellError("what an operator does with a plain value and an object of the answer")


_OPERATORS = (
    "add",
    "sub",
    "mul",
    "matmul",
    "truediv",
    "floordiv",
    "mod",
    "pow",
    "and",
    "or",
    "xor",
    "lshift",
    "rshift",
)
for _name in (*_OPERATORS, "neg", "pos", "abs", "invert"):
    setattr(Remote, f"__{_name}__", _operation(_name))
for _name in _OPERATORS:
    setattr(Remote, f"__r{_name}__", _reflected)


def _fields_of(value: object) -> tuple[object, ...]:
    """Return "own" for an object whose class says what it equals, else its class and, of a dataclass, its fields."""
    kind = type(value)
    if not dataclasses.is_dataclass(kind):
        return ("plain" if kind.__eq__ is object.__eq__ else "own", [])
    if not kind.__dataclass_params__.eq:  # type: ignore[attr-defined]
        return ("plain", [])
    fields = [(field.name, getattr(value, field.name)) for field in dataclasses.fields(kind) if field.compare]
    return (f"{kind.__module__}.{kind.__qualname__}", fields)


def _awaited(target: Any) -> Any:  # noqa: ANN401
    import asyncio

    return asyncio.run(target)


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
    "shown": repr,
    "enter": lambda target: target.__enter__(),
    "exit": lambda target, failed: bool(target.__exit__(*((Exception, Exception(), None) if failed else (None,) * 3))),
    "isinstance": lambda target, instance: isinstance(instance, target),
    "issubclass": lambda target, other: issubclass(other, target),
    "class": type,
    "fields": _fields_of,
    "await": _awaited,
    **{name: getattr(operator, f"__{name}__") for name in (*_OPERATORS, "neg", "pos", "abs", "invert")},
}
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


class _Printed(io.StringIO):
    """What is printed, cut when it is too much."""

    def write(self, text: str) -> int:
        super().write(text[: max(0, MOST_PRINTED - self.tell())])
        return len(text)


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
                result = _DEEDS[message["do"]](target, *arguments, **named)
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
        return {**told, "printed": printed.getvalue(), "globals": self._news()}

    def _inside(self, value: Any, numbers: dict[int, int]) -> list[Any]:  # noqa: ANN401
        """Return a container as `encode` does, the ones inside it that the other end has by their numbers."""
        return self._container(value, None, numbers) or self._single(value)

    def _as_exception(self, names: object, text: object) -> Exception:
        """Return what stands here for an exception of the other end: one of the answer's own, or a builtin one."""
        known = [str(name) for name in names if str(name).isidentifier()] if isinstance(names, list) else []
        kind = _exception(known[:MOST_ANCESTORS], self.exceptions)
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


def _exception(names: list[str], known: dict[str, type[Exception]]) -> type[Exception]:
    """Return a class that stands for one of the answer's exceptions where the tests run.

    Args:
        names: Of the class and those it is derived from, nearest first.
        known: Those made before; gets the new ones.
    """
    base: type[Exception] = Exception
    for name in reversed(names):
        builtin = getattr(builtins, name, None)
        if isinstance(builtin, type):
            base = builtin if issubclass(builtin, Exception) else base
        else:
            base = known.setdefault(name, type(name, (base,), {"__getattr__": _unknown_attribute}))
    return base


def _unknown_attribute(problem: Exception, name: str) -> NoReturn:
    if name.startswith("__"):
        raise AttributeError(name)
    raise CannotTellError(f"the attribute {name!r} of an exception of the answer")


def _names_of_exception(value: object) -> list[str]:
    """Return the names of an exception class and of those it is derived from, [] of anything else."""
    if not isinstance(value, type) or not issubclass(value, Exception):
        return []
    return [kind.__name__ for kind in value.__mro__]


def _type_of(*arguments: Any) -> Any:  # noqa: ANN401
    """Do as `type` does; the class of an object of the answer is one of the answer's."""
    if len(arguments) == 1 and isinstance(arguments[0], Remote):
        return arguments[0]._link.ask("class", arguments[0]._number)
    return type(*arguments)


def _load(name: str, path: str, names: dict[str, Any], link: Link | None = None) -> types.ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    module.__dict__.update(names)
    if link is not None:
        link.globals = module.__dict__
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

    def given(name: str) -> object:
        value = getattr(sys.modules["answer"], name)
        link.globals = sys.modules["answer"].__dict__
        link.watch(name, value)
        return value

    link.lend(given)
    link.lend(lambda name: _names_of_exception(getattr(sys.modules["answer"], name)))
    try:
        link.serve()
    except AnswerGone:
        os._exit(0)


def _out_of_time(*_: object) -> NoReturn:
    raise OutOfTime


def _names_of_answer(link: Link, plan: dict[str, Any]) -> dict[str, Any]:
    """Load the answer over there and return what the tests use of it."""
    names: dict[str, Any] = {"type": _type_of} if "type" in plan["builtins"] else {}
    link.ask("call", 0)
    for name in plan["names"]:
        try:
            kinds = link.ask("call", 2, (name,))
            given = link.ask("call", 1, (name,))
        except AttributeError:  # the answer does not define it: the tests will say so
            continue
        names[name] = _exception(kinds, link.exceptions) if kinds else given
        link.watch(name, given)
    return names


def _result_of(test: Callable[[], object]) -> dict[str, object]:
    """Run a test and return why it failed, and whether that may be for what passes between processes."""
    try:
        test()
    except CannotTellError as problem:
        return {"reason": str(problem), "unsure": True}
    except Exception as problem:
        reason = f"{type(problem).__name__}: {problem}"[:200]
        return {"reason": reason, "unsure": "'Remote'" in reason}
    return {"reason": None}


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
        names = _names_of_answer(link, plan)
        try:
            module = _load("tests", "tests.py", names, link)
        except ImportError as problem:  # nothing the answer could help
            tell(tests=f"{type(problem).__name__}: {problem}"[:200])
            os._exit(0)
        for test in range(first, plan["count"]):
            signal.setitimer(signal.ITIMER_REAL, seconds)
            result = _result_of(getattr(module, f"test_{test}"))
            signal.setitimer(signal.ITIMER_REAL, 0)
            tell(test=test, **result)
    except OutOfTime:
        tell(test=test, reason=f"it ran longer than {seconds:g} s", over=True)
    except AnswerGone:
        tell(test=test, reason="the program ended", over=True)
    except CannotTellError as problem:
        tell(tests=str(problem))
    except Exception as problem:
        tell(load=f"{type(problem).__name__}: {problem}"[:200])
    os._exit(0)


if __name__ == "__main__":
    if sys.argv[1] == "answer":
        run_answer()
    else:
        run_tests(float(sys.argv[2]), int(sys.argv[3]))
