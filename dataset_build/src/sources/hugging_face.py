"""Instructions from a data set on the Hugging Face hub, or from a local folder of data files."""

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from dataset_build.src.errors import ConfigError, DataError, MissingDependencyError
from dataset_build.src.hub import HUB_TIMEOUT_S, call_hub, in_one_line
from dataset_build.src.records import Instruction
from dataset_build.src.sources.base import Source
from dataset_build.src.sources.rows import RowReader, distinct

#: Rows fetched under one deadline.
BLOCK = 256

T = TypeVar("T")


class HuggingFaceSource(Source):
    """Yield the rows of one split, in the data set's order.

    The hub's split is not kept as the instructions' split: a build that reads only "train" still needs a test split.

    Args:
        dataset: `org/name`, or a local folder of Parquet, CSV or JSONL files.
        config: The data set's configuration, where it has several.
        split: Which split to read; slices such as "train[:100]" need `streaming=False`.
        columns: Canonical name -> name in the data set, where they differ.
        streaming: Read rows as they come, instead of downloading the whole split first.
        category: The category of rows that have none.
        metric: The scorer of rows that name none.
        revision: A branch, tag or commit.
        timeout_s: Seconds the hub may take to describe the data set, and to send each block of rows.
    """

    def __init__(
        self,
        dataset: str,
        config: str | None = None,
        split: str = "train",
        columns: Mapping[str, str] | None = None,
        streaming: bool = True,
        category: str | None = None,
        metric: str | None = None,
        revision: str | None = None,
        timeout_s: float = HUB_TIMEOUT_S,
    ) -> None:
        self._is_local = Path(dataset).expanduser().exists()
        if not self._is_local and (Path(dataset).is_absolute() or dataset.startswith(("~", "."))):
            raise ConfigError(f"No such folder: {dataset}. Give an existing folder, or hf:org/name for one on the hub.")
        if timeout_s <= 0:
            raise ConfigError(f"timeout_s is {timeout_s}; it must be above 0.")
        self.name = Path(dataset).name if self._is_local else "/".join(part for part in (dataset, config) if part)
        self._dataset = str(Path(dataset).expanduser()) if self._is_local else dataset
        self._config = config
        self._split = split
        self._streaming = streaming
        self._revision = revision
        self._timeout_s = timeout_s
        self._what = f"data set {dataset!r}"
        self._reader = RowReader(dataset, source=self.name, columns=columns, category=category, metric=metric)

    def instructions(self, *, seed: int, limit: int | None = None) -> Iterator[Instruction]:
        """Yield the instructions in the data set's order; `seed` changes nothing.

        Raises:
            ConfigError: it is absent, or the hub cannot be reached or does not answer within `timeout_s`.
            MissingDependencyError: the `datasets` package is not installed.
        """
        return distinct(self._every(), limit)

    def _every(self) -> Iterator[Instruction]:
        number = 0
        for number, row in enumerate(self._rows(), start=1):
            if number == 1:
                self._reader.check_columns(list(row))
            yield self._reader.instruction(row, f"row {number}")
        if not number:
            raise DataError(f"{self._dataset}, split {self._split!r} has no rows.")

    def _rows(self) -> Iterator[Mapping[str, Any]]:
        rows = self._open()
        while block := self._call(lambda: list(islice(rows, BLOCK))):
            yield from block

    def _open(self) -> Iterator[Mapping[str, Any]]:
        try:
            import datasets
        except ImportError:
            raise MissingDependencyError(
                f'Reading {self._what} needs the datasets package: pip install "moe-toolkit[train]"'
            ) from None

        def load(streaming: bool) -> Iterator[Mapping[str, Any]]:
            return iter(
                datasets.load_dataset(
                    self._dataset, self._config, split=self._split, revision=self._revision, streaming=streaming
                )
            )

        if self._streaming:
            return self._call(lambda: load(streaming=True))
        # A download may take long, and has time-outs of its own; that the hub answers at all is checked first.
        self._call(lambda: datasets.load_dataset_builder(self._dataset, self._config, revision=self._revision))
        return in_one_line(self._what, lambda: load(streaming=False))

    def _call(self, function: Callable[[], T]) -> T:
        if self._is_local:
            return in_one_line(self._what, function)
        return call_hub(self._what, function, timeout_s=self._timeout_s)
