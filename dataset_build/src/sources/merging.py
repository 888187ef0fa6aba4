"""One row per instruction, out of a table that has one per instruction and expert; done on disk, whatever its size."""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

_ADD = """
INSERT INTO rows (key, cells) VALUES (?, ?)
ON CONFLICT (key) DO UPDATE SET cells = json_patch(excluded.cells, cells)
"""


def merged(rows: Iterable[tuple[bytes, Mapping[str, Any]]]) -> Iterator[dict[str, Any]]:
    """Yield one row per key, in the order of their first appearance; of each column the first cell that is there.

    Args:
        rows: Key and the cells of the row that are not empty. What JSON does not know becomes text, bytes as UTF-8.
    """
    # An empty name is a temporary database that vanishes when it is closed.
    connection = sqlite3.connect("", isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("CREATE TABLE rows (position INTEGER PRIMARY KEY, key BLOB UNIQUE, cells TEXT)")
        connection.execute("BEGIN")
        # Each cell is JSON inside JSON, so that a cell which is an object is taken whole and not mixed with another.
        connection.executemany(
            _ADD,
            (
                (key, json.dumps({name: json.dumps(cell, default=_as_text) for name, cell in row.items()}))
                for key, row in rows
            ),
        )
        for (cells,) in connection.execute("SELECT cells FROM rows ORDER BY position"):
            yield {name: json.loads(cell) for name, cell in json.loads(cells).items()}
    finally:
        connection.close()


def _as_text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
