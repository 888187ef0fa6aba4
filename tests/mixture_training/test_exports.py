"""Exported choices are read back as the owners of each format describe it."""

import csv
import json
import re
from dataclasses import replace

import numpy as np
import pytest

from dataset_build import ConfigError, import_dataset, read_table
from mixture_training.src.exports import FORMATS, Choices, export, parse_export


@pytest.fixture
def choices(small_data):
    rows = replace(small_data, experts=("acme/adder", "poet")).split("test")
    rows = replace(rows, texts=('one, "two"\nthree | é', *rows.texts[1:]), categories=(None, *rows.categories[1:]))
    named = ("acme/adder", "poet") * (len(rows) // 2)
    return Choices("my/router: v1", rows, (None, *named[1:]), "test", "cost_weight=2")


def test_router_arena_gets_a_list_of_predictions_and_a_config(choices, tmp_path):
    """`check_config_prediction_files.py` wants these fields, and every prediction among the models of the config."""
    predictions, config = (json.loads(file.read_text()) for file in export(choices, "routerarena", tmp_path / "r.json"))
    assert len(predictions) == len(choices.data)
    for entry, name, text, expert in zip(
        predictions, choices.data.ids, choices.data.texts, choices.experts, strict=True
    ):
        assert list(entry) == ["global index", "prompt", "prediction", "generated_result", "cost", "accuracy"]
        assert (entry["global index"], entry["prompt"], entry["prediction"]) == (name, text, expert)
    assert config == {"pipeline_params": {"router_name": "my/router: v1", "models": ["acme/adder", "poet"]}}


def test_router_bench_gets_its_wide_table(choices, tmp_path):
    """Its code reads `sample_id`, a column per model, `MODEL|total_cost`, and finds a router's choice by name."""
    (file,) = export(choices, "routerbench", tmp_path / "wide.csv")
    with file.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    router = "my/router: v1|policy:cost_weight=2"
    data = choices.data
    for row, entry in enumerate(rows):
        expert = choices.experts[row] or ""
        assert (entry["sample_id"], entry["prompt"]) == (data.ids[row], data.texts[row])
        assert entry["eval_name"] == (data.categories[row] or "")
        assert entry[router] == expert
        for column, name in enumerate(data.experts):
            known = not np.isnan(data.scores[row, column])
            assert entry[name] == (repr(data.scores[row, column].item()) if known else "")
        paid = "" if not expert else entry[f"{expert}|total_cost"]
        assert entry[f"{router}|total_cost"] == paid
        best = entry["oracle_model_to_route_to"]
        assert best == "no_model_correct" or float(entry[best]) == np.nanmax(data.scores[row])
    assert len(rows) == len(data)


def test_router_bench_tables_are_read_by_the_importer(choices, tmp_path):
    (file,) = export(choices, "routerbench", tmp_path / "wide.csv")
    import_dataset([file], output=tmp_path / "back.parquet", format="routerbench")
    table = read_table(tmp_path / "back.parquet")
    assert set(table["expert"]) == {"acme/adder", "poet"}
    assert table["score"].mean() == pytest.approx(np.nanmean(choices.data.scores))


RECORD = {
    "index", "origin_query", "prompt", "prompt_tokens", "completion_tokens", "cost", "score", "prediction",
    "ground_truth", "raw_output", "extra_fields",
}  # fmt: skip
RUN = {
    "performance", "time_taken", "prompt_tokens", "completion_tokens", "cost", "counts", "model_name", "dataset_name",
    "split", "demo", "extra_metrics", "data_fingerprint", "records",
}  # fmt: skip


def test_llm_router_bench_gets_a_run_per_category(choices, tmp_path):
    """`ResultsStorage` finds DATASET/SPLIT/MODEL/*-YYYYMMDD_HHMMSS.json and builds its two classes from the keys."""
    files = export(choices, "llmrouterbench", tmp_path / "bench")
    data, seen = choices.data, []
    for file in files:
        assert re.search(r"(\d{8})_(\d{6})\.json$", file.name)
        run = json.loads(file.read_text())
        assert set(run) == RUN
        assert file.relative_to(tmp_path).parts[1:3] == (run["dataset_name"], "test")
        assert run["counts"] == len(run["records"])
        assert run["model_name"] == "my/router: v1"
        scores = [record["score"] for record in run["records"] if record["score"] is not None]
        assert run["performance"] == pytest.approx(np.mean(scores) if scores else 0.0)
        for number, record in enumerate(run["records"], start=1):
            assert set(record) == RECORD
            assert record["index"] == number
            row = data.ids.index(record["extra_fields"]["instruction_id"])
            assert record["raw_output"] == choices.experts[row]
            seen.append(row)
    assert sorted(seen) == list(range(len(data)))
    assert {json.loads(file.read_text())["dataset_name"] for file in files} == {"poems", "sums", "uncategorised"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("routerarna:x.json", "Did you mean 'routerarena'"),
        ("routerbench", "names no file"),
        ("routerbench:", "names no file"),
    ],
)
def test_what_cannot_be_exported_is_said(text, says):
    with pytest.raises(ConfigError, match=says):
        parse_export(text)


@pytest.mark.parametrize("form", FORMATS)
def test_a_place_that_cannot_be_written_is_said(form, choices, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="Cannot write"):
        export(choices, form, tmp_path / "file" / "below")
