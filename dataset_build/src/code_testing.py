"""Runs a program against tests: the program in one jail, the tests in another, results as plain values between them."""

import json
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from pathlib import Path

from dataset_build.src.code_answers import is_method, parsed
from dataset_build.src.code_harness import MODULES, START
from dataset_build.src.code_plans import Plan
from dataset_build.src.errors import DataError
from dataset_build.src.jail import Jail
from dataset_build.src.jail_records import Limits

#: Tests of one answer that may run over their deadline, or end its process, before the rest counts as failed.
MOST_LOST = 3
#: Seconds for the start of the two processes.
START_UP_S = 3.0

_HARNESS = "start_harness.py"
#: What judges of contest problems import before a solution.
_CONTEST_IMPORTS = (
    "from typing import *; from collections import *; from itertools import *; from functools import *; "
    "from heapq import *; from bisect import *; import math, re, string, random, collections, itertools, "
    "functools, heapq, bisect"
)
#: `exit` and `quit` come from `site`, which programs in the jail start without.
_START = (
    "import builtins, runpy, sys\n"
    "builtins.exit = builtins.quit = sys.exit\n"
    "sys.argv = ['program.py']\n"
    "runpy.run_path('program.py', run_name='__main__')\n"
)


def run_plan(jail: Jail, program: str, plan: Plan, *, seconds: float, limits: Limits) -> list[str | None]:
    """Return for each test why it failed, None where it passed.

    Args:
        jail: Where to run.
        program: The answer.
        plan: The tests.
        seconds: What one test may take.
        limits: What each of the two processes may use; the time comes from `seconds`.

    Raises:
        JailError: the jail failed.
        DataError: the tests cannot be run, whatever the answer.
    """
    program = _with_method(program, plan.entry_point)
    failures: list[str | None] = []
    lost = unsure = 0
    while len(failures) < plan.count and lost < MOST_LOST:
        first = len(failures)
        left = (plan.count - first) * seconds + START_UP_S
        given = replace(limits, wall_s=left, cpu_s=left)
        last = _run_pair(jail, program, plan, first, seconds, given)
        for line in last:
            if "load" in line:
                return [f"the program does not load: {line['load']}"] * plan.count
            if "tests" in line:
                raise DataError(f"the tests do not run: {line['tests']}")
            failures.append(str(line["reason"]) if line["reason"] is not None else None)
            unsure += bool(line.get("unsure"))
        if len(failures) < plan.count:
            lost += 1
            if not last or not last[-1].get("over"):  # the tests' own process was killed in a test
                failures.append("the comparison ran over its limits")
    failures = failures[: plan.count] + ["not run: too many tests ended the program"] * (plan.count - len(failures))
    failed = plan.count - failures.count(None)
    if failed and plan.patches:
        raise DataError("they change what the answer, which runs in another process, does not see")
    if unsure and (failed == unsure or failed < plan.count):
        why = next(why for why in failures if why is not None)
        raise DataError(f"they ask what only the answer's own process could say ({why})")
    return failures


def _run_pair(
    jail: Jail, program: str, plan: Plan, first: int, seconds: float, limits: Limits
) -> list[dict[str, object]]:
    harness = {name: Path(__file__).with_name(name).read_text(encoding="utf-8") for name in MODULES} | {_HARNESS: START}
    to_answer, from_tests = os.pipe()
    to_tests, from_answer = os.pipe()
    nothing = os.open(os.devnull, os.O_RDONLY)
    ends = [to_answer, from_tests, to_tests, from_answer, nothing]
    told = json.dumps({"names": list(plan.names), "count": plan.count, "builtins": list(plan.builtins)})
    try:
        answer = jail.start(
            {**harness, "answer.py": program},
            main=_HARNESS,
            arguments=["answer"],
            stdin=nothing,
            limits=limits,
            pipes=[to_answer, from_answer],
        )
        try:
            tests = jail.start(
                {**harness, "tests.py": plan.source, "tests.json": told},
                main=_HARNESS,
                arguments=["tests", str(seconds), str(first)],
                stdin=nothing,
                limits=limits,
                pipes=[to_tests, from_tests],
            )
            for end in ends:
                os.close(end)
            ends = []
            outcome = jail.wait(tests)
        finally:
            jail.kill(answer)
            jail.wait(answer)
    finally:
        for end in ends:
            os.close(end)
    return _told(outcome.stdout, first)


def _told(output: str, first: int) -> list[dict[str, object]]:
    lines: list[dict[str, object]] = []
    for text in output.splitlines():
        try:
            line = json.loads(text)
        except ValueError:  # the last line, of a process that was killed
            break
        if "test" in line and line["test"] != first + len(lines):
            break
        lines.append(line)
    return lines


def _with_method(program: str, entry_point: str | None) -> str:
    """Return the program with a method of its class `Solution` as a function too, if that is what is asked for."""
    tree = parsed(program)
    if tree is None or entry_point is None or not is_method(tree, entry_point):
        return program
    call = f"def {entry_point}(*arguments):\n    return Solution().{entry_point}(*arguments)"
    return f"{_CONTEST_IMPORTS}\n{program}\n\n{call}\n"


def run_with_inputs(
    jail: Jail,
    program: str,
    inputs: Sequence[str],
    outputs: Sequence[str],
    *,
    limits: Limits,
    stop_at_failure: bool = False,
) -> list[str | None]:
    """Return for each input why the program's output is not the expected one, None where it is.

    Args:
        jail: Where to run.
        program: The answer, a program that reads its standard input.
        inputs: What it is given, run by run.
        outputs: What it should print.
        limits: What each run may use.
        stop_at_failure: Whether one failure is enough to know.

    Raises:
        JailError: the jail failed.
    """
    failures: list[str | None] = []
    lost = 0
    for given, expected in zip(inputs, outputs, strict=True):
        if lost >= MOST_LOST:
            failures.append("not run: too many runs were killed")
            continue
        outcome = jail.run({"start.py": _START, "program.py": program}, main="start.py", stdin=given, limits=limits)
        if outcome.killed is not None:
            lost += 1
            failures.append(outcome.killed)
        elif same_output(outcome.stdout, expected):
            failures.append(None)
        elif outcome.exit_code != 0:
            failures.append((outcome.stderr.strip().splitlines() or [f"exit code {outcome.exit_code}"])[-1][:200])
        else:
            failures.append("another output")
        if failures[-1] is not None and stop_at_failure:
            break
    return failures


def same_output(given: str, expected: str) -> bool:
    """Return whether two outputs are equal but for spaces at ends of lines, blank lines and how a number is written.

    Where the expected output shows decimals, a number may be off by a millionth of it.
    """
    lines, right = ([line.split() for line in text.split("\n") if line.strip()] for text in (given, expected))
    if lines == right:
        return True
    return len(lines) == len(right) and all(
        len(words) == len(others) and all(map(_same_word, words, others))
        for words, others in zip(lines, right, strict=True)
    )


def _same_word(given: str, expected: str) -> bool:
    if given == expected:
        return True
    if len(given) > 60 or not re.fullmatch(r"[-+]?\d*\.?\d+(?:[eE][-+]?\d{1,3})?", expected):
        return False
    try:
        value, right = Decimal(given), Decimal(expected)
        if not value.is_finite():
            return False
        shows_decimals = "." in expected or "e" in expected.lower()
        return abs(value - right) <= (abs(right).max(1) / 10**6 if shows_decimals else 0)
    except (InvalidOperation, ArithmeticError):
        return False
