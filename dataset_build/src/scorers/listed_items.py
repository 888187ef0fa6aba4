r"""The items of a list as people and models write one: a JSON array, bullets, numbers, lines, or commas in a sentence.

'Sure! The primary colours are:\n1. **Red**: warm\n2. Yellow\n- Blue'     Red, Yellow, Blue
'They are red, yellow and blue.'                                          red, yellow, blue
'["red", "yellow", "blue"]'                                               red, yellow, blue
"""

import json
import re
from collections.abc import Collection

from dataset_build.src.scorers.answer_text import stated_answer
from dataset_build.src.scorers.exact_match import normalise_answer
from dataset_build.src.scorers.json_text import NotJsonError, TooDeepError, extract_json

_MARKED = re.compile(r"[ \t]*(?:[-*•–·‣▪◦+]|\(?\d{1,3}[.)]|\(?[a-z][.)])[ \t]+(\S.*)")
_BOLD_HEAD = re.compile(r"(\*\*|__)(.+?)\1")
_HEAD = re.compile(r"(.+?)(?:\s+[-–—]\s+|\s*:\s+|\s+\()")
_LEAD_IN = re.compile(
    r"\A(?:.*?(?::|=)|.*?\b(?:are|is|include|includes|including|were|was|sind|sont|son|são|sono|zijn|это))\s+(?=\S)",
    re.I,
)
_LAST = re.compile(r"\A(?:and|or|und|oder|et|ou|y|o|e|en|и|или|&)\s+", re.IGNORECASE)
_JOINED = re.compile(r"\s+(?:and|or|und|oder|et|ou|y|e|en|и|или|&)\s+", re.IGNORECASE)
_SEPARATORS = (r"\s*[;；|]\s*", r"\s*、\s*|\s*，\s*|\s*،\s*|,\s+", r",(?!(?<=\d,)\d{3}(?!\d))")
_ANNOUNCED_ARRAY = re.compile(r"[^\[\]\n]{1,60}[:：=]\s*(\[.*\])\s*\.?\Z", re.DOTALL)
#: The same in scripts without spaces, where these signs stand in words too: only what is expected is split off.
_JOINED_UNSPACED = re.compile("と|和|与|與|及|跟|或")
#: Who separates items so leaves an "and" to the items.
_STRONG = re.compile(r"[;；|]")
_BRACKETS = {"[": "]", "(": ")", "{": "}"}
_FENCE_LINE = re.compile(r"[ \t]*```[\w+-]*[ \t]*")


def extract_items(text: str, expected: Collection[str] = ()) -> list[str]:
    r"""Return the items of the list in `text`, each as `exact_match` compares it.

    Args:
        text: An answer or a reference.
        expected: Items in that form. They decide where there are two readings: whether "Trinidad and Tobago" is one
            item or two, and whether what follows "Mars:" in a marked item belongs to it.

    >>> extract_items("It has red, green and blue.")
    ['it has red', 'green', 'blue']
    >>> extract_items("- red\n- **Green** (a colour)")
    ['red', 'green']
    """
    text = stated_answer(text).strip()
    found = _array(text)
    if found is None:
        found = [part for line in _lines(text) for item in _split(line, expected) for part in _unspaced(item, expected)]
    else:
        found = [normalise_answer(item) for item in found]
    return [item for item in found if item]


def _array(text: str) -> list[str] | None:
    if "[" not in text:
        return None
    announced = _ANNOUNCED_ARRAY.match(text)
    try:
        value = extract_json(announced[1] if announced else text)
    except (NotJsonError, TooDeepError):
        return None
    if isinstance(value, dict) and len(value) == 1:
        value = next(iter(value.values()))
    if not isinstance(value, list):
        return None
    return [item if isinstance(item, str) else json.dumps(item, ensure_ascii=False) for item in value]


def _lines(text: str) -> list[tuple[str, bool]]:
    """Return the lines that hold items, each with whether it is marked as one."""
    lines = [line for line in text.splitlines() if line.strip() and not _FENCE_LINE.fullmatch(line)]
    marked = [match[1] for match in map(_MARKED.fullmatch, lines) if match]
    if len(marked) > 1 or (marked and len(lines) == 1):
        return [(line, True) for line in marked]
    rest = [line for line in lines if not line.rstrip(" *_").endswith((":", "："))] or lines
    return [(line, len(rest) > 1 and not re.search(r"[,;、，|]", line)) for line in rest]


def _split(line_and_mark: tuple[str, bool], expected: Collection[str]) -> list[str]:
    line, is_item = line_and_mark
    if is_item:
        return [_marked(line, expected)]
    whole = normalise_answer(line)
    if whole in expected:
        return [whole]
    line = line.strip().rstrip(".。").strip()
    if line[:1] in _BRACKETS and line.endswith(_BRACKETS[line[0]]):
        line = line[1:-1]
    parts = _parts(line)
    if len(parts) < 2 and not _JOINED.search(line):
        return [whole]
    first = _LEAD_IN.sub("", parts[0])
    if first != parts[0] and normalise_answer(parts[0]) not in expected:
        parts[0] = first
    items = []
    for number, part in enumerate(parts):
        bare = normalise_answer(part)
        if bare in expected or number < len(parts) - 1:
            items.append(bare)
            continue
        last = part if len(parts) == 1 else _LAST.sub("", part)
        joined = not _STRONG.search(line) and normalise_answer(last) not in expected and _JOINED.split(last, maxsplit=1)
        items += [normalise_answer(one) for one in joined or [last]]
    return items


def _unspaced(item: str, expected: Collection[str]) -> list[str]:
    parts = [part.strip() for part in _JOINED_UNSPACED.split(item)] if item not in expected else [item]
    return parts if any(part in expected for part in parts) else [item]


def _parts(line: str) -> list[str]:
    for separator in _SEPARATORS:
        parts = re.split(separator, line)
        if len(parts) > 1:
            return parts
    return [line]


def _marked(line: str, expected: Collection[str]) -> str:
    whole = normalise_answer(line)
    if whole in expected:
        return whole
    bold = _BOLD_HEAD.match(line)
    if bold:
        return normalise_answer(bold[2].rstrip(": "))
    head = _HEAD.match(line)
    if head and (normalise_answer(head[1]) in expected or not expected):
        return normalise_answer(head[1])
    return whole
