"""Adam (Kingma and Ba, 2015) with decoupled weight decay (Loshchilov and Hutter, 2019), in numpy."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

_FIRST, _SECOND, _TINY = 0.9, 0.999, 1e-8


class Adam:
    """Moves arrays, in place, against their derivatives.

    Args:
        arrays: To move.
        rate: Length of a step.
        decay: Share of `rate` by which arrays of two dimensions shrink at each step.
    """

    def __init__(self, arrays: Sequence[npt.NDArray[np.floating]], rate: float, decay: float = 0.0) -> None:
        self._arrays = arrays
        self._rate = rate
        self._decay = decay
        self._steps = 0
        self._means = [np.zeros_like(array) for array in arrays]
        self._squares = [np.zeros_like(array) for array in arrays]

    def step(self, derivatives: Sequence[npt.NDArray[np.floating]]) -> None:
        """Take one step; a derivative per array."""
        self._steps += 1
        length = self._rate * np.sqrt(1 - _SECOND**self._steps) / (1 - _FIRST**self._steps)
        parts = zip(self._arrays, derivatives, self._means, self._squares, strict=True)
        for array, derivative, mean, square in parts:
            mean += (1 - _FIRST) * (derivative - mean)
            square += (1 - _SECOND) * (derivative**2 - square)
            if array.ndim == 2:
                array *= 1 - self._rate * self._decay
            array -= (length * mean / (np.sqrt(square) + _TINY)).astype(array.dtype)
