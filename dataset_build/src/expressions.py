"""Mathematical expressions as people type them, read into a small tree; nothing is ever evaluated as code.

`parse` reads one expression ("2x^2 - sin(x)/3", "3(4 + 5)", "√16 × 2,340") by recursive descent. `fold` walks the
tree with an `Algebra`, which decides what numbers, symbols and operations mean: exact
fractions, floats, SymPy objects. `find_expressions` finds the expressions inside a sentence.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol, TypeAlias, TypeVar

T = TypeVar("T")

#: Longest expression read, in characters, and deepest nesting.
MAX_LENGTH, MAX_DEPTH = 400, 30
#: Largest number whose factorial is read.
MAX_FACTORIAL = 1000

FUNCTIONS = frozenset(
    ("sqrt", "cbrt", "exp", "log", "ln", "sin", "cos", "tan", "sec", "csc", "cot", "asin", "acos", "atan")
    + ("arcsin", "arccos", "arctan", "sinh", "cosh", "tanh", "abs")
)
CONSTANTS = frozenset(("pi", "e", "oo"))

_SPELLED = str.maketrans(
    {"×": "*", "·": "*", "⋅": "*", "∙": "*", "÷": "/", "∕": "/", "−": "-", "–": "-"}
    | {"π": " pi ", "√": " sqrt ", "∞": " oo "}
    | {"²": "^2", "³": "^3", "⁴": "^4", "⁵": "^5", "½": "(1/2)", "¼": "(1/4)", "¾": "(3/4)", "[": "(", "]": ")"}
    | {"\u00a0": " ", "\u202f": " "}
)  # fmt: skip
_TOKEN = re.compile(
    r"(?P<number>\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d+)?|\d+(?:\.\d+)?(?:[eE][+-]?\d{1,3}(?![\d.]))?|\.\d+)"
    r"|(?P<word>[A-Za-z]+)|(?P<operator>\*\*|[-+*/^()=%!|])|(?P<other>\S)"
)
_FUNCTION_START = re.compile("|".join(sorted(FUNCTIONS | {"pi"}, key=len, reverse=True)))


class ExpressionError(ValueError):
    """The text is no expression, or one too large to work out."""


@dataclass(frozen=True, slots=True)
class Constant:
    """A number."""

    value: Fraction


@dataclass(frozen=True, slots=True)
class Symbol:
    """A variable of one letter, or one of `CONSTANTS`."""

    name: str


@dataclass(frozen=True, slots=True)
class Call:
    """One of `FUNCTIONS`, or `factorial`, of one argument."""

    function: str
    argument: "Expression"


@dataclass(frozen=True, slots=True)
class Operation:
    """Two expressions joined by one of `+ - * / ^`."""

    operator: str
    left: "Expression"
    right: "Expression"


Expression: TypeAlias = Constant | Symbol | Call | Operation


class Algebra(Protocol[T]):
    """What the parts of an expression mean; each method raises `ExpressionError` for what it cannot bear."""

    def constant(self, value: Fraction) -> T:
        """Return a number."""
        ...

    def symbol(self, name: str) -> T:
        """Return a variable or named constant."""
        ...

    def call(self, function: str, argument: T) -> T:
        """Return a function's value."""
        ...

    def operation(self, operator: str, left: T, right: T) -> T:
        """Return the result of one of `+ - * / ^`."""
        ...


def fold(expression: Expression, algebra: Algebra[T]) -> T:
    """Return the value of `expression` in `algebra`.

    Raises:
        ExpressionError: the algebra cannot bear a part of it.
    """
    if isinstance(expression, Constant):
        return algebra.constant(expression.value)
    if isinstance(expression, Symbol):
        return algebra.symbol(expression.name)
    if isinstance(expression, Call):
        return algebra.call(expression.function, fold(expression.argument, algebra))
    return algebra.operation(expression.operator, fold(expression.left, algebra), fold(expression.right, algebra))


def symbols_of(expression: Expression) -> set[str]:
    """Return the names of the variables in `expression`; `e`, `pi` and `oo` are none."""
    if isinstance(expression, Symbol):
        return {expression.name} - CONSTANTS
    if isinstance(expression, Call):
        return symbols_of(expression.argument)
    if isinstance(expression, Operation):
        return symbols_of(expression.left) | symbols_of(expression.right)
    return set()


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str  # number, function, symbol or the operator itself
    text: str
    spaced: bool = False


