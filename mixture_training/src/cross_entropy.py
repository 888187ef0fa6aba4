"""Regressions by cross-entropy: of scores in [0, 1], of comparisons, of categories.

A loss is a function of logits, (n, k); what gives the logits is the caller's. Linear logits are fitted here: by L-BFGS
(Liu and Nocedal, 1989) along the principal axes of the vectors, where the second derivative is nearly diagonal, so
that dividing by its root leaves a problem that a dozen steps solve for all columns at once.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt

from mixture_training.src.targets import ScoreKind, logit, score_kind, shrunk_means, sigmoid, softmax
from mixture_training.src.training_data import FloatArray

Rows = npt.NDArray[np.integer] | npt.NDArray[np.bool_]

#: Pull of an intercept to where it starts, as of one score of ½: keeps it finite where all scores are equal.
INTERCEPT_PENALTY = 0.25
#: Steps at most.
_STEPS = 200
#: A step that improves the loss by a smaller share than this is the last.
PROGRESS = 1e-7


class Loss(ABC):
    """Negative log-likelihood of n rows as a function of their logits, (n, k)."""

    @abstractmethod
    def start(self) -> FloatArray:
        """Return the logits of a row about which nothing is known, (k,)."""

    @abstractmethod
    def curvature(self) -> FloatArray:
        """Return the second derivative by each logit at the start, (n, k)."""

    @abstractmethod
    def cells(self, logits: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the loss of each cell and its derivative by each logit, both (n, k), 0 where nothing is known."""

    @abstractmethod
    def take(self, rows: Rows) -> Self:
        """Return the loss of some of the rows."""

    def __call__(self, logits: FloatArray) -> tuple[float, FloatArray]:
        """Return the whole loss and its derivative, (n, k)."""
        losses, gradient = self.cells(logits)
        return float(losses.sum()), gradient


