"""The Python code inside a text."""

import ast
import re
import warnings

#: Longer texts are not read.
MAX_LENGTH = 8000
#: Lines at each end of a run that may turn out to be prose.
_MAX_TRIM = 3

_FENCE = re.compile(r"(?:```|~~~)(?:python|py)?[ \t]*\n(.*?)\n?(?:```|~~~)", re.DOTALL | re.IGNORECASE)
_OTHER_FENCE = re.compile(r"```(?!python|py)\w+[ \t]*\n", re.IGNORECASE)
_CODE_LINE = re.compile(
    r"^\s|^(?:def|class|if|elif|else|for|while|try|except|with|import|from|return|del|assert|print|@)\b|[=(\[{]|^[)\]}]|^$"
)
#: A text without any of these holds no code.
_SIGN = re.compile(r"```|~~~|\n[^\n]*[=(:]")


def parses(code: str) -> bool:
    """Return whether `code` is Python."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            ast.parse(code)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return False
    return True


def find_code(text: str) -> str | None:
    """Return the fenced Python in `text`, or its longest run of lines that is Python, or None."""
    if len(text) > MAX_LENGTH or not _SIGN.search(text) or _OTHER_FENCE.search(text):
        return None
    fence = _FENCE.search(text)
    if fence:
        return fence.group(1) or None
    best = ""
    run: list[str] = []
    for line in [*text.split("\n"), "the end"]:
        if _CODE_LINE.search(line):
            run.append(line)
            continue
        best = max(best, _code_within(run), key=len)
        run = []
    return best or None


def _code_within(run: list[str]) -> str:
    """Return the longest Python in a run of lines, a few at each end left off if need be, or an empty string."""
    for cut in range(2 * _MAX_TRIM + 1):
        for head in range(max(0, cut - _MAX_TRIM), min(cut, _MAX_TRIM) + 1):
            code = "\n".join(run[head : len(run) - (cut - head)]).strip("\n")
            if re.search(r"[=(:]", code) and parses(code):
                return code
    return ""
