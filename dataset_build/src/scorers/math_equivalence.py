r"""Is an answer's expression, or set of solutions, equal to the reference's?

    reference "2x + 2",         answer "The derivative is 2*(x+1)."      1.0
    reference "x = 2, x = -3",  answer "x = -3 or x = 2"                 1.0
    reference "x^3/3 + C",      answer "$\frac{x^3}{3} + 7$"             1.0   (equal up to a constant)

Expressions are read by `expressions.parse` and compared in floating point at fixed points, which separates any two
functions that people write down (Schwartz 1980, "Fast probabilistic algorithms for verification of polynomial
identities", is the argument for polynomials). Nothing is evaluated as code.

What this does not read, LaTeX with structure above all, goes to math-verify, in a process with a deadline:

    reference "[-2,7]",         answer "$\boxed{(-2, 7)}$"              0.0
    reference "\frac{1}{2}",    answer "$\boxed{\frac12}$"              1.0
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction

from dataset_build.src.errors import ConfigError
from dataset_build.src.expressions import Expression, ExpressionError, Symbol, find_expressions, fold, parse, symbols_of
from dataset_build.src.math_worker import MathWorker, UndecidedError
from dataset_build.src.records import Instruction
from dataset_build.src.scorers.answer_text import stated_answer
from dataset_build.src.scorers.base import Scorer, UnscorableError

#: An answer this much longer is read from its end only.
MAX_LENGTH = 4000
#: Most solutions compared.
MAX_SOLUTIONS = 12
RELATIVE_TOLERANCE = 1e-6
MAX_SECONDS = 60.0
#: An answer up to this length is taken for nothing but mathematics.
SHORT = 200
#: Characters at the end of an answer that math-verify reads.
MOST_MATHEMATICS = 1000
#: Names people give the constant of integration.
INTEGRATION_CONSTANTS = frozenset("CcK")

#: Values of the variable; further variables take these in another order.
POINTS = (0.37, 1.21, 2.83, 0.71, 4.19, -0.53, -1.87)

#: References that need more than expressions: LaTeX, sets, intervals, tuples, inequalities, factorials.
_STRUCTURE = re.compile(r"\\(?!boxed)|[\[\]{}<>!≤≥∞∪]|\([^()=]*,[^()=]*\)|\A[^=]*,[^=]*\Z|_\d")
_PLAIN_NUMBER = re.compile(r"[-−+$\s]*(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?[\s$%.]*")
_LIST = re.compile(r"\s*[-−]?\d+(?:\.\d+)?(?:\s*(?:,|or|and)\s*[-−]?\d+(?:\.\d+)?)+\s*")
_THOUSANDS = re.compile(r"[-−]?\d{1,3}(?:,\d{3})+")
_SAYS = re.compile(r"(?:final answer|answer)\s*(?:is|:)\s*:?", re.IGNORECASE)

_FUNCTIONS: dict[str, Callable[[float], float]] = {
    "sqrt": math.sqrt, "exp": math.exp, "log": math.log, "ln": math.log, "sin": math.sin, "cos": math.cos,
    "tan": math.tan, "sec": lambda x: 1 / math.cos(x), "csc": lambda x: 1 / math.sin(x),
    "cot": lambda x: 1 / math.tan(x), "asin": math.asin, "acos": math.acos, "atan": math.atan, "arcsin": math.asin,
    "arccos": math.acos, "arctan": math.atan, "sinh": math.sinh, "cosh": math.cosh, "tanh": math.tanh, "abs": abs,
    "cbrt": lambda x: math.copysign(abs(x) ** (1 / 3), x),
}  # fmt: skip
_CONSTANTS = {"pi": math.pi, "e": math.e, "oo": math.inf}
_LATEX = (
    (re.compile(r"\\[dt]?frac\s*\{([^{}]{1,80})\}\s*\{([^{}]{1,80})\}"), r"((\1)/(\2))"),
    (re.compile(r"\\sqrt\s*\{([^{}]{1,80})\}"), r"sqrt(\1)"),
    (re.compile(r"\\boxed\s*\{([^{}]{1,200})\}"), r" ; \1 "),
    (re.compile(r"\^\s*\{([^{}]{1,80})\}"), r"^(\1)"),
    (re.compile(r"\\(?:cdot|times)\b"), "*"),
    (re.compile(r"\\(?:left|right|quad|,|;|!|\(|\)|\[|\])"), " "),
    (re.compile(r"\\pm"), "±"),
    (re.compile(r"\\(?=[a-z])|[$`]"), " "),
)


class _Floats:
    """Floating-point numbers with given values of the variables; undefined is nan."""

    def __init__(self, values: Mapping[str, float]) -> None:
        self._values = {**_CONSTANTS, **values}

    def constant(self, value: Fraction) -> float:
        try:
            return float(value)
        except OverflowError:
            return math.inf

    def symbol(self, name: str) -> float:
        return self._values.get(name, math.nan)

    def call(self, function: str, argument: float) -> float:
        try:
            return _FUNCTIONS[function](argument)
        except (ValueError, OverflowError, ZeroDivisionError):
            return math.nan

    def operation(self, operator: str, left: float, right: float) -> float:
        try:
            if operator == "+":
                return left + right
            if operator == "-":
                return left - right
            if operator == "*":
                return left * right
            return left / right if operator == "/" else math.pow(left, right)
        except (ValueError, OverflowError, ZeroDivisionError):
            return math.nan


def values_at_points(expression: Expression, variables: Sequence[str]) -> list[float]:
    """Return the value of `expression` at each of `POINTS`, nan where it is undefined; other variables are zero."""
    count = len(POINTS)
    values = []
    for row in range(count):
        drawn = {name: POINTS[(row + 3 * column) % count] for column, name in enumerate(variables)}
        values.append(fold(expression, _Floats({**dict.fromkeys(INTEGRATION_CONSTANTS, 0.0), **drawn})))
    return values


def are_equal(one: Expression, other: Expression) -> bool:
    """Return whether two expressions agree wherever the first is defined.

    If `one` holds a constant of integration, they may differ by a constant.
    """
    one_symbols = symbols_of(one)
    is_family = bool(one_symbols & INTEGRATION_CONSTANTS) and len(one_symbols) > 1
    variables = sorted((one_symbols | symbols_of(other)) - (INTEGRATION_CONSTANTS if is_family else set()))
    pairs = [
        (left, right)
        for left, right in zip(values_at_points(one, variables), values_at_points(other, variables), strict=True)
        if math.isfinite(left)
    ]
    if not pairs or not all(math.isfinite(right) for _, right in pairs):
        return False
    shift = pairs[0][1] - pairs[0][0] if is_family else 0.0
    return all(math.isclose(left + shift, right, rel_tol=RELATIVE_TOLERANCE, abs_tol=1e-9) for left, right in pairs)


def _plain(text: str) -> str:
    text = text[-MAX_LENGTH:]
    for pattern, replacement in _LATEX:
        text = pattern.sub(replacement, text)
    text = re.sub(r"([A-Za-z0-9)]\s*=\s*)?±\s*([\w.]{1,20})", r"\1 \2 , \1 -\2", text)
    text = re.sub(r"_\{?\d\}?", "", text)  # x_1 = 2
    text = re.sub(r"\bd\s?/\s?d[a-z]\b|\bd[xyt]\b|\b[a-z]'", " ; ", text)  # the names of derivatives are no answer
    # f(x) = …, F(x) = …: the right side is the answer.
    return re.sub(r"\b[a-zA-Z]\s?\([a-z]\)\s*=", " ; ", text)


def _parsed(text: str) -> Expression | None:
    try:
        return parse(text)
    except ExpressionError:
        return None


def _read(text: str) -> tuple[list[tuple[str, Expression]], list[Expression]]:
    """Return the assignments "x = …" of a text, and the other expressions, each in order."""
    assigned: list[tuple[str, Expression]] = []
    free: list[Expression] = []
    for span in find_expressions(_plain(text)):
        left, *rest = (part.strip() for part in span.split("="))
        tree = _parsed(rest[-1] if rest else left)
        if tree is None:
            continue
        if rest and re.fullmatch("[A-Za-z]", left) and not symbols_of(tree):
            assigned.append((left, tree))
        else:
            free.append(tree)
    return assigned, free


def _same_solutions(expected: Sequence[tuple[str, Expression]], given: Sequence[tuple[str, Expression]]) -> bool:
    def covered(some: Sequence[tuple[str, Expression]], by: Sequence[tuple[str, Expression]]) -> bool:
        return all(any(name == other and are_equal(tree, value) for other, value in by) for name, tree in some)

    return covered(expected, given) and covered(given, expected)


def _compare_solutions(
    expected: list[tuple[str, Expression]], assigned: list[tuple[str, Expression]], free: list[Expression]
) -> float:
    names = {name for name, _ in expected}
    given = [(name, tree) for name, tree in assigned if name in names]
    if len(names) == 1:
        # "x = 2 or 3": bare numbers beside a named one; or a bare list.
        bare = [tree for tree in free if not symbols_of(tree)]
        if not given or len(given) < len(expected):
            given += [(next(iter(names)), tree) for tree in bare]
    return float(_same_solutions(expected, given[-MAX_SOLUTIONS:]))


def final_part(text: str) -> str:
    r"""Return what a text settles on: the field `answer` of a JSON object, or the last `\boxed{…}`; else its end.

    >>> final_part(r"Thus $x = \boxed{\frac{1}{2}}$, as was to be shown.")
    '\\frac{1}{2}'
    """
    stated = stated_answer(text)
    end = stated[-MAX_LENGTH:]
    start = max(end.rfind("\\boxed{"), end.rfind("\\fbox{"))
    if start < 0:
        return end
    depth = 0
    for position in range(end.index("{", start), len(end)):
        depth += (end[position] == "{") - (end[position] == "}")
        if depth == 0:
            return end[end.index("{", start) + 1 : position]
    return end[end.index("{", start) + 1 :]


class MathEquivalence(Scorer):
    """1.0 when the answer is mathematically the reference, else 0.0.

    A reference of the form "x = 2, x = 3" or "x = 1, y = 2" is a set of solutions; the answer must hold exactly
    these, in any order, named or (with one variable) as a bare list. Any other reference is one expression; it is
    compared with the last expression of the answer that has variables if the reference has some, and none if not. If
    the reference ends in "+ C", a constant does not matter. References with structure (LaTeX, intervals, tuples,
    sets, matrices, inequalities) are compared by math-verify, and so are answers in LaTeX that look different at
    first sight. What is not decided in time scores null, if it was not read as something else before.

    Args:
        seconds: What one comparison by math-verify may take.

    Raises:
        ConfigError: that is no time, or more than any comparison needs.
    """

    metric = "math"
    version = "2"

    def __init__(self, *, seconds: float = 5.0) -> None:
        if not 0 < seconds <= MAX_SECONDS:
            raise ConfigError(
                f"Metric 'math': seconds is {seconds:g}; more than 0 and at most {MAX_SECONDS:g} are given."
            )
        self._worker = MathWorker(seconds)

    def close(self) -> None:
        """End the process that compares."""
        self._worker.close()

    def compare(self, text: str, reference: str, instruction: Instruction) -> float | None:
        """Return 1.0 or 0.0, or None when the reference cannot be read.

        Raises:
            UnscorableError: it could not be decided.
        """
        part = final_part(text)
        right = final_part(reference).strip().strip("$").strip()
        if not right:
            return None
        if _LIST.fullmatch(part) and not _THOUSANDS.fullmatch(part.strip()) and _PLAIN_NUMBER.fullmatch(right):
            return 0.0
        if not _STRUCTURE.search(right):
            value = self._compare_expressions(part, right)
            if value == 1.0 or "\\" not in part or _PLAIN_NUMBER.fullmatch(part):
                return value
            return self._compare_latex(part, right, value)
        if part.replace(" ", "") == right.replace(" ", ""):
            return 1.0
        return self._compare_latex(part, right, None)

    def _compare_latex(self, part: str, right: str, otherwise: float | None) -> float | None:
        if len(part) > SHORT or "$" in part or "\n" in part:
            said = list(_SAYS.finditer(part))
            answer = part[said[-1].start() :] if said else part
        else:
            answer = f"${part}$"
        try:
            equal = self._worker.equal(right, answer[-MOST_MATHEMATICS:])
        except UndecidedError as reason:
            if otherwise is not None:
                return otherwise
            raise UnscorableError(str(reason)) from None
        return otherwise if equal is None else float(equal)

    @staticmethod
    def _compare_expressions(text: str, reference: str) -> float | None:
        expected, (assigned, free) = _read(reference), _read(text)
        if expected[0]:
            return _compare_solutions(expected[0][:MAX_SOLUTIONS], assigned, free)
        if not expected[1]:
            return None
        right = expected[1][-1]
        given = free or [tree for _, tree in assigned]
        alike = [tree for tree in given if bool(symbols_of(tree)) == bool(symbols_of(right))]
        if not isinstance(right, Symbol):
            alike = [tree for tree in alike if not isinstance(tree, Symbol)] or alike
        candidates = alike or given
        return float(bool(candidates) and are_equal(right, candidates[-1]))
