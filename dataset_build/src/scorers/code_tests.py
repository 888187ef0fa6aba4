r"""The share of an instruction's tests that the program in an answer passes; programs run in a jail.

extra  {"tests": ["assert double(2) == 4", "assert double(0) == 0"]}      asserts (MBPP)
extra  {"tests": "def check(candidate): …", "entry_point": "double"}      one function (HumanEval)
extra  {"inputs": ["2\n"], "outputs": ["4\n"]}                            standard input and output (APPS)
extra  {"inputs": [[2]], "outputs": [4], "entry_point": "double"}         arguments and results (LiveCodeBench)
"""

import json
from collections.abc import Mapping
from typing import Any

from dataset_build.src.code_answers import extract_program
from dataset_build.src.code_plans import Plan, plan_calls, plan_tests
from dataset_build.src.code_testing import run_plan, run_with_inputs
from dataset_build.src.errors import ConfigError, DataError
from dataset_build.src.jail import Jail
from dataset_build.src.jail_records import JailError, Limits
from dataset_build.src.records import CANNOT_ANSWER, Instruction, Score
from dataset_build.src.scorers.base import Scorer

NOT_ALLOWED = "code is not run unless --allow_code_execution is given: an answer's program is a stranger's program"
#: What we call a field -> what well-known datasets call it.
_NAMES = {
    "tests": ("tests", "test_list", "test"),
    "setup": ("setup", "test_setup_code", "test_imports"),
    "entry_point": ("entry_point", "fn_name", "func_name"),
    "inputs": ("inputs",),
    "outputs": ("outputs",),
    "prompt": ("prompt", "starter_code"),
}
#: The longest list of tests that is run.
MAX_TESTS = 200
MAX_SECONDS = 60.0
MAX_MEMORY_MB = 8192


