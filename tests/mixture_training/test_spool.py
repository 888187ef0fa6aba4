import errno
import logging
import os
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset_build import ConfigError
from mixture_training.src.cli import main
from mixture_training.src.feedback_store import FeedbackStore, StoreUnavailableError
from mixture_training.src.storing import spool
from mixture_training.src.storing.rows import COLUMNS, FEATURES, to_row
from mixture_training.src.storing.spool import (
    REJECTED,
    DecisionWriter,
    drain_left_behind,
    forget_rejected,
    from_line,
    to_line,
)
from tests.mixture_training.store_worker import decision

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def store(store_place):
    with FeedbackStore(store_place) as opened:
        yield opened


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "spool"


class Away:
    """A store whose database can be switched off."""

    def __init__(self, store):
        self.path, self.place, self.keys = store.path, store.place, store.keys
        self.is_away, self.tries, self._store = True, 0, store

    def remember_rows(self, rows):
        self.tries += 1
        if self.is_away:
            raise StoreUnavailableError("The store is away.")
        self._store.remember_rows(rows)


def test_what_is_appended_arrives_as_it_was(store, folder):
    made = [decision() for _ in range(500)]
    with DecisionWriter(store, folder) as writer:
        for each in made:
            writer.append(each)
        assert writer.flush(30)
        assert writer.pending == 0
        assert store.decisions() == made
        (file,) = folder.glob("*.jsonl")
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(folder.iterdir()) == []


def test_decisions_arrive_without_being_asked_for(store, folder):
    with DecisionWriter(store, folder) as writer:
        for _ in range(3):  # also after it was idle
            writer.append(decision())
            until = time.monotonic() + 20
            while writer.pending and time.monotonic() < until:
                time.sleep(0.005)
            assert writer.pending == 0
    assert store.counts().decisions == 3


