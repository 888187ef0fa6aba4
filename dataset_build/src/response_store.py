"""The journal of a build: every finished call is durable at once and paid for once.

One commit per response, or for those that finish together, keyed by (instruction, expert, request).
"""

import hashlib
import json
import logging
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from dataset_build.src.experts.base import Expert
from dataset_build.src.instruction_store import InstructionStore, text_key
from dataset_build.src.journal_file import DiskFullError, JournalFile
from dataset_build.src.records import Response, storable

logger = logging.getLogger(__name__)

JOURNAL_NAME = "journal.sqlite"
#: USD below which a difference between sums is rounding.
NOTHING_USD = 1e-9
# Notes: a bound of all that is spent once the calls in flight are settled; what was spent without a response to show;
# what was spent on the unfinished dataset that is continued.
AT_MOST_USD, _LOST_USD, _EARLIER_USD = "at_most_usd", "lost_usd", "earlier_usd"

_FIELDS = (
    "instruction_id", "expert", "text", "error", "prompt_tokens", "completion_tokens", "cost", "latency_s", "model",
    "finish_reason", "cached_tokens", "reasoning_tokens", "first_token_s", "tokens_estimated", "samples",
)  # fmt: skip
_OUTCOME = (*_FIELDS[2:], "asked")
# An answer is final; an error gives way to whatever comes after it. What was spent adds up. `asked` is the hash of the
# text that was asked; null where that is not known.
_PUT = f"""
INSERT INTO responses (request, {", ".join(_FIELDS)}, spent, asked) VALUES (?{", ?" * len(_FIELDS)}, ?, ?)
ON CONFLICT (instruction_id, expert, request) DO UPDATE SET
{", ".join(f"{name} = CASE WHEN responses.text IS NULL THEN excluded.{name} ELSE {name} END" for name in _OUTCOME)},
spent = spent + excluded.spent
"""
# What a value that is no text, number or null makes of a statement.
_UNSTORABLE = (sqlite3.InterfaceError, sqlite3.ProgrammingError, sqlite3.IntegrityError, OverflowError, TypeError)


def request_key(expert: Expert) -> str:
    """Return the hash of everything besides the instruction that decides the expert's answer."""
    return hashlib.sha256(expert.fingerprint().encode("utf-8", "surrogatepass")).hexdigest()[:16]


