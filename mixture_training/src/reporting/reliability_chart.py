"""Observed over predicted scores of one method: on the diagonal, a prediction means what it says."""

import math

from mixture_training.src.evaluation_result import Reliability
from mixture_training.src.reporting.axes import Scale, frame, tell_round
from mixture_training.src.reporting.markers import marker
from mixture_training.src.reporting.markup import path, tag

_WIDTH, _HEIGHT = 300.0, 270.0
#: Height of the strip at the bottom that shows how many predictions each point stands for.
_STRIP = 30.0


def reliability_chart(name: str, found: Reliability, classes: str) -> str:
    """Return the chart as SVG; `classes` give the method its colour."""
    x, y = Scale(0, 1, 42, _WIDTH - 12), Scale(0, 1, _HEIGHT - 44, 24)
    bins = [
        one
        for one in zip(found.predicted.tolist(), found.observed.tolist(), found.counts.tolist(), strict=True)
        if math.isfinite(sum(one))
    ]
    most = max((count for _, _, count in bins), default=1.0) or 1.0
    bars, dots = [], []
    for predicted, observed, count in bins:
        height = _STRIP * count / most
        bars.append(tag("rect", x=x(predicted) - 4, y=y.start - height, width=8.0, height=height))
        title = f"predicted {predicted:.2f}, observed {observed:.2f}, {count:,.0f} predictions"
        dots.append(marker("circle", x(predicted), y(observed), 4.0, title))
    line = tag("path", d=path([(x(one[0]), y(one[1])) for one in bins]), class_="curve") if len(bins) > 1 else ""
    return tag(
        "svg",
        frame(x, y, names=("predicted score", "observed score"), tell=(tell_round, tell_round), ticks=(5, 5)),
        tag("line", x1=x(0), y1=y(0), x2=x(1), y2=y(1), class_="hull"),
        tag("g", *bars, class_="counts"),
        tag("g", line, *dots, class_=f"method {classes}"),
        viewBox=f"0 0 {_WIDTH:.0f} {_HEIGHT:.0f}",
        role="img",
        aria_label=f"Reliability of {name}: {_in_words(bins)}.",
        class_="chart",
    )


def _in_words(bins: list[tuple[float, float, float]]) -> str:
    return (
        "; ".join(f"predicted {predicted:.2f}, observed {observed:.2f}" for predicted, observed, _ in bins) or "no bins"
    )
