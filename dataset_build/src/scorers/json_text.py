r"""JSON in an answer: the whole of it, in a code fence, or on lines of its own between sentences.

'{"a": 1}'   'Sure!\n```json\n{"a": 1}\n```\nDone.'   'Here it is:\n{"a": 1}\nDone.'     all {"a": 1}
"""

import json
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import NoReturn

_FENCE = re.compile(r"^[ \t]{0,8}(?:```|~~~)[^\n`]*$", re.MULTILINE)
_OPENING = re.compile(r"^[ \t]*(?=[\[{])", re.MULTILINE)
#: Places of an answer where a value is looked for.
_MOST_TRIES = 20
#: Digits of an integer that is read as one; Python refuses more than 4,300.
_MOST_DIGITS = 4_000


class NotJsonError(ValueError):
    """There is no JSON value in a text."""


class TooDeepError(ValueError):
    """A value is nested deeper than can be read."""


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= _MOST_DIGITS else float(digits)


_DECODER = json.JSONDecoder(parse_constant=_refuse, parse_int=_integer)


def extract_json(text: str, *, whole: bool = False, kind: type | None = None) -> object:
    """Return the JSON value of an answer: all of it, else the first fence that is one, else the first such lines.

    Numbers are Python's; `NaN` and `Infinity`, which Python would read, are no JSON.

    Args:
        text: An answer.
        whole: Whether nothing may stand around the value.
        kind: What it is to be, `dict` or `list`; another one is returned only where there is none of these.

    Raises:
        NotJsonError: there is none.
        TooDeepError: there may be one, nested too deeply to be read.
    """
    bare = text.strip().removeprefix("\ufeff")
    too_deep = False
    others: list[object] = []
    for place, fills in [(bare, True), *(() if whole else _places(bare))]:
        try:
            value, end = _DECODER.raw_decode(place.lstrip())
        except RecursionError:
            too_deep = True
        except ValueError:
            continue
        else:
            rest = place.lstrip()[end:]
            if not (rest if fills else rest.partition("\n")[0]).strip():
                if kind is None or isinstance(value, kind):
                    return value
                others.append(value)
    if others:
        return others[0]
    if too_deep:
        raise TooDeepError("its JSON is nested too deeply to be read")
    raise NotJsonError("there is no JSON in it")


def _places(text: str) -> Iterator[tuple[str, bool]]:
    """Yield where values may stand, and whether they have to fill the place: in fences, then from some line on."""
    fences = [fence.span() for fence, _ in zip(_FENCE.finditer(text), range(_MOST_TRIES), strict=False)]
    yield from ((text[opened[1] : closed[0]], True) for opened, closed in pairwise(fences))
    yield from (
        (text[line.end() :], False) for line, _ in zip(_OPENING.finditer(text), range(_MOST_TRIES), strict=False)
    )
