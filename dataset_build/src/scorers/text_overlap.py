"""How much of a reference text is in an answer, and how little else.

reference "The cat sat.", answer "The cat sat."          1.0
reference "The cat sat.", answer "the cat SAT"           1.0
reference "The cat sat.", answer "Sat the cat?"          0.83   (all the words, two of three in order)
reference "The cat sat.", answer "A dog ran."            0.0
"""

from collections import Counter

from dataset_build.src.records import Instruction
from dataset_build.src.scorers.base import Scorer
from dataset_build.src.scorers.words import f1, longest_common_subsequence, words_of


class TextOverlap(Scorer):
    """(token F1 + ROUGE-L F1) / 2, in [0, 1].

    With a words in the answer and r in the reference:

    - token F1 = 2c / (a + r), c the number of words in common, repeated ones counted as often as in both
      (Rajpurkar et al. 2016);
    - ROUGE-L F1 = 2l / (a + r), l the length of their longest common subsequence (Lin 2004, beta = 1).

    The first rewards the right words, the second the right order. Words are runs of Unicode letters and digits
    without case, and no articles are dropped. The same text scores 1. A reference without any word is compared as it
    stands; a blank one cannot be judged.
    """

    metric = "text_overlap"
    version = "2"
    max_length = 100_000

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
