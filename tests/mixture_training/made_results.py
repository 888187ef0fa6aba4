"""Evaluation results of any size, made without fitting anything: every field filled, from a seed."""

import math
from dataclasses import replace

import numpy as np

from mixture_training.src.evaluation_result import (
    Band,
    CategoryResult,
    Diagnostics,
    Duplicates,
    EvaluationResult,
    LearningPoint,
    LeftOut,
    Reliability,
    Result,
)
from mixture_training.src.metrics.bootstrap import Interval
from mixture_training.src.metrics.curves import Curve
from mixture_training.src.metrics.references import hull
from mixture_training.src.metrics.routing import WinRate

NOTHING = Interval(math.nan, math.nan, math.nan)


def around(value, width=0.02):
    return Interval(float(value), float(value - width), float(value + width))


def made_result(*, experts=4, categories=3, methods=2, costs=True, checks=True, names=None, rows=800, seed=0):
    """Return a result in which the first methods are better than the best single expert and the last is worse."""
    rng = np.random.default_rng(seed)
    named = tuple(names or (f"expert-{index}" for index in range(experts)))
    labels = [f"category {index}" for index in range(categories)]
    quality = np.sort(rng.uniform(0.55, 0.82, len(named)))
    prices = (
        np.exp(np.sort(rng.uniform(np.log(1e-5), np.log(4e-3), len(named))) + rng.normal(0, 0.6, len(named)))
        if costs
        else np.full(len(named), np.nan)
    )
    best = int(np.argmax(quality))
    top = float(quality[best])

    def entry(value, cost, share, **more):
        by_category = {
            label: CategoryResult(rows // categories, around(min(value + rng.normal(0, 0.12), 1.0), 0.05), cost, share)
            for label in labels
        }
        return Result(
            quality=around(value),
            cost=float(cost),
            unscored=0,
            gap_closed=around((value - top) / (0.97 - top), 0.06),
            regret=0.97 - value,
            vs_best_single=around(value - top, 0.015),
            wins=WinRate(0.2, 0.7, 0.1),
            aiq=value - 0.05 if costs else math.nan,
            share=share,
            by_category=by_category,
            **more,
        )

    even = {name: 1 / len(named) for name in named}
    references = {"random": entry(quality.mean(), prices.mean(), {})}
    for index, name in enumerate(named):
        references[f"expert:{name}"] = entry(quality[index], prices[index], {name: 1.0})
    references["best_single"] = references[f"expert:{named[best]}"]
    references["best_per_category"] = entry(top + 0.04, prices.mean(), even)
    references["zero_router"] = references["best_single"]
    references["oracle"] = entry(0.97, prices.mean(), even)
    vertices = hull(prices, quality)
    made = {
        f"method {index}": entry(
            top + 0.08 - 0.1 * index / max(methods - 1, 1) + rng.normal(0, 0.004),
            prices.mean() * 1.2,
            even,
            **_along_the_curve(rng, prices, top + 0.08 - 0.1 * index / max(methods - 1, 1), costs),
        )
        for index in range(methods)
    }
    made = {name: replace(entry, **_beside_others(name, made, references, costs)) for name, entry in made.items()}
    return EvaluationResult(
        dataset="made",
        split="test",
        instructions=rows,
        experts=named,
        policy="quality",
        best_single=named[best],
        weak=named[0] if len(named) > 1 else None,
        references=references,
        methods=made,
        hull=vertices,
        seed=seed,
        samples=1000,
        oracle_curve=Curve(np.linspace(0, 9, 5), np.geomspace(3e-4, 2e-6, 5), np.linspace(0.97, 0.6, 5))
        if costs
        else None,
        diagnostics=_diagnostics("method 0", labels, top, made) if checks and made else None,
        cautions=("The judged rows are few for some categories.",) if checks else (),
    )


def _beside_others(name, made, references, costs):
    others = {other: made[other] for other in made if other != name}
    others |= {other: references[other] for other in ("zero_router", "best_per_category")}
    versus = {other: around(made[name].quality.value - one.quality.value, 0.012) for other, one in others.items()}
    return {"versus": versus, "aiq_versus": {"zero_router": versus["zero_router"]} if costs else {}}


def _along_the_curve(rng, prices, top, costs):
    predicted = np.linspace(0.05, 0.95, 10)
    found = {
        "apgr": 0.7,
        "cpt50": 0.2,
        "cpt80": 0.5,
        "train_s": 3.2,
        "route_us": 410.0,
        "performance_gain": 0.06,
        "pareto_distance": 0.01 if costs else math.nan,
        "arena_score": 0.7 if costs else math.nan,
        "cost_saving": 0.43 if costs else math.nan,
        "entropy": 0.8,
        "p_value": 0.001,
        "p_holm": 0.004,
        "reliability": Reliability(
            predicted,
            np.clip(predicted + rng.normal(0, 0.05, 10), 0, 1),
            rng.integers(5, 500, 10).astype(float),
            0.03,
            0.15,
        ),
    }
    if costs:
        grid = np.geomspace(np.nanmax(prices) * 1.2, np.nanmin(prices), 40)
        reached = top - 0.25 * np.linspace(0, 1, 40) ** 2 + rng.normal(0, 0.002, 40)
        found["curve"] = Curve(np.linspace(0, 1e4, 40), grid, reached)
        found["band"] = Band(reached - 0.02, reached + 0.02)
        found["intervals"] = {"cost_saving": around(0.43, 0.08), "aiq": around(top - 0.05)}
    return found


def _diagnostics(method, labels, top, made):
    sizes = (0.1, 0.25, 0.5, 1.0)
    return Diagnostics(
        method=method,
        duplicates=Duplicates(exact=3, near=5, judged=800, examples=(("What is <b>2+2</b>?", "what is <b>2+2</b>"),)),
        category_only=made[method],
        category_share=0.55,
        shuffled=Result(around(top - 0.1), 0.0, 0, NOTHING, 0.1, around(-0.1), WinRate(0.0, 0.9, 0.1)),
        learning_curve=tuple(
            LearningPoint(part, int(4000 * part), around(top + 0.08 * part**0.5), around(0.05), 3 * part)
            for part in sizes
        ),
        left_out={
            label: LeftOut(200, around(top), around(top + 0.05), around(top - 0.01), around(0.01)) for label in labels
        },
    )
