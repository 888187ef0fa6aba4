"""ROUGE-1, ROUGE-2 and ROUGE-L: how many words, pairs of words, or words in order an answer shares with a reference.

reference "the cat sat on the mat", answer "The cat lay on the mat."     ROUGE-1 0.83   ROUGE-2 0.6   ROUGE-L 0.83

C.-Y. Lin, "ROUGE: A Package for Automatic Evaluation of Summaries", 2004; the F1, as the package rouge-score gives it.
"""

import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from functools import lru_cache
from typing import Literal

from dataset_build.src.records import Instruction
from dataset_build.src.scorers.base import Scorer, needed
from dataset_build.src.scorers.words import f1, longest_common_subsequence, words_of

_ASCII_WORD = re.compile(r"[a-z0-9]+")
#: Words whose stems are remembered, and the length up to which a word is not stemmed.
_REMEMBERED, _SHORT = 65_536, 3


def extract_words(text: str, tokenizer: str = "unicode", stem: Callable[[str], str] | None = None) -> list[str]:
    """Return the words ROUGE counts.

    >>> extract_words("Zoë's cat"), extract_words("Zoë's cat", "ascii")
    (['zoë', 's', 'cat'], ['zo', 's', 'cat'])
    """
    words = words_of(text) if tokenizer == "unicode" else _ASCII_WORD.findall(text.lower())
    if stem is None:
        return words
    return [stem(word) if len(word) > _SHORT else word for word in words]


class _Rouge(Scorer):
    """What the three have in common.

    The package rouge-score reads ASCII letters and digits only, so that an answer in Russian or Chinese scores 0
    whatever it says; with `tokenizer: ascii` the scores are the package's. The default reads the words of any script.
    Its longest common subsequence fills a table in Python; this one is bit-parallel.

    Args:
        tokenizer: "unicode" or "ascii".
        stem: Whether English words of more than three letters are compared by their Porter stem (NLTK's, as in the
            package with `use_stemmer`).

    Raises:
        MissingDependencyError: `stem` needs NLTK.
    """

    version = "1"
    max_length = 100_000

    def __init__(self, *, tokenizer: Literal["unicode", "ascii"] = "unicode", stem: bool = False) -> None:
        self.tokenizer = tokenizer
        self.stem = stem
        porter = needed("nltk.stem.porter", metric=self.metric).PorterStemmer() if stem else None
        self._stem = lru_cache(_REMEMBERED)(porter.stem) if porter else None

    def compare(self, text: str, reference: str, instruction: Instruction) -> float | None:
        """Return the F1; 1.0 for the reference itself, None when it is blank."""
        if not reference.strip():
            return None
        expected = extract_words(reference, self.tokenizer, self._stem)
        given = extract_words(text, self.tokenizer, self._stem)
        if given == expected and (given or text.strip() == reference.strip()):
            return 1.0
        return self.overlap(given, expected)

    def overlap(self, given: Sequence[str], expected: Sequence[str]) -> float:
        """Return the F1 of two sequences of words."""
        raise NotImplementedError


def _shared(given: Sequence[Hashable], expected: Sequence[Hashable]) -> float:
    return f1((Counter(given) & Counter(expected)).total(), len(given), len(expected))


def _pairs(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    return zip(words, words[1:], strict=False)


class Rouge1(_Rouge):
    """F1 of the words, repeated ones counted as often as in both."""

    metric = "rouge1"

    def overlap(self, given: Sequence[str], expected: Sequence[str]) -> float:
        """Return the F1 of the words."""
        return _shared(given, expected)


class Rouge2(_Rouge):
    """F1 of the pairs of neighbouring words; a reference of one word is matched by itself alone."""

    metric = "rouge2"

    def overlap(self, given: Sequence[str], expected: Sequence[str]) -> float:
        """Return the F1 of the pairs."""
        return _shared(list(_pairs(given)), list(_pairs(expected)))


class RougeL(_Rouge):
    """F1 of the longest sequence of words that stand in both in the same order."""

    metric = "rouge_l"

    def overlap(self, given: Sequence[str], expected: Sequence[str]) -> float:
        """Return the F1 of the longest common subsequence."""
        return f1(longest_common_subsequence(expected, given), len(given), len(expected))
