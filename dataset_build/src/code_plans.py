"""From the tests that come with an instruction to a module of test functions, one for each thing that is checked.

Understood are assert statements (as in MBPP), a function `check(candidate)` (as in HumanEval), functions `test_…`,
`unittest` cases, and inputs with outputs of a function (as in APPS and LiveCodeBench).
"""

import ast
import builtins
import json
import re
import sys
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from dataset_build.src.code_answers import free_names, parsed
from dataset_build.src.errors import DataError

#: What tests use of the standard library without importing it; an answer's own would make the comparison its own.
_TRUSTED = {
    "isclose": "math",
    "Counter": "collections",
    "defaultdict": "collections",
    "deque": "collections",
    "OrderedDict": "collections",
    "Decimal": "decimal",
    "Fraction": "fractions",
}
_PATCHES = re.compile(r"\bpatch\b|\bmonkeypatch\b|\bsys\.stdin\b|\bbuiltins\.\w+ *=")
_SAME = '''
def _same(given, expected):
    """Equal, a tuple like a list, a float to a millionth."""
    if isinstance(given, (list, tuple)) and isinstance(expected, (list, tuple)):
        return len(given) == len(expected) and all(map(_same, given, expected))
    if isinstance(given, dict) and isinstance(expected, dict):
        return len(given) == len(expected) and all(
            any(_same(str(key), str(other)) and _same(value, inner) for other, inner in expected.items())
            for key, value in given.items()
        )
    if type(given) in (int, float) and type(expected) in (int, float) and float in (type(given), type(expected)):
        return abs(given - expected) <= 1e-6 * max(1.0, abs(expected))
    return type(given) in (bool, int, float, str, type(None)) and given == expected and (
        isinstance(given, bool) == isinstance(expected, bool)
    )
'''


@dataclass(frozen=True, slots=True)
class Plan:
    """A module of test functions.

    Attributes:
        source: The module: `test_0`, `test_1`, ….
        count: How many there are.
        names: What it takes from the answer.
        entry_point: The function that is tested, where one is named or can be told.
        builtins: Builtins it uses that mean something else for objects of the answer.
        patches: Whether it changes modules or the standard input, which the answer does not share.
    """

    source: str
    count: int
    names: tuple[str, ...]
    entry_point: str | None
    builtins: tuple[str, ...] = ()
    patches: bool = False


def plan_tests(
    tests: str | Sequence[str], *, setup: str = "", entry_point: str | None = None, prompt: str | None = None
) -> Plan:
    """Return the plan of tests that are statements.

    Args:
        tests: Assert statements, or one program.
        setup: What to run before each.
        entry_point: The function that is tested.
        prompt: A program whose imports and helpers the tests may use.

    Raises:
        DataError: they are no Python, or check nothing.
    """
    preamble = [*_helpers(prompt, entry_point), *_body(setup)]
    bodies: list[list[ast.stmt]] = []
    for text in [tests] if isinstance(tests, str) else tests:
        statements = _body(text)
        if not isinstance(tests, str) and not any(_is_suite(node) for node in statements):
            bodies.append(statements)
            continue
        shared, found = _expanded(statements, entry_point)
        preamble += shared
        bodies += found
    bodies = [body for body in bodies if not all(_is_constant(node) for node in body)]
    if not bodies:
        raise DataError("the tests check nothing")
    functions = [_function(number, body) for number, body in enumerate(bodies)]
    module = ast.Module([*preamble, *functions], [])
    return _plan(ast.unparse(ast.fix_missing_locations(module)), len(bodies), entry_point, bodies)


def plan_calls(inputs: Sequence[Any], outputs: Sequence[Any], entry_point: str) -> Plan:
    """Return the plan of calls whose results are known.

    Args:
        inputs: For each call the arguments: a list, or a text with one JSON value a line.
        outputs: For each call its result, a text that holds it as JSON, or a list of one.
        entry_point: The function to call.

    Raises:
        DataError: there are none, or they cannot be read.
    """
    if not inputs or len(inputs) != len(outputs):
        raise DataError(f"{len(inputs)} inputs and {len(outputs)} outputs")
    lines = ["import json", _SAME]
    for number, (given, expected) in enumerate(zip(inputs, outputs, strict=True)):
        try:
            arguments = [json.loads(line) for line in given.splitlines() if line.strip()] if _is_text(given) else given
            result = json.loads(expected) if _is_text(expected) else expected
            both = json.dumps([arguments if isinstance(arguments, list) else [arguments], result])
        except (TypeError, ValueError) as problem:
            raise DataError(f"input and output {number} cannot be read: {problem}") from None
        lines.append(
            f"def test_{number}():\n"
            f"    arguments, expected = json.loads({both!r})\n"
            f"    given = {entry_point}(*arguments)\n"
            "    assert _same(given, expected) or (\n"
            "        isinstance(expected, list) and len(expected) == 1 and _same(given, expected[0])\n"
            "    )\n"
        )
    return Plan("\n".join(lines), len(inputs), (entry_point,), entry_point)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _body(text: str) -> list[ast.stmt]:
    tree = parsed(text)
    if tree is None:
        raise DataError(f"the tests are no Python: {text.strip()[:60]!r}")
    return tree.body


def _helpers(prompt: str | None, entry_point: str | None) -> list[ast.stmt]:
    """Return what the prompt defines besides the entry point; the tests trust it, not the answer's version."""
    tree = parsed(prompt) if prompt else None
    if tree is None:
        return []
    kinds = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef, ast.Assign)
    return [
        node
        for node in tree.body
        if isinstance(node, kinds) and getattr(node, "name", None) != entry_point and not _is_stub(node)
    ]


