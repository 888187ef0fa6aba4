"""`moe judge calibrate`, on judges whose faults are known."""

import json
from pathlib import Path

import pandas as pd
import pytest

from mixture_training.src.cli import main

ROOT = Path(__file__).resolve().parents[2]
HERE = "tests.dataset_build.sample_judges"
#: What an expert writes, and what people think of it: the judges of `sample_judges` see the words.
WORDS = {"anna": ("good", 0.9), "bert": ("fair", 0.45), "cleo": ("bad", 0.0)}


@pytest.fixture
def dataset(tmp_path, monkeypatch):
    """Return a file of forty instructions; the winner changes from one to the next, and length is noise."""
    monkeypatch.chdir(ROOT)
    rows = []
    names = list(WORDS)
    for n in range(40):
        for place, name in enumerate(names):
            word, score = WORDS[names[(place + n) % 3]]
            text = f"A {word} answer.{' So.' * ((n * 7 + place * 5) % 11)}"
            rows.append({"instruction": f"Question {n}?", "expert": name, "response": text, "score": score,
                         "stars": 1 + 4 * score, "error": None})  # fmt: skip
    path = tmp_path / "known.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


@pytest.fixture
def calibrate(dataset, tmp_path):
    def run(function, *more, **judge):
        file = tmp_path / "judge.yaml"
        experts = [{"provider": "python", "name": function, "function": f"{HERE}:{function}"}]
        file.write_text(json.dumps({"experts": experts, **judge}))
        report = tmp_path / "report"
        code = main(["judge", "calibrate", "--dataset", str(dataset), "--judge", str(file), "--report", str(report),
                     "--json", str(tmp_path / "out.json"), *more])  # fmt: skip
        assert code == 0
        assert (report / "scatter.png").read_bytes().startswith(b"\x89PNG")
        assert "| measure | value |" in (report / "report.md").read_text()
        return json.loads((tmp_path / "out.json").read_text())

    return run


def value(result, name):
    return result["measures"][name]["value"]


def test_an_honest_judge_agrees(calibrate, capsys):
    result = calibrate("honest")
    assert result["judged"] == result["responses"] == 120
    assert result["instructions"] == 40
    assert value(result, "exact") == 1.0
    assert value(result, "spearman") == pytest.approx(1.0)
    assert value(result, "kendall") == pytest.approx(1.0)
    assert value(result, "weighted_kappa") == pytest.approx(1.0)
    assert value(result, "alpha") > 0.98
    assert abs(value(result, "mean_error")) < 0.02
    low, high = result["measures"]["spearman"]["ci95"]
    assert low <= 1.0 <= high + 1e-9
    assert "self_preference" not in result["measures"]
    assert "Canaries that honest fell for: empty 0 of 1, demand 0 of 1, copy 0 of 1." in capsys.readouterr().out


def test_a_lenient_judge_is_told_apart(calibrate, capsys):
    result = calibrate("lenient")
    assert result["measures"]["spearman"]["value"] is None
    assert value(result, "mean_error") > 0.25
    assert result["facts"]["experts"]["lenient"]["fell_for"] == {"empty": 1, "demand": 1, "copy": 1}
    assert "Warning: judge judge: lenient fell for 1 of 1 canaries" in capsys.readouterr().out


def test_a_judge_of_pairs(calibrate):
    result = calibrate("honest", mode="pairwise")
    assert result["pairs"] == 120
    assert value(result, "pair_agreement") == value(result, "pair_accuracy") == value(result, "pair_kappa") == 1.0
    assert value(result, "order_decided") == value(result, "preference_for_first") == 0.0
    assert "exact" not in result["measures"]


def test_a_judge_that_prefers_the_first_is_told(calibrate):
    result = calibrate("first_is_best", mode="pairwise")
    assert value(result, "order_decided") == 1.0
    assert value(result, "preference_for_first") == 0.5
    assert value(result, "pair_accuracy") == 0.5
    assert value(result, "pair_agreement") == 0.0


def test_a_second_run_pays_nothing_and_other_responses_are_others(calibrate, dataset, tmp_path, monkeypatch):
    counted = tmp_path / "verdicts"
    monkeypatch.setenv("VERDICTS_FILE", str(counted))
    calibrate("honest")
    paid = counted.stat().st_size
    calibrate("honest")
    assert counted.stat().st_size == paid
    dataset.write_text(dataset.read_text().replace("A good answer", "A wrong answer"))
    assert value(calibrate("honest"), "spearman") < 0.9
    assert counted.stat().st_size > paid


def test_a_sample_and_another_column(calibrate):
    result = calibrate("honest", "--sample", "30", "--gold", "stars", "--gold_range", "1,5")
    assert result["responses"] == 30
    assert value(result, "exact") == 1.0


def test_a_judge_that_is_one_of_the_experts_may_prefer_itself(calibrate, dataset, tmp_path):
    frame = pd.read_json(dataset, lines=True)
    frame["expert"] = frame["expert"].replace("anna", "lenient")
    frame.to_json(dataset, orient="records", lines=True)
    assert abs(value(calibrate("lenient"), "self_preference")) < 0.2


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--gold", "scor"], "no column 'scor'. Did you mean 'score'"),
        (["--gold", "stars"], "values outside 0 to 1; give --gold_range"),
        (["--name", "x", "--judge", "none.yaml"], "No such configuration file: none.yaml"),
    ],
)
def test_bad_input_is_said_in_one_line(dataset, tmp_path, capsys, more, said):
    file = tmp_path / "judge.yaml"
    file.write_text("experts: [echo]")
    code = main(["judge", "calibrate", "--dataset", str(dataset), "--judge", str(file), "--report",
                 str(tmp_path / "r"), *more])  # fmt: skip
    assert code == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_one_of_several_judges_is_chosen_by_name(dataset, tmp_path, capsys):
    file = tmp_path / "build.yaml"
    file.write_text("judges:\n  a: {experts: [echo]}\n  b: {experts: [echo]}\n")
    arguments = ["judge", "calibrate", "--dataset", str(dataset), "--judge", str(file), "--report", str(tmp_path / "r")]
    assert main(arguments) == 2
    assert "several judges; choose one with --name: a, b" in capsys.readouterr().err
    assert main([*arguments, "--name", "c"]) == 2
    assert "has no judge 'c'" in capsys.readouterr().err
    assert main([*arguments, "--name", "b", "--sample", "3"]) == 0
