"""Judge routers on a dataset: quality, cost, how much of the gap to the oracle they close, with intervals.

Everything that chooses (best single, best per category, methods) learns from the train rows and is judged on the rows
of one other split. A choice without a score is left out of the mean and counted in `unscored`.
"""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from dataset_build import DataError
from mixture_training.src.classifier import Classifier
from mixture_training.src.costs import CostModel
from mixture_training.src.evaluation_result import CategoryResult, EvaluationResult, Result
from mixture_training.src.metrics.bootstrap import gap_interval, mean_intervals
from mixture_training.src.metrics.curves import aiq, apgr, cpt, gap_curve, sweep
from mixture_training.src.metrics.references import (
    best_column,
    best_per_category,
    hull,
    known_means,
    oracle,
    pick,
    random_values,
)
from mixture_training.src.metrics.routing import regret, win_rate
from mixture_training.src.policy import IndexArray, Policy, QualityPolicy
from mixture_training.src.training_data import FloatArray, TrainingData

if TYPE_CHECKING:
    from mixture_training.src.artifacts import Router

#: How many instructions are routed one at a time to measure the time of a route.
_TIMED_ROUTES = 25


@dataclass(frozen=True)
class Method:
    """Something that routes: a fitted classifier and a cost model, under a name.

    Attributes:
        name: As in the report.
        classifier: Fitted.
        costs: Of the same experts.
        train_s: Seconds the fit took; NaN where it was not fitted here.
    """

    name: str
    classifier: Classifier
    costs: CostModel
    train_s: float = math.nan


def fit_method(name: str, classifier: Classifier, data: TrainingData) -> Method:
    """Fit a classifier and a cost model on the train rows of `data` and time it."""
    train, validation = data.split("train"), data.split("validation")
    started = time.perf_counter()
    classifier.fit(train, validation)
    costs = CostModel.fit(train, category_names=classifier.category_names_)
    return Method(name, classifier, costs, time.perf_counter() - started)


def method_of_router(name: str, router: "Router") -> Method:
    """Return a saved router as a method."""
    return Method(name, router.classifier, router.costs)


def evaluate(
    data: TrainingData,
    methods: Sequence[Method],
    *,
    split: str = "test",
    policy: Policy | None = None,
    dataset: str = "dataset",
    seed: int = 0,
    samples: int = 2000,
) -> EvaluationResult:
    """Judge `methods` beside every reference point on the rows of one split.

    Args:
        data: The dataset with its splits.
        methods: Fitted; one that knows other experts than the dataset is unscored where it chooses those.
        split: The rows to judge on.
        policy: How methods trade score and cost; None means `quality`.
        dataset: A name for the report.
        seed: Of the bootstrap.
        samples: Bootstrap resamples.

    Raises:
        DataError: the split, or train, has no row with a score.
    """
    judged = data.split(split)
    learned = data.split("train")
    for part, purpose in ((judged, f"split {split!r}: nothing to judge on"), (learned, "train: no best single expert")):
        if not len(part) or np.isnan(part.scores).all():
            raise DataError(f"{dataset} has no scored row in {purpose}. Give a dataset that has one.")
    judge = _Judge(judged, learned, seed, samples)
    rule = policy or QualityPolicy()
    routed = {method.name: _route(method, judged, judge, rule) for method in methods}
    rows = {**judge.references(), **{f"method:{name}": found.rows for name, found in routed.items()}}
    results = judge.results(rows)
    return EvaluationResult(
        dataset=dataset,
        split=split,
        instructions=len(judged),
        experts=data.experts,
        policy=str(rule),
        best_single=data.experts[judge.best],
        weak=None if judge.weak is None else data.experts[judge.weak],
        references={name: result for name, result in results.items() if not name.startswith("method:")},
        methods={name: _with_extras(results[f"method:{name}"], found.extras) for name, found in routed.items()},
        hull=judge.hull,
        seed=seed,
    )


@dataclass(frozen=True)
class _Rows:
    """What a router did on each row, and the curve points that its AIQ is taken over."""

    scores: FloatArray
    costs: FloatArray
    share: Mapping[str, float]
    points: tuple[FloatArray, FloatArray] | None = None


@dataclass(frozen=True)
class _Routed:
    rows: _Rows
    extras: Mapping[str, Any]


