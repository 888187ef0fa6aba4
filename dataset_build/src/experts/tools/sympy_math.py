"""Arithmetic, equations, derivatives, integrals and limits, by SymPy (Meurer et al. 2017, doi:10.7717/peerj-cs.103)."""

import re
from fractions import Fraction
from typing import Any

from dataset_build.src.errors import MissingDependencyError
from dataset_build.src.exact_arithmetic import exact_value
from dataset_build.src.experts.base import CannotAnswerError, ToolExpert
from dataset_build.src.experts.tools.math_language import number_text, numbers_in, to_digits, to_signs
from dataset_build.src.experts.tools.sympy_algebra import SympyAlgebra, to_sympy, to_text
from dataset_build.src.expressions import ExpressionError, Symbol, find_expressions, parse, symbols_of

#: Longer instructions are not looked at.
MAX_LENGTH = 2000
#: Most operations in an expression that calculus is done on, and highest degree of an equation.
MAX_OPERATIONS, MAX_DEGREE = 40, 8

_HINT = re.compile(
    r"[+*^×÷·−²³=√∫%]|[\w)]\s?[-/]\s?[\d(]|\d\s?[-/]|\d\s*x\s*\d|percent|plus|minus"
    r"|less\b|take away|added|over\b|times|multipl|divi|remainder|mod\b"
    r"|modulo|average|\bavg\b|mean\b|sum\b|product|difference|square|cube|derivative|different|integra|\blim|solve|slope"
    r"|gradient|velocity|primitive|how fast|d/d|subtract|\badd\b",
    re.IGNORECASE,
)
_NUMERAL = re.compile(
    r"\d|\^|\w\(|\b[xyzt]\b"
    r"|\b(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|[a-z]+teen|[a-z]+ty|hundred)\b",
    re.I,
)
_DATE = re.compile(r"\d{4}-\d\d-\d\d|\b\d{1,2}/\d{1,2}/\d{2,4}\b|\bSELECT\b|\bdef \w")
_LIMIT = re.compile(r"\b(?:limits?\b(?! \d)|lim\b|tends?\b|approach\w*|L'H)|→|->|closer and closer", re.IGNORECASE)
_INTEGRAL = re.compile(
    r"∫|\b(?:integra\w*|anti-?derivative\w*|primitive|area|undo\w* the diff\w*)\b|(?-i:F'\()", re.IGNORECASE
)
_DERIVATIVE = re.compile(
    r"\bd\w?/d\w\b|\w'\(|\b(?:derivative\w*|differentiat\w*|slope|gradient|rate of change|how fast|velocity)\b",
    re.IGNORECASE,
)
_SIGNED = r"[-−]?\d+(?:\.\d+)?"
_BOUND = rf"(?:[a-z]\s*=\s*)?({_SIGNED}|[-−]?pi)"
_BOUNDS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"\bfrom\s+{_BOUND}\s+(?:to|until|up to)\s+{_BOUND}",
        rf"\bbetween\s+{_BOUND}\s+and\s+{_BOUND}",
        rf"\blower\s+\w+\s+{_BOUND}\W+(?:and\s+)?upper\s+\w+\s+{_BOUND}",
        rf"[\[(]\s*({_SIGNED})\s*,\s*({_SIGNED})\s*[\])]",
    )
)
_POINT = re.compile(
    rf"\b[a-z]\s*(?:->|→|(?:\w{{2,}}\s+){{0,5}}?(?:to|approaches|nears))\s*({_SIGNED}|[-−]?(?:infinity|∞|pi))",
    re.IGNORECASE,
)
_GIVEN = tuple(
    re.compile(pattern)
    for pattern in (
        rf"\b(?P<name>[a-z])\s*(?:=|is|to|equals)\s*(?P<value>{_SIGNED})(?!\s*[-+*/^(=]|\w|\.\d)",
        rf"(?<![\w.])(?P<value>{_SIGNED})\s+for\s+(?P<name>[a-z])\b",
        rf"\b[a-z]\((?P<value>{_SIGNED})\)(?P<name>)",
    )
)
_RESPECT_TO = re.compile(r"with respect to\s+([a-z])\b|/d([a-z])\b")
_REMAINDER = re.compile(r"\b(?:remainder|modulo|mod|left ?over|rest)\b|\d\s*%\s*\d", re.IGNORECASE)
_DIVISION = re.compile(
    r"(\d[\d,]{0,30})\s*(?:(?:is\s+)?divided by|modulo|mod|by|/|%)\s*(\d[\d,]{0,30})(?![\d.])", re.IGNORECASE
)
_LIST = re.compile(r"\d+(?:\.\d+)?(?:(?:,\s*(?:and\s+)?|\s+and\s+)\d+(?:\.\d+)?){2,}")
_MEAN = re.compile(r"\b(?:average|mean|avg|on average)\b", re.IGNORECASE)
_PERCENT = re.compile(r"(\d+(?:\.\d+)?)\s*%")
_PREFIX = tuple(
    (re.compile(pattern, re.IGNORECASE), order)
    for pattern, order in (
        (r"\bsum of ([\d,.]+) and ([\d,.]*\d)", "{0}+{1}"),
        (r"\bproduct of ([\d,.]+) and ([\d,.]*\d)", "{0}*{1}"),
        (r"\bdifference (?:between|of) ([\d,.]+) and ([\d,.]*\d)", "abs({0}-{1})"),
        (r"\b(?:subtract|take) ([\d,.]+) from ([\d,.]*\d)", "{1}-{0}"),
        (r"\bdivide ([\d,.]+) by ([\d,.]*\d)", "{0}/{1}"),
        (r"\bmultiply ([\d,.]+) (?:by|with|and) ([\d,.]*\d)", "{0}*{1}"),
        (r"\badd ([\d,.]+) (?:to|and) ([\d,.]*\d)", "{0}+{1}"),
    )
)


