"""Choices in the forms that other benchmarks of routers read.

RouterArena (RouteWorks/RouterArena, `router_inference/predictions/ROUTER.json`): a list with `global index`, `prompt`,
`prediction` and three fields that its own inference fills; the router's models are in a second file. RouterBench
(withmartian/routerbench): the wide table that `evaluate_routers.py` works on, with the router as one more pair of
columns. LLMRouterBench (ynulihao/LLMRouterBench): a run per dataset, as its collector stores that of a model,
`DATASET/SPLIT/MODEL/DATASET-SPLIT-MODEL-TIME.json`; every category is a dataset.
"""

import csv
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dataset_build import ConfigError, nearest
from mixture_training.src.metrics.references import oracle
from mixture_training.src.training_data import TrainingData

#: What RouterBench calls the oracle where nobody is right.
_NOBODY = "no_model_correct"


@dataclass(frozen=True)
class Choices:
    """What a router chose.

    Attributes:
        router: Its name.
        data: The rows it routed.
        experts: The chosen expert of each row, None where there is none, (n,).
        split: The rows' split.
        policy: How it traded score and cost.
    """

    router: str
    data: TrainingData
    experts: tuple[str | None, ...]
    split: str = "test"
    policy: str = "quality"


def parse_export(text: str) -> tuple[str, Path]:
    """Return (format, place) of `FORMAT:FILE`.

    Raises:
        ConfigError: there is no such format, or no place.
    """
    name, colon, place = text.partition(":")
    if name not in FORMATS:
        raise ConfigError(
            f"Unknown export format {name!r}.{nearest(name, list(FORMATS))} Known: {', '.join(FORMATS)}; "
            "write FORMAT:FILE."
        )
    if not colon or not place:
        raise ConfigError(f"--export {text!r} names no file; write {name}:FILE.")
    return name, Path(place)


def export(choices: Choices, form: str, place: Path) -> list[Path]:
    """Write choices in one of `FORMATS` and return the files.

    Args:
        choices: What was chosen.
        form: Its name.
        place: The file; for `llmrouterbench` the folder that stands for their `results/bench`.

    Raises:
        ConfigError: the place cannot be written.
    """
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        return FORMATS[form](choices, place)
    except OSError as problem:
        raise ConfigError(f"Cannot write {place}: {problem.strerror or problem}.") from None


def _router_arena(choices: Choices, place: Path) -> list[Path]:
    """Write the predictions, and beside them the configuration that names the models."""
    rows = [
        {
            "global index": name,
            "prompt": text,
            "prediction": expert,
            "generated_result": None,
            "cost": None,
            "accuracy": None,
        }
        for name, text, expert in zip(choices.data.ids, choices.data.texts, choices.experts, strict=True)
    ]
    models = sorted({expert for expert in choices.experts if expert is not None} | set(choices.data.experts))
    config = place.with_suffix(".config.json")
    _write_json(place, rows)
    _write_json(config, {"pipeline_params": {"router_name": choices.router, "models": models}})
    return [place, config]


def _router_bench(choices: Choices, place: Path) -> list[Path]:
    """Write the wide table as CSV; a score or cost that is not known is an empty cell."""
    data = choices.data
    column = f"{choices.router}|policy:{choices.policy}"
    ideal = oracle(data.scores, data.costs)
    place_of = {name: number for number, name in enumerate(data.experts)}
    costs = [f"{name}|total_cost" for name in data.experts]
    head = ["sample_id", "prompt", "eval_name", *data.experts, *costs, "oracle_model_to_route_to"]
    with place.open("w", encoding="utf-8", newline="", errors="surrogateescape") as stream:
        writer = csv.writer(stream)
        writer.writerow([*head, column, f"{column}|total_cost"])
        for row, expert in enumerate(choices.experts):
            best = int(ideal[row])
            paid = data.costs[row, place_of[expert]] if expert in place_of else np.nan
            writer.writerow(
                [
                    data.ids[row],
                    data.texts[row],
                    data.categories[row] or "",
                    *map(_cell, data.scores[row]),
                    *map(_cell, data.costs[row]),
                    data.experts[best] if best >= 0 and data.scores[row, best] > 0 else _NOBODY,
                    expert or "",
                    _cell(paid),
                ]
            )
    return [place]


def _llm_router_bench(choices: Choices, place: Path) -> list[Path]:
    """Write a run per category, the router as its model."""
    labels = [category or "uncategorised" for category in choices.data.categories]
    stamp = time.strftime("%Y%m%d_%H%M%S")
    model, written = file_name(choices.router), []
    for name in sorted(set(labels)):
        rows = [row for row, label in enumerate(labels) if label == name]
        records = [_record(choices, row, number) for number, row in enumerate(rows, start=1)]
        scores = [record["score"] for record in records if record["score"] is not None]
        folder = place / file_name(name) / choices.split / model
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{file_name(name)}-{choices.split}-{model}-{stamp}.json"
        _write_json(
            file,
            {
                "performance": sum(scores) / len(scores) if scores else 0.0,
                "time_taken": 0.0,
                "prompt_tokens": 0,
                "completion_tokens": 0,
                "cost": sum(record["cost"] for record in records),
                "counts": len(records),
                "model_name": choices.router,
                "dataset_name": name,
                "split": choices.split,
                "demo": False,
                "extra_metrics": {"policy": choices.policy},
                "data_fingerprint": "",
                "records": records,
            },
        )
        written.append(file)
    return written


def _record(choices: Choices, row: int, number: int) -> dict[str, Any]:
    data, expert = choices.data, choices.experts[row]
    column = data.experts.index(expert) if expert in data.experts else None
    score, cost = (
        (np.nan, np.nan) if column is None else (float(data.scores[row, column]), float(data.costs[row, column]))
    )
    return {
        "index": number,
        "origin_query": data.texts[row],
        "prompt": data.texts[row],
        "prompt_tokens": 0,
        "completion_tokens": 0,
        "cost": 0.0 if np.isnan(cost) else cost,
        "score": None if np.isnan(score) else score,
        "prediction": "",
        "ground_truth": "",
        "raw_output": expert,
        "extra_fields": {"routed_to": expert, "instruction_id": data.ids[row]},
    }


#: What `--export` knows: name -> writer.
FORMATS: dict[str, Callable[[Choices, Path], list[Path]]] = {
    "routerarena": _router_arena,
    "routerbench": _router_bench,
    "llmrouterbench": _llm_router_bench,
}


def _cell(value: float) -> str:
    return "" if np.isnan(value) else repr(float(value))


def file_name(name: str) -> str:
    """Return a name that is one part of a path."""
    return re.sub(r"[^\w.+-]+", "_", name).lstrip(".") or "_"


def _write_json(file: Path, content: object) -> None:
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    file.write_text(text + "\n", encoding="utf-8", errors="surrogateescape")
