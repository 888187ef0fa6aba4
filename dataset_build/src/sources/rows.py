"""A row of somebody's table → an instruction. Shared by every source that reads rows."""

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from dataset_build.src.errors import ConfigError, DataError
from dataset_build.src.records import COLUMNS, SPLITS, Instruction, instruction_id, storable
from dataset_build.src.registry import nearest

#: What a row can say about an instruction.
FIELDS = ("instruction", "category", "reference", "split", "metric", "instruction_id", "source")
#: Columns of the interchange form that tell about a response, not about the instruction.
RESPONSE_COLUMNS = frozenset(COLUMNS) - set(FIELDS)
#: Other people's names for the validation split.
SPLIT_ALIASES = {"dev": "validation", "val": "validation", "valid": "validation"}
#: Column names that often hold the instruction, for the advice in a message.
LIKELY = ("question", "prompt", "input", "query", "text", "problem", "goal", "task")


class RowReader:
    """Makes instructions out of rows.

    Args:
        where: What to call the table in messages.
        source: What to write in the `source` column of rows that have none.
        columns: Canonical name -> name in the table, where they differ.
        category: The category of rows that have none.
        metric: The metric of rows that name none.
    """

    def __init__(
        self,
        where: str,
        *,
        source: str,
        columns: Mapping[str, str] | None = None,
        category: str | None = None,
        metric: str | None = None,
    ) -> None:
        self._where = where
        self._source = source
        self._category = category
        self._metric = metric
        self._columns = dict(columns or {})
        for canonical in self._columns:
            if canonical not in FIELDS:
                raise ConfigError(
                    f"Unknown column {canonical!r} in the mapping of {where}.{nearest(canonical, list(FIELDS))} "
                    f"Known: {', '.join(FIELDS)}."
                )
        self._taken = {name: self._columns.get(name, name) for name in FIELDS}

    def check_columns(self, have: Sequence[str]) -> None:
        """Compare the mapping with the columns the table has.

        Raises:
            ConfigError: a mapped column, or the one with the instruction, is absent.
        """
        listed = ", ".join(have)
        for canonical, given in self._columns.items():
            if given not in have:
                raise ConfigError(
                    f"{self._where} has no column {given!r} (for {canonical}).{nearest(given, list(have))} "
                    f"It has: {listed}."
                )
        if self._taken["instruction"] not in have:
            lower = {name.lower(): name for name in have}
            close = nearest("instruction", list(have))
            likely = next((lower[name] for name in LIKELY if name in lower), "YOUR_COLUMN")
            raise ConfigError(
                f"{self._where} has no column 'instruction'.{close} It has: {listed}. "
                f"Name the one to use: --columns instruction={likely}"
            )

    def merge(self, rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Return one row per instruction of a table in interchange form, each cell the first that is not empty."""
        merged: dict[str, dict[str, Any]] = {}
        identity = [self._taken[name] for name in ("instruction_id", "source", "instruction", "reference")]
        for row in rows:
            key = _text(row.get(identity[0])) or json.dumps([_text(row.get(name)) for name in identity[1:]])
            first = merged.setdefault(key, dict(row))
            for name, value in row.items():
                if _text(first.get(name)) is None:
                    first[name] = value
        return list(merged.values())

    def instruction(self, row: Mapping[str, Any], position: str) -> Instruction:
        """Return the instruction in `row`.

        Args:
            row: Column to value; numbers become text, lists and objects become JSON.
            position: Where the row is, for messages ("row 3").

        Raises:
            DataError: the text is empty, or the split is unknown.
        """
        cells = {name: _text(row.get(given)) for name, given in self._taken.items()}
        text = cells["instruction"]
        if text is None or not text.strip():
            raise DataError(
                f"{self._where}, {position}: the instruction (column {self._taken['instruction']!r}) is empty; "
                "remove the row or fill it in."
            )
        split = cells["split"]
        if split is not None:
            split = SPLIT_ALIASES.get(split, split)
            if split not in SPLITS:
                raise DataError(f"{self._where}, {position}: split {split!r} is none of {', '.join(SPLITS)}.")
        source = cells["source"] or self._source
        used = {*self._taken.values(), *RESPONSE_COLUMNS}
        return Instruction(
            id=cells["instruction_id"] or instruction_id(source, text, cells["reference"]),
            text=text,
            category=cells["category"] or self._category,
            reference=cells["reference"],
            source=source,
            split=split,
            metric=cells["metric"] or self._metric,
            extra={storable(name): value for name, value in row.items() if name not in used},
        )


def distinct(instructions: Iterable[Instruction], limit: int | None) -> Iterator[Instruction]:
    """Yield instructions until `limit` different ids came; None means all. Repeats are yielded too, and not counted."""
    seen: set[str] = set()
    for instruction in instructions:
        yield instruction
        if limit is not None:
            seen.add(instruction.id)
            if len(seen) >= limit:
                return


def _text(value: Any) -> str | None:  # noqa: ANN401 - a cell of anybody's table
    """Return a cell as text; None for an empty one."""
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))  # integers beside empty cells arrive as floats
    if isinstance(value, bool | list | dict):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)
