r"""What of a response is the answer: without what was thought aloud, and out of the JSON it may be wrapped in.

"<think>9? No.</think>\nIt is 8."                      It is 8.
'```json\n{"reasoning": "…", "answer": "8"}\n```'      8
"""

import json
import re
from collections.abc import Sequence
from typing import Any

#: Longer responses are not searched for a JSON object.
_MAX_LENGTH = 200_000
_ANSWER_KEYS = ("answer", "final_answer", "Answer", "final answer", "Final Answer", "finalAnswer")
_DECODER = json.JSONDecoder(strict=False)
_FENCE = re.compile(r"```(?:json|JSON)?[ \t]*\r?\n(\s*\{.*?)(?:\n[ \t]*```|\Z)", re.DOTALL)
_KEY = re.compile(r'"(?:final[_ ]?)?answer"\s*:\s*', re.IGNORECASE)


def visible_answer(text: str) -> str:
    """Return `text` without the reasoning that some models write before their answer, between `<think>` tags.

    A response that was cut off while thinking has no answer: an empty text.

    >>> visible_answer("<think>maybe 3</think> 4")
    ' 4'
    """
    _, closed, answer = text.rpartition("</think>")
    if closed:
        return answer
    return "" if text.startswith("<think>") else text


def stated_answer(text: str) -> str:
    r"""Return the field `answer` of a response that is a JSON object, fenced or not; any other text as it is.

    An object that is cut off or not quite JSON is read as far as its answer goes. Lists, objects and booleans come
    back as JSON.

    >>> stated_answer('{"reasoning": "4 + 4", "answer": 8}')
    '8'
    """
    if len(text) > _MAX_LENGTH or "nswer" not in text:
        return text
    bare = text.strip()
    if not bare.startswith("{"):
        fence = _FENCE.search(bare)
        opened = bare.rfind("\n{")
        if fence is None and opened < 0:
            return text
        bare = bare[opened + 1 :] if fence is None else fence[1].strip()
    try:
        value, _ = _DECODER.raw_decode(bare)
    except (ValueError, RecursionError):
        return _answer_in_pieces(bare) or text
    for key in _ANSWER_KEYS:
        if isinstance(value, dict) and value.get(key) is not None:
            found = value[key]
            return found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)
    return text


def _answer_in_pieces(text: str) -> str:
    """Return what follows the last key `answer` of something that was meant to be a JSON object."""
    keys = list(_KEY.finditer(text))
    if not keys:
        return ""
    rest = text[keys[-1].end() :].strip().removesuffix("}").rstrip().removesuffix(",").rstrip()
    if rest.startswith('"'):
        return rest[1:].removesuffix('"').strip()
    return re.split(r"[,}\n]", rest, maxsplit=1)[0].strip()


def listed(value: object) -> Sequence[Any]:
    """Return the values of a field that holds several: a list, an array, a JSON list, or `a|b|c`; () for none.

    >>> listed('["red", "blue"]'), listed("red|blue"), listed(None)
    (['red', 'blue'], ['red', 'blue'], ())
    """
    if isinstance(value, str):  # a cell of a CSV file, or of a dataset read back
        try:
            found = json.loads(value)
        except (ValueError, RecursionError):
            found = None
        return found if isinstance(found, list) else [part.strip() for part in value.split("|") if part.strip()]
    if hasattr(value, "tolist"):  # a NumPy array
        value = value.tolist()
    return value if isinstance(value, list | tuple) else ()
