"""The instructions of a build, kept on disk while it runs, so that their number costs no memory.

A private temporary SQLite database that vanishes with the process: the sources are read anew by every run.
"""

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from dataset_build.src.errors import DataError, EarlyStopError
from dataset_build.src.records import Instruction

#: Instructions fetched at a time.
PAGE = 512

_SCHEMA = """
CREATE TABLE instructions (
    position INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    text BLOB NOT NULL,
    category BLOB,
    reference BLOB,
    source BLOB,
    split BLOB,
    metric BLOB,
    extra TEXT,
    text_key INTEGER NOT NULL,
    is_known INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX given_splits ON instructions (text_key) WHERE split IS NOT NULL;
"""
_COLUMNS = "id, text, category, reference, source, split, metric, extra"


class InstructionStore:
    """Instructions in the order they were added, each id once.

    Args:
        instructions: The first ones.

    Raises:
        DataError: one id stands for two texts.
    """

    def __init__(self, instructions: Iterable[Instruction] = ()) -> None:
        # An empty name is a temporary database: SQLite keeps it in its small cache and spills to a nameless file.
        self._connection = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode = OFF")
        self._connection.executescript(_SCHEMA)
        self._connection.execute("BEGIN")  # nothing here outlives the process, so there is nothing to commit
        self._count = 0
        for instruction in instructions:
            self.add(instruction)

    def add(self, instruction: Instruction) -> bool:
        """Add an instruction at the end; returns False where its id, and so its text, is there already.

        Raises:
            DataError: the id is there with another text.
            EarlyStopError: the disk that temporary files are on is full.
        """
        row = (*_row(instruction), text_key(instruction.text))
        try:
            added = self._connection.execute(
                f"INSERT INTO instructions ({_COLUMNS}, text_key) VALUES ({', '.join('?' * len(row))}) "
                "ON CONFLICT (id) DO NOTHING",
                row,
            ).rowcount
        except sqlite3.OperationalError as problem:
            if "full" not in str(problem) and "disk I/O" not in str(problem):
                raise
            raise EarlyStopError(
                f"The disk is full that temporary files are on ({len(self):,} instructions are read); free some room, "
                "or name another folder in the environment variable SQLITE_TMPDIR, and run the same command again."
            ) from None
        if added:
            self._count += 1
            return True
        earlier = self._connection.execute("SELECT text FROM instructions WHERE id = ?", (row[0],)).fetchone()[0]
        if earlier != row[1]:
            raise DataError(
                f"Instruction id {instruction.id!r} stands for two texts, {_decoded(earlier)[:40]!r} and "
                f"{instruction.text[:40]!r}; give each its own id, or leave the column out."
            )
        return False

    def merge(self, existing: Iterable[Instruction], *, keeps_metric: bool) -> None:
        """Add the instructions of a dataset that is continued.

        One that is here too keeps the split it has there, and, if told to, the metric where it names none itself.
        """
        for instruction in existing:
            if self.add(instruction):
                continue
            self._connection.execute(
                "UPDATE instructions SET split = coalesce(?, split), metric = coalesce(metric, ?) WHERE id = ?",
                (
                    _blob(instruction.split),
                    _blob(instruction.metric if keeps_metric else None),
                    _encoded(instruction.id),
                ),
            )

    def mark_known(self, ids: Iterable[str]) -> int:
        """Mark those of the ids that are here as known from a dataset that is continued; returns how many are not."""
        self._connection.executemany(
            "UPDATE instructions SET is_known = 1 WHERE id = ?", ((_encoded(key),) for key in ids)
        )
        unknown: int = self._connection.execute("SELECT count(*) FROM instructions WHERE NOT is_known").fetchone()[0]
        return unknown

    def unknown_of(self, text: str) -> list[Instruction]:
        """Return the instructions of this text that are not marked as known, in order."""
        rows = self._unknown(_COLUMNS, text_key(text))
        return [one for one in map(_instruction, rows) if one.text == text]

    def unknown_with(self, key: int) -> list[str]:
        """Return the ids of instructions whose text has this `text_key` and that are not marked as known, in order."""
        return [_decoded(row[0]) for row in self._unknown("id", key)]

    def _unknown(self, columns: str, key: int) -> list[tuple[Any, ...]]:
        self._connection.execute("CREATE INDEX IF NOT EXISTS unknown ON instructions (text_key) WHERE NOT is_known")
        return self._connection.execute(
            f"SELECT {columns} FROM instructions WHERE text_key = ? AND NOT is_known ORDER BY position", (key,)
        ).fetchall()

    def rename(self, instruction: Instruction, like: Instruction) -> None:
        """Give an instruction that is here the id and the source of another one, as which it is known."""
        self._connection.execute(
            "UPDATE instructions SET id = ?, source = ?, is_known = 1 WHERE id = ?",
            (_encoded(like.id), _blob(like.source), _encoded(instruction.id)),
        )

    def set_extra(self, instruction: Instruction, key: str, value: Any) -> None:  # noqa: ANN401 - any JSON value
        """Put a value into a further column of an instruction that is here."""
        extra = json.dumps({**instruction.extra, key: value}, default=str)
        self._connection.execute("UPDATE instructions SET extra = ? WHERE id = ?", (extra, _encoded(instruction.id)))

    def __len__(self) -> int:
        return self._count

    def __contains__(self, key: str) -> bool:
        """Whether an instruction of this id is here."""
        found = self._connection.execute("SELECT 1 FROM instructions WHERE id = ?", (_encoded(key),)).fetchone()
        return found is not None

    def text_keys(self, ids: Sequence[str]) -> dict[str, int]:
        """Return the `text_key` of those of the ids that are here."""
        rows = self._connection.execute(
            f"SELECT id, text_key FROM instructions WHERE id IN ({', '.join('?' * len(ids))})",
            [_encoded(key) for key in ids],
        )
        return {_decoded(key): text for key, text in rows}

    def __iter__(self) -> Iterator[Instruction]:
        """Yield the instructions in order; several iterations may go on at a time."""
        for page in self.pages():
            yield from page

    def pages(self, size: int = PAGE) -> Iterator[list[Instruction]]:
        """Yield the instructions in order, `size` at a time."""
        after = 0
        while rows := self._connection.execute(
            f"SELECT position, {_COLUMNS} FROM instructions WHERE position > ? ORDER BY position LIMIT ?",
            (after, size),
        ).fetchall():
            after = rows[-1][0]
            yield [_instruction(row[1:]) for row in rows]

    def by_id(self) -> Iterator[Instruction]:
        """Yield the instructions sorted by id."""
        after: bytes | str = ""  # any text sorts before every blob, the empty one too
        while rows := self._connection.execute(
            f"SELECT {_COLUMNS} FROM instructions WHERE id > ? ORDER BY id LIMIT ?", (after, PAGE)
        ).fetchall():
            after = rows[-1][0]
            yield from map(_instruction, rows)

    def metrics(self) -> set[str]:
        """Return the metrics that instructions name."""
        rows = self._connection.execute("SELECT DISTINCT metric FROM instructions WHERE metric IS NOT NULL")
        return {_decoded(row[0]) for row in rows}

    def given_splits(self, text: str) -> set[str]:
        """Return the splits that sources gave to instructions of this text."""
        rows = self._connection.execute(
            "SELECT split, text FROM instructions WHERE text_key = ? AND split IS NOT NULL", (text_key(text),)
        )
        wanted = _encoded(text)
        return {_decoded(split) for split, other in rows if other == wanted}

    def extras(self) -> Iterator[dict[str, Any]]:
        """Yield the further columns of every instruction that has some."""
        after = 0
        while rows := self._connection.execute(
            "SELECT position, extra FROM instructions WHERE position > ? AND extra IS NOT NULL "
            "ORDER BY position LIMIT ?",
            (after, PAGE),
        ).fetchall():
            after = rows[-1][0]
            yield from (json.loads(row[1]) for row in rows)

    def close(self) -> None:
        """Forget the instructions."""
        self._connection.close()

    def __enter__(self) -> "InstructionStore":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _encoded(text: str) -> bytes:
    """Return a text as bytes: SQLite's own texts hold neither lone surrogates nor, in part, zero characters."""
    return text.encode("utf-8", "surrogatepass")


