"""How far a judge can be trusted: its scores beside known ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dataset_build import JudgedPair, JudgedResponse, JudgedSample
from mixture_training.src.metrics.agreement import (
    TINY,
    Statistic,
    clustered_intervals,
    cohen_kappa,
    interval_alpha,
    kendall,
    partial_spearman,
    share_within,
    spearman,
    weighted_kappa,
)
from mixture_training.src.metrics.bootstrap import FloatArray, Interval

#: Measure -> what it says, in the order of the report.
MEASURES = {
    "exact": "same place on the judge's scale",
    "within_tolerance": "differ by at most the tolerance",
    "weighted_kappa": "quadratic-weighted kappa on the judge's scale",
    "alpha": "Krippendorff's alpha (interval)",
    "spearman": "rank correlation (Spearman)",
    "kendall": "rank correlation (Kendall tau-b)",
    "mean_error": "judge less known score, mean",
    "length_bias": "rank correlation with length, known score held fixed",
    "self_preference": "mean error on its own responses, less that on others'",
    "pair_agreement": "pairs on which both prefer the same, or both see a tie",
    "pair_accuracy": "pairs with a known winner that it finds; a tie is half",
    "pair_kappa": "Cohen's kappa of won, tied, lost",
    "order_decided": "pairs whose verdict the order decided",
    "preference_for_first": "share of wins when shown first, less one half",
    "pair_length_bias": "rank correlation with the difference in length, known difference held fixed",
}


@dataclass(frozen=True)
class JudgeCalibration:
    """A judge beside known scores.

    Attributes:
        judge: Its name.
        mode: `rubric` or `pairwise`.
        instructions: How many the sample has.
        responses: With a known score.
        judged: Those of them that the judge has a view of.
        pairs: Compared in both orders.
        tolerance: What counts as nearly the same score.
        measures: Name -> value and 95 % interval, from instructions drawn with replacement; see `MEASURES`.
        facts: What a dataset would record of the judge, canaries included.
        warnings: What a build would warn of.
    """

    judge: str
    mode: str
    instructions: int
    responses: int
    judged: int
    pairs: int
    tolerance: float
    measures: Mapping[str, Interval]
    facts: Mapping[str, Any]
    warnings: Sequence[str]


def calibrate(sample: JudgedSample, *, tolerance: float = 0.1, samples: int = 1000, seed: int = 0) -> JudgeCalibration:
    """Return how a judge compares with what is known.

    Args:
        sample: What it said, and what is known.
        tolerance: What counts as nearly the same score.
        samples: Resamples of the bootstrap.
        seed: Of the bootstrap.
    """
    judged = [one for one in sample.responses if one.value is not None]
    measures = _of_responses(judged, sample, tolerance, samples, seed)
    if any(one.own for one in judged):
        measures |= _self_preference(judged, samples, seed)
    if sample.mode == "pairwise":
        measures |= _of_pairs(sample.pairs, samples, seed)
    return JudgeCalibration(
        judge=sample.judge,
        mode=sample.mode,
        instructions=len({one.instruction_id for one in sample.responses}),
        responses=len(sample.responses),
        judged=len(judged),
        pairs=len(sample.pairs),
        tolerance=tolerance,
        measures={name: measures[name] for name in MEASURES if name in measures},
        facts=sample.facts,
        warnings=sample.warnings,
    )


def _of_responses(
    judged: Sequence[JudgedResponse], sample: JudgedSample, tolerance: float, samples: int, seed: int
) -> dict[str, Interval]:
    levels = sample.levels
    statistics: dict[str, Statistic] = {
        "spearman": lambda value, gold, length: spearman(value, gold),
        "kendall": lambda value, gold, length: kendall(value, gold),
        "length_bias": partial_of_length,
    }
    if sample.mode == "rubric":  # shares of wins are no scores: only their order can be compared
        statistics |= {
            "exact": lambda value, gold, length: share_within(value, gold, 0.5 / levels),
            "within_tolerance": lambda value, gold, length: share_within(value, gold, tolerance),
            "weighted_kappa": lambda value, gold, length: weighted_kappa(value, gold, levels),
            "alpha": lambda value, gold, length: interval_alpha(value, gold),
            "mean_error": lambda value, gold, length: float((value - gold).mean()) if len(value) else float("nan"),
        }
    columns = [
        np.array([one.value for one in judged], dtype=np.float64),
        np.array([one.gold for one in judged], dtype=np.float64),
        np.array([one.length for one in judged], dtype=np.float64),
    ]
    clusters = [one.instruction_id for one in judged]
    return clustered_intervals(statistics, columns, clusters, samples=samples, seed=seed)


def partial_of_length(value: FloatArray, gold: FloatArray, length: FloatArray) -> float:
    """Return how a judge's scores go with length where the known score is the same."""
    return partial_spearman(value, length, gold)


def _self_preference(judged: Sequence[JudgedResponse], samples: int, seed: int) -> dict[str, Interval]:
    """Return how much better each expert of the judge finds its own responses than the known scores warrant."""
    views = [
        (one.instruction_id, value - one.gold, float(name in one.own))
        for one in judged
        for name, value in one.by_member.items()
    ]

    def difference(error: FloatArray, is_own: FloatArray) -> float:
        own, others = error[is_own > 0], error[is_own == 0]
        return float(own.mean() - others.mean()) if len(own) and len(others) else float("nan")

    columns = [np.array([view[1] for view in views]), np.array([view[2] for view in views])]
    clusters = [view[0] for view in views]
    return clustered_intervals({"self_preference": difference}, columns, clusters, samples=samples, seed=seed)


def _of_pairs(pairs: Sequence[JudgedPair], samples: int, seed: int) -> dict[str, Interval]:
    def won(value: FloatArray) -> FloatArray:
        signs: FloatArray = np.where(np.abs(value) <= TINY, 0.0, np.sign(value))
        return signs

    def agreement(value: FloatArray, gold: FloatArray, *_: FloatArray) -> float:
        return float(np.mean(won(value - 0.5) == won(gold))) if len(value) else float("nan")

    def accuracy(value: FloatArray, gold: FloatArray, *_: FloatArray) -> float:
        decided = won(gold) != 0
        right = np.where(won(gold) > 0, value, 1.0 - value)[decided]
        return float(right.mean()) if len(right) else float("nan")

    def kappa(value: FloatArray, gold: FloatArray, *_: FloatArray) -> float:
        return cohen_kappa(won(value - 0.5).astype(np.int64), won(gold).astype(np.int64))

    def mean(column: FloatArray) -> float:
        return float(column.mean()) if len(column) else float("nan")

    statistics: dict[str, Statistic] = {
        "pair_agreement": agreement,
        "pair_accuracy": accuracy,
        "pair_kappa": kappa,
        "order_decided": lambda value, gold, first, decided, length: mean(decided),
        "preference_for_first": lambda value, gold, first, decided, length: mean(first),
        "pair_length_bias": lambda value, gold, first, decided, length: partial_spearman(value, length, gold),
    }
    columns = [
        np.array([one.value for one in pairs], dtype=np.float64),
        np.array([one.gold for one in pairs], dtype=np.float64),
        np.array([(one.shown_first - one.shown_second) / 2.0 for one in pairs], dtype=np.float64),
        np.array([1.0 - one.consistent for one in pairs], dtype=np.float64),
        np.array([one.length for one in pairs], dtype=np.float64),
    ]
    return clustered_intervals(statistics, columns, [one.instruction_id for one in pairs], samples=samples, seed=seed)
