"""RouterBench (withmartian/routerbench): one wide row per prompt, several columns per model.

The published tables (`routerbench_0shot`, `routerbench_5shot`) have `sample_id`, `prompt`, `eval_name`, then for every
model a column of its name with the performance in [0, 1], `<model>|model_response` and `<model>|total_cost` in USD for
that prompt; `oracle_model_to_route_to` follows from these and is left out, and so are columns of routers. They are
published as pickles, which are not read; the same table as CSV or Parquet is. A prompt and a response are often the
text of a Python list of turns: its turns are joined by blank lines.

There are no references, tokens, latencies or splits.
"""

import ast
from collections.abc import Iterator

from dataset_build.src.importers.base import ImportFormat, Row, number, text
from dataset_build.src.importers.input_file import InputFile

RESPONSE, COST = "|model_response", "|total_cost"


class RouterBench(ImportFormat):
    """The wide table."""

    description = "RouterBench's wide table (MODEL, MODEL|model_response, MODEL|total_cost)"
    keys = ("sample_id", "prompt", "eval_name", "oracle_model_to_route_to")
    source = "routerbench"

    def detects(self, file: InputFile) -> bool:
        """Return whether there is a prompt and a model with a column of its own."""
        return "prompt" in file.columns and bool(_models(file.columns))

    def rows(self, file: InputFile) -> Iterator[Row]:
        """Yield a row per prompt and model."""
        models = _models(file.columns)
        for record in file.records():
            for model in models:
                yield {
                    "instruction": _turns(record.get("prompt")),
                    "category": text(record.get("eval_name")),
                    "expert": model,
                    "response": _turns(record.get(model + RESPONSE)),
                    "score": number(record.get(model), file),
                    "metric": "routerbench",
                    "cost": number(record.get(model + COST), file),
                    "sample_id": text(record.get("sample_id")),
                }


def _models(columns: list[str]) -> list[str]:
    named = dict.fromkeys(
        name.removesuffix(ending) for name in columns for ending in (RESPONSE, COST) if name.endswith(ending)
    )
    return [name for name in named if name in columns and "|" not in name and name != "oracle"]


def _turns(cell: object) -> str | None:
    """Return a cell that is the text of a list of texts as those texts; any other as it is."""
    found = text(cell)
    if found is None or not (found.startswith("[") and found.endswith("]")):
        return found
    try:
        turns = ast.literal_eval(found)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return found
    if isinstance(turns, list) and turns and all(isinstance(turn, str) for turn in turns):
        return "\n\n".join(turns)
    return found
