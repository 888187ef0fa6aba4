"""A correction of a router's scores from judged decisions, in milliseconds, and what it changes.

The judgements are learned from anew each time, so none counts twice. What the gate compares was cross-fitted: the
judgements of each fifth of the instructions are held against a correction that has not seen that fifth, so that every
judgement is held out once and none flatters the version that learned it.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mixture_training.src.correction import Axes, Correction
from mixture_training.src.gate import HeldOut, Traffic
from mixture_training.src.guard import route
from mixture_training.src.judgements import Judgements
from mixture_training.src.metrics.references import pick
from mixture_training.src.off_policy import FloatArray, IndexArray
from mixture_training.src.policy import parse_policy

if TYPE_CHECKING:
    from mixture_training.src.artifacts import Router

_DAY_S = 86_400.0


@dataclass(frozen=True)
class Proposal:
    """A correction, with what the gate needs to know of it.

    Attributes:
        correction: Learned from all judgements.
        traffic: The judgements, the new version cross-fitted.
        held_out: The validation rows; None where there are none.
        quality: (old, new) scores of the chosen experts on the validation rows, NaN where unknown.
    """

    correction: Correction
    traffic: Traffic
    held_out: HeldOut | None
    quality: tuple[FloatArray, FloatArray] | None


@dataclass(frozen=True)
class Rows:
    """Validation rows, predicted once.

    Attributes:
        truth: (n, E), NaN where missing.
        expected: Without any correction, (n, E).
        costs: Expected USD, (n, E).
        vectors: (n, d); None where the classifier reads none.
        distances: (n,); None where nothing tells.
        cells: The likeliest category, (n,).
    """

    truth: FloatArray
    expected: FloatArray
    costs: FloatArray
    vectors: npt.NDArray[np.float32] | None
    distances: FloatArray | None
    cells: IndexArray


def validation_rows(router: "Router") -> Rows | None:
    """Return the router's validation rows; None where it keeps none."""
    rows = router.training_data().split("validation")
    if not len(rows):
        return None
    raw = router.classifier.predict(rows.texts)
    prediction = router.assurance.expect(raw)
    cells = raw.categories.argmax(axis=1) if raw.categories.shape[1] else np.zeros(len(rows), dtype=np.intp)
    return Rows(
        rows.scores,
        prediction.scores,
        router.costs.predict(rows.texts, prediction),
        prediction.vectors,
        router.assurance.distances(prediction),
        cells.astype(np.intp),
    )


def empty_correction(router: "Router") -> Correction:
    """Return the correction of this router that has learned nothing."""
    novelty = router.assurance.novelty
    return Correction.nothing(len(router.experts), None if novelty is None else Axes.of(novelty))


def propose(router: "Router", judgements: Judgements, weights: FloatArray, rows: Rows | None) -> Proposal:
    """Return what the judgements teach.

    Args:
        router: The one in use, with or without a correction.
        judgements: At least one.
        weights: How much each counts, (n,).
        rows: Validation rows to compare on.
    """
    every = np.arange(len(judgements))
    residuals = judgements.scores - judgements.expected[every, judgements.columns]
    nothing = empty_correction(router)

    def learned(part: IndexArray) -> Correction:
        return nothing.learn(
            judgements.vectors[part] if nothing.axes is not None else None,
            judgements.columns[part],
            residuals[part],
            weights[part],
            moments=judgements.moments[part] / _DAY_S,
        )

    in_use = router.correction or nothing
    renewed, new = np.empty_like(judgements.expected), np.empty(len(judgements), dtype=np.intp)
    for fold in np.unique(judgements.folds):
        apart = np.flatnonzero(judgements.folds == fold)
        correction = learned(np.flatnonzero(judgements.folds != fold))
        renewed[apart] = correction.adjust(judgements.vectors[apart], judgements.expected[apart])
        new[apart] = choices_of(router, correction, judgements.take(apart))
    correction = learned(every)
    return Proposal(
        correction,
        traffic_of(
            judgements,
            weights,
            (in_use.adjust(judgements.vectors, judgements.expected), choices_of(router, in_use, judgements)),
            (renewed, new),
        ),
        *_on_rows(router, in_use, correction, rows),
    )


def traffic_of(
    judgements: Judgements,
    weights: FloatArray,
    old: tuple[FloatArray, IndexArray],
    new: tuple[FloatArray, IndexArray],
) -> Traffic:
    """Return the judgements as the gate reads them.

    Args:
        judgements: All, or those held out.
        weights: How much each counts, (n,).
        old: What the version in use expects, (n, E), and chooses, (n,).
        new: What the new one does; likewise.
    """
    return Traffic(
        rewards=judgements.scores,
        columns=judgements.columns,
        old=old[1],
        new=new[1],
        expected=old[0],
        renewed=new[0],
        propensities=np.nan_to_num(judgements.propensities),
        history=judgements.expected,
        is_drawn=judgements.is_drawn,
        weights=weights,
        users=judgements.users,
        cells=judgements.cells,
    )


def _on_rows(
    router: "Router", in_use: Correction, correction: Correction, rows: Rows | None
) -> tuple[HeldOut | None, tuple[FloatArray, FloatArray] | None]:
    """Return the validation rows as the gate reads them, and what the chosen experts scored."""
    if rows is None:
        return None, None
    chosen = [
        choices(router, one, one.adjust(rows.vectors, rows.expected), rows.costs, rows.distances)
        for one in (in_use, correction)
    ]
    held_out = HeldOut(rows.truth, rows.expected, chosen[0], chosen[1], rows.cells)
    return held_out, (pick(rows.truth, chosen[0]), pick(rows.truth, chosen[1]))


def choices_of(router: "Router", correction: Correction, judgements: Judgements) -> IndexArray:
    """Return the column each judged instruction would go to with this correction, (n,)."""
    scores = correction.adjust(judgements.vectors, judgements.expected)
    distances = None if np.isnan(judgements.novelty).all() else judgements.novelty
    return choices(router, correction, scores, judgements.costs, distances)


def choices(
    router: "Router", correction: Correction, scores: FloatArray, costs: FloatArray, distances: FloatArray | None
) -> IndexArray:
    """Return the column each instruction would go to under the router's own policy, (n,).

    Args:
        router: Whose guard and trade-offs hold.
        correction: By which the guard's means move.
        scores: Expected and corrected, (n, E).
        costs: Expected USD, (n, E).
        distances: From training, (n,); None where nothing tells.
    """
    if not len(scores):
        return np.empty(0, dtype=np.intp)
    assurance = correction.assured(router.assurance)
    return route(scores, costs, parse_policy(router.default_policy), assurance, distances=distances).ranking[:, 0]
