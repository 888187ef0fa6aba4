"""The two ends of a test of code: one process runs the answer, the other the tests, and only plain values pass between.

Copies of `MODULES` go into both jails; they need nothing but the standard library. The tests run where the answer's
code never does: a call of the answer's function is a message, its result arrives as numbers, texts, lists and the
like, and what the answer does to its own process (leaving it, patching builtins, objects that equal everything) has no
part in the comparison. Started by `START`, with the arguments `answer` or `tests SECONDS FIRST`.
"""

import importlib.util
import json
import os
import signal
import sys
import types
from collections.abc import Callable
from typing import Any, NoReturn

from dataset_build.src.code_link import Link
from dataset_build.src.code_remote import (
    AnswerGone,
    CannotTellError,
    OutOfTime,
    names_of_exception,
    stand_in,
    type_of,
)

#: What has to lie beside `START`.
MODULES = ("code_harness.py", "code_link.py", "code_remote.py")
#: Starts one of the ends where the toolkit is not installed.
START = """
import sys, types
for name in ("dataset_build", "dataset_build.src"):
    package = sys.modules[name] = types.ModuleType(name)
    package.__path__ = ["."]
from dataset_build.src.code_harness import main
main()
"""
READING, WRITING = 3, 4


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
    link.lend(lambda name: names_of_exception(getattr(sys.modules["answer"], name)))
    try:
        link.serve()
    except AnswerGone:
        os._exit(0)


def _out_of_time(*_: object) -> NoReturn:
    raise OutOfTime


def _names_of_answer(link: Link, plan: dict[str, Any]) -> dict[str, Any]:
    """Load the answer over there and return what the tests use of it."""
    names: dict[str, Any] = {"type": type_of} if "type" in plan["builtins"] else {}
    link.ask("call", 0)
    for name in plan["names"]:
        try:
            kinds = link.ask("call", 2, (name,))
            given = link.ask("call", 1, (name,))
        except AttributeError:  # the answer does not define it: the tests will say so
            continue
        names[name] = stand_in(kinds, link.exceptions) if kinds else given
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


def main() -> None:
    """Be the end that the arguments name."""
    if sys.argv[1] == "answer":
        run_answer()
    else:
        run_tests(float(sys.argv[2]), int(sys.argv[3]))
