"""Sentiment by VADER: a lexicon with rules for negation, intensity and "but".

Hutto and Gilbert, "VADER: A Parsimonious Rule-based Model for Sentiment Analysis of Social Media Text", ICWSM 2014.
"""

from functools import cache
from typing import Any

from dataset_build.src.errors import MissingDependencyError
from dataset_build.src.experts.base import ToolExpert
from dataset_build.src.experts.tools.sentiment_requests import opinionated_text

#: VADER's own threshold: a compound score closer to zero is neutral.
_NEUTRAL_BELOW = 0.05


@cache
def _analyzer() -> Any:  # noqa: ANN401
    try:
        from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer
    except ImportError as error:
        raise MissingDependencyError('Install the tools: pip install "moe-toolkit[tools]"') from error
    return SentimentIntensityAnalyzer()


class VaderSentiment(ToolExpert):
    """Answers positive, negative or neutral."""

    tool_name = "vader_sentiment"
    tool_description = "Sentiment of a text: positive, negative or neutral, minding negation and contrast (VADER)."

    def warm_up(self) -> None:
        """Read the lexicon."""
        _analyzer()

    def solve(self, text: str) -> str:
        """Return the label of the text the instruction is about.

        Raises:
            CannotAnswerError: no sentiment is asked for.
        """
        compound = _analyzer().polarity_scores(opinionated_text(text))["compound"]
        if abs(compound) < _NEUTRAL_BELOW:
            return "neutral"
        return "positive" if compound > 0 else "negative"
