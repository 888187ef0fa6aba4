"""The rows of an import: checked as they come, put aside on disk, and written once the splits are known."""

import json
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

from dataset_build.src.dataset_builder import assign_splits
from dataset_build.src.errors import ConfigError, DataError
from dataset_build.src.importers.base import ImportFormat, Row, number, text
from dataset_build.src.importers.input_file import InputFile
from dataset_build.src.records import COLUMNS, MOST_TOKENS, SPLITS, Instruction, instruction_id, storable
from dataset_build.src.registry import nearest
from dataset_build.src.sources.rows import SPLIT_ALIASES

if TYPE_CHECKING:
    import pyarrow as pa

#: Rows written at a time.
BATCH_ROWS = 20_000
#: Columns that tell about the instruction, and are the same in all its rows.
OF_INSTRUCTION = ("instruction_id", "instruction", "category", "reference", "source", "split")
#: Why a further row of an instruction and expert is left out.
SECOND = "second row of an instruction and expert (the first stays)"
AGAIN = "an answer that is there already, word for word (nothing is lost)"
#: Type of the values of a further column -> its type; anything else, and a mixture, is text.
_KINDS: dict[frozenset[type], str] = {
    frozenset({bool}): "bool",
    frozenset({int}): "int64",
    frozenset({float}): "double",
    frozenset({int, float}): "double",
}


@dataclass(slots=True)
class ImportedExpert:
    """What was written of one expert."""

    rows: int = 0
    scored: int = 0
    score_sum: float = 0.0
    priced: int = 0
    errors: int = 0


@dataclass(slots=True)
class ImportSummary:
    """What an import read, wrote and left out.

    Attributes:
        output: The file written.
        formats: Format -> files read as it.
        rows_read: Rows the files had, one per instruction and expert.
        rows_written: Rows in the output.
        instructions: Instructions in the output.
        experts: Expert -> what was written of it.
        splits: Split -> instructions.
        dropped: Why rows were left out -> how many.
        skipped: Files inside a folder that are of no known format.
        notes: What was converted and how.
    """

    output: Path
    formats: Counter[str] = field(default_factory=Counter)
    rows_read: int = 0
    rows_written: int = 0
    instructions: int = 0
    experts: dict[str, ImportedExpert] = field(default_factory=dict)
    splits: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    skipped: list[Path] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def null_scores(self) -> int:
        """Rows without a score."""
        return self.rows_written - sum(expert.scored for expert in self.experts.values())

    @property
    def null_costs(self) -> int:
        """Rows without a cost."""
        return self.rows_written - sum(expert.priced for expert in self.experts.values())


class RowCollector:
    """Takes rows one by one while it is open (`with`), and writes them all in the end.

    Args:
        folder: Where the rows wait.
        summary: Counted in.
        source: The source of rows that name none; None leaves it to the format.
        experts: The only ones to keep; empty keeps all.
    """

    def __init__(self, folder: Path, summary: ImportSummary, *, source: str | None, experts: Sequence[str]) -> None:
        self._waiting = folder / "waiting.jsonl"
        self._file: IO[str] = self._waiting.open("w", encoding="utf-8")
        self._summary = summary
        self._source = source
        self._wanted = frozenset(experts)
        self._met: dict[str, None] = {}
        self._known: dict[str, Row] = {}
        self._answered: dict[str, dict[str, tuple[int | None, object]]] = {}
        self._further: dict[str, set[type]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, row: Row, file: InputFile, *, default_source: str | None) -> None:
        """Check one row and put it aside, or count why it is left out.

        Raises:
            DataError: a value is not what it should be; the message says where.
        """
        self._summary.rows_read += 1
        asked, expert = text(row.get("instruction")), text(row.get("expert"))
        if not asked or not asked.strip() or not expert:
            self._summary.dropped["no instruction" if expert else "no expert"] += 1
            return
        self._met[expert] = None
        if self._wanted and expert not in self._wanted:
            self._summary.dropped["expert not asked for"] += 1
            return
        source = text(row.get("source")) or self._source or default_source
        known = self._instruction(row, storable(asked), source, file)
        answered = self._answered.setdefault(known["instruction_id"], {})
        response, score = text(row.get("response")), row.get("score")
        told = (None if response is None else hash(response), score)
        if expert in answered:
            is_same = told[0] is not None and told[0] == answered[expert][0] and score in (None, answered[expert][1])
            self._summary.dropped[AGAIN if is_same else SECOND] += 1
            return
        answered[expert] = told
        kept = {"instruction_id": known["instruction_id"], "expert": expert, **_response(row, file)}
        for name, value in row.items():
            if name not in COLUMNS:
                kept[name] = value
                self._further.setdefault(name, set()).update(_types(value))
        self._count(expert, kept)
        self._file.write(json.dumps(kept, default=str) + "\n")

    def take_counts(self, reader: ImportFormat) -> None:
        """Add what a format left out itself, and its notes."""
        self._summary.dropped.update(reader.dropped)
        self._summary.rows_read += sum(reader.dropped.values())
        self._summary.notes += reader.notes

    def write(self, path: Path, seed: int) -> None:
        """Give every instruction its split and write the rows in the order they came.

        Raises:
            ConfigError: an expert that was asked for is in no file.
            DataError: no row is left.
        """
        for name in sorted(self._wanted - set(self._met)):
            met = list(self._met)
            raise ConfigError(f"No expert {name!r} in the files.{nearest(name, met)} They have: {', '.join(met)}.")
        if not self._summary.rows_written:
            why = ", ".join(f"{count} {reason}" for reason, count in self._summary.dropped.items())
            raise DataError(f"No row is left to write; {f'left out: {why}' if why else 'the files have none'}.")
        instructions = [
            Instruction(one["instruction_id"], one["instruction"], source=one["source"], split=one["split"])
            for one in self._known.values()
        ]
        for key, split in assign_splits(instructions, seed).items():
            self._known[key]["split"] = split
            self._summary.splits[split] += 1
        self._summary.instructions = len(instructions)
        kinds = {name: _KINDS.get(frozenset(types), "string") for name, types in self._further.items()}
        _write(path, self._rows(kinds), kinds)

    def _instruction(self, row: Row, asked: str, source: str | None, file: InputFile) -> Row:
        reference, category = text(row.get("reference")), text(row.get("category"))
        key = text(row.get("instruction_id")) or instruction_id(source, asked, reference)
        facts = {"category": category, "reference": reference, "source": source, "split": _split(row, file)}
        known = self._known.setdefault(key, {"instruction_id": key, "instruction": asked, **facts})
        if known["instruction"] != asked:
            raise DataError(f"{file.where}: instruction {key!r} has another text than in an earlier row.")
        for name, value in facts.items():
            if known[name] is None:
                known[name] = value
        if facts["split"] is not None:  # where rows disagree the strictest wins, as in `assign_splits`
            known["split"] = max(known["split"], facts["split"], key=SPLITS.index)
        return known

    def _count(self, expert: str, kept: Row) -> None:
        self._summary.rows_written += 1
        one = self._summary.experts.setdefault(expert, ImportedExpert())
        one.rows += 1
        one.errors += kept["error"] is not None
        one.priced += kept["cost"] is not None
        if kept["score"] is not None:
            one.scored += 1
            one.score_sum += kept["score"]

    def _rows(self, kinds: dict[str, str]) -> Iterator[Row]:
        with self._waiting.open(encoding="utf-8") as file:
            for line in file:
                kept = json.loads(line)
                known = self._known[kept["instruction_id"]]
                row = {name: known[name] if name in OF_INSTRUCTION else kept.get(name) for name in COLUMNS}
                row |= {name: _as_kind(kept.get(name), kind) for name, kind in kinds.items()}
                yield {name: storable(value) if isinstance(value, str) else value for name, value in row.items()}


