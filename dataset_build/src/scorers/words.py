"""The words of a text in any script, and how much two sequences of words share."""

import re
import unicodedata
from collections.abc import Sequence

#: Scripts written without spaces: Thai, Lao, Burmese, Khmer, kana, Chinese characters. Each sign is a word.
UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff"
_SIGN = re.compile(rf"([{UNSPACED}])")
_WORD = re.compile(rf"[{UNSPACED}]|(?:(?![{UNSPACED}_])\w)+")


def words_of(text: str) -> list[str]:
    """Return the words of `text` in Unicode's compatibility form, without case: runs of letters and digits.

    >>> words_of("Don't shout: ＡＢＣ, 3.5 猫")
    ['don', 't', 'shout', 'abc', '3', '5', '猫']
    """
    if text.isascii():
        return _WORD.findall(text.lower())
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


def spaced(text: str) -> str:
    """Return `text` with spaces around every sign of a script that has none, for tokenizers that need them.

    >>> spaced("猫だ: a cat")
    ' 猫  だ : a cat'
    """
    return text if text.isascii() else _SIGN.sub(r" \1 ", text)


def longest_common_subsequence(first: Sequence[str], second: Sequence[str]) -> int:
    """Return the length of the longest sequence of words found in both in the same order.

    Bit-parallel (Crochemore et al. 2001): one integer of `len(first)` bits is the whole memory.
    """
    places: dict[str, int] = {}
    for index, word in enumerate(first):
        places[word] = places.get(word, 0) | 1 << index
    everything = (1 << len(first)) - 1
    row = everything
    for word in second:
        place = places.get(word)
        if place is not None:
            matched = row & place
            row = ((row + matched) | (row - matched)) & everything
    return len(first) - row.bit_count()


def f1(shared: int, given: int, expected: int) -> float:
    """Return the harmonic mean of `shared / given` (precision) and `shared / expected` (recall); 0 without words."""
    return 2 * shared / (given + expected) if given and expected else 0.0
