r"""Is an answer the same Python value as the reference, however it is quoted and spaced?

    reference "[(4, 1), (2, 3)]",   answer '{"reasoning": "…", "answer": "[(4,1),(2,3)]"}'     1.0
    reference "'bcksrut'",          answer '"answer": "bcksrut"'                               1.0
    reference "{'a': 1}",           answer "assert f(x) == {'a': 1}"                           1.0

Values are read as literals, never evaluated; True is not 1, and a list is not a tuple.
"""

import ast
import re
import warnings

from dataset_build.src.code_answers import MAX_DEPTH
from dataset_build.src.records import Instruction
from dataset_build.src.scorers.answer_text import stated_answer
from dataset_build.src.scorers.base import Scorer

#: An answer this much longer is read from its end only.
MAX_LENGTH = 20_000

_FENCE = re.compile(r"```[\w+-]*[ \t]*\n(.*?)(?:```|\Z)", re.DOTALL)
_TAGGED = re.compile(r"\[ANSWER\](.*?)(?:\[/ANSWER\]|\Z)", re.DOTALL)
_SAYS = re.compile(r"(?:\banswer|\boutput|\bresult|\breturns?)\b[^\n:=]{0,40}?(?:is|:|=)+\s*(.+)", re.IGNORECASE)


def literal(text: str) -> tuple[bool, object]:
    """Return whether a text is a literal, and its value.

    >>> literal(" [1, 'a'] ")
    (True, [1, 'a'])
    """
    text = text.strip()
    if not text or sum(map(text.count, "([{")) > len(text) // 2 + MAX_DEPTH or re.search(r"[-+~(\[{]{90}", text):
        return False, None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return True, ast.literal_eval(text)
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        return False, None


def same_value(one: object, other: object) -> bool:
    """Return whether two literals are equal and of the same types all the way down."""
    if type(one) is not type(other):
        return {type(one), type(other)} == {int, float} and one == other
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same_value, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return len(one) == len(other) and all(
            any(same_value(key, known) and same_value(value, inner) for known, inner in other.items() if known == key)
            for key, value in one.items()
        )
    return one == other


def _candidates(text: str) -> list[str]:
    """Return what the answer may be, the likeliest first."""
    stated = stated_answer(text)
    if stated is not text:
        found = [stated]
    else:
        text = text[-MAX_LENGTH:]
        tagged = _TAGGED.findall(text)
        found = [tagged[-1]] if tagged else [text]
        found += [*_FENCE.findall(text)[-1:], *_SAYS.findall(text)[-1:], *text.strip().splitlines()[-1:]]
    behind = [part.rpartition("==")[2] for part in found if "==" in part]
    bare = [part.strip().rstrip(".").strip("`") for part in found]
    return [*found, *behind, *bare]


def _is_text(part: str, right: str) -> bool:
    """Return whether a string stands there without its quotes, with or without escapes."""
    escaped = part.replace("\\n", "\n").replace("\\t", "\t").replace("\\'", "'").replace('\\"', '"')
    return right in (part, part.strip(), escaped)


class PythonLiteral(Scorer):
    """1.0 when the answer is the value the reference is, else 0.0.

    The answer is the field `answer` of a JSON object, what stands between `[ANSWER]` and `[/ANSWER]`, in a fence,
    behind "the output is", behind `==`, or the last line. A string may stand without its quotes.
    """

    metric = "python_literal"

    def compare(self, text: str, reference: str, instruction: Instruction) -> float | None:
        """Return 1.0 or 0.0."""
        is_literal, right = literal(reference)
        if not is_literal:
            right = reference.strip()
        for part in _candidates(text):
            if isinstance(right, str) and _is_text(part, right):
                return 1.0
            found, value = literal(part)
            if found:
                return float(same_value(value, right))
        return 0.0
