"""The file under the journal: one holder, no lost write, a way back from damage and from a full disk.

SQLite in write-ahead mode. `synchronous=NORMAL` survives the death of the process at any instruction (`kill -9`); only
a power cut may lose the last responses. A few megabytes are held in reserve: when the disk is full they are given up,
so that calls in flight can still be kept.
"""

import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from dataset_build.src.errors import ConfigError, DataError, EarlyStopError
from dataset_build.src.journal_repair import salvage

logger = logging.getLogger(__name__)

SCHEMA_VERSION = 3
#: Bytes held in reserve for the day the disk is full.
RESERVE_BYTES = 4 * 2**20

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
    cached_tokens INTEGER,
    reasoning_tokens INTEGER,
    first_token_s REAL,
    tokens_estimated INTEGER NOT NULL DEFAULT 0,
    samples TEXT,
    spent REAL NOT NULL DEFAULT 0,
    asked INTEGER,
    PRIMARY KEY (instruction_id, expert, request),
    CHECK ((text IS NULL) <> (error IS NULL))
) WITHOUT ROWID;
CREATE TABLE notes (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
_UPGRADES = {
    1: """
ALTER TABLE responses ADD COLUMN cached_tokens INTEGER;
ALTER TABLE responses ADD COLUMN reasoning_tokens INTEGER;
ALTER TABLE responses ADD COLUMN first_token_s REAL;
ALTER TABLE responses ADD COLUMN tokens_estimated INTEGER NOT NULL DEFAULT 0;
ALTER TABLE responses ADD COLUMN samples TEXT;
ALTER TABLE responses ADD COLUMN spent REAL NOT NULL DEFAULT 0;
UPDATE responses SET spent = coalesce(cost, 0);
""",
    2: "ALTER TABLE responses ADD COLUMN asked INTEGER;",
}


#: Journals that this process has open.
_HELD: set[Path] = set()


class DiskFullError(EarlyStopError):
    """There is no room left for the journal; everything before is kept."""


class DamagedJournalError(DataError):
    """The journal's file does not hold what was written to it."""


class JournalInUseError(ConfigError):
    """Another process has the journal open."""


class JournalFile:
    """The file that holds responses and notes, while this process has it open.

    Args:
        path: The SQLite file, created when absent.

    Raises:
        ConfigError: another process has it open, or it cannot be written.
        DataError: it is damaged, no journal, or from a newer version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.is_disk_full = False
        #: Whether the last run ended without closing the journal: it was killed.
        self.was_cut_off = _beside(path, "-wal").is_file() and _beside(path, "-wal").stat().st_size > 0
        with self._translated():
            self._connection = _connect(path)
        try:
            self._open_or_salvage()
            self._take_stock()
        except BaseException:
            self._connection.close()
            raise
        self._hold_reserve()
        _HELD.add(path.resolve())

    @staticmethod
    def is_held_here(path: Path) -> bool:
        """Return whether this very process has it open: were it to read the file, it would lose the lock."""
        return path.resolve() in _HELD

    def _take_stock(self) -> None:
        """Do what is due when the file was opened."""

    def _open_or_salvage(self) -> None:
        try:
            with self._translated():
                self._open()
                if not self.was_cut_off and not _beside(self.path, "-suspect").exists():
                    return
                intact = self._connection.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok"
        except DamagedJournalError:
            intact = False
        if intact:
            _beside(self.path, "-suspect").unlink(missing_ok=True)
            logger.warning("%s: the last run was cut off; %s finished responses are kept", self.path, f"{len(self):,}")
            return
        self._connection.close()
        with self._translated():
            kept, lost_from = salvage(self.path, _SCHEMA, SCHEMA_VERSION)
            _beside(self.path, "-suspect").unlink(missing_ok=True)
            self._connection = _connect(self.path)
            self._open()
        logger.warning(
            "%s was damaged: %s finished responses were recovered into a new journal; the damaged file is kept as %s",
            self.path, f"{kept:,}", lost_from.name,
        )  # fmt: skip

    def _open(self) -> None:
        execute = self._connection.execute
        execute("PRAGMA locking_mode = EXCLUSIVE")  # held until close, released by the kernel when the process dies
        execute("PRAGMA journal_mode = WAL")
        execute("PRAGMA synchronous = NORMAL")
        execute("BEGIN IMMEDIATE")
        (version,) = execute("PRAGMA user_version").fetchone()
        if version > SCHEMA_VERSION:
            raise DataError(
                f"{self.path} was written by a newer moe-toolkit (journal version {version}, this one reads "
                f"{SCHEMA_VERSION}); upgrade, or choose another --output."
            )
        if version == 0 and execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            raise DataError(f"{self.path} is an SQLite file but no journal of a build; choose another --output.")
        scripts = [_SCHEMA] if version == 0 else [_UPGRADES[step] for step in range(version, SCHEMA_VERSION)]
        for statement in filter(str.strip, ";".join(scripts).split(";")):
            execute(statement)
        execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        execute("COMMIT")

    def _hold_reserve(self) -> None:
        """Take up some room on the disk, to be given up when it is full."""
        try:
            with _beside(self.path, "-reserve").open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, RESERVE_BYTES)
        except (OSError, AttributeError):  # a full disk, or a system without the call: there is no reserve then
            _beside(self.path, "-reserve").unlink(missing_ok=True)

    def _give_up_reserve(self) -> bool:
        self.is_disk_full = True
        reserve = _beside(self.path, "-reserve")
        if not reserve.exists():
            return False
        reserve.unlink()
        return True

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as problem:
            text = str(problem)
            if "locked" in text:
                raise JournalInUseError(
                    f"Another build is writing to {self.path.parent}; wait for it to end or choose another --output."
                ) from problem
            if "full" in text or "disk I/O" in text:
                raise DiskFullError(
                    f"The disk is full ({self.path}: {text}); every response before is kept. Free some room and run "
                    "the same command again."
                ) from problem
            if "unable to open" in text or "readonly" in text:
                raise ConfigError(f"Cannot write {self.path}: {text}; choose another --output.") from problem
            if not _is_damage(problem):
                raise
            with suppress(OSError):
                _beside(self.path, "-suspect").touch()  # the next run looks through all of it
            raise DamagedJournalError(
                f"The journal {self.path} is damaged ({text}); run the same command again to recover what is readable."
            ) from problem

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """All or nothing of what is done inside."""
        with self._translated():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # SQLite itself rolls back when the disk is full
                    self._connection.execute("ROLLBACK")
                raise

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

    def copy_to(self, path: Path) -> None:
        """Write a journal of the same content to a path where there is none."""
        with self._translated():
            self._connection.execute("VACUUM INTO ?", (str(path),))

    def clear(self) -> None:
        """Forget every response and note."""
        with self._translated():
            for table in ("responses", "notes"):
                self._connection.execute(f"DELETE FROM {table}")

    def close(self) -> None:
        """Release the file."""
        self._connection.close()
        _HELD.discard(self.path.resolve())
        _beside(self.path, "-reserve").unlink(missing_ok=True)

    def delete(self) -> None:
        """Close and remove the journal: its responses are elsewhere now, or not wanted."""
        self.close()
        for suffix in ("", "-wal", "-shm", "-suspect"):
            _beside(self.path, suffix).unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _is_damage(problem: sqlite3.Error) -> bool:
    """Return whether SQLite says that the file is at fault, and not what it was asked to do."""
    code = getattr(problem, "sqlite_errorcode", None)
    if code is None:  # Python itself complains of a text that is no UTF-8
        return isinstance(problem, sqlite3.OperationalError) and "decode" in str(problem)
    return code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)
