"""Sentiment by counting the words of two short lists. Rough, and done in microseconds."""

import re

from dataset_build.src.experts.base import ToolExpert
from dataset_build.src.experts.tools.sentiment_requests import opinionated_text

_GOOD_WORDS = (
    "amazing awesome beautiful best better brilliant charming cheerful comfortable delicious delighted delightful"
    " easy enjoy enjoyed excellent fantastic fine friendly fun glad good great happy helpful impressed impressive"
    " like liked love loved lovely nice perfect pleasant pleased recommend smile smiling splendid super superb"
    " thank wonderful worth"
)
_GOOD = frozenset(_GOOD_WORDS.split())
_BAD_WORDS = (
    "angry annoyed annoying awful bad boring broke broken complain confusing cold crashed dirty disappointed"
    " disappointing disappointment dreadful fail failed furious hate hated horrible late miserable noisy pathetic"
    " poor problem refund rude sad slow stay terrible ugly unfriendly unhappy unpleasant useless waste worse worst"
    " wrong"
)
_BAD = frozenset(_BAD_WORDS.split())
_DENIALS = frozenset({"not", "no", "never", "nothing", "nobody", "hardly", "without", "neither", "nor"})
_WORD = re.compile(r"[a-z]+(?:n't)?")


class WordListSentiment(ToolExpert):
    """Counts good and bad words; a denial turns the next one round, nothing else is understood."""

    tool_name = "word_list_sentiment"
    tool_description = "Sentiment by a short list of good and bad words: positive, negative or neutral; rough and fast."

    def solve(self, text: str) -> str:
        """Return the label of the text the instruction is about.

        Raises:
            CannotAnswerError: no sentiment is asked for.
        """
        balance, before = 0, ""
        for word in _WORD.findall(opinionated_text(text).lower().replace("’", "'")):
            value = (word in _GOOD) - (word in _BAD)
            balance += -value if before in _DENIALS or before.endswith("n't") else value
            before = word
        if balance == 0:
            return "neutral"
        return "positive" if balance > 0 else "negative"
