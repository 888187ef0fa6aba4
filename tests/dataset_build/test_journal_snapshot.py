"""Looking at a journal, also one that a build is writing to: nothing of it changes, and what is durable is there."""

import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from dataset_build.src.journal_file import JournalInUseError
from dataset_build.src.journal_snapshot import snapshot
from dataset_build.src.records import Response
from dataset_build.src.response_store import ResponseStore

ROOT = Path(__file__).resolve().parents[2]

#: Writes 30 responses, says so, and then as many as are asked for, without end where that is -1.
WRITER = """
import itertools, sys, time
from pathlib import Path
from dataset_build.src.records import Response
from dataset_build.src.response_store import ResponseStore
with ResponseStore(Path(sys.argv[1])) as store:
    store.expect_spent(5.0)
    for number in itertools.count():
        if number == 30:
            print("ready", flush=True)
            if sys.argv[2] == "waits":
                sys.stdin.read()
                break
        time.sleep(0.0005)
        store.put("request", Response(f"i{number}", "e", text="x" * 2000, cost=0.01))
"""


@contextmanager
def writing(path, how):
    """Another process that has the journal open."""
    command = [sys.executable, "-c", WRITER, str(path), how]
    writer = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert writer.stdout.readline() == "ready\n"
        yield
        assert writer.poll() is None
    finally:
        writer.kill()
        writer.communicate()


def test_a_journal_at_rest_is_copied(tmp_path):
    with ResponseStore(tmp_path / "journal.sqlite") as store:
        store.put("request", Response("i", "e", text="x"))
    snapshot(tmp_path / "journal.sqlite", tmp_path / "copy.sqlite")
    with ResponseStore(tmp_path / "copy.sqlite") as copy:
        assert len(copy) == 1


def test_a_journal_that_is_being_written_is_copied_and_left_as_it_is(tmp_path, caplog):
    path = tmp_path / "journal.sqlite"
    with writing(path, "waits"):
        files = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
        snapshot(path, tmp_path / "copy.sqlite")
        with ResponseStore(tmp_path / "copy.sqlite") as copy:  # what is in flight is not lost
            assert (len(copy), round(copy.spent_usd, 6)) == (30, 0.3)
        for name, content in files.items():
            assert (tmp_path / name).read_bytes() == content
        with pytest.raises(JournalInUseError):
            ResponseStore(path)
    assert not caplog.text


def test_copies_taken_while_a_build_writes_are_whole(tmp_path):
    before = 30
    with writing(tmp_path / "journal.sqlite", "goes on"):
        for number in range(10):
            target = tmp_path / f"copy{number}.sqlite"
            snapshot(tmp_path / "journal.sqlite", target)
            with ResponseStore(target) as copy:
                assert copy._connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
                ids = sorted(int(response.instruction_id[1:]) for _, response in copy.responses())
            assert ids == list(range(len(ids)))
            assert len(ids) >= before
            before = len(ids)
    assert before > 30


def test_who_writes_a_journal_itself_does_not_lose_its_lock_by_looking(tmp_path):
    with ResponseStore(tmp_path / "journal.sqlite"), pytest.raises(JournalInUseError):
        snapshot(tmp_path / "journal.sqlite", tmp_path / "copy.sqlite")
    assert not (tmp_path / "copy.sqlite").exists()
    snapshot(tmp_path / "journal.sqlite", tmp_path / "copy.sqlite")


def test_a_copy_of_a_file_that_changed_meanwhile_is_made_again(tmp_path, monkeypatch):
    path, copied = tmp_path / "journal.sqlite", []

    def copy(source, target):
        shutil.copyfile(source, target)
        copied.append(source.name)
        if len(copied) == 1:
            os.utime(path, ns=(1, 1))

    with writing(path, "waits"):
        monkeypatch.setattr("dataset_build.src.journal_snapshot.copyfile", copy)
        snapshot(path, tmp_path / "copy.sqlite")
    assert copied == ["journal.sqlite", "journal.sqlite-wal"] * 2