class ResponseStore(JournalFile):
    """Finished responses in one file that a single process at a time may hold open; made as its base is."""

    def _take_stock(self) -> None:
        if (at_most := self.note(AT_MOST_USD)) is not None:  # the last run was killed
            self.close_account(float(at_most))

    def put(self, request: str, response: Response) -> None:
        """Make a finished response durable; an error never replaces an answer.

        Where the disk is full the reserve is given up and `is_disk_full` is set: stop, and nothing finished is lost.

        Raises:
            DiskFullError: the disk is full and the reserve is used up.
        """
        self.put_all([(request, response)])

    def put_all(
        self, responses: Sequence[tuple[str, Response]], asked: Mapping[str, int] = MappingProxyType({})
    ) -> None:
        """Make several (request, response) pairs durable at once, in one transaction, as `put` does with one.

        One with a value that no journal holds is stored as a crash of its expert.

        Args:
            responses: The pairs.
            asked: Instruction id -> `text_key` of what was asked, as far as it is known.

        Raises:
            DiskFullError: the disk is full and the reserve is used up; none of them is stored.
        """
        try:
            self._write(responses, asked)
        except DiskFullError:
            if not self._give_up_reserve():
                raise
            self._write(responses, asked)
        except _UNSTORABLE as problem:
            if len(responses) > 1:  # one of them cannot be stored, and the others can
                for one in responses:
                    self.put_all([one], asked)
                return
            ((request, response),) = responses
            error = f"crash: {type(problem).__name__}: {problem}"
            self._write([(request, Response(response.instruction_id, response.expert, error=error))], asked)

    def _write(self, responses: Sequence[tuple[str, Response]], asked: Mapping[str, int]) -> None:
        rows = [
            [request, *_values(one), (one.cost or 0.0) + one.at_risk, asked.get(one.instruction_id)]
            for request, one in responses
        ]
        if len(rows) == 1:
            with self._translated():
                self._connection.execute(_PUT, rows[0])
            return
        with self._transaction():
            self._connection.executemany(_PUT, rows)

    def carry(self, responses: Iterable[tuple[str, Response]]) -> None:
        """Store (request, response) pairs that an earlier build paid for, in one transaction: all or none."""
        with self._transaction():
            self._connection.executemany(_PUT, ([request, *_values(one), 0.0, None] for request, one in responses))

    def set_outdated_aside(self, instructions: InstructionStore) -> int:
        """Take responses out of the way that belong to another text than the one their instruction has now.

        They are kept, and come back with their text. A response of which the text is not known (the journal is of an
        older version) is taken to belong to the one of now.

        Returns:
            How many answers do not count because of it.
        """
        outdated = 0
        execute = self._connection.execute
        with self._transaction():
            for page in instructions.pages() if len(self) else ():
                keys = {storable(one.id): text_key(one.text) for one in page}
                marks = ", ".join("?" * len(keys))
                found = f"SELECT DISTINCT instruction_id, asked FROM responses WHERE instruction_id IN ({marks})"
                for key, asked in execute(found, list(keys)).fetchall():
                    if asked is None:
                        execute("UPDATE responses SET asked = ? WHERE instruction_id = ?", (keys[key], key))
                    elif asked != keys[key]:
                        these = "WHERE instruction_id = ? AND asked = ?"
                        count = f"SELECT count(*) FROM responses {these} AND text IS NOT NULL"
                        outdated += execute(count, (key, asked)).fetchone()[0]
                        move = f"UPDATE OR REPLACE responses SET instruction_id = ? {these}"
                        execute(move, (_aside(key, asked), key, asked))
                home = {_aside(key, asked): key for key, asked in keys.items()}
                for (aside,) in execute(found.replace(", asked", ""), list(home)).fetchall():
                    move = "UPDATE OR IGNORE responses SET instruction_id = ? WHERE instruction_id = ?"
                    execute(move, (home[aside], aside))
        if outdated:
            logger.warning(
                "%s: %s answers belong to instructions whose text has changed since; they do not count, and the new "
                "text is asked", self.path, f"{outdated:,}",
            )  # fmt: skip
        return outdated

    def hand_on(self, instructions: InstructionStore) -> int:
        """Give responses to instructions that are gone to those that have their text now.

        So neither a renamed source nor a corrected reference, which make another id, costs an answer.

        Returns:
            How many instructions took some over.
        """
        execute = self._connection.execute
        heirs_of: dict[tuple[str, int], list[str]] = {}
        with self._translated():
            rows = "SELECT DISTINCT instruction_id, asked FROM responses WHERE asked IS NOT NULL"
            for key, asked in execute(f"{rows} AND instr(instruction_id, char(31)) = 0"):
                if key not in instructions and (heirs := instructions.unknown_with(asked)):
                    heirs_of[key, asked] = [storable(heir) for heir in heirs]
        these = "WHERE instruction_id = ? AND asked = ?"
        columns = ", ".join(("expert", "request", *_OUTCOME))
        with self._transaction():
            for (key, asked), heirs in heirs_of.items():
                for heir in heirs:  # what was spent stays with the first rows
                    copy = f"SELECT ?, {columns} FROM responses {these}"
                    execute(f"INSERT OR IGNORE INTO responses (instruction_id, {columns}) {copy}", (heir, key, asked))
                aside = f"UPDATE OR REPLACE responses SET instruction_id = ? {these}"
                execute(aside, (_aside(key, asked), key, asked))
        count = len({heir for heirs in heirs_of.values() for heir in heirs})
        if count:
            logger.warning(
                "%s: %s instructions have another id now (a renamed source, a corrected reference), and keep the "
                "answers to their text", self.path, f"{count:,}",
            )  # fmt: skip
        return count

    @property
    def spent_usd(self) -> float:
        """USD that the calls of this build cost, or may have cost where their answer was lost."""
        return self._accounted_usd() + self.lost_usd

    @property
    def lost_usd(self) -> float:
        """The part of `spent_usd` that calls may have cost which were in flight when a run ended."""
        return float(self.note(_LOST_USD) or 0.0)

    @property
    def lost_tries_usd(self) -> float:
        """The part of `spent_usd` that failed tries cost, or may have cost where their answer was lost on its way."""
        sums = "SELECT total(spent - coalesce(cost, 0)) FROM responses WHERE spent > coalesce(cost, 0)"
        with self._translated():
            usd: float = self._connection.execute(sums).fetchone()[0]
        return usd if usd > NOTHING_USD else 0.0

    def count_earlier(self, usd: float) -> None:
        """Count as spent what the unfinished dataset that this build continues had cost."""
        self.set_note(_EARLIER_USD, repr(usd))

    def _accounted_usd(self) -> float:
        with self._translated():
            spent: float = self._connection.execute("SELECT total(spent) FROM responses").fetchone()[0]
        return spent + float(self.note(_EARLIER_USD) or 0.0)

    def expect_spent(self, usd: float) -> None:
        """Write down that `usd` may be spent in all once the calls that start now have ended.

        Where the run is killed, the next one takes it for spent.

        Raises:
            DiskFullError: the disk is full and the reserve is used up.
        """
        try:
            self.set_note(AT_MOST_USD, repr(usd))
        except DiskFullError:
            if not self._give_up_reserve():
                raise
            self.set_note(AT_MOST_USD, repr(usd))

    def close_account(self, usd: float) -> None:
        """Write down that no call is in flight any more and at most `usd` is spent in all.

        What no response accounts for is lost, and stays spent.
        """
        before = self.lost_usd
        lost = max(before, usd - self._accounted_usd())
        with self._transaction():
            if lost - before > NOTHING_USD:
                self._connection.execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", (_LOST_USD, repr(lost)))
            self._connection.execute("DELETE FROM notes WHERE key = ?", (AT_MOST_USD,))
        if lost - before > NOTHING_USD:
            logger.warning(
                "%s: at most USD %.4g was lost with calls in flight when a run ended; it counts as spent",
                self.path, lost - before,
            )  # fmt: skip

    def is_answered(self, instruction_id: str, expert: str, request: str) -> bool:
        """Return whether there is an answer; a stored error does not count, it is tried again."""
        with self._translated():
            found = self._connection.execute(
                "SELECT text IS NOT NULL FROM responses WHERE instruction_id = ? AND expert = ? AND request = ?",
                (storable(instruction_id), storable(expert), request),
            ).fetchone()
        return bool(found and found[0])

    def answered_among(self, ids: Sequence[str], expert: str, request: str) -> set[str]:
        """Return those of the instruction ids that there is an answer to."""
        stored = {storable(key): key for key in ids}
        with self._translated():
            rows = self._connection.execute(
                "SELECT instruction_id FROM responses WHERE text IS NOT NULL AND expert = ? AND request = ? "
                f"AND instruction_id IN ({', '.join('?' * len(stored))})",
                (storable(expert), request, *stored),
            )
            return {stored[row[0]] for row in rows}

    def errors_among(self, ids: Sequence[str], expert: str, request: str) -> dict[str, str]:
        """Return instruction id -> error for those of the ids whose call failed."""
        stored = {storable(key): key for key in ids}
        with self._translated():
            rows = self._connection.execute(
                "SELECT instruction_id, error FROM responses WHERE error IS NOT NULL AND expert = ? AND request = ? "
                f"AND instruction_id IN ({', '.join('?' * len(stored))})",
                (storable(expert), request, *stored),
            )
            return {stored[row[0]]: row[1] for row in rows}

    def answered(self) -> Iterator[tuple[str, str, str]]:
        """Yield (instruction id, expert, request) of every answer; errors are not among them."""
        with self._translated():
            yield from self._connection.execute(
                "SELECT instruction_id, expert, request FROM responses WHERE text IS NOT NULL"
            )

    def answers(self) -> Iterator[tuple[str, str, str, float, str | None]]:
        """Yield (instruction id, expert, request, USD, model) of every answer to an instruction's text of now."""
        with self._translated():
            yield from self._connection.execute(
                "SELECT instruction_id, expert, request, coalesce(cost, 0), model FROM responses "
                "WHERE text IS NOT NULL AND instr(instruction_id, char(31)) = 0"
            )

    def has_answers_of(self, prefix: str) -> bool:
        """Return whether there is an answer of an expert whose name begins so."""
        with self._translated():
            found = self._connection.execute(
                "SELECT 1 FROM responses WHERE text IS NOT NULL AND substr(expert, 1, ?) = ? LIMIT 1",
                (len(prefix), prefix),
            ).fetchone()
        return found is not None

    def costs_of(self, prefix: str) -> dict[str, tuple[int, float]]:
        """Return the calls, failed ones included, and the USD of each expert whose name begins so."""
        with self._translated():
            rows = self._connection.execute(
                "SELECT expert, count(*), total(cost) FROM responses WHERE substr(expert, 1, ?) = ? GROUP BY expert",
                (len(prefix), prefix),
            ).fetchall()
        return {expert: (calls, usd) for expert, calls, usd in rows}

    def mean_usd(self, expert: str, request: str) -> float | None:
        """Return the mean cost of an expert's answers; None where there is none."""
        with self._translated():
            count, usd = self._connection.execute(
                "SELECT count(*), total(cost) FROM responses WHERE text IS NOT NULL AND expert = ? AND request = ?",
                (storable(expert), request),
            ).fetchone()
        return usd / count if count else None

    def responses(self) -> Iterator[tuple[str, Response]]:
        """Yield (request, response) of every finished call."""
        with self._translated():
            for row in self._connection.execute(f"SELECT request, {', '.join(_FIELDS)} FROM responses"):
                yield row[0], _response(row[1:])

    def of_instruction(self, instruction_id: str) -> dict[tuple[str, str], Response]:
        """Return (expert, request) -> response for one instruction."""
        with self._translated():
            rows = self._connection.execute(
                f"SELECT request, {', '.join(_FIELDS)} FROM responses WHERE instruction_id = ?",
                (storable(instruction_id),),
            ).fetchall()
        return {(row[2], row[0]): _response(row[1:]) for row in rows}


def _aside(key: str, asked: int) -> str:
    """Return the id under which responses wait whose instruction has another text now."""
    return f"{key}\x1f{asked}"


def _values(response: Response) -> list[object]:
    values: list[object] = [getattr(response, name) for name in _FIELDS]
    values[-1] = json.dumps(response.samples) if response.samples else None
    return [storable(value) if isinstance(value, str) else value for value in values]


def _response(row: Sequence[Any]) -> Response:
    fields = dict(zip(_FIELDS, row, strict=True))
    fields["tokens_estimated"] = bool(fields["tokens_estimated"])
    fields["samples"] = tuple(json.loads(fields["samples"])) if fields["samples"] else ()
    return Response(**fields)
