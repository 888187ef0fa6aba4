"""Axes of the charts: where a value lies, where the ticks are, and the frame with its grid."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mixture_training.src.reporting.markup import escaped, tag

#: Width of the place for what costs nothing on a logarithmic axis.
_GUTTER = 34.0
#: A range that spans more than this factor is logarithmic.
_WIDE = 20.0
#: What is less than this share of the highest value lies at the place for nothing.
_NOTHING = 1e-12
#: More decades than this get a tick at each decade only.
_FEW_DECADES = 2.5


@dataclass(frozen=True)
class Scale:
    """Values to places, in pixels.

    Attributes:
        low: The value at `start`; on a logarithmic scale with a place for nothing, that of the end of this place.
        high: The value at `end`.
        start: Pixels.
        end: Pixels.
        logarithmic: Equal factors are equal distances.
        from_zero: A logarithmic scale has a place for 0 before its lowest value.
    """

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False
    from_zero: bool = False

    def __call__(self, value: float) -> float:
        """Return the place of a value."""
        if not self.logarithmic:
            return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)
        first = self.start + math.copysign(_GUTTER, self.end - self.start) * self.from_zero
        if value <= 0 or (self.from_zero and value < self.low):
            return self.start
        part = math.log(value / self.low) / math.log(self.high / self.low)
        return max(first + part * (self.end - first), self.start)

    def ticks(self, count: int) -> list[float]:
        """Return about so many round values on the scale."""
        if not self.logarithmic:
            return _round_values(self.low, self.high, count)
        decades = math.log10(self.high / self.low)
        steps = (1, 2, 5) if decades <= _FEW_DECADES else (1,)
        found = [
            step * 10.0**power
            for power in range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            for step in steps
        ]
        inside = [value for value in found if self.low * 0.999 <= value <= self.high * 1.001]
        thinned = inside[:: max(1, math.ceil(len(inside) / count))]
        return ([0.0] if self.from_zero else []) + thinned


def scale_of(values: Sequence[float], start: float, end: float, *, may_be_logarithmic: bool = False) -> Scale:
    """Return a scale that holds the finite values with room around them."""
    known = [value for value in values if math.isfinite(value)]
    positive = [value for value in known if value > 0]
    if may_be_logarithmic and positive and min(known) >= 0 and max(positive) > min(positive) * _WIDE:
        top = max(positive)
        least = min(value for value in positive if value > top * _NOTHING)
        room = max((top / least) ** 0.05, 1.1)
        return Scale(least / room, top * room, start, end, True, min(known) < least)
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    room = (high - low) * 0.06 or abs(high) * 0.1
    room = max(room, abs(high) * 1e-6) if room > _NOTHING else 0.1
    return Scale(low - room, high + room, start, end)


def frame(
    x: Scale,
    y: Scale,
    *,
    names: tuple[str, str],
    tell: tuple[Callable[[float], str], Callable[[float], str]],
    ticks: tuple[int, int] = (7, 6),
) -> str:
    """Return the grid, the ticks with their labels, and the names of the two axes."""
    lines, labels = [], []
    for value in x.ticks(ticks[0]):
        lines.append(tag("line", x1=x(value), x2=x(value), y1=y.start, y2=y.end))
        labels.append(tag("text", escaped(tell[0](value)), x=x(value), y=y.start + 17, text_anchor="middle"))
    for value in y.ticks(ticks[1]):
        lines.append(tag("line", x1=x.start, x2=x.end, y1=y(value), y2=y(value)))
        labels.append(tag("text", escaped(tell[1](value)), x=x.start - 7, y=y(value) + 4, text_anchor="end"))
    titles = [
        tag("text", escaped(names[0]), x=x.end, y=y.start + 36, text_anchor="end"),
        tag("text", escaped(names[1]), x=x.start, y=y.end - 9),
    ]
    return (
        tag("g", *lines, class_="grid")
        + tag("line", x1=x.start, x2=x.end, y1=y.start, y2=y.start, class_="axis")
        + tag("g", *labels, class_="ticks")
        + tag("g", *titles, class_="axis-name")
    )


def tell_round(value: float) -> str:
    """Return a tick's value without needless digits."""
    return f"{value:.6g}"


def _round_values(low: float, high: float, count: int) -> list[float]:
    rough = (high - low) / max(count, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    return [index * step for index in range(math.ceil(low / step), math.floor(high / step) + 1)]
