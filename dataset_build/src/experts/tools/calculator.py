"""A pocket calculator: finds the sum in a sentence and works it out exactly, in microseconds."""

import re

from dataset_build.src.exact_arithmetic import exact_value
from dataset_build.src.experts.base import CannotAnswerError, ToolExpert
from dataset_build.src.experts.tools.math_language import number_text, to_signs
from dataset_build.src.expressions import ExpressionError, find_expressions

#: Longer instructions are not looked at.
MAX_LENGTH = 2000
#: Longest whole number written out, in bits (Python refuses to print far longer ones).
MAX_ANSWER_BITS = 2000

_HINT = re.compile(
    r"\d[\d,.)]*\s*(?:[-+*/^×÷·−²³(%]|x\s*\d|plus\b|minus\b|less\b|times\b|multiplied\b|divided\b|over\b"
    r"|take away\b|added\b|percent\b|squared\b|cubed\b|to the power\b|raised\b)|√|square root",
    re.IGNORECASE,
)
_VARIABLE = re.compile(r"(?<![A-Za-z'])[b-hj-zB-HJ-Z](?![A-Za-z'])|\d{4}-\d\d-\d\d|\d/\d{1,2}/\d")
_OPERATOR = re.compile(r"\w.*[-+*/^]|sqrt")


class Calculator(ToolExpert):
    """Answers with the value of the longest arithmetic expression it sees; knows signs and infix words only."""

    tool_name = "calculator"
    tool_description = "Pocket calculator: works out sums, products, powers and percentages written with signs."

    def solve(self, text: str) -> str:
        """Return the value of the longest expression in `text`."""
        if len(text) > MAX_LENGTH or not _HINT.search(text):
            raise CannotAnswerError("there is no sum in it")
        text = to_signs(text)
        if _VARIABLE.search(text):
            raise CannotAnswerError("it has more than numbers in it")
        spans = [span for span in find_expressions(text, keep=_is_root) if "=" not in span and _OPERATOR.search(span)]
        for span in sorted(spans, key=len, reverse=True):
            try:
                value = exact_value(span)
            except ExpressionError:
                continue
            if max(value.numerator.bit_length(), value.denominator.bit_length()) > MAX_ANSWER_BITS:
                raise CannotAnswerError("the result is too large")
            return number_text(value)
        raise CannotAnswerError("there is no sum in it that can be worked out")


def _is_root(word: str) -> bool:
    return word.lower() == "sqrt"
