"""The points every router is measured against.

Each reference is a column index per instruction (−1 where there is none), chosen on train where it learns anything,
so that it can be scored on test exactly as a router is. Scores may be missing (NaN): a mean is over known scores.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IndexArray = npt.NDArray[np.intp]


def known_means(values: FloatArray) -> FloatArray:
    """Return the mean of each column over its known entries, NaN for a column without any."""
    known = ~np.isnan(values)
    counts = known.sum(axis=0)
    sums = np.where(known, values, 0.0).sum(axis=0)
    means: FloatArray = np.divide(sums, counts, out=np.full(values.shape[1], np.nan), where=counts > 0)
    return means


def best_column(scores: FloatArray, costs: FloatArray) -> int:
    """Return the column with the highest mean score; ties go to the lower mean cost, then to the first.

    Args:
        scores: (n, E), NaN where missing.
        costs: (n, E), USD, NaN where unknown; an unknown mean loses a tie.

    Raises:
        ValueError: there is no score at all.
    """
    means = known_means(scores)
    if np.isnan(means).all():
        raise ValueError("No expert has a score.")
    quality = np.where(np.isnan(means), -np.inf, means)
    price = known_means(costs)
    order = np.lexsort((np.where(np.isnan(price), np.inf, price), -np.round(quality, 12)))
    return int(order[0])


def best_per_category(
    train_scores: FloatArray,
    train_costs: FloatArray,
    train_categories: Sequence[str | None],
    categories: Sequence[str | None],
) -> IndexArray:
    """Return, for each of `categories`, the expert that was best on train in that category.

    A category that train does not know gets the best single expert.
    """
    fallback = best_column(train_scores, train_costs)
    labels = np.array([label or "" for label in train_categories], dtype=object)
    best: dict[str | None, int] = {None: fallback}
    for name in {label for label in train_categories if label is not None}:
        rows = labels == name
        if not np.isnan(train_scores[rows]).all():
            best[name] = best_column(train_scores[rows], train_costs[rows])
    return np.array([best.get(label, fallback) for label in categories], dtype=np.intp)


def oracle(scores: FloatArray, costs: FloatArray) -> IndexArray:
    """Return the best expert of each row, the cheapest of equals; −1 where a row has no score."""
    if not len(scores):
        return np.empty(0, dtype=np.intp)
    quality = np.where(np.isnan(scores), -np.inf, scores)
    price = np.where(np.isnan(costs), np.inf, costs)
    chosen = np.lexsort((price, -quality), axis=-1)[:, 0]
    return np.where(np.isnan(scores).all(axis=1), -1, chosen)


def random_values(values: FloatArray) -> FloatArray:
    """Return each row's expectation under a uniformly random choice among the experts with a known value."""
    known = ~np.isnan(values)
    counts = known.sum(axis=1)
    sums = np.where(known, values, 0.0).sum(axis=1)
    means: FloatArray = np.divide(sums, counts, out=np.full(len(values), np.nan), where=counts > 0)
    return means


def pick(values: FloatArray, chosen: IndexArray) -> FloatArray:
    """Return each row's value in its chosen column; NaN where nothing was chosen or the cell is missing.

    A router that chooses an expert without a score for an instruction is neither right nor wrong there: the row
    is left out of its mean, and the number of such rows is reported beside it.
    """
    picked = np.take_along_axis(values, np.maximum(chosen, 0)[:, None], axis=1)[:, 0]
    return np.where(chosen < 0, np.nan, picked)


def hull(costs: FloatArray, qualities: FloatArray) -> FloatArray:
    """Return the vertices (cost, quality) of the non-decreasing upper convex hull, cheapest first.

    The zero router (RouterBench, Hu et al. 2024, section 3) mixes single experts at random along this line; a
    router is worth its trouble only above it. Points with an unknown coordinate are left out.
    """
    points = sorted(
        {(float(c), float(q)) for c, q in zip(costs, qualities, strict=True) if np.isfinite(c) and np.isfinite(q)},
        key=lambda point: (point[0], -point[1]),
    )
    vertices: list[tuple[float, float]] = []
    for point in points:
        if vertices and point[1] <= vertices[-1][1]:
            continue
        while len(vertices) > 1 and _is_under(vertices[-2], vertices[-1], point):
            vertices.pop()
        vertices.append(point)
    return np.array(vertices, dtype=np.float64).reshape(-1, 2)


def _is_under(left: tuple[float, float], middle: tuple[float, float], right: tuple[float, float]) -> bool:
    """Whether `middle` is on or under the line from `left` to `right`."""
    return (middle[1] - left[1]) * (right[0] - left[0]) <= (right[1] - left[1]) * (middle[0] - left[0])
