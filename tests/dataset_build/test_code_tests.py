"""The scorer `code_tests`: programs found in messy answers, tests of every shape, and answers that try to cheat."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset_build.src.code_answers import extract_program, parsed
from dataset_build.src.code_plans import plan_calls, plan_tests
from dataset_build.src.code_testing import same_output
from dataset_build.src.errors import ConfigError, DataError
from dataset_build.src.jail import Jail
from dataset_build.src.jail_records import JailError
from dataset_build.src.records import Instruction, Score
from dataset_build.src.scorers.code_tests import CodeTests

RIGHT = "def double(x):\n    return 2 * x"
DOUBLES = {"tests": ["assert double(2) == 4", "assert double(0) == 0", "assert double('ab') == 'abab'"]}
PROMPT = 'from typing import List\n\n\ndef double(x: int) -> int:\n    """Twice x."""\n'


@pytest.fixture(scope="module")
def scorer() -> Iterator[CodeTests]:
    try:
        with Jail() as jail:
            jail.run({"program.py": ""})
    except JailError as reason:
        pytest.skip(str(reason))
    made = CodeTests(seconds=1.0, memory_mb=256)
    made.allow()
    yield made
    made.close()


def score(scorer: CodeTests, answer: str, extra: dict[str, Any] = DOUBLES, text: str = "Write double(x).") -> Score:
    return scorer.score(Instruction.create(text, extra=extra), answer)


@pytest.mark.parametrize(
    "answer",
    [
        RIGHT,
        f"```python\n{RIGHT}\n```",
        f"Sure!\n\n```py\n{RIGHT}\n```\nCall it:\n```python\nprint(double(3))\n```\nIt prints 6.",
        f"~~~\n{RIGHT}\n~~~",
        f"```python\n{RIGHT}",
        f"```Python3\r\n{RIGHT}\r\n```".replace("\n", "\r\n"),
        f"Here is the function:\n\n{RIGHT}\n\nIt's simple, isn't it?",
        ">>> def double(x):\n...     return 2 * x\n...\n>>> double(2)\n4",
        "```\n>>> def double(x):\n...     return 2 * x\n>>> double(2)\n4\n```",
        "First try:\n```python\ndef double(x):\n    return x\n```\nThat is wrong. Better:\n"
        "```python\ndef double(x):\n    return x + x\n```",
        "```python\ndef helper(x):\n    return 2 * x\n```\nand then\n"
        "```python\ndef double(x):\n    return helper(x)\n```",
        "1. Do this:\n   ```python\n   def double(x):\n       return 2 * x\n   ```",
        f"<think>def double(x): return 0</think>\n{RIGHT}",
        f"[BEGIN]\n{RIGHT}\n[DONE]",
        "double = lambda x: 2 * x",
        f"```bash\npip install nothing\n```\n```python\n{RIGHT}\n```",
        f"```python\n{RIGHT}\n\nif __name__ == '__main__':\n    print(double(int(input())))\n```",
        "class double:\n    def __new__(cls, x):\n        return 2 * x",
        f"import os, sys\nprint('hello')\n{RIGHT}",
    ],
)
def test_the_program_is_found_however_it_is_wrapped(scorer: CodeTests, answer: str) -> None:
    assert score(scorer, answer) == Score(1.0, "code_tests")


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ("def double(x):\n    return 4", 1 / 3),
        ("def double(x):\n    return None", 0),
        ("def double(x):\n    return 1 / 0", 0),
        ("```python\ndef double(x) return 2\n```", 0),
        ("def triple(x):\n    return 3 * x", 0),
        ("I do not know.", 0),
        ("", 0),
        ("import no_such_module\n" + RIGHT, 0),
        ("def double(x):\n    if x == 2: return 4\n    while True: pass", 1 / 3),
        ("held = [0] * 10**10\n" + RIGHT, 0),
        ("import os\ndef double(x):\n    while True: os.fork()", 0),
        ("def double(x):\n    import sys; sys.setrecursionlimit(10**9); return double(x)", 0),
    ],
)
def test_a_wrong_program_gets_the_share_it_passes_and_a_reason(scorer: CodeTests, answer: str, value: float) -> None:
    result = score(scorer, answer)
    assert result.value == pytest.approx(value)
    assert result.reason


CHEATS = {
    "leaves with success": "import sys\nsys.exit(0)",
    "leaves with success when called": "import os\ndef double(x): os._exit(0)",
    "leaves at exit": "import atexit, os\natexit.register(os._exit, 0)\ndef double(x): raise SystemExit(0)",
    "prints what a harness would": (
        "import os\ndef double(x):\n    for n in range(64):\n"
        "        for line in (b'{\"test\": 0, \"reason\": null}\\n', b'OK'):\n"
        "            try: os.write(n, line)\n            except OSError: pass\n    return 0"
    ),
    "equal to everything": "class E:\n    def __eq__(self, other): return True\n"
    "    __hash__ = None\ndef double(x): return E()",
    "a number equal to everything": "class E(int):\n    def __eq__(self, o): return True\ndef double(x): return E(7)",
    "a text equal to everything": "class E(str):\n    def __eq__(self, o): return True\ndef double(x): return E('no')",
    "no assertions": "import builtins\nbuiltins.AssertionError = type('Q', (Exception,), {})\ndef double(x): return 0",
    "patched builtins": "import builtins\nfor n in ('all', 'any', 'isinstance', 'len', 'abs'):\n"
    "    setattr(builtins, n, lambda *a: True)\ndef double(x): return 0",
    "shadowed builtins": "abs = len = sorted = lambda *a: 0\ndef double(x): return 7",
    "patched harness": (
        "import sys\nlink = sys.modules['dataset_build.src.code_link']\n"
        "link.Link.encode = lambda self, value, *_: ['plain', True]\n"
        "link.Link._done = lambda self, message: {'value': ['plain', True]}\ndef double(x): return 0"
    ),
    "reads the tests": "def double(x):\n    return open('tests.py').read()",
    "looks for the expected value": (
        "import gc, sys\ndef double(x):\n    frame = sys._getframe()\n    while frame:\n"
        "        for value in frame.f_locals.values():\n"
        "            if value in (4, 0, 'abab') and value is not x: return 99\n"
        "        frame = frame.f_back\n    return 1"
    ),
    "closes its outputs": "import os\ndef double(x):\n    for n in range(3, 20):\n"
    "        try: os.close(n)\n        except OSError: pass",
    "kills everything": "import os\ndef double(x):\n    os.kill(-1, 9)\n    return 0",
    "raises the test's own end": "def double(x):\n    raise KeyboardInterrupt",
    "a value of a kind that is none": (
        "import os\ndef double(x):\n    os.write(4, b'{\"value\": [\"mine\", \"__class__\"]}\\n')\n    return 0"
    ),
}  # fmt: skip


@pytest.mark.parametrize("answer", CHEATS.values(), ids=CHEATS.keys())
def test_an_answer_cannot_pass_without_the_right_values(scorer: CodeTests, answer: str) -> None:
    tests = {"tests": ["assert double(2) == 4", "assert abs(double(3) - 6) < 1e-9", "assert 'ab' in double('ab')[1:]"]}
    result = score(scorer, answer, tests)
    assert result.value == 0.0
    assert result.reason


HUMAN_EVAL = {
    "tests": "METADATA = {}\n\n\ndef check(candidate):\n    assert candidate(1) == 2\n"
    "    x = candidate(3)\n    assert x == 6\n"
    "    for i in range(9):\n        assert candidate(i) == 2 * i\n    assert True, 'always'\n",
    "entry_point": "double",
}  # fmt: skip


@pytest.mark.parametrize(
    ("extra", "answer", "value"),
    [
        (HUMAN_EVAL, RIGHT, 1),
        (HUMAN_EVAL, "    return 2 * x\n", 1),
        (HUMAN_EVAL, "return 2 * x", 1),
        (HUMAN_EVAL, "def double(x: List[int]):\n    return 2 * x", 1),
        (HUMAN_EVAL, "def double(x):\n    return 6", 1 / 3),
        ({"test_list": json.dumps(DOUBLES["tests"])}, RIGHT, 1),
        ({"tests": ["assert sum(2, 3) == 5"]}, "def sum(a, b):\n    return a + b", 1),
        ({"tests": "def test_two():\n    assert double(2) == 4\n\ndef test_no():\n"
        "    assert double(2) == 5"}, RIGHT, 0.5),
        (
            {"tests": "import unittest\nclass T(unittest.TestCase):\n    def test_a(self):\n"
             "        self.assertEqual(double(2), 4)\n    def test_b(self):\n        self.assertTrue(double(0))"},
            RIGHT, 0.5,
        ),
        ({"tests": ["assert math.isclose(double(0.1), 0.2)"], "setup": "import math"}, RIGHT, 1),
        ({"inputs": [[2], [[1]]], "outputs": [4, [1, 1]], "entry_point": "double"}, RIGHT, 1),
        ({"inputs": ["2", '"a"'], "outputs": ["4", '"aa"'], "fn_name": "double"},
         "class Solution:\n    def double(self, x: Optional[int]) -> int:\n        return 2 * x", 1),
        ({"input_output": '{"inputs": ["2\\n", "3\\n"], "outputs": ["4\\n", "6\\n"]}'}, "print(2 * int(input()))", 1),
        ({"inputs": ["2\n", "3\n"], "outputs": ["4", "7"]}, "print(2 * int(input()))\nexit()", 0.5),
        ({"inputs": ["2\n"], "outputs": ["4"]}, "while True: pass", 0),
        ({"inputs": ["2\n"], "outputs": ["4"]}, "raise ValueError", 0),
    ],
)  # fmt: skip
def test_tests_of_every_shape_are_run(scorer: CodeTests, extra: dict[str, Any], answer: str, value: float) -> None:
    assert score(scorer, answer, extra, text=PROMPT).value == pytest.approx(value)


@pytest.mark.parametrize(
    ("test", "answer"),
    [
        ("xs = [1]\nf(xs)\nassert xs == [1, 2]", "def f(xs): xs.append(2)"),
        ("d = {}\nf(d)\nassert d == {1: 2}", "def f(d): d[1] = 2"),
        ("assert f(lambda x: x + 1) == 3", "def f(g): return g(2)"),
        ("assert f(2)(3) == 5", "def f(a): return lambda b: a + b"),
        ("assert list(f(3)) == [0, 1, 2]", "def f(n):\n    yield from range(n)"),
        ("assert f() == (1, [2.5, {3}], {'a': None, 2: b'x'}, 1j, range(3), True)",
         "def f(): return (1, [2.5, {3}], {'a': None, 2: b'x'}, 1j, range(3), True)"),
        ("assert f() == 10**5000", "def f(): return 10**5000"),
        ("assert f() == float('inf')", "def f(): return float('inf')"),
        ("from collections import Counter\nassert f('aab') == Counter('aab')",
         "from collections import Counter\ndef f(s): return Counter(s)"),
        ("p = f(3)\nassert p.area() == 9 and p.side == 3 and len(p) == 1",
         "class f:\n    def __init__(self, s): self.side = s\n    def area(self): return self.side ** 2\n"
         "    def __len__(self): return 1"),
        ("try:\n    f(0)\n    raise RuntimeError\nexcept ZeroDivisionError:\n    pass", "def f(x): return 1 / x"),
        ("assert f(x=1, y=2) == 3", "def f(*, x, y): return x + y"),
    ],
)  # fmt: skip
def test_values_of_all_kinds_pass_between_the_two_processes(scorer: CodeTests, test: str, answer: str) -> None:
    assert score(scorer, answer, {"tests": [test], "entry_point": "f"}) == Score(1.0, "code_tests")


DATACLASS = "from dataclasses import dataclass\n@dataclass\nclass P:\n    x: int\n"
ERRORS = "class E(ValueError): pass\nclass F(E): pass\ndef f(): raise F('why')"
MONEY = "class M:\n    def __init__(self, x): self.x = x\n    def __add__(self, o): return M(self.x + o.x)"


@pytest.mark.parametrize(
    ("test", "answer"),
    [
        ("assert f() == P(1) and f() != P(2)", f"{DATACLASS}def f(): return P(1)"),
        ("assert repr(f()) == 'P(x=1)'", f"{DATACLASS}def f(): return P(1)"),
        ("assert isinstance(f(), P) and type(f()) == P", f"{DATACLASS}def f(): return P(1)"),
        ("assert (M(1) + M(2)).x == 3", MONEY),
        ("try:\n    f()\n    raise RuntimeError\nexcept E as e:\n    assert str(e) == 'why'", ERRORS),
        ("try:\n    f()\n    raise RuntimeError\nexcept ValueError as e:\n    assert str(e) == 'why'", ERRORS),
        ("try:\n    f()\nexcept Exception as e:\n    assert str(e) == 'x'", "def f(): raise Exception('x')"),
        ("import datetime as d\nassert f() == [d.date(2020, 1, 2), d.timedelta(1.5), d.datetime(2020, 1, 2, 3)]",
         "import datetime as d\ndef f(): return [d.date(2020, 1, 2), d.timedelta(1.5), d.datetime(2020, 1, 2, 3)]"),
        ("import contextlib, io\nwith contextlib.redirect_stdout(io.StringIO()) as out:\n    f()\n"
         "assert out.getvalue() == 'hi\\n'", "def f(): print('hi')"),
        ("import contextlib, io\nwith contextlib.redirect_stdout(io.StringIO()) as out:\n    f()\n"
         "assert out.getvalue() == 'hi ho'",
         "import sys\nsys.stdout.reconfigure(line_buffering=True)\nsys.stdout.fileno()\n"
         "def f():\n    sys.stdout.write('hi')\n    sys.stdout.buffer.write(b' ho')"),
        ("assert f() == 3", "import sys\ndef f():\n    print('x' * 3_000_000)\n    sys.stdout.close()\n    return 3"),
        ("import asyncio\nassert asyncio.run(f(2)) == 4", "async def f(x): return 2 * x"),
        ("r = [1]\ng = [r]\nf(g)\nassert r == [1, 9] and g == [r] and g[0] is r", "def f(g): g[0].append(9)"),
        ("a, b = [2], [1]\ng = [a, b]\nf(g)\nassert a == [2] and g[1] is a", "def f(g): g.sort()"),
        ("d = {'k': {'n': 1}}\ninner = d['k']\nf(d)\nassert inner == {'n': 2}", "def f(d): d['k']['n'] += 1"),
        ("f()\nassert X == [1] and n == 1", "X = []\nn = 0\ndef f():\n    global n\n    n += 1\n    X.append(n)"),
        ("X.append(5)\nassert f() == [5]", "X = []\ndef f(): return X"),
        ("assert math.isclose(f(1), 3.0)", "def f(x): return 3.0"),
        ("import unittest\nclass T(unittest.TestCase):\n    @classmethod\n    def setUpClass(cls): cls.v = 1\n"
         "    def test_a(self): self.assertEqual(f(self.v), 1)", "def f(x): return x"),
        ("import unittest\nclass T(unittest.IsolatedAsyncioTestCase):\n"
         "    async def test_a(self): self.assertEqual(await f(1), 1)", "async def f(x): return x"),
    ],
)  # fmt: skip
def test_what_a_test_would_see_in_one_process_it_sees_in_two(scorer: CodeTests, test: str, answer: str) -> None:
    assert score(scorer, answer, {"tests": [test]}) == Score(1.0, "code_tests")


@pytest.mark.parametrize(
    ("test", "answer"),
    [
        ("assert P() == P()", "class P:\n    def __eq__(self, other): return True"),
        ("assert f(1) < f(2)", "class P:\n    def __lt__(self, other): return True\ndef f(x): return P()"),
        ("assert f(1) * 2 == 2", "class P:\n    def __mul__(self, other): return 2\ndef f(x): return P()"),
        ("assert len(f(2000)) == 1", "def f(n):\n    a = []\n    for _ in range(n): a = [a]\n    return a"),
        ("assert len(f()) == 20 * 2**20", "def f(): return 'x' * (20 * 2**20)"),
        ("assert isinstance(f(), N)", "class N(int): pass\ndef f(): return N()"),
        ("try:\n    f()\nexcept E as e:\n    assert e.code == 3", f"{ERRORS}\n"),
        ("from unittest.mock import patch\nwith patch('random.randint', return_value=3):\n    assert f() == 3",
         "import random\ndef f(): return random.randint(4, 9)"),
    ],
)  # fmt: skip
def test_what_only_the_answers_process_knows_gives_no_score(scorer: CodeTests, test: str, answer: str) -> None:
    result = score(scorer, answer, {"tests": [test]})
    assert result.value is None
    assert str(result.reason).startswith("the tests cannot be run: they ")


@pytest.mark.parametrize(
    ("test", "answer"),
    [
        ("assert math.isclose(f(1), 3.0)",
         "class math:\n    isclose = staticmethod(lambda *a: True)\ndef f(x): return 0"),
        ("assert isclose(f(1), 3.0)", "def isclose(*a): return True\ndef f(x): return 0"),
        ("assert f() == P(2)", f"{DATACLASS}def f(): return P(1)"),
        ("assert f() == P(2)", "class P:\n    def __init__(self, x): pass\ndef f(): return P(1)"),
    ],
)  # fmt: skip
def test_an_answer_brings_no_helpers_of_its_own_to_its_tests(scorer: CodeTests, test: str, answer: str) -> None:
    assert score(scorer, answer, {"tests": [test]}).value == 0.0


def test_helpers_of_the_prompt_are_the_prompts_not_the_answers(scorer: CodeTests) -> None:
    prompt = "def poly(x):\n    return x - 5\n\n\ndef root():\n    '''Where poly is zero.'''\n"
    extra = {"tests": "def check(candidate):\n    assert poly(candidate()) == 0", "entry_point": "root"}
    assert score(scorer, "    return 5", extra, text=prompt).value == 1.0
    assert score(scorer, "def poly(x):\n    return 0\ndef root():\n    return 1", extra, text=prompt).value == 0.0


def test_all_or_nothing_counts_one_failure_as_all(scorer: CodeTests) -> None:
    strict = CodeTests(all_or_nothing=True, seconds=1.0)
    strict.allow()
    strict._jail = scorer._jail
    assert score(strict, "def double(x):\n    return 4").value == 0.0
    assert score(strict, RIGHT).value == 1.0
    strict._jail = None


def test_without_permission_no_code_runs_and_the_score_says_why() -> None:
    result = score(CodeTests(), RIGHT)
    assert result.value is None
    assert "--allow_code_execution" in str(result.reason)


@pytest.mark.parametrize(
    "extra",
    [
        {},
        {"tests": ["not python ("]},
        {"tests": ["assert True"]},
        {"tests": []},
        {"inputs": ["1"], "outputs": []},
        {"tests": ["import no_such_module\nassert no_such_module.f(double(2)) == 4"], "setup": "import no_such_module"},
    ],
)
def test_what_cannot_be_tested_has_no_score(scorer: CodeTests, extra: dict[str, Any]) -> None:
    result = score(scorer, RIGHT, extra)
    assert result.value is None
    assert "tests cannot be run" in str(result.reason)


@pytest.mark.parametrize("options", [{"seconds": 1e9}, {"seconds": 0.0}, {"memory_mb": 10**6}])
def test_a_dataset_cannot_ask_for_more_than_a_test_needs(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="at most 60 and 8192"):
        CodeTests(**options)
    with pytest.raises(TypeError):
        CodeTests(allow_code_execution=True)  # type: ignore[call-arg]


def test_a_jail_that_fails_gives_no_score(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise JailError("no namespaces")

    jailer = CodeTests()
    jailer.allow()
    monkeypatch.setattr("dataset_build.src.scorers.code_tests.Jail", fail)
    result = score(jailer, RIGHT)
    assert (result.value, result.reason) == (None, "the jail failed: no namespaces")
    with pytest.raises(JailError, match="no namespaces"):  # said before anything is paid for
        CodeTests().allow()


HOSTILE = {
    "100 MB of digits": "7" * 100_000_000,
    "deep brackets": "double = " + "(" * 100_000,
    "deep lists": "double = " + "[" * 5000 + "]" * 5000,
    "many minuses": "double = " + "-" * 200_000 + "1",
    "many nots": "double = " + "not " * 100_000 + "1",
    "many powers": "double = " + "2 ** " * 50_000 + "2",
    "many attributes": "double = a" + ".b" * 100_000,
    "many lambdas": "double = " + "lambda: " * 20_000 + "1",
    "many conditions": "double = " + "1 if 1 else " * 20_000 + "1",
    "deep indentation": "\n".join(" " * n + "if 1:" for n in range(300)),
    "many fences": "```python\n" * 20_000,
    "tildes and ticks": "~~~\n```\n" * 20_000,
    "prose that begins like code": "import is what we do\n" * 5000,
    "null bytes": RIGHT.replace(" ", " \0"),
    "lone surrogates": "double = '\ud800'",
    "right to left": "double = '\u202e\u2066'",
    "constant folding": "double = 2 ** 10**8 ** 8",
}


@pytest.mark.parametrize("answer", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_texts_end_with_a_score(scorer: CodeTests, answer: str) -> None:
    result = score(scorer, answer, {"tests": ["assert double(2) == 4"]})
    assert result.value in (0.0, 1.0)


@settings(deadline=None, max_examples=200)
@given(
    st.lists(
        st.sampled_from(["```", "python", "\n", "def f():", "    ", "return 1", ">>> ", "~~~", "x = (", "é", "'''"])
    )
)
def test_any_text_is_searched_for_a_program(parts: list[str]) -> None:
    found = extract_program("".join(parts), entry_point="f", prompt="def f():\n")
    assert found is None or isinstance(found, str)


@settings(deadline=None, max_examples=50)
@given(st.integers(-9, 9), st.sampled_from(["", "Sure!\n\n", "# title\n"]), st.sampled_from(["", "\n\nDone."]))
def test_a_program_in_a_fence_comes_out_as_it_went_in(value: int, before: str, after: str) -> None:
    program = f"def f():\n    return {value}"
    assert str(extract_program(f"{before}```python\n{program}\n```{after}", entry_point="f")).strip() == program


@pytest.mark.parametrize(
    ("given_text", "expected", "same"),
    [
        ("1 2\n", "1 2", True), ("1  2 \n\n", "1 2\n", True), ("1\n2", "1 2", False), ("0.3333333", "0.33333333", True),
        ("0.34", "0.33", False), ("3.0", "3", True), ("4", "3", False), ("yes", "YES", False), ("nan", "1.0", False),
        ("", "", True), ("1e999", "1.0", False), ("abc", "1", False),
    ],
)  # fmt: skip
def test_outputs_are_compared_word_by_word(given_text: str, expected: str, same: bool) -> None:
    assert same_output(given_text, expected) is same


def test_each_assertion_of_a_check_is_a_test_of_its_own() -> None:
    plan = plan_tests(HUMAN_EVAL["tests"], entry_point="double")
    assert (plan.count, plan.names, plan.entry_point) == (3, ("double",), "double")
    with pytest.raises(DataError, match="1 inputs and 2 outputs"):
        plan_calls([1], [1, 2], "f")
    with pytest.raises(DataError, match="cannot be read"):
        plan_calls(["{"], [1], "f")


def test_a_text_that_is_too_deep_is_no_program() -> None:
    assert parsed("x = " + "(" * 95 + ")" * 95) is None
    assert parsed("x = 1") is not None
