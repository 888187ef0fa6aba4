"""What another router would have scored on traffic that was logged: estimates with intervals, or the word that none is.

Inverse propensity scores (Horvitz & Thompson 1952), their self-normalised form (Swaminathan & Joachims 2015,
*The Self-Normalized Estimator for Counterfactual Learning*) and the doubly robust estimate (Dudík, Langford & Li 2011,
arXiv:1103.4601), each of one router or of the paired difference of two on the same log.

What is assumed: the expert was drawn with the propensity that was logged, and whether a decision is judged depends on
nothing but what was logged with it. `judging_weights` corrects for some kinds of decisions being judged more often
than others; where the importance ratios show that judging still depends on who answered, an estimate is not called
reliable. An expert that logging never tries tells nothing: where a target would choose it, the estimate is widened
by all that could have happened there, and refused where that is more than `MOST_UNSUPPORTED` of the traffic.

Intervals are of the skewness-corrected t statistic (Hall 1992, *On the Removal of Skewness by Transformation*) over
groups of decisions: importance weights are heavy-tailed, and the plain interval falls short there
(`benchmarks/off_policy_coverage.py`).
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IndexArray = npt.NDArray[np.intp]
Method = Literal["ips", "snips", "dr"]

#: The share of a target's choices that logging can never have made, above which nothing is estimated.
MOST_UNSUPPORTED = 0.01
#: Fewer effective decisions than this give intervals that cover too rarely, or too often.
LEAST_EFFECTIVE = 50.0
_LEAST_BY: dict[Method, float] = {"ips": 100.0, "snips": LEAST_EFFECTIVE, "dr": LEAST_EFFECTIVE}
#: Standard errors by which the mean importance ratio may be off before judging is held to be selective.
_UNBALANCED = 4.0
#: A standard deviation below this is none.
_NO_SPREAD = 1e-12
#: A propensity below this counts as none.
_NEVER = 1e-9
#: How unequal importance ratios that can be drawn must be for what was drawn to be distrusted in full.
_UNEVEN = 0.5
#: Decisions that the residuals of all experts count for beside one expert's own.
_PRIOR = 5.0


@dataclass(frozen=True)
class Log:
    """Judged decisions.

    Attributes:
        rewards: Scores in [0, 1], (n,).
        columns: The expert that was tried, (n,).
        propensities: With what probability each expert was to be tried, (n, E).
        expected: What a model that has not learned from these decisions expects of each expert, (n, E); `dr` needs it.
        weights: How much each counts, (n,); None means all the same.
        groups: Whose decisions belong together, (n,), from 0; None means each stands alone.
    """

    rewards: FloatArray
    columns: IndexArray
    propensities: FloatArray
    expected: FloatArray | None = None
    weights: FloatArray | None = None
    groups: IndexArray | None = None

    def __post_init__(self) -> None:
        n = len(self.rewards)
        shapes = {
            "columns": (self.columns, (n,)),
            "propensities": (self.propensities, (n, self.propensities.shape[-1])),
            "expected": (self.expected, (n, self.propensities.shape[-1])),
            "weights": (self.weights, (n,)),
            "groups": (self.groups, (n,)),
        }
        for name, (array, shape) in shapes.items():
            if array is not None and array.shape != shape:
                raise ValueError(f"{name} has shape {array.shape}; {shape} is expected for {n} decisions.")
        if n and not (self.propensities[np.arange(n), self.columns] > _NEVER).all():
            raise ValueError("A decision was logged with propensity 0; leave out those that were not drawn.")

    def __len__(self) -> int:
        return len(self.rewards)

    def take(self, rows: npt.NDArray[np.bool_] | IndexArray) -> "Log":
        """Return some of the decisions."""
        return Log(
            self.rewards[rows],
            self.columns[rows],
            self.propensities[rows],
            None if self.expected is None else self.expected[rows],
            None if self.weights is None else self.weights[rows],
            None if self.groups is None else self.groups[rows],
        )


@dataclass(frozen=True)
class Estimate:
    """A mean score, or a difference of two, with its 95 % interval.

    Attributes:
        method: How it was estimated.
        value: NaN where it cannot be.
        low: Lower end of the interval.
        high: Upper end.
        rows: Decisions in the log.
        effective: As many decisions of the target's own would tell as much (Kish 1965).
        unsupported: Share of the target's choices that logging can never have made.
        is_reliable: Whether intervals like this one were seen to cover as often as they say.
        reason: Why it is not; empty where it is.
    """

    method: Method
    value: float
    low: float
    high: float
    rows: int
    effective: float
    unsupported: float
    is_reliable: bool
    reason: str = ""

    def __str__(self) -> str:
        if math.isnan(self.value):
            return self.reason
        return f"{self.value:+.3f} ({self.low:+.3f} to {self.high:+.3f}, {self.effective:.0f} effective decisions)"


def ips(log: Log, target: FloatArray, base: FloatArray | None = None, *, confidence: float = 0.95) -> Estimate:
    """Return the inverse-propensity estimate; the arguments are those of `dr`."""
    return _estimate("ips", log, target, base, confidence)


def snips(log: Log, target: FloatArray, base: FloatArray | None = None, *, confidence: float = 0.95) -> Estimate:
    """Return the self-normalised estimate; the arguments are those of `dr`."""
    return _estimate("snips", log, target, base, confidence)


def dr(log: Log, target: FloatArray, base: FloatArray | None = None, *, confidence: float = 0.95) -> Estimate:
    """Return the doubly robust estimate of a target's mean score.

    Args:
        log: What was decided and how good it was; with `expected`.
        target: With what probability the target tries each expert, (n, E).
        base: Of another target, (n, E): the estimate is then of target − base, on the same decisions.
        confidence: Of the two-sided interval.
    """
    if log.expected is None:
        raise ValueError("The doubly robust estimate needs `expected`, a model of the scores.")
    return _estimate("dr", log, target, base, confidence)


def _estimate(method: Method, log: Log, target: FloatArray, base: FloatArray | None, confidence: float) -> Estimate:
    n = len(log)
    wanted = target if base is None else target - base
    if target.shape != log.propensities.shape or wanted.shape != target.shape:
        raise ValueError(f"A target has shape {target.shape}; {log.propensities.shape} is expected.")
    if not n:
        return _none(method, 0, 0.0, "there is no logged decision")
    weights = np.ones(n) if log.weights is None else log.weights
    total = float(weights.sum())
    if total <= 0.0:
        return _none(method, n, 0.0, "no logged decision has any weight")
    shares = weights / total
    never = np.where(log.propensities > _NEVER, 0.0, wanted)
    below, above = (
        float(shares @ np.minimum(never, 0.0).sum(axis=1)),
        float(shares @ np.maximum(never, 0.0).sum(axis=1)),
    )
    unsupported = above if base is None else max(above, -below)
    if not wanted.any():
        return Estimate(method, 0.0, 0.0, 0.0, n, float(n), 0.0, is_reliable=True)
    if unsupported > MOST_UNSUPPORTED:
        return _none(
            method,
            n,
            unsupported,
            f"cannot be estimated: for {unsupported:.1%} of the traffic the choice is an expert never tried there",
        )
    terms = terms_of(method, log, target, base)
    value = float(shares @ terms)
    effective = effective_decisions(log.propensities, wanted, weights)
    design = _design(method, log, wanted, shares)
    low, high = interval(terms, weights, log.groups, confidence=confidence, effective=effective, design=design)
    reason = ""
    if not all(_is_balanced(log, part, shares) for part in (target, base) if part is not None):
        reason = "whether a decision is judged depends on who answered"
    elif effective < _LEAST_BY[method]:
        reason = f"only {effective:.0f} effective decisions; {_LEAST_BY[method]:.0f} are needed"
    return Estimate(
        method, value + (below + above) / 2, low + below, high + above, n, effective, unsupported, not reason, reason
    )


def _is_balanced(log: Log, target: FloatArray, shares: FloatArray) -> bool:
    """Return whether the mean importance ratio is what it must be where judging does not depend on who answered."""
    rows = np.arange(len(log))
    tried = np.where(log.propensities > _NEVER, target, 0.0)
    expected = tried.sum(axis=1)
    moment = (tried**2 / np.maximum(log.propensities, _NEVER)).sum(axis=1) - expected**2
    off = float(shares @ (target[rows, log.columns] / log.propensities[rows, log.columns] - expected))
    return abs(off) <= _UNBALANCED * math.sqrt(float(shares**2 @ moment)) + 1e-9


def terms_of(method: Method, log: Log, target: FloatArray, base: FloatArray | None = None) -> FloatArray:
    """Return what each decision says of the estimate, (n,): the weighted mean of these is the estimate."""
    rows = np.arange(len(log))
    drawn = log.propensities[rows, log.columns]
    wanted = target if base is None else target - base
    ratios: FloatArray = wanted[rows, log.columns] / drawn
    if method == "ips":
        return ratios * log.rewards
    if method == "dr":
        assert log.expected is not None
        known = np.where(log.propensities > _NEVER, wanted, 0.0)  # what was never tried is not filled in by the model
        model = (known * log.expected).sum(axis=1)
        return np.asarray(model + ratios * (log.rewards - log.expected[rows, log.columns]))
    weights = np.ones(len(log)) if log.weights is None else log.weights
    shares = weights / weights.sum()
    parts = []
    for part in (target,) if base is None else (target, base):
        ratio = part[rows, log.columns] / drawn
        mean = float(shares @ ratio)
        value = float(shares @ (ratio * log.rewards)) / mean if mean > 0.0 else float("nan")
        parts.append(value + ratio * (log.rewards - value) / mean if mean > 0.0 else np.full(len(log), np.nan))
    return parts[0] if base is None else parts[0] - parts[1]


def _design(method: Method, log: Log, wanted: FloatArray, shares: FloatArray) -> tuple[float, float, float]:
    """Return spread and third moment of the terms as the propensities let expect them, and how far to trust that.

    From every importance ratio that could have been drawn, with moments of the experts' residuals: the few decisions
    with large ones say too little of how far they scatter, and nothing where none was drawn.
    """
    n, experts = log.propensities.shape
    expected = log.expected if log.expected is not None and method == "dr" else np.zeros((n, experts))
    if method == "snips":
        expected = np.full((n, experts), float(shares @ log.rewards))
    residuals = log.rewards - expected[np.arange(n), log.columns]
    tried = np.where(log.propensities > _NEVER, wanted, 0.0)
    model = (tried * expected).sum(axis=1)
    model = model - float(shares @ model)
    ratios = tried / np.maximum(log.propensities, _NEVER)
    counts = np.bincount(log.columns, shares * n, minlength=experts)
    moments = []
    for power in (1, 2, 3):
        sums = np.bincount(log.columns, shares * n * residuals**power, minlength=experts)
        moments.append((sums + _PRIOR * float(shares @ residuals**power)) / (counts + _PRIOR))
    first, second, third = (shares @ (tried * ratios ** (k - 1)) * moments[k - 1] for k in (1, 2, 3))
    centre = float(first.sum())
    variance = float(second.sum()) - centre**2 + float(shares @ model**2)
    cube = float(third.sum()) - 3.0 * centre * float(second.sum()) + 2.0 * centre**3 + float(shares @ model**3)
    once, twice, thrice = (float(shares @ (np.abs(tried) * np.abs(ratios) ** (k - 1)).sum(axis=1)) for k in (1, 2, 3))
    uneven = once * thrice / max(twice**2, 1e-12) - 1.0  # 0 where all ratios that can be drawn, but for 0, are equal
    return math.sqrt(max(variance, 0.0)), cube, min(1.0, max(0.0, uneven / _UNEVEN))


def interval(
    terms: FloatArray,
    weights: FloatArray,
    groups: IndexArray | None = None,
    *,
    confidence: float = 0.95,
    effective: float | None = None,
    design: tuple[float, float, float] | None = None,
) -> tuple[float, float]:
    """Return the two-sided interval of a weighted mean.

    Args:
        terms: (n,).
        weights: (n,), at least 0, one above.
        groups: Rows of a group move together, (n,); None means each stands alone.
        confidence: The share of such intervals that hold the truth.
        effective: How many rows tell anything; None means all.
        design: Spread and third moment that a row is known to have, of which what was seen may fall short, and how
            far that is trusted where few rows tell anything, in [0, 1].
    """
    from scipy.special import stdtrit

    n = len(terms)
    value = float(weights @ terms / weights.sum())
    pulls = weights * (terms - value) * (n / weights.sum())
    if groups is not None:
        pulls = np.bincount(groups, pulls)[np.unique(groups)] * (len(np.unique(groups)) / n)
        n = len(pulls)
    if n < 2 or not np.isfinite(value):
        return -math.inf, math.inf
    spread = float(np.sqrt((pulls**2).sum() / (n - 1)))
    skewness = float((pulls**3).mean()) / spread**3 if spread > _NO_SPREAD else 0.0
    # Where nothing scatters, there is the rule of three (Hanley & Lippman-Hand 1983).
    room = 0.0 if spread > _NO_SPREAD else 3.0 / max(effective or n, 1.0)
    if design is not None and design[0] > max(spread, _NO_SPREAD):
        trust = min(1.0, LEAST_EFFECTIVE / max(effective or n, 1.0)) * design[2]
        spread = math.sqrt(spread**2 + trust * (design[0] ** 2 - spread**2))
        skewness += trust * (design[1] / design[0] ** 3 - skewness)
    tail = float(stdtrit(n - 1, 0.5 + confidence / 2))
    ends = [spread * _unskewed(sign * tail / math.sqrt(n), skewness, n) for sign in (1.0, -1.0)]
    return value - max(ends[0], room), value - min(ends[1], -room)


def _unskewed(quantile: float, skewness: float, n: int) -> float:
    """Return the inverse of Hall's transformation, which makes a studentised mean symmetric."""
    if abs(skewness) < 1e-6:
        return quantile
    return 3.0 / skewness * (float(np.cbrt(1.0 + skewness * (quantile - skewness / (6.0 * n)))) - 1.0)