def _decoded(value: bytes) -> str:
    return value.decode("utf-8", "surrogatepass")


def _blob(text: str | None) -> bytes | None:
    return None if text is None else _encoded(text)


def _text_or_none(value: bytes | None) -> str | None:
    return None if value is None else _decoded(value)


def _row(instruction: Instruction) -> tuple[object, ...]:
    return (
        _encoded(instruction.id),
        _encoded(instruction.text),
        _blob(instruction.category),
        _blob(instruction.reference),
        _blob(instruction.source),
        _blob(instruction.split),
        _blob(instruction.metric),
        json.dumps(dict(instruction.extra), default=str) if instruction.extra else None,
    )


def _instruction(row: tuple[Any, ...]) -> Instruction:
    key, text, category, reference, source, split, metric, extra = row
    return Instruction(
        id=_decoded(key),
        text=_decoded(text),
        category=_text_or_none(category),
        reference=_text_or_none(reference),
        source=_text_or_none(source),
        split=_text_or_none(split),
        metric=_text_or_none(metric),
        extra=json.loads(extra) if extra else {},
    )


def text_key(text: str) -> int:
    """Return 64 bits that tell a text from others."""
    return int.from_bytes(hashlib.blake2b(_encoded(text), digest_size=8).digest(), "big", signed=True)
