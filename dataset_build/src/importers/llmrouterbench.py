"""LLMRouterBench (ynulihao/LLMRouterBench), one JSON object per run: `results/bench/DATASET/SPLIT/MODEL/*.json`.

A run has `performance`, `time_taken`, `prompt_tokens`, `completion_tokens`, `cost`, `counts`, `model_name`,
`dataset_name`, `split`, `demo` and `records`; a record `index`, `origin_query`, `prompt`, `prediction`, `ground_truth`,
`score` in [0, 1] or null, `prompt_tokens`, `completion_tokens`, `cost` in USD and `raw_output`. Runs written before the
names were stored have them in their folders.

What stays out: demo runs, as in their own loader; and of several runs of a model on a dataset the rows of all but the
latest (by the time in the file's name). A run whose cost is 0 in total had no prices, so its costs are unknown.
A `raw_output` that begins with `Generation failed: `, `Processing failed: ` or `Unexpected error: ` and has no tokens
is what their collector writes when a call failed; it becomes an error, whatever score stands beside it.
`split` is the benchmark's own (nearly always "test"), not one for routers; it is kept as `benchmark_split`.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from dataset_build.src.errors import DataError
from dataset_build.src.importers.base import ImportFormat, Row, number, text
from dataset_build.src.importers.input_file import InputFile
from dataset_build.src.records import instruction_id

FAILURES = ("Generation failed: ", "Processing failed: ", "Unexpected error: ")


class LLMRouterBench(ImportFormat):
    """One run of one model on one dataset."""

    description = "LLMRouterBench's runs (a JSON object with performance, counts, records)"
    keys = ("performance", "time_taken", "counts", "model_name", "dataset_name", "split", "demo", "records")
    source = "llmrouterbench"

    def detects(self, file: InputFile) -> bool:
        """Return whether it is a run."""
        return file.is_object and {"performance", "counts", "records"} <= set(file.columns)

    def order(self, file: InputFile) -> float:
        """Return that later runs come first, so that their rows are the ones that stay."""
        stamp = re.search(r"(\d{8})_(\d{6})\.json", file.path.name)
        return -float(stamp[1] + stamp[2]) if stamp else 0.0

    def rows(self, file: InputFile) -> Iterator[Row]:
        """Yield a row per record."""
        run = file.document()
        records = run.get("records")
        if not isinstance(records, list):
            raise DataError(f"{file}: records is a {type(records).__name__}; a list was expected.")
        if run.get("demo"):
            self.dropped["demo run"] += len(records)
            return
        folders = [folder.name for folder in file.path.absolute().parents[:3]]
        expert = str(run.get("model_name") or folders[0])
        dataset = str(run.get("dataset_name") or folders[2])
        priced = any(isinstance(record, dict) and record.get("cost") for record in records)
        if not priced:
            self.notes[f"Runs of {expert} cost 0 in total: they had no prices, so their costs are unknown."] = None
        for number_, record in enumerate(records, start=1):
            file.position = f"record {number_}"
            if not isinstance(record, dict):
                raise DataError(f"{file.where} is a {type(record).__name__}; an object was expected.")
            row = self._row(record, dataset, file)
            yield {
                **row,
                "expert": expert,
                "cost": row["cost"] if priced else None,
                "benchmark_split": run.get("split"),
            }

    def _row(self, record: Mapping[str, Any], dataset: str, file: InputFile) -> Row:
        prompt = text(record.get("prompt")) or text(record.get("origin_query"))
        answer = text(record.get("raw_output"))
        failed = bool(answer) and str(answer).startswith(FAILURES) and not record.get("prompt_tokens")
        return {
            # Not of the reference: a failed record has none, and it is the same instruction all the same.
            "instruction_id": instruction_id(f"{self.source}/{dataset}", prompt or "", None),
            "instruction": prompt,
            "category": dataset,
            "reference": text(record.get("ground_truth")) or None,
            "response": None if failed else answer,
            "error": f"error: {answer}" if failed else None,
            "score": None if failed else number(record.get("score"), file),
            "metric": f"llmrouterbench_{dataset}",
            "cost": None if failed else number(record.get("cost"), file),
            "prompt_tokens": None if failed else number(record.get("prompt_tokens"), file),
            "completion_tokens": None if failed else number(record.get("completion_tokens"), file),
        }
