import os
import shutil
import sqlite3
import subprocess
import sys
from itertools import repeat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dataset_build.src.errors import ConfigError, DataError
from dataset_build.src.experts.echo import EchoExpert
from dataset_build.src.instruction_store import InstructionStore
from dataset_build.src.journal_file import DiskFullError
from dataset_build.src.records import Instruction, Response
from dataset_build.src.response_store import ResponseStore, request_key, storable

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.sqlite"


@pytest.fixture(scope="module")
def shared_store(tmp_path_factory):
    with ResponseStore(tmp_path_factory.mktemp("shared") / "journal.sqlite") as store:
        yield store


@given(
    text=st.text(),
    name=st.text(max_size=5),
    cost=st.none() | st.floats(0, 1e6),
    tokens=st.none() | st.integers(0, 2**60),
)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_put_comes_back_with_only_lone_surrogates_replaced(shared_store, text, name, cost, tokens):
    shared_store.clear()
    shared_store.put("r", Response("i", storable(name), text=text, cost=cost, prompt_tokens=tokens, latency_s=0.5))
    (found,) = shared_store.of_instruction("i").values()
    assert found == Response("i", storable(name), text=storable(text), cost=cost, prompt_tokens=tokens, latency_s=0.5)


@given(st.text(st.characters(codec="utf-8")))
def test_valid_text_is_stored_as_it_is(text):
    assert storable(text) == text


@pytest.mark.parametrize(
    ("given_text", "stored"),
    [("a\ud800b", "a\ufffdb"), ("\x00", "\x00"), ("👩‍🚀", "👩‍🚀"), ("\ud83d\ude00", "😀"), ("", "")],
)
def test_odd_texts_survive_in_the_journal(path, given_text, stored):
    with ResponseStore(path) as store:
        store.put("r", Response("i", "e", text=given_text))
    with ResponseStore(path) as store:
        assert store.of_instruction("i")[("e", "r")].text == stored


def test_an_error_is_no_answer_is_replaced_by_one_and_never_replaces_one(path):
    with ResponseStore(path) as store:
        store.put("r", Response("i", "e", error="timeout: slow"))
        assert not store.is_answered("i", "e", "r")
        store.put("r", Response("i", "e", error="rate_limit: fast"))
        assert store.of_instruction("i")[("e", "r")].error_kind == "rate_limit"
        store.put("r", Response("i", "e", text="42", cost=1.0))
        store.put("r", Response("i", "e", error="timeout: slow"))
        store.put("r", Response("i", "e", text="43"))
        assert store.is_answered("i", "e", "r")
        assert store.of_instruction("i") == {("e", "r"): Response("i", "e", text="42", cost=1.0)}
        assert len(store) == 1


def test_another_request_of_the_same_expert_is_another_row(path):
    with ResponseStore(path) as store:
        store.put("r1", Response("i", "e", text="a"))
        assert not store.is_answered("i", "e", "r2")
        store.put("r2", Response("i", "e", text="b"))
        assert len(store) == 2


def test_the_request_is_the_fingerprint(path):
    expert = EchoExpert("echo")
    assert request_key(expert) == request_key(EchoExpert("other name"))
    expert.fingerprint = lambda: "another model"
    assert request_key(expert) != request_key(EchoExpert("echo"))


