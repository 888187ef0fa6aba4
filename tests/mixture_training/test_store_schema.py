import json
import logging
import sqlite3
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from dataset_build import ConfigError, DataError
from mixture_training.src.feedback_store import FeedbackStore, StoreUnavailableError, new_id, now
from mixture_training.src.storing.schema import NEWEST, VERSION_TABLE
from tests.postgres_server import PASSWORD

#: What the first stores looked like, written out here so that nothing can change it.
FIRST_SCHEMA = """
    CREATE TABLE decisions (
        id TEXT PRIMARY KEY, created TEXT NOT NULL, instruction TEXT NOT NULL, expert TEXT, response TEXT,
        ranking TEXT NOT NULL, policy TEXT NOT NULL, category TEXT, confidence REAL, expected_score REAL NOT NULL,
        cost REAL NOT NULL, latency_s REAL NOT NULL, attempts TEXT NOT NULL);
    CREATE TABLE feedback (
        id INTEGER PRIMARY KEY, decision_id TEXT NOT NULL REFERENCES decisions (id), created TEXT NOT NULL,
        score REAL NOT NULL CHECK (score BETWEEN 0 AND 1), comment TEXT);
    CREATE INDEX feedback_by_decision ON feedback (decision_id);
    PRAGMA user_version = 1;
"""
OPEN = "import sys; from mixture_training.src.feedback_store import FeedbackStore; FeedbackStore(sys.argv[1]).close()"


@pytest.fixture
def old_file(tmp_path):
    """A file as the first version wrote it: 30 decisions, every third unanswered, 40 judgements."""
    path = tmp_path / "router.feedback.sqlite3"
    connection = sqlite3.connect(path)
    connection.executescript("PRAGMA journal_mode=WAL;" + FIRST_SCHEMA)
    for n in range(30):
        expert = None if n % 3 == 0 else "calculator"
        attempts = [
            {"expert": "writer", "cost": None, "latency_s": 0.1, "error": "timeout: late"},
            {"expert": "calculator", "cost": 0.5, "latency_s": 0.1, "error": None if expert else "http: 500"},
        ]
        row = (
            f"{n:016x}", f"2026-01-01T0{n % 3}:00:00.000+00:00", f"What is {n}?", expert, expert and str(n),
            '["writer", "calculator"]', "quality", None, None, 0.75, 0.5, 0.25, json.dumps(attempts),
        )  # fmt: skip
        connection.execute(f"INSERT INTO decisions VALUES ({', '.join('?' * 13)})", row)
    answered = [f"{n:016x}" for n in range(30) if n % 3]
    for n in range(40):
        values = (answered[n % 20], now(), n % 2, f"comment {n}")
        connection.execute("INSERT INTO feedback (decision_id, created, score, comment) VALUES (?, ?, ?, ?)", values)
    connection.commit()
    connection.close()
    return path


def test_a_file_of_the_first_version_is_upgraded_with_every_row(old_file):
    with FeedbackStore(old_file) as store:
        made, given = store.decisions(), store.feedback()
        assert [each.id for each in made] == [f"{n:016x}" for n in range(30)]
        assert {each.outcome for each in made if each.expert is None} == {"failed"}
        second = store.decision(f"{1:016x}")
        assert (second.instruction, second.response, second.ranking) == ("What is 1?", "1", ("writer", "calculator"))
        assert [(each.expert, each.cost, each.error) for each in second.attempts] == [
            ("writer", None, "timeout: late"),
            ("calculator", 0.5, None),
        ]
        assert [(each.comment, each.score) for each in given] == [(f"comment {n}", n % 2) for n in range(40)]
        assert len({each.event for each in given}) == 40
        assert sum(each.calls for each in store.traffic()) == 60
        assert sum(each.failures for each in store.traffic()) == 40
        assert sum(each.judgements for each in store.traffic()) == 40
        assert len(store.scored_instructions()) == 20
        store.record(second.id, 1.0)
    with FeedbackStore(old_file) as store:
        assert len(store.feedback()) == 41


def test_an_upgrade_that_fails_leaves_the_file_as_it_was(old_file, monkeypatch):
    with sqlite3.connect(old_file) as connection:
        connection.execute("UPDATE decisions SET attempts = 'broken' WHERE id = ?", (f"{29:016x}",))
    before = dump(old_file)
    with pytest.raises(json.JSONDecodeError):
        FeedbackStore(old_file)
    assert dump(old_file) == before


def dump(path):
    connection = sqlite3.connect(path)
    try:
        return [*connection.iterdump(), connection.execute("PRAGMA user_version").fetchone()]
    finally:
        connection.close()