class SympyMath(ToolExpert):
    """Decides by cue words what is asked, finds the expressions and lets SymPy do the mathematics."""

    tool_name = "sympy_math"
    tool_description = "Computer algebra (SymPy): arithmetic, equations and systems, derivatives, integrals, limits."

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(*args, **kwargs)
        self._algebra: SympyAlgebra | None = None

    def warm_up(self) -> None:
        """Import SymPy and use each part once."""
        for text in (
            "derivative of x^2 sin(x)",
            "integrate x^2 + cos(x)",
            "solve x^2 = 4",
            "limit of sin(x)/x as x -> 0",
        ):
            self.solve(text)

    @property
    def algebra(self) -> SympyAlgebra:
        """SymPy's algebra, imported on first use."""
        if self._algebra is None:
            try:
                self._algebra = SympyAlgebra()
            except ImportError:
                raise MissingDependencyError('sympy_math needs SymPy: pip install "moe-toolkit[tools]"') from None
        return self._algebra

    def solve(self, text: str) -> str:
        """Return the result in one line of plain text."""
        if len(text) > MAX_LENGTH or not (_HINT.search(text) and _NUMERAL.search(text)) or _DATE.search(text):
            raise CannotAnswerError("there is no mathematics in it")
        text = to_signs(to_digits(text))
        try:
            return self._calculus(text) or self._algebraic(text) or _arithmetic(text)
        except (ExpressionError, NotImplementedError) as problem:
            raise CannotAnswerError(str(problem) or "SymPy has no method for it") from problem

    def _function(self, text: str) -> Any:  # noqa: ANN401
        """Return the longest expression of `text`, right of any "f(x) =", as SymPy has it."""
        spans = [span.rpartition("=")[2].strip() for span in find_expressions(text)]
        for span in sorted(spans, key=_weight, reverse=True):
            try:
                found = to_sympy(parse(span), self.algebra)
            except ExpressionError:
                continue
            if found.count_ops() > MAX_OPERATIONS:
                raise CannotAnswerError("the expression is too large")
            return found
        raise CannotAnswerError("there is no expression in it")

    def _calculus(self, text: str) -> str | None:
        if _LIMIT.search(text) and (point := _POINT.search(text)):
            return self._limit(text, point)
        if _INTEGRAL.search(text):
            return self._integral(text)
        if _DERIVATIVE.search(text):
            bounds = next((found for pattern in _BOUNDS if (found := pattern.search(text))), None)
            if bounds and not re.search(r"derivative|differentiate", text, re.IGNORECASE):
                return self._integral(text)
            function = self._function(text)
            return to_text(function.diff(self._variable(function, text)))
        return None

    def _variable(self, function: Any, text: str) -> Any:  # noqa: ANN401
        names = sorted(str(symbol) for symbol in function.free_symbols)
        named = _RESPECT_TO.search(text)
        if named and (len(names) != 1):
            return self.algebra.symbol(named[1] or named[2])
        if len(names) > 1:
            raise CannotAnswerError(f"it does not say which of {', '.join(names)} is the variable")
        return self.algebra.symbol(names[0] if names else "x")

    def _limit(self, text: str, point: re.Match[str]) -> str:
        import sympy

        function = self._function(text[: point.start()] + " ; " + text[point.end() :])
        towards = parse(point[1].replace("infinity", "oo").replace("∞", "oo").replace("−", "-"))
        variable = self._variable(function, text)
        target = to_sympy(towards, self.algebra)
        direct = function.subs(variable, target) if target.is_finite else sympy.nan
        found = direct if direct.is_finite else sympy.limit(function, variable, target)
        return to_text(found)

    def _integral(self, text: str) -> str:
        from sympy.integrals.manualintegrate import manualintegrate

        bounds = next((found for pattern in _BOUNDS if (found := pattern.search(text))), None)
        if bounds:
            text = text[: bounds.start()] + " ; " + text[bounds.end() :]
        function = self._function(text)
        variable = self._variable(function, text)
        whole = manualintegrate(function, variable)
        if "Integral" in str(whole):
            raise CannotAnswerError("SymPy found no antiderivative")
        if not bounds:
            return f"{to_text(whole)} + C"
        low, high = (to_sympy(parse(bound.replace("−", "-")), self.algebra) for bound in bounds.groups())
        value = (whole.subs(variable, high) - whole.subs(variable, low)).expand()
        return to_text(value)

    def _algebraic(self, text: str) -> str | None:
        """Solve the equations in `text`, or evaluate a formula where its variable is given."""
        sides: list[tuple[Any, Any]] = []
        formulas: list[Any] = []
        for span in find_expressions(text):
            parts = [part.strip() for part in span.split("=")]
            try:
                trees = [parse(part) for part in parts if part]
            except ExpressionError:
                continue
            names = set().union(*(symbols_of(tree) for tree in trees)) if trees else set()
            if not names:
                continue
            if len(trees) == 1 and not isinstance(trees[0], Symbol):
                formulas.append(to_sympy(trees[0], self.algebra))
            elif len(trees) == 2 and not all(isinstance(tree, Symbol) for tree in trees):
                sides.append((to_sympy(trees[0], self.algebra), to_sympy(trees[1], self.algebra)))
        if formulas and (evaluated := self._evaluated(text, formulas)) is not None:
            return evaluated
        equations = [left - right for left, right in sides if (left - right).free_symbols]
        if not equations:
            return None
        unknowns = sorted(set().union(*(equation.free_symbols for equation in equations)), key=str)
        if len(unknowns) == 1:
            return self._roots(max(equations, key=lambda equation: int(equation.count_ops())), unknowns[0])
        return self._system(equations, unknowns)

    def _evaluated(self, text: str, formulas: list[Any]) -> str | None:
        formula = max(formulas, key=lambda one: int(one.count_ops()))
        names = {str(symbol) for symbol in formula.free_symbols}
        for pattern in _GIVEN:
            for given in pattern.finditer(text):
                name = given["name"] or (next(iter(names)) if len(names) == 1 else "")
                if names == {name}:
                    value = self._algebra_number(given["value"])
                    return to_text(formula.subs(self.algebra.symbol(name), value))
        return None

    def _algebra_number(self, text: str) -> Any:  # noqa: ANN401
        return to_sympy(parse(text.replace("−", "-")), self.algebra)

    def _roots(self, equation: Any, unknown: Any) -> str:  # noqa: ANN401
        import sympy

        numerator = sympy.together(equation).as_numer_denom()[0]
        polynomial = sympy.Poly(numerator, unknown) if numerator.is_polynomial(unknown) else None
        if polynomial is None or not 1 <= polynomial.degree() <= MAX_DEGREE:
            raise CannotAnswerError("only polynomial equations are solved")
        found = sympy.roots(polynomial)
        roots = list(found) if sum(found.values()) == polynomial.degree() else polynomial.nroots()
        real = [root for root in roots if root.is_real]
        return ", ".join(f"{unknown} = {to_text(root)}" for root in sorted(real or roots, key=str))

    def _system(self, equations: list[Any], unknowns: list[Any]) -> str:
        import sympy

        if len(unknowns) > 4 or any(not equation.is_polynomial(*unknowns) for equation in equations):
            raise CannotAnswerError("only small polynomial systems are solved")
        if any(sympy.Poly(equation, *unknowns).total_degree() > 1 for equation in equations):
            raise CannotAnswerError("only linear systems are solved")
        solution = next(iter(sympy.linsolve(equations, *unknowns)), None)
        if solution is None or any(value.free_symbols for value in solution):
            raise CannotAnswerError("the system has no single solution")
        return ", ".join(f"{name} = {to_text(value)}" for name, value in zip(unknowns, solution, strict=True))