def test_a_second_builder_is_refused_in_one_line_and_the_lock_goes_with_its_holder(path):
    code = (
        "import sys; from pathlib import Path; from dataset_build.src.response_store import ResponseStore\n"
        "store = ResponseStore(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(ConfigError, match="Another build is writing to"):
            ResponseStore(path)
        holder.kill()
    with ResponseStore(path) as store:
        assert len(store) == 0


@pytest.mark.parametrize(
    "content", [b"not a database at all, just some bytes" * 40, b"SQLite format 3\x00" + b"\xff" * 4096]
)
def test_a_damaged_journal_is_said_clearly(path, content):
    path.write_bytes(content)
    with pytest.raises(DataError, match="damaged"):
        ResponseStore(path)


def damage(path, start, length):
    content = bytearray(path.read_bytes())
    content[start : start + length] = b"\x7f" * len(content[start : start + length])
    path.write_bytes(content)


def test_a_journal_damaged_in_the_middle_is_said_and_the_next_run_recovers_what_is_readable(path, caplog):
    with ResponseStore(path) as store:
        store.set_note("purpose", "kept")
        store.carry(("r", Response(f"i{n:03d}", "e", text="x" * 500)) for n in range(300))
    damage(path, path.stat().st_size // 2, 9000)
    with pytest.raises(DataError, match="run the same command again"), ResponseStore(path) as store:
        list(map(store.of_instruction, (f"i{n:03d}" for n in range(300))))
    with ResponseStore(path) as store:
        kept = [n for n in range(300) if store.is_answered(f"i{n:03d}", "e", "r")]
        assert 200 < len(kept) < 300
        assert {kept[0], kept[-1]} == {0, 299}  # rows before and after the damage
        assert store.note("purpose") == "kept"
        assert store.of_instruction("i000")["e", "r"].text == "x" * 500
    assert f"{len(kept)} finished responses were recovered" in caplog.text
    assert path.with_name(path.name + "-damaged").exists()
    with ResponseStore(path) as store:
        assert len(store) == len(kept)


def test_a_torn_last_record_is_dropped_with_a_warning_and_all_before_it_are_kept(path, caplog):
    code = (
        "import os, sys; from pathlib import Path; from dataset_build.src.records import Response\n"
        "from dataset_build.src.response_store import ResponseStore\n"
        "store = ResponseStore(Path(sys.argv[1]))\n"
        "for n in range(50): store.put('r', Response(f'i{n}', 'e', text='t'))\n"
        "os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], cwd=ROOT, check=False)
    log = path.with_name(path.name + "-wal")
    with log.open("r+b") as file:
        file.truncate(log.stat().st_size - 100)
    with ResponseStore(path) as store:
        assert len(store) == 49
        assert store.was_cut_off
    assert "49 finished responses are kept" in caplog.text


def test_a_journal_of_the_first_version_is_upgraded(path):
    with ResponseStore(path):
        pass
    connection = sqlite3.connect(path)
    new = ("cached_tokens", "reasoning_tokens", "first_token_s", "tokens_estimated", "samples", "spent", "asked")
    for name in new:
        connection.execute(f"ALTER TABLE responses DROP COLUMN {name}")
    connection.execute(
        "INSERT INTO responses (instruction_id, expert, request, text, cost) VALUES ('i', 'e', 'r', 'x', 2.5)"
    )
    connection.execute("PRAGMA user_version = 1")
    connection.commit()
    connection.close()
    with ResponseStore(path) as store:
        assert store.of_instruction("i")["e", "r"] == Response("i", "e", text="x", cost=2.5)
        assert store.spent_usd == 2.5


def test_what_was_spent_adds_up_over_failures_and_what_was_carried_over_counts_nothing(path):
    with ResponseStore(path) as store:
        store.put("r", Response("i", "e", error="timeout: slow", at_risk=0.5))
        store.put("r", Response("i", "e", text="x", cost=1.0, at_risk=0.25))
        store.carry([("r", Response("j", "e", text="x", cost=100.0))])
        store.put("r", Response("i", "e", text="twice", cost=2.0))
        assert store.spent_usd == 3.75
        assert store.of_instruction("i")["e", "r"].text == "x"


def test_a_full_disk_gives_up_the_reserve_so_that_what_is_finished_is_kept(tmp_path):
    if not shutil.which("mount") or os.geteuid() != 0:
        pytest.skip("needs root to mount a small file system")
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", small], check=False).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        with ResponseStore(small / "journal.sqlite") as store:
            count = 0
            while not store.is_disk_full:
                store.put("r", Response(f"i{count}", "e", text="x" * 20_000))
                count += 1
            for _ in range(20):  # calls that were in flight
                store.put("r", Response(f"i{count}", "e", text="x" * 20_000))
                count += 1
            assert all(store.is_answered(f"i{n}", "e", "r") for n in range(count))
            responses = (Response(f"i{n}", "e", text="x" * 20_000) for n in range(count, count + 1000))
            with pytest.raises(DiskFullError, match="Free some room"):
                list(map(store.put, repeat("r"), responses))
        subprocess.run(["mount", "-o", "remount,size=20m", small], check=True)
        with ResponseStore(small / "journal.sqlite") as store:
            assert len(store) >= count
    finally:
        subprocess.run(["umount", small], check=True)


def test_a_newer_journal_and_a_foreign_database_are_refused(tmp_path):
    with ResponseStore(tmp_path / "newer.sqlite"):
        pass
    for name, statement in (("newer.sqlite", "PRAGMA user_version = 99"), ("foreign.sqlite", "CREATE TABLE t (a)")):
        connection = sqlite3.connect(tmp_path / name)
        connection.execute(statement)
        connection.commit()
        connection.close()
    with pytest.raises(DataError, match="newer moe-toolkit"):
        ResponseStore(tmp_path / "newer.sqlite")
    with pytest.raises(DataError, match="no journal"):
        ResponseStore(tmp_path / "foreign.sqlite")


def test_a_journal_that_cannot_be_made_is_a_configuration_error(tmp_path):
    with pytest.raises(ConfigError, match="Cannot write"):
        ResponseStore(tmp_path / "absent" / "journal.sqlite")


def test_many_are_stored_all_or_none(path):
    def broken():
        yield "r", Response("i", "e", text="a")
        raise RuntimeError("source ended")

    with ResponseStore(path) as store:
        with pytest.raises(RuntimeError):
            store.carry(broken())
        assert len(store) == 0
        store.carry([("r", Response("i", "e", text="a"))])
        assert len(store) == 1


def test_notes_are_kept_and_struck_out_and_delete_leaves_nothing(path):
    with ResponseStore(path) as store:
        assert store.note("purpose") is None
        store.set_note("purpose", "x")
        store.set_note("purpose", "y")
        assert store.note("purpose") == "y"
        store.set_note("purpose", None)
        assert store.note("purpose") is None
        store.delete()
    assert list(path.parent.iterdir()) == []


def test_every_finished_response_survives_kill_9(path):
    code = (
        "import os, sys; from pathlib import Path; from dataset_build.src.records import Response\n"
        "from dataset_build.src.response_store import ResponseStore\n"
        "store = ResponseStore(Path(sys.argv[1]))\n"
        "for n in range(10**9): store.put('r', Response(f'i{n}', 'e', text='t')); print(n, flush=True)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(path)], cwd=ROOT, stdout=subprocess.PIPE) as writer:
        for _ in range(500):
            last = int(writer.stdout.readline())
        writer.kill()
        last = int(([last, *writer.stdout.read().split()])[-1])
    with ResponseStore(path) as store:
        assert len(store) >= last + 1
        assert all(store.is_answered(f"i{n}", "e", "r") for n in range(last + 1))


@pytest.mark.parametrize(
    "bad", [{"finish_reason": {"a": 1}}, {"cost": float("nan")}, {"prompt_tokens": 10**30}, {"samples": ({1},)}]
)
def test_a_response_that_cannot_be_stored_is_a_crash_and_takes_no_other_along(path, bad):
    with ResponseStore(path) as store:
        asked = [("r", Response(f"i{n}", "e", text="a", cost=1.0)) for n in range(5)]
        asked[2] = ("r", Response("i2", "e", text="a", **bad))
        store.put_all(asked)
        assert store.spent_usd == 4.0
        assert [store.is_answered(f"i{n}", "e", "r") for n in range(5)] == [True, True, False, True, True]
        assert store.of_instruction("i2")["e", "r"].error_kind == "crash"
    assert not path.with_name(path.name + "-suspect").exists()


def asked(*texts):
    return InstructionStore(Instruction(f"i{n}", text) for n, text in enumerate(texts))


def test_answers_to_a_text_that_was_changed_do_not_count_and_come_back_with_it(path, caplog):
    old, new = asked("first", "second", "third"), asked("first", "2nd", "third")
    with ResponseStore(path) as store:
        assert store.set_outdated_aside(old) == 0
        rows = [("r", Response(f"i{n}", "e", text=f"old {n}", cost=1.0)) for n in range(3)]
        store.put_all([*rows, ("r", Response("i1", "f", error="auth: no", at_risk=0.5))], old.text_keys(["i0", "i1"]))
    with ResponseStore(path) as store:
        assert store.set_outdated_aside(new) == 1
        assert store.answered_among(["i0", "i1", "i2"], "e", "r") == {"i0", "i2"}
        assert store.errors_among(["i1"], "f", "r") == store.of_instruction("i1") == {}
        assert store.spent_usd == 3.5
        store.put_all([("r", Response("i1", "e", text="new", cost=1.0))], new.text_keys(["i1"]))
        assert store.set_outdated_aside(new) == 0
    assert caplog.text.count("1 answers belong to instructions whose text has changed") == 1
    with ResponseStore(path) as store:
        store.set_outdated_aside(old)
        assert store.of_instruction("i1")["e", "r"].text == "old 1"
        assert store.of_instruction("i1")["f", "r"].error_kind == "auth"
        store.set_outdated_aside(new)
        assert store.of_instruction("i1")["e", "r"].text == "new"
        assert store.spent_usd == 4.5


def test_responses_of_an_older_journal_belong_to_the_texts_of_its_first_resumption(path):
    with ResponseStore(path) as store:
        store.put("r", Response("i0", "e", text="a"))
    with ResponseStore(path) as store:
        assert store.set_outdated_aside(asked("first")) == 0
        assert store.is_answered("i0", "e", "r")
        assert store.set_outdated_aside(asked("1st")) == 1
        assert not store.is_answered("i0", "e", "r")


def test_what_has_another_id_now_keeps_the_answers_to_its_text_and_nothing_is_spent_twice(path, caplog):
    old, new = (
        [Instruction(f"{n}", f"text {n}") for n in range(4)],
        [Instruction(f"new {n}", f"text {n}") for n in (1, 2)],
    )
    with ResponseStore(path) as store:
        keys = InstructionStore(old).text_keys([one.id for one in old])
        store.put_all([("r", Response(one.id, "e", text=f"to {one.id}", cost=1.0)) for one in old], keys)
        store.put("r", Response("new 2", "e", text="its own", cost=1.0))
        store.put("r", Response("unknown text", "e", text="x", cost=1.0))
        for _ in range(2):
            now = InstructionStore([old[0], *new])
            assert store.set_outdated_aside(now) == 0
            store.hand_on(now)
        found = {key: store.of_instruction(key).get(("e", "r")) for key in ("0", "1", "2", "3", "new 1", "new 2")}
        texts = {key: response.text for key, response in found.items() if response is not None}
        assert texts == {"0": "to 0", "3": "to 3", "new 1": "to 1", "new 2": "its own"}
        assert found["new 1"].cost == 1.0
        assert store.spent_usd == 6.0
        store.set_outdated_aside(InstructionStore(old))
        assert store.of_instruction("1")["e", "r"].text == "to 1"
    assert caplog.text.count("2 instructions have another id now") == 1
