"""Labels beside points, placed so that none lies on another, on a point, or outside the chart."""

import math
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

#: Width of a character and height of a line, in pixels, of the charts' small text.
CHARACTER, LINE = 7.0, 13.0
#: Pixels between a point and its label, nearest first; a farther label gets a line to its point.
_DISTANCES = (7.0, 16.0, 28.0, 42.0)
#: Directions in the order of liking: right, left, then around.
_DIRECTIONS = ((1, 0), (-1, 0), (0.8, -0.7), (0.8, 0.7), (-0.8, -0.7), (-0.8, 0.7), (0, -1), (0, 1))

#: A label that lies on more points of lines than this is no worse for it.
_CROSSED = 25
#: Pixels between the points of a line that labels keep away from.
_STEP = 6.0

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Wanted:
    """A label that wants a place: its text and the point it belongs to."""

    text: str
    x: float
    y: float


@dataclass(frozen=True)
class Placed:
    """A label's place: the text's left end and base line, and whether it is so far off that a line must lead there."""

    text: str
    x: float
    y: float
    point: tuple[float, float]
    is_far: bool


def place(
    wanted: Sequence[Wanted],
    inside: Box,
    obstacles: Sequence[tuple[float, float]],
    lines: Sequence[tuple[float, float]],
) -> list[Placed]:
    """Return the labels that found a place, asked in order, each at its nearest free one.

    Args:
        wanted: The most important first.
        inside: Left, top, right, bottom of the chart.
        obstacles: Centres of markers no label may lie on.
        lines: Points of curves a label had better not lie on.
    """
    taken: list[Box] = [(x - 6, y - 6, x + 6, y + 6) for x, y in obstacles]
    placed = []
    for label in wanted:
        free = [
            (min(sum(_holds(box, point) for point in lines), _CROSSED) + rank, box, distance)
            for rank, (box, distance) in enumerate(_candidates(label))
            if _within(box, inside) and not any(_overlap(box, other) for other in taken)
        ]
        if not free:
            continue
        _, box, distance = min(free)
        taken.append(box)
        placed.append(Placed(label.text, box[0], box[3] - 3.5, (label.x, label.y), distance > _DISTANCES[1]))
    return placed


def width_of(text: str) -> float:
    """Return about how many pixels a text takes; characters of East Asian scripts are twice as wide."""
    return CHARACTER * sum(1 + (unicodedata.east_asian_width(character) in "WF") for character in text)


def dense(line: Sequence[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    """Yield the points of a line and, between them, enough that no label slips through."""
    for (x1, y1), (x2, y2) in zip(line[:-1], line[1:], strict=True):
        steps = max(int(math.hypot(x2 - x1, y2 - y1) / _STEP), 1)
        yield from ((x1 + (x2 - x1) * step / steps, y1 + (y2 - y1) * step / steps) for step in range(steps + 1))


def _candidates(label: Wanted) -> list[tuple[Box, float]]:
    width = width_of(label.text)
    found = []
    for distance in _DISTANCES:
        for across, down in _DIRECTIONS:
            x = label.x + across * distance - (width if across < 0 else width / 2 if across == 0 else 0)
            y = label.y + down * (distance + LINE / 2 - 2) - LINE / 2
            found.append(((x, y, x + width, y + LINE), distance))
    return found


def _within(box: Box, inside: Box) -> bool:
    return box[0] >= inside[0] and box[1] >= inside[1] and box[2] <= inside[2] and box[3] <= inside[3]


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _holds(box: Box, point: tuple[float, float]) -> bool:
    return box[0] <= point[0] <= box[2] and box[1] <= point[1] <= box[3]
