"""What feedback says that the classifier does not know yet: a Bayesian linear correction of every expert's scores.

The residual, observed − expected score, is a linear function of the encoder's vector (frozen: along the directions
that the measure of novelty keeps) with a normal-inverse-gamma prior (Bishop 2006, section 3.3), for each expert by
itself. How far it may reach is averaged over `SCALES` by what speaks for each, and that there is nothing to correct
is one of them, so that noise moves nothing. All that was learned is a sum over observations: many small updates are
one large one, in any order.

Where observations have a time, old ones fade by half in `half_life` days, and where the last days contradict those
before, what was before is dropped: a change is followed within days, not after as many days as the past was long.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mixture_training.src.evidence import Evidence, contradicts, posterior
from mixture_training.src.training_data import FloatArray

if TYPE_CHECKING:
    from mixture_training.src.artifacts import Router
    from mixture_training.src.assurance import Assurance
    from mixture_training.src.classifier import Prediction
    from mixture_training.src.novelty import Novelty

IndexArray = npt.NDArray[np.intp]
Vectors = npt.NDArray[np.floating]
Bounds = tuple[FloatArray, FloatArray]

#: Days in which what was learned counts half, and in which what is compared with it does.
HALF_LIFE, RECENT = 14.0, 1.0
#: Standard deviations from the middle to the end of a 90 % interval.
_TAIL = 1.645


@dataclass(frozen=True)
class Axes:
    """What is read of a vector: a one, then its place along some directions.

    Attributes:
        directions: (d, r), each divided so that the squares of a usual vector's places add up to about 1.
        middle: (r,), what a mean training vector has along them.
    """

    directions: npt.NDArray[np.float32]
    middle: FloatArray

    @classmethod
    def of(cls, novelty: "Novelty") -> "Axes":
        """Return the directions that training varies in most."""
        unit = float(np.sqrt(np.mean((novelty.references.astype(np.float64) ** 2).sum(axis=1))))
        directions = (novelty.directions / max(unit, 1e-6)).astype(np.float32)
        return cls(directions, (novelty.centre @ directions).astype(np.float64))

    def read(self, vectors: Vectors) -> FloatArray:
        """Return (n, 1 + r)."""
        places = vectors.astype(np.float32, copy=False) @ self.directions - self.middle
        return np.concatenate([np.ones((len(vectors), 1)), places], axis=1)


@dataclass(frozen=True)
class Correction:
    """What was learned; never changed, `learn` returns another.

    Attributes:
        evidence: All that counts.
        recent: The part of it that is at most a few days old, by which a change is noticed.
        axes: What is read of a vector; None corrects each expert by one number.
        until: The time of the latest observation, in days since 1970; None where none had a time.
        changes: (E,), the day on which what was known of an expert was dropped; NaN where it never was.
        half_life: Days in which an observation loses half its weight.
    """

    evidence: Evidence
    recent: Evidence
    axes: Axes | None = None
    until: float | None = None
    changes: FloatArray = field(default_factory=lambda: np.empty(0))
    half_life: float = HALF_LIFE

    def __post_init__(self) -> None:
        if not self.changes.size:
            object.__setattr__(self, "changes", np.full(len(self.evidence.mass), np.nan))
        means, spreads = posterior(self.evidence)
        object.__setattr__(self, "_means", means)
        object.__setattr__(self, "_spreads", spreads)

    @classmethod
    def nothing(cls, experts: int, axes: Axes | None = None, *, half_life: float = HALF_LIFE) -> "Correction":
        """Return the correction that no feedback has changed: the identity."""
        empty = Evidence.empty(experts, 1 if axes is None else 1 + axes.directions.shape[1])
        return cls(empty, empty, axes, half_life=half_life)

    @classmethod
    def of(cls, router: "Router") -> "Correction":
        """Return the router's correction, or one that has learned nothing where it has none."""
        if router.correction is not None:
            return router.correction
        novelty = router.assurance.novelty
        return cls.nothing(len(router.experts), None if novelty is None else Axes.of(novelty))

    @property
    def is_identity(self) -> bool:
        """Whether there was no feedback."""
        return not self.evidence.mass.any()

    @property
    def observations(self) -> FloatArray:
        """The weight of what is known of each expert, (E,)."""
        return self.evidence.mass

    @property
    def shifts(self) -> FloatArray:
        """What an expert's score is raised by for a mean instruction of training, (E,)."""
        return self._mean[:, 0]

    @property
    def _mean(self) -> FloatArray:
        means: FloatArray = self.__dict__["_means"]
        return means

    def adjust(self, vectors: Vectors | None, scores: FloatArray) -> FloatArray:
        """Return corrected scores, (n, E), in [0, 1].

        Args:
            vectors: (n, d), `Prediction.vectors`.
            scores: (n, E), expected and calibrated.
        """
        if self.is_identity:
            return scores
        return np.asarray(np.clip(scores + self._read(vectors, len(scores)) @ self._mean.T, 0.0, 1.0))

    def deviations(self, vectors: Vectors | None, rows: int = 1) -> FloatArray:
        """Return the standard deviation of what is added, (n, E).

        Args:
            vectors: (n, d).
            rows: n, where there are no vectors.
        """
        read = self._read(vectors, rows)
        spreads: FloatArray = self.__dict__["_spreads"]
        return np.asarray(np.sqrt(np.maximum(np.einsum("np,epq,nq->ne", read, spreads, read, optimize=True), 0.0)))

    def widened(self, bounds: Bounds, before: FloatArray, after: FloatArray, deviations: FloatArray) -> Bounds:
        """Return the bounds of corrected scores: moved with them, and wider by what is not known of the correction.

        Args:
            bounds: (low, high) of the scores before, each (n, E).
            before: (n, E).
            after: (n, E), corrected.
            deviations: (n, E); those of experts without feedback widen nothing.
        """
        more = np.where(self.observations > 0.0, _TAIL * deviations, 0.0) ** 2
        low, high = (np.sqrt((end - before) ** 2 + more) for end in bounds)
        return np.maximum(after - low, 0.0), np.minimum(after + high, 1.0)

    def expect(self, prediction: "Prediction", bounds: Bounds | None) -> tuple["Prediction", Bounds | None, FloatArray]:
        """Return a calibrated prediction and its bounds, corrected, and the deviations of what was added."""
        scores, vectors = prediction.scores, prediction.vectors
        deviations, after = self.deviations(vectors, len(scores)), self.adjust(vectors, scores)
        if bounds is not None and not self.is_identity:
            bounds = self.widened(bounds, scores, after, deviations)
        return replace(prediction, scores=after), bounds, deviations

    def assured(self, assurance: "Assurance") -> "Assurance":
        """Return the assurance whose guard knows the experts' means as they are now."""
        guard = assurance.guard
        if guard is None or self.is_identity:
            return assurance
        means = np.clip(guard.mean_scores + self.shifts, 0.0, 1.0)
        return replace(assurance, guard=replace(guard, mean_scores=means))

    def learn(
        self,
        vectors: Vectors | None,
        columns: IndexArray,
        residuals: FloatArray,
        weights: FloatArray | None = None,
        *,
        moments: FloatArray | None = None,
    ) -> "Correction":
        """Return what is known after further observations.

        Args:
            vectors: (n, d), what was decided by; None where the classifier reads none.
            columns: (n,), the expert that was observed.
            residuals: (n,), its score − what the classifier expected, calibrated but not corrected.
            weights: (n,), how much each counts, from 0 to 1; None means 1.
            moments: (n,), when, in days since 1970. None neither fades what is known nor looks for a change.

        Raises:
            ValueError: the arrays do not belong together, or a number is none.
        """
        weights = np.ones(len(columns)) if weights is None else np.asarray(weights, dtype=np.float64)
        residuals = np.asarray(residuals, dtype=np.float64)
        self._check(vectors, columns, residuals, weights, moments)
        if not len(columns):
            return self
        read = self._read(vectors, len(columns))
        if moments is None:
            found = Evidence.of(read, columns, residuals, weights, experts=len(self.observations))
            return replace(self, evidence=self.evidence + found, recent=self.recent + found)
        evidence, recent, until, changes = self.evidence, self.recent, self.until, self.changes.copy()
        days = np.floor(moments)
        for day in np.unique(days):
            rows = days == day
            at = float(moments[rows].max())
            now = at if until is None else max(at, until)
            passed = 0.0 if until is None else now - until
            brief = min(RECENT, self.half_life)
            evidence, recent, until = evidence.faded(passed, self.half_life), recent.faded(passed, brief), now
            ages = now - moments[rows]
            parts = read[rows], columns[rows], residuals[rows]
            today = Evidence.of(*parts, weights[rows] * 0.5 ** (ages / brief), experts=len(changes))
            evidence += Evidence.of(*parts, weights[rows] * 0.5 ** (ages / self.half_life), experts=len(changes))
            recent += today
            for latest in (recent, today):
                surprised = contradicts(latest, evidence)
                if surprised.any():
                    evidence, recent = evidence.where(surprised, latest), recent.where(surprised, latest)
                    changes[surprised] = now
        return replace(self, evidence=evidence, recent=recent, until=until, changes=changes)

    def _check(
        self,
        vectors: Vectors | None,
        columns: IndexArray,
        residuals: FloatArray,
        weights: FloatArray,
        moments: FloatArray | None,
    ) -> None:
        n, experts = len(columns), len(self.observations)
        if any(part is not None and len(part) != n for part in (vectors, residuals, weights, moments)):
            raise ValueError(f"{n} observed experts, but other numbers of vectors, residuals, weights or moments.")
        if n and (columns.min() < 0 or columns.max() >= experts):
            raise ValueError(f"An expert's column is {columns.min()} or {columns.max()}; there are {experts} experts.")
        for name, part in (("residual", residuals), ("weight", weights), ("moment", moments), ("vector", vectors)):
            if part is not None and not np.isfinite(part).all():
                raise ValueError(f"A {name} is no finite number.")
        if (weights < 0.0).any():
            raise ValueError(f"A weight is {weights.min()}; at least 0 is expected.")

    def _read(self, vectors: Vectors | None, rows: int) -> FloatArray:
        if self.axes is None:
            return np.ones((rows, 1))
        if vectors is None:
            raise ValueError("This correction reads vectors, and none were given.")
        return self.axes.read(vectors)

    def to_state(self) -> dict[str, Any]:
        """Return all but the `arrays` as JSON-able values."""
        return {
            "until": self.until,
            "half_life": self.half_life,
            "observations": [round(mass, 3) for mass in self.observations.tolist()],
            "shifts": [round(shift, 6) for shift in self.shifts.tolist()],
        }

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return what was learned, by name."""
        found = {
            **{f"evidence.{name}": values for name, values in self.evidence.arrays().items()},
            **{f"recent.{name}": values for name, values in self.recent.arrays().items()},
            "changes": self.changes,
        }
        return found if self.axes is None else {**found, "directions": self.axes.directions, "middle": self.axes.middle}

    @classmethod
    def from_state(cls, state: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]], experts: int) -> "Correction":
        """Return the correction that `to_state` and `arrays` described.

        Raises:
            ValueError: a part is damaged.
        """
        axes, wide = None, 1
        if "directions" in arrays:
            directions, middle = arrays["directions"], arrays["middle"]
            if directions.ndim != 2 or middle.shape != directions.shape[1:]:
                raise ValueError("the directions of the correction have other shapes than they should")
            if not (np.isfinite(directions).all() and np.isfinite(middle).all()):
                raise ValueError("a direction of the correction is not finite")
            axes = Axes(directions.astype(np.float32, copy=False), middle.astype(np.float64, copy=False))
            wide += directions.shape[1]
        evidence, recent = (
            Evidence.from_arrays(
                {key.partition(".")[2]: values for key, values in arrays.items() if key.startswith(f"{name}.")},
                experts,
                wide,
            )
            for name in ("evidence", "recent")
        )
        until, half_life, changes = state["until"], float(state["half_life"]), arrays["changes"]
        if changes.shape != (experts,) or np.isinf(changes).any():
            raise ValueError("the changes of the correction are not those of the experts")
        if not (0.0 < half_life < np.inf) or not (until is None or np.isfinite(float(until))):
            raise ValueError(f"the correction's half-life is {half_life} days until {until}")
        return cls(
            evidence, recent, axes, None if until is None else float(until), changes.astype(np.float64), half_life
        )
