"""Python code tidied token by token: spaces, quotes, indentation, blank lines. Fast; joins or splits no line."""

import io
import keyword
import re
import tokenize

from dataset_build.src.experts.base import CannotAnswerError, ToolExpert
from dataset_build.src.experts.tools.python_snippets import find_code

_SPACED = frozenset(
    ("=", "==", "!=", "<=", ">=", "<", ">", "->", ":=", "+=", "-=", "*=", "/=")
    + ("+", "-", "*", "/", "//", "%", "&", "|", "^", "<<", ">>")
)
_SKIPPED = (tokenize.ENCODING, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
_MAX_CODE = 5000


def _double_quoted(literal: str) -> str:
    simple = re.fullmatch(r"([a-zA-Z]{0,2})'([^'\"\\{]*)'", literal)
    return f'{simple.group(1)}"{simple.group(2)}"' if simple else literal


class _Line:
    """One logical line, written token by token."""

    def __init__(self) -> None:
        self.text = self.last = ""
        self.brackets: list[str] = []
        self.unary = self.name = self.annotated = False

    def add(self, token: tokenize.TokenInfo) -> None:
        """Write one token with the space before it that style wants."""
        text = _double_quoted(token.string) if token.type == tokenize.STRING else token.string
        if token.type == tokenize.COMMENT:
            text = re.sub(r"^#(?=[^\s!#:])", "# ", text)
            self.text += f"  {text}" if self.text else text
            return
        is_name = token.type in (tokenize.NAME, tokenize.NUMBER, tokenize.STRING)
        if self.text and self._wants_space(text, is_name):
            self.text += " "
        if text in ("(", "[", "{"):
            self.brackets.append(text)
        elif text in (")", "]", "}") and self.brackets:
            self.brackets.pop()
        if text == ":" and self.brackets == ["("]:
            self.annotated = True
        if text == ",":
            self.annotated = False
        operand_before = self.name or self.last in (")", "]", "}")
        self.unary = text in ("-", "+", "*", "**", "~") and not operand_before
        self.name = is_name and not (keyword.iskeyword(text) and text not in ("None", "True", "False"))
        self.text += text
        self.last = text

    def _wants_space(self, text: str, is_name: bool) -> bool:
        inside = self.brackets[-1] if self.brackets else ""
        if (
            self.unary
            or self.last in ("(", "[", "{", ".", "**", "@", "~")
            or text in (")", "]", "}", ",", ":", ".", "**")
        ):
            return False
        if text == "=" or self.last == "=":
            return inside != "(" or self.annotated
        if self.last in (",", ";") or text in _SPACED or self.last in _SPACED:
            return True
        if self.last == ":":
            return inside != "["
        if text in ("(", "["):
            return not self.name and self.last not in (")", "]", "}")
        return True


class PythonTidier(ToolExpert):
    """Rewrites each line by its tokens; knows nothing of line length, redundant brackets or trailing commas."""

    tool_name = "python_tidier"
    tool_description = "Tidies spaces, quotes, indentation and blank lines of Python code token by token; fast, rough."

    def solve(self, text: str) -> str:
        """Return the tidied code.

        Raises:
            CannotAnswerError: no Python code in it, or code that has no tokens.
        """
        code = find_code(text)
        if code is None or len(code) > _MAX_CODE:
            raise CannotAnswerError("no Python code of bearable length in it")
        try:
            return tidy(code)
        except (tokenize.TokenError, SyntaxError) as error:
            raise CannotAnswerError("the code does not parse") from error


def tidy(code: str) -> str:
    """Return `code` with its spaces, simple quotes, indentation and blank lines as style wants them.

    Raises:
        tokenize.TokenError: a bracket or string is not closed.
        SyntaxError: the indentation is inconsistent.
    """
    lines: list[str] = []
    line, depth, blanks = _Line(), 0, 0
    for token in tokenize.generate_tokens(io.StringIO(code + "\n").readline):
        if token.type == tokenize.INDENT:
            depth += 1
        elif token.type == tokenize.DEDENT:
            depth -= 1
        elif token.type == tokenize.NL and not line.text:
            blanks += 1
        elif token.type == tokenize.NEWLINE or (token.type == tokenize.NL and not line.brackets):
            lines += [""] * _blank_lines(lines, line.text, depth, blanks) + ["    " * depth + line.text]
            line, blanks = _Line(), 0
        elif token.type not in _SKIPPED:
            line.add(token)
    return "\n".join(lines)


def _blank_lines(before: list[str], line: str, depth: int, blanks: int) -> int:
    """Return how many blank lines belong before `line`: two around top-level definitions."""
    if not before:
        return 0
    wanted = 2 if depth == 0 else 1
    last = before[-1]
    if line.startswith(("def ", "class ", "@")) and not last.strip().startswith("@") and not last.endswith(":"):
        return wanted
    if depth == 0 and last.startswith(" ") and _definition_above(before) and not line.startswith(("else", "except")):
        return 2
    return min(blanks, wanted)


def _definition_above(before: list[str]) -> bool:
    top = next((line for line in reversed(before) if line and not line.startswith(" ")), "")
    return top.startswith(("def ", "class "))
