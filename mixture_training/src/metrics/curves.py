"""Quality against cost as the trade-off moves, and the single numbers that sum such a curve up.

AIQ: RouterBench (Hu et al. 2024, arXiv:2403.12031), section 3.3. APGR and CPT: RouteLLM (Ong et al. 2024,
arXiv:2406.18665), section 3.2.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IndexArray = npt.NDArray[np.intp]

#: Rows that trade-offs are taken from, at most.
_MOST_ROWS = 2000
#: Rows whose choices are made at once.
_SWEPT_ROWS = 1024


@dataclass(frozen=True)
class Curve:
    """One point per cost weight: what a router reaches and pays.

    Attributes:
        weights: Score per USD, rising from 0.
        costs: Mean USD per instruction.
        qualities: Mean score.
    """

    weights: FloatArray
    costs: FloatArray
    qualities: FloatArray


def cost_weights(scores: FloatArray, costs: FloatArray, *, count: int = 40, distinct: bool = True) -> FloatArray:
    """Return weights, rising from 0, at which the choices of score − weight · cost change.

    Two experts swap places at (score difference) ÷ (cost difference), so quantiles of those ratios over rows and
    pairs spread the points evenly over the changes; past the last one every row takes its cheapest expert.

    Args:
        scores: (n, E), never NaN.
        costs: (n, E), USD, never NaN.
        count: How many.
        distinct: Leave out those that occur twice; else there are exactly `count`, so that methods with few and with
            many distinct predictions are swept equally densely. Where nothing ever swaps, there is one: 0.
    """
    if len(scores) > _MOST_ROWS:
        rows = np.linspace(0, len(scores) - 1, _MOST_ROWS).astype(np.intp)
        scores, costs = scores[rows], costs[rows]
    swaps: list[FloatArray] = []
    for i in range(scores.shape[1]):
        for j in range(i):
            gain, price = scores[:, i] - scores[:, j], costs[:, i] - costs[:, j]
            useful = gain * price > 0
            swaps.append(gain[useful] / price[useful])
    ratios = np.concatenate(swaps) if swaps else np.empty(0)
    ratios = ratios[np.isfinite(ratios)]
    if not len(ratios):
        return np.zeros(1)
    inner = np.quantile(ratios, np.linspace(0.0, 1.0, max(count - 2, 2)))
    weights: FloatArray = np.concatenate([[0.0], inner, [inner[-1] * 1.001]])
    return np.unique(weights) if distinct else weights


def sweep(
    predicted_scores: FloatArray,
    predicted_costs: FloatArray,
    scores: FloatArray,
    costs: FloatArray,
    *,
    weights: FloatArray | None = None,
) -> Curve:
    """Return the curve of choosing by predicted score − weight · predicted cost, judged by what really happened.

    Args:
        predicted_scores: (n, E), never NaN.
        predicted_costs: (n, E), USD, never NaN.
        scores: (n, E), observed; rows whose chosen cell is missing are left out of that point's mean.
        costs: (n, E), observed USD; an unknown cell counts at its prediction.
        weights: Score per USD; None means `cost_weights` of the predictions.
    """
    grid = cost_weights(predicted_scores, predicted_costs) if weights is None else weights
    reached, paid = swept(predicted_scores, predicted_costs, scores, costs, weights=grid)
    known = ~np.isnan(reached)
    counts = known.sum(axis=0)
    total = np.where(known, reached, 0.0).sum(axis=0)
    mean_scores = np.divide(total, counts, out=np.full(len(grid), np.nan), where=counts > 0)
    mean_costs = np.where(counts > 0, paid.mean(axis=0), np.nan) if len(paid) else np.full(len(grid), np.nan)
    return Curve(grid, mean_costs, mean_scores)


def swept(
    predicted_scores: FloatArray,
    predicted_costs: FloatArray,
    scores: FloatArray,
    costs: FloatArray,
    *,
    weights: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Return the score and the USD of each row's choice at each weight, (n, points) both; see `sweep`.

    The cheaper of two equals is chosen, the first of two equally cheap ones, as a policy does.
    """
    n, points = len(predicted_scores), len(weights)
    reached, paid = np.empty((n, points)), np.empty((n, points))
    for start in range(0, n, _SWEPT_ROWS):
        rows = slice(start, start + _SWEPT_ROWS)
        expected, price = predicted_scores[rows].T.copy(), predicted_costs[rows].T.copy()
        seen, spent = scores[rows], np.where(np.isnan(costs[rows]), predicted_costs[rows], costs[rows])
        lines = np.arange(len(seen))
        for point, weight in enumerate(weights):
            chosen = _best_utility(expected, price, float(weight))
            reached[rows, point], paid[rows, point] = seen[lines, chosen], spent[lines, chosen]
    return reached, paid


def _best_utility(scores: FloatArray, costs: FloatArray, weight: float) -> IndexArray:
    """Return the row of the highest score − weight · cost in each column of (E, n), the cheaper of equals."""
    utility = costs * weight
    np.subtract(scores, utility, out=utility)
    utility *= 1e12
    np.rint(utility, out=utility)
    tied = utility == utility.max(axis=0)
    chosen: IndexArray = tied.argmax(axis=0)
    several = np.flatnonzero(tied.sum(axis=0) > 1)
    if len(several):
        price = np.where(tied[:, several], costs[:, several], np.inf)
        chosen[several] = price.argmin(axis=0)
    return chosen


