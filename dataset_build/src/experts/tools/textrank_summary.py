"""The most central sentence of a passage, by TextRank (Mihalcea & Tarau 2004)."""

import math
from collections.abc import Sequence

import numpy as np

from dataset_build.src.experts.base import ToolExpert
from dataset_build.src.experts.tools.passages import content_words, passage_in

#: Sentences compared; further ones are not candidates.
_MAX_SENTENCES = 60
_DAMPING = 0.85
_ROUNDS = 50
_TOLERANCE = 1e-6


def most_central(sentences: Sequence[str]) -> int:
    """Return the index of the sentence with the highest TextRank; the first of equals.

    Two sentences are as close as the number of words they share over the sum of the logarithms of their lengths.
    """
    words = [set(content_words(sentence)) for sentence in sentences]
    size = len(words)
    weights = np.zeros((size, size))
    for first in range(size):
        for second in range(first):
            # 1 + keeps the divisor above 0 for sentences of one word.
            closeness = len(words[first] & words[second]) / (
                1 + math.log(1 + len(words[first])) + math.log(1 + len(words[second]))
            )
            weights[first, second] = weights[second, first] = closeness
    totals = weights.sum(axis=0)
    transition = np.divide(weights, totals, out=np.full((size, size), 1.0 / size), where=totals > 0)
    ranks = np.full(size, 1.0 / size)
    for _ in range(_ROUNDS):
        moved = (1 - _DAMPING) / size + _DAMPING * (transition @ ranks)
        if np.abs(moved - ranks).max() < _TOLERANCE:
            break
        ranks = moved
    return int(np.argmax(ranks.round(9)))


class TextrankSummary(ToolExpert):
    """Gives the sentence that shares most with the others, wherever it stands."""

    tool_name = "textrank_summary"
    tool_description = "Summary in one sentence: the most central sentence of a passage (TextRank)."

    def solve(self, text: str) -> str:
        """Return the most central sentence.

        Raises:
            CannotAnswerError: there is no passage of at least three sentences.
        """
        sentences = passage_in(text)[:_MAX_SENTENCES]
        return sentences[most_central(sentences)]
