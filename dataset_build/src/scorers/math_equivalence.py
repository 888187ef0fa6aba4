r"""Is an answer's expression, or set of solutions, equal to the reference's?

    reference "2x + 2",         answer "The derivative is 2*(x+1)."      1.0
    reference "x = 2, x = -3",  answer "x = -3 or x = 2"                 1.0
    reference "x^3/3 + C",      answer "$\frac{x^3}{3} + 7$"             1.0   (equal up to a constant)

Expressions are read by `expressions.parse` and compared by `math_values`: numbers exactly, functions at fixed points.
Nothing is evaluated as code.

What this does not read, LaTeX with structure above all, goes to math-verify, in a process with a deadline:

    reference "[-2,7]",         answer "$\boxed{(-2, 7)}$"              0.0
    reference "\frac{1}{2}",    answer "$\boxed{\frac12}$"              1.0
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from dataset_build.src.errors import ConfigError
from dataset_build.src.expressions import Expression, ExpressionError, Symbol, find_expressions, parse, symbols_of
from dataset_build.src.math_values import are_equal, are_same_equation, has_value
from dataset_build.src.math_worker import MathWorker, UndecidedError
from dataset_build.src.records import Instruction
from dataset_build.src.scorers.answer_phrases import ANNOUNCEMENT
from dataset_build.src.scorers.answer_text import stated_answer
from dataset_build.src.scorers.base import Scorer, UnscorableError
from dataset_build.src.scorers.exact_match import normalise_answer

#: An answer this much longer is read from its end only.
MAX_LENGTH = 4000
#: Most solutions compared.
MAX_SOLUTIONS = 12
MAX_SECONDS = 60.0
#: An answer up to this length is taken for nothing but mathematics.
SHORT = 200
#: Characters at the end of an answer that math-verify reads.
MOST_MATHEMATICS = 1000
#: References that need more than expressions: LaTeX, sets, intervals, tuples, inequalities, factorials.
_STRUCTURE = re.compile(r"\\(?!boxed)|[\[\]{}<>!≤≥∞∪]|\([^()=]*,[^()=]*\)|\A[^=]*,[^=]*\Z|_\d")
_PLAIN_NUMBER = re.compile(r"[-−+$\s]*(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?[\s$%.]*")
_LIST = re.compile(r"\s*[-−]?\d+(?:\.\d+)?(?:\s*(?:,|or|and)\s*[-−]?\d+(?:\.\d+)?)+\s*")
_THOUSANDS = re.compile(r"[-−]?\d{1,3}(?:,\d{3})+")
#: A word that is no function read here, before its bracket, and other things that would be passed over.
_UNREAD = re.compile(
    r"\b(?:floor|ceil|ceiling|round|trunc|sgn|sign|gcd|lcm|max|min|mod|det|erf|gamma|Re|Im)\s*\(|\bmod\b|[⌊⌋⌈⌉]"
)
_FACTORIAL = re.compile(r"[\w)]\s*!")
#: A factorial, for no sentence ends there: "3! ways".
_INSIDE_FACTORIAL = re.compile(r"(?<![\w.,])(\d{1,4})!(?!\s*(?:\Z|[A-Z\n!]))")
_WORDS = re.compile(r"[^\W\d_][^\W\d_'’ -]*")
_SENTENCE_END = re.compile(r"(?<!\d)\.|\.(?!\d)|[。\n]")
_RULED_OUT = re.compile(r",?\s*\b(?:not|rather than|instead of)\s+[^\s,;]+", re.IGNORECASE)
_MIXED = re.compile(r"(?<![\w.,/^])(\d{1,9})\s+(\d{1,9})\s*/\s*(\d{1,9})(?![\w.,(/^])")
_SAYS = re.compile(r"(?:final answer|answer)\s*(?:is|:)\s*:?", re.IGNORECASE)

_LATEX = (
    (re.compile(r"(?<![\w.,/^])(\d{1,9})\s*\\[dt]?frac\s*\{(\d{1,9})\}\s*\{(\d{1,9})\}"), r"(\1+\2/\3)"),
    (re.compile(r"\\[dt]?frac\s*(\d)\s*(\d)"), r"((\1)/(\2))"),
    (re.compile(r"\\[dt]?frac\s*\{([^{}]{1,80})\}\s*\{([^{}]{1,80})\}"), r"((\1)/(\2))"),
    (re.compile(r"\\sqrt\s*\{([^{}]{1,80})\}"), r"sqrt(\1)"),
    (re.compile(r"\\boxed\s*\{([^{}]{1,200})\}"), r" ; \1 "),
    (re.compile(r"\^\s*\{([^{}]{1,80})\}"), r"^(\1)"),
    (re.compile(r"\\(?:cdot|times)\b"), "*"),
    (re.compile(r"\\(?:left|right|quad|,|;|!|\(|\)|\[|\])"), " "),
    (re.compile(r"\\pm"), "±"),
    (re.compile(r"\\infty\b|\binfinity\b"), " oo "),
    (re.compile(r"\\%"), "%"),
    (_MIXED, r"(\1+\2/\3)"),
    (re.compile(r"\\(?=[a-z])|[$`]"), " "),
)


def _plain(text: str) -> str:
    text = text[-MAX_LENGTH:]
    for pattern, replacement in _LATEX:
        text = pattern.sub(replacement, text)
    text = re.sub(r"([A-Za-z0-9)]\s*=\s*)?±\s*([\w.]{1,20})", r"\1 \2 , \1 -\2", text)
    text = re.sub(r"_\{?\d\}?", "", text)  # x_1 = 2
    text = _INSIDE_FACTORIAL.sub(r"(\1!)", text)
    text = re.sub(r"\bd\s?/\s?d[a-z]\b|\bd[xyt]\b|\b[a-z]'", " ; ", text)  # the names of derivatives are no answer
    # f(x) = …, F(x) = …: the right side is the answer.
    return re.sub(r"\b[a-zA-Z]\s?\([a-z]\)\s*=", " ; ", text)


def _parsed(text: str) -> Expression | None:
    try:
        return parse(text)
    except ExpressionError:
        return None


@dataclass(frozen=True, slots=True)
class _Reading:
    """What a text says, each kind in order.

    Attributes:
        assigned: "x = 3".
        free: Expressions; of other equations the last part.
        bare: Those that are no part of an equation.
        equations: The first and the last part of equations with variables.
    """

    assigned: list[tuple[str, Expression]] = field(default_factory=list)
    free: list[Expression] = field(default_factory=list)
    bare: list[Expression] = field(default_factory=list)
    equations: list[tuple[Expression, Expression]] = field(default_factory=list)


def _read(text: str) -> _Reading:
    reading = _Reading()
    plain = _plain(text)
    spans = find_expressions(plain)
    if len(spans) == 1 and "".join(plain.split()).rstrip(".") == spans[0].replace(" ", "") + "!":
        spans = [spans[0] + "!"]  # a factorial, for there is no sentence that it could end
    for span in spans:
        left, *rest = (part.strip() for part in span.split("="))
        tree = _parsed(rest[-1] if rest else left)
        if tree is None:
            continue
        if rest and re.fullmatch("[A-Za-z]", left) and not symbols_of(tree):
            reading.assigned.append((left, tree))
            continue
        reading.free.append(tree)
        first = _parsed(left) if rest else None
        if not rest:
            reading.bare.append(tree)
        elif first is not None and symbols_of(first) | symbols_of(tree):
            reading.equations.append((first, tree))
    return reading


def _whole(text: str) -> list[Expression]:
    """Return the readings of a text that is one short expression without variables, none of any other."""
    if len(text) > SHORT or "_" in text:
        return []
    plain = _plain(text).strip().rstrip(".")
    if "=" in plain or re.search(r"\([^()]*,|;", plain):
        return []
    tree = _parsed(plain)
    if tree is None or symbols_of(tree):
        return []
    unsigned = _parsed(plain.rstrip(" %")) if plain.endswith("%") else None
    return [tree] if unsigned is None else [tree, unsigned]


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

    What is written alike is equal, whatever it is. Numbers are compared exactly; only a decimal number of six digits
    or more may be another one rounded. An equation in variables ("y = 2x + 1") is compared as a whole, up to a factor.
    A reference of the form "x = 2, x = 3" or "x = 1, y = 2" is a set of solutions; the answer must hold exactly
    these, in any order, named or (with one variable) as a bare list. Any other reference is one expression; it is
    compared with the last expression of the answer that has variables if the reference has some, and none if not. If
    the reference ends in "+ C", a constant does not matter. References with structure (LaTeX, intervals, tuples,
    sets, matrices, inequalities) are compared by math-verify, and so are answers in LaTeX that look different at
    first sight. What is not decided in time scores null, if it was not read as something else before; so does what
    holds functions that are not read (floor, mod, a double factorial).

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
        part = final_part(text).strip()
        right = final_part(reference).strip().strip("$").strip()
        if not right:
            return None
        if _bare(part) == _bare(right) or text.strip() == reference.strip():
            return 1.0
        if _LIST.fullmatch(part) and not _THOUSANDS.fullmatch(part) and _PLAIN_NUMBER.fullmatch(right):
            return 0.0
        wholes = _whole(right), _whole(part)
        if wholes[0] and wholes[1]:
            return self._compare_numbers(*wholes)
        if _UNREAD.search(right):
            raise UnscorableError("the reference holds a function that is not read here")
        if _STRUCTURE.search(right):
            value = self._compare_latex(part, right, None)
        else:
            value = self._compare_expressions(part, right)
            if value != 1.0 and "\\" in part and not _PLAIN_NUMBER.fullmatch(part):
                value = self._compare_latex(part, right, value)
        if (
            len(part) <= SHORT
            and "=" not in part
            and _is_unread(part, is_whole=bool(wholes[1]), was_equal=value == 1.0)
        ):
            raise UnscorableError("the answer holds a function that is not read here")
        return value

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
    def _compare_numbers(right: list[Expression], given: list[Expression]) -> float:
        if any(are_equal(one, other) for one in right for other in given):
            return 1.0
        if not has_value(right[0]) and not has_value(given[0]):
            raise UnscorableError("neither the reference nor the answer is a real number")
        return 0.0

    @staticmethod
    def _compare_expressions(text: str, reference: str) -> float | None:
        expected, given = _read(reference), _read(text)
        if expected.assigned:
            return _compare_solutions(expected.assigned[:MAX_SOLUTIONS], given.assigned, given.free)
        if not expected.free:
            return _compare_words(text, reference)
        right = expected.free[-1]
        announced = _read(_announced(text))
        given = announced if announced.free or announced.assigned else given
        if expected.equations and len(expected.free) == 1:
            return _compare_equations(expected.equations[0], given)
        free = given.free or [tree for _, tree in given.assigned]
        alike = [tree for tree in free if bool(symbols_of(tree)) == bool(symbols_of(right))]
        if not isinstance(right, Symbol):
            alike = [tree for tree in alike if not isinstance(tree, Symbol)] or alike
        candidates = alike or free
        if not candidates:
            return 0.0
        if not has_value(right) and (not has_value(candidates[-1]) or "i" in symbols_of(candidates[-1])):
            raise UnscorableError("the reference is no real number anywhere")
        return float(are_equal(right, candidates[-1]))


def _announced(text: str) -> str:
    """Return the sentence in which an answer is announced, without what it rules out; "" where there is none."""
    said = list(ANNOUNCEMENT.finditer(text))
    sentence = _SENTENCE_END.split(text[said[-1].end() :].strip(), maxsplit=1)[0] if said else ""
    return _RULED_OUT.sub(" ", sentence).rstrip(" !")


def _is_unread(text: str, *, is_whole: bool, was_equal: bool) -> bool:
    """Return whether something was passed over in an answer that could make it equal, or another one."""
    if _UNREAD.search(text):
        return was_equal or not re.search(r"\b[a-z]\b", text)
    return not is_whole and _FACTORIAL.search(text) is not None and not re.search("[A-Za-z]{2}", text)


def _bare(text: str) -> str:
    return "".join(text.split()).strip("$").rstrip(".")


def _compare_equations(expected: tuple[Expression, Expression], given: _Reading) -> float:
    """Return whether the last equation in the same variables is the reference's, or "2x + 1" what it says y is."""
    variables = symbols_of(expected[0]) | symbols_of(expected[1])
    alike = [pair for pair in given.equations if symbols_of(pair[0]) | symbols_of(pair[1]) == variables]
    if alike:
        return float(are_same_equation(expected, alike[-1]))
    stated = [tree for tree in given.bare if symbols_of(tree)]
    return float(isinstance(expected[0], Symbol) and bool(stated) and are_equal(expected[1], stated[-1]))


def _compare_words(text: str, reference: str) -> float | None:
    """Compare with a reference in words ("no solution", "even"); None where the answer is a whole sentence."""
    right, given = normalise_answer(reference), normalise_answer(text)
    if right == given or given.endswith((f" is {right}", f" are {right}", f" has {right}")):
        return 1.0
    trees = _parsed(right), _parsed(given)
    if trees[0] is not None and trees[1] is not None and are_equal(trees[0], trees[1]):
        return 1.0
    return 0.0 if _WORDS.fullmatch(right) and len(given.split()) <= len(right.split()) else None
