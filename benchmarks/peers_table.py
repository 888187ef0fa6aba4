"""Choices of many routers on the same rows -> one table."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mixture_training.src.metrics.bootstrap import Interval, mean_interval, paired_difference
from mixture_training.src.metrics.curves import aiq
from mixture_training.src.metrics.references import (
    best_column,
    best_per_category,
    hull,
    known_means,
    oracle,
    pick,
    random_values,
)
from mixture_training.src.training_data import FloatArray, TrainingData

#: Budgets that the curve is read at, as shares of what always calling the best single expert costs.
BUDGETS = (0.1, 0.25, 0.5, 1.0)
#: Which method the others are compared with.
COMPARED = ("ours", "auto")


@dataclass(frozen=True)
class Found:
    """What a method answered: the keys of an answer in `peers/exchange.py`, or only `broke`."""

    peer: str
    version: str
    method: str
    answer: Mapping[str, Any]


@dataclass(frozen=True)
class Row:
    """One line of the table; NaN and None where something is not known.

    Attributes:
        name: Library and method.
        quality: Mean score of the choices, with its interval.
        vs_best_single: Paired difference.
        vs_ours: Paired difference to `COMPARED`; None for itself and where it is not there.
        cost: Mean USD as a share of the best single expert's.
        aiq: Over the curve, or over the one point.
        at_budget: Mean score within each of `BUDGETS`; NaN where it cannot be that cheap.
        cost_to_match: The least share of the best single expert's cost at which its quality is reached; NaN if never.
        answer: As it came, without the choices.
    """

    name: str
    quality: Interval
    vs_best_single: Interval | None
    vs_ours: Interval | None
    cost: float
    aiq: float
    at_budget: tuple[float, ...]
    cost_to_match: float
    answer: Mapping[str, Any]


@dataclass(frozen=True)
class Table:
    """All rows of one dataset, references first."""

    rows: int
    best_single: str
    lines: tuple[Row, ...]
    broken: tuple[Found, ...]

    def as_json(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return asdict(self)


@dataclass(frozen=True)
class _Seen:
    """Scores and costs per row of what was chosen, and the points of the curve."""

    scores: FloatArray
    costs: FloatArray
    points: FloatArray


def judge(data: TrainingData, found: Sequence[Found], *, seed: int = 0, samples: int = 2000) -> Table:
    """Judge every answer on the test rows of `data`, beside the reference points.

    Args:
        data: With test rows that have scores.
        found: Answers; one without choices is listed as broken.
        seed: Of the bootstrap.
        samples: Bootstrap resamples.
    """
    test, train = data.split("test"), data.split("train")
    best = best_column(train.scores, train.costs)
    everywhere = np.full(len(test), best, dtype=np.intp)
    ideal = oracle(test.scores, test.costs)
    per_category = best_per_category(train.scores, train.costs, train.categories, test.categories)
    means, prices = known_means(test.scores), known_means(test.costs)
    single = _seen(test, everywhere)
    seen: dict[str, tuple[_Seen, Mapping[str, Any]]] = {
        "random": (_of(random_values(test.scores), random_values(test.costs)), {}),
        f"best single ({data.experts[best]})": (single, {}),
        "zero router": (_Seen(single.scores, single.costs, np.column_stack([prices, means])), {}),
        "best per category": (_seen(test, per_category), {}),
        "oracle": (_seen(test, ideal), {}),
    }
    usable = [one for one in found if one.answer.get("choices")]
    for one in usable:
        seen[_name(one)] = (
            _seen(test, np.array(one.answer["choices"], dtype=np.intp), one.answer.get("curve") or ()),
            {key: value for key, value in one.answer.items() if key not in ("choices", "curve")},
        )
    ours = next((seen[_name(one)][0] for one in usable if (one.peer, one.method) == COMPARED), None)
    limits = _range(prices, _mean(seen["oracle"][0].costs))
    lines = []
    for name, (what, answer) in seen.items():
        draws = {"seed": seed, "samples": samples}
        lines.append(
            Row(
                name=name,
                quality=mean_interval(what.scores, **draws),
                vs_best_single=None if what is single else paired_difference(what.scores, single.scores, **draws),
                vs_ours=None if ours is None or what is ours else paired_difference(what.scores, ours.scores, **draws),
                cost=_ratio(_mean(what.costs), _mean(single.costs)),
                aiq=aiq(what.points[:, 0], what.points[:, 1], lowest=limits[0], highest=limits[1]),
                at_budget=_at_budget(what.points, _mean(single.costs)),
                cost_to_match=_cost_to_match(what.points, single),
                answer=answer,
            )
        )
    broken = tuple(one for one in found if not one.answer.get("choices"))
    return Table(len(test), data.experts[best], tuple(lines), broken)


def _name(one: Found) -> str:
    return f"{one.peer}: {one.method}"


def _mean(values: FloatArray) -> float:
    """Return the mean of what is known, NaN where nothing is."""
    return float(known_means(values[:, None])[0])


def _of(scores: FloatArray, costs: FloatArray) -> _Seen:
    return _Seen(scores, costs, np.array([[_mean(costs), _mean(scores)]]))


def _seen(test: TrainingData, chosen: npt.NDArray[np.intp], curve: Sequence[Sequence[int]] = ()) -> _Seen:
    first = _of(pick(test.scores, chosen), pick(test.costs, chosen))
    more = [np.array(choices, dtype=np.intp) for choices in curve]
    points = [first.points, *(_of(pick(test.scores, one), pick(test.costs, one)).points for one in more)]
    return _Seen(first.scores, first.costs, np.concatenate(points))


def _range(prices: FloatArray, ideal: float) -> tuple[float, float]:
    """Return the costs that AIQ is taken over, as `moe evaluate` does: single experts', and the oracle's if dearer."""
    known = np.append(prices, ideal)
    known = known[~np.isnan(known)]
    return (float(known.min()), float(known.max())) if len(known) else (math.nan, math.nan)


def _at_budget(points: FloatArray, whole: float) -> tuple[float, ...]:
    """Return the quality that mixing the points reaches within each budget."""
    line = hull(points[:, 0], points[:, 1])
    if not len(line):
        return (math.nan,) * len(BUDGETS)
    return tuple(float(value) for value in np.interp(np.array(BUDGETS) * whole, line[:, 0], line[:, 1], left=math.nan))


def _cost_to_match(points: FloatArray, single: _Seen) -> float:
    line = hull(points[:, 0], points[:, 1])
    wanted = _mean(single.scores)
    if not len(line) or line[-1, 1] < wanted - 1e-12:
        return math.nan
    return _ratio(float(np.interp(wanted, line[:, 1], line[:, 0])), _mean(single.costs))


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else math.nan


def markdown(table: Table) -> str:
    """Return the table, the settings that were chosen, and what did not answer, as Markdown."""
    budgets = [f"at {share:.0%}" for share in BUDGETS]
    head = ["method", "quality", "vs best single", "vs auto", "cost", "AIQ", *budgets, "cost to match"]
    head += ["train s", "route ms", "MB", "lines", "what broke"]
    body = [_cells(row) for row in table.lines]
    for one in table.broken:
        empty = [""] * (len(head) - 2)
        body.append([_name(one), *empty, str(one.answer.get("broke", ""))])
    text = [f"{table.rows} test rows. Costs are shares of what always calling {table.best_single} costs.", ""]
    text += [_line(head), _line(["---"] * len(head)), *map(_line, body)]
    chosen = [f"- {row.name}: {row.answer['settings']}" for row in table.lines if row.answer.get("settings")]
    return "\n".join([*text, *(["", "Chosen settings:", *chosen] if chosen else [])])


def _cells(row: Row) -> list[str]:
    answer = row.answer
    lines = [line for line in str(answer.get("configuration", "")).splitlines() if line.strip()]
    return [
        row.name,
        f"{row.quality.value:.3f} [{row.quality.low:.3f}, {row.quality.high:.3f}]",
        _difference(row.vs_best_single),
        _difference(row.vs_ours),
        _share(row.cost),
        _number(row.aiq, 3),
        *(_number(value, 3) for value in row.at_budget),
        _share(row.cost_to_match),
        _number(answer.get("train_s"), 1),
        _number(answer.get("route_ms"), 2),
        _number(answer.get("memory_mb"), 0),
        str(len(lines)) if lines else "",
        str(answer.get("broke", "")),
    ]


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _difference(interval: Interval | None) -> str:
    if interval is None:
        return ""
    return f"{interval.value:+.3f} [{interval.low:+.3f}, {interval.high:+.3f}]"


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None or math.isnan(value) else f"{value:.{digits}f}"


def _share(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.0%}"
