"""What a dataset holds, counted while it is written: per expert, category and metric, and how often choice matters."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from dataset_build.src.metric_agreement import MetricAgreement
from dataset_build.src.records import Instruction, Response, Score, serves_another_model


@dataclass(slots=True)
class CategoryCell:
    """What one expert cost and scored in one category; failed calls are not in the score."""

    calls: int = 0
    cost_sum: float = 0.0
    scored: int = 0
    score_sum: float = 0.0

    @property
    def mean_score(self) -> float | None:
        """Mean over the scored responses; None when there is none."""
        return self.score_sum / self.scored if self.scored else None


@dataclass(slots=True)
class ExpertSummary:
    """What one expert did over the whole dataset.

    Attributes:
        model: What its endpoint is asked for, where there is such a thing.
        answered: Calls that gave an answer.
        missing: Instructions that it was never asked, because it was down or the money was spent.
        scored: Answers with a score.
        score_sum: The sum of those scores.
        cost_sum: USD of all its calls.
        errors: Failed calls by kind.
        truncated: Answers that reached their length limit.
        estimated: Answers whose tokens are our estimate.
        other_models: Models that answered in place of the one asked for.
        best_alone: Instructions on which it scored above all others.
        best_tied: Instructions on which it shared the best score, where that is above 0 and not everybody's.
        by_category: Category -> cost and score.
    """

    model: str | None = None
    answered: int = 0
    missing: int = 0
    scored: int = 0
    score_sum: float = 0.0
    cost_sum: float = 0.0
    errors: Counter[str] = field(default_factory=Counter)
    truncated: int = 0
    estimated: int = 0
    other_models: Counter[str] = field(default_factory=Counter)
    best_alone: int = 0
    best_tied: int = 0
    by_category: dict[str, CategoryCell] = field(default_factory=dict)

    @property
    def mean_score(self) -> float | None:
        """Mean over the scored responses; failed calls are not in it. None when there is none."""
        return self.score_sum / self.scored if self.scored else None

    def add(self, response: Response, score: Score, category: str) -> None:
        """Count one response."""
        cost = response.cost or 0.0
        self.cost_sum += cost
        cell = self.by_category.setdefault(category, CategoryCell())
        cell.calls += 1
        cell.cost_sum += cost
        if response.text is None:
            self.errors[response.error_kind or "error"] += 1
            return
        self.answered += 1
        self.truncated += response.finish_reason == "length"
        self.estimated += response.tokens_estimated
        if serves_another_model(self.model, response.model):
            self.other_models[response.model or ""] += 1
        if score.value is not None:
            self.scored += 1
            self.score_sum += score.value
            cell.scored += 1
            cell.score_sum += score.value


@dataclass(slots=True)
class MetricRange:
    """The scores that one metric gave."""

    scored: int = 0
    lowest: float = 1.0
    highest: float = 0.0


@dataclass(slots=True)
class DatasetSummary:
    """What the dataset holds.

    Attributes:
        experts: By name.
        instructions: With at least one response.
        responses: Rows of the dataset.
        categories: Category -> instructions.
        splits: Split -> instructions.
        metrics: Metric -> responses.
        ranges: Metric -> the scores it gave.
        compared: Instructions on which at least two experts have a score.
        nobody_right: Those of them where every score is 0.
        all_equal: Those of them where all scores are the same.
        unscored: (metric, why) -> answers without a score: no reference, or the scorer could not judge them.
        judging: Who was asked for verdicts or abilities -> calls and what they cost.
        agreement: How the scores and those by further metrics go together.
        content_hash: Of everything that two builds of the same configuration agree on.
    """

    experts: dict[str, ExpertSummary]
    instructions: int = 0
    responses: int = 0
    categories: Counter[str] = field(default_factory=Counter)
    splits: Counter[str] = field(default_factory=Counter)
    metrics: Counter[str] = field(default_factory=Counter)
    ranges: dict[str, MetricRange] = field(default_factory=dict)
    compared: int = 0
    nobody_right: int = 0
    all_equal: int = 0
    unscored: Counter[tuple[str, str]] = field(default_factory=Counter)
    judging: dict[str, CategoryCell] = field(default_factory=dict)
    agreement: MetricAgreement = field(default_factory=lambda: MetricAgreement(["score"]))
    content_hash: str = ""

    def count_metric(self, score: Score) -> None:
        """Count the metric of one response."""
        self.metrics[score.metric] += 1
        if score.value is not None:
            found = self.ranges.setdefault(score.metric, MetricRange())
            found.scored += 1
            found.lowest = min(found.lowest, score.value)
            found.highest = max(found.highest, score.value)

    def add(self, instruction: Instruction, split: str, scores: Mapping[str, float | None]) -> list[str]:
        """Count one instruction and the scores of its responses; returns all experts that share the best score."""
        self.instructions += 1
        self.categories[category_of(instruction)] += 1
        self.splits[split] += 1
        known = {expert: score for expert, score in scores.items() if score is not None}
        if not known:
            return []
        highest = max(known.values())
        best = [expert for expert, score in known.items() if score == highest]
        if len(known) > 1:
            self.compared += 1
            self.nobody_right += highest == 0.0
            self.all_equal += len(best) == len(known)
            if len(best) == 1:
                self.experts[best[0]].best_alone += 1
            elif highest > 0.0 and len(best) < len(known):
                for expert in best:
                    self.experts[expert].best_tied += 1
        return best


def category_of(instruction: Instruction) -> str:
    """Return the category as reports call it."""
    return instruction.category or "(none)"
