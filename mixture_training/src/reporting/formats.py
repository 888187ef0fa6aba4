"""Numbers as people read them; what is not known is a dash, never `nan`."""

import math
from dataclasses import dataclass

from mixture_training.src.evaluation_result import EvaluationResult
from mixture_training.src.metrics.bootstrap import Interval
from mixture_training.src.model_recommender import usd

#: What stands for a number that is not known.
UNKNOWN = "–"
#: A dearest cost below the first is told for the second many instructions, so that no price has a row of zeros.
_UNITS = ((1e-4, 1_000_000), (0.1, 1_000))
_NAMES = {1: "", 1_000: "1,000 ", 1_000_000: "million "}


@dataclass(frozen=True)
class CostUnit:
    """How many instructions a cost is told for.

    Attributes:
        instructions: 1, 1,000 or 1,000,000.
    """

    instructions: int

    @property
    def phrase(self) -> str:
        """Return the words after a cost."""
        name = _NAMES[self.instructions]
        return f"per {name}instructions" if name else "per instruction"

    @property
    def short(self) -> str:
        """Return the words after a cost where there is little room."""
        return f" per {_NAMES[self.instructions]}".rstrip() if self.instructions > 1 else ""

    def tell(self, cost: float) -> str:
        """Return mean USD per instruction in this unit."""
        return usd(cost * self.instructions) if math.isfinite(cost) else UNKNOWN


def cost_unit(result: EvaluationResult) -> CostUnit:
    """Return the unit in which the costs of this result are easiest to read."""
    entries = (*result.references.values(), *result.methods.values())
    dearest = max((entry.cost for entry in entries if math.isfinite(entry.cost)), default=0.0)
    return CostUnit(next((many for below, many in _UNITS if 0 < dearest < below), 1))


def number(value: float, pattern: str = "{:.3f}") -> str:
    """Return `value` in the pattern."""
    return pattern.format(value + 0.0) if math.isfinite(value) else UNKNOWN


def share(value: float) -> str:
    """Return a share as a percentage."""
    return number(value * 100, "{:.1f} %")


def with_interval(interval: Interval, *, sign: str = "") -> str:
    """Return a value and its interval; `sign="+"` writes the sign of gains too."""
    return _between(interval, f"{{:{sign}.3f}}", 1.0)


def share_with_interval(interval: Interval) -> str:
    """Return a share and its interval as percentages."""
    value, brackets, ends = _between(interval, "{:.1f}", 100.0).partition(" ")
    return value if value == UNKNOWN else f"{value} %{brackets}{ends}"


def plus_minus(interval: Interval, *, sign: str = "") -> str:
    """Return a value and half the width of its interval, for narrow tables."""
    if not math.isfinite(interval.low + interval.high):
        return number(interval.value, f"{{:{sign}.3f}}")
    return f"{interval.value + 0.0:{sign}.3f} ±{(interval.high - interval.low) / 2:.3f}"


def duration(seconds: float) -> str:
    """Return a time in the unit that keeps it short."""
    if not math.isfinite(seconds):
        return UNKNOWN
    for below, factor, unit in ((1e-3, 1e6, "µs"), (1.0, 1e3, "ms"), (120.0, 1.0, "s")):
        if seconds < below:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds / 60:.0f} min"


def shortened(text: str, characters: int) -> str:
    """Return `text` in at most so many characters, an ellipsis in its middle: names differ at both ends."""
    if len(text) <= characters:
        return text
    tail = (characters - 1) // 2
    return f"{text[: characters - 1 - tail]}…{text[-tail:]}"


def _between(interval: Interval, pattern: str, factor: float) -> str:
    if not math.isfinite(interval.value):
        return UNKNOWN
    value, low, high = (one * factor + 0.0 for one in (interval.value, interval.low, interval.high))
    if not math.isfinite(low + high):
        return pattern.format(value)
    return f"{pattern.format(value)} [{pattern.format(low)}, {pattern.format(high)}]"
