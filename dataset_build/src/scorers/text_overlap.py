"""How much of a reference text is in an answer, and how little else.

reference "The cat sat.", answer "The cat sat."          1.0
reference "The cat sat.", answer "the cat SAT"           1.0
reference "The cat sat.", answer "Sat the cat?"          0.83   (all the words, two of three in order)
reference "The cat sat.", answer "A dog ran."            0.0
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

from dataset_build.src.records import Instruction
from dataset_build.src.scorers.base import Scorer

#: Characters and words of either text that are read; what comes after does not count.
MAX_LENGTH, MAX_WORDS = 20_000, 2_000

#: Scripts written without spaces: Thai, Lao, Burmese, Khmer, kana, Chinese characters. Each sign is a word.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
_WORD = re.compile(rf"[{_UNSPACED}]|(?:(?![{_UNSPACED}_])\w)+")


def words_of(text: str) -> list[str]:
    """Return the words of `text` in Unicode's compatibility form, without case; bounded as the module says.

    >>> words_of("Don't shout: ＡＢＣ, 3.5 猫")
    ['don', 't', 'shout', 'abc', '3', '5', '猫']
    """
    return _WORD.findall(unicodedata.normalize("NFKC", text[:MAX_LENGTH]).casefold())[:MAX_WORDS]


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
        matched = row & places.get(word, 0)
        row = ((row + matched) | (row - matched)) & everything
    return len(first) - row.bit_count()


def f1(shared: int, given: int, expected: int) -> float:
    """Return the harmonic mean of `shared / given` (precision) and `shared / expected` (recall); 0 without words."""
    return 2 * shared / (given + expected) if given and expected else 0.0


class TextOverlap(Scorer):
    """(token F1 + ROUGE-L F1) / 2, in [0, 1].

    With a words in the answer and r in the reference:

    - token F1 = 2c / (a + r), c the number of words in common, repeated ones counted as often as in both
      (Rajpurkar et al. 2016);
    - ROUGE-L F1 = 2l / (a + r), l the length of their longest common subsequence (Lin 2004, beta = 1).

    The first rewards the right words, the second the right order. Words are runs of Unicode letters and digits
    without case, and no articles are dropped. The same text scores 1. Of either text the first 20,000 characters and
    2,000 words count. A reference without any word is compared as it stands; a blank one cannot be judged.
    """

    metric = "text_overlap"

    def compare(self, text: str, reference: str, instruction: Instruction) -> float | None:
        """Return the overlap, or None when the reference is blank."""
        expected = words_of(reference)
        if not expected:
            return float(text.strip() == reference.strip()) if reference.strip() else None
        given = words_of(text)
        common = (Counter(given) & Counter(expected)).total()
        in_order = longest_common_subsequence(expected, given)
        sizes = len(given), len(expected)
        return (f1(common, *sizes) + f1(in_order, *sizes)) / 2
