r"""Which items of a list are in an answer's list, and how little else.

reference "red, yellow, blue", answer "1. Red\n2. Blue"            0.8
reference '["a", "b"]', answer "- b\n- a"                          1.0   (0.5 where order counts)
reference "a, a, b", answer "a, b"                                 0.8   (1.0 as a set)
"""

from collections import Counter

from dataset_build.src.records import Instruction
from dataset_build.src.scorers.base import Scorer
from dataset_build.src.scorers.listed_items import extract_items
from dataset_build.src.scorers.words import f1, longest_common_subsequence


def extract_both(text: str, reference: str) -> tuple[list[str], list[str]]:
    """Return the items of an answer, read in the light of the reference's, and those of the reference.

    >>> extract_both("- Trinidad and Tobago", "Cuba, Trinidad and Tobago")
    (['trinidad and tobago'], ['cuba', 'trinidad', 'tobago'])
    """
    if text.strip() == reference.strip():
        expected = extract_items(reference)
        return expected, expected
    expected = extract_items(reference)
    return extract_items(text, frozenset(expected)), expected


class ListF1(Scorer):
    """Harmonic mean of precision and recall of the items; repeated ones count as often as in both.

    Items are equal as `exact_match` has it. A reference without items cannot be judged.

    Args:
        ordered: Whether only items in the reference's order count (their longest common subsequence).
    """

    metric = "list_f1"
    max_length = 100_000

    def __init__(self, *, ordered: bool = False) -> None:
        self.ordered = ordered

    def compare(self, text: str, reference: str, instruction: Instruction) -> float | None:
        """Return the F1, or None without items in the reference."""
        given, expected = extract_both(text, reference)
        if not expected:
            return None
        if self.ordered:
            shared = longest_common_subsequence(expected, given)
        else:
            shared = (Counter(given) & Counter(expected)).total()
        return f1(shared, len(given), len(expected))


class SetF1(Scorer):
    """Harmonic mean of precision and recall of the items, each counted once and in any order.

    Items are equal as `exact_match` has it. A reference without items cannot be judged.
    """

    metric = "set_f1"
    max_length = 100_000

    def compare(self, text: str, reference: str, instruction: Instruction) -> float | None:
        """Return the F1, or None without items in the reference."""
        given, expected = map(set, extract_both(text, reference))
        return f1(len(given & expected), len(given), len(expected)) if expected else None
