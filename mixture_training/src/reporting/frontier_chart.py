"""Quality over cost: single experts, the zero router, every method's curve with its interval, and the oracle."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mixture_training.src.evaluation_result import EvaluationResult, Result
from mixture_training.src.metrics.curves import Curve
from mixture_training.src.reporting.axes import Scale, frame, scale_of, tell_round
from mixture_training.src.reporting.formats import CostUnit, cost_unit, shortened, with_interval
from mixture_training.src.reporting.labels import Wanted, dense, place, width_of
from mixture_training.src.reporting.markers import SHAPES, marker, method_class
from mixture_training.src.reporting.markup import escaped, path, tag

#: Characters of an expert's name in its label, and where there are more experts than `_MANY`.
_NAME, _NAME_OF_MANY, _MANY = 24, 14, 16
#: More single experts than this are drawn without their intervals.
_WITH_WHISKERS = 12
#: References that are points of the plane, with their shapes.
_REFERENCES = {"random": "cross", "best_per_category": "diamond", "oracle": "star"}

Points = list[tuple[float, float]]


@dataclass(frozen=True)
class _Plane:
    """The two scales, in USD per the unit's instructions and mean score, and how they are told."""

    x: Scale
    y: Scale
    unit: CostUnit

    def at(self, cost: float, quality: float) -> tuple[float, float]:
        return self.x(cost * self.unit.instructions), self.y(quality)

    def tell(self, name: str, entry: Result) -> str:
        return f"{name}: {with_interval(entry.quality)} at {self.unit.tell(entry.cost)} {self.unit.phrase}"


def frontier_chart(result: EvaluationResult, *, width: float, height: float) -> str:
    """Return the chart as SVG, empty where no cost is known; what has no known cost is left out."""
    if not any(_is_known(entry) for entry in result.references.values()):
        return ""
    plane = _plane(result, width, height)
    curves = [_curve(plane, entry.curve) for entry in result.methods.values()]
    ideal, hull = _curve(plane, result.oracle_curve), _hull(result, plane)
    marks, obstacles = _marks(result, plane)
    labels = _labels(result, plane, obstacles, [hull, *curves, *_whiskers(result, plane)])
    parts = [
        frame(
            plane.x,
            plane.y,
            names=(f"mean cost, USD {plane.unit.phrase}", "mean score"),
            tell=(lambda cost: f"${tell_round(cost)}", tell_round),
            ticks=(max(int(width / 110), 3), 6),
        ),
        *(_band(plane, index, entry) for index, entry in enumerate(result.methods.values())),
        tag("path", tag("title", "zero router: what mixing two single experts by chance reaches"), d=path(hull),
            class_="hull") if len(hull) > 1 else "",
        tag("path", tag("title", "oracle: the best choice every time"), d=path(ideal), class_="ideal")
        if len(ideal) > 1
        else "",
        *(_line(plane, index, name, entry) for index, (name, entry) in enumerate(result.methods.items())),
        marks,
        labels,
    ]  # fmt: skip
    return tag(
        "svg",
        *parts,
        viewBox=f"0 0 {width:.0f} {height:.0f}",
        role="img",
        aria_label=_told(result),
        class_="chart",
        style=f"--band:{0.4 / max(len(result.methods), 3):.2f}",
    )


def _told(result: EvaluationResult) -> str:
    return (
        f"Chart of mean score over mean cost: {len(result.experts)} single experts, {len(result.methods)} methods, and "
        " the line that mixing single experts reaches. The tables below hold the same figures."
    )


def _is_known(entry: Result) -> bool:
    return math.isfinite(entry.cost) and math.isfinite(entry.quality.value)


def _plane(result: EvaluationResult, width: float, height: float) -> _Plane:
    unit = cost_unit(result)
    shown = [entry for name, entry in result.references.items() if name != "zero_router"]
    known = [entry for entry in (*shown, *result.methods.values()) if _is_known(entry)]
    costs = [entry.cost for entry in known]
    scores = [entry.quality.value for entry in known]
    for curve in (result.oracle_curve, *(entry.curve for entry in result.methods.values())):
        if curve is not None:
            costs += curve.costs.tolist()
            scores += curve.qualities.tolist()
    for entry in result.methods.values():
        if _is_known(entry) and math.isfinite(entry.quality.low):
            scores += [entry.quality.low, entry.quality.high]
    x = scale_of([cost * unit.instructions for cost in costs], 46, width - 14, may_be_logarithmic=True)
    return _Plane(x, scale_of(scores, height - 46, 26), unit)


def _hull(result: EvaluationResult, plane: _Plane) -> Points:
    """Return the zero router; mixing is a straight line in USD, which a logarithmic axis bends."""
    if not len(result.hull):
        return []
    costs, scores = result.hull[:, 0], result.hull[:, 1]
    grid = [costs]
    for low, high in zip(costs[:-1], costs[1:], strict=True):
        if plane.x.logarithmic and low > 0:
            grid.append(np.geomspace(low, high, 24))
        elif plane.x.logarithmic:
            grid.append(np.geomspace(plane.x.low / plane.unit.instructions, high, 24))
    dense = np.unique(np.concatenate(grid))
    return [plane.at(float(c), float(q)) for c, q in zip(dense, np.interp(dense, costs, scores), strict=True)]


def _curve(plane: _Plane, curve: Curve | None) -> Points:
    if curve is None:
        return []
    pairs = zip(curve.costs.tolist(), curve.qualities.tolist(), strict=True)
    return [plane.at(cost, score) for cost, score in pairs if math.isfinite(cost + score)]