class _Judge:
    """The rows to judge on, the reference choices, and what turns rows into results."""

    def __init__(self, judged: TrainingData, learned: TrainingData, seed: int, samples: int) -> None:
        self.data = judged
        self._learned = learned
        self._seed, self._samples = seed, samples
        self.best = best_column(learned.scores, learned.costs)
        self.weak = _weak_column(learned, self.best)
        self._expert_costs = known_means(judged.costs)
        self.hull = hull(self._expert_costs, known_means(judged.scores))
        # RouterBench takes the range of single experts. Where each expert is dear only at what it is good at, even the
        # oracle costs more than any of them, and its cost ends the range.
        ideal = _mean(pick(judged.costs, oracle(judged.scores, judged.costs)))
        known = np.append(self._expert_costs, ideal)
        known = known[~np.isnan(known)]
        self._range = (float(known.min()), float(known.max())) if len(known) else (math.nan, math.nan)

    def chosen(self, choice: IndexArray) -> _Rows:
        """Return the rows of fixed choices, −1 where there is none."""
        counts = np.bincount(choice[choice >= 0], minlength=len(self.data.experts)) / max(len(choice), 1)
        share = {name: float(part) for name, part in zip(self.data.experts, counts, strict=True) if part}
        return _Rows(pick(self.data.scores, choice), pick(self.data.costs, choice), share)

    def references(self) -> dict[str, _Rows]:
        """Return the rows of every reference point."""
        data, learned = self.data, self._learned
        found = {"random": _Rows(random_values(data.scores), random_values(data.costs), {})}
        for column, name in enumerate(data.experts):
            found[f"expert:{name}"] = self.chosen(np.full(len(data), column, dtype=np.intp))
        found["best_single"] = self.chosen(np.full(len(data), self.best, dtype=np.intp))
        found["best_per_category"] = self.chosen(
            best_per_category(learned.scores, learned.costs, learned.categories, data.categories)
        )
        means = known_means(data.scores)
        top = int(np.argmax(np.where(np.isnan(means), -np.inf, means)))
        zero = self.chosen(np.full(len(data), top, dtype=np.intp))
        found["zero_router"] = _Rows(zero.scores, zero.costs, zero.share, (self.hull[:, 0], self.hull[:, 1]))
        ideal = sweep(
            np.where(np.isnan(data.scores), -1.0, data.scores),
            np.where(np.isnan(data.costs), self._costliest(), data.costs),
            data.scores,
            data.costs,
        )
        best = self.chosen(oracle(data.scores, data.costs))
        found["oracle"] = _Rows(best.scores, best.costs, best.share, (ideal.costs, ideal.qualities))
        return found

    def _costliest(self) -> float:
        return 0.0 if np.isnan(self._range[1]) else self._range[1]

    def results(self, rows: Mapping[str, _Rows]) -> dict[str, Result]:
        """Return the results, all intervals from the same draws."""
        names = list(rows)
        best, ideal = rows["best_single"].scores, rows["oracle"].scores
        scores = np.column_stack([rows[name].scores for name in names])
        both = np.concatenate([scores, scores - best[:, None]], axis=1)
        intervals = mean_intervals(both, samples=self._samples, seed=self._seed)
        tables = self._by_category(scores, np.column_stack([rows[name].costs for name in names]))
        found = {}
        for index, name in enumerate(names):
            row, quality = rows[name], intervals[index]
            cost = _mean(row.costs)
            points = row.points or (np.array([cost]), np.array([quality.value]))
            found[name] = Result(
                quality=quality,
                cost=cost,
                unscored=int(np.isnan(row.scores).sum()),
                gap_closed=gap_interval(row.scores, best, ideal, samples=self._samples, seed=self._seed),
                regret=regret(row.scores, ideal),
                vs_best_single=intervals[len(names) + index],
                wins=win_rate(row.scores, best),
                aiq=aiq(*points, lowest=self._range[0], highest=self._range[1]),
                share=row.share,
                by_category={category: table[index] for category, table in tables.items()},
            )
        return {name: _with_extras(result, self._known_gap(name)) for name, result in found.items()}

    def _by_category(self, scores: FloatArray, costs: FloatArray) -> dict[str, list[CategoryResult]]:
        labels = np.array([category or "" for category in self.data.categories], dtype=object)
        tables = {}
        for category in self.data.category_names:
            inside = labels == category
            intervals = mean_intervals(scores[inside], samples=self._samples, seed=self._seed)
            tables[category] = [
                CategoryResult(int(inside.sum()), interval, _mean(costs[inside, column]))
                for column, interval in enumerate(intervals)
            ]
        return tables

    def gap_measures(self, predicted_scores: FloatArray) -> dict[str, float]:
        """Return APGR and CPT of predictions with the dataset's columns; empty where they are not defined."""
        if self.weak is None:
            return {}
        weak, strong = self.data.scores[:, self.weak], self.data.scores[:, self.best]
        curve = gap_curve(predicted_scores[:, self.best] - predicted_scores[:, self.weak], weak, strong)
        if curve is None:
            return {}
        return {"apgr": apgr(curve), "cpt50": cpt(curve, 0.5), "cpt80": cpt(curve, 0.8)}

    def _known_gap(self, name: str) -> dict[str, float]:
        """APGR and CPT of the two references that order instructions: by chance, and by the truth."""
        if name == "random":
            return self.gap_measures(np.zeros_like(self.data.scores))
        return self.gap_measures(self.data.scores) if name == "oracle" else {}