def _weight(span: str) -> int:
    """Return how much there is in an expression: its numbers, names and signs, brackets aside."""
    return len(re.findall(r"[\w.]+|[-+*/^]", span))


def _arithmetic(text: str) -> str:
    """Return the value of a sum said with prefix words, a remainder, a mean, a percentage or plain signs."""
    if _MEAN.search(text) and (listed := [numbers_in(match.group()) for match in _LIST.finditer(text)]):
        numbers = max(listed, key=len)
        return number_text(sum(numbers, Fraction(0)) / len(numbers))
    division = _DIVISION.search(text) if _REMAINDER.search(text) else None
    if division:
        number, divisor = (Fraction(part.replace(",", "")) for part in division.groups())
        return number_text(number % divisor if divisor else exact_value("1/0"))
    for pattern, order in _PREFIX:
        found = pattern.search(text)
        if found:
            return number_text(exact_value(order.format(*(part.strip(",. ") for part in found.groups()))))
    spans = [span for span in find_expressions(text) if "=" not in span and re.search(r"\d.*[-+*/^]|sqrt", span)]
    for span in sorted(spans, key=len, reverse=True):
        try:
            return number_text(exact_value(span))
        except ExpressionError:
            continue
    percent = _PERCENT.findall(text)
    others = numbers_in(_PERCENT.sub(" ; ", text))
    if len(percent) == 1 and 1 <= len(others) <= 2:  # of two, the first is mostly small talk
        return number_text(others[-1] * Fraction(percent[0]) / 100)
    raise CannotAnswerError("there is no sum in it that can be worked out")
