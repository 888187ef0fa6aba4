"""From what every router did to its figures, each with an interval from the same resamples."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations, product

import numpy as np

from mixture_training.src.evaluation_result import Band, CategoryResult, Result
from mixture_training.src.judging_rows import Judged, Rows
from mixture_training.src.metrics.bootstrap import Resamples, percentile_interval
from mixture_training.src.metrics.comparisons import bootstrap_p_value
from mixture_training.src.metrics.curves import Curve, GapCurve, aiq, aiqs, apgr, cpt, gap_curve
from mixture_training.src.metrics.figures import Figure, each, known_mean, ratio, stacked
from mixture_training.src.metrics.routing import choice_entropy, win_rate
from mixture_training.src.metrics.trade_offs import (
    arena_score,
    cost_saving,
    pareto_distances,
    pareto_frontier,
    performance_gain,
)
from mixture_training.src.training_data import FloatArray

#: Routers whose rows are multiplied with the weights at once.
_AT_ONCE = 16
#: Pairs of methods likewise.
_PAIRS_AT_ONCE = 64
#: Reference points that methods are compared with one by one, beside the best single expert.
_RIVALS = ("best_per_category", "zero_router")


@dataclass(frozen=True)
class _Means:
    """Means over the rows that are known for what is averaged."""

    quality: Figure
    cost: Figure
    difference: Figure
    gap: Figure
    regret: Figure
    wins: Figure
    losses: Figure


@dataclass(frozen=True)
class _Points:
    """A router's points in the plane of cost and quality, (points,) and (samples, points)."""

    costs: Figure
    qualities: Figure


