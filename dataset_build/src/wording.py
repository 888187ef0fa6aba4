"""What makes two texts the same: their normal form, their words and figures, and the runs of words they are made of."""

import hashlib
import re
import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: Scripts that put no spaces between words (Thai to Myanmar, Khmer, Chinese, Japanese): each character is a word.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005\u3007\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
#: A number with its separators; a character of such a script; a word; a sign that changes what is asked.
_WORD = re.compile(
    rf"(?:(?<!\w)\.)?\d+(?:[.,:/-]\d+)*|[{_UNSPACED}]|[^\W\d{_UNSPACED}][^\W{_UNSPACED}]*|\w"
    r"|[+*/^=<>%&|~°√∫∑∏±×÷≤≥≠≈∞−$€£¥₹]|(?<!\w)-|-(?=\d)|(?<=\d)!"
)
#: Odd, with bits in no pattern: the fraction of the golden ratio, and the two constants of SplitMix64.
_GOLDEN, _FIRST_MIX, _SECOND_MIX = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


def normal(text: str) -> str:
    """Return the text without what is only form: case, the kind and number of spaces, how accents are composed."""
    return " ".join(unicodedata.normalize("NFC", text.casefold()).split())


def digest(text: str, reference: str | None = None) -> bytes:
    """Return 16 bytes that are equal for equal normal forms of text and reference; no reference differs from any."""
    parts = normal(text) if reference is None else f"{normal(text)}\0{normal(reference)}"
    return hashlib.blake2b(parts.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def words(text: str) -> list[str]:
    """Return the words, numbers and mathematical signs of a text in normal form; other punctuation is left out.

    A text without any of them (emoji, say) is one word.
    """
    text = normal(text)
    return _WORD.findall(text) or [text]


def figures(of: list[str]) -> list[str]:
    """Return those of the words that are signs or hold a digit: where they differ, another thing is asked."""
    return [word for word in of if not word.isalpha() and (len(word) == 1 or any(map(str.isnumeric, word)))]


def word_runs(of: list[str], length: int) -> "NDArray[np.uint64]":
    """Return a 64-bit hash of each run of `length` words, in order; they are the same in every process.

    Fewer words than that make one run.
    """
    import numpy as np

    hashes = np.fromiter(map(word_hash, of), dtype=np.uint64, count=len(of))
    length = min(length, len(of))
    runs = np.full(len(of) - length + 1, length, dtype=np.uint64)
    for offset in range(length):
        runs = runs * np.uint64(_GOLDEN) + hashes[offset : len(of) - length + 1 + offset]
    return mixed(runs)


def mixed(values: "NDArray[np.uint64]") -> "NDArray[np.uint64]":
    """Return 64-bit values in which every bit depends on every bit given (the finaliser of SplitMix64)."""
    import numpy as np

    values = (values ^ (values >> np.uint64(30))) * np.uint64(_FIRST_MIX)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(_SECOND_MIX)
    return values ^ (values >> np.uint64(31))


@lru_cache(maxsize=1 << 16)
def word_hash(word: str) -> int:
    """Return a 64-bit hash that is the same in every process, unlike `hash`."""
    return int.from_bytes(hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")
