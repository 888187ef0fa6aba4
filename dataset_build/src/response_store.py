"""The journal of a build: every finished call is durable at once and paid for once.

SQLite in write-ahead mode, one commit per response, keyed by (instruction, expert, request). `synchronous=NORMAL`
survives the death of the process at any instruction (`kill -9`); only a power cut may lose the last responses.
"""

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dataset_build.src.errors import ConfigError, DataError
from dataset_build.src.experts.base import Expert
from dataset_build.src.records import Response, storable

JOURNAL_NAME = "journal.sqlite"
SCHEMA_VERSION = 1

_FIELDS = (
    "instruction_id", "expert", "text", "error", "prompt_tokens", "completion_tokens", "cost", "latency_s", "model",
    "finish_reason",
)  # fmt: skip
_SCHEMA = """
CREATE TABLE responses (
    instruction_id TEXT NOT NULL,
    expert TEXT NOT NULL,
    request TEXT NOT NULL,
    text TEXT,
    error TEXT,
    prompt_tokens INTEGER,
    completion_tokens INTEGER,
    cost REAL,
    latency_s REAL,
    model TEXT,
    finish_reason TEXT,
    PRIMARY KEY (instruction_id, expert, request),
    CHECK ((text IS NULL) <> (error IS NULL))
) WITHOUT ROWID;
CREATE TABLE notes (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
# An answer is final; an error gives way to whatever comes after it.
_PUT = f"""
INSERT INTO responses (request, {", ".join(_FIELDS)}) VALUES (?{", ?" * len(_FIELDS)})
ON CONFLICT (instruction_id, expert, request) DO UPDATE SET
{", ".join(f"{name} = excluded.{name}" for name in _FIELDS[2:])} WHERE responses.text IS NULL
"""


def request_key(expert: Expert) -> str:
    """Return the hash of everything besides the instruction that decides the expert's answer."""
    return hashlib.sha256(expert.fingerprint().encode("utf-8", "surrogatepass")).hexdigest()[:16]


class ResponseStore:
    """Finished responses in one file that a single process at a time may hold open.

    Args:
        path: The SQLite file, created when absent.

    Raises:
        ConfigError: another process has it open, or it cannot be written.
        DataError: it is damaged, no journal, or from a newer version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._translated():
            self._connection = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
        try:
            with self._translated():
                self._open()
        except BaseException:
            self._connection.close()
            raise

    def _open(self) -> None:
        execute = self._connection.execute
        execute("PRAGMA locking_mode = EXCLUSIVE")  # held until close, released by the kernel when the process dies
        execute("PRAGMA journal_mode = WAL")
        execute("PRAGMA synchronous = NORMAL")
        execute("BEGIN IMMEDIATE")
        (version,) = execute("PRAGMA user_version").fetchone()
        if version == 0:
            if execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                raise DataError(f"{self.path} is an SQLite file but no journal of a build; choose another --output.")
            for statement in filter(str.strip, _SCHEMA.split(";")):
                execute(statement)
            execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        execute("COMMIT")
        if version > SCHEMA_VERSION:
            raise DataError(
                f"{self.path} was written by a newer moe-toolkit (journal version {version}, this one reads "
                f"{SCHEMA_VERSION}); upgrade, or choose another --output."
            )

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as problem:
            text = str(problem)
            if "locked" in text:
                raise ConfigError(
                    f"Another build is writing to {self.path.parent}; wait for it to end or choose another --output."
                ) from problem
            if any(word in text for word in ("unable to open", "readonly", "full", "disk I/O")):
                raise ConfigError(f"Cannot write {self.path}: {text}; free the disk or choose another --output.") from (
                    problem
                )
            raise DataError(
                f"The journal {self.path} is damaged ({text}); delete it to start this build anew."
            ) from problem

    def put(self, request: str, response: Response) -> None:
        """Make a finished response durable; an error never replaces an answer."""
        values = (getattr(response, name) for name in _FIELDS)
        row = [request, *(storable(value) if isinstance(value, str) else value for value in values)]
        with self._translated():
            self._connection.execute(_PUT, row)

    def put_many(self, responses: Iterator[tuple[str, Response]]) -> None:
        """Store (request, response) pairs in one transaction: all or none."""
        with self._translated():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                for request, response in responses:
                    self.put(request, response)
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def is_answered(self, instruction_id: str, expert: str, request: str) -> bool:
        """Return whether there is an answer; a stored error does not count, it is tried again."""
        with self._translated():
            found = self._connection.execute(
                "SELECT text IS NOT NULL FROM responses WHERE instruction_id = ? AND expert = ? AND request = ?",
                (storable(instruction_id), storable(expert), request),
            ).fetchone()
        return bool(found and found[0])

    def answered(self) -> Iterator[tuple[str, str, str]]:
        """Yield (instruction id, expert, request) of every answer; errors are not among them."""
        with self._translated():
            yield from self._connection.execute(
                "SELECT instruction_id, expert, request FROM responses WHERE text IS NOT NULL"
            )

    def of_instruction(self, instruction_id: str) -> dict[tuple[str, str], Response]:
        """Return (expert, request) -> response for one instruction."""
        with self._translated():
            rows = self._connection.execute(
                f"SELECT request, {', '.join(_FIELDS)} FROM responses WHERE instruction_id = ?",
                (storable(instruction_id),),
            ).fetchall()
        return {(row[2], row[0]): Response(*row[1:]) for row in rows}

    def __len__(self) -> int:
        with self._translated():
            count: int = self._connection.execute("SELECT count(*) FROM responses").fetchone()[0]
        return count

    def note(self, key: str) -> str | None:
        """Return a fact about the build that was written down with `set_note`, or None."""
        with self._translated():
            found = self._connection.execute("SELECT value FROM notes WHERE key = ?", (key,)).fetchone()
        return None if found is None else str(found[0])

    def set_note(self, key: str, value: str | None) -> None:
        """Write down a fact about the build; None strikes it out."""
        with self._translated():
            if value is None:
                self._connection.execute("DELETE FROM notes WHERE key = ?", (key,))
            else:
                self._connection.execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", (key, value))

    def clear(self) -> None:
        """Forget every response and note."""
        with self._translated():
            for table in ("responses", "notes"):
                self._connection.execute(f"DELETE FROM {table}")

    def close(self) -> None:
        """Release the file."""
        self._connection.close()

    def delete(self) -> None:
        """Close and remove the journal: its responses are elsewhere now, or not wanted."""
        self.close()
        for suffix in ("", "-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)

    def __enter__(self) -> "ResponseStore":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