def _split(row: Row, file: InputFile) -> str | None:
    given = text(row.get("split"))
    split = SPLIT_ALIASES.get(given, given) if given else None
    if split is not None and split not in SPLITS:
        raise DataError(f"{file.where}: split {split!r} is none of {', '.join(SPLITS)}.")
    return split


def _response(row: Row, file: InputFile) -> Row:
    """Return the columns about the response, checked; a failed call has no response and no score."""
    numbers = {name: number(row.get(name), file) for name, kind in COLUMNS.items() if kind != "string"}
    for name, value in numbers.items():
        if value is not None and (value < 0 or math.isinf(value) or (name == "score" and value > 1)):
            allowed = "[0, 1]; scale the scores first" if name == "score" else "what is possible"
            raise DataError(f"{file.where}: {name} {value:g} of expert {row['expert']!r} lies outside {allowed}.")
        if COLUMNS[name] == "int64" and value is not None:
            if value > MOST_TOKENS:
                raise DataError(
                    f"{file.where}: {name} {value:g} of expert {row['expert']!r} is more than any call has; correct "
                    "it, or leave it out."
                )
            numbers[name] = round(value)
    texts = {name: text(row.get(name)) for name in ("response", "metric", "error", "model")}
    if texts["error"]:
        texts["error"] = " ".join(texts["error"].split())[:500]
        texts["response"] = numbers["score"] = None
    return {**numbers, **texts}


def _types(value: object) -> set[type]:
    """Return what a value's column must be able to hold: nothing for a null, text for numbers beyond 64 bits."""
    if value is None:
        return set()
    return {str} if isinstance(value, int) and abs(value) >= 2**63 else {type(value)}


def _as_kind(value: Any, kind: str) -> Any:  # noqa: ANN401 - a cell of anybody's table
    if kind == "string":
        return text(value)
    return float(value) if kind == "double" and value is not None else value


def _write(path: Path, rows: Iterator[Row], kinds: dict[str, str]) -> None:
    """Write rows a batch at a time; the ending chooses Parquet, JSONL or CSV."""
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    schema = pa.schema([(name, pa.type_for_alias(kind)) for name, kind in {**COLUMNS, **kinds}.items()])
    if path.suffix == ".jsonl":
        with path.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        return
    writer: pyarrow.csv.CSVWriter | pyarrow.parquet.ParquetWriter
    if path.suffix == ".csv":
        writer = pyarrow.csv.CSVWriter(path, schema)
    else:
        writer = pyarrow.parquet.ParquetWriter(path, schema, compression="zstd")
    with writer:
        for table in _tables(rows, schema):
            writer.write_table(table)


def _tables(rows: Iterator[Row], schema: "pa.Schema") -> "Iterator[pa.Table]":
    import pyarrow as pa

    while batch := list(islice(rows, BATCH_ROWS)):
        yield pa.Table.from_pylist(batch, schema=schema)
