"""Expected USD or tokens of a call: the mean of its category, corrected by the instruction's length and vector.

The correction is a ridge regression of what the category means leave, on the natural scale: regressions of the
logarithm, with Duan's smearing estimate (1983) or rescaled, were no better on recorded costs and less even on the
mean, which a budget depends on. Whether lengths, and vectors too, are worth it is chosen by leave-one-out error.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mixture_training.src.metrics.references import known_means
from mixture_training.src.training_data import FloatArray

#: How many calls at the expert's overall mean each category starts from: shrinks thin categories towards it.
PRIOR_CALLS = 5.0
#: Fewer known calls than this teach nothing about lengths and vectors.
LEAST = 30
#: Rows that a correction is learned from at most.
MOST_ROWS = 10_000
#: Share of the squared error that a correction must take away from the simpler one.
_WORTH = 0.02
#: Texts longer than this many times the longest learned from are taken to be so long.
_LONGEST = 4.0

Vectors = npt.NDArray[np.floating]


@dataclass(frozen=True)
class CostRegression:
    """Expected values per expert.

    Attributes:
        overall: (E,).
        by_category: (C, E).
        lengths: (2, 2), centre and scale of log(1 + characters) and of thousands of characters; empty where lengths
            do not matter.
        longest: Thousands of characters beyond which a text counts as so long.
        weights: (2 + d, E) of lengths and vectors, (2, E) where vectors do not matter, (0, E) where neither does.
        bias: (E,), what goes with them.
        least: (E,), lower bounds of what is expected.
    """

    overall: FloatArray
    by_category: FloatArray
    lengths: FloatArray
    longest: float
    weights: FloatArray
    bias: FloatArray
    least: FloatArray

    def predict(self, texts: Sequence[str], categories: FloatArray, vectors: Vectors | None) -> FloatArray:
        """Return what is expected, (n, E), never NaN.

        Args:
            texts: n instructions.
            categories: (n, C), probabilities; without any column the overall means are used.
            vectors: (n, d); None corrects by lengths alone, if at all.
        """
        if categories.shape[1]:
            values: FloatArray = categories @ self.by_category
        else:
            values = np.tile(self.overall, (len(texts), 1))
        bounded: FloatArray = np.maximum(values + self.correct(texts, vectors), self.least)
        return bounded

    def correct(self, texts: Sequence[str], vectors: Vectors | None) -> FloatArray | float:
        """Return what lengths and vectors add to the means, (n, E)."""
        if not len(self.weights):
            return 0.0
        added: FloatArray = _length_features(texts, self.lengths, self.longest) @ self.weights[:2] + self.bias
        if vectors is not None and len(self.weights) > 2:
            added += vectors.astype(np.float64) @ self.weights[2:]
        return added

    @property
    def reads(self) -> str:
        """What it goes by: "categories", "lengths" or "vectors" (each with what comes before)."""
        return "categories" if not len(self.weights) else "lengths" if len(self.weights) == 2 else "vectors"

    def to_state(self) -> dict[str, Any]:
        """Return all but the weights as JSON-able values."""
        return {
            "by_category": self.by_category.tolist(),
            "overall": self.overall.tolist(),
            "lengths": self.lengths.tolist(),
            "longest": self.longest,
            "bias": self.bias.tolist(),
            "least": self.least.tolist(),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any], weights: FloatArray | None, categories: int) -> "CostRegression":
        """Return the regression that `to_state` described; one of before has means only.

        Raises:
            ValueError: a number is missing or no cost.
        """
        overall = np.asarray(state["overall"], dtype=np.float64)
        experts = len(overall)
        by_category = np.asarray(state["by_category"], dtype=np.float64).reshape(categories, experts)
        lengths = np.asarray(state.get("lengths", []), dtype=np.float64).reshape(-1, 2)
        bias = np.asarray(state.get("bias", [0.0] * experts), dtype=np.float64)
        least = np.asarray(state.get("least", [0.0] * experts), dtype=np.float64)
        longest = float(state.get("longest", 0.0))
        learned = np.zeros((0, experts)) if weights is None else np.asarray(weights, dtype=np.float64)
        numbers = (overall, by_category, lengths, bias, least, learned, np.array([longest]))
        if not all(np.isfinite(part).all() for part in numbers):
            raise ValueError("a cost is missing")
        if min(overall.min(initial=0.0), by_category.min(initial=0.0), least.min(initial=0.0), longest) < 0.0:
            raise ValueError("a cost is negative")
        if bias.shape != (experts,) or least.shape != (experts,) or learned.ndim != 2 or learned.shape[1] != experts:
            raise ValueError("costs are not those of the experts")
        if len(learned) == 1 or (len(learned) > 0) != (len(lengths) == 2):
            raise ValueError("the weights of costs do not belong to their lengths")
        if len(lengths) and not (lengths[1] > 0.0).all():
            raise ValueError("a length has no scale")
        return cls(overall, by_category, lengths, longest, learned, bias, least)


def fit_cost_regression(
    values: FloatArray,
    texts: Sequence[str],
    categories: Sequence[str | None],
    category_names: Sequence[str],
    vectors: Vectors | None = None,
) -> tuple[CostRegression, FloatArray]:
    """Return the regression of `values`, and what it expects of each row without having learned from it, (n, E).

    Args:
        values: (n, E), USD or tokens; NaN is unknown, not zero.
        texts: n instructions.
        categories: Of each, None where unknown.
        category_names: The order of the categories in a prediction.
        vectors: (n, d), of the texts.
    """
    known = ~np.isnan(values)
    overall = _overall(values)
    by_category = _by_category(values, overall, categories, category_names)
    code = {name: row for row, name in enumerate(category_names)}
    rows = np.array([code.get(category or "", -1) for category in categories], dtype=np.intp)
    base = np.vstack([by_category, overall])[rows]  # −1, an unknown category, is the last row: the overall means
    smallest = np.where(known & (values > 0), values, np.inf).min(axis=0, initial=np.inf)
    means = CostRegression(
        overall,
        by_category,
        np.empty((0, 2)),
        0.0,
        np.empty((0, len(overall))),
        np.zeros(len(overall)),
        np.where(np.isfinite(smallest), np.minimum(smallest / 2.0, overall), 0.0),
    )
    if len(texts) <= MOST_ROWS:
        regression, corrections = _corrected(means, values - base, texts, vectors)
        return regression, np.maximum(base + corrections, means.least)
    some = np.linspace(0, len(texts) - 1, MOST_ROWS).astype(np.intp)
    picked = None if vectors is None else vectors[some]
    regression, corrections = _corrected(means, (values - base)[some], [texts[row] for row in some], picked)
    corrected = np.zeros_like(base) + regression.correct(texts, vectors)
    corrected[some] = corrections
    return regression, np.maximum(base + corrected, means.least)


def _corrected(
    means: CostRegression, rest: FloatArray, texts: Sequence[str], vectors: Vectors | None
) -> tuple[CostRegression, FloatArray]:
    """Return `means` with the correction that takes most off the leave-one-out error of `rest`, if one does.

    And the corrections of the rows, (n, E), each by a fit without it.
    """
    from mixture_training.src.linear import fit_ridge

    nothing = np.zeros_like(rest)
    learned = np.flatnonzero((~np.isnan(rest)).sum(axis=0) >= LEAST)
    if not len(learned):
        return means, nothing
    rest = rest[:, learned]
    plain = known_means(rest**2)
    counted = plain > 1e-30
    if not counted.any():
        return means, nothing
    longest = _LONGEST * max(map(len, texts)) / 1000.0
    raw = _length_features(texts, np.array([[0.0, 0.0], [1.0, 1.0]]), longest)
    spread = raw.std(axis=0) * np.sqrt(2.0)
    lengths = np.stack([raw.mean(axis=0), np.where(spread > 1e-9, spread, 1e9)])
    features = (raw - lengths[0]) / lengths[1]
    best, best_error, best_corrections = means, 1.0, nothing
    wider = [features] if vectors is None else [features, np.hstack([features, vectors.astype(np.float64)])]
    for columns in wider:
        ridge = fit_ridge(columns, rest)
        error = float((known_means((rest - ridge.left_out) ** 2)[counted] / plain[counted]).mean())
        if error < best_error * (1.0 - _WORTH):
            weights, bias = np.zeros((columns.shape[1], len(means.overall))), np.zeros(len(means.overall))
            weights[:, learned], bias[learned] = ridge.weights, ridge.bias
            best = replace(means, lengths=lengths, longest=longest, weights=weights, bias=bias)
            best_error, best_corrections = error, nothing.copy()
            best_corrections[:, learned] = np.where(np.isnan(rest), ridge.predict(columns), ridge.left_out)
    return best, best_corrections


def _length_features(texts: Sequence[str], lengths: FloatArray, longest: float) -> FloatArray:
    """Return log(1 + characters) and thousands of characters, centred and scaled, (n, 2)."""
    characters = np.minimum(np.array([len(text) for text in texts], dtype=np.float64), 1000.0 * longest)
    features: FloatArray = (np.stack([np.log1p(characters), characters / 1000.0], axis=1) - lengths[0]) / lengths[1]
    return features


def _overall(values: FloatArray) -> FloatArray:
    """Return the mean per expert, those without any known value at the mean of the others."""
    means = known_means(values)
    known = ~np.isnan(means)
    filled: FloatArray = np.where(known, means, float(means[known].mean()) if known.any() else 0.0)
    return filled


def _by_category(
    values: FloatArray, overall: FloatArray, categories: Sequence[str | None], names: Sequence[str]
) -> FloatArray:
    """Return the mean per category and expert, shrunk towards the expert's.

    As if `PRIOR_CALLS` calls at that mean had been seen too (the posterior mean of a normal with known variance
    ratio), so that a category with few calls does not decide by chance.
    """
    known = ~np.isnan(values)
    filled = np.where(known, values, 0.0)
    labels = np.array([category or "" for category in categories], dtype=object)
    means = np.empty((len(names), values.shape[1]))
    for row, name in enumerate(names):
        inside = labels == name
        means[row] = (filled[inside].sum(axis=0) + PRIOR_CALLS * overall) / (known[inside].sum(axis=0) + PRIOR_CALLS)
    return means
