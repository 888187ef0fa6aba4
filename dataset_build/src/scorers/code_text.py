"""Exact match of code, line by line."""

import re

from dataset_build.src.records import Instruction
from dataset_build.src.scorers.base import Scorer

_FENCE = re.compile(r"^(?:```|~~~)[\w+-]*[ \t]*\n(.*?)\n?^(?:```|~~~)[ \t]*$", re.DOTALL | re.MULTILINE)
_INLINE = re.compile(r"\A`([^`\n]+)`\Z")


def extract_code(text: str) -> list[str]:
    r"""Return the lines of the code in a response: those of its first fence, or all of it.

    >>> extract_code("Sure, here you go:\n```sql\nSELECT a FROM t;  \n```\nHope that helps")
    ['SELECT a FROM t']
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    fence = _FENCE.search(text)
    inline = _INLINE.match(text.strip())
    code = fence.group(1) if fence else inline.group(1) if inline else text
    lines = [line.rstrip() for line in code.split("\n")]
    while lines and not lines[0]:
        lines.pop(0)
    while lines and not lines[-1]:
        lines.pop()
    if lines and lines[-1].endswith(";"):
        lines[-1] = lines[-1].rstrip("; \t")
    return lines


class CodeText(Scorer):
    """1 when the lines of the code are equal, else 0.

    Indentation, letter case, inner spaces and blank lines within all count, for they are what is asked. Not
    counted: prose around a code fence, spaces at the ends of lines, blank lines before and after, and a
    semicolon that ends the whole (as queries do).
    """

    metric = "code_text"

    def compare(self, text: str, reference: str, instruction: Instruction) -> float:
        """Return 1.0 or 0.0."""
        return float(extract_code(text) == extract_code(reference))
