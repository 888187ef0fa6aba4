"""Instructions from a JSONL, CSV or Parquet file."""

import csv
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from itertools import chain, islice
from pathlib import Path
from typing import Any

from dataset_build.src.errors import ConfigError, DataError
from dataset_build.src.records import Instruction
from dataset_build.src.registry import nearest
from dataset_build.src.sources.base import Source
from dataset_build.src.sources.rows import RowReader, distinct, shuffled

#: Rows read ahead to learn the columns of a JSONL file, whose objects need not have the same keys.
LOOK_AHEAD = 100

Row = Mapping[str, Any]
PositionedRow = tuple[str, Row]


class FileSource(Source):
    """Yield the rows of a file, in order, without holding the file in memory.

    Canonical columns are `instruction`, `category`, `reference`, `split`, `metric`, `instruction_id` and `source`;
    further columns are kept as extras. A file in interchange form (one row per instruction and expert) gives each
    instruction once, and its columns about responses are left out.

    Args:
        path: A `.jsonl`, `.csv` or `.parquet` file, UTF-8 with or without a byte-order mark.
        columns: Canonical name -> name in the file, where they differ; `answers.text[0]` looks into a column.
        category: The category of rows that have none.
        metric: The scorer of rows that name none.
        template: Composes the instruction of several columns, as in "Question: {question} {choices}"; lists
            become lettered options.
        first_option: The number by which references call the first option (0 or 1); they then become letters.
        shuffle_buffer: Shuffle by the build's seed, holding so many rows; None keeps the order.
    """

    def __init__(
        self,
        path: str | Path,
        columns: Mapping[str, str] | None = None,
        category: str | None = None,
        metric: str | None = None,
        template: str | None = None,
        first_option: int | None = None,
        shuffle_buffer: int | None = None,
    ) -> None:
        self._path = Path(path)
        self.name = self._path.name
        ending = self._path.suffix.lower()
        if ending not in _READERS:
            known = list(_READERS)
            raise ConfigError(f"{path} ends in {ending!r}.{nearest(ending, known)} Expected one of {', '.join(known)}.")
        if not self._path.exists():
            raise ConfigError(f"No such file: {path}.")
        if not self._path.is_file():
            raise ConfigError(f"{path} is no file. Give a file, or hf:{path} for a folder of data files.")
        try:
            self._path.open("rb").close()
        except OSError as problem:
            raise ConfigError(f"Cannot read {path}: {problem.strerror}.") from None
        self._read = _READERS[ending]
        self._shuffle_buffer = shuffle_buffer
        self._reader = RowReader(
            str(path),
            source=self.name,
            columns=columns,
            category=category,
            metric=metric,
            template=template,
            first_option=first_option,
        )

    def instructions(self, *, seed: int, limit: int | None = None) -> Iterator[Instruction]:
        """Yield the instructions in the order of the file, or in one that `seed` decides where it is to be shuffled."""
        rows = self._read(self._path)
        ahead = list(islice(rows, LOOK_AHEAD))
        if not ahead:
            raise DataError(f"{self._path} is empty; at least one row was expected.")
        have = list(dict.fromkeys(name for _, row in ahead for name in row))
        self._reader.check_columns(have)
        every = chain(ahead, rows)
        if {"expert", "instruction_id"} <= set(have) or {"expert", "score"} <= set(have):
            merged = self._reader.merge(row for _, row in every)
            every = chain((f"instruction {number}", row) for number, row in enumerate(merged, start=1))
        ordered = shuffled(every, self._shuffle_buffer, seed=seed)
        yield from distinct((self._reader.instruction(row, position) for position, row in ordered), limit)


def _read_jsonl(path: Path) -> Iterator[PositionedRow]:
    with path.open("rb") as file:
        for number, raw in enumerate(file, start=1):
            try:
                line = raw.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as problem:
                raise DataError(f"{path}, line {number} is not UTF-8 ({problem.reason}); convert the file.") from None
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as problem:
                raise DataError(f"{path}, line {number} is not valid JSON: {problem}.") from None
            if not isinstance(row, dict):
                raise DataError(f"{path}, line {number} holds a {type(row).__name__}; an object was expected.")
            yield f"line {number}", row


def _read_csv(path: Path) -> Iterator[PositionedRow]:
    csv.field_size_limit(sys.maxsize)  # the default refuses cells over 128 KiB: a long passage
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = csv.reader(file, strict=True)
        try:
            header = next(lines, [])
            if len(set(header)) < len(header):
                twice = next(name for name in header if header.count(name) > 1)
                raise DataError(f"{path} has two columns called {twice!r}; rename one.")
            if len(header) == 1 and (mark := next((mark for mark in ";\t|" if mark in header[0]), None)):
                raise DataError(
                    f"{path} has one column, {header[0]!r:.100}: its cells are parted by {mark!r}. Part them by commas."
                )
            for number, cells in enumerate((cells for cells in lines if cells), start=1):
                if len(cells) != len(header):
                    raise DataError(
                        f"{path}, row {number} has {len(cells)} cells; the header has {len(header)}. "
                        "Put cells that hold commas into quotes."
                    )
                yield f"row {number}", dict(zip(header, cells, strict=True))
        except csv.Error as problem:
            raise DataError(f"{path}, line {lines.line_num} is not valid CSV: {problem}.") from None
        except UnicodeDecodeError as problem:
            raise DataError(
                f"{path} is not UTF-8 ({problem.reason}, near line {lines.line_num + 1}); convert the file."
            ) from None


def _read_parquet(path: Path) -> Iterator[PositionedRow]:
    import pyarrow as pa
    import pyarrow.parquet

    number = 0
    try:
        with pa.parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=1024):
                for row in batch.to_pylist():
                    number += 1
                    yield f"row {number}", row
    except (pa.ArrowException, OSError) as problem:
        if path.stat().st_size == 0:
            return
        raise DataError(f"{path} is not a Parquet file that can be read: {problem}") from None


_READERS: dict[str, Callable[[Path], Iterator[PositionedRow]]] = {
    ".jsonl": _read_jsonl,
    ".csv": _read_csv,
    ".parquet": _read_parquet,
}
