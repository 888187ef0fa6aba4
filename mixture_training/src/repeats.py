"""The same evaluation on other random splits: how much of a figure is the luck of one split."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from mixture_training.src.classifier import Classifier
from mixture_training.src.evaluation import evaluate
from mixture_training.src.evaluation_result import EvaluationResult, Result, Spread
from mixture_training.src.methods import fit_method
from mixture_training.src.metrics.comparisons import repeated_mean
from mixture_training.src.policy import Policy
from mixture_training.src.training_data import TrainingData

#: What is told of every router over the splits.
MEASURES = (
    "quality", "cost", "gap_closed", "vs_best_single", "regret", "aiq", "apgr", "cpt50", "cpt80", "performance_gain",
    "cost_saving", "pareto_distance", "arena_score", "entropy",
)  # fmt: skip


def with_repeats(
    result: EvaluationResult,
    data: TrainingData,
    makers: Mapping[str, Callable[[], Classifier]],
    *,
    repeats: int,
    policy: Policy | None = None,
    seed: int = 0,
    on_step: Callable[[str], None] = lambda step: None,
) -> EvaluationResult:
    """Return `result` with every figure's mean over further splits and its interval.

    Args:
        result: Of the split that `data` has.
        data: With its splits.
        makers: Name of a method -> what makes it afresh; a method without one (a saved router) has learned from rows
            that other splits would judge it on, so it is not repeated.
        repeats: How many splits, at least 2.
        policy: As in the evaluation.
        seed: Of the splits.
        on_step: Called with what is being done.
    """
    collected: dict[str, list[Result]] = {name: [] for name in (*result.references, *makers)}
    for number in range(repeats):
        again = resplit(data, seed=seed + 1 + number)
        methods = []
        for name, make in makers.items():
            on_step(f"split {number + 1} of {repeats}: fitting {name}")
            methods.append(fit_method(name, make(), again))
        on_step(f"split {number + 1} of {repeats}: judging")
        found = evaluate(again, methods, split=result.split, policy=policy, dataset=result.dataset, samples=0)
        for name, one in {**found.references, **found.methods}.items():
            collected[name].append(one)
    ratio = len(data.split(result.split)) / max(len(data.split("train")), 1)
    spreads = {name: _spreads(values, ratio) for name, values in collected.items()}

    def added(results: Mapping[str, Result]) -> dict[str, Result]:
        return {name: replace(one, repeated=spreads.get(name, {})) for name, one in results.items()}

    return replace(result, references=added(result.references), methods=added(result.methods), repeats=repeats)


def resplit(data: TrainingData, *, seed: int) -> TrainingData:
    """Return the same rows dealt to the same splits at random, as many to each; equal texts stay together.

    Where texts are repeated the shares are met as nearly as that allows.
    """
    _, group = np.unique(np.array([" ".join(text.split()) for text in data.texts], dtype=object), return_inverse=True)
    order = np.random.default_rng(seed).permutation(int(group.max()) + 1)[group]
    rows = np.argsort(order, kind="stable")
    names = np.array(data.splits, dtype=object)[np.argsort(np.array(data.splits, dtype=object).astype(str))]
    splits = np.empty(len(data), dtype=object)
    splits[rows] = names
    first = {int(rank): splits[row] for rank, row in zip(order[rows][::-1], rows[::-1], strict=True)}
    return replace(data, splits=tuple(first[int(rank)] for rank in order))


def _spreads(results: list[Result], test_to_train: float) -> dict[str, Spread]:
    found = {}
    for measure in MEASURES:
        values = np.array([_value(result, measure) for result in results])
        if not np.isnan(values).all():
            found[measure] = Spread(
                *repeated_mean(values, test_to_train=test_to_train), splits=int((~np.isnan(values)).sum())
            )
    return found


def _value(result: Result, measure: str) -> float:
    value = getattr(result, measure)
    return float(getattr(value, "value", value))
