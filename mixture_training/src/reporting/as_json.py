"""An evaluation as JSON-able values: every figure under a stable key, null where it is not defined."""

import math
from typing import Any

from mixture_training.src.evaluation_result import (
    Diagnostics,
    EvaluationResult,
    LearningPoint,
    LeftOut,
    Reliability,
    Result,
)
from mixture_training.src.metrics.bootstrap import Interval
from mixture_training.src.metrics.curves import Curve
from mixture_training.src.training_data import FloatArray

#: Measures of a result that are plain numbers; those in `Result.intervals` get a `_ci95` beside them.
_MEASURES = (
    "cost", "aiq", "apgr", "cpt50", "cpt80", "train_s", "route_us", "regret", "performance_gain", "cost_saving",
    "pareto_distance", "arena_score", "entropy", "p_value", "p_holm",
)  # fmt: skip


def to_dict(result: EvaluationResult) -> dict[str, Any]:
    """Return the evaluation as JSON-able values; what is not defined (NaN) is None."""
    values = {
        "dataset": result.dataset,
        "split": result.split,
        "instructions": result.instructions,
        "experts": list(result.experts),
        "policy": result.policy,
        "best_single": result.best_single,
        "weak": result.weak,
        "seed": result.seed,
        "samples": result.samples,
        "repeats": result.repeats,
        "elapsed_s": result.elapsed_s,
        "cautions": list(result.cautions),
        "zero_router_hull": result.hull.tolist(),
        "frontier": None if result.frontier is None else result.frontier.tolist(),
        "oracle_curve": None if result.oracle_curve is None else _curve(result.oracle_curve),
        "references": {name: _entry(entry) for name, entry in result.references.items()},
        "methods": {name: _entry(entry) for name, entry in result.methods.items()},
        "diagnostics": None if result.diagnostics is None else _diagnostics(result.diagnostics),
    }
    clean: dict[str, Any] = _without_nan(values)
    return clean


def _entry(entry: Result) -> dict[str, Any]:
    values: dict[str, Any] = {
        **_interval("quality", entry.quality),
        **_interval("gap_closed", entry.gap_closed),
        **_interval("vs_best_single", entry.vs_best_single),
        **{name: getattr(entry, name) for name in _MEASURES},
        **{f"{name}_ci95": [interval.low, interval.high] for name, interval in entry.intervals.items()},
        "win_rate": {"wins": entry.wins.wins, "ties": entry.wins.ties, "losses": entry.wins.losses},
        "unscored": entry.unscored,
        "share": dict(entry.share),
        "by_category": {
            category: {
                "instructions": part.instructions,
                **_interval("quality", part.quality),
                "cost": part.cost,
                "share": dict(part.share),
            }
            for category, part in entry.by_category.items()
        },
    }
    if entry.curve is not None:
        values["curve"] = _curve(entry.curve)
        if entry.band is not None:
            values["curve"] |= {"quality_low": _list(entry.band.low), "quality_high": _list(entry.band.high)}
    if entry.reliability is not None:
        values["reliability"] = _reliability(entry.reliability)
    for key, others in (("versus", entry.versus), ("aiq_versus", entry.aiq_versus)):
        if others:
            values[key] = {name: _interval("difference", interval) for name, interval in others.items()}
    if entry.repeated:
        values["repeated"] = {
            name: {"mean": one.mean, "ci95": [one.low, one.high], "splits": one.splits}
            for name, one in entry.repeated.items()
        }
    return values


def _diagnostics(found: Diagnostics) -> dict[str, Any]:
    duplicates = found.duplicates
    return {
        "method": found.method,
        "leaks": found.leaks,
        "duplicates": None
        if duplicates is None
        else {
            "exact": duplicates.exact,
            "near": duplicates.near,
            "judged": duplicates.judged,
            "examples": [{"judged": judged, "train": train} for judged, train in duplicates.examples],
        },
        "category_only": None if found.category_only is None else _entry(found.category_only),
        "category_share": found.category_share,
        "shuffled": None if found.shuffled is None else _entry(found.shuffled),
        "learning_curve": [_learning_point(point) for point in found.learning_curve],
        "left_out": {category: _left_out(one) for category, one in found.left_out.items()},
    }


def _learning_point(point: LearningPoint) -> dict[str, Any]:
    return {
        "share": point.share,
        "instructions": point.instructions,
        **_interval("quality", point.quality),
        **_interval("vs_best_single", point.vs_best_single),
        "train_s": point.train_s,
    }


def _left_out(one: LeftOut) -> dict[str, Any]:
    names = ("quality", "seen", "best_single", "vs_best_single")
    parts = [_interval(name, getattr(one, name)) for name in names]
    return {"instructions": one.instructions, **{key: value for part in parts for key, value in part.items()}}


def _reliability(one: Reliability) -> dict[str, Any]:
    return {
        "predicted": _list(one.predicted),
        "observed": _list(one.observed),
        "counts": _list(one.counts),
        "ece": one.ece,
        "brier": one.brier,
    }


def _curve(curve: Curve) -> dict[str, Any]:
    return {"cost_weight": _list(curve.weights), "cost": _list(curve.costs), "quality": _list(curve.qualities)}


def _interval(name: str, interval: Interval) -> dict[str, Any]:
    return {name: interval.value, f"{name}_ci95": [interval.low, interval.high]}


def _list(values: FloatArray) -> list[Any]:
    numbers: list[Any] = values.tolist()
    return numbers


def _without_nan(value: Any) -> Any:  # noqa: ANN401 - any JSON-able value
    if isinstance(value, dict):
        return {key: _without_nan(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_nan(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
