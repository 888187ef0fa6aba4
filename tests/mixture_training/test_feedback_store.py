import math
import sqlite3
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

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
def store(store_place):
    with FeedbackStore(store_place) as opened:
        yield opened


#: What no database can hold is replaced on the way, which `test_what_no_database_holds_is_replaced` is about.
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
numbers = st.floats(allow_nan=False, allow_infinity=False)
shares = st.floats(0, 1)
maybe_texts = st.none() | texts
attempts = st.builds(
    Attempt,
    expert=texts,
    cost=st.none() | st.floats(0, 100),
    latency_s=shares,
    error=maybe_texts,
    started_s=shares,
    first_token_s=st.none() | shares,
    prompt_tokens=st.none() | st.integers(0, 10**6),
    completion_tokens=st.none() | st.integers(0, 10**6),
    cached_tokens=st.none() | st.integers(0, 10**6),
    is_hedge=st.booleans(),
)
decisions = st.builds(
    Decision,
    id=st.builds(new_id),
    created=st.builds(now),
    instruction=maybe_texts,
    expert=maybe_texts,
    response=maybe_texts,
    ranking=st.lists(texts, max_size=3).map(tuple),
    policy=texts,
    category=maybe_texts,
    confidence=st.none() | shares,
    expected_score=shares,
    cost=st.floats(0, 1e6),
    latency_s=st.floats(0, 1e6),
    attempts=st.lists(attempts, max_size=3).map(tuple),
    outcome=st.sampled_from(["answered", "failed", "cancelled"]),
    router_version=texts,
    features_hash=st.none() | st.just("0123456789abcdef"),
    features=st.none() | st.binary(max_size=30),
    propensities=st.dictionaries(texts, shares, max_size=3),
    receipt=st.dictionaries(texts, st.none() | numbers | texts | st.lists(shares, max_size=2), max_size=3),
    session=maybe_texts,
    user=maybe_texts,
    key_id=st.none() | st.just("key-of-nobody"),
)


def test_a_decision_comes_back_as_it_was(store):
    first, second = decision(), decision(expert=None, response=None, category=None, confidence=None, attempts=())
    store.remember(first)
    store.remember(second)
    assert store.decision(first.id) == first
    assert store.decisions() == [first, second]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(made=st.lists(decisions, max_size=5))
def test_any_decision_comes_back_as_it_was(store, made):
    store.remember_all(made)
    assert [store.decision(each.id) for each in made] == made


def test_what_no_database_holds_is_replaced(store):
    odd = decision(
        instruction="a\ud800b", response="nul\0", cost=math.nan, expected_score=math.nan, receipt={"\ud800": math.inf}
    )
    store.remember(odd)
    kept = store.decision(odd.id)
    assert (kept.instruction, kept.response, kept.cost) == ("a?b", "nul\ufffd", 0.0)
    assert math.isnan(kept.expected_score)
    assert kept.receipt == {"\ud800": math.inf}


def test_a_decision_that_is_remembered_again_stays_as_it_was_and_counts_once(store):
    key, _ = store.keys.add("k")
    first = decision(key_id=key.id)
    store.remember_all([first, first])
    store.remember(replace(first, cost=5.0))
    assert store.decisions() == [first]
    assert store.spent(key.id) == pytest.approx(0.003)
    assert [(t.expert, t.calls, t.failures) for t in store.traffic()] == [("calculator", 1, 0), ("writer", 1, 1)]


def test_a_preference_is_one_for_the_better_and_nothing_for_the_worse(store):
    better, worse = decision(instruction="one", features=b"12"), decision(instruction="two", expert="writer")
    store.remember_all([better, worse])
    given_ = store.prefer(better.id, worse.id, "clearer", user="ann")
    assert (given_.kind, given_.score, given_.preferred_to) == ("preference", None, worse.id)
    assert [(j.decision, j.score, j.feedback) for j in store.judged()] == [
        (better, 1.0, given_),
        (worse, 0.0, given_),
    ]
    assert [(s.instruction, s.expert, s.score) for s in store.scored_instructions()] == [
        ("one", "calculator", 1.0),
        ("two", "writer", 0.0),
    ]
    with pytest.raises(ConfigError, match="between two decisions"):
        store.prefer(better.id, better.id)


def test_a_correction_scores_nothing_and_is_kept_only_where_texts_are(store):
    about = decision()
    store.remember(about)
    assert store.correct(about.id, "It is 4.").correction is None
    kept = store.correct(about.id, "It is 4.", keep_text=True)
    assert (kept.kind, kept.score, kept.correction) == ("correction", 0.0, "It is 4.")
    assert [each.score for each in store.judged()] == [0.0, 0.0]
    with pytest.raises(ConfigError, match="empty"):
        store.correct(about.id, " ")


def test_the_same_event_counts_once_and_only_for_its_decision(store):
    first, second = decision(), decision()
    store.remember_all([first, second])
    once = store.record(first.id, 1.0, event="e1", user="ann")
    assert store.record(first.id, 0.0, event="e1", user="bob") == once
    store.record(second.id, 0.5, event="e1")
    assert [each.score for each in store.feedback()] == [1.0, 0.5]
    assert sum(each.judgements for each in store.traffic()) == 2