def effective_decisions(propensities: FloatArray, wanted: FloatArray, weights: FloatArray) -> float:
    """Return how many decisions of the target's own would tell as much as the logged ones are expected to.

    From the propensities alone, not from the importance weights that happened to be drawn: where the rare large ones
    were not, those look best when they are worst.

    Args:
        propensities: (n, E).
        wanted: With what probability the target tries each expert, or the difference of two targets, (n, E).
        weights: How much each decision counts, (n,).
    """
    tried = np.where(propensities > _NEVER, wanted, 0.0)
    moment = (tried**2 / np.maximum(propensities, _NEVER)).sum(axis=1)
    told = np.abs(tried).sum(axis=1)
    square = float(weights**2 @ moment)
    return float(weights @ told) ** 2 / square if square > 0.0 else 0.0


def judging_weights(cells: IndexArray, is_judged: npt.NDArray[np.bool_], *, most: float = 10.0) -> FloatArray:
    """Return how much each decision counts when kinds of decisions are judged unequally often, (n,).

    A judged decision stands for those of its cell that were not judged; the others count nothing. Judging must then
    depend on nothing but the cell.

    Args:
        cells: The kind of each decision, such as its category and expert, (n,), from 0.
        is_judged: (n,).
        most: No decision counts more than this many times the mean.
    """
    number = int(cells.max(initial=-1)) + 1
    all_of, judged = np.bincount(cells, minlength=number), np.bincount(cells[is_judged], minlength=number)
    rates = (judged + 1.0) / (all_of + 2.0)
    weights: FloatArray = np.where(is_judged, 1.0 / rates[cells], 0.0)
    mean = weights[is_judged].mean() if is_judged.any() else 1.0
    return np.minimum(weights / mean, most)


def _none(method: Method, rows: int, unsupported: float, reason: str) -> Estimate:
    nothing = float("nan")
    return Estimate(method, nothing, nothing, nothing, rows, 0.0, unsupported, is_reliable=False, reason=reason)
