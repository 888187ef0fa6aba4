import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from mixture_training.src.cli import main
from mixture_training.src.decisions import Attempt, Decision, new_id, now
from mixture_training.src.feedback_store import FeedbackStore
from mixture_training.src.storing.spool import DecisionWriter

SECRETS = ("my-very-private-question", "the-answer-about-me", "what-bob-says", "correct-secret", "quoted-by-endpoint")


def decision(**changes):
    made = Decision(
        id=new_id(),
        created=now(),
        instruction=SECRETS[0] * 400,
        expert="poet",
        response=SECRETS[1] * 40,
        ranking=("poet",),
        policy="quality",
        category="poems",
        confidence=0.9,
        expected_score=0.8,
        cost=0.25,
        latency_s=0.1,
        attempts=(Attempt("adder", None, 0.1, f"http: {SECRETS[4]}"), Attempt("poet", 0.25, 0.1, None)),
        features=b"features-of-ann",
        features_hash="hash-of-features",
        receipt={"nearest": [SECRETS[0]]},
        session="session-of-ann",
        propensities={"poet": 1.0},
    )
    return replace(made, **changes)


@pytest.fixture
def store(store_place):
    with FeedbackStore(store_place) as opened:
        yield opened


def _of_bob(bob):
    return decision(
        user=bob,
        instruction="of bob",
        response="to bob",
        receipt={},
        features=b"features-of-bob",
        features_hash=None,
        session="session-of-bob",
        attempts=(Attempt("poet", 0.25, 0.1, None),),
    )


def fill(store):
    """Remember 30 decisions of ann, 30 of bob, and what each said about the other's."""
    key, _ = store.keys.add("k")
    ann, bob = store.user_hash("ann"), store.user_hash("bob")
    of_ann = [decision(user=ann, key_id=key.id) for _ in range(30)]
    of_bob = [_of_bob(bob) for _ in range(30)]
    store.remember_all([each for pair in zip(of_ann, of_bob, strict=True) for each in pair])
    store.record(of_ann[0].id, 0.5, SECRETS[2], user="bob")
    store.correct(of_bob[0].id, SECRETS[3], keep_text=True, user="ann", event="event-of-ann")
    store.record(of_bob[1].id, 1.0, "bob on bob", user="bob")
    return key, of_ann, of_bob


def test_forgetting_a_user_keeps_what_it_cost_and_nothing_else(store):
    key, of_ann, of_bob = fill(store)
    before = store.traffic()
    assert store.forget_user("ann") == 32
    for each in of_ann:
        kept = store.decision(each.id)
        assert kept == replace(
            each, instruction=None, response=None, features=None, features_hash=None, receipt={}, session=None,
            user=None, key_id=None, attempts=(replace(each.attempts[0], error="http"), each.attempts[1]),
        )  # fmt: skip
    assert [store.decision(each.id) for each in of_bob] == of_bob
    on_ann, by_ann, bob = store.feedback()
    assert (on_ann.score, on_ann.comment, on_ann.user) == (0.5, None, None)
    assert (by_ann.score, by_ann.correction, by_ann.user) == (0.0, None, None)
    assert "event-of-ann" not in by_ann.event
    assert (bob.comment, bob.user) == ("bob on bob", store.user_hash("bob"))
    assert store.traffic() == before
    assert store.spent(key.id) == pytest.approx(7.5)
    assert store.forget_user("ann") == 0


def test_what_is_forgotten_leaves_no_byte_in_the_file(tmp_path):
    path = tmp_path / "f.sqlite3"
    with FeedbackStore(path) as store, FeedbackStore(path) as another:
        with DecisionWriter(store) as writer:
            for _ in range(30):
                writer.append(decision(user=store.user_hash("ann")))
        fill(store)
        another.decisions()  # a connection that stays open
        assert all(text.encode() in everything(tmp_path) for text in SECRETS)
        store.forget_user("ann")
        found = everything(tmp_path)
        wanted = [*SECRETS, "features-of-ann", "hash-of-features", "session-of-ann", "event-of-ann"]
        assert [text for text in wanted if text.encode() in found] == []
        assert store.user_hash("ann").encode() not in found
        assert b"bob on bob" in found
        assert b"features-of-bob" in found


def test_what_is_too_old_leaves_no_byte_either(tmp_path):
    with FeedbackStore(tmp_path / "f.sqlite3") as store:
        fill(store)
        store.forget_before("2100-01-01")
        assert [text for text in SECRETS if text.encode() in everything(tmp_path)] == []


