"""Python code in Black's style, by Black itself."""

from typing import Any

from dataset_build.src.errors import MissingDependencyError
from dataset_build.src.experts.base import CannotAnswerError, ToolExpert
from dataset_build.src.experts.tools.python_snippets import find_code
from dataset_build.src.records import Price

#: Longer or more deeply nested code is refused: the parser is slow and recurses.
_MAX_CODE, _MAX_BRACKETS = 5000, 400


class BlackFormatter(ToolExpert):
    """Formats the Python code in a text with Black's default mode."""

    tool_name = "black_formatter"
    tool_description = "Formats Python code exactly as Black does (black); slow."

    def __init__(self, name: str | None = None, *, price: Price | None = None, description: str | None = None) -> None:
        super().__init__(name, price=price, description=description)
        self._black: Any = None
        self._mode: Any = None

    def warm_up(self) -> None:
        """Import Black and format a little, which loads its grammars."""
        try:
            import black
        except ImportError as error:
            raise MissingDependencyError('Install the tools: pip install "moe-toolkit[tools]"') from error
        self._black, self._mode = black, black.Mode()
        black.format_str("def f(a):\n  if a: return {'a': [1, lambda: 2]}\n", mode=self._mode)

    def solve(self, text: str) -> str:
        """Return the formatted code.

        Raises:
            CannotAnswerError: no Python code in it, or code that does not parse.
        """
        code = find_code(text)
        if code is None:
            raise CannotAnswerError("no Python code in it")
        if len(code) > _MAX_CODE or sum(map(code.count, "([{")) > _MAX_BRACKETS:
            raise CannotAnswerError("the code is too long")
        if self._black is None:
            self.warm_up()
        try:
            return str(self._black.format_str(code, mode=self._mode)).rstrip("\n")
        except (self._black.InvalidInput, RecursionError) as error:
            raise CannotAnswerError("the code does not parse") from error