class Measures:
    """What all routers are measured with.

    Args:
        judged: The rows.
        rows: What every reference point and method did on them.
        resamples: Of the rows.
        on_step: Called with what is being done.
    """

    def __init__(
        self, judged: Judged, rows: Mapping[str, Rows], resamples: Resamples, on_step: Callable[[str], None]
    ) -> None:
        self._judged, self._rows, self._resamples = judged, rows, resamples
        self._on_step = on_step
        on_step("intervals of the means")
        self._means = self._all_means()
        self._points: dict[str, _Points] = {}
        for name in rows:
            on_step(f"intervals along the curve of {name}")
            self._points[name] = self._points_of(name)
        on_step("AIQ and Pareto distance")
        self._lowest, self._highest = self._cost_range()
        self._aiq = {name: self._aiq_of(points) for name, points in self._points.items()}
        self.frontier, self._distances = self._distances_from_frontier()

    def results(self, compared: Sequence[str]) -> dict[str, Result]:
        """Return every router's figures; those `compared` also against each other."""
        self._on_step("figures per category")
        tables = self._by_category()
        self._on_step("methods against each other")
        differences = self._differences(compared)
        self._on_step("putting it together")
        return {
            name: self._result(
                name, compared, differences.get(name, {}), {category: table[name] for category, table in tables.items()}
            )
            for name in self._rows
        }

    def _result(
        self,
        name: str,
        compared: Sequence[str],
        versus: Mapping[str, Figure],
        by_category: Mapping[str, CategoryResult],
    ) -> Result:
        rows, means, points = self._rows[name], self._means[name], self._points[name]
        single = self._means["best_single"]
        saving = Figure(
            cost_saving(points.costs.value, points.qualities.value, single.cost.value, single.quality.value),
            _nothing_saved(
                cost_saving(
                    points.costs.resampled, points.qualities.resampled, single.cost.resampled, single.quality.resampled
                )
            ),
        )
        figures = {
            "cost": means.cost,
            "regret": means.regret,
            "aiq": self._aiq[name],
            "performance_gain": each(performance_gain, points.qualities, single.quality),
            "cost_saving": saving,
            "arena_score": each(arena_score, means.quality, means.cost),
            "entropy": self._entropy(rows),
            **self._gap_measures(rows),
        }
        if name in self._distances:
            figures["pareto_distance"] = self._distances[name]
        intervals = {key: figure.interval() for key, figure in figures.items()}
        told = {**intervals, "wins": means.wins.interval(), "losses": means.losses.interval()}
        curve = None if rows.swept is None else Curve(rows.swept.weights, points.costs.value, points.qualities.value)
        return Result(
            quality=means.quality.interval(),
            unscored=int(np.isnan(rows.scores).sum()),
            gap_closed=means.gap.interval(),
            vs_best_single=means.difference.interval(),
            wins=win_rate(rows.scores, self._rows["best_single"].scores),
            share=rows.share(),
            by_category=by_category,
            p_value=bootstrap_p_value(means.difference.resampled),
            intervals={key: interval for key, interval in told.items() if not math.isnan(interval.low)},
            curve=curve if name in compared else None,
            band=_band(points.qualities) if name in compared and curve is not None else None,
            versus={other: figure.interval() for other, figure in versus.items()},
            aiq_versus={
                other: (self._aiq[name] - self._aiq[other]).interval()
                for other in versus
                if other != "best_per_category"
            },
            **{key: interval.value for key, interval in intervals.items()},  # type: ignore[arg-type]
            **rows.extras,
        )

    def _all_means(self) -> dict[str, _Means]:
        names = list(self._rows)
        found: dict[str, _Means] = {}
        for start in range(0, len(names), _AT_ONCE):
            group = names[start : start + _AT_ONCE]
            columns = np.concatenate([self._columns(self._rows[name]) for name in group], axis=1)
            totals, resampled = columns.sum(axis=0), self._resamples.sums(columns)
            width = columns.shape[1] // len(group)
            for place, name in enumerate(group):
                part = slice(place * width, (place + 1) * width)
                found[name] = _means(totals[part], resampled[:, part])
        return found

    def _columns(self, rows: Rows) -> FloatArray:
        """Return what is summed of a router: (n, 10)."""
        best, ideal = self._rows["best_single"].scores, self._rows["oracle"].scores
        difference = rows.scores - best
        both = ~np.isnan(difference)
        columns = [rows.scores, rows.costs, difference, np.where(both, ideal - best, np.nan), ideal - rows.scores]
        known = [~np.isnan(rows.scores), ~np.isnan(rows.costs), both, difference > 0.0, difference < 0.0]
        return np.column_stack([*(np.nan_to_num(column, nan=0.0) for column in columns), *known]).astype(np.float64)

    def _points_of(self, name: str) -> _Points:
        if name == "zero_router":
            experts = [self._means[f"expert:{expert}"] for expert in self._judged.data.experts]
            return _Points(*(stacked([getattr(one, key) for one in experts]) for key in ("cost", "quality")))
        swept = self._rows[name].swept
        if swept is None:
            means = self._means[name]
            return _Points(stacked([means.cost]), stacked([means.quality]))
        known = ~np.isnan(swept.scores)
        parts = [swept.costs, np.where(known, swept.scores, 0.0)]
        if not known.all():
            parts.append(known.astype(np.float64))
        columns = np.concatenate(parts, axis=1)
        count = len(swept.weights)
        both = []
        for sums in (columns.sum(axis=0), self._resamples.sums(columns)):
            counts = sums[..., 2 * count :] if len(parts) > 2 else float(len(columns))
            qualities = ratio(sums[..., count : 2 * count], counts)
            costs = np.where(np.isnan(qualities), np.nan, sums[..., :count] / len(columns))
            both.append((costs, qualities))
        return _Points(*(Figure(both[0][axis], both[1][axis]) for axis in (0, 1)))

    def _cost_range(self) -> tuple[Figure, Figure]:
        """Return the ends of the cost range of AIQ.

        RouterBench takes the range of single experts. Where each expert is dear only at what it is good at, even the
        oracle costs more than any of them, and its cost ends the range.
        """
        names = [*(f"expert:{expert}" for expert in self._judged.data.experts), "oracle"]
        costs = stacked([self._means[name].cost for name in names])
        low, high = (
            lambda values: np.where(np.isnan(values), np.inf, values).min(axis=-1),
            lambda values: np.where(np.isnan(values), -np.inf, values).max(axis=-1),
        )
        return each(low, costs), each(high, costs)

    def _aiq_of(self, points: _Points) -> Figure:
        low, high = self._lowest, self._highest
        value = aiq(points.costs.value, points.qualities.value, lowest=float(low.value), highest=float(high.value))
        costs, qualities = points.costs.resampled, points.qualities.resampled
        return Figure(np.asarray(value), aiqs(costs, qualities, lowest=low.resampled, highest=high.resampled))

    def _distances_from_frontier(self) -> tuple[FloatArray, dict[str, Figure]]:
        """Return the frontier of single experts and methods, and the Pareto distance of each of them."""
        names = [name for name in self._points if name.startswith(("expert:", "method:"))]
        costs, qualities = ([getattr(self._points[name], axis) for name in names] for axis in ("costs", "qualities"))
        starts = np.cumsum([0, *(one.value.shape[-1] for one in costs)])
        x, y = (np.concatenate([one.value for one in axis], axis=-1) for axis in (costs, qualities))
        frontier = pareto_frontier(x, y)
        value = pareto_distances(x, y, frontier)
        x, y = (np.concatenate([one.resampled for one in axis], axis=-1) for axis in (costs, qualities))
        resampled = np.empty(x.shape)
        for sample in range(len(x)):
            resampled[sample] = pareto_distances(x[sample], y[sample], pareto_frontier(x[sample], y[sample]))
        return frontier, {
            name: Figure(*(known_mean(part[..., start:stop]) for part in (value, resampled)))
            for name, start, stop in zip(names, starts[:-1], starts[1:], strict=True)
        }

    def _entropy(self, rows: Rows) -> Figure:
        if rows.choice is None:
            return Figure(np.asarray(1.0), np.ones(self._resamples.samples))
        number = len(rows.experts)
        if np.ptp(rows.choice) == 0:  # always the same expert, in every resample too
            return Figure(np.asarray(0.0), np.zeros(self._resamples.samples))
        chosen = np.bincount(rows.choice[rows.choice >= 0], minlength=number).astype(np.float64)
        return Figure(choice_entropy(chosen), choice_entropy(self._resamples.counts(rows.choice, number)))

    def _gap_measures(self, rows: Rows) -> dict[str, Figure]:
        """Return APGR and CPT; empty where they are not defined."""
        if rows.ordered is None:
            return {}
        weak, strong = self._judged.pair()
        curve = gap_curve(rows.ordered.predicted_gain, weak, strong)
        if curve is None:
            return {}
        gain = (strong - weak)[rows.ordered.order]
        counts, sums = self._resamples.group_sums(gain, rows.ordered.order, rows.ordered.ends)
        curves = [_gap_curve(*one) for one in zip(counts, sums, strict=True)]
        measures: dict[str, Callable[[GapCurve], float]] = {
            "apgr": apgr,
            "cpt50": partial(cpt, target=0.5),
            "cpt80": partial(cpt, target=0.8),
        }
        return {
            key: Figure(
                np.asarray(measure(curve)), np.array([math.nan if one is None else measure(one) for one in curves])
            )
            for key, measure in measures.items()
        }

    def _differences(self, compared: Sequence[str]) -> dict[str, dict[str, Figure]]:
        """Return method -> rival -> the mean of its score − the rival's, over the rows that have both."""
        pairs = [*combinations(compared, 2), *product(compared, _RIVALS)]
        found: dict[str, dict[str, Figure]] = {name: {} for name in compared}
        for start in range(0, len(pairs), _PAIRS_AT_ONCE):
            group = pairs[start : start + _PAIRS_AT_ONCE]
            differences = np.column_stack([self._rows[one].scores - self._rows[other].scores for one, other in group])
            known = ~np.isnan(differences)
            columns = np.concatenate([np.where(known, differences, 0.0), known], axis=1)
            totals, resampled = columns.sum(axis=0), self._resamples.sums(columns)
            count = len(group)
            value, again = ratio(totals[:count], totals[count:]), ratio(resampled[:, :count], resampled[:, count:])
            for place, (one, other) in enumerate(group):
                found[one][other] = Figure(value[place], again[:, place])
                if other in found:
                    found[other][one] = Figure(-value[place], -again[:, place])
        return found

    def _by_category(self) -> dict[str, dict[str, CategoryResult]]:
        data, names = self._judged.data, list(self._rows)
        labels = np.array([category or "" for category in data.categories], dtype=object)
        tables = {}
        for category in data.category_names:
            inside = np.flatnonzero(labels == category)
            scores = np.column_stack([self._rows[name].scores[inside] for name in names])
            known = ~np.isnan(scores)
            columns = np.concatenate([np.where(known, scores, 0.0), known], axis=1)
            totals, resampled = columns.sum(axis=0), self._resamples.sums(columns, inside)
            count = len(names)
            means, again = ratio(totals[:count], totals[count:]), ratio(resampled[:, :count], resampled[:, count:])
            tables[category] = {
                name: CategoryResult(
                    len(inside),
                    percentile_interval(float(means[place]), again[:, place]),
                    _mean(self._rows[name].costs[inside]),
                    self._rows[name].share(inside),
                )
                for place, name in enumerate(names)
            }
        return tables


