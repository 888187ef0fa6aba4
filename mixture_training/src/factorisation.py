"""Few hidden abilities that instructions ask for and experts have.

Expected score = σ(a(x) · θ − b(x) + c): what an instruction asks for, a, and how hard it is, b, are linear in its
vector, θ is what an expert can and c how good it is throughout. That is multidimensional item-response theory (Rasch,
1960, with no a; Reckase, *Multidimensional Item Response Theory*, 2009) with items known by their text, as in
IRT-Router (Song et al., 2025), and RouteLLM's matrix factorisation (Ong et al., 2024) where scores are preferences.
Experts share a and b, so what is learned from one helps the others where most scores are missing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mixture_training.src.cross_entropy import (
    INTERCEPT_PENALTY,
    PROGRESS,
    Axes,
    Loss,
    expected_scores,
    fit_linear,
    loss_of,
    minimise,
)
from mixture_training.src.encoders.base import Embeddings
from mixture_training.src.stacking import folds_of
from mixture_training.src.targets import ScoreKind, score_kind, scored_rows
from mixture_training.src.training_data import FloatArray
from mixture_training.src.vector_classifier import Arrays, Encoded, VectorClassifier

#: Numbers of abilities tried; 0 leaves difficulty alone.
RANKS = (0, 1, 2, 4, 8)
#: Penalties tried on abilities and on difficulty, the strongest first, for unit vectors.
PENALTIES = (100.0, 30.0, 10.0, 3.0, 1.0, 0.3)
#: Of the separate regressions whose strongest common directions the abilities begin with.
_START_PENALTY = 3.0
#: Parts of train that are left out in turn to choose, and the rows of which they are parts at most.
_FOLDS, _TUNING_ROWS = 3, 4_000
#: A step that improves the loss by a smaller share than this is the last, while choosing.
_ROUGHLY = 1e-4
#: Share by which a loss is clearly higher than another.
_CLEARLY = 1e-3


class FactorisationClassifier(VectorClassifier):
    """Abilities asked for times abilities there are, less difficulty.

    Args:
        encoder: Name of the encoder.
        rank: How many abilities; None chooses.
        seed: Of the parts and rows that the choice is made on.
    """

    kind = "factorisation"

    def __init__(self, encoder: str = "minilm+tfidf+features", rank: int | None = None, seed: int = 0) -> None:
        self.encoder = encoder
        self.rank = rank
        self.seed = seed

    def _fit_scores(self, train: Encoded, validation: Encoded) -> None:
        scored = scored_rows(train.data)
        data = train.data.take(scored)
        axes, loss = Axes.of(train.vectors[scored]), loss_of(data.scores)
        self._kind: ScoreKind = score_kind(data.scores)
        rows = np.sort(np.random.default_rng(self.seed).permutation(len(data))[:_TUNING_ROWS])
        fold_of = folds_of([data.texts[row] for row in rows], _FOLDS, seed=self.seed)
        parts = _parts(axes.take(rows), loss.take(rows), fold_of)
        self._rank, self._penalty, self._ease_penalty = _choose(parts, len(self.experts_), self.rank)
        start = start_factors(axes, loss).cut(self._rank)
        factors = fit_factors(axes, loss, start, self._penalty, self._ease_penalty)
        turned_back, _ = axes.untwist(np.column_stack([factors.asked, factors.ease]), np.zeros(self._rank + 1))
        self._asked, self._ease, self._theta = turned_back[:, :-1], turned_back[:, -1], factors.abilities
        self._level = factors.level - axes.centre @ self._asked @ self._theta.T - axes.centre @ self._ease

    def _predict_scores(self, vectors: Embeddings, categories: FloatArray) -> FloatArray:
        exact = vectors.astype(np.float64)
        logits = exact @ self._asked @ self._theta.T + (exact @ self._ease)[:, None] + self._level
        return expected_scores(logits, self._kind)

    def _arrays(self) -> Arrays:
        return {
            "asked": self._asked,
            "ease": self._ease,
            "abilities": self._theta,
            "level": self._level,
            "penalties": np.array([self._penalty, self._ease_penalty]),
            "kind": np.array(self._kind),
        }

    def _restore(self, arrays: Arrays) -> None:
        self._asked, self._ease = arrays["asked"], arrays["ease"]
        self._theta, self._level = arrays["abilities"], arrays["level"]
        self._rank, self._kind = self._asked.shape[1], arrays["kind"].item()
        self._penalty, self._ease_penalty = (float(value) for value in arrays["penalties"])

    def diagnostics(self) -> dict[str, Any]:
        """Return the encoder, what the scores were taken for, and what was chosen."""
        penalties = {"abilities": self._penalty, "difficulty": self._ease_penalty}
        return {**super().diagnostics(), "scores": self._kind, "rank": self._rank, "penalty": penalties}


@dataclass(frozen=True)
class Factors:
    """What logits along r axes are made of.

    Attributes:
        asked: (r, q), from an instruction to the abilities it asks for.
        ease: (r,), from an instruction to how easy it is for all; difficulty with its sign turned.
        abilities: (E, q), of the experts.
        level: (E,), how good each is throughout.
    """

    asked: FloatArray
    ease: FloatArray
    abilities: FloatArray
    level: FloatArray

    def cut(self, rank: int) -> "Factors":
        """Return the factors with only the first abilities."""
        return Factors(self.asked[:, :rank], self.ease, self.abilities[:, :rank], self.level)

    def logits(self, turned: FloatArray) -> FloatArray:
        """Return the logits of instructions with these vectors along the axes, (n, E)."""
        logits: FloatArray = turned @ self.asked @ self.abilities.T + (turned @ self.ease)[:, None] + self.level
        return logits

    def flat(self) -> FloatArray:
        """Return all in one row."""
        return np.concatenate([self.asked.ravel(), self.ease, self.abilities.ravel(), self.level])

    def shaped(self, flat: FloatArray) -> "Factors":
        """Return the factors of these shapes that are in one row."""
        parts = np.split(flat, np.cumsum([self.asked.size, self.ease.size, self.abilities.size]))
        return Factors(parts[0].reshape(self.asked.shape), parts[1], parts[2].reshape(self.abilities.shape), parts[3])


def start_factors(axes: Axes, loss: Loss) -> Factors:
    """Return the mean of separate regressions as ease, and the directions in which they differ most as abilities."""
    coefficients, intercepts = fit_linear(axes, loss, _START_PENALTY)
    ease = coefficients.mean(axis=1)
    left, strengths, right = np.linalg.svd(coefficients - ease[:, None], full_matrices=False)
    roots = np.sqrt(strengths)
    return Factors(left * roots, ease, right.T * roots, intercepts)


def fit_factors(
    axes: Axes, loss: Loss, start: Factors, penalty: float, ease_penalty: float, *, progress: float = PROGRESS
) -> Factors:
    """Return the factors with the smallest loss, as near as L-BFGS gets from `start`.

    Args:
        axes: n vectors.
        loss: Of their logits.
        start: Where to begin; says how many abilities there are.
        penalty: λ of ½ λ (|asked|² + |abilities|²), which is the nuclear norm of their product.
        ease_penalty: λ of ½ λ |ease|².
        progress: A step that improves the loss by a smaller share is the last.
    """
    turned, origin = axes.turned, loss.start()

    def objective(flat: FloatArray) -> tuple[float, FloatArray]:
        now = start.shaped(flat)
        value, gradient = loss(now.logits(turned))
        moved = now.level - origin
        value += 0.5 * penalty * float((now.asked**2).sum() + (now.abilities**2).sum())
        value += 0.5 * (ease_penalty * float(now.ease @ now.ease) + INTERCEPT_PENALTY * float(moved @ moved))
        slopes = Factors(
            turned.T @ (gradient @ now.abilities) + penalty * now.asked,
            turned.T @ gradient.sum(axis=1) + ease_penalty * now.ease,
            gradient.T @ (turned @ now.asked) + penalty * now.abilities,
            gradient.sum(axis=0) + INTERCEPT_PENALTY * moved,
        )
        return value, slopes.flat()

    curvature, squares = loss.curvature(), turned**2
    diagonal = Factors(
        squares.T @ (curvature @ start.abilities**2) + penalty,
        squares.T @ curvature.sum(axis=1) + ease_penalty,
        curvature.T @ (turned @ start.asked) ** 2 + penalty,
        curvature.sum(axis=0) + INTERCEPT_PENALTY,
    )
    return start.shaped(minimise(objective, start.flat(), diagonal.flat(), progress=progress))


@dataclass(frozen=True)
class _Part:
    """A part of train, left out, and what the others start from."""

    seen: Axes
    learned: Loss
    start: Factors
    left_out: FloatArray
    judged: Loss


def _parts(axes: Axes, loss: Loss, fold_of: npt.NDArray[np.intp]) -> list[_Part]:
    found = []
    for fold in np.unique(fold_of):
        inside = fold_of == fold
        if not inside.all():
            seen, learned = axes.take(~inside), loss.take(~inside)
            found.append(_Part(seen, learned, start_factors(seen, learned), axes.turned[inside], loss.take(inside)))
    return found


def _choose(parts: list[_Part], experts: int, rank: int | None) -> tuple[int, float, float]:
    """Return (rank, penalty of abilities, penalty of difficulty) with the smallest loss on the parts left out.

    One after the other: the penalty of difficulty without abilities, that of abilities with all of them, their number.
    """

    def loss(rank: int, penalty: float, ease_penalty: float) -> float:
        total = 0.0
        for part in parts:
            start = part.start.cut(rank)
            factors = fit_factors(part.seen, part.learned, start, penalty, ease_penalty, progress=_ROUGHLY)
            total += part.judged(factors.logits(part.left_out))[0]
        return total

    ease_penalty, _ = _weaken(lambda tried: loss(0, 0.0, tried))
    # Without their mean, E regressions differ in E − 1 directions at most.
    ranks = sorted({min(number, experts - 1) for number in (RANKS if rank is None else [rank])})
    if not ranks[-1]:
        return 0, 0.0, ease_penalty
    penalty, least = _weaken(lambda tried: loss(ranks[-1], tried, ease_penalty))
    by_rank = {number: loss(number, penalty, ease_penalty) for number in ranks[:-1]} | {ranks[-1]: least}
    return min(by_rank, key=lambda number: by_rank[number]), penalty, ease_penalty


def _weaken(loss: Callable[[float], float]) -> tuple[float, float]:
    """Return the penalty with the smallest loss, and that; none is tried beyond one that clearly adds to it."""
    best = PENALTIES[0], loss(PENALTIES[0])
    for penalty in PENALTIES[1:]:
        tried = loss(penalty)
        if tried > (1 + _CLEARLY) * best[1]:
            break
        if tried < best[1]:
            best = penalty, tried
    return best
