"""Secrets that an endpoint repeats are replaced before anything is kept of what it said."""

import base64
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import quote, quote_plus

#: Characters from which on a secret is looked for in other spellings too.
LONG_SECRET = 8
_URL_SAFE = bytes.maketrans(b"+/", b"-_")


def masked(text: str, hidden: Sequence[str]) -> str:
    """Return `text` with every secret replaced by `***`.

    One that is long enough to be no common word is found in upper and lower case, quoted for a URL and in base64 too.
    """
    for secret in hidden:
        text = text.replace(secret, "***")
        if len(secret) < LONG_SECRET:
            continue
        as_written, in_any_case = _spellings(secret)
        for spelling in as_written:
            text = text.replace(spelling, "***")
        lower = text.lower()
        for spelling in in_any_case:
            if spelling.lower() in lower:
                text = re.sub(re.escape(spelling), "***", text, flags=re.IGNORECASE)
    return text


def masked_json(value: Any, hidden: Sequence[str]) -> Any:  # noqa: ANN401 - any JSON value
    """Return a JSON value with every secret in its texts replaced, keys included."""
    if not hidden:
        return value
    if isinstance(value, str):
        return masked(value, hidden)
    if isinstance(value, Mapping):
        return {masked_json(key, hidden): masked_json(one, hidden) for key, one in value.items()}
    return [masked_json(one, hidden) for one in value] if isinstance(value, list) else value


class PieceMask:
    """Masks a text that arrives in pieces: what may be the beginning of a secret is held back until it is known.

    Args:
        hidden: The secrets.
    """

    def __init__(self, hidden: Sequence[str]) -> None:
        self._hidden = hidden
        spelled = [spelling for secret in hidden for spelling in _all_spellings(secret)]
        self._spellings = tuple(dict.fromkeys(spelling.lower() for spelling in spelled))
        self._longest = max(map(len, self._spellings), default=0)
        self._firsts = frozenset(spelling[0] for spelling in self._spellings)
        self._held = ""

    def feed(self, text: str) -> str:
        """Take in a piece and return what may be shown by now."""
        text = masked(self._held + text, self._hidden)
        lower = text.lower()
        # In some languages the lower case is longer; then a few characters too many are held.
        for start in range(max(0, len(lower) - self._longest + 1), len(lower)):
            if lower[start] in self._firsts and any(one.startswith(lower[start:]) for one in self._spellings):
                held = min(len(lower) - start, len(text))
                self._held = text[len(text) - held :]
                return text[: len(text) - held]
        self._held = ""
        return text

    def flush(self) -> str:
        """Return what is held back, after the last piece."""
        held, self._held = self._held, ""
        return held


def _all_spellings(secret: str) -> tuple[str, ...]:
    if len(secret) < LONG_SECRET:
        return (secret,)
    as_written, in_any_case = _spellings(secret)
    return (*in_any_case, *as_written)


@lru_cache(maxsize=64)
def _spellings(secret: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what a secret looks like in base64, alone and inside a longer text, and in forms whose case may differ."""
    key = secret.encode("ascii", "replace")
    encoded = [base64.b64encode(key)]
    for before in range(3):  # bytes of its first group of three that belong to something else
        whole = base64.b64encode(b"\0" * before + key)
        encoded.append(whole[(0, 2, 3)[before] : (before + len(key)) * 8 // 6])
    encoded += [part.translate(_URL_SAFE) for part in encoded]
    quoted = dict.fromkeys((secret, quote(secret), quote(secret, safe=""), quote_plus(secret)))
    longest_first = sorted({part.decode() for part in encoded}, key=len, reverse=True)
    return tuple(longest_first), tuple(quoted)