def everything(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def test_the_file_becomes_smaller(tmp_path):
    with FeedbackStore(tmp_path / "f.sqlite3") as store:
        fill(store)
        store.forget_before("2000-01-01")
        assert store.compact()
        size = (tmp_path / "f.sqlite3").stat().st_size
        store.forget_user("ann")
        assert (tmp_path / "f.sqlite3").stat().st_size < size / 2


def test_the_past_is_forgotten_with_its_judgements_and_its_spending_kept(store):
    key, _ = store.keys.add("k")
    old = [decision(created="2025-12-31T23:59:59.999+00:00", key_id=key.id) for _ in range(3)]
    new = [decision(created="2026-01-01T00:00:00.000+00:00", key_id=key.id) for _ in range(2)]
    store.remember_all(old + new)
    for each in (*old, *new):
        store.record(each.id, 1.0)
    store.prefer(new[0].id, old[0].id)
    before = store.traffic()
    assert store.forget_before("2026-01-01") == 3
    assert store.decisions() == new
    assert [each.decision_id for each in store.feedback()] == [each.id for each in new]
    assert store.traffic() == before
    assert store.spent(key.id) == pytest.approx(1.25)
    assert store.forget_before("2026-01-01") == 0


def test_more_than_one_transaction_holds_is_forgotten(tmp_path, monkeypatch):
    from mixture_training.src.storing import forgetting

    monkeypatch.setattr(forgetting, "_AT_ONCE", 7)
    with FeedbackStore(tmp_path / "f.sqlite3") as store:
        store.remember_all([decision(created="2025-01-01T00:00:00.000+00:00") for _ in range(30)])
        assert store.forget_before("2026-01-01") == 30
        assert store.counts().decisions == 0


def test_the_command_forgets_what_a_killed_server_left_behind_as_well(tmp_path, capsys):
    router = tmp_path / "router"
    path = tmp_path / "router.feedback.sqlite3"
    with FeedbackStore(path) as store:
        user = store.user_hash("ann")
        store.remember(decision(user=user))
        folder = tmp_path / "router.feedback.sqlite3.spool"
        folder.mkdir()
        from mixture_training.src.storing.rows import to_row
        from mixture_training.src.storing.spool import to_line

        (folder / "1-dead.jsonl").write_bytes(to_line(to_row(decision(user=user))))
    assert main(["forget", "ann", "--router", str(router)]) == 0
    assert "Forgot 2 decisions" in capsys.readouterr().out
    assert SECRETS[0].encode() not in everything(tmp_path)
    assert main(["forget", "--before", "2100-01-01", "--feedback", str(path)]) == 0
    assert "Forgot 2 decisions made before 2100-01-01" in capsys.readouterr().out
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT count(*) FROM decisions").fetchone()[0] == 0
    connection.close()


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("forget ann", "Give --router"),
        ("forget --feedback {path}", "Say whom to forget"),
        ("forget ann --before 2026-01-01 --feedback {path}", "and not both"),
        ("forget --before soon --feedback {path}", "no moment"),
        ("forget ann --feedback nowhere.sqlite3", "No decisions in nowhere.sqlite3"),
    ],
)
def test_wrong_commands_are_explained(line, says, tmp_path, capsys):
    path = tmp_path / "f.sqlite3"
    FeedbackStore(path).close()
    assert main([part.format(path=path) for part in line.split()]) == 2
    assert says in capsys.readouterr().err


def test_feedback_on_the_command_line_may_be_a_preference_or_a_correction(tmp_path, capsys):
    path = tmp_path / "f.sqlite3"
    with FeedbackStore(path) as store:
        better, worse = decision(), decision(instruction=None, response=None)
        store.remember_all([better, worse])
    command = ["feedback", "--feedback", f"sqlite:///{path}", "--user", "ann"]
    assert main([*command, better.id, "--preferred_to", worse.id]) == 0
    assert main([*command, worse.id, "--correction", "It is 4.", "--keep_texts"]) == 0
    assert main([*command, worse.id, "--correction", "It is 5."]) == 0
    out = capsys.readouterr().out
    assert f"preferred to decision {worse.id}" in out
    assert f"poet corrected on decision {worse.id} (3 judgements so far)" in out
    with FeedbackStore(path) as store:
        given = store.feedback()
        assert [each.correction for each in given] == [None, "It is 4.", None]
        assert {each.user for each in given} == {store.user_hash("ann")}
