"""What an import format is: something that knows its files and reads them as rows in interchange form."""

import json
import math
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from dataset_build.src.errors import DataError
from dataset_build.src.importers.input_file import InputFile

Row = dict[str, Any]


class ImportFormat(ABC):
    """Reads the files of one format. One object serves all files of an import, so it may remember across them.

    Attributes:
        description: What its files are, in a few words.
        keys: Columns or keys its files have; says which format an unrecognised file comes nearest to.
        source: What the `source` column says where neither the file nor the user does.
        dropped: Why rows were left out before they were yielded -> how many.
        notes: What was converted and how, in whole sentences for the summary.
    """

    description: str = ""
    keys: Sequence[str] = ()
    source: str | None = None

    def __init__(self) -> None:
        self.dropped: Counter[str] = Counter()
        self.notes: dict[str, None] = {}

    @abstractmethod
    def detects(self, file: InputFile) -> bool:
        """Return whether `file` is of this format, from its columns and first records."""

    @abstractmethod
    def rows(self, file: InputFile) -> Iterator[Row]:
        """Yield a row per instruction and expert, keys as in `records.COLUMNS`; others become further columns.

        `instruction_id` may be left out, and so may whatever the file does not tell. Scores lie in [0, 1], costs are
        USD per call; a failed call has an `error` and no score.

        Raises:
            DataError: the file is damaged.
        """

    def order(self, file: InputFile) -> float:
        """Return when to read `file`: the lowest comes first, and of two equal rows the first stays."""
        return 0.0


def number(value: Any, file: InputFile) -> float | None:  # noqa: ANN401 - a cell of anybody's table
    """Return a cell as a number, truths as 1 and 0; None for an empty one.

    Raises:
        DataError: it is something else.
    """
    if value is None or value == "":
        return None
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return float(value.strip().lower() == "true")
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        raise DataError(f"{file.where}: {value!r:.60} stands where a number was expected.") from None
    return None if math.isnan(found) else found


def text(value: Any) -> str | None:  # noqa: ANN401
    """Return a cell as text, lists and objects as JSON; None for null and NaN."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def with_choices(question: str, labels: Sequence[object], texts: Sequence[object]) -> str:
    """Return a question with one lettered line per choice."""
    lines = (f"{label}. {choice}" for label, choice in zip(labels, texts, strict=False))
    return "\n".join([question, *lines])