def test_several_threads_append_at_once(store, folder, monkeypatch):
    monkeypatch.setattr(spool, "SEGMENT_BYTES", 20_000)  # so that files follow each other as well
    made = [decision() for _ in range(600)]
    with DecisionWriter(store, folder) as writer:
        threads = [
            threading.Thread(target=lambda part=made[n::4]: [writer.append(each) for each in part]) for n in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert {each.id for each in store.decisions()} == {each.id for each in made}
    assert list(folder.iterdir()) == []


def test_nothing_is_lost_while_the_database_is_away(tmp_path, folder, caplog):
    with FeedbackStore(tmp_path / "f.sqlite3") as store:
        away, made = Away(store), [decision() for _ in range(50)]
        with DecisionWriter(away, folder) as writer:
            for each in made:
                writer.append(each)
            assert not writer.flush(0.3)
            assert (writer.pending, writer.is_away) == (50, True)
            assert away.tries > 1
            away.is_away = False
            assert writer.flush(30)
        assert store.decisions() == made
    assert [record.message for record in caplog.records if "wait in" in record.message] == [
        f"decisions wait in {folder}: The store is away."
    ]


def test_a_writer_that_ends_while_the_database_is_away_leaves_its_file_to_the_next(tmp_path, folder):
    with FeedbackStore(tmp_path / "f.sqlite3") as store:
        made = [decision(key_id="k") for _ in range(3)]
        writer = DecisionWriter(Away(store), folder)
        for each in made:
            writer.append(each)
        assert not writer.close(0.2)
        with pytest.raises(ConfigError, match="closed"):
            writer.append(decision())
        assert drain_left_behind(store, folder) == 3
        assert store.decisions() == made
        assert drain_left_behind(store, folder) == 0
    assert list(folder.iterdir()) == []


def test_the_file_of_a_living_process_is_left_to_it(tmp_path, folder):
    with FeedbackStore(tmp_path / "f.sqlite3") as store:
        writer = DecisionWriter(Away(store), folder)
        writer.append(decision())
        assert drain_left_behind(store, folder) == 0
        assert len(list(folder.glob("*.jsonl"))) == 1
        writer.close(0.0)


def test_a_torn_end_and_a_damaged_line_cost_nothing_else(tmp_path, folder, caplog):
    made = [decision() for _ in range(3)]
    lines = [to_line(to_row(each)) for each in made]
    folder.mkdir()
    damaged = lines[1].replace(b"calculator", b"cAlculator", 1)
    (folder / "1-dead.jsonl").write_bytes(lines[0] + damaged + lines[2] + to_line(to_row(decision()))[:50])
    with FeedbackStore(tmp_path / "f.sqlite3") as store:
        with DecisionWriter(store, folder) as writer:
            while list(folder.glob("1-*")):
                writer.flush()
                time.sleep(0.01)
        assert store.decisions() == [made[0], made[2]]
    assert (folder / REJECTED).read_bytes() == damaged
    assert "is damaged" in caplog.text


def test_one_line_that_the_database_refuses_is_put_aside_and_the_others_arrive(tmp_path, folder):
    with FeedbackStore(tmp_path / "f.sqlite3") as store:
        bad = to_line([*to_row(decision())[:5], None, *to_row(decision())[6:]])
        good = [decision() for _ in range(20)]
        folder.mkdir()
        lines = [to_line(to_row(each)) for each in good]
        (folder / "1-dead.jsonl").write_bytes(b"".join([*lines[:7], bad, *lines[7:]]))
        assert drain_left_behind(store, folder) == 21
        assert {each.id for each in store.decisions()} == {each.id for each in good}
    assert (folder / REJECTED).read_bytes() == bad


def test_what_was_put_aside_is_forgotten_with_its_user_or_its_day(folder):
    folder.mkdir()
    assert forget_rejected(folder, user="ann") == 0
    old, new = "2026-01-01T00:00:00.000+00:00", "2026-02-01T00:00:00.000+00:00"
    rows = [decision(user="ann", created=new), decision(user="bob", created=old), decision(user="bob", created=new)]
    lines = [to_line(to_row(each)) for each in rows]
    put_aside = folder / REJECTED
    put_aside.write_bytes(b"".join(lines) + b"damaged\n")
    assert forget_rejected(folder, user="ann") == 2
    assert put_aside.read_bytes() == lines[1] + lines[2]
    assert forget_rejected(folder, before="2026-01-15T00:00:00.000+00:00") == 1
    assert put_aside.read_bytes() == lines[2]
    assert forget_rejected(folder, user="cid") == 0


def test_forgetting_by_the_command_reaches_what_was_put_aside(tmp_path, capsys):
    place = tmp_path / "f.sqlite3"
    with FeedbackStore(place) as store:
        hashed = store.user_hash("ann")
    put_aside = tmp_path / "f.sqlite3.spool" / REJECTED
    put_aside.parent.mkdir()
    put_aside.write_bytes(to_line(to_row(decision(user=hashed))) + to_line(to_row(decision(user="other"))))
    assert main(["forget", "ann", "--feedback", str(place)]) == 0
    assert "Forgot 1 " in capsys.readouterr().out
    assert len(put_aside.read_bytes().splitlines()) == 1


def test_a_full_disk_is_counted_said_once_and_leaves_no_half_line(tmp_path, folder, monkeypatch, caplog):
    with FeedbackStore(tmp_path / "f.sqlite3") as store:
        away = Away(store)
        writer = DecisionWriter(away, folder)
        first, last = decision(), decision()
        writer.append(first)
        write = os.write

        def half(descriptor, data):
            monkeypatch.setattr(spool.os, "write", nothing)
            return write(descriptor, data[:40])

        def nothing(descriptor, data):
            raise OSError(errno.ENOSPC, "No space left on device")

        for _ in range(3):
            monkeypatch.setattr(spool.os, "write", half)
            with pytest.raises(StoreUnavailableError, match=r"No space left.*Make room"):
                writer.append(decision())
        monkeypatch.setattr(spool.os, "write", write)
        writer.append(last)
        assert (writer.lost, writer.pending) == (3, 2)
        away.is_away = False
        assert writer.close(30)
        assert store.decisions() == [first, last]
    assert len([each for each in caplog.records if each.levelno == logging.ERROR]) == 1


def test_a_folder_that_cannot_be_is_refused(tmp_path, postgres):
    (tmp_path / "file").touch()
    with FeedbackStore(tmp_path / "f.sqlite3") as store:
        with pytest.raises(ConfigError, match="Cannot write the spool"):
            DecisionWriter(store, tmp_path / "file" / "spool")
        DecisionWriter(store).close()
        assert (tmp_path / "f.sqlite3.spool").is_dir()
    with FeedbackStore(postgres.new_database()) as store, pytest.raises(ConfigError, match="Say where"):
        DecisionWriter(store)


def test_a_killed_process_loses_nothing_that_it_had_appended(store_place, folder):
    FeedbackStore(store_place).close()
    for _ in range(3):
        command = [sys.executable, "-m", "tests.mixture_training.store_worker", store_place, folder, "k", "0", ""]
        run = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
        told = [run.stdout.readline() for _ in range(300)]
        run.kill()
        told += run.stdout.readlines()
        run.stdout.close()
        run.wait()
        ids = {line.decode().strip() for line in told if line.endswith(b"\n")}
        with FeedbackStore(store_place) as store:
            drain_left_behind(store, folder)
            kept = {each.id for each in store.decisions()}
        assert len(ids) >= 300
        assert ids <= kept
    assert list(folder.glob("*.jsonl")) == []


@given(st.binary(max_size=40), st.text(max_size=20))
def test_a_line_is_one_line_and_comes_back(features, text):
    row = to_row(decision(features=features, instruction=text))
    line = to_line(row)
    assert line.count(b"\n") == 1
    assert tuple(from_line(line)) == row


@given(st.data())
def test_a_changed_line_is_noticed(data):
    line = bytearray(to_line(to_row(decision(features=b"1234"))))
    place = data.draw(st.integers(0, len(line) - 2))
    line[place] ^= data.draw(st.integers(1, 255))
    changed = from_line(bytes(line))
    assert changed is None or place < 8  # upper and lower case of a hex digit are the same
    assert from_line(b"") is None
    assert from_line(b"00000000 []\n") is None
    assert COLUMNS[FEATURES] == "features"


@pytest.mark.slow
def test_appending_takes_microseconds(tmp_path):
    with FeedbackStore(tmp_path / "f.sqlite3") as store, DecisionWriter(store) as writer:
        taken = []
        for _ in range(2000):
            made = decision()
            started = time.perf_counter()
            writer.append(made)
            taken.append(time.perf_counter() - started)
        assert sorted(taken)[1000] < 0.001  # measured: about 20 µs with ten experts' receipts; the machine may be busy
