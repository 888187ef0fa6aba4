"""The benchmark against other libraries, without installing any: what they are told, how answers are judged."""

import importlib.util
import json
import math
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from mixture_training.src.training_data import TrainingData

ROOT = Path(__file__).resolve().parents[1]


def loaded(path: str) -> ModuleType:
    """Return a script of the benchmark as a module, under a name that shadows nothing."""
    name = "peers_benchmark_" + Path(path).stem
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, ROOT / "benchmarks" / path)
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


@pytest.fixture
def table():
    return loaded("peers_table.py")


@pytest.fixture
def exchange():
    return loaded("peers/exchange.py")


@pytest.fixture
def peers(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    return loaded("peers.py")


@pytest.fixture
def data() -> TrainingData:
    """Two experts: `dear` is right on the first half of test, `cheap` on the second; `dear` is best on train."""
    train = np.array([[0.0, 1.0]] * 6 + [[1.0, 0.0]] * 4)
    test = np.array([[0.0, 1.0]] * 5 + [[1.0, 0.0]] * 5)
    n = len(train) + len(test)
    return TrainingData(
        ids=tuple(map(str, range(n))),
        texts=tuple(f"instruction {row}" for row in range(n)),
        categories=(None,) * n,
        splits=("train",) * len(train) + ("test",) * len(test),
        experts=("cheap", "dear"),
        scores=np.concatenate([train, test]),
        costs=np.tile([1.0, 4.0], (n, 1)),
        latencies=np.full((n, 2), np.nan),
    )


def rows_of(table: ModuleType, data: TrainingData, *found: object) -> dict:
    judged = table.judge(data, found, samples=200)
    return {line.name: line for line in judged.lines}


def test_choices_are_judged_against_the_best_single_expert_and_against_auto(table, data):
    perfect = table.Found("ours", "", "auto", {"choices": [1] * 5 + [0] * 5})
    constant = table.Found("p", "1", "m", {"choices": [0] * 10})
    rows = rows_of(table, data, perfect, constant)
    assert rows["ours: auto"].quality.value == 1.0
    assert rows["ours: auto"].vs_best_single.value == pytest.approx(0.5)
    assert rows["ours: auto"].vs_ours is None
    assert rows["p: m"].vs_ours.value == pytest.approx(-0.5)
    assert rows["p: m"].cost == pytest.approx(0.25)
    assert rows["best single (dear)"].quality.value == pytest.approx(0.5)


def test_the_curve_is_read_within_budgets(table, data):
    knob = {"choices": [1] * 5 + [0] * 5, "curve": [[0] * 10, [1] * 10]}
    row = rows_of(table, data, table.Found("p", "1", "m", knob))["p: m"]
    # Points: (1.0, .5), (2.5, 1.0), (4.0, .5); the dear expert costs 4, so budgets are .4, 1, 2 and 4.
    assert math.isnan(row.at_budget[0])
    assert row.at_budget[1:] == pytest.approx((0.5, 0.5 + 0.5 * 1.0 / 1.5, 1.0))
    assert row.cost_to_match == pytest.approx(0.25)


def test_a_method_that_never_reaches_the_best_single_expert_has_no_cost_to_match(table, data):
    wrong = table.Found("p", "1", "m", {"choices": [0] * 5 + [1] * 5})
    assert math.isnan(rows_of(table, data, wrong)["p: m"].cost_to_match)


def test_what_broke_is_a_row_of_the_table(table, data):
    broken = table.Found("p", "1", "m", {"broke": "OSError: no hub | no luck"})
    text = table.markdown(table.judge(data, [broken], samples=50))
    (line,) = [line for line in text.splitlines() if line.startswith("| p: m")]
    assert "OSError: no hub \\| no luck" in line
    heads = [line for line in text.splitlines() if line.startswith("| method")]
    assert line.replace("\\|", "").count("|") == heads[0].count("|")


def test_a_choice_without_a_score_is_left_out_of_the_mean(table, data):
    nobody = table.Found("p", "1", "m", {"choices": [1] * 5 + [-1] * 5})
    assert rows_of(table, data, nobody)["p: m"].quality.value == 1.0


def test_unknown_costs_leave_the_qualities(table, data):
    unpriced = replace(data, costs=np.full_like(data.costs, np.nan))
    row = rows_of(table, unpriced, table.Found("p", "1", "m", {"choices": [1] * 5 + [0] * 5}))["p: m"]
    assert row.quality.value == 1.0
    assert math.isnan(row.cost)
    assert math.isnan(row.aiq)


def test_test_scores_are_never_written_for_a_peer(peers, exchange, data, tmp_path, monkeypatch):
    encoders = pytest.importorskip("mixture_training.src.encoders.cache")
    monkeypatch.setattr(encoders, "encode_cached", lambda encoder, texts: np.ones((len(texts), 3), dtype=np.float32))
    monkeypatch.setattr(peers, "load_training_data", lambda path, seed: data)
    monkeypatch.setattr("dataset_build.MiniLM.packaged_folder", lambda: Path("model"))
    run = peers.write_problem(str(tmp_path / "d.parquet"), tmp_path, 0)
    told = json.loads((run.problem / "problem.json").read_text())
    assert "scores" in told["splits"]["train"]
    assert "scores" not in told["splits"]["test"]
    problem = exchange.Problem.read(run.problem)
    assert problem.experts == ["cheap", "dear"]
    assert problem.best_single == 1
    assert np.isnan(problem.test.scores).all()
    np.testing.assert_array_equal(problem.train.scores, data.split("train").scores)


def test_equal_experts_go_to_the_first_of_the_order(exchange):
    scores = np.array([[1.0, 1.0, 0.0], [0.0, np.nan, 1.0], [np.nan] * 3])
    assert exchange.best_experts(scores, [1, 0, 2]) == [1, 2, -1]
    assert exchange.best_experts(scores, [0, 1, 2]) == [0, 2, -1]


def test_an_error_is_told_by_its_class_and_first_line(exchange):
    assert exchange.describe(OSError("no hub\nmore")) == "OSError: no hub"
    assert exchange.describe(KeyError()) == "KeyError"


def test_a_gpu_build_is_noticed_in_the_plan(peers):
    report = {
        "install": [
            {"metadata": {"name": "Nvidia_cublas", "version": "1"}},
            {"metadata": {"name": "torch", "version": "2"}},
        ]
    }
    assert peers.gpu_packages(peers.planned(report)) == ["nvidia-cublas"]
    assert peers.gpu_packages({"torch": "2", "numpy": "3"}) == []


def test_a_peer_that_cannot_be_installed_is_a_finding(peers, tmp_path):
    problem = peers.InstallError("no matching distribution")
    found = peers.ask(peers.PEERS["routellm"], problem, "mf", tmp_path, 1.0)
    assert found.answer == {"broke": "not installed: no matching distribution"}


@pytest.mark.parametrize("name", ["ours", "llmrouter-lib", "routellm", "semantic-router", "litellm"])
def test_every_peer_has_an_adapter_that_shadows_nothing(peers, name):
    peer = peers.PEERS[name]
    assert (peers.ADAPTERS / peer.adapter).is_file()
    taken = sys.stdlib_module_names | {"llmrouter", "routellm", "litellm", "semantic_router"}
    assert not {path.stem for path in peers.ADAPTERS.glob("*.py")} & taken
