"""`moe import`: what it prints, and that what it writes trains and evaluates."""

import json
from pathlib import Path

import pandas as pd
import pytest

from dataset_build import Parser
from mixture_training.src.cli import main
from mixture_training.src.commands import importing


@pytest.fixture
def routerbench(tmp_path: Path) -> Path:
    """A wide table in which one model sums well and the other rhymes well."""
    kinds = ["sum" if row % 2 else "rhyme" for row in range(120)]
    table = {
        "sample_id": [f"{kind}.{row}" for row, kind in enumerate(kinds)],
        "prompt": [f"['please {kind} item {row}']" for row, kind in enumerate(kinds)],
        "eval_name": kinds,
        "adder": [float(kind == "sum") for kind in kinds],
        "poet": [float(kind == "rhyme") for kind in kinds],
    }
    for name in ("adder", "poet"):
        table |= {f"{name}|model_response": ["['x']"] * 120, f"{name}|total_cost": [0.001] * 120}
    pd.DataFrame(table).to_csv(tmp_path / "table.csv", index=False)
    return tmp_path / "table.csv"


@pytest.mark.parametrize("ending", ["parquet", "jsonl", "csv"])
def test_what_is_imported_trains_and_evaluates(
    ending: str, routerbench: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    dataset, router, report = tmp_path / f"data.{ending}", tmp_path / "router", tmp_path / "report.json"
    assert main(["import", str(routerbench), "--output", str(dataset)]) == 0
    said = capsys.readouterr().out
    for part in ("240 read, 240 written (0 without a score, 0 without a cost)", "120 (", "1 routerbench", "adder"):
        assert part in said
    train = [
        "train",
        "--dataset",
        str(dataset),
        "--output",
        str(router),
        "--model_type",
        "linear",
        "--encoder",
        "tfidf",
    ]
    assert main(train) == 0
    assert main(["evaluate", "--dataset", str(dataset), "--router", str(router), "--json", str(report)]) == 0
    judged = json.loads(report.read_text())
    assert judged["methods"]["router"]["quality"] > judged["references"]["best_single"]["quality"]


def test_what_was_left_out_and_converted_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    annotations = [
        {"instruction": f"ask {n}", "output_1": "a", "generator_1": "[base]", "output_2": "b", "generator_2": "mine",
         "preference": 1.5}
        for n in (0, 1, 1)
    ]  # fmt: skip
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "annotations.json").write_text(json.dumps(annotations))
    (tmp_path / "in" / "other.json").write_text("{}")
    assert main(["import", str(tmp_path / "in"), "--output", str(tmp_path / "o.parquet")]) == 0
    said = capsys.readouterr().out
    assert "[base]" in said
    assert "skipped 1 of no known format" in said
    assert "left out:     2: an answer that is there already, word for word" in said
    assert "note:         Preferences of 1 to 2" in said


def test_a_pickle_is_one_line_and_exit_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "routerbench_0shot.pkl").write_bytes(b"\x80\x04.")
    assert main(["import", str(tmp_path / "routerbench_0shot.pkl"), "--output", str(tmp_path / "o.parquet")]) == 2
    said = capsys.readouterr().err
    assert said.startswith("moe import: ")
    assert said.count("\n") == 1
    assert "read_pickle('routerbench_0shot.pkl').to_parquet" in said


def test_the_command_lines_in_its_help_parse():
    parser = Parser(prog="moe import")
    importing.add_arguments(parser)
    lines = [
        line.split()[2:] for line in (importing.__doc__ or "").splitlines() if line.strip().startswith("moe import")
    ]
    assert len(lines) == 3
    assert parser.parse_args(lines[1]).experts == ["gpt-4o", "llama-3-8b"]
    assert parser.parse_args(lines[2]).columns["expert"] == "model"
    assert parser.parse_args(lines[0]).paths == ["routerbench_0shot.parquet"]
