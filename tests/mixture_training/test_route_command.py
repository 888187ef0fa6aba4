import json
from dataclasses import replace

import numpy as np
import pytest

from mixture_training.src.cli import main
from mixture_training.src.fitting import fit_router
from mixture_training.src.linear import LinearClassifier


@pytest.fixture(scope="module")
def better(small_data, tmp_path_factory):
    """A router that was shown to be better than its best expert."""
    return fit_router(small_data, LinearClassifier("tfidf")).save(tmp_path_factory.mktemp("better") / "router")


@pytest.fixture(scope="module")
def no_better(small_data, tmp_path_factory):
    """One whose experts are good at random."""
    chance = np.random.default_rng(0)
    scores = (chance.random(small_data.scores.shape) < [0.3, 0.8]).astype(float)
    router = fit_router(replace(small_data, scores=scores), LinearClassifier("tfidf"))
    return router.save(tmp_path_factory.mktemp("no_better") / "router")


def route(capsys, folder, *options):
    assert main(["route", "--router", str(folder), "sum up 3 and 4 please", *options]) == 0
    return capsys.readouterr().out


def test_it_shows_between_which_bounds_a_score_will_lie(better, capsys):
    first = route(capsys, better).splitlines()
    assert first[0] == "adder"
    assert any(" to 1.00)" in line for line in first)
    found = json.loads(route(capsys, better, "--json"))
    assert found["low"] <= found["expected_score"] <= found["high"]
    assert {"low", "high"} <= set(found["ranking"][1])
    assert (found["is_novel"], found["is_guarded"]) == (False, False)


def test_it_says_when_an_instruction_is_like_nothing_learned_from(better, capsys):
    assert main(["route", "--router", str(better), "Zürich 完全に別の言語"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("poet\n")
    assert "unlike anything the router learned from" in out


def test_a_guarded_router_says_why_and_may_be_told_otherwise(no_better, capsys):
    out = route(capsys, no_better)
    assert out.startswith("poet\n")
    assert "not shown to be better" in out
    assert json.loads(route(capsys, no_better, "--json"))["is_guarded"] is True
    assert json.loads(route(capsys, no_better, "--json", "--guard", "False"))["is_guarded"] is False


def test_a_budget_and_a_target_are_policies(better, capsys):
    for policy in ("budget=0.009", "target=0.9"):
        assert json.loads(route(capsys, better, "--json", "--policy", policy))["policy"] == policy


def test_a_budget_that_cannot_be_kept_is_one_line(better, capsys):
    assert main(["route", "--router", str(better), "x", "--policy", "budget=0.0000001"]) == 2
    error = capsys.readouterr().err
    assert "Give a larger budget" in error
    assert error.count("\n") == 1


def test_a_card_tells_what_the_guard_found(better, no_better):
    cards = [(folder / "README.md").read_text(encoding="utf-8") for folder in (better, no_better)]
    assert "**quality**: better than always asking poet" in cards[0]
    assert "**quality**: not shown to be better than always asking poet" in cards[1]
    for card in cards:
        assert "## Trade-offs" in card
        assert "Expected calibration error" in card
