"""LLMRouter's routing data (ulab-uiuc/LLMRouter, `default_routing_{train,test}_data.jsonl`).

A line is one query and one model: `task_name`, `query`, `ground_truth`, `metric`, `choices` (JSON text of `text` and
`labels`, or null), `task_id`, `model_name`, `response`, `token_num`, `input_tokens`, `output_tokens`, `response_time`
in seconds, `performance` in [0, 1], `embedding_id`, `user_id`, `fig_id`.

The choices are put under the query as lettered lines, because without them it is not the question that was asked. The
split is the one in the file's name (train or test). There are no costs: the prices are in another file
(`default_llm.json`). A response that begins with `ERROR: ` or `API Error: ` and used no tokens is what their caller
writes when a call failed, beside a performance of 0; it becomes an error without a score.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from dataset_build.src.importers.base import ImportFormat, Row, number, text, with_choices
from dataset_build.src.importers.input_file import InputFile

FAILURES = ("ERROR: ", "API Error: ")


class LLMRouter(ImportFormat):
    """Routing data."""

    description = "LLMRouter's routing data (task_name, query, model_name, response, performance)"
    keys = ("task_name", "query", "ground_truth", "metric", "choices", "model_name", "performance", "embedding_id")
    source = "llmrouter"

    def detects(self, file: InputFile) -> bool:
        """Return whether a query, a model and its performance are there."""
        return {"query", "model_name", "performance"} <= set(file.columns)

    def rows(self, file: InputFile) -> Iterator[Row]:
        """Yield a row per line."""
        words = set(re.split(r"[^a-z]+", file.path.name.lower()))
        split = next((name for name in ("train", "test") if name in words), None)
        for record in file.records():
            answer = text(record.get("response"))
            failed = bool(answer) and str(answer).startswith(FAILURES) and not record.get("token_num")
            yield {
                "instruction": _question(record),
                "category": text(record.get("task_name")),
                "reference": text(record.get("ground_truth")),
                "split": split,
                "expert": text(record.get("model_name")),
                "response": None if failed else answer,
                "error": f"error: {answer}" if failed else None,
                "score": None if failed else number(record.get("performance"), file),
                "metric": text(record.get("metric")),
                "prompt_tokens": None if failed else number(record.get("input_tokens"), file),
                "completion_tokens": None if failed else number(record.get("output_tokens"), file),
                "latency_s": None if failed else number(record.get("response_time"), file),
            }


def _question(record: Mapping[str, Any]) -> str | None:
    query, choices = text(record.get("query")), record.get("choices")
    if isinstance(choices, str):
        try:
            choices = json.loads(choices)
        except ValueError:
            choices = None
    if query and isinstance(choices, dict) and isinstance(choices.get("text"), list):
        labels = choices.get("labels") or [chr(ord("A") + place) for place in range(len(choices["text"]))]
        return with_choices(query, labels, choices["text"])
    return query
