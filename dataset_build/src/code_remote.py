"""An object of an answer as the tests of its code see it: held by its number, asked for whatever it is to do.

Runs in both jails (see `code_harness`); needs nothing but the standard library.
"""

import builtins
import dataclasses
import itertools
import operator
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from dataset_build.src.code_link import Link

#: Most items taken of a generator.
MOST_ITEMS = 100_000


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


DEEDS: dict[str, Callable[..., Any]] = {
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


def stand_in(names: list[str], known: dict[str, type[Exception]]) -> type[Exception]:
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


def names_of_exception(value: object) -> list[str]:
    """Return the names of an exception class and of those it is derived from, [] of anything else."""
    if not isinstance(value, type) or not issubclass(value, Exception):
        return []
    return [kind.__name__ for kind in value.__mro__]


def type_of(*arguments: Any) -> Any:  # noqa: ANN401
    """Do as `type` does; the class of an object of the answer is one of the answer's."""
    if len(arguments) == 1 and isinstance(arguments[0], Remote):
        return arguments[0]._link.ask("class", arguments[0]._number)
    return type(*arguments)
