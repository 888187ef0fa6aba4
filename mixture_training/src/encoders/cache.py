"""Vectors of texts that were encoded before, on disk, by the hash of encoder and text.

Encoding is what costs in training and comparing; serving does not come here, because it rarely sees a text twice.
"""

import hashlib
import logging
import os
import sqlite3
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import numpy as np

from dataset_build import cache_folder
from mixture_training.src.encoders.base import Embeddings, Encoder
from mixture_training.src.encoders.combined import CombinedEncoder

logger = logging.getLogger(__name__)

T = TypeVar("T")

#: Bytes the files of all encoders may have together: about a million vectors of MiniLM.
MOST_BYTES = 2 << 30
#: Vectors fetched, and made durable, at a time.
_PAGE = 500
#: Seconds to wait for another process that writes.
_PATIENCE_S = 30.0
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def encode_cached(encoder: Encoder, texts: Sequence[str]) -> Embeddings:
    """Return `encoder.encode(texts)`, taking from the cache what it holds and adding the rest.

    An encoder without a fingerprint (one that is fitted, or too fast to be worth it) is asked directly. A cache that
    cannot be read or written costs time, and nothing else.
    """
    if isinstance(encoder, CombinedEncoder):
        return np.concatenate([encode_cached(part, texts) for part in encoder.parts], axis=1)
    fingerprint = encoder.fingerprint()
    if fingerprint is None or not texts:
        return encoder.encode(texts)
    keys = [_key(text) for text in texts]
    text_of = dict(zip(keys, texts, strict=True))
    store = VectorStore(cache_folder() / "vectors" / f"{fingerprint}.sqlite")
    try:
        known = store.read(list(text_of))
        missing = [key for key in text_of if key not in known]
        for start in range(0, len(missing), _PAGE):  # in pages, so that an interrupt keeps what is done
            page = missing[start : start + _PAGE]
            encoded = dict(zip(page, encoder.encode([text_of[key] for key in page]), strict=True))
            store.write(encoded)
            known |= encoded
    finally:
        store.close()
    return np.stack([known[key] for key in keys])


class VectorStore:
    """The vectors of one encoder in one SQLite file, which several processes may use at a time.

    A damaged file is replaced. Where that does not help (a full disk, a folder that cannot be written), a warning says
    so once and the store holds nothing from then on.

    Args:
        file: Made where it is absent, and its folder too. The files in that folder that were used longest ago are
            deleted until all of them together have at most `most_bytes`.
        most_bytes: Of all files of the folder.
    """

    def __init__(self, file: Path, *, most_bytes: int = MOST_BYTES) -> None:
        self._file = file
        self._most_bytes = most_bytes
        self._connection: sqlite3.Connection | None = None
        self._usable = True

    def read(self, keys: Sequence[bytes]) -> dict[bytes, Embeddings]:
        """Return those vectors that are there and whole, by key."""

        def work(connection: sqlite3.Connection) -> dict[bytes, Embeddings]:
            found: dict[bytes, Embeddings] = {}
            for start in range(0, len(keys), _PAGE):
                page = keys[start : start + _PAGE]
                marks = ",".join("?" * len(page))
                query = f"SELECT key, vector FROM vectors WHERE key IN ({marks})"  # noqa: S608 - only marks
                found |= {
                    key: vector
                    for key, content in connection.execute(query, page)
                    if (vector := _unpacked(content)) is not None
                }
            return found

        found = self._attempt(work) or {}
        sizes = {len(vector) for vector in found.values()}
        return found if len(sizes) == 1 else {}

    def write(self, vectors: dict[bytes, Embeddings]) -> None:
        """Keep vectors, durable when this returns."""

        def work(connection: sqlite3.Connection) -> None:
            with connection:
                connection.executemany(
                    "INSERT OR REPLACE INTO vectors VALUES (?, ?)",
                    [(key, _packed(vector)) for key, vector in vectors.items()],
                )

        self._attempt(work)

    def close(self) -> None:
        """Close the file."""
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    def _attempt(self, work: Callable[[sqlite3.Connection], T]) -> T | None:
        """Return what `work` returns; None where the file cannot be used."""
        for may_replace in (True, False):
            if not self._usable:
                break
            try:
                if self._connection is None:
                    self._connection = self._opened()
                return work(self._connection)
            except (sqlite3.Error, OSError) as problem:
                self.close()
                if may_replace and getattr(problem, "sqlite_errorcode", None) in _DAMAGED:
                    logger.warning("%s is damaged (%s) and is begun anew", self._file, problem)
                    _delete(self._file)
                else:
                    logger.warning("vectors are not cached: %s", problem)
                    self._usable = False
        return None

    def _opened(self) -> sqlite3.Connection:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        if self._file.exists():
            os.utime(self._file)  # the time of its last use, whatever SQLite writes and where
        _make_room(self._file.parent, self._most_bytes)
        # Whoever writes waits for their turn before they read, and nobody can then wait for another in a circle. The
        # journal stays SQLite's usual one: several processes that switch a new file to another at once do fail.
        connection = sqlite3.connect(self._file, timeout=_PATIENCE_S, isolation_level="IMMEDIATE")
        try:
            with connection:
                connection.execute("BEGIN IMMEDIATE")
                connection.execute(
                    "CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB NOT NULL) WITHOUT ROWID"
                )
        except BaseException:
            connection.close()
            raise
        return connection


def _key(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _packed(vector: Embeddings) -> bytes:
    content = np.ascontiguousarray(vector, dtype="<f4").tobytes()
    return content + zlib.crc32(content).to_bytes(4, "little")


def _unpacked(content: bytes) -> Embeddings | None:
    """Return the vector, or None where a bit of it has changed, which SQLite does not notice."""
    if len(content) < 4 or len(content) % 4 or zlib.crc32(content[:-4]).to_bytes(4, "little") != content[-4:]:
        return None
    return np.frombuffer(content[:-4], dtype="<f4").astype(np.float32)


def _make_room(folder: Path, most_bytes: int) -> None:
    """Delete the files used longest ago until the rest has at most `most_bytes`."""
    files = []
    for file in folder.glob("*.sqlite"):
        with suppress(OSError):  # another process makes room too
            facts = file.stat()
            files.append((facts.st_mtime_ns, file.name, facts.st_size))
    total = sum(size for _, _, size in files)
    for _, name, size in sorted(files):
        if total <= most_bytes:
            break
        _delete(folder / name)
        total -= size


def _delete(file: Path) -> None:
    for ending in ("", "-journal"):
        with suppress(OSError):
            file.with_name(file.name + ending).unlink()
