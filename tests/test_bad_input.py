"""Bad input is one clear line and exit code 2: never a traceback, never a half-written output."""

import json
from pathlib import Path

import pandas as pd
import pytest

from dataset_build import write_table
from mixture_training.src.cli import main


def run(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Return the exit code and what was said on stderr."""
    try:
        code = main(arguments)
    except SystemExit as stop:
        code = int(stop.code or 0)
    return code, capsys.readouterr().err


def rows(**changes: list[object]) -> pd.DataFrame:
    table = pd.DataFrame(
        [
            {"instruction_id": str(n), "instruction": f"q {n}", "expert": expert, "score": (n + len(expert)) % 2}
            for n in range(60)
            for expert in ("a", "bb")
        ]
    )
    return table.assign(**changes)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "questions.csv").write_text("question,answer\nWhat is 1 + 1?,2\n")
    (tmp_path / "semicolons.csv").write_text("question;answer\nWhat is 1 + 1?;2\n")
    (tmp_path / "rule.yaml").write_text("metrics: [{categ: sums, metric: number}]\n")
    (tmp_path / "price.yaml").write_text("experts: [{provider: echo, price: {promt_per_million: 1}}]\n")
    (tmp_path / "mine" / "dataset").mkdir(parents=True)
    own = {"config": {"sources": [{"source": "file"}]}, "experts": [{"name": "a", "provider": "echo"}]}
    (tmp_path / "mine" / "dataset" / "dataset.json").write_text(json.dumps({"format_version": 1, **own}))
    (tmp_path / "routed" / "router").mkdir(parents=True)
    (tmp_path / "routed" / "router" / "router.json").write_text("{}")
    (tmp_path / "empty.csv").write_text("instruction,reference\n")
    (tmp_path / "a_file").touch()
    (tmp_path / "misspelt.yaml").write_text("batch_sise: 3\n")
    write_table(rows(), tmp_path / "good.parquet")
    rows(score=[1.5] * 120).to_parquet(tmp_path / "outside.parquet")
    write_table(rows(score=[1.0, None] * 60), tmp_path / "silent.parquet")
    write_table(rows()[lambda table: table["expert"] == "a"], tmp_path / "listed" / "data" / "train.parquet")
    listed = {"format_version": 1, "experts": [{"name": "a"}, {"name": "bb"}]}
    (tmp_path / "listed" / "dataset.json").write_text(json.dumps(listed))
    (tmp_path / "newer").mkdir()
    (tmp_path / "newer" / "router.json").write_text('{"format_version": 99}')
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "router.json").write_text("{")
    return tmp_path


@pytest.mark.parametrize(
    ("line", "said"),
    [
        # no such file
        ("build --sources absent.csv", "absent.csv"),
        ("build --config absent.yaml", "No such configuration file"),
        ("build --experts replay:absent.parquet --sources questions.csv --columns instruction=question", "absent"),
        ("train --dataset absent.parquet", "No such dataset"),
        ("evaluate --dataset absent.parquet --methods linear", "No such dataset"),
        ("route --router absent hello", "absent"),
        ("run --router absent hello", "absent"),
        # a CSV without the mapped column, with no column to take, and an empty source
        ("build --sources questions.csv --columns instruction=questoin", "Did you mean 'question'"),
        ("build --sources questions.csv", "question"),
        ("build --sources empty.csv", "empty.csv"),
        ("build --sources semicolons.csv --columns instruction=question", "its cells are parted by ';'"),
        # unknown names
        ("build --experts calculater", "Did you mean 'calculator'"),
        ("build --metric exact_mach", "Did you mean 'exact_match'"),
        ("build --sources budnled", "bundled"),
        ("build --engine rey", "rey"),
        ("train --dataset good.parquet --model_type lineer", "Did you mean 'linear'"),
        ("train --dataset good.parquet --model_type linear --encoder minilmm", "Did you mean 'minilm'"),
        ("train --dataset good.parquet --policy qualitty", "quality"),
        ("evaluate --dataset good.parquet --methods linera", "Did you mean 'linear'"),
        ("trian", "train"),
        # a config with a misspelt key
        ("build --config misspelt.yaml", "Did you mean 'batch_size'"),
        ("build --config rule.yaml", "Did you mean 'category'"),
        ("build --config price.yaml", "unknown key 'experts.0.price.promt_per_million'"),
        # what contradicts itself, or would replace what is somebody's own
        ("build --overwrite --use_existing_dataset", "give one of them"),
        ("quickstart --output mine", "no quickstart made"),
        ("quickstart --output routed", "no quickstart made"),
        ("quickstart --max_iter 3", "give at least 20"),
        # datasets that are not what they should be
        ("train --dataset outside.parquet", "outside [0, 1]"),
        ("evaluate --dataset outside.parquet --methods linear", "outside [0, 1]"),
        ("train --dataset silent.parquet", "expert 'bb' has no scored response"),
        ("train --dataset listed", "expert 'bb' has no scored response"),
        # router folders that are not what they should be
        ("route --router newer hello", "newer"),
        ("route --router damaged hello", "damaged"),
        # an unwritable output
        ("build --sources questions.csv --columns instruction=question --experts echo --output a_file/sub", "a_file"),
        ("train --dataset good.parquet --output a_file/sub", "a_file"),
        ("evaluate --dataset good.parquet --methods linear --report a_file/sub", "a_file"),
        # numbers out of range and flags that do not exist
        ("build --batch_size 0", "at least 1"),
        ("build --max_iter -3", "at least 1"),
        ("train --dataset good.parquet --batch_size 0", "at least 1"),
        ("train --dataset good.parquet --epochs 0", "at least 1"),
        ("build --batchsize 3", "Did you mean --batch_size"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(line: str, said: str, folder: Path, capsys: pytest.CaptureFixture[str]):
    code, error = run(line.split(), capsys)
    assert code == 2, error
    assert said in error
    assert error.strip().count("\n") == 0, error
    assert "Traceback" not in error


def test_nothing_is_left_behind_by_a_refused_command(folder: Path, capsys: pytest.CaptureFixture[str]):
    before = sorted(path.relative_to(folder) for path in folder.rglob("*"))
    for line in ("build --metric exact_mach", "train --dataset outside.parquet", "build --sources empty.csv"):
        assert run(line.split(), capsys)[0] == 2
    assert sorted(path.relative_to(folder) for path in folder.rglob("*")) == before
