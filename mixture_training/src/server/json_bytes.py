"""JSON to and from bytes: by orjson where it is installed, else by the standard library, with equal results.

What is read holds no NaN and no half of a surrogate pair, so that whatever came in can be written out again.
"""

import json
import math
from collections.abc import Callable
from functools import cache
from typing import Any

_Reader = Callable[[bytes], Any]
_Writer = Callable[[Any], bytes]


def read_json(data: bytes) -> Any:  # noqa: ANN401 - whatever the client sent
    """Return what `data` holds.

    Raises:
        ValueError: it is no JSON, is nested too deeply, or holds NaN or half of a surrogate pair.
    """
    reader = _codec()[0]
    try:
        return reader(data)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def write_json(value: object) -> bytes:
    """Return `value` as compact JSON in UTF-8; NaN and infinity become null, halves of surrogate pairs `?`."""
    return _codec()[1](value)


@cache
def _codec() -> tuple[_Reader, _Writer]:
    try:
        import orjson
    except ImportError:
        return _read, _write

    def write(value: object) -> bytes:
        try:
            return orjson.dumps(value, default=_plain)
        except TypeError:  # half of a surrogate pair, or a number of more than 64 bits: an expert may answer anything
            return _write(value)

    return orjson.loads, write


def _read(data: bytes) -> Any:  # noqa: ANN401
    text = data.decode("utf-8")
    value = json.loads(text, parse_constant=_no_constant, parse_float=_finite)
    if "\\u" in text and ("\\ud" in text or "\\uD" in text):
        try:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        except UnicodeEncodeError:
            raise ValueError("it holds half of a surrogate pair") from None
    return value


def _write(value: object) -> bytes:
    try:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=_plain)
    except ValueError:
        text = json.dumps(_finite_only(value), ensure_ascii=False, separators=(",", ":"), default=_plain)
    return text.encode("utf-8", "replace")


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is too large a number")
    return number


def _finite_only(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite_only(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite_only(part) for part in value]
    return value


def _plain(value: object) -> object:
    """Return mappings and sets that are no dict or list as one that JSON knows."""
    if hasattr(value, "items"):
        return dict(value.items())
    if isinstance(value, frozenset | set):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} is no JSON")