def _means(totals: FloatArray, resampled: FloatArray) -> _Means:
    score, cost, difference, possible, regret, scored, priced, both, won, lost = range(10)

    def mean(what: int, count: int) -> Figure:
        return Figure(ratio(totals[what], totals[count]), ratio(resampled[:, what], resampled[:, count]))

    is_gap = totals[possible] > 1e-12 * max(float(totals[both]), 1.0)
    gaps = np.where(resampled[:, possible] > 0, resampled[:, possible], 0.0)
    return _Means(
        quality=mean(score, scored),
        cost=mean(cost, priced),
        difference=mean(difference, both),
        gap=Figure(
            ratio(totals[difference], totals[possible]) if is_gap else np.asarray(math.nan),
            ratio(resampled[:, difference], gaps),
        ),
        regret=mean(regret, scored),
        wins=mean(won, both),
        losses=mean(lost, both),
    )


def _nothing_saved(savings: FloatArray) -> FloatArray:
    return np.where(np.isnan(savings), 0.0, savings)


def _gap_curve(counts: FloatArray, sums: FloatArray) -> GapCurve | None:
    """Return the curve of one resample; None where the strong expert is not better in it."""
    if sums.sum() <= 1e-12:
        return None
    share, recovered = (np.concatenate([[0.0], np.cumsum(part)]) for part in (counts, sums))
    return GapCurve(share / share[-1], recovered / recovered[-1])


def _band(qualities: Figure) -> Band:
    if not len(qualities.resampled):
        nothing = np.full(qualities.value.shape, np.nan)
        return Band(nothing, nothing)
    unknown = np.isnan(qualities.resampled).any(axis=0)
    low, high = np.quantile(np.where(unknown, 0.0, qualities.resampled), [0.025, 0.975], axis=0)
    return Band(np.where(unknown, np.nan, low), np.where(unknown, np.nan, high))


def _mean(values: FloatArray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else math.nan