@dataclass(frozen=True)
class ScoreLoss(Loss):
    """Each score a soft label of its own: −s · log σ(f) − (1 − s) · log(1 − σ(f)).

    Attributes:
        scores: (n, E), 0 where missing.
        known: (n, E).
    """

    scores: FloatArray
    known: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, scores: FloatArray) -> Self:
        """Return the loss of scores that are NaN where missing."""
        known = ~np.isnan(scores)
        return cls(np.where(known, scores, 0.0), known)

    def start(self) -> FloatArray:
        """Return each column's log-odds, after one more score at the mean of all."""
        return logit(shrunk_means(np.where(self.known, self.scores, np.nan)))

    def curvature(self) -> FloatArray:
        """Return p(1 − p) where a score is known."""
        rates = sigmoid(self.start())
        return np.asarray(self.known * (rates * (1 - rates)), dtype=np.float64)

    def cells(self, logits: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return cross-entropies, and expected minus true scores."""
        losses, residuals = _cross_entropy(logits, self.scores)
        return np.where(self.known, losses, 0.0), np.where(self.known, residuals, 0.0)

    def take(self, rows: Rows) -> Self:
        """Return the loss of some of the rows."""
        return replace(self, scores=self.scores[rows], known=self.known[rows])


@dataclass(frozen=True)
class PreferenceLoss(Loss):
    """Of each two that were compared, the first wins with probability σ(f_first − f_second).

    Bradley and Terry, "Rank Analysis of Incomplete Block Designs", 1952.

    Attributes:
        pairs: (n, 2), the columns that were compared.
        shares: (n,), what the first of them got.
        columns: E.
    """

    pairs: npt.NDArray[np.intp]
    shares: FloatArray
    columns: int

    @classmethod
    def of(cls, scores: FloatArray) -> Self:
        """Return the loss of rows with two scores each, NaN in the other columns."""
        pairs = np.nonzero(~np.isnan(scores))[1].reshape(len(scores), 2)
        return cls(pairs, scores[np.arange(len(scores)), pairs[:, 0]], scores.shape[1])

    def start(self) -> FloatArray:
        """Return zeros: all are equally good."""
        return np.zeros(self.columns)

    def curvature(self) -> FloatArray:
        """Return ¼ for the two that were compared."""
        return self._spread(np.full((len(self.shares), 2), 0.25))

    def cells(self, logits: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return half of each comparison's loss for either of the two."""
        first, second = np.take_along_axis(logits, self.pairs, axis=1).T
        losses, residuals = _cross_entropy(first - second, self.shares)
        halves, slopes = np.column_stack([losses, losses]) / 2, np.column_stack([residuals, -residuals])
        return self._spread(halves), self._spread(slopes)

    def take(self, rows: Rows) -> Self:
        """Return the loss of some of the rows."""
        return replace(self, pairs=self.pairs[rows], shares=self.shares[rows])

    def _spread(self, values: FloatArray) -> FloatArray:
        cells = np.zeros((len(values), self.columns))
        np.put_along_axis(cells, self.pairs, values, axis=1)
        return cells


@dataclass(frozen=True)
class CategoryLoss(Loss):
    """Exactly one of the columns is right: −log softmax(f).

    Attributes:
        codes: (n,), which.
        columns: C; each is right in some row.
    """

    codes: npt.NDArray[np.intp]
    columns: int

    def start(self) -> FloatArray:
        """Return the logarithms of how often each is right."""
        logs: FloatArray = np.log(np.bincount(self.codes, minlength=self.columns) / len(self.codes))
        centred: FloatArray = logs - logs.mean()
        return centred

    def curvature(self) -> FloatArray:
        """Return p(1 − p)."""
        rates = np.bincount(self.codes, minlength=self.columns) / len(self.codes)
        return np.tile(rates * (1 - rates), (len(self.codes), 1))

    def cells(self, logits: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return −log p of the right column, and expected minus true labels."""
        probabilities = softmax(logits)
        rows = np.arange(len(self.codes))
        losses = np.zeros_like(logits)
        losses[rows, self.codes] = -np.log(np.maximum(probabilities[rows, self.codes], 1e-300))
        probabilities[rows, self.codes] -= 1.0
        return losses, probabilities

    def take(self, rows: Rows) -> Self:
        """Return the loss of some of the rows."""
        return replace(self, codes=self.codes[rows])


def loss_of(scores: FloatArray) -> Loss:
    """Return the loss that fits the kind of the scores, each row with at least one.

    Args:
        scores: (n, E), NaN where missing.
    """
    return PreferenceLoss.of(scores) if score_kind(scores) == "preference" else ScoreLoss.of(scores)


def expected_scores(logits: FloatArray, kind: ScoreKind) -> FloatArray:
    """Return the scores to expect, (n, E): σ of each logit; for preferences, the mean chance to win against each other.

    Args:
        logits: (n, E).
        kind: Of the scores that were fitted.
    """
    if kind != "preference":
        return sigmoid(logits)
    experts = logits.shape[1]
    wins = sum(sigmoid(logits - logits[:, [other]]) for other in range(experts))
    rates: FloatArray = (wins - 0.5) / (experts - 1)  # not against itself
    return rates


@dataclass(frozen=True)
class Axes:
    """Vectors turned to their principal axes.

    Attributes:
        centre: (d,).
        directions: (d, r), orthonormal.
        turned: (n, r).
    """

    centre: FloatArray
    directions: FloatArray
    turned: FloatArray

    @classmethod
    def of(cls, vectors: npt.NDArray[np.floating]) -> "Axes":
        """Return the principal axes of vectors, (n, d), and the vectors along them."""
        exact = vectors.astype(np.float64)
        centre = exact.mean(axis=0)
        exact -= centre
        if len(exact) < exact.shape[1]:
            directions = np.linalg.svd(exact, full_matrices=False)[2].T
        else:
            directions = np.linalg.eigh(exact.T @ exact)[1]
        return cls(centre, directions, exact @ directions)

    def take(self, rows: Rows) -> "Axes":
        """Return some of the vectors, along the same axes."""
        return replace(self, turned=self.turned[rows])

    def untwist(self, coefficients: FloatArray, intercepts: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return (weights, intercepts) for vectors as they were, (d, k) and (k,)."""
        weights: FloatArray = self.directions @ coefficients
        return weights, intercepts - self.centre @ weights


def fit_linear(
    axes: Axes,
    loss: Loss,
    penalties: npt.ArrayLike,
    *,
    start: FloatArray | None = None,
    progress: float = PROGRESS,
) -> tuple[FloatArray, FloatArray]:
    """Return coefficients along the axes, (r, k), and intercepts, (k,), with the smallest penalised loss.

    Args:
        axes: n vectors.
        loss: Of their logits.
        penalties: λ of ½ λ |coefficients|², one or (k,); intercepts are hardly penalised.
        start: Coefficients, then intercepts, to begin with, (r + 1, k).
        progress: A step that improves the loss by a smaller share is the last.
    """
    turned, origin = axes.turned, loss.start()
    penalty = np.broadcast_to(np.asarray(penalties, dtype=np.float64), origin.shape)
    curvature = loss.curvature()
    diagonal = np.vstack([(turned**2).T @ curvature + penalty, curvature.sum(axis=0) + INTERCEPT_PENALTY])
    if start is None:
        start = np.vstack([np.zeros((turned.shape[1], len(origin))), origin])

    def objective(parameters: FloatArray) -> tuple[float, FloatArray]:
        coefficients, moved = parameters[:-1], parameters[-1] - origin
        value, gradient = loss(turned @ coefficients + parameters[-1])
        value += 0.5 * float((penalty * coefficients**2).sum() + INTERCEPT_PENALTY * (moved**2).sum())
        slopes = turned.T @ gradient + penalty * coefficients
        return value, np.vstack([slopes, gradient.sum(axis=0) + INTERCEPT_PENALTY * moved])

    solution = minimise(objective, start, diagonal, progress=progress)
    return solution[:-1], solution[-1]


def minimise(
    objective: Callable[[FloatArray], tuple[float, FloatArray]],
    start: FloatArray,
    diagonal: FloatArray,
    *,
    progress: float = PROGRESS,
) -> FloatArray:
    """Return where a function is smallest, by L-BFGS.

    Args:
        objective: From parameters to (value, derivative).
        start: Where to begin.
        diagonal: About the second derivative by each parameter, positive, of the same shape.
        progress: A step that improves the value by a smaller share is the last.
    """
    from scipy.optimize import minimize

    root = np.sqrt(diagonal)

    def scaled(flat: FloatArray) -> tuple[float, FloatArray]:
        value, gradient = objective(flat.reshape(root.shape) / root)
        return value, (gradient / root).ravel()

    options = {"maxiter": _STEPS, "ftol": progress, "gtol": 1e-6}
    found = minimize(scaled, (start * root).ravel(), jac=True, method="L-BFGS-B", options=options)
    return np.asarray(found.x, dtype=np.float64).reshape(root.shape) / root


def _cross_entropy(logits: FloatArray, shares: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return −s · log σ(f) − (1 − s) · log(1 − σ(f)) and its derivative σ(f) − s, of each value."""
    small = np.exp(-np.abs(logits))
    losses: FloatArray = np.maximum(logits, 0.0) + np.log1p(small) - shares * logits
    return losses, np.where(logits >= 0, 1.0, small) / (1.0 + small) - shares
