import logging
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mixture_training.src.encoders.base import Encoder
from mixture_training.src.encoders.cache import VectorStore, encode_cached
from mixture_training.src.encoders.combined import CombinedEncoder

TEXTS = ["one", "two", "", "two", "数学", "\ud800", "x" * 30_000]


class Counting(Encoder):
    """Letters as numbers, remembering what it was asked."""

    kind = "counting"
    seconds_per_text = 1.0

    def __init__(self, name="counting", fails_at=None):
        self.name = name
        self.asked = []
        self.fails_at = fails_at

    def fingerprint(self):
        return self.name

    def encode(self, texts):
        if self.fails_at in texts:
            raise KeyboardInterrupt
        self.asked += texts
        rows = [[len(text) / 3, sum(map(ord, text)) / 7, -0.1] for text in texts]
        return np.array(rows, dtype=np.float32).reshape(len(texts), 3)

    def save(self, folder):
        return {}

    @classmethod
    def load(cls, folder, state):
        return cls()


@pytest.fixture
def file(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("MOE_TOOLKIT_CACHE", str(tmp_path))
    return tmp_path / "vectors" / "counting.sqlite"


def test_what_was_encoded_is_not_encoded_again_and_has_the_very_same_bytes(file):
    plain = Counting().encode(TEXTS)
    first, second, third = Counting(), Counting(), Counting()
    assert encode_cached(first, TEXTS).tobytes() == plain.tobytes()
    assert first.asked == ["one", "two", "", "数学", "\ud800", "x" * 30_000]
    assert encode_cached(second, TEXTS).tobytes() == plain.tobytes()
    assert second.asked == []
    assert encode_cached(third, ["new", "two"]).tobytes() == Counting().encode(["new", "two"]).tobytes()
    assert third.asked == ["new"]


def test_each_encoder_has_its_own_vectors(file):
    encode_cached(Counting(), ["a"])
    other = Counting("other")
    encode_cached(other, ["a"])
    assert other.asked == ["a"]


def test_no_text_and_no_fingerprint_leave_the_cache_alone(file):
    assert encode_cached(Counting(), []).shape == (0, 3)
    assert encode_cached(Counting(None), ["a"]).shape == (1, 3)
    assert not file.parent.exists()


def test_the_parts_of_a_combination_are_cached_each(file):
    left, right = Counting(), Counting("right")
    both = CombinedEncoder([left, right])
    np.testing.assert_array_equal(encode_cached(both, ["a", "b"]), both.encode(["a", "b"]))
    encode_cached(Counting(), ["a", "b"])
    again = Counting("right")
    encode_cached(again, ["b", "a", "c"])
    assert again.asked == ["c"]


def test_an_interrupt_keeps_the_pages_that_were_done(file):
    texts = [f"text {number}" for number in range(1200)]
    with pytest.raises(KeyboardInterrupt):
        encode_cached(Counting(fails_at="text 1100"), texts)
    rest = Counting()
    encode_cached(rest, texts)
    assert rest.asked == texts[1000:]


@pytest.mark.parametrize("place", ["start", "middle"])
def test_a_damaged_file_costs_time_only_and_is_replaced(file, place, caplog):
    texts = [f"text {number}" for number in range(3000)]
    plain = encode_cached(Counting(), texts)
    content = bytearray(file.read_bytes())
    start = 0 if place == "start" else len(content) // 2
    content[start : start + 20_000] = os.urandom(20_000)
    file.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        np.testing.assert_array_equal(encode_cached(Counting(), texts), plain)
        assert "damaged" in caplog.text
    again = Counting()
    np.testing.assert_array_equal(encode_cached(again, texts), plain)
    assert again.asked == []


def test_a_vector_with_a_changed_bit_is_encoded_again(file):
    encode_cached(Counting(), ["a", "b"])
    with sqlite3.connect(file) as store:
        store.execute("UPDATE vectors SET vector = zeroblob(16)")
    store.close()
    again = Counting()
    np.testing.assert_array_equal(encode_cached(again, ["a", "b"]), Counting().encode(["a", "b"]))
    assert again.asked == ["a", "b"]


def test_a_cache_that_cannot_be_written_is_a_warning(tmp_path, monkeypatch, caplog):
    (tmp_path / "taken").write_text("a file where a folder should be")
    monkeypatch.setenv("MOE_TOOLKIT_CACHE", str(tmp_path / "taken"))
    with caplog.at_level(logging.WARNING):
        assert encode_cached(Counting(), ["a", "b"]).shape == (2, 3)
    assert len([line for line in caplog.messages if "not cached" in line]) == 1


def test_the_files_used_longest_ago_go_first_when_there_are_too_many(tmp_path):
    for age, name in enumerate(["newest", "middle", "oldest"]):
        (tmp_path / f"{name}.sqlite").write_bytes(b"x" * 1000)
        os.utime(tmp_path / f"{name}.sqlite", ns=(0, 10**18 - age * 10**9))
    VectorStore(tmp_path / "mine.sqlite", most_bytes=2500).read([b"key"])
    assert sorted(path.name for path in tmp_path.glob("*.sqlite")) == ["middle.sqlite", "mine.sqlite", "newest.sqlite"]


def test_a_file_too_large_by_itself_is_begun_anew(tmp_path):
    store = VectorStore(tmp_path / "mine.sqlite", most_bytes=10)
    store.write({b"key": np.ones(3, dtype=np.float32)})
    assert list(store.read([b"key"])) == [b"key"]
    store.close()
    assert VectorStore(tmp_path / "mine.sqlite", most_bytes=10).read([b"key"]) == {}


CODE = """
import sys, time
sys.path.insert(0, sys.argv[1])
from test_encoders_cache import Counting, encode_cached
texts = [f"text {number}" for number in range(3000)][:: int(sys.argv[2])]
sys.stdout.write("ready\\n")
sys.stdout.flush()
sys.stdin.readline()
assert encode_cached(Counting(), texts).tobytes() == Counting().encode(texts).tobytes()
"""


def test_several_processes_can_fill_it_at_once(file):
    command = [sys.executable, "-c", CODE, str(Path(__file__).parent)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen([*command, order], **pipes) for order in ("1", "-1", "1")]
    assert [process.stdout.readline() for process in processes] == ["ready\n"] * 3
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        assert process.communicate(timeout=60) == ("", "")  # no "not cached" among it
        assert process.returncode == 0
    again = Counting()
    encode_cached(again, [f"text {number}" for number in range(3000)])
    assert again.asked == []
