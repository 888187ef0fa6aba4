"""Arrays in npz files, none of which needs a pickle."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt


def save_arrays(file: Path, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write arrays by name, the same bytes for the same arrays.

    Raises:
        TypeError: one holds Python objects, which NumPy would pickle.
    """
    for name, array in arrays.items():
        if array.dtype.hasobject:
            raise TypeError(f"{name} holds Python objects, which only a pickle could keep")
    np.savez(file, **arrays)  # type: ignore[arg-type]  # its stub takes every name for its own flag
