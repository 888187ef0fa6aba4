"""From a response to a score, by the metric that can check the instruction."""

import logging
from collections.abc import Iterable

from dataset_build.src.records import Instruction, Response, Score
from dataset_build.src.scorers import scorers
from dataset_build.src.scorers.base import Scorer

logger = logging.getLogger(__name__)


class Evaluator:
    """Scores responses; a scorer that raises costs its one score and nothing else.

    Args:
        default_metric: The scorer for instructions whose source names none.

    Raises:
        ConfigError: no such metric.
    """

    def __init__(self, default_metric: str) -> None:
        self.default_metric = default_metric
        self._scorers: dict[str, Scorer] = {}
        self._scorer(default_metric)

    def check(self, metrics: Iterable[str]) -> None:
        """Make sure that every metric that instructions name exists, before anything is paid for.

        Raises:
            ConfigError: one does not.
        """
        for metric in metrics:
            self._scorer(metric)

    def score(self, instruction: Instruction, response: Response) -> Score:
        """Return the score of a response: the mean over its samples, where it has several.

        A failed call has none, and neither has a response that its scorer chokes on.
        """
        metric = instruction.metric or self.default_metric
        if response.text is None:
            return Score(None, metric, f"failed call: {response.error_kind}")
        scores = [self._score(metric, instruction, text, response) for text in response.samples or (response.text,)]
        if len(scores) == 1:
            return scores[0]
        unscored = [score.reason for score in scores if score.value is None]
        if unscored:
            return Score(None, metric, f"{len(unscored)} of {len(scores)} samples: {unscored[0]}")
        return Score(sum(score.value or 0.0 for score in scores) / len(scores), metric)

    def _score(self, metric: str, instruction: Instruction, text: str, response: Response) -> Score:
        try:
            return self._scorer(metric).score(instruction, text)
        except Exception as problem:
            reason = f"{type(problem).__name__}: {problem}"
            logger.warning(
                "%s could not score the response of %s to instruction %s: %s",
                metric, response.expert, instruction.id, reason,
            )  # fmt: skip
            return Score(None, metric, f"the metric raised {type(problem).__name__}")

    def versions(self) -> dict[str, str]:
        """Return metric -> version for every metric used so far."""
        return {metric: scorer.version for metric, scorer in sorted(self._scorers.items())}

    def _scorer(self, metric: str) -> Scorer:
        if metric not in self._scorers:
            self._scorers[metric] = scorers[metric]()
        return self._scorers[metric]