def _is_stub(node: ast.stmt) -> bool:
    """Return whether a function has no body yet: that is what the answer is to write."""
    return isinstance(node, ast.FunctionDef) and all(
        isinstance(inner, ast.Pass | ast.Raise)
        or (isinstance(inner, ast.Expr) and isinstance(inner.value, ast.Constant))
        for inner in node.body
    )


def _is_check(node: ast.stmt) -> bool:
    return isinstance(node, ast.FunctionDef) and node.name == "check" and len(node.args.args) == 1


def _is_test_function(node: ast.stmt) -> bool:
    return isinstance(node, ast.FunctionDef) and node.name.startswith("test") and not node.args.args


def _is_case(node: ast.stmt) -> bool:
    return isinstance(node, ast.ClassDef) and any("TestCase" in ast.unparse(base) for base in node.bases)


def _is_suite(node: ast.stmt) -> bool:
    return _is_check(node) or _is_test_function(node) or _is_case(node)


def _is_constant(node: ast.stmt) -> bool:
    """Return whether a statement checks nothing, as `assert True` does."""
    return (isinstance(node, ast.Assert) and isinstance(node.test, ast.Constant)) or isinstance(node, ast.Pass)


def _checks(node: ast.stmt) -> bool:
    return any(isinstance(inner, ast.Assert) for inner in ast.walk(node))


def _expanded(statements: Iterable[ast.stmt], entry_point: str | None) -> tuple[list[ast.stmt], list[list[ast.stmt]]]:
    """Return what all tests share, and the body of each test."""
    shared: list[ast.stmt] = []
    found: list[list[ast.stmt]] = []
    for node in statements:
        if isinstance(node, ast.FunctionDef) and _is_check(node):
            name = node.args.args[0].arg
            bound = _body(f"{name} = {entry_point}") if entry_point and entry_point != name else []
            found += _separate(node.body, bound)
        elif isinstance(node, ast.FunctionDef) and _is_test_function(node):
            shared.append(node)
            node.name = f"suite_{node.name}"
            found.append(_body(f"{node.name}()"))
        elif isinstance(node, ast.ClassDef) and _is_case(node):
            shared.append(node)
            methods = [inner for inner in node.body if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef)]
            tests = [method.name for method in methods if method.name.startswith("test")]
            shared += _body("import unittest as _unittest")  # a suite of one also sets up the class
            found += [_body(f"_unittest.TestSuite(({node.name}({test!r}),)).debug()") for test in tests]
        elif _checks(node) and not isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.append([node])
        elif not _runs_a_suite(node):
            shared.append(node)
    return shared, found


def _runs_a_suite(node: ast.stmt) -> bool:
    text = ast.unparse(node)
    return isinstance(node, ast.Expr | ast.If) and ("check(" in text or "unittest.main" in text or "test" in text)


def _separate(body: Iterable[ast.stmt], bound: list[ast.stmt]) -> list[list[ast.stmt]]:
    """Return one body for each statement that checks something, after all that come before it and check nothing."""
    before = list(bound)
    found = []
    for node in body:
        if _checks(node):
            if not _is_constant(node):
                found.append([*before, node])
        else:
            before.append(node)
    return found


def _function(number: int, body: list[ast.stmt]) -> ast.stmt:
    function = _body(f"def test_{number}():\n    pass")[0]
    assert isinstance(function, ast.FunctionDef)
    function.body = body
    return function


def _plan(source: str, count: int, entry_point: str | None, bodies: list[list[ast.stmt]]) -> Plan:
    tree = parsed(source)
    if tree is None:
        raise DataError("the tests cannot be put together")
    names = free_names(tree)
    modules = _modules(tree, names - {entry_point})
    source = "\n".join([*(f"import {name}" for name in sorted(modules)), *_trusted(names - {entry_point}), source])
    names -= modules | set(_TRUSTED) - {entry_point}
    if entry_point is None:
        entry_point = _called(bodies, names)
    return Plan(
        source,
        count,
        tuple(sorted(names | ({entry_point} if entry_point else set()))),
        entry_point,
        ("type",) if re.search(r"\btype\(", source) else (),
        _PATCHES.search(source) is not None,
    )


def _modules(tree: ast.Module, names: Collection[str | None]) -> set[str]:
    """Return the modules of the standard library that are used like ones and not imported: `math.isclose(…)`."""
    used: dict[str, set[bool]] = {}
    holders = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            used.setdefault(node.id, set()).add(id(node) in holders)
    return {name for name in used if name in names and name in sys.stdlib_module_names and used[name] == {True}}


def _trusted(names: Collection[str | None]) -> list[str]:
    return [f"from {module} import {name}" for name, module in _TRUSTED.items() if name in names]


def _called(bodies: list[list[ast.stmt]], names: set[str]) -> str | None:
    """Return the function most tests call; a builtin's name only where they call nothing else of the answer."""
    calls = [
        inner.func.id
        for body in bodies
        for node in body
        for inner in ast.walk(node)
        if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Name)
    ]
    of_answer = [name for name in calls if name in names]
    of_builtins = [name for name in calls if name in dir(builtins) and name not in ("set", "sorted", "list", "tuple")]
    candidates = of_answer or of_builtins
    return max(candidates, key=candidates.count) if candidates else None