def test_users_are_hashed_with_the_salt_of_their_store(store, tmp_path):
    about = decision(user=store.user_hash("ann"))
    store.remember(about)
    assert store.record(about.id, 1.0, user="ann").user == about.user != "ann"
    with FeedbackStore(tmp_path / "other.sqlite3") as other:
        assert other.user_hash("ann") != store.user_hash("ann")


def test_a_key_knows_only_its_own_decisions(store):
    mine, theirs = decision(key_id="key-1"), decision(key_id="key-2")
    store.remember_all([mine, theirs])
    store.record(mine.id, 1.0, key_id="key-1")
    for judge in (
        lambda: store.record(theirs.id, 1.0, key_id="key-1"),
        lambda: store.correct(theirs.id, "x", key_id="key-1"),
        lambda: store.prefer(mine.id, theirs.id, key_id="key-1"),
        lambda: store.decision(theirs.id, key_id="key-1"),
    ):
        with pytest.raises(ConfigError, match=f"No decision '{theirs.id}'"):
            judge()
    assert store.decisions(key_id="key-2") == [theirs]


def test_decisions_are_read_by_time_and_page(store):
    start = datetime(2026, 1, 1, tzinfo=UTC)
    made = [decision(created=(start + timedelta(hours=n)).isoformat(timespec="milliseconds")) for n in range(6)]
    store.remember_all(made)
    assert store.decisions(since=start + timedelta(hours=1), until="2026-01-01T03:00:00+00:00") == made[1:3]
    first = store.decisions(limit=4)
    assert first + store.decisions(limit=4, after_id=first[-1].id) == made
    assert store.decisions(limit=2, newest_first=True, after_id=made[4].id) == [made[3], made[2]]
    assert store.decisions(since="2026-01-01T06:00:00+01:00") == made[5:]
    with pytest.raises(ConfigError, match="no moment"):
        store.decisions(since="yesterday")


def test_traffic_says_by_the_hour_what_every_expert_did(store):
    early, late = (f"2026-01-01T0{hour}:59:00.000+00:00" for hour in (1, 2))
    declined = Attempt("clock", 0.0, 0.1, "declined: no time in it")
    first, second = decision(created=early), decision(created=late, attempts=(declined,), expert="clock")
    store.remember_all([first, second])
    store.record(first.id, 1.0)
    store.record(first.id, 0.5)
    assert [(t.hour[:13], t.expert, t.calls, t.failures, t.cost, t.mean_score) for t in store.traffic()] == [
        ("2026-01-01T01", "calculator", 1, 0, 0.002, 0.75),
        ("2026-01-01T01", "writer", 1, 1, 0.0, None),
        ("2026-01-01T02", "clock", 1, 0, 0.0, None),
    ]
    assert {t.expert for t in store.traffic("2026-01-01T02:30")} == {"clock"}
    assert (store.counts().decisions, store.counts().feedback, store.counts().latest) == (2, 2, late)


def test_feedback_without_texts_teaches_through_its_features(store):
    silent = decision(instruction=None, response=None, features=b"\x01\x02", propensities={"calculator": 1.0})
    store.remember(silent)
    store.record(silent.id, 1.0)
    assert store.scored_instructions() == []
    assert [(j.decision.features, j.decision.propensities) for j in store.judged()] == [
        (b"\x01\x02", {"calculator": 1.0})
    ]
    assert store.judged(since=datetime.now(UTC) + timedelta(days=1)) == []


def test_a_closed_store_says_so(store):
    store.close()
    with pytest.raises(ConfigError, match="is closed"):
        store.decisions()


def test_sqlalchemy_is_imported_when_a_store_is_opened(tmp_path):
    code = (
        "import sys, mixture_training.src.feedback_store as f; assert 'sqlalchemy' not in sys.modules; "
        "f.FeedbackStore(sys.argv[1]).close(); assert 'alembic' in sys.modules"
    )
    again = code.replace("'alembic' in", "'alembic' not in")
    for script in (code, again):
        run = subprocess.run([sys.executable, "-c", script, tmp_path / "f.sqlite3"], capture_output=True, text=True)
        assert run.returncode == 0, run.stderr


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


@pytest.mark.parametrize("place", ["postgresql:/moe@127.0.0.1/moe", "sqlite:x", "postgres:moe"])
def test_a_url_that_is_cut_short_makes_no_file(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="cut short"):
        FeedbackStore(place)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("score", [True, "good", None, float("nan")])
def test_what_is_no_score_is_refused(score, tmp_path):
    with FeedbackStore(tmp_path / "f.sqlite3") as store, pytest.raises(ConfigError, match="lies in"):
        store.record("x", score)


def test_the_id_of_an_answer_finds_its_decision(tmp_path):
    with FeedbackStore(tmp_path / "f.sqlite3") as store:
        made = decision()
        store.remember(made)
        assert store.decision(f"chatcmpl-{made.id}") == store.decision(f"cmpl-{made.id}") == made
        assert store.record(f"chatcmpl-{made.id}", 1.0).decision_id == made.id
