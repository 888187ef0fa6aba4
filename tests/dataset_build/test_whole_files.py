"""Files that are seen whole or not at all."""

import hashlib
import os
from pathlib import Path

import pytest

from dataset_build.src.whole_files import sha256_of, write_atomically


def test_a_file_is_replaced_and_nothing_is_left_beside_it(tmp_path: Path):
    file = tmp_path / "a"
    for content in (b"first", b"second, longer", b""):
        write_atomically(file, content)
        assert file.read_bytes() == content
        assert sha256_of(file) == hashlib.sha256(content).hexdigest()
    assert os.listdir(tmp_path) == ["a"]
    assert file.stat().st_mode & 0o777 == 0o644


def test_where_the_rename_fails_the_old_file_stays_and_nothing_is_left_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    file = tmp_path / "a"
    write_atomically(file, b"old")

    def refuse(*_: object) -> None:
        raise OSError("no")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="no"):
        write_atomically(file, b"new")
    assert file.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"]
