"""Quality against cost: reference points, the zero router, the oracle, and the curve of every method."""

import io
import math
from typing import Any

import numpy as np

from mixture_training.src.evaluation_result import EvaluationResult, Result

#: A cost axis that spans more than this factor is logarithmic.
_WIDE = 20.0
#: More experts than this are numbered in the plot and named in the legend.
_LABELLED = 8
#: More experts than this would push the picture off its own page: the rest are numbered in it, but not listed.
_LISTED = 40


def plot_png(result: EvaluationResult) -> bytes:
    """Return the plot as PNG, drawn without a display; points whose cost is unknown are drawn at no cost."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.5, 6.2), dpi=140, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    _draw_experts(axes, result)
    if len(result.hull):
        # Mixing two experts is a straight line in USD, which a logarithmic axis bends.
        grid = np.unique(np.concatenate([result.hull[:, 0], np.linspace(result.hull[0, 0], result.hull[-1, 0], 400)]))
        line = np.interp(grid, result.hull[:, 0], result.hull[:, 1])
        axes.plot(grid, line, color="0.45", linestyle="--", label="zero router", zorder=2)
    for name, marker, colour in (
        ("random", "x", "0.4"),
        ("best_per_category", "D", "tab:olive"),
        ("oracle", "*", "black"),
    ):
        _draw_point(axes, result.references[name], name.replace("_", " "), marker, colour)
    for index, (name, entry) in enumerate(result.methods.items()):
        _draw_method(axes, name, entry, f"C{index % 10}")
    costs = np.array([entry.cost for entry in (*result.references.values(), *result.methods.values())])
    positive = costs[np.isfinite(costs) & (costs > 0)]
    if len(positive) and positive.max() / positive.min() > _WIDE and not (costs <= 0).any():
        axes.set_xscale("log")
    axes.set_xlabel("mean cost per instruction (USD)")
    axes.set_ylabel("mean score")
    axes.set_title(_plain(f"{result.dataset}, {result.split} split, {result.instructions} instructions"))
    axes.grid(alpha=0.25)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=8, frameon=False)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", metadata={"Software": None})
    return picture.getvalue()


def _draw_experts(axes: Any, result: EvaluationResult) -> None:  # noqa: ANN401 - matplotlib has no types
    many = len(result.experts) > _LABELLED
    for number, name in enumerate(result.experts, start=1):
        entry = result.references[f"expert:{name}"]
        best = name == result.best_single
        label = f"{number} {name}" if many else name
        axes.plot(
            [_cost(entry)],
            [entry.quality.value],
            marker="s" if best else "o",
            markersize=9 if best else 6,
            color="tab:red" if best else "0.55",
            linestyle="none",
            label=_plain(f"{label} (best single)" if best else label) if best or (many and number <= _LISTED) else "_",
            zorder=3,
        )
        axes.annotate(
            _plain(str(number) if many else name),
            (_cost(entry), entry.quality.value),
            xytext=(6, -10),
            textcoords="offset points",
            fontsize=8,
            color="0.3",
        )


def _draw_point(axes: Any, entry: Result, label: str, marker: str, colour: str) -> None:  # noqa: ANN401
    axes.plot(
        [_cost(entry)],
        [entry.quality.value],
        marker=marker,
        markersize=9,
        color=colour,
        linestyle="none",
        label=label,
        zorder=4,
    )


def _draw_method(axes: Any, name: str, entry: Result, colour: str) -> None:  # noqa: ANN401
    if entry.curve is not None and np.isfinite(entry.curve.costs).any():
        axes.plot(entry.curve.costs, entry.curve.qualities, color=colour, linewidth=1.4, alpha=0.85, zorder=3)
    quality = entry.quality
    error = [[max(quality.value - quality.low, 0.0)], [max(quality.high - quality.value, 0.0)]]
    axes.errorbar(
        [_cost(entry)],
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


def _cost(entry: Result) -> float:
    return 0.0 if math.isnan(entry.cost) else entry.cost


def _plain(text: str) -> str:
    """Return `text` for a label: no mathematics, and not too long."""
    short = text if len(text) <= 60 else text[:57] + "…"
    return short.replace("$", r"\$").lstrip("_") or " "
