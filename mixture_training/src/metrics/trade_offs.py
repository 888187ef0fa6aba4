"""What a curve of quality against cost is worth beside the best single expert and beside all other curves.

Performance gain, cost saving and Pareto distance: LLMRouterBench (Li et al. 2026, arXiv:2601.07206), whose owners
publish them in words: the maximum improvement in performance over the best single model, the reduction of cost at
comparable accuracy, and the average distance to the Pareto frontier. The formulas below are our reading of these words.
The arena score: RouterArena (Lu et al. 2025, arXiv:2510.00202), whose code is public.

A maximum over more points is higher by chance, so curves that are compared have equally many. Arrays may have leading
axes (resamples); the points are the last.
"""

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

#: RouterArena's constants: weight of cost, and the USD per 1,000 queries that count as dearest and cheapest.
ARENA_BETA, ARENA_DEAREST, ARENA_CHEAPEST = 0.1, 200.0, 0.0044


def performance_gain(qualities: FloatArray, best_single: FloatArray | float) -> FloatArray:
    """Return max over points of quality ÷ best single − 1, (…); 0.05 is five per cent better.

    Args:
        qualities: Mean scores, (…, points); NaN points are left out.
        best_single: Its mean score, (…); NaN results where it is 0.
    """
    best = np.asarray(best_single, dtype=np.float64)
    top = np.where(np.isnan(qualities), -np.inf, qualities).max(axis=-1, initial=-np.inf)
    usable = np.isfinite(top) & (best > 0)
    gain: FloatArray = np.divide(top, best, out=np.full(top.shape, np.nan), where=usable) - 1.0
    return gain


def cost_saving(
    costs: FloatArray, qualities: FloatArray, best_cost: FloatArray | float, best_quality: FloatArray | float
) -> FloatArray:
    """Return 1 − min{cost : quality ≥ best single's} ÷ best single's cost, (…); below 0 where equal quality is dearer.

    Args:
        costs: Mean USD, (…, points).
        qualities: Mean scores, (…, points).
        best_cost: Of the best single expert, (…); NaN results where it is 0 or unknown.
        best_quality: Of the best single expert, (…).

    Returns:
        NaN where no point reaches the quality.
    """
    spent = np.asarray(best_cost, dtype=np.float64)
    wanted = np.asarray(best_quality, dtype=np.float64)[..., None]
    reached = (qualities >= wanted - 1e-12) & ~np.isnan(costs)
    cheapest = np.where(reached, costs, np.inf).min(axis=-1, initial=np.inf)
    usable = np.isfinite(cheapest) & (spent > 0)
    saving: FloatArray = 1.0 - np.divide(cheapest, spent, out=np.full(cheapest.shape, np.nan), where=usable)
    return saving


def pareto_frontier(costs: FloatArray, qualities: FloatArray) -> FloatArray:
    """Return the points (cost, quality) that no other point is at once as cheap and as good as, cheapest first.

    Args:
        costs: Mean USD, (points,); points with an unknown coordinate are left out.
        qualities: Mean scores, (points,).
    """
    usable = np.flatnonzero(np.isfinite(costs) & np.isfinite(qualities))
    order = usable[np.lexsort((-qualities[usable], costs[usable]))]
    before = np.concatenate([[-np.inf], np.maximum.accumulate(qualities[order])[:-1]]) if len(order) else np.empty(0)
    order = order[qualities[order] > before]
    return np.column_stack([costs[order], qualities[order]])


def pareto_distances(costs: FloatArray, qualities: FloatArray, frontier: FloatArray) -> FloatArray:
    """Return the distance of each point from the nearest point of the frontier, each axis scaled to its range.

    The range is that of the frontier, so that neither the currency nor a bad method changes the distance of another.
    The Pareto distance of a method is the mean over its points.

    Args:
        costs: Mean USD, (points,).
        qualities: Mean scores, (points,).
        frontier: Of all that is compared, as `pareto_frontier` returns it.

    Returns:
        0 on the frontier; NaN for an unknown point, and for all where the frontier is a single point.
    """
    span = np.ptp(frontier, axis=0) if len(frontier) else np.zeros(2)
    if not (span > 0).all():
        return np.full(len(costs), np.nan)
    across = (costs[:, None] - frontier[None, :, 0]) / span[0]
    up = (qualities[:, None] - frontier[None, :, 1]) / span[1]
    distances: FloatArray = np.sqrt((across**2 + up**2).min(axis=1))
    return distances


def arena_score(quality: FloatArray | float, cost: FloatArray | float) -> FloatArray:
    """Return RouterArena's score, (…): S = (1 + β) A C ÷ (β A + C), a weighted harmonic mean of accuracy and cheapness.

    C = (log₂ c_max − log₂ c) ÷ (log₂ c_max − log₂ c_min) with c in USD per 1,000 queries, β = 0.1, c_max = 200 and
    c_min = 0.0044 (arXiv:2510.00202, section 4). Costs outside that range count as its ends.

    Args:
        quality: Mean score, (…).
        cost: Mean USD per instruction, (…); NaN results where it is unknown.
    """
    accuracy = np.asarray(quality, dtype=np.float64)
    per_thousand = np.clip(np.asarray(cost, dtype=np.float64) * 1000.0, ARENA_CHEAPEST, ARENA_DEAREST)
    cheap = np.log2(ARENA_DEAREST / per_thousand) / np.log2(ARENA_DEAREST / ARENA_CHEAPEST)
    below = ARENA_BETA * accuracy + cheap
    unknown = np.where(np.isnan(below), np.nan, 0.0)
    score: FloatArray = np.divide((1.0 + ARENA_BETA) * accuracy * cheap, below, out=unknown, where=below > 0)
    return score
