"""Arrays in files: what is written comes back, in the same bytes, and nothing is pickled."""

from pathlib import Path

import numpy as np
import pytest

from mixture_training.src.array_files import save_arrays


def test_arrays_come_back_and_the_bytes_are_the_same_each_time(tmp_path: Path):
    arrays = {"weights": np.arange(6.0).reshape(2, 3), "names": np.array(["a", "bb"]), "empty": np.empty((0, 3))}
    for name in ("one.npz", "two.npz"):
        save_arrays(tmp_path / name, arrays)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    with np.load(tmp_path / "one.npz", allow_pickle=False) as read:
        assert set(read.files) == set(arrays)
        for name, array in arrays.items():
            np.testing.assert_array_equal(read[name], array)


def test_what_only_a_pickle_could_keep_is_refused_and_nothing_is_written(tmp_path: Path):
    with pytest.raises(TypeError, match="labels holds Python objects"):
        save_arrays(tmp_path / "bad.npz", {"labels": np.array(["a", None], dtype=object)})
    assert not (tmp_path / "bad.npz").exists()
