"""Exact match of code, line by line."""

import re

from dataset_build.src.records import Instruction
from dataset_build.src.scorers.base import Scorer

_OPENING = re.compile(r"(?:```|~~~)[ \t]*[\w+-]*[ \t]*")
_CLOSING = re.compile(r"(?:```|~~~)[ \t]*")
_INLINE = re.compile(r"\A`([^`\n]+)`\Z")


def extract_code(text: str) -> list[str]:
    r"""Return the lines of the code in a response: those of its first fence, or all of it.

    >>> extract_code("Sure, here you go:\n```sql\nSELECT a FROM t;  \n```\nHope that helps")
    ['SELECT a FROM t']
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    inline = _INLINE.match(text.strip())
    lines = [line.rstrip() for line in (inline.group(1) if inline else text).split("\n")]
    opened = next((number for number, line in enumerate(lines) if _OPENING.fullmatch(line)), None)
    if opened is not None:
        rest = lines[opened + 1 :]
        # A fence that never closes was cut off, or forgotten.
        closed = next((number for number, line in enumerate(rest) if _CLOSING.fullmatch(line)), len(rest))
        lines = rest[:closed]
    filled = [number for number, line in enumerate(lines) if line]
    lines = lines[filled[0] : filled[-1] + 1] if filled else []
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
    max_length = 1_000_000

    def compare(self, text: str, reference: str, instruction: Instruction) -> float:
        """Return 1.0 or 0.0."""
        return float(extract_code(text) == extract_code(reference))
