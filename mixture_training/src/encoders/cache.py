"""Vectors of texts that were encoded before, on disk, by the hash of encoder and text.

Encoding is what costs in training and comparing; serving does not come here, because it rarely sees a text twice.
"""

import hashlib
import logging
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from dataset_build import cache_folder
from mixture_training.src.encoders.base import Embeddings, Encoder
from mixture_training.src.encoders.combined import CombinedEncoder

logger = logging.getLogger(__name__)

#: Vectors fetched, and made durable, at a time.
_PAGE = 500


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
    first = {key: row for row, key in reversed(list(enumerate(keys)))}
    try:
        with closing(_open(cache_folder() / "vectors" / f"{fingerprint}.sqlite")) as store:
            known = _read(store, list(first))
            for start in range(0, len(first), _PAGE):  # in pages, so that an interrupt keeps what is done
                missing = [key for key in list(first)[start : start + _PAGE] if key not in known]
                if not missing:
                    continue
                vectors = encoder.encode([texts[first[key]] for key in missing])
                _write(store, list(zip(missing, vectors, strict=True)))
                known |= dict(zip(missing, vectors, strict=True))
    except (sqlite3.Error, OSError) as problem:
        logger.warning("vectors are not cached: %s", problem)
        return encoder.encode(texts)
    return np.stack([known[key] for key in keys])


def _key(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _open(file: Path) -> sqlite3.Connection:
    file.parent.mkdir(parents=True, exist_ok=True)
    store = sqlite3.connect(file, timeout=30.0)
    store.execute("PRAGMA journal_mode=WAL")
    store.execute("PRAGMA synchronous=NORMAL")
    store.execute("CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB NOT NULL) WITHOUT ROWID")
    return store


def _read(store: sqlite3.Connection, keys: Sequence[bytes]) -> dict[bytes, Embeddings]:
    found: dict[bytes, Embeddings] = {}
    for start in range(0, len(keys), _PAGE):
        page = keys[start : start + _PAGE]
        marks = ",".join("?" * len(page))
        rows = store.execute(f"SELECT key, vector FROM vectors WHERE key IN ({marks})", page)  # noqa: S608 - only marks
        found |= {key: np.frombuffer(vector, dtype=np.float32) for key, vector in rows}
    return found


def _write(store: sqlite3.Connection, pairs: Sequence[tuple[bytes, Embeddings]]) -> None:
    with store:
        store.executemany(
            "INSERT OR REPLACE INTO vectors VALUES (?, ?)",
            [(key, np.ascontiguousarray(vector, dtype=np.float32).tobytes()) for key, vector in pairs],
        )
