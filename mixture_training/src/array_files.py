"""Arrays in npz files, none of which needs a pickle."""

import zipfile
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


def check_arrays(file: Path) -> None:
    """Raise unless reading every array of `file` takes about as much memory as the file takes on disk.

    `save_arrays` compresses nothing, so that a file whose arrays are larger than itself is not its work: a few
    kilobytes of zeros, compressed, can claim all memory there is.

    Raises:
        ValueError: an array is compressed, or the file is no archive.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError) as problem:
        raise ValueError(f"it is no archive of arrays: {problem}") from None
    if any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise ValueError("it holds compressed arrays, and is to hold them as they are")
    if sum(member.file_size for member in members) > file.stat().st_size:
        raise ValueError("it claims more than it holds")
