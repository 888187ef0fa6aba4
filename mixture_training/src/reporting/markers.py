"""Markers of points in a chart, with what the pointer shows over them."""

import math

from mixture_training.src.reporting.markup import escaped, tag

#: Shapes that tell methods apart where colours cannot.
SHAPES = ("circle", "square", "triangle", "diamond", "flag")
#: As many methods have a colour of their own; then colours repeat, with another shape and another dash.
COLOURS = 10

_CORNERS = {
    "square": ((-0.85, -0.85), (0.85, -0.85), (0.85, 0.85), (-0.85, 0.85)),
    "triangle": ((0, -1.1), (1.05, 0.8), (-1.05, 0.8)),
    "flag": ((0, 1.1), (1.05, -0.8), (-1.05, -0.8)),
    "diamond": ((0, -1.2), (1.2, 0), (0, 1.2), (-1.2, 0)),
    "cross": ((-1, -0.6), (-0.4, 0), (-1, 0.6), (-0.6, 1), (0, 0.4), (0.6, 1), (1, 0.6), (0.4, 0), (1, -0.6),
              (0.6, -1), (0, -0.4), (-0.6, -1)),
    "star": tuple(
        (math.sin(step * math.pi / 5) * (1.4, 0.6)[step % 2], -math.cos(step * math.pi / 5) * (1.4, 0.6)[step % 2])
        for step in range(10)
    ),
}  # fmt: skip


def marker(shape: str, x: float, y: float, size: float, title: str, class_: str | None = None) -> str:
    """Return a marker of about `size` pixels from its middle to its edge; the pointer shows `title`."""
    told = tag("title", escaped(title))
    if shape == "circle":
        return tag("circle", told, cx=x, cy=y, r=size, class_=class_)
    corners = " ".join(f"{x + dx * size:.1f},{y + dy * size:.1f}" for dx, dy in _CORNERS[shape])
    return tag("polygon", told, points=corners, class_=class_)


def method_class(index: int) -> str:
    """Return the classes of the index-th method: its own, its colour and its dash."""
    return f"m{index} c{index % COLOURS} d{index % len(SHAPES)}"
