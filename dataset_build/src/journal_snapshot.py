"""A copy of a journal for whoever only looks, also while a build is writing to it."""

import sqlite3
from contextlib import closing
from pathlib import Path
from shutil import copyfile

from dataset_build.src.journal_file import JournalInUseError
from dataset_build.src.response_store import AT_MOST_USD, ResponseStore

#: How often the files are copied before a build that writes too fast is given up on.
TRIES = 50


def snapshot(path: Path, target: Path) -> None:
    """Write the journal at `path` to a path where there is none; of one that is being written, what is durable now.

    Raises:
        ConfigError: it cannot be read, this very process is writing to it, or it changes faster than it is copied.
        DataError: as `ResponseStore`.
    """
    try:
        with ResponseStore(path) as store:
            store.copy_to(target)
    except JournalInUseError:
        if ResponseStore.is_held_here(path) or not any(_copy(path, target) for _ in range(TRIES)):
            raise
        with closing(sqlite3.connect(target, isolation_level=None)) as copy:
            copy.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            copy.execute("PRAGMA journal_mode = DELETE")
            copy.execute("DELETE FROM notes WHERE key = ?", (AT_MOST_USD,))  # what is in flight is not lost


def _copy(path: Path, target: Path) -> bool:
    """Copy file and write-ahead log; returns whether they belong together: the file did not change meanwhile.

    What is appended to the log while it is copied is there or not; its checksums tell which.
    """
    before = path.stat()
    for suffix in ("", "-wal"):
        source = path.with_name(path.name + suffix)
        if source.is_file():
            copyfile(source, target.with_name(target.name + suffix))
    after = path.stat()
    return (before.st_mtime_ns, before.st_size) == (after.st_mtime_ns, after.st_size)
