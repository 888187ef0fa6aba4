"""Decisions on their way to the database: appended to a file in microseconds, written to the database by a thread.

A file belongs to the process that holds its lock. Each line is a decision behind its CRC-32; a file whose process is
gone is taken over by whoever looks next, so that neither a killed server nor a database that is away loses anything.
"""

import binascii
import fcntl
import logging
import os
import random
import threading
import time
import zlib
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from dataset_build import ConfigError, DataError
from mixture_training.src.decisions import Decision, new_id
from mixture_training.src.storing.database import StoreUnavailableError
from mixture_training.src.storing.rows import COLUMNS, FEATURES, charges, to_json, to_row

if TYPE_CHECKING:
    from mixture_training.src.feedback_store import FeedbackStore

logger = logging.getLogger(__name__)

#: Decisions written to the database in one transaction.
BATCH = 200
#: Seconds that decisions are collected for before they are written.
LINGER_S = 0.02
#: A file this long is followed by a new one, so that it can be deleted when all of it is in the database.
SEGMENT_BYTES = 32 << 20
#: Seconds between two tries while the database is away, at first and at most.
RETRY_S, LONGEST_RETRY_S = 0.05, 5.0
#: Seconds between two looks for the files of processes that are gone.
LOOK_S = 5.0
#: Bytes that are read at once.
_READ_BYTES = 1 << 20
_USER, _CREATED = COLUMNS.index("user_hash"), COLUMNS.index("created")
#: Where what the database refuses for good is kept, in the folder of the spool.
REJECTED = "rejected.lines"


class _Segment:
    """One file of the spool whose lock is held; `size` and `drained` are ends of whole lines."""

    def __init__(self, path: Path, descriptor: int, *, is_own: bool) -> None:
        self.path, self.descriptor, self.is_own = path, descriptor, is_own
        self.size = os.fstat(descriptor).st_size
        self.drained = 0

    @classmethod
    def make(cls, folder: Path) -> "_Segment":
        """Make a file that nobody takes for one without an owner: it gets its name when it is locked."""
        name = f"{os.getpid()}-{new_id()}"
        making = folder / f".{name}.part"
        descriptor = os.open(making, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_APPEND | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path = folder / f"{name}.jsonl"
        making.rename(path)
        return cls(path, descriptor, is_own=True)

    @classmethod
    def take(cls, path: Path) -> "_Segment | None":
        """Take over a file; None when its process lives, or another was faster."""
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(descriptor), os.stat(path)):
                return cls(path, descriptor, is_own=False)
        except OSError:
            pass
        os.close(descriptor)
        return None

    def read(self, most: int) -> tuple[list[bytes], int]:
        """Return at most `most` whole lines that are not drained, and where they end."""
        want = _READ_BYTES
        while True:
            data = os.pread(self.descriptor, min(want, self.size - self.drained), self.drained)
            whole = data.rfind(b"\n") + 1
            if whole or len(data) == self.size - self.drained or not data:
                break
            want *= 2  # a line longer than this
        if not whole:  # a line torn by the end of its process, or nothing
            return [], self.size
        lines = data[:whole].splitlines(keepends=True)[:most]
        return lines, self.drained + sum(map(len, lines))

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)
        os.close(self.descriptor)


