"""A small bar in a table's row: an interval on a scale that all rows share, with a line where there is no gain."""

import math
from collections.abc import Iterable

from mixture_training.src.metrics.bootstrap import Interval
from mixture_training.src.reporting.axes import Scale
from mixture_training.src.reporting.markup import path, tag

_WIDTH, _HEIGHT = 116.0, 18.0


def interval_scale(intervals: Iterable[Interval]) -> Scale:
    """Return a scale from the lowest to the highest end, zero within; what lies outside becomes an arrow."""
    ends = [end for one in intervals for end in (one.value, one.low, one.high) if math.isfinite(end)]
    low, high = min([*ends, 0.0]), max([*ends, 0.0])
    room = (high - low) * 0.04 or 0.01
    return Scale(low - room, high + room, 3, _WIDTH - 3)


def interval_bar(interval: Interval, scale: Scale) -> str:
    """Return the bar as SVG; it repeats the figures beside it, so that a reader who hears the table skips it."""
    middle = _HEIGHT / 2
    drawn = [tag("line", x1=scale(0), x2=scale(0), y1=0.0, y2=_HEIGHT, class_="zero")]
    if scale.low <= interval.value <= scale.high:
        low, high = (min(max(end, scale.low), scale.high) for end in (interval.low, interval.high))
        if math.isfinite(low + high):
            drawn.append(tag("line", x1=scale(low), x2=scale(high), y1=middle, y2=middle, class_="range"))
        drawn.append(tag("circle", cx=scale(interval.value), cy=middle, r=3.6))
    elif math.isfinite(interval.value):
        edge, inner = (scale.start, 7.0) if interval.value < scale.low else (scale.end, -7.0)
        corners = ((edge, middle), (edge + inner, middle - 4), (edge + inner, middle + 4))
        drawn.append(tag("path", d=path(list(corners)) + "Z"))
    return tag(
        "svg",
        *drawn,
        viewBox=f"0 0 {_WIDTH:.0f} {_HEIGHT:.0f}",
        width=_WIDTH,
        height=_HEIGHT,
        aria_hidden="true",
        class_=f"bar {direction(interval)}",
    )


def direction(interval: Interval) -> str:
    """Return whether an interval of gains shows one: `better`, `worse`, or `open`."""
    if interval.low > 0:
        return "better"
    return "worse" if interval.high < 0 else "open"
