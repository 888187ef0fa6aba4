"""From a response to a score, by the metric that is chosen for the instruction."""

import logging
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from dataset_build.src.metric_choice import Metric, MetricPart, MetricRule, parse_metric
from dataset_build.src.options import check_options
from dataset_build.src.records import Instruction, Response, Score
from dataset_build.src.scorers import scorers
from dataset_build.src.scorers.base import Scorer
from dataset_build.src.scorers.code_tests import CodeTests
from dataset_build.src.scorers.judge import JudgeScorer

if TYPE_CHECKING:
    from dataset_build.src.judging.judges import JudgePanel

logger = logging.getLogger(__name__)


class Evaluator:
    """Scores responses; a scorer that raises costs its one score and nothing else.

    Args:
        default_metric: For instructions that no rule is for and whose source names none.
        rules: The first one that matches an instruction decides its metric, over what its source says.
        further: Metrics that every response is scored by besides; they are recorded and are no labels.
        panel: The judges that the metric `judge` consults.
        allow_code_execution: Whether the metric `code_tests` may run answers; it gives no score otherwise.
        allow_weak_jail: Whether it may do so on a machine that cannot confine programs well.

    Raises:
        ConfigError: no such metric, or an option of it is wrong.
        JailError: answers are to be run, and this machine cannot confine them.
    """

    def __init__(
        self,
        default_metric: str,
        rules: Sequence[MetricRule] = (),
        further: Sequence[str] = (),
        panel: "JudgePanel | None" = None,
        *,
        allow_code_execution: bool = False,
        allow_weak_jail: bool = False,
    ) -> None:
        self._allow_code_execution = allow_code_execution
        self._allow_weak_jail = allow_weak_jail
        self._panel = panel
        self._default = parse_metric(default_metric)
        self._rules = tuple(rules)
        self.further = tuple(str(parse_metric(text)) for text in further)
        self._metrics: dict[str, Metric] = {}
        self._scorers: dict[str, Scorer] = {}
        self.check([default_metric, *(rule.metric for rule in rules), *self.further])

    def check(self, metrics: Iterable[str]) -> None:
        """Make sure that every metric that instructions name exists, before anything is paid for.

        Raises:
            ConfigError: one does not.
        """
        for text in metrics:
            for part in self._metric(text).parts:
                self._scorer(part)

    def metric_of(self, instruction: Instruction) -> str:
        """Return the text of the metric that judges an instruction."""
        for rule in self._rules:
            if rule.matches(instruction):
                return rule.metric
        return instruction.metric or str(self._default)

    def is_default_for(self, instruction: Instruction) -> bool:
        """Return whether the default metric judges an instruction, as no rule is for it and its source names none."""
        return not instruction.metric and not any(rule.matches(instruction) for rule in self._rules)

    def score(self, instruction: Instruction, response: Response, metric: str | None = None) -> Score:
        """Return the score of a response: the mean over its samples, where it has several.

        A failed call has none, and neither has a response that its scorer chokes on.

        Args:
            instruction: What was asked.
            response: What came of it.
            metric: Which one; None means the one that is chosen for the instruction.
        """
        judged = self._metric(metric or self.metric_of(instruction))
        name, version = str(judged), self._version(judged)
        if response.text is None:
            return Score(None, name, f"failed call: {response.error_kind}", version)
        samples = response.samples or (response.text,)
        total = 0.0
        remarks: list[str] = []
        for number, text in enumerate(samples, start=1):
            for part in judged.parts:
                score = self._score(part, instruction, text, response)
                if score.value is None:
                    which = f"sample {number}: " if len(samples) > 1 else ""
                    whose = f"{part.name}: " if len(judged.parts) > 1 else ""
                    return Score(None, name, f"{which}{whose}{score.reason}", version)
                total += part.weight * score.value
                remarks += [] if score.reason is None else [score.reason]
        remark = "; ".join(dict.fromkeys(remarks)) or None
        return Score(min(1.0, total / judged.total_weight / len(samples)), name, remark, version)

    def _score(self, part: MetricPart, instruction: Instruction, text: str, response: Response) -> Score:
        try:
            return self._scorer(part).score(instruction, text)
        except Exception as problem:
            reason = f"{type(problem).__name__}: {problem}"
            logger.warning(
                "%s could not score the response of %s to instruction %s: %s",
                part.name, response.expert, instruction.id, reason,
            )  # fmt: skip
            return Score(None, part.name, f"the metric raised {type(problem).__name__}")

    def close(self) -> None:
        """Release the processes of the scorers."""
        for scorer in self._scorers.values():
            scorer.close()

    def versions(self) -> dict[str, str]:
        """Return metric -> version for every metric used so far."""
        return {text: self._version(metric) for text, metric in sorted(self._metrics.items())}

    def _version(self, metric: Metric) -> str:
        versions = [_version(self._scorer(part)) for part in metric.parts]
        if len(versions) == 1:
            return versions[0]
        return ", ".join(f"{part.name} {version}" for part, version in zip(metric.parts, versions, strict=True))

    def _metric(self, text: str) -> Metric:
        if text not in self._metrics:
            parsed = parse_metric(text)
            self._metrics[text] = self._metrics.setdefault(str(parsed), parsed)
        return self._metrics[text]

    def _scorer(self, part: MetricPart) -> Scorer:
        key = str(part)
        if key not in self._scorers:
            scorer_class = scorers[part.name]
            where = f"Metric {part.name!r}"
            scorer = scorer_class(**check_options(scorer_class, part.options, where=where))
            if isinstance(scorer, JudgeScorer):
                scorer.consult(self._panel)
            if isinstance(scorer, CodeTests) and self._allow_code_execution:
                scorer.allow(weak_jail=self._allow_weak_jail)
            self._scorers[key] = scorer
        return self._scorers[key]


def _version(scorer: Scorer) -> str:
    return f"{scorer.version}:{scorer.judge.version}" if isinstance(scorer, JudgeScorer) else scorer.version