class DecisionWriter:
    """Takes decisions at once and sees to it that they get into the store; for use from several threads.

    What `append` has returned from survives the end of the process (a power cut may take the last moments), is in the
    database about 20 ms later, or when it is back, and is in it once. Texts are in the spool where they are in the
    decision: it holds no more than the database gets, and nothing once that has it. Files are readable by their owner
    only.

    Args:
        store: Where to; not closed by the writer.
        folder: Of the spool, on a local disk; None means `<file of the store>.spool`.

    Raises:
        ConfigError: the folder cannot be written, or none was given and the store is no file.
    """

    def __init__(self, store: "FeedbackStore", folder: Path | str | None = None) -> None:
        self._store = store
        self._folder = spool_folder(store, folder)
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._current = _Segment.make(self._folder)
        except OSError as problem:
            raise ConfigError(
                f"Cannot write the spool {self._folder}: {problem.strerror or problem}. Give another folder."
            ) from None
        self._segments: deque[_Segment] = deque([self._current])
        self._lock = threading.Lock()
        self._progress = threading.Condition(self._lock)
        self._work, self._hurry, self._end = threading.Event(), threading.Event(), threading.Event()
        self._appended = self._drained = self._lost = 0
        self._is_away = self._is_full = self._is_closed = False
        self._looked = -LOOK_S
        self._thread = threading.Thread(target=self._run, name="moe-spool", daemon=True)
        self._thread.start()

    @property
    def folder(self) -> Path:
        """Where the spool lies."""
        return self._folder

    @property
    def pending(self) -> int:
        """How many appended decisions are not in the database yet."""
        return self._appended - self._drained

    @property
    def lost(self) -> int:
        """How many decisions could not be appended."""
        return self._lost

    @property
    def is_away(self) -> bool:
        """Whether the database did not take the last batch."""
        return self._is_away

    def append(self, decision: Decision) -> None:
        """Take a decision; microseconds, no waiting for the database.

        Raises:
            StoreUnavailableError: the disk is full or fails: the decision is counted in `lost` and logged once, and
                whoever called may give his answer all the same.
            ConfigError: the writer is closed.
        """
        line = to_line(to_row(decision))
        with self._lock:
            if self._is_closed:
                raise ConfigError("This writer is closed; make another.")
            try:
                if self._current.size >= SEGMENT_BYTES:
                    self._current = _Segment.make(self._folder)
                    self._segments.append(self._current)
                self._write(line)
            except OSError as problem:
                self._lost += 1
                raise self._full(problem) from None
            self._is_full = False
            self._appended += 1
            if decision.key_id is not None:
                self._store.keys.note_spooled(decision.key_id, decision.cost)
        if not self._work.is_set():
            self._work.set()

    def _write(self, line: bytes) -> None:
        current = self._current
        try:
            written = os.write(current.descriptor, line)
            while written < len(line):
                written += os.write(current.descriptor, line[written:])
        except OSError:
            os.ftruncate(current.descriptor, current.size)  # no half of a line before the next
            raise
        current.size += len(line)

    def _full(self, problem: OSError) -> StoreUnavailableError:
        error = StoreUnavailableError(
            f"A decision cannot be written to {self._folder}: {problem.strerror or problem}. Make room there."
        )
        if not self._is_full:
            logger.error("%s Until then decisions are lost, and answers given all the same.", error)
        self._is_full = True
        return error

    def flush(self, timeout_s: float = 10.0) -> bool:
        """Wait until all that was appended before is in the database; return whether it is."""
        until = time.monotonic() + timeout_s
        with self._progress:
            target = self._appended
            while self._drained < target:
                self._hurry.set()
                if not self._thread.is_alive() or not self._progress.wait(max(0.0, until - time.monotonic())):
                    return self._drained >= target
        return True

    def close(self, timeout_s: float = 10.0) -> bool:
        """Write what is pending, within the time, and stop; what is left is taken over by the next writer.

        Returns:
            Whether everything is in the database.
        """
        if self._is_closed:
            return self.pending == 0
        until = time.monotonic() + timeout_s
        with self._lock:
            self._is_closed = True
        self.flush(timeout_s)
        self._end.set()
        self._hurry.set()
        self._work.set()
        self._thread.join(max(0.1, until - time.monotonic()))
        if self._thread.is_alive():  # it waits for the database, and lets go of its files when the process ends
            return False
        for segment in self._segments:
            if segment.drained == segment.size:
                segment.remove()
            else:
                os.close(segment.descriptor)
        self._segments.clear()
        return self.pending == 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self) -> None:
        delay = RETRY_S
        while not self._end.is_set():
            self._work.clear()
            try:
                self._take_over()
                while self._drain_some() and not self._end.is_set():
                    pass
                self._is_away, delay = False, RETRY_S
            except Exception as problem:
                if not self._is_away:
                    known = isinstance(problem, StoreUnavailableError)
                    logger.warning("decisions wait in %s: %s", self._folder, problem, exc_info=not known)
                self._is_away = True
                self._pause(delay * random.uniform(0.5, 1.0))
                delay = min(2 * delay, LONGEST_RETRY_S)
                continue
            self._work.wait(LOOK_S)
            self._pause(LINGER_S)

    def _pause(self, seconds: float) -> None:
        """Wait, shorter when somebody waits for the end."""
        if self._hurry.wait(seconds):
            self._hurry.clear()
            self._end.wait(RETRY_S if self._is_away else 0.0)

    def _take_over(self) -> None:
        if time.monotonic() - self._looked < LOOK_S:
            return
        self._looked = time.monotonic()
        with self._lock:
            mine = {segment.path for segment in self._segments}
        for segment in left_behind(self._folder, mine):
            logger.info("taking over %s", segment.path.name)
            with self._lock:
                self._segments.appendleft(segment)

    def _drain_some(self) -> bool:
        """Write the next batch to the database; return whether there may be more."""
        with self._lock:
            segment = self._segments[0]
            if segment.drained == segment.size:
                if segment is self._current:
                    if segment.size:
                        os.ftruncate(segment.descriptor, 0)
                        segment.size = segment.drained = 0
                    return False
                self._segments.popleft()
                segment.remove()
                return True
        lines, end = segment.read(BATCH)
        count = drain(self._store, lines, self._folder)
        with self._progress:
            segment.drained = end
            if segment.is_own:
                self._drained += len(lines)
                self._store.keys.note_drained(count)
            self._progress.notify_all()
        return True


