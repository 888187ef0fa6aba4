"""Any Python function as an expert, with or without `async`.

In a list of experts, with `def ask(text: str, style: str) -> str: ...` in `answers.py`::

    - provider: python
      name: mine
      function: answers:ask     # answers.py in the folder the command is started in, or an installed package
      options: {style: short}
      version: "2"              # raise it when the function's answers change
"""

import inspect
import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import Any, get_type_hints

from dataset_build.src.errors import ConfigError, ExpertCrashedError, ExpertError, ExpertUnavailableError
from dataset_build.src.experts.base import CannotAnswerError, Expert
from dataset_build.src.own_thread import in_thread
from dataset_build.src.records import CANNOT_ANSWER, Answer, Instruction, Price

#: What a mapping returned by a function may hold.
_ANSWER_FIELDS = frozenset(field.name for field in fields(Answer))


class PythonFunctionExpert(Expert):
    """Answer with what `function` returns: a text, an `Answer`, or a mapping with the fields of one.

    The function gets the instruction's text; the whole `Instruction` where its first parameter is called
    `instruction` or annotated so. A plain function runs in a thread, many at a time, so it must stand that. It may
    raise `CannotAnswerError` (an answer of score 0), an `ExpertError`, or `TimeoutError` and `ConnectionError`, which
    are worth a repeat; anything else it raises is a crash.

    Args:
        name: How the dataset and the router call it.
        function: `package.module:function`. The folder the command is started in is searched too, after the installed
            packages and only during the import.
        options: Passed to the function by name.
        version: Of the function; recorded answers of another one are not reused.
        timeout_s: Seconds one call may take; None leaves it to the caller.
        price: Per call, per million tokens where the function returns counts, or per core-hour of a plain function.
        description: One line for people and for routing language models.
    """

    provider = "python"

    def __init__(
        self,
        name: str,
        function: str,
        options: Mapping[str, Any] | None = None,
        version: str = "1",
        timeout_s: float | None = None,
        *,
        price: Price | None = None,
        description: str = "",
    ) -> None:
        super().__init__(name, price=price, description=description)
        self.timeout_s = timeout_s
        self._path = function
        self._options = dict(options or {})
        self._version = version
        self._function = _imported(function, name)
        self._takes_instruction = _takes_instruction(self._function, self._options, function, name)
        self._is_async = _is_async(self._function)

    async def answer(self, instruction: Instruction) -> Answer:
        """Call the function.

        Raises:
            ExpertUnavailableError: it raised `TimeoutError` (kind timeout) or `ConnectionError` (kind connection).
            ExpertCrashedError: it raised anything else, or returned what is no answer.
        """
        given = instruction if self._takes_instruction else instruction.text
        cpu_s = None
        try:
            if self._is_async:
                returned = await self._function(given, **self._options)
            else:
                returned, cpu_s = await in_thread(lambda: self._timed(given))
                if inspect.isawaitable(returned):
                    returned = await returned
        except CannotAnswerError as refusal:
            return Answer(f"{CANNOT_ANSWER} {refusal}")
        except TimeoutError as problem:
            raise ExpertUnavailableError(_said(problem), expert=self.name, kind="timeout", may_be_billed=True) from None
        except ConnectionError as problem:
            raise ExpertUnavailableError(
                _said(problem), expert=self.name, kind="connection", may_be_billed=True
            ) from None
        except ExpertError as problem:
            problem.expert = self.name
            raise
        except (Exception, SystemExit, KeyboardInterrupt) as crash:
            raise ExpertCrashedError(_said(crash), expert=self.name) from crash
        cost = self.price.of_cpu(cpu_s) if cpu_s is not None and self.price.per_core_hour else None
        return _as_answer(returned, cost, self.name)

    def fingerprint(self) -> str:
        """Return the function, its version and its options."""
        return f"{self.provider}:{self._path}:{self._version}:{json.dumps(self._options, sort_keys=True, default=str)}"

    def _timed(self, given: Instruction | str) -> tuple[Any, float]:
        started = time.thread_time()
        returned = self._function(given, **self._options)
        return returned, time.thread_time() - started


def _imported(path: str, name: str) -> Callable[..., Any]:
    module_name, colon, attribute = path.partition(":")
    if not colon or not all(part.isidentifier() for part in f"{module_name}.{attribute}".split(".")):
        raise ConfigError(f"Expert {name!r}: function is {path!r}; expected package.module:function.")
    here = str(Path.cwd())
    was_there = here in sys.path
    if not was_there:
        sys.path.append(here)
    try:
        found: Any = import_module(module_name)
    except Exception as problem:  # whatever the module does when it is imported
        hint = ""
        if isinstance(problem, ModuleNotFoundError) and problem.name == module_name.partition(".")[0]:
            hint = f" It is looked for among the installed packages and in {here}."
        raise ConfigError(f"Expert {name!r}: cannot import {module_name}: {_said(problem)}.{hint}") from problem
    finally:
        if not was_there:
            sys.path.remove(here)
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise ConfigError(f"Expert {name!r}: {module_name} ({_file(found)}) has no {attribute}.")
        found = getattr(found, part)
    if not callable(found) or isinstance(found, type):
        raise ConfigError(f"Expert {name!r}: {path} is a {type(found).__name__}; a function was expected.")
    function: Callable[..., Any] = found
    return function


def _takes_instruction(function: Callable[..., Any], options: Mapping[str, Any], path: str, name: str) -> bool:
    """Return whether the function wants the whole instruction, after checking that it can be called at all."""
    try:
        signature = inspect.signature(function)
    except ValueError:  # some functions written in C do not tell
        return False
    try:
        signature.bind("", **options)
    except TypeError as problem:
        raise ConfigError(
            f"Expert {name!r}: {path}{signature} cannot be called with a text and the options "
            f"{sorted(options) or 'of none'}: {problem}."
        ) from None
    first = next(iter(signature.parameters))
    try:
        hints = get_type_hints(function)
    except (NameError, TypeError):  # an annotation that exists for type checkers only; an object that is called
        hints = {}
    return first == "instruction" or hints.get(first, signature.parameters[first].annotation) is Instruction


def _is_async(function: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004


def _as_answer(returned: object, cost: float | None, name: str) -> Answer:
    if isinstance(returned, str):
        return Answer(returned, cost=cost)
    if isinstance(returned, Answer) and isinstance(returned.text, str):
        return returned
    if isinstance(returned, Mapping) and isinstance(returned.get("text"), str) and returned.keys() <= _ANSWER_FIELDS:
        given = {"cost": cost, **returned}
        samples = given.get("samples") or ()
        return Answer(**{**given, "samples": tuple(samples) if isinstance(samples, list | tuple) else samples})
    raise ExpertCrashedError(
        f"returned {returned!r:.80}; a text, an Answer, or a mapping with `text` and others of "
        f"{', '.join(sorted(_ANSWER_FIELDS))} was expected",
        expert=name,
    )


def _said(problem: BaseException) -> str:
    return f"{type(problem).__name__}: {problem}".removesuffix(": ").removesuffix(".")


def _file(module: object) -> str:
    return str(getattr(module, "__file__", None) or module)
