"""Secrets that an endpoint repeats are replaced before anything is kept of what it said."""

import base64
import re
from collections.abc import Sequence
from functools import lru_cache
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
