"""A file to import: how it is laid out, its first records, and all of them in turn, gzip or not.

Files are looked into before they are read, so that a format is recognised without loading anything.
"""

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping
from functools import cached_property
from itertools import islice
from pathlib import Path, PosixPath
from typing import Any

from dataset_build.src.errors import ConfigError, DataError
from dataset_build.src.registry import nearest
from dataset_build.src.sources.files import _READERS

#: Endings that are read; each but Parquet may be followed by `.gz`.
ENDINGS = (".csv", ".json", ".jsonl", ".parquet")
PICKLES = (".pkl", ".pickle")
#: Records looked at to recognise a format.
LOOK_AHEAD = 20
#: Bytes of a `.json` file looked at before the whole is read.
HEAD = 65_536


class _GzipPath(PosixPath):
    """A path whose `open` decompresses."""

    def open(self, mode: str = "r", *_: object, **options: Any) -> Any:  # noqa: ANN401
        return gzip.open(self, mode if "b" in mode else "rt", **options)


class InputFile:
    """One file; CSV, JSON lines, Parquet or JSON.

    Args:
        path: The file. In CSV an empty cell is a null.

    Attributes:
        ending: One of `ENDINGS`: what it holds, whatever it is called (JSON lines in a `.json` file are `.jsonl`).
        position: Where the record is that was yielded last, for messages.

    Raises:
        ConfigError: it is not there, cannot be read, has another ending, or is a pickle.
    """

    def __init__(self, path: Path) -> None:
        zipped = path.suffix.lower() == ".gz"
        self.path: Path = _GzipPath(path) if zipped else path
        self.ending = (path.with_suffix("") if zipped else path).suffix.lower()
        self.position = ""
        if not path.is_file():
            raise ConfigError(f"No such file: {path}.")
        _refuse_pickle(self._first_bytes(2), self.path, self.ending)
        if self.ending not in ENDINGS or (zipped and self.ending == ".parquet"):
            raise ConfigError(
                f"{path} ends in {path.suffix!r}.{nearest(path.suffix, list(ENDINGS))} Expected one of "
                f"{', '.join(ENDINGS)} (or .csv.gz, .json.gz, .jsonl.gz); unpack archives first."
            )
        if self.ending == ".json" and _is_lines(self._head):
            self.ending = ".jsonl"

    def __str__(self) -> str:
        return str(self.path)

    @property
    def where(self) -> str:
        """The file and the record it is at, for messages."""
        return f"{self.path}, {self.position}" if self.position else str(self.path)

    @cached_property
    def sample(self) -> list[Mapping[str, Any]]:
        """The first records; empty for a JSON object."""
        if self.ending != ".json":
            return [record for _, record in islice(_read(self.path, self.ending), LOOK_AHEAD)]
        start = _start_of(self._head)
        return [start] if isinstance(start, dict) else []

    @cached_property
    def columns(self) -> list[str]:
        """Columns of a table, keys of the first records, or the keys of a JSON object."""
        if self.is_object:
            return _keys_of(self._head)
        return list(dict.fromkeys(name for record in self.sample for name in record))

    @property
    def is_object(self) -> bool:
        """Whether it is one JSON object, not a sequence of records."""
        return self.ending == ".json" and self._head.startswith("{")

    def records(self) -> Iterator[Mapping[str, Any]]:
        """Yield the records in order; CSV cells are text, or None where empty.

        Raises:
            DataError: the file is damaged; the message says where.
        """
        if self.ending == ".json":
            yield from self._listed(self.document())
            return
        for position, record in _read(self.path, self.ending):
            self.position = position
            if self.ending == ".csv":
                yield {name: cell or None for name, cell in record.items()}
            else:
                yield record

    def document(self) -> Any:  # noqa: ANN401 - any JSON value
        """Return what a `.json` file holds.

        Raises:
            DataError: it is not JSON; the message says in which line.
        """
        try:
            with self.path.open(encoding="utf-8-sig") as file:
                return json.load(file)
        except json.JSONDecodeError as problem:
            raise DataError(f"{self.path}, line {problem.lineno} is not valid JSON: {problem.msg}.") from None
        except (UnicodeDecodeError, RecursionError) as problem:
            raise DataError(f"{self.path} is not JSON in UTF-8: {problem}.") from None
        except (OSError, EOFError, zlib.error) as problem:
            raise DataError(f"Cannot read {self.path}: {problem}.") from None

    def _listed(self, document: object) -> Iterator[Mapping[str, Any]]:
        if not isinstance(document, list):
            raise DataError(f"{self.path} holds a {type(document).__name__}; a list of objects was expected.")
        for number, record in enumerate(document, start=1):
            self.position = f"record {number}"
            if not isinstance(record, dict):
                raise DataError(f"{self.where} is a {type(record).__name__}; an object was expected.")
            yield record

    @cached_property
    def _head(self) -> str:
        return self._first_bytes(HEAD).decode("utf-8-sig", "replace").lstrip()

    def _first_bytes(self, count: int) -> bytes:
        try:
            with self.path.open("rb") as file:
                return bytes(file.read(count))
        except (OSError, EOFError, zlib.error) as problem:
            raise DataError(f"Cannot read {self.path}: {problem}.") from None


def _read(path: Path, ending: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    try:
        yield from _READERS[ending](path)
    except (OSError, EOFError, zlib.error) as problem:
        raise DataError(f"Cannot read {path}: {problem}.") from None


def _refuse_pickle(head: bytes, path: Path, ending: str) -> None:
    if ending in PICKLES or (head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05")):
        raise ConfigError(
            f"{path} is a pickle, and loading one runs whatever code its author put in, so it is not read. "
            "Convert it in a throw-away environment (a container without network, keys or your files): "
            f"python -c \"import pandas; pandas.read_pickle('{path.name}').to_parquet('table.parquet')\"; "
            "then import table.parquet."
        )


def _is_lines(head: str) -> bool:
    """Return whether several objects follow each other."""
    try:
        _, end = json.JSONDecoder().raw_decode(head)
    except ValueError:
        return False
    return head[end:].lstrip().startswith("{")


def _start_of(head: str) -> object:
    """Return the first element of a JSON list; where it is longer than the head, its keys with null values."""
    if not head.startswith("["):
        return None
    inner = head[1:].lstrip()
    try:
        return json.JSONDecoder().raw_decode(inner)[0]
    except ValueError:
        return dict.fromkeys(_keys_of(inner))


def _keys_of(head: str) -> list[str]:
    """Return the keys of a JSON object, up to the one whose value the head cuts off."""
    decoder, keys, at = json.JSONDecoder(), [], head.find("{") + 1
    try:
        while True:
            at = _skip(head, at, ", \t\r\n")
            key, at = decoder.raw_decode(head, at)
            keys.append(key)
            _, at = decoder.raw_decode(head, _skip(head, at, ": \t\r\n"))
    except ValueError:
        return [key for key in keys if isinstance(key, str)]


def _skip(head: str, at: int, characters: str) -> int:
    while at < len(head) and head[at] in characters:
        at += 1
    return at
