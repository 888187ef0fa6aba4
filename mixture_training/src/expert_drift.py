"""Whether experts still score what training let expect of them.

Of every expert the observed scores are held against the expected ones; where the residuals' running sum strays too far
from a straight line (the Brownian bridge; Brown, Durbin and Evans 1975), what came since the corner is what counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mixture_training.src.training_data import FloatArray

IndexArray = npt.NDArray[np.intp]

#: Share of comparisons without drift that raise an alarm: of the instructions, and of the experts together.
ALARM = 0.01
#: Fewer scores of an expert than this say nothing of it.
LEAST_SCORES = 20
#: An expert's mean score must differ by this much to be called degraded or improved.
MARGIN = 0.05


@dataclass(frozen=True)
class ExpertDrift:
    """What an expert was expected to score and what it did.

    Attributes:
        expert: Its name.
        rows: Over how many of its scores.
        expected: Their expected mean, without any correction.
        observed: Their mean.
        low: Lower end of the interval of observed − expected, at 1 − `ALARM` for all experts together.
        high: Upper end.
        since: The moment of the first of them, where a change was found; None where all scores count.
    """

    expert: str
    rows: int
    expected: float
    observed: float
    low: float
    high: float
    since: float | None = None

    @property
    def difference(self) -> float:
        """Observed − expected."""
        return self.observed - self.expected

    @property
    def is_degraded(self) -> bool:
        """Whether it is surely worse than expected by more than `MARGIN`."""
        return self.high < -MARGIN

    @property
    def is_improved(self) -> bool:
        """Whether it is surely better by more than `MARGIN`."""
        return self.low > MARGIN

    def __str__(self) -> str:
        word = "degraded" if self.is_degraded else "improved" if self.is_improved else "as expected"
        return f"{self.expert} {word} ({self.observed:.2f} instead of {self.expected:.2f} over {self.rows} scores)"


def compare_scores(
    experts: Sequence[str],
    columns: IndexArray,
    scores: FloatArray,
    expected: FloatArray,
    moments: FloatArray | None = None,
) -> tuple[ExpertDrift, ...]:
    """Return what every expert with at least `LEAST_SCORES` scores was expected to score and what it did.

    Args:
        experts: The columns.
        columns: Who answered, (m,), oldest first.
        scores: Observed, (m,).
        expected: Of the same experts, without any correction, (m,).
        moments: When, (m,); None means their number in the order they came.
    """
    from scipy.special import stdtrit
    from scipy.stats import kstwobign

    counts = np.bincount(columns, minlength=len(experts))
    level = ALARM / max(2 * int((counts >= LEAST_SCORES).sum()), 1)
    when = np.arange(len(columns), dtype=np.float64) if moments is None else moments
    found = []
    for column, expert in enumerate(experts):
        rows = np.flatnonzero(columns == column)
        if len(rows) < LEAST_SCORES:
            continue
        residuals = scores[rows] - expected[rows]
        running = np.cumsum(residuals - residuals.mean())[:-1]
        corner = int(np.abs(running).argmax()) + 1
        stray = float(np.abs(running).max()) / max(float(residuals.std()) * np.sqrt(len(rows)), 1e-9)
        since = None
        if kstwobign.sf(stray) <= level and len(rows) - corner >= LEAST_SCORES // 2:
            rows, residuals, since = rows[corner:], residuals[corner:], float(when[rows[corner]])
        n, mean = len(rows), float(residuals.mean())
        # A few scores that happen to be equal do not say that all are.
        spread = float(np.sqrt((residuals.var() * n + 0.05) / (n - 1)))
        half = float(stdtrit(n - 1, 1.0 - level / 2.0)) * spread / np.sqrt(n)
        observed = float(scores[rows].mean())
        found.append(ExpertDrift(expert, n, observed - mean, observed, mean - half, mean + half, since))
    return tuple(found)
