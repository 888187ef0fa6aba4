"""What observations of experts add up to: the sums that a linear regression needs, and nothing else of them."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from mixture_training.src.training_data import FloatArray

IndexArray = npt.NDArray[np.intp]

#: How far a correction may reach: standard deviation of the bias and of all directions together, in score. The first
#: says that nothing is to be corrected, and is believed as much as all others together before there is any evidence.
SCALES = ((0.0, 0.0), (0.05, 0.0), (0.2, 0.0), (0.6, 0.0), (0.2, 0.2), (0.6, 0.2), (0.6, 0.6))
_BELIEF = np.array([0.5, *[0.5 / (len(SCALES) - 1)] * (len(SCALES) - 1)])
#: Variance of one score around what is expected, before there is any evidence, and how many observations say so.
_NOISE, _NOISE_ROWS = 0.15, 10.0
#: Standard errors by which the last days must contradict those before.
_SURPRISE = 4.0
#: Fewer recent observations than this contradict nothing.
_LEAST = 5.0


@dataclass(frozen=True)
class Evidence:
    """Weighted sums over observations (x, y) of each expert.

    Attributes:
        gram: Σ w x xᵀ, (E, p, p).
        pull: Σ w y x, (E, p); the first of x is 1.
        squares: Σ w y², (E,).
        mass: Σ w, (E,).
    """

    gram: FloatArray
    pull: FloatArray
    squares: FloatArray
    mass: FloatArray

    @classmethod
    def empty(cls, experts: int, wide: int) -> "Evidence":
        """Return what no observation adds up to; x has `wide` numbers."""
        return cls(np.zeros((experts, wide, wide)), np.zeros((experts, wide)), np.zeros(experts), np.zeros(experts))

    @classmethod
    def of(
        cls, read: FloatArray, columns: IndexArray, residuals: FloatArray, weights: FloatArray, *, experts: int
    ) -> "Evidence":
        """Return what n observations add up to.

        Args:
            read: x, (n, p).
            columns: The expert of each, (n,).
            residuals: y, (n,).
            weights: w, (n,).
            experts: E.
        """
        found = cls.empty(experts, read.shape[1])
        for column in np.unique(columns):
            rows = columns == column
            x, y, w = read[rows], residuals[rows], weights[rows]
            found.gram[column] = (w[:, None] * x).T @ x
            found.pull[column] = (w * y) @ x
            found.squares[column] = w @ y**2
            found.mass[column] = w.sum()
        return found

    def __add__(self, other: "Evidence") -> "Evidence":
        return Evidence(
            self.gram + other.gram, self.pull + other.pull, self.squares + other.squares, self.mass + other.mass
        )

    def faded(self, days: float, half_life: float) -> "Evidence":
        """Return what is left after so many days."""
        kept = 0.5 ** (days / half_life)
        return Evidence(self.gram * kept, self.pull * kept, self.squares * kept, self.mass * kept)

    def where(self, chosen: npt.NDArray[np.bool_], other: "Evidence") -> "Evidence":
        """Return the other's for the chosen experts (E,), and this for the rest."""
        return Evidence(
            np.where(chosen[:, None, None], other.gram, self.gram),
            np.where(chosen[:, None], other.pull, self.pull),
            np.where(chosen, other.squares, self.squares),
            np.where(chosen, other.mass, self.mass),
        )

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the sums by name."""
        return {part.name: getattr(self, part.name) for part in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]], experts: int, wide: int) -> "Evidence":
        """Return the sums that `arrays` described.

        Raises:
            ValueError: they are no sums over observations of so many experts.
        """
        shapes = {"gram": (experts, wide, wide), "pull": (experts, wide), "squares": (experts,), "mass": (experts,)}
        parts = {name: arrays[name].astype(np.float64, copy=False) for name in shapes}
        if any(parts[name].shape != shape for name, shape in shapes.items()):
            raise ValueError("the evidence of the correction has other shapes than it should")
        if not all(np.isfinite(part).all() for part in parts.values()):
            raise ValueError("the evidence of the correction is not finite")
        gram = parts["gram"]
        if (parts["mass"] < 0.0).any() or (parts["squares"] < 0.0).any() or not np.allclose(gram, gram.swapaxes(1, 2)):
            raise ValueError("the evidence of the correction is not that of any observations")
        if (np.linalg.eigvalsh(gram) < -1e-6 * (1.0 + np.abs(gram).max())).any():
            raise ValueError("the evidence of the correction is not that of any observations")
        return cls(**parts)


def contradicts(recent: Evidence, whole: Evidence) -> npt.NDArray[np.bool_]:
    """Return whether the mean residual of the last days is not that of the days before, (E,)."""
    before = whole.mass - recent.mass  # what fades more slowly is never less
    known: npt.NDArray[np.bool_] = (recent.mass >= _LEAST) & (before >= _LEAST)
    now, then = np.where(known, recent.mass, 1.0), np.where(known, before, 1.0)
    moved = recent.pull[:, 0] / now - (whole.pull[:, 0] - recent.pull[:, 0]) / then
    noise = (whole.squares + _NOISE * _NOISE_ROWS) / (whole.mass + _NOISE_ROWS)
    return known & (np.abs(moved) > _SURPRISE * np.sqrt(noise * (1.0 / now + 1.0 / then)))


def posterior(evidence: Evidence) -> tuple[FloatArray, FloatArray]:
    """Return the mean (E, p) and the covariance (E, p, p) of the coefficients, averaged over `SCALES`."""
    experts, wide = evidence.pull.shape
    reach = np.array(SCALES)[:, [0] + [1] * (wide - 1)] / np.sqrt(_NOISE)  # (K, p), in units of the noise
    gram = reach[:, None, :, None] * evidence.gram * reach[:, None, None, :]
    inverse = np.tile(np.eye(wide), (len(SCALES), experts, 1, 1))  # of gram + 1, (K, E, p, p)
    inverse[:, :, 0, 0] = 1.0 / (1.0 + gram[:, :, 0, 0])
    logdet = np.log1p(gram[:, :, 0, 0])
    whole = reach[:, 1:].any(axis=1)  # the others know of a bias alone
    inverse[whole] = np.linalg.inv(gram[whole] + np.eye(wide))
    logdet[whole] = np.linalg.slogdet(gram[whole] + np.eye(wide))[1]
    pull = reach[:, None, :] * evidence.pull
    solved = (inverse @ pull[..., None])[..., 0]
    shape = (_NOISE_ROWS + evidence.mass) / 2.0
    rate = (_NOISE * _NOISE_ROWS + np.maximum(evidence.squares - (pull * solved).sum(axis=2), 0.0)) / 2.0
    log_evidence = np.log(_BELIEF)[:, None] - 0.5 * logdet - shape * np.log(rate)
    belief = np.exp(log_evidence - log_evidence.max(axis=0))
    belief /= belief.sum(axis=0)
    means = reach[:, None, :] * solved
    mean = np.einsum("ke,kep->ep", belief, means)
    noise = rate / (shape - 1.0)
    spread = np.einsum("ke,kp,kepq,kq->epq", belief * noise, reach, inverse, reach, optimize=True)
    off = means - mean
    spread += np.einsum("ke,kep,keq->epq", belief, off, off, optimize=True)
    return mean, spread.reshape(experts, wide, wide)
