"""What a method reaches from parts of the train rows, beside always asking the best single expert."""

import math
from collections.abc import Sequence

from mixture_training.src.evaluation_result import LearningPoint
from mixture_training.src.metrics.bootstrap import Interval
from mixture_training.src.reporting.axes import frame, scale_of, tell_round
from mixture_training.src.reporting.formats import duration, with_interval
from mixture_training.src.reporting.markers import marker
from mixture_training.src.reporting.markup import escaped, path, tag

_WIDTH, _HEIGHT = 480.0, 270.0


def learning_chart(points: Sequence[LearningPoint], best: Interval, best_name: str, classes: str) -> str:
    """Return the chart as SVG, empty where fewer than two points are known; `best` is always asking one expert."""
    known = [point for point in points if math.isfinite(point.quality.value)]
    if len(known) < 2:
        return ""
    sizes = [float(point.instructions) for point in known]
    values = [end for point in known for end in (point.quality.value, *_ends(point.quality))]
    x = scale_of(sizes, 50, _WIDTH - 16, may_be_logarithmic=True)
    y = scale_of([*values, best.value], _HEIGHT - 46, 26)
    line = [(x(size), y(point.quality.value)) for size, point in zip(sizes, known, strict=True)]
    below, above = (
        [(x(size), y(_ends(p.quality)[end])) for size, p in zip(sizes, known, strict=True)] for end in (0, 1)
    )
    dots = [marker("circle", *place, 4.5, _told(point)) for place, point in zip(line, known, strict=True)]
    return tag(
        "svg",
        frame(
            x,
            y,
            names=("train instructions", "mean score"),
            tell=(lambda size: f"{size:,.0f}", tell_round),
            ticks=(5, 6),
        ),
        tag("path", d=path(below + above[::-1]) + "Z", class_=f"band {classes}"),
        *_level(x.start, x.end, y(best.value), f"always {best_name}"),
        tag("g", tag("path", d=path(line), class_="curve"), *dots, class_=f"method {classes}"),
        viewBox=f"0 0 {_WIDTH:.0f} {_HEIGHT:.0f}",
        role="img",
        aria_label=f"Learning curve. {'; '.join(map(_told, known))}.",
        class_="chart small",
    )


def _level(start: float, end: float, y: float, name: str) -> list[str]:
    return [
        tag("line", x1=start, x2=end, y1=y, y2=y, class_="hull"),
        tag("g", tag("text", escaped(name), x=end, y=y - 5, text_anchor="end"), class_="labels"),
    ]


def _ends(interval: Interval) -> tuple[float, float]:
    if math.isfinite(interval.low + interval.high):
        return interval.low, interval.high
    return interval.value, interval.value


def _told(point: LearningPoint) -> str:
    fitted = f", fitted in {duration(point.train_s)}" if math.isfinite(point.train_s) else ""
    return f"{point.instructions:,} instructions: {with_interval(point.quality)}{fitted}"
