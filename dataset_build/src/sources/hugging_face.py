"""Instructions from a data set on the Hugging Face hub, or from a local folder of data files."""

import os
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from dataset_build.src.errors import ConfigError, DataError, MissingDependencyError
from dataset_build.src.hub import HUB_TIMEOUT_S, call_hub, in_one_line, without_tokens
from dataset_build.src.mixing import in_proportion
from dataset_build.src.records import SPLITS, Instruction
from dataset_build.src.registry import nearest
from dataset_build.src.sources.base import Source
from dataset_build.src.sources.rows import SPLIT_ALIASES, RowReader, distinct, shuffled

#: Rows fetched under one deadline.
BLOCK = 256
#: Words in the hub's answer when it wants to know who asks, or has not let them in.
_CLOSED = ("gated", "private", "401", "403", "unauthorized", "forbidden")

T = TypeVar("T")


class HuggingFaceSource(Source):
    """Yield the rows of one split or several, each in the data set's order, several taken in turn.

    The hub's split is not kept as the instructions' split unless asked for: a build that reads only "train" still needs
    a test split. Columns of class labels hold the labels' names, not their numbers. Private and gated data sets are
    read with the token in HF_TOKEN, which is never stored or shown.

    Args:
        dataset: `org/name`, or a local folder of Parquet, CSV or JSONL files.
        config: The data set's configuration, where it has several.
        split: Which split to read, or several: "train+test"; slices such as "train[:100]" need `streaming=False`.
        columns: Canonical name -> name in the data set, where they differ; `answers.text[0]` looks into a column.
        streaming: Read rows as they come, instead of downloading the whole split first.
        category: The category of rows that have none.
        metric: The scorer of rows that name none.
        revision: A branch, tag or commit.
        timeout_s: Seconds the hub may take to describe the data set, and to send each block of rows.
        template: Composes the instruction of several columns, as in "Question: {question} {choices}"; lists become
            lettered options.
        first_option: The number by which references call the first option (0 or 1); they then become letters.
        keep_split: Whether the instructions keep the hub's split; a mapping says which split of ours each one is, where
            their names differ.
        shuffle_buffer: Shuffle by the build's seed, holding so many rows of each split; None keeps the order.
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
        template: str | None = None,
        first_option: int | None = None,
        keep_split: bool | Mapping[str, str] = False,
        shuffle_buffer: int | None = None,
    ) -> None:
        self._is_local = Path(dataset).expanduser().exists()
        if not self._is_local and (Path(dataset).is_absolute() or dataset.startswith(("~", "."))):
            raise ConfigError(f"No such folder: {dataset}. Give an existing folder, or hf:org/name for one on the hub.")
        if timeout_s <= 0:
            raise ConfigError(f"timeout_s is {timeout_s}; it must be above 0.")
        self.name = Path(dataset).name if self._is_local else "/".join(part for part in (dataset, config) if part)
        self._dataset = str(Path(dataset).expanduser()) if self._is_local else dataset
        self._config = config
        self._splits = _splits(split, keep_split)
        self._streaming = streaming
        self._revision = revision
        self._timeout_s = timeout_s
        self._shuffle_buffer = shuffle_buffer
        self._what = f"data set {dataset!r}"
        self._reader = RowReader(
            dataset,
            source=self.name,
            columns=columns,
            category=category,
            metric=metric,
            template=template,
            first_option=first_option,
        )

    def instructions(self, *, seed: int, limit: int | None = None) -> Iterator[Instruction]:
        """Yield the instructions; `seed` changes nothing unless they are shuffled.

        Raises:
            ConfigError: it is absent, or the hub cannot be reached or does not answer within `timeout_s`.
            MissingDependencyError: the `datasets` package is not installed.
        """
        parts = [self._of_split(split, ours, seed) for split, ours in self._splits.items()]
        return distinct(in_proportion(parts, [1] * len(parts), [None] * len(parts)), limit)

    def _of_split(self, split: str, ours: str | None, seed: int) -> Iterator[Instruction]:
        rows = enumerate(self._rows(split), start=1)
        where = "row" if len(self._splits) == 1 else f"split {split!r}, row"
        is_empty = True
        for number, row in shuffled(rows, self._shuffle_buffer, seed=seed):
            if is_empty:
                self._reader.check_columns(list(row))
                is_empty = False
            yield self._reader.instruction(row, f"{where} {number}", split=ours)
        if is_empty:
            raise DataError(f"{self._dataset}, split {split!r} has no rows.")

    def _rows(self, split: str) -> Iterator[Mapping[str, Any]]:
        rows, names = self._open(split)
        while block := self._call(lambda: list(islice(rows, BLOCK))):
            for row in block:
                yield {**row, **{column: _label(of, row[column]) for column, of in names.items()}} if names else row

    def _open(self, split: str) -> tuple[Iterator[Mapping[str, Any]], dict[str, list[str]]]:
        """Return the rows, and the names of the labels of each column that holds such."""
        try:
            import datasets
        except ImportError:
            raise MissingDependencyError(
                f'Reading {self._what} needs the datasets package: pip install "moe-toolkit[train]"'
            ) from None

        def load(streaming: bool) -> tuple[Iterator[Mapping[str, Any]], dict[str, list[str]]]:
            loaded = datasets.load_dataset(
                self._dataset, self._config, split=split, revision=self._revision, streaming=streaming
            )
            kinds = loaded.features or {}
            names = {column: kind.names for column, kind in kinds.items() if isinstance(kind, datasets.ClassLabel)}
            return iter(loaded), names

        if self._streaming:
            return self._call(lambda: load(streaming=True))
        # A download may take long, and has time-outs of its own; that the hub answers at all is checked first.
        self._call(lambda: datasets.load_dataset_builder(self._dataset, self._config, revision=self._revision))
        return self._explained(lambda: in_one_line(self._what, lambda: load(streaming=False)))

    def _call(self, function: Callable[[], T]) -> T:
        if self._is_local:
            return in_one_line(self._what, function)
        return self._explained(lambda: call_hub(self._what, function, timeout_s=self._timeout_s))

    def _explained(self, function: Callable[[], T]) -> T:
        """Return `function()`; its errors say what to do about a closed data set, and hold no token."""
        try:
            return function()
        except ConfigError as problem:
            message = without_tokens(str(problem), os.environ.get("HF_TOKEN"))
            if not self._is_local and any(word in message.casefold() for word in _CLOSED):
                message += (
                    " A private or gated data set needs a token that may read it in the environment variable HF_TOKEN, "
                    "and its terms accepted on the hub."
                )
            raise ConfigError(message) from None


def _splits(split: str, keep_split: bool | Mapping[str, str]) -> dict[str, str | None]:
    """Return each split to read -> the split its instructions keep, or None."""
    ours: dict[str, str | None] = {}
    renamed = keep_split if isinstance(keep_split, Mapping) else {}
    for part in (part.strip() for part in split.split("+")):
        name = part.partition("[")[0]
        if not name or part in ours:
            raise ConfigError(f"split is {split!r}; expected different names joined by +, such as train+test.")
        ours[part] = renamed.get(name, SPLIT_ALIASES.get(name, name)) if keep_split else None
        if ours[part] not in (*SPLITS, None):
            raise ConfigError(
                f"keep_split: {ours[part]!r} is none of {', '.join(SPLITS)}. Say which one it is, "
                f"as in keep_split: {{{name}: train}}, or leave keep_split out."
            )
    for name in renamed:
        known = [part.partition("[")[0] for part in ours]
        if name not in known:
            raise ConfigError(f"keep_split: {name!r} is not read.{nearest(name, known)} Read: {', '.join(known)}.")
    return ours


def _label(names: list[str], value: object) -> object:
    """Return the name of a class label; None for one that the data set hides (-1)."""
    if not isinstance(value, int):
        return value
    return names[value] if 0 <= value < len(names) else None
