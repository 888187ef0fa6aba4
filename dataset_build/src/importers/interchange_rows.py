"""Plain rows, one per instruction and expert, in this toolkit's own columns or in others mapped to them."""

from collections.abc import Iterator, Mapping

from dataset_build.src.errors import ConfigError
from dataset_build.src.importers.base import ImportFormat, Row
from dataset_build.src.importers.input_file import InputFile
from dataset_build.src.records import COLUMNS, REQUIRED_COLUMNS
from dataset_build.src.registry import nearest


class InterchangeRows(ImportFormat):
    """Files with at least `instruction`, `expert` and `score`.

    Args:
        columns: Canonical name -> name in the file, where they differ.
    """

    description = "plain rows with the columns instruction, expert and score (others mapped with --columns)"
    keys = tuple(COLUMNS)

    def __init__(self, columns: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self._given = dict(columns or {})
        for canonical in self._given:
            if canonical not in COLUMNS:
                known = list(COLUMNS)
                raise ConfigError(
                    f"Unknown column {canonical!r}.{nearest(canonical, known)} Known: {', '.join(known)}."
                )

    def detects(self, file: InputFile) -> bool:
        """Return whether the required and the mapped columns are there."""
        return not file.is_object and not self.lacking(file)

    def rows(self, file: InputFile) -> Iterator[Row]:
        """Yield the rows under their canonical names."""
        back = {given: canonical for canonical, given in self._given.items()}
        for record in file.records():
            yield {
                back.get(name, name): cell for name, cell in record.items() if name in back or name not in self._given
            }

    def lacking(self, file: InputFile) -> str:
        """Return which column is not there and what to do; empty when all are."""
        for name in {**dict.fromkeys(REQUIRED_COLUMNS), **self._given}:
            column = self._given.get(name, name)
            if column not in file.columns:
                wanted = f"{column!r} (for {name})" if column != name else repr(name)
                return (
                    f"{file} has no column {wanted}.{nearest(column, file.columns)} It has: {', '.join(file.columns)}. "
                    f"Map it with --columns {name}=YOUR_COLUMN."
                )
        return ""
