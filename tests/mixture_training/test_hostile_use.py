"""What people do to a controller, an update and the commands that nobody planned for."""

import asyncio
import threading
from dataclasses import replace

import numpy as np
import pytest

from dataset_build import ConfigError, Expert
from mixture_training.src import updating
from mixture_training.src.artifacts import Router
from mixture_training.src.cli import main
from mixture_training.src.encoders.tfidf import TfidfEncoder
from mixture_training.src.feedback_store import FeedbackStore, feedback_path
from mixture_training.src.model_executor import Executor
from mixture_training.src.moe_controller import MoEController
from mixture_training.src.training_data import make_splits
from tests.mixture_training.synthetic import make_data as make_topics

SUM = "add 3 and 4 please"


class Silent(Expert):
    """Never answers."""

    async def answer(self, instruction):
        await asyncio.sleep(3600)


class CannotClose(Silent):
    """Has a connection that breaks when it is closed."""

    async def aclose(self):
        raise RuntimeError("broken pipe")


def test_a_silent_expert_leaves_time_for_the_next_one(pool):
    executor = Executor({"adder": Silent("adder"), "poet": pool[1]}, timeout_s=0.2, total_timeout_s=0.45, retries=5)
    execution = asyncio.run(executor.run(SUM, ["adder", "poet"]))
    assert execution.expert == "poet"
    assert execution.attempts[0].error == "timeout: no answer within 0.2 s"


def test_an_expert_that_cannot_be_closed_holds_up_nothing(router_folder, pool, caplog):
    moe = MoEController.load(router_folder, experts=[pool[0], CannotClose("poet")])
    assert moe.process_instruction(SUM).response == "7"
    moe.close()
    moe.close()
    assert "'poet' could not be closed: RuntimeError: broken pipe" in caplog.text
    assert not [thread for thread in threading.enumerate() if thread.name == "moe-experts"]


def test_a_closed_controller_says_so_instead_of_starting_again(router_folder, pool):
    with MoEController.load(router_folder, experts=pool) as moe:
        decision = moe.process_instruction(SUM).id
    for use in (
        lambda: moe.process_instruction(SUM),
        lambda: moe.process_batch([SUM]),
        lambda: asyncio.run(moe.aprocess_instruction(SUM)),
        lambda: moe.record_feedback(decision, 1.0),
    ):
        with pytest.raises(ConfigError, match="closed"):
            use()
    assert moe.recommend(SUM).expert == "adder"


@pytest.mark.parametrize(("given", "concurrency"), [([SUM], 0), ([SUM], -1), (SUM, 4)])
def test_a_batch_that_could_never_run_is_refused_at_once(router_folder, pool, given, concurrency):
    with MoEController.load(router_folder, experts=pool) as moe, pytest.raises(ConfigError):
        moe.process_batch(given, concurrency=concurrency)


def test_feedback_takes_lone_surrogates(router_folder, pool):
    with MoEController.load(router_folder, experts=pool) as moe:
        result = moe.process_instruction(SUM)
        assert moe.record_feedback(result.id, 1.0, comment="good \ud800").comment == "good ?"
        with pytest.raises(ConfigError, match="No decision"):
            moe.record_feedback("\udcff", 1.0)


def test_an_update_reads_the_router_only_when_no_other_update_can_replace_it(router_folder, monkeypatch):
    held = []

    def load(folder):
        try:
            with updating.only_one(folder):
                held.append(False)
        except ConfigError:
            held.append(True)
        return read(folder)

    read = Router.load
    monkeypatch.setattr(updating.Router, "load", load)
    with FeedbackStore(feedback_path(router_folder)) as store:
        updating.update_router(router_folder, store)
    assert held == [True]


def test_updating_a_router_that_is_not_there_leaves_nothing_behind(tmp_path, capsys):
    assert main(["update", "--router", str(tmp_path / "none")]) == 2
    assert "No router in" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_no_seed_shows_a_router_the_test_rows_of_another():
    data = replace(make_topics(200), texts=tuple(f"text {row}" for row in range(200)))
    test_rows = {seed: [split == "test" for split in make_splits(data, seed=seed)] for seed in (0, 1, 7)}
    assert any(test_rows[0])
    assert test_rows[0] == test_rows[1] == test_rows[7]
    assert make_splits(data, seed=0) != make_splits(data, seed=1)


def test_texts_without_a_word_have_vectors_all_the_same():
    encoder = TfidfEncoder().fit(["", "  "])
    assert encoder.encode(["", "word"]).tolist() == [[0.0], [0.0]]


@pytest.mark.parametrize("flags", [["--seed", "-1"], ["--seed", str(2**32)], ["--learning_rate", "inf"]])
def test_numbers_that_no_training_can_use_are_refused(tmp_path, capsys, flags):
    assert main(["train", "--dataset", "x.parquet", "--output", str(tmp_path / "r"), *flags]) == 2
    assert flags[0].lstrip("-") in capsys.readouterr().err


def test_evaluate_refuses_a_negative_seed(capsys):
    assert main(["evaluate", "--dataset", "x.parquet", "--methods", "linear", "--seed", "-1"]) == 2
    assert "seed" in capsys.readouterr().err


def test_three_hundred_experts_fit_on_the_picture(recwarn):
    from mixture_training.src.cost_quality_plot import plot_png
    from mixture_training.src.evaluation import evaluate

    rng = np.random.default_rng(0)
    base = make_topics(60)
    data = replace(
        base,
        splits=("train",) * 40 + ("test",) * 20,
        experts=tuple(f"expert/{number}é" for number in range(300)),
        scores=rng.random((60, 300)),
        costs=rng.random((60, 300)),
        latencies=np.full((60, 300), np.nan),
        descriptions=(),
    )
    assert plot_png(evaluate(data, [], samples=50)).startswith(b"\x89PNG")
    assert not [warning for warning in recwarn if "collapsed" in str(warning.message)]