def _weak_column(learned: TrainingData, best: int) -> int | None:
    """Return the cheapest expert but the best on train; the worst where costs are unknown."""
    if len(learned.experts) < 2:
        return None
    costs, scores = known_means(learned.costs), known_means(learned.scores)
    key = np.where(np.isnan(costs), np.inf, costs)
    order = np.lexsort((np.where(np.isnan(scores), np.inf, scores), key))
    return int(next(column for column in order if column != best))


def _route(method: Method, judged: TrainingData, judge: _Judge, policy: Policy) -> _Routed:
    """Route the judged rows and measure the choices by what was observed."""
    prediction = method.classifier.predict(judged.texts)
    costs = method.costs.predict(judged.texts, prediction)
    aligned = _align(judged, method.classifier.experts_)
    choice = policy.choose(prediction.scores, costs)
    paid = np.where(np.isnan(aligned.costs), costs, aligned.costs)
    counts = np.bincount(choice, minlength=len(aligned.experts)) / len(choice)
    curve = sweep(prediction.scores, costs, aligned.scores, aligned.costs)
    rows = _Rows(
        pick(aligned.scores, choice),
        pick(paid, choice),
        {name: float(part) for name, part in zip(aligned.experts, counts, strict=True) if part},
        (curve.costs, curve.qualities),
    )
    own = {name: column for column, name in enumerate(aligned.experts)}
    extras: dict[str, Any] = {
        "curve": curve,
        "train_s": method.train_s,
        "route_us": _time_route(method, judged, policy),
    }
    if all(name in own for name in judged.experts):
        extras |= judge.gap_measures(prediction.scores[:, [own[name] for name in judged.experts]])
    return _Routed(rows, extras)


def _align(data: TrainingData, experts: tuple[str, ...]) -> TrainingData:
    """Return `data` with these columns; an expert it does not have is missing everywhere."""
    if experts == data.experts:
        return data
    column = {name: index for index, name in enumerate(data.experts)}

    def arrange(cells: FloatArray) -> FloatArray:
        missing = np.full(len(data), np.nan)
        return np.column_stack([cells[:, column[name]] if name in column else missing for name in experts])

    return replace(
        data,
        experts=experts,
        scores=arrange(data.scores),
        costs=arrange(data.costs),
        latencies=arrange(data.latencies),
        descriptions=(),
    )


def _time_route(method: Method, judged: TrainingData, policy: Policy) -> float:
    """Return the median microseconds of routing one instruction, over single calls."""
    picked = np.linspace(0, len(judged) - 1, min(_TIMED_ROUTES, len(judged))).astype(int)
    spent = []
    for row in picked:
        started = time.perf_counter()
        prediction = method.classifier.predict([judged.texts[row]])
        policy.choose(prediction.scores, method.costs.predict([judged.texts[row]], prediction))
        spent.append(time.perf_counter() - started)
    return float(np.median(spent)) * 1e6


def _mean(values: FloatArray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else math.nan


def _with_extras(result: Result, extras: Mapping[str, Any]) -> Result:
    return replace(result, **extras)