class CodeTests(Scorer):
    """The share of tests passed: 0 for a program that does not run, null where nothing can be said.

    The tests run in another process than the answer, and get no more from it than numbers, texts, lists and the
    like, so that an answer cannot pass by leaving its process, printing what a test would, or returning objects that
    equal everything. Objects of the answer's own classes can be used by the tests, and compared if dataclasses;
    where a test needs what only the answer's process knows (an `__eq__` of its own, a patched module), there is no
    score. A program that is killed for what it uses fails the test; a jail that fails gives no score.

    Nothing runs before `allow` is called: permission is the user's to give, and options may come from a dataset.

    Args:
        all_or_nothing: Whether one failed test makes the score 0.
        seconds: What one test may take.
        memory_mb: What the program may hold.
        packages: Whether it may import what is installed, not only the standard library.

    Raises:
        ConfigError: more time or memory is asked for than any test needs.
    """

    metric = "code_tests"
    needs_reference = False

    def __init__(
        self,
        *,
        all_or_nothing: bool = False,
        seconds: float = 6.0,
        memory_mb: int = 512,
        packages: bool = False,
    ) -> None:
        if not 0 < seconds <= MAX_SECONDS or not 0 < memory_mb <= MAX_MEMORY_MB:
            raise ConfigError(
                f"Metric 'code_tests': seconds is {seconds:g} and memory_mb {memory_mb}; at most {MAX_SECONDS:g} and "
                f"{MAX_MEMORY_MB} are given to a test."
            )
        self._is_allowed = False
        self._allow_weak = False
        self._all_or_nothing = all_or_nothing
        self._seconds = seconds
        self._limits = Limits(wall_s=seconds, cpu_s=seconds, memory_mb=memory_mb)
        self._packages = packages
        self._jail: Jail | None = None

    def allow(self, *, weak_jail: bool = False) -> None:
        """Let programs run from now on.

        Args:
            weak_jail: Whether also where the machine cannot confine them well.

        Raises:
            JailError: the machine cannot, and that was not allowed; or no program runs in the jail.
        """
        with Jail(allow_weak=weak_jail, packages=self._packages) as jail:
            jail.check()
        self._is_allowed = True
        self._allow_weak = weak_jail

    def score(self, instruction: Instruction, text: str) -> Score:
        """Score one response; see the class."""
        if not self._is_allowed:
            return Score(None, self.metric, NOT_ALLOWED)
        if text.startswith(CANNOT_ANSWER):
            return Score(0.0, self.metric)
        try:
            failures = self._failures(instruction, text)
        except DataError as problem:
            return Score(None, self.metric, f"the tests cannot be run: {problem}"[:300])
        except JailError as problem:
            return Score(None, self.metric, f"the jail failed: {problem}"[:300])
        if isinstance(failures, str):
            return Score(0.0, self.metric, failures)
        passed = failures.count(None)
        if passed == len(failures):
            return Score(1.0, self.metric)
        reason = next(f"test {number}: {why}" for number, why in enumerate(failures) if why is not None)
        value = 0.0 if self._all_or_nothing else passed / len(failures)
        return Score(value, self.metric, f"{passed} of {len(failures)} tests passed; {reason}")

    def compare(self, text: str, reference: str, instruction: Instruction) -> float | None:
        """Return the share of tests passed, or None."""
        return self.score(instruction, text).value

    def close(self) -> None:
        """End the jail."""
        if self._jail is not None:
            self._jail.close()
            self._jail = None

    def _failures(self, instruction: Instruction, text: str) -> list[str | None] | str:
        fields = test_fields(instruction.extra)
        prompt = fields.get("prompt") or instruction.text
        entry_point = fields.get("entry_point") or None
        plan: Plan | None = None
        if fields.get("tests"):
            setup = fields.get("setup") or ""
            setup = setup if isinstance(setup, str) else "\n".join(setup)
            plan = plan_tests(fields["tests"], setup=setup, entry_point=entry_point, prompt=prompt)
        elif entry_point and fields.get("inputs"):
            plan = plan_calls(fields["inputs"], fields.get("outputs") or [], entry_point)
        elif not fields.get("inputs") or len(fields["inputs"]) != len(fields.get("outputs") or []):
            raise DataError("the instruction has neither tests nor inputs with as many outputs")
        program = extract_program(text, entry_point=plan.entry_point if plan else None, prompt=prompt)
        if program is None:
            return "the answer holds no program"
        if self._jail is None:
            self._jail = Jail(allow_weak=self._allow_weak, packages=self._packages)
        if plan is not None:
            if plan.count > MAX_TESTS:
                raise DataError(f"{plan.count} tests; at most {MAX_TESTS} are run")
            return run_plan(self._jail, program, plan, seconds=self._seconds, limits=self._limits)
        return run_with_inputs(
            self._jail,
            program,
            [_as_text(value) for value in fields["inputs"]],
            [_as_text(value) for value in fields["outputs"]],
            limits=self._limits,
            stop_at_failure=self._all_or_nothing,
        )


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else "\n".join(map(str, value)) if isinstance(value, list) else str(value)


def _value(cell: object) -> Any:  # noqa: ANN401 - whatever the source had
    """Return the value of a cell: tables hold lists as JSON."""
    if isinstance(cell, str) and cell.lstrip()[:1] in ("[", "{"):
        try:
            return json.loads(cell)
        except (ValueError, RecursionError):
            return cell
    if hasattr(cell, "tolist"):
        return cell.tolist()
    return list(cell) if isinstance(cell, tuple) else cell


def test_fields(extra: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields about tests of an instruction, by the names used here."""
    known = dict(extra)
    nested = _value(known.get("input_output"))
    if isinstance(nested, dict):
        known = {**nested, **known}
    found: dict[str, Any] = {}
    for name, others in _NAMES.items():
        for other in others:
            value = _value(known.get(other))
            if value is not None and value == value and value not in ("", []):
                found[name] = value
                break
    return found
