"""The journal against a dictionary: answers are final, errors give way, what was spent adds up, also after a crash."""

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from dataset_build.src.records import Response
from dataset_build.src.response_store import JOURNAL_NAME, ResponseStore

ids = st.sampled_from(["a", "b", "é", "d\x00"])
experts = st.sampled_from(["one", "two"])
requests = st.sampled_from(["r", "s"])
outcomes = st.one_of(
    st.builds(lambda text: {"text": text}, st.text(max_size=5)),
    st.builds(lambda kind: {"error": f"{kind}: no"}, st.sampled_from(["timeout", "auth"])),
)
cents = st.integers(0, 100)


class Journal(RuleBasedStateMachine):
    """What a dictionary would hold."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.store = ResponseStore(self.folder / JOURNAL_NAME)
        self.rows: dict[tuple[str, str, str], dict[str, str]] = {}
        self.spent = 0.0

    def _note(self, key: tuple[str, str, str], outcome: dict[str, str]) -> None:
        if "text" not in self.rows.get(key, {}):
            self.rows[key] = outcome

    @rule(calls=st.lists(st.tuples(ids, experts, requests, outcomes, cents, cents), min_size=1, max_size=4))
    def finish(self, calls) -> None:
        """Calls finish together; one key may come twice among them."""
        responses = []
        for key, expert, request, outcome, cost, risk in calls:
            responses.append((request, Response(key, expert, **outcome, cost=cost / 100, at_risk=risk / 100)))
            self._note((key, expert, request), outcome)
            self.spent += (cost + risk) / 100
        self.store.put_all(responses)

    @rule(key=ids, expert=experts, request=requests, outcome=outcomes)
    def take_over(self, key: str, expert: str, request: str, outcome: dict[str, str]) -> None:
        """An earlier build paid for it."""
        self.store.carry([(request, Response(key, expert, **outcome, cost=9.0))])
        self._note((key, expert, request), outcome)

    @rule()
    def close_and_open(self) -> None:
        """The build is interrupted and resumed."""
        self.store.close()
        self.store = ResponseStore(self.folder / JOURNAL_NAME)

    @rule()
    def crash_and_open(self) -> None:
        """The process dies: only what is in its files is left."""
        fresh = Path(tempfile.mkdtemp())
        for suffix in ("", "-wal"):
            file = self.folder / f"{JOURNAL_NAME}{suffix}"
            if file.exists():
                shutil.copy(file, fresh)
        self.teardown()
        self.folder = fresh
        self.store = ResponseStore(self.folder / JOURNAL_NAME)

    @invariant()
    def holds_what_was_put(self) -> None:
        """Every way to read it says the same."""
        found = {(one.instruction_id, one.expert, request): one for request, one in self.store.responses()}
        assert {key: (one.text, one.error) for key, one in found.items()} == {
            key: (outcome.get("text"), outcome.get("error")) for key, outcome in self.rows.items()
        }
        assert len(self.store) == len(self.rows)
        assert sorted(self.store.answered()) == sorted(key for key, outcome in self.rows.items() if "text" in outcome)
        assert abs(self.store.spent_usd - self.spent) < 1e-6
        every = ["a", "b", "é", "d\x00", "absent"]
        for expert in ("one", "two"):
            for request in ("r", "s"):
                mine = {key[0]: outcome for key, outcome in self.rows.items() if key[1:] == (expert, request)}
                answered = {key for key, outcome in mine.items() if "text" in outcome}
                assert self.store.answered_among(every, expert, request) == answered
                errors = {key: outcome["error"] for key, outcome in mine.items() if "error" in outcome}
                assert self.store.errors_among(every, expert, request) == errors

    def teardown(self) -> None:
        """Remove the files."""
        self.store.close()
        shutil.rmtree(self.folder)


TestJournal = Journal.TestCase
TestJournal.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)
