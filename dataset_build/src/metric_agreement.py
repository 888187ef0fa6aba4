"""How several metrics of the same responses go together, counted as the responses pass by."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(slots=True)
class _Moments:
    """Sums over the responses that two metrics both scored."""

    count: int = 0
    equal: int = 0
    sum_x: float = 0.0
    sum_y: float = 0.0
    sum_xx: float = 0.0
    sum_yy: float = 0.0
    sum_xy: float = 0.0


@dataclass(frozen=True, slots=True)
class Agreement:
    """How two metrics go together.

    Attributes:
        first: One metric; "score" is the label.
        second: The other.
        count: Responses that both scored.
        equal: Share of them with the same score.
        correlation: Pearson's; for scores of 0 and 1 that is the phi coefficient. None where one of them is constant.
    """

    first: str
    second: str
    count: int
    equal: float
    correlation: float | None


@dataclass
class MetricAgreement:
    """Counts pairs of scores of the same response.

    Args:
        names: The metrics, in the order their scores will come.
    """

    names: Sequence[str]
    _pairs: dict[tuple[int, int], _Moments] = field(default_factory=dict)

    def add(self, scores: Sequence[float | None]) -> None:
        """Count the scores of one response, one per metric."""
        for i in range(len(scores)):
            for j in range(i + 1, len(scores)):
                x, y = scores[i], scores[j]
                if x is not None and y is not None:
                    pair = self._pairs.setdefault((i, j), _Moments())
                    pair.count += 1
                    pair.equal += x == y
                    pair.sum_x += x
                    pair.sum_y += y
                    pair.sum_xx += x * x
                    pair.sum_yy += y * y
                    pair.sum_xy += x * y

    def pairs(self) -> list[Agreement]:
        """Return the agreement of every two metrics that scored a response in common."""
        return [
            Agreement(self.names[i], self.names[j], one.count, one.equal / one.count, _correlation(one))
            for (i, j), one in sorted(self._pairs.items())
        ]


def _correlation(one: _Moments) -> float | None:
    variance_x = one.sum_xx - one.sum_x**2 / one.count
    variance_y = one.sum_yy - one.sum_y**2 / one.count
    if variance_x <= 1e-12 or variance_y <= 1e-12:
        return None
    covariance = one.sum_xy - one.sum_x * one.sum_y / one.count
    return max(-1.0, min(1.0, covariance / math.sqrt(variance_x * variance_y)))
