"""Quality against cost as a picture: reference points, the zero router, the oracle, and the curve of every method."""

import io
import math
import warnings
from dataclasses import replace
from typing import Any

import numpy as np

from mixture_training.src.evaluation_result import EvaluationResult, Result
from mixture_training.src.reporting.formats import cost_unit, shortened
from mixture_training.src.reporting.labels import CHARACTER, Wanted, dense, place
from mixture_training.src.reporting.markup import printable

#: A cost axis that spans more than this factor is logarithmic.
_WIDE = 20.0
#: Characters of an expert's name beside its point, and where there are more experts than `_MANY`.
_NAME, _NAME_OF_MANY, _MANY = 24, 14, 16
#: Size of the labels in points, and how wide one of their characters is, as a share of that.
_POINTS, _ADVANCE = 8.0, 0.64
#: References that are points of the plane, with their markers and colours.
_REFERENCES = {"random": ("x", "0.4"), "best_per_category": ("D", "tab:olive"), "oracle": ("*", "black")}


def plot_png(result: EvaluationResult) -> bytes:
    """Return the plot as PNG, drawn without a display.

    What has no known cost is left out; where no cost is known at all, everything is drawn at none.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    result, unit = _with_costs(result), cost_unit(result)
    figure = Figure(figsize=(10.5, 6.2), dpi=140, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    _draw_experts(axes, result, unit.instructions)
    _draw_hull(axes, result, unit.instructions)
    for name, (marker, colour) in _REFERENCES.items():
        entry = result.references[name]
        at = [entry.cost * unit.instructions], [entry.quality.value]
        axes.plot(*at, marker, markersize=9, color=colour, label=name.replace("_", " "), zorder=4)
    for index, (name, entry) in enumerate(result.methods.items()):
        _draw_method(axes, name, entry, f"C{index % 10}", unit.instructions)
    if _is_wide(result):
        axes.set_xscale("log")
    axes.set_xlabel(f"mean cost, USD {unit.phrase}")
    axes.xaxis.set_major_formatter(lambda cost, _: f"${cost:g}".replace("$", r"\$"))
    axes.set_ylabel("mean score")
    axes.set_title(_plain(f"{result.dataset}, {result.split} split, {result.instructions} instructions"))
    axes.grid(alpha=0.25)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=8, frameon=False)
    picture = io.BytesIO()
    with warnings.catch_warnings():
        # A name in a script that the font lacks is drawn as boxes; nobody who reads a terminal can mend that.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.draw_without_rendering()
        _label_experts(axes, result, unit.instructions)
        figure.savefig(picture, format="png", metadata={"Software": None})
    return picture.getvalue()


def _is_wide(result: EvaluationResult) -> bool:
    """Return whether the costs span so much that equal factors should be equal distances."""
    costs = np.array([entry.cost for entry in (*result.references.values(), *result.methods.values())])
    positive = costs[np.isfinite(costs) & (costs > 0)]
    return bool(len(positive) and positive.max() / positive.min() > _WIDE and not (costs <= 0).any())


def _draw_hull(axes: Any, result: EvaluationResult, factor: int) -> None:  # noqa: ANN401 - matplotlib has no types
    if not len(result.hull):
        return
    # Mixing two experts is a straight line in USD, which a logarithmic axis bends.
    costs = result.hull[:, 0]
    between = [np.linspace(low, high, 60) for low, high in zip(costs[:-1], costs[1:], strict=True)]
    grid = np.unique(np.concatenate([costs, *between]))
    line = np.interp(grid, costs, result.hull[:, 1])
    axes.plot(grid * factor, line, color="0.45", linestyle="--", label="zero router", zorder=2)


def _draw_experts(axes: Any, result: EvaluationResult, factor: int) -> None:  # noqa: ANN401
    for name in result.experts:
        entry = result.references[f"expert:{name}"]
        best = name == result.best_single
        axes.plot(
            [entry.cost * factor],
            [entry.quality.value],
            marker="s" if best else "o",
            markersize=9 if best else 6,
            color="tab:red" if best else "0.55",
            linestyle="none",
            label=_plain(f"{name} (best single)") if best else "_",
            zorder=3,
        )


def _label_experts(axes: Any, result: EvaluationResult, factor: int) -> None:  # noqa: ANN401
    """Write names beside the points, the best experts first, none over another; those without room have none."""
    size = _POINTS * axes.figure.dpi / 72 * _ADVANCE / CHARACTER
    left, bottom, right, top = axes.bbox.extents / size
    characters = _NAME if len(result.experts) <= _MANY else _NAME_OF_MANY
    entries = {name: result.references[f"expert:{name}"] for name in result.experts}
    known = [name for name, entry in entries.items() if _is_known(entry)]
    shown = sorted(known, key=lambda name: (name != result.best_single, -entries[name].quality.value))
    others = [result.references[name] for name in _REFERENCES] + list(result.methods.values())

    def at(entry: Result) -> tuple[float, float]:
        x, y = axes.transData.transform((entry.cost * factor, entry.quality.value)) / size
        return float(x), -float(y)

    places = {name: at(entries[name]) for name in shown}
    obstacles = [*places.values(), *(at(entry) for entry in others if _is_known(entry))]
    drawn = [line.get_xydata() for line in axes.lines]
    known_points = [
        axes.transData.transform(line[np.isfinite(line).all(axis=1)]) / size for line in drawn if len(line) > 1
    ]
    lines = [point for line in known_points for point in dense([(float(x), -float(y)) for x, y in line])]
    wanted = [Wanted(shortened(printable(name), characters), *places[name]) for name in shown]
    for one in place(wanted, (left, -top, right, -bottom), obstacles, lines):
        axes.annotate(
            _plain(one.text),
            xy=(one.point[0] * size, -one.point[1] * size),
            xycoords="figure pixels",
            xytext=(one.x * size, -one.y * size),
            textcoords="figure pixels",
            fontsize=_POINTS,
            color="0.25",
            arrowprops={"arrowstyle": "-", "color": "0.6", "linewidth": 0.6} if one.is_far else None,
            annotation_clip=False,
            zorder=6,
        )


def _draw_method(axes: Any, name: str, entry: Result, colour: str, factor: int) -> None:  # noqa: ANN401
    if entry.curve is not None and np.isfinite(entry.curve.costs).any():
        costs = entry.curve.costs * factor
        axes.plot(costs, entry.curve.qualities, color=colour, linewidth=1.4, alpha=0.85, zorder=3)
        if entry.band is not None:
            axes.fill_between(costs, entry.band.low, entry.band.high, color=colour, alpha=0.1, linewidth=0, zorder=1)
    quality = entry.quality
    error = [[max(quality.value - quality.low, 0.0)], [max(quality.high - quality.value, 0.0)]]
    axes.errorbar(
        [entry.cost * factor],
        [quality.value],
        yerr=None if math.isnan(quality.low) else error,
        marker="o",
        markersize=7,
        capsize=3,
        color=colour,
        linestyle="none",
        label=_plain(name),
        zorder=5,
    )


def _with_costs(result: EvaluationResult) -> EvaluationResult:
    entries = (*result.references.values(), *result.methods.values())
    if any(math.isfinite(entry.cost) for entry in entries):
        return result
    references = {name: replace(entry, cost=0.0) for name, entry in result.references.items()}
    methods = {name: replace(entry, cost=0.0) for name, entry in result.methods.items()}
    return replace(result, references=references, methods=methods)


def _is_known(entry: Result) -> bool:
    return math.isfinite(entry.cost + entry.quality.value)


def _plain(text: str) -> str:
    """Return `text` for a label: no mathematics, and not too long."""
    return shortened(printable(text), 60).replace("$", r"\$").lstrip("_") or " "
