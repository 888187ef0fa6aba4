"""Read back a finished dataset, so that a build can continue from it without paying for anything twice."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dataset_build.src.dataset_builder import ExpertColumn
from dataset_build.src.dataset_tables import FURTHER_PREFIX
from dataset_build.src.errors import DataError
from dataset_build.src.interchange import read_dataset_json
from dataset_build.src.records import CALL_COLUMNS, COLUMNS, SPLITS, Instruction, Response

_BATCH_ROWS = 5_000


class ExistingDataset:
    """A dataset folder that `dataset_builder` wrote.

    Args:
        folder: The folder.

    Raises:
        DataError: it is damaged, a part of it is missing, or it was written by a newer version.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        try:
            facts = read_dataset_json(folder)
            self.experts = [
                ExpertColumn(one["name"], one["request"], one, (one.get("config") or {}).get("model"))
                for one in facts["experts"]
            ]
            self._default_metric = (facts.get("config") or {}).get("metric")
            #: USD that was spent on it, where its build has not come to its end.
            self.spent_usd = float((facts.get("unfinished") or {}).get("spent_usd") or 0.0)
            #: Of what it holds.
            self.content_hash = facts.get("content_hash")
            counts = facts.get("counts") or {}
            self._check_parts(counts.get("responses"), counts.get("splits") or {})
        except (KeyError, TypeError) as problem:
            raise DataError(
                f"{folder / 'dataset.json'} lacks {problem}; build the dataset anew with --overwrite."
            ) from None

    def _check_parts(self, responses: int | None, splits: Mapping[str, int]) -> None:
        """Refuse a dataset of which a part is gone: it would be paid for again."""
        advice = "put it back, or build the dataset anew with --overwrite"
        for split in SPLITS:
            if splits.get(split) and not self._path(split).is_file():
                raise DataError(f"{self._path(split)} is missing; {splits[split]:,} instructions were in it: {advice}.")
        found = sum(self._count(split) for split in SPLITS)
        if responses is not None and found != responses:
            raise DataError(
                f"{self._folder / 'data'} holds {found:,} responses and dataset.json says {responses:,}; a file was "
                f"replaced or cut: {advice}."
            )

    def instructions(self, *, keeps_metric: bool = True) -> Iterator[Instruction]:
        """Yield its instructions, with the split and the metric they have there.

        Args:
            keeps_metric: Whether also those keep their metric that had the dataset's default one.
        """
        before = None
        for row in self._rows():  # the rows of one instruction stand together
            if row["instruction_id"] != before:
                before = row["instruction_id"]
                yield Instruction(
                    id=row["instruction_id"],
                    text=row["instruction"],
                    category=row["category"],
                    reference=row["reference"],
                    source=row["source"],
                    split=row["split"],
                    metric=row["metric"] if keeps_metric or row["metric"] != self._default_metric else None,
                    extra={
                        name: value
                        for name, value in row.items()
                        if name not in COLUMNS and name not in CALL_COLUMNS and not name.startswith(FURTHER_PREFIX)
                    },
                )

    def responses(self) -> Iterator[tuple[str, Response]]:
        """Yield (request, response) for every row."""
        requests = {expert.name: expert.request for expert in self.experts}
        for row in self._rows():
            if row["expert"] in requests:
                yield (
                    requests[row["expert"]],
                    Response(
                        instruction_id=row["instruction_id"],
                        expert=row["expert"],
                        text=row["response"],
                        error=row["error"],
                        prompt_tokens=row["prompt_tokens"],
                        completion_tokens=row["completion_tokens"],
                        cost=row["cost"],
                        latency_s=row["latency_s"],
                        model=row["model"],
                        finish_reason=row.get("finish_reason"),
                        first_token_s=row.get("first_token_s"),
                        cached_tokens=row.get("cached_tokens"),
                        reasoning_tokens=row.get("reasoning_tokens"),
                        tokens_estimated=bool(row.get("tokens_estimated")),
                        samples=tuple(json.loads(row.get("samples") or "[]")),
                    ),
                )

    def _path(self, split: str) -> Path:
        return self._folder / "data" / f"{split}.parquet"

    def _count(self, split: str) -> int:
        with self._opened(split) as file:
            return file.metadata.num_rows if file is not None else 0

    def _rows(self) -> Iterator[dict[str, Any]]:
        for split in SPLITS:
            with self._opened(split) as file:
                for batch in file.iter_batches(batch_size=_BATCH_ROWS) if file is not None else ():
                    yield from batch.to_pylist()

    @contextmanager
    def _opened(self, split: str) -> Iterator[Any]:
        """Give the file of a split, or None where there is none."""
        import pyarrow as pa
        import pyarrow.parquet

        path = self._path(split)
        if not path.is_file():
            yield None
            return
        try:
            with pyarrow.parquet.ParquetFile(path) as file:
                yield file
        except (pa.ArrowException, OSError) as problem:
            raise DataError(f"Cannot read {path}: {' '.join(str(problem).split())[:300]}") from None