def _band(plane: _Plane, index: int, entry: Result) -> str:
    """Return the area between the ends of the curve's intervals, if it has them."""
    if entry.curve is None or entry.band is None:
        return ""
    ends = zip(entry.curve.costs.tolist(), entry.band.low.tolist(), entry.band.high.tolist(), strict=True)
    known = [(cost, low, high) for cost, low, high in ends if math.isfinite(cost + low + high)]
    if len(known) < 2:
        return ""
    below = [plane.at(cost, low) for cost, low, _ in known]
    above = [plane.at(cost, high) for cost, _, high in reversed(known)]
    return tag("path", d=path(below + above) + "Z", class_=f"band {method_class(index)}")


def _line(plane: _Plane, index: int, name: str, entry: Result) -> str:
    """Return a method's curve with a point for each cost weight."""
    if entry.curve is None:
        return ""
    points = _curve(plane, entry.curve)
    dots = []
    for cost, quality in zip(entry.curve.costs.tolist(), entry.curve.qualities.tolist(), strict=True):
        if math.isfinite(cost + quality):
            x, y = plane.at(cost, quality)
            dots.append(marker("circle", x, y, 4.5, f"{name}: {quality:.3f} at {plane.unit.tell(cost)}", "dot"))
    line = tag("path", d=path(points), class_="curve") if len(points) > 1 else ""
    return tag("g", line, *dots, class_=f"method {method_class(index)}")


def _marks(result: EvaluationResult, plane: _Plane) -> tuple[str, Points]:
    """Return the points of experts, references and methods, and where they are."""
    drawn, places = [], []
    for name in result.experts:
        entry = result.references[f"expert:{name}"]
        if _is_known(entry):
            best = name == result.best_single
            x, y = plane.at(entry.cost, entry.quality.value)
            whisker = _whisker(plane, entry) if best or len(result.experts) <= _WITH_WHISKERS else ""
            title = plane.tell(f"{name} (best single)" if best else name, entry)
            shape, size = ("square", 6.0) if best else ("circle", 4.5)
            drawn.append(tag("g", whisker, marker(shape, x, y, size, title), class_="best" if best else "expert"))
            places.append((x, y))
    for name, shape in _REFERENCES.items():
        entry = result.references[name]
        if _is_known(entry):
            x, y = plane.at(entry.cost, entry.quality.value)
            drawn.append(marker(shape, x, y, 5.5, plane.tell(name.replace("_", " "), entry), "reference"))
            places.append((x, y))
    for index, (name, entry) in enumerate(result.methods.items()):
        if _is_known(entry):
            x, y = plane.at(entry.cost, entry.quality.value)
            point = marker(SHAPES[index % len(SHAPES)], x, y, 6.0, plane.tell(name, entry))
            drawn.append(tag("g", _whisker(plane, entry), point, class_=f"method {method_class(index)}"))
            places.append((x, y))
    return "".join(drawn), places


def _whisker(plane: _Plane, entry: Result) -> str:
    if not math.isfinite(entry.quality.low + entry.quality.high):
        return ""
    x, low = plane.at(entry.cost, entry.quality.low)
    high = plane.at(entry.cost, entry.quality.high)[1]
    low, high = min(low, plane.y.start), max(high, plane.y.end)
    return tag("line", x1=x, x2=x, y1=low, y2=high, class_="whisker")


def _whiskers(result: EvaluationResult, plane: _Plane) -> Iterator[Points]:
    """Yield the intervals drawn at the markers of the methods and of the best single expert."""
    for entry in (result.references["best_single"], *result.methods.values()):
        if _is_known(entry) and math.isfinite(entry.quality.low + entry.quality.high):
            yield [plane.at(entry.cost, entry.quality.low), plane.at(entry.cost, entry.quality.high)]


def _labels(result: EvaluationResult, plane: _Plane, obstacles: Points, curves: Sequence[Points]) -> str:
    lines = [point for curve in curves for point in dense(curve)]
    inside = (plane.x.start, plane.y.end, plane.x.end, plane.y.start)
    found = []
    for one in place(list(_wanted(result, plane)), inside, obstacles, lines):
        if one.is_far:
            end = (one.x if one.x > one.point[0] else min(one.x + width_of(one.text), one.point[0]), one.y - 4)
            found.append(tag("line", x1=one.point[0], y1=one.point[1], x2=end[0], y2=end[1], class_="leader"))
        found.append(tag("text", escaped(one.text), x=one.x, y=one.y))
    return tag("g", *found, class_="labels")


def _wanted(result: EvaluationResult, plane: _Plane) -> Iterator[Wanted]:
    """Yield the labels, the most telling first: best single, the references, the hull, then by quality."""
    references = {f"expert:{result.best_single}": result.best_single} | {
        name: name.replace("_", " ") for name in ("oracle", "best_per_category", "random")
    }
    corners = {(float(cost), float(score)) for cost, score in result.hull}

    def rank(name: str) -> tuple[bool, float]:
        entry = result.references[f"expert:{name}"]
        return (entry.cost, entry.quality.value) not in corners, -entry.quality.value

    known = [name for name in result.experts if _is_known(result.references[f"expert:{name}"])]
    others = {f"expert:{name}": name for name in sorted(known, key=rank) if name != result.best_single}
    characters = _NAME if len(result.experts) <= _MANY else _NAME_OF_MANY
    for key, text in (references | others).items():
        entry = result.references[key]
        if _is_known(entry):
            yield Wanted(
                shortened(text, characters) if key.startswith("expert:") else text,
                *plane.at(entry.cost, entry.quality.value),
            )