def test_an_old_version_is_told_that_it_is_too_old(old_file):
    FeedbackStore(old_file).close()
    connection = sqlite3.connect(old_file)
    assert connection.execute("PRAGMA user_version").fetchone()[0] == NEWEST > 1
    connection.close()


def test_processes_that_make_a_store_at_once_all_succeed(store_place):
    open_at_once(store_place)
    with FeedbackStore(store_place) as store:
        assert store.decisions() == []


def test_processes_that_upgrade_a_file_at_once_all_succeed(old_file):
    open_at_once(old_file)
    with FeedbackStore(old_file) as store:
        assert len(store.decisions()) == 30


def open_at_once(place):
    with ThreadPoolExecutor(6) as pool:
        runs = list(
            pool.map(
                lambda _: subprocess.run([sys.executable, "-c", OPEN, place], capture_output=True, text=True), range(6)
            )
        )
    assert [run.stderr for run in runs] == [""] * 6


def test_the_migrations_end_at_the_tables(store_place):
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    from mixture_training.src.storing.tables import METADATA

    with FeedbackStore(store_place) as store, store._database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE, "compare_type": True})
        assert compare_metadata(context, METADATA) == []


def test_a_newer_schema_on_a_server_is_refused(postgres):
    url = postgres.new_database()
    FeedbackStore(url).close()
    postgres.query(url, f"UPDATE {VERSION_TABLE} SET version_num = '0099'")
    with pytest.raises(DataError, match=r"schema version 99.*Upgrade moe-toolkit") as error:
        FeedbackStore(url)
    assert PASSWORD not in str(error.value)


def test_tables_of_somebody_else_are_left_alone(postgres):
    url = postgres.new_database()
    postgres.query(url, "CREATE TABLE decisions (what text)")
    with pytest.raises(DataError, match="no feedback store"):
        FeedbackStore(url)


@pytest.mark.parametrize(
    ("place", "message"),
    [
        (f"mysql://u:{PASSWORD}@h/db", "mysql:// was given"),
        (f"postgresql://u:{PASSWORD}@127.0.0.1", "names no database"),
        (f"postgresql://u:{PASSWORD}@127.0.0.1:port/db", "cannot be read"),
        (f"postgresql://u:{PASSWORD}@127.0.0.1:1/db", "Cannot open the feedback store postgresql://u@127.0.0.1:1/db"),
        (f"postgresql://u@127.0.0.1:1/db?password={PASSWORD}", "Cannot open the feedback store"),
        (f"postgresql://u:{PASSWORD}@127.0.0.1:1/db?nonsense={PASSWORD}", "Cannot open the feedback store"),
        ("sqlite://", "sqlite:// was given"),
    ],
)
def test_a_wrong_url_is_explained_without_its_password(place, message, caplog):
    caplog.set_level(logging.DEBUG)
    with pytest.raises(ConfigError, match=message) as error:
        FeedbackStore(place)
    assert PASSWORD not in str(error.value)
    assert PASSWORD not in caplog.text


def test_a_password_is_hidden_even_where_the_driver_says_it():
    with pytest.raises(StoreUnavailableError, match=r"\*\*\* refused"):
        FeedbackStore("postgresql://u:Connection@127.0.0.1:1/db")


def test_what_a_server_says_is_shown_without_the_password_and_the_texts(postgres, caplog):
    caplog.set_level(logging.DEBUG)
    url = postgres.new_database()
    with FeedbackStore(url) as store:
        assert PASSWORD not in store.place
        postgres.query(url, "ALTER TABLE decisions ADD CHECK (policy <> 'bad')")
        with pytest.raises(DataError) as refused:
            store.remember_rows([(new_id(), now(), f"a secret {PASSWORD}", *[None] * 19)])
        postgres.query(url, "DROP TABLE feedback, decisions")
        with pytest.raises(DataError) as gone:
            store.decisions()
    for text in (str(refused.value), str(gone.value), caplog.text):
        assert "secret" not in text
        assert PASSWORD not in text


def test_a_server_that_is_away_is_said_to_be_and_used_again_when_it_is_back(postgres):
    url = postgres.new_database()
    with FeedbackStore(url) as store:
        postgres.stop()
        try:
            with pytest.raises(StoreUnavailableError, match=r"not available now.*Try again later"):
                store.decisions()
        finally:
            postgres.start()
        assert store.decisions() == []
        postgres.stop()
        postgres.start()
        assert store.decisions() == []  # although the connection at hand is dead


def test_the_file_is_for_its_owner_only_and_a_url_names_it_too(tmp_path):
    with FeedbackStore(f"sqlite:///{tmp_path}/f.sqlite3") as store:
        assert store.path == tmp_path / "f.sqlite3"
        assert stat.S_IMODE(store.path.stat().st_mode) == 0o600
