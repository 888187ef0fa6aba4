"""Save what can be read of a damaged journal into a new one; the damaged file is kept beside it."""

import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from dataset_build.src.errors import DataError


def salvage(path: Path, schema: str, version: int) -> tuple[int, Path]:
    """Replace a damaged journal by a new one with every row that can still be read.

    Rows are read from both ends, because a damaged page hides what comes after it.

    Args:
        path: The journal.
        schema: The statements that make an empty one.
        version: Of the schema.

    Returns:
        How many responses were saved, and where the damaged file is now.

    Raises:
        DataError: nothing can be read; the file is left as it is.
    """
    fresh_path = path.with_name(path.name + "-salvaged")
    fresh_path.unlink(missing_ok=True)
    damaged = sqlite3.connect(path, timeout=0)
    fresh = sqlite3.connect(fresh_path)
    try:
        fresh.executescript(schema)
        known = [row[1] for row in fresh.execute("PRAGMA table_info(responses)")]
        for table, key in (("responses", "instruction_id"), ("notes", "key")):
            for order in ("ASC", "DESC"):
                _copy(damaged, fresh, table, known if table == "responses" else ["key", "value"], f"{key} {order}")
        fresh.execute(f"PRAGMA user_version = {version}")
        fresh.commit()
        kept: int = fresh.execute("SELECT count(*) FROM responses").fetchone()[0]
    finally:
        damaged.close()
        fresh.close()
    if not kept:
        fresh_path.unlink()
        raise DataError(
            f"The journal {path} is damaged and nothing in it can be read; delete it to start this build anew."
        )
    aside = path.with_name(path.name + "-damaged")
    path.replace(aside)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    fresh_path.replace(path)
    return kept, aside


def _copy(damaged: sqlite3.Connection, fresh: sqlite3.Connection, table: str, known: list[str], order: str) -> None:
    have = known
    with suppress(sqlite3.Error):  # an older journal has fewer columns
        have = [row[1] for row in damaged.execute(f"PRAGMA table_info({table})")] or known
    columns = ", ".join(name for name in known if name in have)
    marks = ", ".join("?" * len([name for name in known if name in have]))
    for row in _readable(damaged, f"SELECT {columns} FROM {table} ORDER BY {order}"):
        with suppress(sqlite3.IntegrityError):  # a row that breaks the rules of the table is damage too
            fresh.execute(f"INSERT OR IGNORE INTO {table} ({columns}) VALUES ({marks})", row)


def _readable(connection: sqlite3.Connection, query: str) -> Iterator[tuple[object, ...]]:
    """Yield rows until the first that cannot be read."""
    try:
        yield from connection.execute(query)
    except (sqlite3.Error, UnicodeDecodeError):
        return
