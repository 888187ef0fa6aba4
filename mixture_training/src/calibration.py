"""Expected scores that mean what they say: an increasing map per expert, or one for all.

Maps: temperature (Guo et al. 2017, arXiv:1706.04599), Platt's sigmoid (1999) and isotonic regression (Zadrozny and
Elkan, 2002), the latter joined through the middle of its steps so that no two scores become equal. They are chosen by
cross-validated Brier score on rows the classifier has not learned from, the simpler where the
other is not clearly ahead.

A map shared by all experts never changes who is best. Maps of each expert's own do: on recorded data isotonic
regression halved the calibration error and lost up to 1.6 points of routed score. They are used only where
cross-validated routing by them is not worse.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mixture_training.src.metrics.references import pick
from mixture_training.src.training_data import FloatArray

IndexArray = npt.NDArray[np.intp]
#: From scores to calibrated scores, of any shape.
ScoreMap = Callable[[FloatArray], FloatArray]

#: Points of [0, 1] between which a map is a straight line.
POINTS = 201
#: Parts that maps are cross-validated by.
FOLDS = 5
#: Known scores from which a map may be learned: one for all, one per expert, and an isotonic one.
LEAST_SHARED, LEAST_OWN, LEAST_ISOTONIC = 50, 100, 300
#: Standard errors of Brier score that a map must be ahead of a simpler one by.
SURE = 2.0
#: Share of the identity in an isotonic map, which keeps it strictly increasing.
_KEPT = 0.02
#: Scores are moved this far from 0 and 1 before their logit is taken.
_EDGE = 0.005
_GRID = np.linspace(0.0, 1.0, POINTS)


@dataclass(frozen=True)
class Calibration:
    """Increasing maps of expected scores.

    Attributes:
        kinds: Which map each expert has: "identity", "temperature", "platt" or "isotonic"; one entry where all share.
        table: (1 or E, `POINTS`), the maps' values at even steps of [0, 1].
    """

    kinds: tuple[str, ...]
    table: FloatArray

    @classmethod
    def identity(cls) -> "Calibration":
        """Return the calibration that leaves scores as they are."""
        return cls(("identity",), _GRID[None])

    @property
    def is_identity(self) -> bool:
        """Whether it leaves every score as it is."""
        return set(self.kinds) == {"identity"}

    def apply(self, scores: FloatArray) -> FloatArray:
        """Return calibrated scores, (n, E), of scores in [0, 1]."""
        if self.is_identity or not scores.size:
            return scores
        place = scores * (POINTS - 1)
        below = np.minimum(place.astype(np.intp), POINTS - 2)
        share = place - below
        flat = self.table.ravel()
        start = below + np.arange(len(self.table)) * POINTS if len(self.table) > 1 else below
        mapped: FloatArray = flat[start] * (1.0 - share) + flat[start + 1] * share
        return mapped

    def to_state(self) -> dict[str, Any]:
        """Return the maps as JSON-able values."""
        return {"kinds": list(self.kinds), "table": None if self.is_identity else self.table.tolist()}

    @classmethod
    def from_state(cls, state: Mapping[str, Any], experts: int) -> "Calibration":
        """Return the calibration that `to_state` described.

        Raises:
            ValueError: a map does not increase within [0, 1], or there are not as many as experts.
        """
        kinds = tuple(map(str, state["kinds"]))
        if not kinds or not set(kinds) <= set(_KINDS) or len(kinds) not in (1, experts):
            raise ValueError(f"calibration kinds {list(kinds)}")
        if set(kinds) == {"identity"}:
            return cls.identity()
        table = np.asarray(state["table"], dtype=np.float64)
        if table.shape != (len(kinds), POINTS) or not (np.isfinite(table).all() and (np.diff(table) >= 0).all()):
            raise ValueError("a calibration map is no increasing line")
        if table.min() < 0.0 or table.max() > 1.0:
            raise ValueError("a calibration map leaves [0, 1]")
        return cls(kinds, table)


@dataclass(frozen=True)
class Calibrated:
    """A fitted calibration.

    Attributes:
        calibration: Fitted to all rows.
        scores: (n, E), the rows' scores by maps that had not seen them.
    """

    calibration: Calibration
    scores: FloatArray


def fit_calibration(
    predicted: FloatArray, truth: FloatArray, costs: FloatArray, weights: Sequence[float], *, seed: int = 0
) -> Calibrated:
    """Return the calibration that cross-validates best.

    Args:
        predicted: (n, E), for rows the classifier has not learned from.
        truth: (n, E), NaN where missing.
        costs: (n, E), expected USD.
        weights: Score per USD, the trade-offs at which routing must not get worse.
        seed: Of the parts.
    """
    known = ~np.isnan(truth)
    fold_of = np.random.default_rng(seed).permutation(np.arange(len(truth)) % FOLDS)
    shared, kind = predicted, "identity"
    if known.sum() >= LEAST_SHARED:
        shared, kind = _best(predicted, truth, fold_of, ("temperature", "platt"), shared, kind)
    everyone = Calibration.identity() if kind == "identity" else _fitted([kind], predicted[known], truth[known])
    own, kinds = shared.copy(), []
    for column in range(truth.shape[1]):
        count = int(known[:, column].sum())
        tried = _KINDS[1:] if count >= LEAST_ISOTONIC else _KINDS[1:3] if count >= LEAST_OWN else ()
        cells = np.s_[:, column : column + 1]
        own[cells], chosen = _best(predicted[cells], truth[cells], fold_of, tried, shared[cells], "shared")
        kinds.append(chosen)
    if set(kinds) == {"shared"} or _routes_worse(own, shared, truth, costs, weights):
        return Calibrated(everyone, shared)
    rows = []
    for column, chosen in enumerate(kinds):
        seen = known[:, column]
        if chosen == "shared":
            rows.append(everyone.table[0])
        else:
            rows.append(_fitted([chosen], predicted[seen, column], truth[seen, column]).table[0])
    named = tuple(kind if chosen == "shared" else chosen for chosen in kinds)
    return Calibrated(Calibration(named, np.stack(rows)), own)


def _best(
    predicted: FloatArray,
    truth: FloatArray,
    fold_of: IndexArray,
    tried: Sequence[str],
    plain: FloatArray,
    name: str,
) -> tuple[FloatArray, str]:
    """Return the cross-fitted scores and the name of the map that is clearly ahead of simpler ones."""
    known = ~np.isnan(truth)
    best, best_name = plain, name
    for kind in tried:
        mapped = predicted.copy()
        for fold in range(FOLDS):
            inside = fold_of == fold
            learned = known & ~inside[:, None]
            if learned.any():
                mapped[inside] = _MAPS[kind](predicted[learned], truth[learned])(predicted[inside])
        gain = ((best - truth) ** 2 - (mapped - truth) ** 2)[known]
        if gain.mean() > SURE * gain.std() / np.sqrt(len(gain)):
            best, best_name = mapped, kind
    return best, best_name


def _routes_worse(
    own: FloatArray, shared: FloatArray, truth: FloatArray, costs: FloatArray, weights: Sequence[float]
) -> bool:
    """Whether choosing by `own` reaches less than by `shared`: at quality, or over the trade-offs."""
    gains = []
    for weight in (0.0, *weights):
        values = []
        for scores in (own, shared):
            chosen = np.lexsort((costs, -np.round(scores - weight * costs, 12)), axis=-1)[:, 0]
            values.append(pick(truth, chosen) - weight * pick(costs, chosen))
        difference = values[0] - values[1]
        known = ~np.isnan(difference)
        gains.append(float(difference[known].mean()) if known.any() else 0.0)
    return gains[0] < 0.0 or float(np.mean(gains)) < 0.0


def _fitted(kinds: Sequence[str], predicted: FloatArray, truth: FloatArray) -> Calibration:
    table = np.stack([_MAPS[kind](predicted, truth)(_GRID) for kind in kinds])
    return Calibration(tuple(kinds), np.maximum.accumulate(np.clip(table, 0.0, 1.0), axis=1))


def _temperature(predicted: FloatArray, truth: FloatArray) -> ScoreMap:
    from scipy.optimize import minimize_scalar

    logits = _logit(predicted)
    slope = float(minimize_scalar(lambda a: _log_loss(a * logits, truth), bounds=(0.1, 5.0), method="bounded").x)
    return lambda scores: _sigmoid(slope * _logit(scores))


def _platt(predicted: FloatArray, truth: FloatArray) -> ScoreMap:
    from scipy.optimize import minimize

    logits = _logit(predicted)
    found = minimize(lambda p: _log_loss(p[0] * logits + p[1], truth), [1.0, 0.0], bounds=[(0.1, 5.0), (-4.0, 4.0)]).x
    return lambda scores: _sigmoid(float(found[0]) * _logit(scores) + float(found[1]))


def _isotonic(predicted: FloatArray, truth: FloatArray) -> ScoreMap:
    from sklearn.isotonic import IsotonicRegression

    order = np.argsort(predicted, kind="stable")
    steps = IsotonicRegression(y_min=0.0, y_max=1.0).fit_transform(predicted[order], truth[order])
    values, place, counts = np.unique(steps, return_inverse=True, return_counts=True)
    middles = np.bincount(place.ravel(), weights=predicted[order]) / counts
    return lambda scores: (1.0 - _KEPT) * np.interp(scores, middles, values) + _KEPT * scores


_MAPS: Mapping[str, Callable[[FloatArray, FloatArray], ScoreMap]] = {
    "temperature": _temperature,
    "platt": _platt,
    "isotonic": _isotonic,
}
_KINDS = ("identity", *_MAPS)


def _logit(scores: FloatArray) -> FloatArray:
    inside = np.clip(scores, _EDGE, 1.0 - _EDGE)
    logits: FloatArray = np.log(inside / (1.0 - inside))
    return logits


def _sigmoid(logits: FloatArray) -> FloatArray:
    scores: FloatArray = 1.0 / (1.0 + np.exp(-logits))
    return scores


def _log_loss(logits: FloatArray, truth: FloatArray) -> float:
    return float(np.mean(np.logaddexp(0.0, logits) - truth * logits))
