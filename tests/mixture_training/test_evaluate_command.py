"""`moe evaluate` with all it can be asked for."""

import json

import pandas as pd
import pytest

from dataset_build import write_table
from mixture_training.src.artifacts import to_frame
from mixture_training.src.cli import main


@pytest.fixture
def dataset(small_data, tmp_path):
    write_table(to_frame(small_data), tmp_path / "data.parquet")
    return tmp_path / "data.parquet"


def run(*arguments, capsys):
    try:
        code = main([str(argument) for argument in arguments])
    except SystemExit as stopped:
        code = stopped.code
    out, err = capsys.readouterr()
    return code, out, err


def test_everything_at_once(dataset, router_folder, small_data, tmp_path, capsys):
    rows = small_data.split("test")
    pd.DataFrame({"instruction_id": rows.ids, "expert": "poet"}).to_csv(tmp_path / "theirs.csv", index=False)
    code, out, _ = run(
        "evaluate", "--dataset", dataset, "--methods", "linear:tfidf,knn:tfidf", "--router", router_folder,
        "--choices", f"peer={tmp_path / 'theirs.csv'}", "--json", tmp_path / "e.json", "--repeats", 2, "--diagnostics",
        "--leave-category-out", "--samples", 100, "--export", f"routerarena:{tmp_path / 'arena.json'}",
        "--export", f"llmrouterbench:{tmp_path / 'bench'}", capsys=capsys,
    )  # fmt: skip
    assert code == 0
    content = json.loads((tmp_path / "e.json").read_text())
    assert list(content["methods"]) == ["router", "peer", "linear:tfidf", "knn:tfidf"]
    assert content["samples"] == 100
    assert content["methods"]["peer"]["vs_best_single"] == 0.0
    assert content["methods"]["linear:tfidf"]["repeated"]["quality"]["splits"] == 2
    assert "repeated" not in content["methods"]["router"]
    assert content["methods"]["linear:tfidf"]["versus"]["peer"]["difference"] > 0.2
    found = content["diagnostics"]
    assert found["method"] == "linear:tfidf"
    assert not found["leaks"]
    assert set(found["left_out"]) == {"poems", "sums"}
    assert "Choices of peer for routerarena" in out
    named = json.loads((tmp_path / "arena-peer.json").read_text())
    assert {entry["prediction"] for entry in named} == {"poet"}
    assert len(list((tmp_path / "bench").rglob("*.json"))) == 8


def test_one_method_is_exported_under_the_name_that_was_given(dataset, tmp_path, capsys):
    code, _, _ = run(
        "evaluate", "--dataset", dataset, "--methods", "linear:tfidf", "--samples", 50,
        "--export", f"routerbench:{tmp_path / 'new' / 'wide.csv'}", capsys=capsys,
    )  # fmt: skip
    assert code == 0
    assert (tmp_path / "new" / "wide.csv").is_file()


BAD = [
    ("--methods linear:", "names no encoder"),
    ("--methods linear:tfdif", "Did you mean 'tfidf'"),
    ("--repeats 2", "give at least one"),
    ("--leave_category_out", "give at least one"),
    ("--methods linear:tfidf --repeats 1", "at least 2"),
    ("--methods linear:tfidf --repeats 0", "at least 1"),
    ("--export routerarena", "names no file"),
    ("--export arena:x.json", "Unknown export format"),
    ("--choices peer=absent.csv", "No such file of choices"),
    ("--choices {data} --choices data={data}", "no column 'expert'"),
    ("--samples 0", "at least 1"),
]


@pytest.mark.parametrize(("line", "says"), BAD)
def test_bad_input_is_one_line_and_code_two(line, says, dataset, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    pd.DataFrame({"instruction_id": ["a"]}).to_csv(tmp_path / "c.csv")
    arguments = [part.format(data=tmp_path / "c.csv") for part in line.split()]
    code, _, err = run("evaluate", "--dataset", dataset, *arguments, capsys=capsys)
    assert code == 2, err
    assert says in err
    assert err.strip().count("\n") == 0, err


def test_names_that_stand_for_two_things_are_refused(dataset, router_folder, tmp_path, capsys):
    pd.DataFrame({"instruction_id": ["a"], "expert": ["x"]}).to_csv(tmp_path / "c.csv", index=False)
    flags = ["--router", router_folder, "--choices", f"router={tmp_path / 'c.csv'}"]
    code, _, err = run("evaluate", "--dataset", dataset, *flags, capsys=capsys)
    assert code == 2
    assert "'router' names" in err


def test_a_dataset_with_a_dead_expert_is_evaluated_on_the_others(small_data, tmp_path, capsys):
    frame = to_frame(small_data)
    dead = frame[frame["expert"] == "poet"].assign(expert="boom", score=None)
    write_table(pd.concat([frame, dead.astype(frame.dtypes)]), tmp_path / "data.parquet")
    arguments = ["evaluate", "--dataset", tmp_path / "data.parquet", "--methods", "linear:tfidf", "--samples", 50]
    code, _, err = run(*arguments, capsys=capsys)
    assert code == 2
    assert "expert 'boom' has no scored response" in err
    code, out, _ = run(*arguments, "--experts", "adder,poet", capsys=capsys)
    assert code == 0
    assert "boom" not in out
