import sqlite3
import threading
from dataclasses import replace

import pytest

from dataset_build import ConfigError, DataError
from mixture_training.src.decisions import Attempt
from mixture_training.src.feedback_store import Decision, FeedbackStore, feedback_path, new_id, now


def decision(**changes):
    made = Decision(
        id=new_id(),
        created=now(),
        instruction="What is 2 + 2?",
        expert="calculator",
        response="4",
        ranking=("calculator", "writer"),
        policy="quality",
        category="math",
        confidence=0.9,
        expected_score=0.8,
        cost=0.003,
        latency_s=0.1,
        attempts=(Attempt("writer", None, 0.1, "timeout: late"), Attempt("calculator", 0.002, 0.1, None)),
    )
    return replace(made, **changes)


@pytest.fixture
def store(tmp_path):
    with FeedbackStore(tmp_path / "new" / "f.sqlite3") as opened:
        yield opened


def test_a_decision_comes_back_as_it_was(store):
    first, second = decision(), decision(expert=None, response=None, category=None, confidence=None, attempts=())
    store.remember(first)
    store.remember(second)
    assert store.decision(first.id) == first
    assert store.decisions() == [first, second]


def test_a_lone_surrogate_is_stored_as_a_question_mark(store):
    odd = decision(instruction="a\ud800b")
    store.remember(odd)
    assert store.decision(odd.id).instruction == "a?b"


def test_repeated_feedback_on_the_same_answer_is_averaged(store):
    first, again, other = decision(), decision(cost=9.0), decision(instruction="Another")
    for each in (first, again, other):
        store.remember(each)
    store.record(first.id, 1.0, "right")
    store.record(first.id, 0.0)
    store.record(again.id, 0.5)
    store.record(other.id, 1.0)
    assert [(f.decision_id, f.score, f.comment) for f in store.feedback(first.id)] == [
        (first.id, 1.0, "right"),
        (first.id, 0.0, None),
    ]
    assert len(store.feedback()) == 4
    scored = store.scored_instructions()
    assert [(s.instruction, s.score, s.count) for s in scored] == [("What is 2 + 2?", 0.5, 3), ("Another", 1.0, 1)]
    assert scored[0].cost == pytest.approx(0.002)


def test_wrong_feedback_is_refused(store):
    silent = decision(expert=None, response=None)
    store.remember(silent)
    with pytest.raises(ConfigError, match="No decision 'nope'"):
        store.record("nope", 1.0)
    with pytest.raises(ConfigError, match="no response to judge"):
        store.record(silent.id, 1.0)
    for score in (1.5, -0.1, float("nan")):
        with pytest.raises(ConfigError, match=r"lies in \[0, 1\]"):
            store.record(silent.id, score)


def test_reopening_keeps_everything(tmp_path):
    path = tmp_path / "f.sqlite3"
    kept = decision()
    with FeedbackStore(path) as store:
        store.remember(kept)
    with FeedbackStore(path) as store:
        assert store.decision(kept.id) == kept


def test_a_newer_schema_is_refused(tmp_path):
    path = tmp_path / "f.sqlite3"
    FeedbackStore(path).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(DataError, match=r"schema version 99.*Upgrade moe-toolkit"):
        FeedbackStore(path)


def test_a_file_of_another_kind_is_refused(tmp_path):
    path = tmp_path / "f.sqlite3"
    path.write_text("this is not a database, but long enough to be read as one" * 50)
    with pytest.raises(DataError, match="is no feedback store"):
        FeedbackStore(path)


def test_an_impossible_place_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="Cannot open the feedback store"):
        FeedbackStore(tmp_path / "file" / "f.sqlite3")
    with pytest.raises(ConfigError, match="feedback store"):
        FeedbackStore(tmp_path)


def test_several_threads_and_connections_may_write_at_once(tmp_path):
    path = tmp_path / "f.sqlite3"

    with FeedbackStore(path) as one, FeedbackStore(path) as two:
        made = [decision() for _ in range(40)]
        halves = [(one, made[:10]), (one, made[10:20]), (two, made[20:30]), (two, made[30:])]
        threads = [
            threading.Thread(target=lambda s=s, d=d: [(s.remember(x), s.record(x.id, 1.0)) for x in d])
            for s, d in halves
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert {each.id for each in one.decisions()} == {each.id for each in made}
        assert len(two.feedback()) == 40


def test_the_file_lies_beside_the_router(tmp_path):
    assert feedback_path(tmp_path / "router") == tmp_path / "router.feedback.sqlite3"
