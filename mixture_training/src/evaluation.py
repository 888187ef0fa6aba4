"""Judge routers on a dataset: quality, cost, how much of the gap to the oracle they close, with intervals.

Everything that chooses (best single, best per category, methods) learns from the train rows and is judged on the rows
of one other split. A choice without a score is left out of the mean and counted in `unscored`.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from dataset_build import DataError
from mixture_training.src.evaluation_result import EvaluationResult
from mixture_training.src.judging_rows import Judged
from mixture_training.src.measuring import Measures
from mixture_training.src.methods import Given, Method, fit_method, method_of_router, route_rows
from mixture_training.src.metrics.bootstrap import Interval, Resamples
from mixture_training.src.metrics.comparisons import holm
from mixture_training.src.policy import Policy, QualityPolicy
from mixture_training.src.training_data import TrainingData

__all__ = ["Given", "Method", "evaluate", "fit_method", "method_of_router"]

#: From so many methods on, the best of them is expected to look better than it is.
_MANY = 5


def evaluate(
    data: TrainingData,
    methods: Sequence[Method],
    *,
    split: str = "test",
    policy: Policy | None = None,
    dataset: str = "dataset",
    seed: int = 0,
    samples: int = 2000,
    on_step: Callable[[str], None] = lambda step: None,
) -> EvaluationResult:
    """Judge `methods` beside every reference point on the rows of one split.

    Args:
        data: The dataset with its splits.
        methods: Fitted; one that knows other experts than the dataset is unscored where it chooses those.
        split: The rows to judge on.
        policy: How methods trade score and cost; None means `quality`.
        dataset: A name for the report.
        seed: Of the bootstrap.
        samples: Bootstrap resamples; there are fewer above a million instructions, as `Resamples` says.
        on_step: Called with what is being done, for a progress display.

    Raises:
        DataError: the split, or train, has no row with a score, or what was predicted elsewhere does not fit the rows.
    """
    started = time.perf_counter()
    data_split, learned = data.split(split), data.split("train")
    for part, purpose in (
        (data_split, f"split {split!r}: nothing to judge on"),
        (learned, "train: no best single expert"),
    ):
        if not len(part) or np.isnan(part.scores).all():
            raise DataError(f"{dataset} has no scored row in {purpose}. Give a dataset that has one.")
    judged, rule = Judged(data_split, learned), policy or QualityPolicy()
    rows = judged.references()
    for method in methods:
        on_step(f"routing with {method.name}")
        rows[f"method:{method.name}"] = route_rows(method, judged, learned, rule)
    compared = [f"method:{method.name}" for method in methods]
    resamples = Resamples(len(data_split), samples=samples, seed=seed)
    measures = Measures(judged, rows, resamples, on_step)
    results = measures.results(compared)
    corrected = holm(np.array([results[name].p_value for name in compared]))
    return EvaluationResult(
        dataset=dataset,
        split=split,
        instructions=len(data_split),
        experts=data.experts,
        policy=str(rule),
        best_single=data.experts[judged.best],
        weak=None if judged.weak is None else data.experts[judged.weak],
        references={name: result for name, result in results.items() if name not in compared},
        methods={
            method.name: replace(
                results[name],
                p_holm=float(p_value),
                versus=_without_prefix(results[name].versus),
                aiq_versus=_without_prefix(results[name].aiq_versus),
            )
            for method, name, p_value in zip(methods, compared, corrected, strict=True)
        },
        hull=judged.hull,
        seed=seed,
        samples=resamples.samples,
        frontier=measures.frontier,
        oracle_curve=judged.oracle_curve(),
        cautions=_cautions(methods),
        elapsed_s=time.perf_counter() - started,
        ids=data_split.ids,
        choices={method.name: rows[name].names() for method, name in zip(methods, compared, strict=True)},
    )


def _cautions(methods: Sequence[Method]) -> tuple[str, ...]:
    if len(methods) <= _MANY:
        return ()
    return (
        f"{len(methods)} methods are compared with one best single expert: of so many, one looks better by chance. "
        "p_holm is corrected for their number.",
    )


def _without_prefix(intervals: Mapping[str, Interval]) -> dict[str, Interval]:
    return {name.removeprefix("method:"): interval for name, interval in intervals.items()}
