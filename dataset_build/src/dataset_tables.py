"""The Parquet files of a dataset: responses (a row per instruction and expert) and labels (a row per instruction)."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataset_build.src.instruction_store import InstructionStore
from dataset_build.src.records import CALL_COLUMNS, COLUMNS, SPLITS, Instruction, storable

if TYPE_CHECKING:
    import pyarrow as pa

#: Rows per Parquet row group, and at most in memory per split.
ROW_GROUP = 5_000
#: How the columns begin that hold the scores by further metrics.
FURTHER_PREFIX = "metric:"
#: How the columns of the labels begin that hold the score of an expert.
SCORE_PREFIX = "score:"

#: Types of the values of a further column -> its type; anything else is text.
_KINDS = {
    frozenset({bool}): "bool",
    frozenset({int}): "int64",
    frozenset({float}): "double",
    frozenset({int, float}): "double",
}


class ResponseTables:
    """The responses, in `data/`.

    Args:
        folder: Where the files go.
        instructions: Whose further columns are kept.
        further: The metrics whose scores are recorded besides.
    """

    def __init__(self, folder: Path, instructions: InstructionStore, further: Sequence[str]) -> None:
        import pyarrow as pa

        self.further_columns = [f"{FURTHER_PREFIX}{metric}" for metric in further]
        self._extras = _extra_columns(instructions)
        kinds = {"string": pa.string(), "double": pa.float64(), "int64": pa.int64(), "bool": pa.bool_()}
        columns = [(name, kinds[kind]) for name, kind in {**COLUMNS, **CALL_COLUMNS}.items()]
        columns += [(name, pa.float64()) for name in self.further_columns]
        columns += [(name, kind) for name, (_, kind) in self._extras.items()]
        self._files = _SplitFiles(folder, pa.schema(columns))

    def add(self, split: str, row: dict[str, Any], extra: Mapping[str, Any]) -> None:
        """Write one response, with the further columns of its instruction."""
        for name, (key, kind) in self._extras.items():
            row[name] = _as_kind(extra.get(key), kind)
        self._files.add(split, row)

    def close(self) -> None:
        """Write what is left."""
        self._files.close()


class LabelTables:
    """The labels, in `labels/`: what every expert scored on an instruction, and all that are best.

    Args:
        folder: Where the files go.
        experts: The columns.
    """

    def __init__(self, folder: Path, experts: Sequence[str]) -> None:
        import pyarrow as pa

        self._experts = list(experts)
        texts = [(name, pa.string()) for name in ("instruction_id", "instruction", "category")]
        scores = [(f"{SCORE_PREFIX}{expert}", pa.float64()) for expert in self._experts]
        self._files = _SplitFiles(folder, pa.schema([*texts, *scores, ("best", pa.list_(pa.string()))]))

    def add(
        self, split: str, instruction: Instruction, scores: Mapping[str, float | None], best: Sequence[str]
    ) -> None:
        """Write one instruction."""
        row: dict[str, Any] = {
            "instruction_id": storable(instruction.id),
            "instruction": storable(instruction.text),
            "category": None if instruction.category is None else storable(instruction.category),
            "best": list(best),
        }
        row.update((f"{SCORE_PREFIX}{expert}", scores.get(expert)) for expert in self._experts)
        self._files.add(split, row)

    def close(self) -> None:
        """Write what is left."""
        self._files.close()


class _SplitFiles:
    """Parquet files, one per split, written a row group at a time; a split without rows gets none."""

    def __init__(self, folder: Path, schema: "pa.Schema") -> None:
        self._folder = folder
        self._schema = schema
        self._rows: dict[str, list[dict[str, Any]]] = {split: [] for split in SPLITS}
        self._files: dict[str, Any] = {}
        folder.mkdir(parents=True)

    def add(self, split: str, row: dict[str, Any]) -> None:
        self._rows[split].append(row)
        if len(self._rows[split]) >= ROW_GROUP:
            self._flush(split)

    def close(self) -> None:
        try:
            for split in SPLITS:
                self._flush(split)
        finally:
            for file in self._files.values():
                file.close()

    def _flush(self, split: str) -> None:
        import pyarrow as pa
        import pyarrow.parquet

        if not self._rows[split]:
            return
        if split not in self._files:
            path = self._folder / f"{split}.parquet"
            self._files[split] = pyarrow.parquet.ParquetWriter(path, self._schema, compression="zstd")
        self._files[split].write_table(pa.Table.from_pylist(self._rows[split], schema=self._schema))
        self._rows[split] = []


def _extra_columns(instructions: InstructionStore) -> "dict[str, tuple[str, pa.DataType]]":
    """Return column name -> (key in `Instruction.extra`, type), sorted.

    Values of mixed types become text, and so do whole numbers beyond 64 bits.
    """
    import pyarrow as pa

    kinds: dict[str, set[type]] = {}
    for extra in instructions.extras():
        for key, value in extra.items():
            found = kinds.setdefault(key, set())
            if value is not None:
                is_beyond = type(value) is int and abs(value) >= 2**63
                found.add(str if is_beyond else type(value))
    columns: dict[str, tuple[str, pa.DataType]] = {}
    for key in sorted(kinds):
        kind = _KINDS.get(frozenset(kinds[key]), "string")
        taken = key in COLUMNS or key in CALL_COLUMNS
        columns[f"{key}_of_instruction" if taken else key] = (key, pa.type_for_alias(kind))
    return columns


def _as_kind(value: object, kind: "pa.DataType") -> object:
    import pyarrow as pa

    if value is None or kind != pa.string():
        return float(value) if isinstance(value, int) and kind == pa.float64() else value
    if isinstance(value, bool | int | float | list | tuple | dict):
        return json.dumps(value, default=str)
    return storable(str(value))