def _split_word(word: str) -> list[_Token]:
    """Return the tokens in a run of letters: "sin", "x", "xy", "xsin"."""
    if word.lower() in FUNCTIONS:
        return [_Token("function", word.lower())]
    if word.lower() in CONSTANTS:
        return [_Token("symbol", word.lower())]
    if len(word) > 8:
        raise ExpressionError(f"{word[:20]!r} is no mathematical name")
    tokens: list[_Token] = []
    position = letters = 0
    while position < len(word):
        name = _FUNCTION_START.match(word, position)
        if name:
            tokens.append(_Token("symbol" if name.group() == "pi" else "function", name.group()))
            position = name.end()
        else:
            tokens.append(_Token("symbol", word[position]))
            position += 1
            letters += 1
    if letters > 3:
        raise ExpressionError(f"{word!r} is no mathematical name")
    return tokens


def _tokens(text: str) -> list[_Token]:
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"an expression of {len(text)} characters; at most {MAX_LENGTH} are read")
    tokens: list[_Token] = []
    end = 0
    text = text.translate(_SPELLED)
    for match in _TOKEN.finditer(text):
        spaced, end = match.start() > end, match.end()
        if match.lastgroup == "word":
            tokens += _split_word(match.group())
        elif match.lastgroup == "number":
            tokens.append(_Token("number", match.group(), spaced))
        elif match.lastgroup == "operator" and match.group() != "=":
            tokens.append(_Token("^" if match.group() == "**" else match.group(), match.group()))
        else:
            raise ExpressionError(f"{match.group()!r} does not belong in an expression")
    return tokens


class _Parser:
    def __init__(self, tokens: list[_Token]) -> None:
        self.tokens, self.at, self.depth = tokens, 0, 0

    def peek(self) -> str:
        return self.tokens[self.at].kind if self.at < len(self.tokens) else ""

    def take(self) -> _Token:
        self.at += 1
        return self.tokens[self.at - 1]

    def sum(self) -> Expression:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise ExpressionError("too deeply nested")
        left = self.product()
        while self.peek() in ("+", "-"):
            left = Operation(self.take().kind, left, self.product())
        self.depth -= 1
        return left

    def product(self) -> Expression:
        left = self.signed()
        while True:
            if self.peek() in ("*", "/"):
                left = Operation(self.take().kind, left, self.signed())
            elif self.peek() in ("function", "symbol", "(") or self.is_number_beside_bracket():
                left = Operation("*", left, self.power())
            else:
                return left

    def is_number_beside_bracket(self) -> bool:
        return self.peek() == "number" and self.tokens[self.at - 1].kind == ")"

    def signed(self) -> Expression:
        signs = 0
        while self.peek() in ("-", "+"):
            signs += self.take().kind == "-"
        value = self.power()
        return Operation("-", Constant(Fraction(0)), value) if signs % 2 else value

    def power(self) -> Expression:
        base = self.postfix()
        if self.peek() != "^":
            return base
        self.take()
        return Operation("^", base, self.exponent())

    def exponent(self) -> Expression:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise ExpressionError("too deeply nested")
        negative = self.peek() == "-"
        if self.peek() in ("-", "+"):
            self.take()
        value = self.power()
        self.depth -= 1
        return Operation("-", Constant(Fraction(0)), value) if negative else value

    def postfix(self) -> Expression:
        value = self.atom()
        while self.peek() in ("%", "!"):
            if self.take().kind == "%":
                value = Operation("/", value, Constant(Fraction(100)))
            elif self.peek() == "!" or not (_is_small(value) or symbols_of(value)):
                raise ExpressionError("a factorial that is not read")
            else:
                value = Call("factorial", value)
        return value

    def atom(self) -> Expression:
        kind = self.peek()
        if kind == "number":
            return Constant(Fraction(self.take().text.replace(",", "")))
        if kind == "symbol":
            return Symbol(self.take().text)
        if kind == "function":
            return self.called()
        if kind in ("(", "|"):
            self.take()
            value = self.sum()
            if self.peek() != {"(": ")", "|": "|"}[kind]:
                raise ExpressionError("a bracket is not closed")
            self.take()
            return Call("abs", value) if kind == "|" else value
        raise ExpressionError("a number or name is missing")

    def called(self) -> Expression:
        """Read a function: of a bracket, of the product that follows ("sin 2x"), or raised ("sin^2 x")."""
        name = self.take().text
        raised: Expression | None = None
        if self.peek() == "^":
            self.take()
            raised = self.postfix()
        if self.peek() in ("(", "function"):
            argument = self.postfix()
        else:
            argument = self.power()
            while self.peek() == "symbol":
                argument = Operation("*", argument, self.power())
        value = Call(name, argument)
        return Operation("^", value, raised) if raised is not None else value