def spool_folder(store: "FeedbackStore", folder: Path | str | None = None) -> Path:
    """Return the folder of a store's spool.

    Raises:
        ConfigError: the store is no file, and no folder is given.
    """
    if folder is not None:
        return Path(folder)
    if store.path is None:
        raise ConfigError(f"Say where decisions on their way to {store.place} are kept: a folder on a local disk.")
    return store.path.with_name(f"{store.path.name}.spool")


def drain_left_behind(store: "FeedbackStore", folder: Path | str | None = None) -> int:
    """Write to the store what processes that are gone have left in the spool, and return how many decisions.

    Raises:
        StoreUnavailableError: the database is away; nothing is lost.
    """
    place, count = spool_folder(store, folder), 0
    for segment in left_behind(place, set()):
        while segment.drained < segment.size:
            lines, end = segment.read(BATCH)
            try:
                drain(store, lines, place)
            except StoreUnavailableError:
                os.close(segment.descriptor)
                raise
            segment.drained, count = end, count + len(lines)
        segment.remove()
    return count


def left_behind(folder: Path, known: set[Path]) -> list[_Segment]:
    """Return the files of processes that are gone, taken over."""
    found = (path for path in sorted(folder.glob("*.jsonl")) if path not in known)
    return [segment for path in found if (segment := _Segment.take(path)) is not None]


def drain(store: "FeedbackStore", lines: Sequence[bytes], folder: Path) -> dict[str, int]:
    """Write lines to the store; those that nobody can read, or no database takes, are put aside.

    Returns:
        What the decisions cost each key, in billionths of a dollar.
    """
    rows: list[tuple[bytes, list[Any]]] = []
    for line in lines:
        row = from_line(line)
        if row is None:
            _reject(folder, line, "is damaged")
        else:
            rows.append((line, row))
    _write_rows(store, rows, folder)
    return charges(row for _, row in rows)


def _write_rows(store: "FeedbackStore", rows: Sequence[tuple[bytes, list[Any]]], folder: Path) -> None:
    """Write the rows; one that the database refuses is found by halving, and put aside."""
    if not rows:
        return
    try:
        store.remember_rows([row for _, row in rows])
    except DataError as problem:
        if len(rows) == 1:
            _reject(folder, rows[0][0], f"is refused: {problem}")
            return
        for half in (rows[: len(rows) // 2], rows[len(rows) // 2 :]):
            _write_rows(store, half, folder)


def _reject(folder: Path, line: bytes, why: str) -> None:
    logger.error("a decision %s It is kept in %s.", why if why.endswith(".") else f"{why}.", folder / REJECTED)
    descriptor = os.open(folder / REJECTED, os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)  # `forget_rejected` may be at it
        os.write(descriptor, line)
    finally:
        os.close(descriptor)


def forget_rejected(folder: Path, *, user: str | None = None, before: str | None = None) -> int:
    """Remove what was put aside of a user, or from before a moment; return how many lines.

    A damaged line goes in either case: nobody can tell whose it is, or when it was written.

    Args:
        folder: Of the spool.
        user: Hashed, as decisions have it.
        before: ISO 8601, UTC.
    """
    try:
        file = (folder / REJECTED).open("r+b")
    except FileNotFoundError:
        return 0
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        lines = file.readlines()
        kept = []
        for line in lines:
            row = from_line(line)
            if row is not None and not (row[_USER] == user if before is None else row[_CREATED] < before):
                kept.append(line)
        file.seek(0)
        file.writelines(kept)
        file.truncate()
    return len(lines) - len(kept)


def to_line(row: Sequence[Any]) -> bytes:
    """Return a row as a line: the CRC-32 of what follows in hex, and the values as JSON."""
    values = list(row)
    if values[FEATURES] is not None:
        values[FEATURES] = binascii.b2a_base64(values[FEATURES], newline=False).decode("ascii")
    body = to_json(values).encode("utf-8")
    return b"%08x %b\n" % (zlib.crc32(body), body)


def from_line(line: bytes) -> list[Any] | None:
    """Return the row of a line; None when it is damaged."""
    from pydantic_core import from_json

    body = line[9:-1]
    try:
        if int(line[:8], 16) != zlib.crc32(body):
            return None
        values = from_json(body)
    except ValueError:
        return None
    if not isinstance(values, list) or len(values) != len(COLUMNS):
        return None
    if values[FEATURES] is not None:
        values[FEATURES] = binascii.a2b_base64(values[FEATURES])
    return values
