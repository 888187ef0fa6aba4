"""A row of somebody's table → an instruction. Shared by every source that reads rows."""

import json
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from dataset_build.src.errors import ConfigError, DataError
from dataset_build.src.records import COLUMNS, SPLITS, Instruction, instruction_id, storable
from dataset_build.src.registry import nearest
from dataset_build.src.sources.merging import merged
from dataset_build.src.sources.templates import CellPath, Composed, Template, cell_text, option_letter

#: What a row can say about an instruction.
FIELDS = ("instruction", "category", "reference", "split", "metric", "instruction_id", "source")
#: Columns of the interchange form that tell about a response, not about the instruction.
RESPONSE_COLUMNS = frozenset(COLUMNS) - set(FIELDS)
#: Other people's names for the validation split.
SPLIT_ALIASES = {"dev": "validation", "val": "validation", "valid": "validation"}
#: Column names that often hold the instruction, for the advice in a message.
LIKELY = ("question", "prompt", "input", "query", "text", "problem", "goal", "task")

T = TypeVar("T")


class RowReader:
    """Makes instructions out of rows.

    Args:
        where: What to call the table in messages.
        source: What to write in the `source` column of rows that have none.
        columns: Canonical name -> name in the table, where they differ; `answers.text[0]` looks into a column.
        category: The category of rows that have none.
        metric: The metric of rows that name none.
        template: Composes the instruction of several columns, see `Template`.
        first_option: The number (0, say) by which references call the first option of the template; the reference
            then becomes a letter. Labels that come with the options need no such help.

    Raises:
        ConfigError: the mapping, the template or the number makes no sense.
    """

    def __init__(
        self,
        where: str,
        *,
        source: str,
        columns: Mapping[str, str] | None = None,
        category: str | None = None,
        metric: str | None = None,
        template: str | None = None,
        first_option: int | None = None,
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
        if template is not None and "instruction" in self._columns:
            raise ConfigError(f"{where} has a template and a column for the instruction; give one of them.")
        if first_option is not None and template is None:
            raise ConfigError(f"{where}: first_option counts the options of a template; give a template.")
        self._template = None if template is None else Template(template)
        self._first_option = first_option
        fields = [name for name in FIELDS if self._template is None or name != "instruction"]
        self._taken = {name: CellPath(self._columns.get(name, name)) for name in fields}

    def check_columns(self, have: Sequence[str]) -> None:
        """Compare the mapping with the columns the table has.

        Raises:
            ConfigError: a mapped column, or the one with the instruction, is absent.
        """
        listed = ", ".join(have)
        wanted = [(path, f"for {canonical}") for canonical, path in self._taken.items() if canonical in self._columns]
        if self._template is not None:
            wanted += [(path, "in the template") for path in self._template.paths]
        for path, purpose in wanted:
            column = path.column(have)
            if column not in have:
                raise ConfigError(
                    f"{self._where} has no column {column!r} ({purpose}).{nearest(column, list(have))} "
                    f"It has: {listed}."
                )
        if self._template is None and "instruction" not in self._columns and "instruction" not in have:
            lower = {name.lower(): name for name in have}
            close = nearest("instruction", list(have))
            likely = next((lower[name] for name in LIKELY if name in lower), "YOUR_COLUMN")
            raise ConfigError(
                f"{self._where} has no column 'instruction'.{close} It has: {listed}. "
                f"Name the one to use: --columns instruction={likely}"
            )

    def merge(self, rows: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yield one row per instruction of a table in interchange form, each cell the first that is not empty.

        Columns about responses are left out. What is merged is kept on disk.
        """
        return merged((self._key(row), self._about_instruction(row)) for row in rows)

    def _key(self, row: Mapping[str, Any]) -> bytes:
        given = cell_text(self._taken["instruction_id"].value(row, self._where))
        if given is not None:
            return given.encode()
        text = self._compose(row, self._where).text
        others = [cell_text(self._taken[name].value(row, self._where)) for name in ("source", "reference")]
        return json.dumps([text, *others]).encode()

    def _about_instruction(self, row: Mapping[str, Any]) -> dict[str, Any]:
        needed = self._columns_used(row)
        return {
            name: value
            for name, value in row.items()
            if (name in needed or name not in RESPONSE_COLUMNS) and cell_text(value) is not None
        }

    def _columns_used(self, row: Mapping[str, Any]) -> set[str]:
        paths = [*self._taken.values(), *(self._template.paths if self._template else ())]
        return {path.column(row) for path in paths}

    def _compose(self, row: Mapping[str, Any], where: str) -> Composed:
        if self._template is not None:
            return self._template.fill(row, where)
        return Composed(cell_text(self._taken["instruction"].value(row, where)), [], 0)

    def instruction(self, row: Mapping[str, Any], position: str, *, split: str | None = None) -> Instruction:
        """Return the instruction in `row`.

        Args:
            row: Column to value; numbers become text, lists and objects become JSON.
            position: Where the row is, for messages ("row 3").
            split: The split of a row that names none.

        Raises:
            DataError: the text is empty, the split is unknown, or a place inside a column is not there.
        """
        where = f"{self._where}, {position}"
        composed = self._compose(row, where)
        cells = {name: cell_text(path.value(row, where)) for name, path in self._taken.items()}
        text, reference = composed.text, cells["reference"]
        if text is None or not text.strip():
            what = f"column {self._taken['instruction'].text!r}" if self._template is None else "all of its template"
            raise DataError(f"{where}: the instruction ({what}) is empty; remove the row or fill it in.")
        if reference is not None and self._template is not None:
            reference = option_letter(reference, composed, first_option=self._first_option, where=where)
        split = cells["split"] or split
        if split is not None:
            split = SPLIT_ALIASES.get(split, split)
            if split not in SPLITS:
                raise DataError(f"{where}: split {split!r} is none of {', '.join(SPLITS)}.")
        source = cells["source"] or self._source
        used = {*self._columns_used(row), *RESPONSE_COLUMNS}
        return Instruction(
            id=cells["instruction_id"] or instruction_id(source, text, reference),
            text=text,
            category=cells["category"] or self._category,
            reference=reference,
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


def shuffled(rows: Iterable[T], buffer: int | None, *, seed: int) -> Iterator[T]:
    """Yield rows in an order that the seed decides, holding `buffer` of them; None keeps the order.

    A row moves by about the size of the buffer, so that only one as large as the table shuffles it whole.

    Raises:
        ConfigError: the buffer is below 1.
    """
    if buffer is None:
        return iter(rows)
    if buffer < 1:
        raise ConfigError(f"shuffle_buffer is {buffer}; it must be at least 1.")
    return _through_buffer(iter(rows), buffer, random.Random(f"{seed}/shuffle"))


def _through_buffer(rows: Iterator[T], buffer: int, rng: random.Random) -> Iterator[T]:
    held: list[T] = []
    for row in rows:
        if len(held) < buffer:
            held.append(row)
            continue
        place = rng.randrange(buffer)
        yield held[place]
        held[place] = row
    rng.shuffle(held)
    yield from held
