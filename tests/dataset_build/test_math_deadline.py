"""Mathematics that math-verify compares: LaTeX with structure, and expressions that hang, within a deadline."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset_build.src import math_worker
from dataset_build.src.errors import ConfigError, MissingDependencyError
from dataset_build.src.math_worker import MathWorker, UndecidedError
from dataset_build.src.records import Instruction, Score
from dataset_build.src.scorers.math_equivalence import MathEquivalence, final_part

pytest.importorskip("math_verify")


@pytest.fixture(scope="module")
def scorer() -> Iterator[MathEquivalence]:
    made = MathEquivalence(seconds=2.0)
    yield made
    made.close()


def score(scorer: MathEquivalence, reference: str, text: str) -> Score:
    return scorer.score(Instruction.create("q", reference=reference), text)


@pytest.mark.parametrize(
    ("reference", "text", "expected"),
    [
        (r"\frac{1}{2}", r"So we get $\boxed{\frac12}$.", 1),
        (r"\frac{1}{2}", r"\boxed{0.5}", 1),
        (r"\frac{1}{3}", r"\boxed{0.333}", 0),
        (r"\dfrac{3\sqrt{2}}{2}", r"The answer is $\boxed{\frac{3}{\sqrt{2}}}$", 1),
        (r"5\sqrt{2}", r"\boxed{\sqrt{50}}", 1),
        (r"5\sqrt2", r"\boxed{7.07}", 0),
        ("(3,4)", r"\boxed{(3, 4)}", 1),
        ("(3,4)", r"\boxed{(4,3)}", 0),
        ("[-2,7]", r"the domain is $\boxed{[-2, 7]}$", 1),
        ("[-2,7]", r"$\boxed{(-2, 7)}$", 0),
        (r"(-\infty,-3)\cup(3,\infty)", r"$\boxed{(-\infty, -3) \cup (3, \infty)}$", 1),
        (r"(-\infty,-3)\cup(3,\infty)", r"$\boxed{(-3,3)}$", 0),
        (r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}", r"\boxed{\begin{pmatrix}1&2\\3&4\end{pmatrix}}", 1),
        (r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}", r"\boxed{\begin{pmatrix}1&2\\3&5\end{pmatrix}}", 0),
        (r"\{1,2,3\}", r"\boxed{\{3,2,1\}}", 1),
        ("1,2,3", r"\boxed{3, 2, 1}", 1),
        ("1,2,3", r"\boxed{1,2}", 0),
        (r"60^\circ", r"\boxed{60}", 1),
        ("10000", r"\boxed{10,000}", 1),
        (r"\text{Evelyn}", r"\boxed{\text{Evelyn}}", 1),
        (r"\text{Evelyn}", r"\boxed{\text{Briana}}", 0),
        ("x<3", r"\boxed{x > 3}", 0),
        ("5!", r"\boxed{120}", 1),
        (r"3\frac{1}{2}", r"\boxed{\frac{7}{2}}", 1),
        ("5", "-5,5", 0),
        ("7", r'{"reasoning": "…", "answer": "\\boxed{7}"}', 1),
        (r"11\sqrt{2}", r'{"reasoning": "…", "answer": "11\\sqrt{2}"}', 1),
        ("2x + 2", r"\boxed{2(x+1)}", 1),
        (r"\infty", r"\boxed{\infty}", 1),
    ],
)
def test_structure_is_compared(scorer: MathEquivalence, reference: str, text: str, expected: float) -> None:
    assert score(scorer, reference, text).value == expected


HOSTILE = {
    "tower of powers": r"\boxed{9^{9^{9^{9}}}}",
    "a plain tower": "9**9**9",
    "factorial of factorials": r"\boxed{((9!)!)!}",
    "10 MB expression": "1+" * 5_000_000 + "1",
    "10 MB in a box": r"\boxed{" + "x+" * 5_000_000 + "1}",
    "nested radicals": r"\boxed{" + r"\sqrt{2+" * 300 + "2" + "}" * 301,
    "nested fractions": r"\boxed{" + r"\frac{1}{1+" * 300 + "x" + "}" * 301,
    "nested brackets": r"\boxed{" + "(" * 400 + "x" + ")" * 400 + "}",
    "a power to expand": r"\boxed{(x+y+z+w+v)^{99999}}",
    "a product of sines": r"\boxed{" + r"\sin(x+1)\cos(x-1)" * 50 + "}",
    "digits": r"\boxed{" + "7" * 3000 + "}",
    "open braces": r"\boxed{" * 20_000,
    "dollars": "$" * 100_000,
    "null bytes and surrogates": "\\boxed{\0\ud800\u202e}",
    "integral": r"\boxed{\int_0^1 x^{x^{x^x}} \sin(x^{x}) dx}",
    "a sum of many": r"\boxed{\sum_{n=1}^{10^{9}} \frac{1}{n!}}",
    "code": "__import__('os').system('touch hacked')",
    "code in a box": r"\boxed{__import__('os').system('touch hacked')}",
}


@pytest.mark.parametrize("reference", ["7", r"\frac{\sqrt{3}}{2}", "x^2 + 1", "[1,2]"])
@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_whatever_is_written_ends_with_a_score_or_a_reason(
    scorer: MathEquivalence, reference: str, text: str, tmp_path: object
) -> None:
    result = score(scorer, reference, text)
    assert result.value == 0.0 or (result.value is None and result.reason)
    assert score(scorer, r"\frac{1}{2}", r"\boxed{\frac12}").value == 1.0
    assert not os.path.exists("hacked")


def test_a_comparison_that_hangs_is_killed_and_the_next_one_answered() -> None:
    worker = MathWorker(seconds=2.0)
    try:
        assert worker.equal("1", "$1$") is True
        first = worker._process
        assert first is not None
        worker._seconds = 0.0
        with pytest.raises(UndecidedError, match="not decided within 0 s"):
            worker.equal(r"\frac{1}{2}", r"$9^{9^{9^{9}}}$")
        assert first.poll() is not None
        worker._seconds = 20.0
        assert worker.equal("1", "$2$") is False
        assert worker._process is not first
    finally:
        worker.close()


def test_a_process_that_dies_is_replaced() -> None:
    worker = MathWorker()
    try:
        worker.equal("1", "$1$")
        assert worker._process is not None
        worker._process.kill()
        worker._process.wait()
        with pytest.raises(UndecidedError, match="died"):
            worker.equal("1", "$1$")
        assert worker.equal("1", "$1$") is True
    finally:
        worker.close()


def test_undecided_mathematics_has_no_score_but_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> bool:
        raise UndecidedError("not decided within 5 s")

    monkeypatch.setattr(MathWorker, "equal", fail)
    undecided = score(MathEquivalence(), r"\sqrt{2}", r"\boxed{\sqrt{\sqrt{4}}}")
    assert (undecided.value, undecided.reason) == (None, "not decided within 5 s")
    assert score(MathEquivalence(), "7", r"\boxed{x + \sqrt{9}}").value == 0.0


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        math_worker,
        "_BOOT",
        "import json, sys; sys.path[:] = json.loads(sys.argv[2]); sys.modules['math_verify'] = None; "
        "from dataset_build.src.math_process import main; main(int(sys.argv[1]))",
    )
    with pytest.raises(MissingDependencyError, match="pip install math-verify"):
        MathWorker().equal("1", "1")
    monkeypatch.setattr(math_worker, "_BOOT", "raise SystemExit(1)")
    with pytest.raises(ConfigError, match="did not start"):
        MathWorker().equal("1", "1")


@pytest.mark.parametrize(
    ("text", "part"),
    [
        (r"Thus \boxed{\frac{1}{2}} as shown", r"\frac{1}{2}"),
        (r"\boxed{1} no, \boxed{2}", "2"),
        (r"\boxed{3", "3"),
        ('{"answer": "x = 2"}', "x = 2"),
        ("it is 4", "it is 4"),
        (r"\fbox{5}", "5"),
    ],
)
def test_the_part_that_counts_is_the_last_box_or_the_stated_answer(text: str, part: str) -> None:
    assert final_part(text) == part


@settings(deadline=None, max_examples=60)
@given(st.text(alphabet=r"\frac{}sqrt^_12x+-()[],$ ", max_size=60))
def test_mathematical_gibberish_is_scored_or_has_a_reason(text: str) -> None:
    result = score(SHARED, r"\frac{1}{2}", text)
    assert result.value in (0.0, 1.0) or result.reason


@settings(deadline=None, max_examples=40)
@given(st.fractions(min_value=-99, max_value=99, max_denominator=50))
def test_a_fraction_in_latex_is_itself(value: object) -> None:
    numerator, _, denominator = str(value).partition("/")
    written = rf"\frac{{{numerator}}}{{{denominator or 1}}}"
    assert score(SHARED, written, rf"The answer is $\boxed{{{written}}}$.").value == 1.0
    assert score(SHARED, written, rf"$\boxed{{{written} + 1}}$").value == 0.0


SHARED = MathEquivalence()


def teardown_module() -> None:
    SHARED.close()
