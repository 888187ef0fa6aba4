import re
import threading
import time

import pytest

from dataset_build import ConfigError
from mixture_training.src.feedback_store import FeedbackStore
from mixture_training.src.storing import keys as key_store
from mixture_training.src.storing.spool import DecisionWriter
from tests.mixture_training.store_worker import decision


@pytest.fixture
def store(store_place):
    with FeedbackStore(store_place) as opened:
        yield opened


def test_a_key_is_known_by_its_secret_only(store):
    key, secret = store.keys.add(
        " team a ", budget_usd=2, requests_per_minute=60, experts=["poet"], policies=["quality", "cheap"]
    )
    assert re.fullmatch(r"moe-[A-Za-z0-9_-]{43}", secret)
    assert store.keys.check(secret) == key
    assert (key.name, key.budget_usd, key.requests_per_minute) == ("team a", 2.0, 60)
    assert (key.experts, key.policies, key.hint) == (("poet",), ("quality", "cheap"), secret[-4:])
    assert (key.spent_usd, key.last_used, key.is_disabled, key.is_spent) == (0.0, None, False, False)
    for wrong in ("", "moe-", secret[:-1], secret + "a", secret.upper(), "\ud800", key.id):
        assert store.keys.check(wrong) is None


def test_a_secret_is_kept_nowhere(tmp_path):
    with FeedbackStore(tmp_path / "f.sqlite3") as store:
        _, secret = store.keys.add("a")
        kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert secret.encode() not in kept
    assert secret[4:30].encode() not in kept


def test_keys_are_listed_and_revoked(store):
    (first, secret), (second, other) = store.keys.add("a"), store.keys.add("b")
    assert store.keys.list() == [first, second]
    assert store.keys.revoke(first.id).is_disabled
    assert store.keys.check(secret) is None
    assert store.keys.check(other) == second
    assert [key.is_disabled for key in store.keys.list()] == [True, False]
    for unknown in (lambda: store.keys.revoke("key-x"), lambda: store.spent("key-x")):
        with pytest.raises(ConfigError, match="no key 'key-x'"):
            unknown()


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        ({"budget_usd": 0}, "budget"),
        ({"budget_usd": float("nan")}, "budget"),
        ({"budget_usd": 1e12}, "budget"),
        ({"requests_per_minute": 0}, "requests_per_minute"),
        ({"name": " "}, "needs a name"),
    ],
)
def test_a_limit_that_is_none_is_refused(tmp_path, limits, says):
    with FeedbackStore(tmp_path / "f.sqlite3") as store, pytest.raises(ConfigError, match=says):
        store.keys.add(**{"name": "a", **limits})


def test_a_revocation_reaches_another_process_by_itself(store, store_place, monkeypatch):
    monkeypatch.setattr(key_store, "REFRESH_S", 0.05)
    key, secret = store.keys.add("a")
    with FeedbackStore(store_place) as another:
        assert another.keys.check(secret) == key
        store.keys.revoke(key.id)
        until = time.monotonic() + 20
        while another.keys.check(secret) is not None and time.monotonic() < until:
            time.sleep(0.01)
        assert another.keys.check(secret) is None


def test_checking_does_not_wait_for_the_database(postgres, monkeypatch, caplog):
    monkeypatch.setattr(key_store, "REFRESH_S", 0.05)
    with FeedbackStore(postgres.new_database()) as store:
        key, secret = store.keys.add("a")
        assert store.keys.check(secret) == key
        postgres.stop()
        try:
            started = time.monotonic()
            while "keys stay as they were" not in caplog.text and time.monotonic() < started + 20:
                time.sleep(0.01)
            assert store.keys.check(secret) == key
        finally:
            postgres.start()
    assert caplog.text.count("keys stay as they were") == 1


def test_decisions_are_charged_to_their_key_once(store, tmp_path):
    (key, _), (other, _) = store.keys.add("a"), store.keys.add("b")
    made = [decision(key_id=key.id, cost=0.1) for _ in range(30)]
    store.remember_all([*made, decision(key_id=other.id, cost=0.25), decision(cost=9.0), decision(key_id="gone")])
    store.remember_all(made)
    assert (store.spent(key.id), store.spent(other.id)) == (3.0, 0.25)  # exactly: it is counted in whole numbers
    (used, _) = store.keys.list()
    assert used.last_used == f"{max(each.created for each in made)[:16]}+00:00"
    with DecisionWriter(store, tmp_path / "spool") as writer:
        writer.append(decision(key_id=key.id, cost=0.5))
        assert store.spent(key.id) == 3.5  # on its way counts already
        assert writer.flush(30)
        assert store.spent(key.id) == 3.5


def test_a_budget_holds_however_many_ask_at_once(tmp_path):
    with FeedbackStore(tmp_path / "f.sqlite3") as store, DecisionWriter(store) as writer:
        key, _ = store.keys.add("a", budget_usd=1.0)
        answered, peak = [], threading.Lock()

        def ask():
            while (held := store.keys.reserve(key.id, 0.03)) is not None:
                writer.append(decision(key_id=key.id, cost=0.02))
                with peak:
                    answered.append(held)
                store.keys.settle(held)

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert writer.flush(30)
        spent = store.spent(key.id)
        assert spent == pytest.approx(0.02 * len(answered))
        assert 0.5 < spent <= 1.0  # near the end a reservation may be refused that would just have fitted


def test_what_is_reserved_cannot_be_spent_twice(store):
    (key, _), (free, _) = store.keys.add("a", budget_usd=1.0), store.keys.add("b")
    first = store.keys.reserve(key.id, 0.6)
    assert first is not None
    assert store.keys.reserve(key.id, 0.6) is None
    second = store.keys.reserve(key.id, 0.4)
    assert second is not None
    store.keys.settle(first)
    third = store.keys.reserve(key.id, 0.6)
    assert third is not None
    for held in (second, third):
        store.keys.settle(held)
    assert store.keys.reserve(free.id, 1e6) is not None
    assert store.keys.reserve("key-x", 0.0) is None
    store.remember(decision(key_id=key.id, cost=1.0))
    assert store.keys.reserve(key.id, 0.0) is None  # nothing is left, before anything was read again
    assert store.keys.list()[0].is_spent


def test_another_process_sees_what_was_spent(store, store_place):
    key, secret = store.keys.add("a", budget_usd=1.0)
    with FeedbackStore(store_place) as another:
        assert another.keys.check(secret) is not None
        store.remember(decision(key_id=key.id, cost=1.0))
        another.keys.refresh()
        assert another.keys.reserve(key.id, 0.0) is None
        assert another.keys.check(secret).is_spent