def aiq(costs: FloatArray, qualities: FloatArray, *, lowest: float, highest: float) -> float:
    """Return the average improvement in quality: (1 ÷ (c_max − c_min)) ∫ q̃(c) dc.

    q̃ is the non-decreasing convex hull of the points together with the null router at (0, 0), that answers nothing
    for nothing; beyond the costliest point it stays flat, as nobody is forced to spend more.

    Args:
        costs: Mean USD of each point.
        qualities: Mean score of each point.
        lowest: c_min, the same for every router compared: the cheapest expert's mean cost.
        highest: c_max, the costliest expert's, or what else the compared routers share.

    Returns:
        NaN where the cost range is empty or no point is known.
    """
    return float(aiqs(costs[None], qualities[None], lowest=np.array([lowest]), highest=np.array([highest]))[0])


def aiqs(costs: FloatArray, qualities: FloatArray, *, lowest: FloatArray, highest: FloatArray) -> FloatArray:
    """Return the AIQ of many curves at once, (samples,); costs and qualities are (samples, points).

    The hull is walked from (0, 0): the next vertex is always the point that the steepest line leads to.
    """
    known = np.isfinite(costs) & np.isfinite(qualities)
    usable = known.any(axis=-1) & np.isfinite(lowest) & np.isfinite(highest)
    usable &= np.where(usable, highest, 0.0) > np.where(usable, lowest, 0.0)
    x, y = np.where(known, costs, np.inf), np.where(known, qualities, -np.inf)
    low, high = (np.where(usable, end, other) for end, other in ((lowest, 0.0), (highest, 1.0)))
    rows = np.arange(len(x))
    at = np.zeros(len(x))
    reached = np.maximum(np.where(x <= 0.0, y, -np.inf).max(axis=-1, initial=-np.inf), 0.0)
    area = np.zeros(len(x))
    while True:
        ahead = (x > at[:, None]) & (y > reached[:, None])
        moving = ahead.any(axis=-1)
        if not moving.any():
            break
        slopes = np.divide(y - reached[:, None], x - at[:, None], out=np.full(x.shape, -np.inf), where=ahead)
        steepest = slopes.argmax(axis=-1)
        slope = np.where(moving, slopes[rows, steepest], 0.0)
        to = np.where(moving, x[rows, steepest], at)
        start, stop = np.clip(at, low, high), np.clip(to, low, high)
        area += (stop - start) * (reached + slope * ((start + stop) / 2.0 - at))
        at, reached = to, np.where(moving, y[rows, steepest], reached)
    area += (high - np.clip(at, low, high)) * reached
    mean: FloatArray = np.where(usable, area / (high - low), np.nan)
    return mean


@dataclass(frozen=True)
class GapCurve:
    """Share of calls sent to the strong expert, rising from 0 to 1, and the performance gap recovered at each."""

    strong_share: FloatArray
    recovered: FloatArray


def gap_curve(predicted_gain: FloatArray, weak: FloatArray, strong: FloatArray) -> GapCurve | None:
    """Return the performance gap recovered as more calls go to the strong expert, most promising first.

    PGR = (r − r_weak) ÷ (r_strong − r_weak) (Ong et al. 2024, eq. 3). Instructions with the same predicted gain are
    taken in a random order, in expectation.

    Args:
        predicted_gain: Predicted score of the strong minus that of the weak expert, (n,).
        weak: Observed scores of the weak expert; rows where either is NaN are left out.
        strong: Observed scores of the strong expert.

    Returns:
        None where the strong expert is not better than the weak one.
    """
    order, ends = promising_first(predicted_gain, weak, strong)
    gain = (strong - weak)[order]
    if not len(gain) or gain.sum() <= 1e-12:
        return None
    reached = np.cumsum(gain)[ends - 1]
    share = np.concatenate([[0.0], ends / len(gain)])
    return GapCurve(share, np.concatenate([[0.0], reached / gain.sum()]))


def promising_first(
    predicted_gain: FloatArray, weak: FloatArray, strong: FloatArray, *, groups: int | None = None
) -> tuple[IndexArray, IndexArray]:
    """Return the rows that both experts are known for by falling predicted gain, and where each tie ends, (g,).

    Args:
        predicted_gain: As in `gap_curve`.
        weak: Likewise.
        strong: Likewise.
        groups: Not more ends than this, as evenly spread as ties allow; None means all.
    """
    known = np.flatnonzero(~np.isnan(strong - weak))
    order = known[np.argsort(-predicted_gain[known], kind="stable")]
    sorted_gain = predicted_gain[order]
    ends = np.append(np.flatnonzero(np.diff(sorted_gain)) + 1, len(order)) if len(order) else np.empty(0, dtype=np.intp)
    if groups is not None and len(ends) > groups:
        wanted = np.linspace(0, len(order), groups + 1)[1:]
        ends = np.unique(ends[np.searchsorted(ends, wanted - 0.5)])
    return order, ends


def apgr(curve: GapCurve) -> float:
    """Return the average performance gap recovered, ∫ PGR d(strong share); 0.5 is a random router."""
    return _area(curve.strong_share, curve.recovered)


def cpt(curve: GapCurve, target: float) -> float:
    """Return the call-performance threshold: the smallest share of strong calls at which PGR reaches `target`.

    Between two points of the curve it is interpolated (a share of the tied instructions).
    """
    above = np.flatnonzero(curve.recovered >= target - 1e-12)
    first = int(above[0])
    if first == 0:
        return 0.0
    x0, x1 = curve.strong_share[first - 1], curve.strong_share[first]
    y0, y1 = curve.recovered[first - 1], curve.recovered[first]
    return float(x0 + (target - y0) / (y1 - y0) * (x1 - x0))


def _area(x: FloatArray, y: FloatArray) -> float:
    """Return the area under the polyline through the points (trapezoidal rule)."""
    return float(np.sum(np.diff(x) * (y[1:] + y[:-1])) / 2.0)
