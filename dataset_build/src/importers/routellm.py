"""RouteLLM's evaluation tables (lm-sys/RouteLLM, `routellm/evals/mmlu/responses/*.csv`, `gsm8k/gsm8k_responses.csv`).

A table has `prompt`, a column per model that says whether its answer was right (True or False), and for GSM8K
`<model>_response` with the answer; for MMLU no answers were published. There are no references, costs or tokens, and
no split: the tables are the benchmarks' test sets, all of which is what a router is trained and judged on.

The category is the file's name without `_responses` where that starts with mmlu or gsm8k; otherwise there is none.
"""

from collections.abc import Iterator

from dataset_build.src.importers.base import ImportFormat, Row, number, text
from dataset_build.src.importers.input_file import InputFile

RESPONSE = "_response"
_TRUTHS = {"true", "false", "0", "1", "0.0", "1.0"}


class RouteLLM(ImportFormat):
    """A table of prompts and truths."""

    description = "RouteLLM's evaluation tables (prompt, MODEL, MODEL_response)"
    keys = ("prompt",)
    source = "routellm"

    def detects(self, file: InputFile) -> bool:
        """Return whether every column but the prompt is a model's truths or its answers."""
        models = _models(file.columns)
        return (
            file.ending in (".csv", ".parquet")
            and not any("|" in name for name in file.columns)
            and "prompt" in file.columns
            and bool(models)
            and all(
                str(record[model]).lower() in _TRUTHS for record in file.sample for model in models if record[model]
            )
        )

    def rows(self, file: InputFile) -> Iterator[Row]:
        """Yield a row per prompt and model."""
        stem = file.path.name.partition(".")[0].removesuffix("_responses")
        for record in file.records():
            for model in _models(file.columns):
                yield {
                    "instruction": text(record["prompt"]),
                    "category": stem if stem.startswith(("mmlu", "gsm8k")) else None,
                    "expert": model,
                    "response": text(record.get(model + RESPONSE)),
                    "score": number(record[model], file),
                    "metric": "routellm_correct",
                }


def _models(columns: list[str]) -> list[str]:
    return [name for name in columns if name != "prompt" and name.removesuffix(RESPONSE) not in set(columns) - {name}]