def _is_small(value: Expression) -> bool:
    return isinstance(value, Constant) and value.value.denominator == 1 and value.value <= MAX_FACTORIAL


def parse(text: str) -> Expression:
    """Return the tree of one expression.

    Raises:
        ExpressionError: `text` is not wholly one expression, or is too long or too deeply nested.
    """
    parser = _Parser(_tokens(text))
    tree = parser.sum()
    if parser.peek():
        raise ExpressionError(f"{parser.take().text!r} is not expected there")
    return tree


#: Letters that are words or endings unless they stand in a formula.
_ARTICLES = ("a", "A", "I", "s")


def _is_joined(text: str, match: re.Match[str], before: str, spaced: bool) -> bool:
    """Return whether a letter is glued to a number or bracket before it, or followed by a sign."""
    follows = text[match.end() : match.end() + 4].lstrip()[:1]
    return (before in ("number", "operator") and not spaced) or follows in tuple("+-*/^=")


def _split_at_bars(pieces: list[str]) -> list[list[str]]:
    parts: list[list[str]] = [[]]
    for piece in pieces:
        if piece == "|":
            parts.append([])
        else:
            parts[-1].append(piece)
    return parts


def _is_math_word(word: str) -> bool:
    lowered = word.lower()
    if lowered in FUNCTIONS or lowered in CONSTANTS or re.fullmatch("[xyz]{2,3}", word):
        return True
    if len(word) == 1:
        return word not in _ARTICLES
    return word[0] in "xyzt" and (word[1:] in FUNCTIONS or word[1:] in ("e", "pi"))


def _trimmed(pieces: list[str]) -> str:
    while pieces and pieces[0] in ("*", "/", "^", "=", ")", "+", "%", "!", "**"):
        pieces = pieces[1:]
    while pieces and pieces[-1] in ("+", "-", "*", "/", "^", "=", "(", "!", "**"):
        pieces = pieces[:-1]
    for surplus, side in ((")", -1), ("(", 0)):
        other = "(" if surplus == ")" else ")"
        while pieces and pieces[side] == surplus and pieces.count(surplus) > pieces.count(other):
            pieces = pieces[:-1] if side else pieces[1:]
    return " ".join(pieces)


def find_expressions(text: str, keep: Callable[[str], bool] = _is_math_word) -> list[str]:
    """Return the stretches of a sentence that look like mathematics, in order, equations included.

    Args:
        text: Any text; signs such as × and ² are spelled out in the result.
        keep: Which words belong to an expression.
    """
    found: list[str] = []
    pieces: list[str] = []

    def close() -> None:
        parts = [pieces] if pieces.count("|") % 2 == 0 else _split_at_bars(pieces)
        for part in parts:
            span = _trimmed(part)
            if any(character.isalnum() for character in span):
                found.append(span)
        pieces.clear()

    before, end = "", 0
    text = text.translate(_SPELLED)
    for match in _TOKEN.finditer(text):
        kind, piece = match.lastgroup or "other", match.group()
        spaced, end = match.start() > end, match.end()
        apart = spaced and kind in ("number", "word") and before in ("number", "word")
        is_name = kind == "word" and (keep(piece) or (piece in _ARTICLES and _is_joined(text, match, before, spaced)))
        if kind == "other" or (kind == "word" and not is_name):
            close()
            before = ""
            continue
        if apart and not (pieces and pieces[-1].lower() in FUNCTIONS) and piece.lower() not in FUNCTIONS | {"e", "pi"}:
            close()
        pieces.append(piece)
        before = kind
    close()
    return found
