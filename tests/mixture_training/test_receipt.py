import json
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset_build import ChatCall, DataError
from mixture_training.src.artifacts import Router
from mixture_training.src.asking import Ask
from mixture_training.src.cli import main
from mixture_training.src.deciding import Decider
from mixture_training.src.live_router import LiveRouter
from mixture_training.src.moe_controller import MoEController
from mixture_training.src.policy import parse_policy
from mixture_training.src.receipt import Candidate, Receipt

SUM, POEM = "please compute 2 and 40", "write a poem about the sea"


@pytest.fixture
def router(router_folder):
    return Router.load(router_folder)


@pytest.fixture
def decide(router, pool):
    live, decider = LiveRouter(router), Decider({expert.name: expert for expert in pool})
    return lambda text, **rest: decider.decide(Ask(ChatCall.of(text), **rest), live.main)


numbers = st.floats(0.0, 1.0)
candidates = st.lists(st.tuples(numbers, numbers, st.booleans()), min_size=1, max_size=6)


@given(candidates, st.sampled_from(["quality", "cost_weight=2.5", "cost_weight=100"]), st.booleans())
def test_a_receipt_survives_json_and_gives_the_same_decision_again(found, rule, by_means):
    options = tuple(
        Candidate(
            f"e{place}",
            0.5 if by_means else score,
            0.1 if by_means else cost,
            excluded="no" if out and place else None,
            mean_score=score if by_means else None,
            mean_cost=cost if by_means else None,
        )
        for place, (score, cost, out) in enumerate(found)
    )
    free = [place for place, one in enumerate(options) if one.excluded is None]
    scores, costs = (np.array([[found[place][part] for place in free]]) for part in (0, 1))
    chosen = options[free[int(parse_policy(rule).choose(scores, costs)[0])]].expert
    receipt = Receipt("1", "now", "1-a", rule, rule, chosen, "why", options, greedy=chosen, is_guarded=by_means)
    again = Receipt.from_json(json.loads(json.dumps(receipt.to_json())))
    assert again == receipt
    assert again.recompute() == receipt.recompute()
    assert again.recompute().agrees


def test_a_receipt_that_was_changed_does_not_agree(decide):
    receipt = decide(SUM)
    worse = tuple(replace(one, expected_score=float(one.expert == "poet")) for one in receipt.options)
    found = replace(receipt, options=worse).recompute()
    assert (found.chosen, found.agrees) == ("poet", False)
    assert found.difference == "its numbers put poet first"


@pytest.mark.parametrize("policy", [None, "cost_weight=100000"])
@pytest.mark.parametrize("text", [SUM, POEM, "qwxz"])
def test_the_router_that_decided_decides_the_same_again(decide, router, text, policy):
    receipt = decide(text, policy=policy)
    assert receipt.recompute().agrees
    found = receipt.replay(router, text)
    assert (found.agrees, found.difference) == (True, None)


def test_another_text_or_another_router_is_noticed(decide, router):
    receipt = decide(SUM)
    assert "not the one that was decided on" in receipt.replay(router, POEM).difference
    for card in (0, 1):
        router.classifier._bias[card] += (-1) ** (card + 1)  # poet is expected to be better now
    found = receipt.replay(router, SUM)
    assert (found.chosen, found.agrees) == ("poet", False)


def test_what_was_excluded_then_is_excluded_in_a_replay(decide, router):
    receipt = decide(SUM, allowed=frozenset({"poet"}))
    assert receipt.chosen == "poet"
    assert receipt.replay(router, SUM).agrees


def test_it_tells_who_would_have_been_next_and_what_was_like_it(decide, router):
    receipt = decide(SUM)
    assert receipt.next_best.expert == "poet"
    assert receipt.to_json()["next_best_cost"] == receipt.option("poet").expected_cost
    first, second, third = receipt.nearest(router, 3)
    assert first.similarity >= second.similarity >= third.similarity > 0.0
    assert {first.category, second.category} == {"sums"}
    assert replace(receipt, features=None).nearest(router) == ()


@pytest.mark.parametrize("state", [{}, {"options": 7}, {"options": [{"expert": "a"}]}])
def test_what_is_no_receipt_is_refused(state):
    with pytest.raises(DataError, match="no receipt of a decision"):
        Receipt.from_json(state)


def explained(capsys, *args):
    capsys.readouterr()
    assert main(["explain", *map(str, args)]) == 0
    return capsys.readouterr().out


def test_explain_prints_the_decision_and_replays_it(router_folder, pool, capsys):
    with MoEController.load(router_folder, experts=pool) as moe:
        decision = moe.process_instruction(SUM).id
    out = explained(capsys, "--router", router_folder, decision)
    assert re.search(r"→\s+adder", out)
    assert "Replay by its own numbers: the same decision." in out
    assert "the text was not kept; give it with --text" in out
    assert "Training instructions most like it:" in out
    assert "Next best: poet" in out
    out = explained(capsys, "--router", router_folder, decision, "--text", SUM)
    assert "Replay by the router: the same decision." in out
    out = explained(capsys, "--router", router_folder, decision, "--text", POEM)
    assert "Replay by the router: another decision (the text is not the one" in out
    found = json.loads(explained(capsys, "--router", router_folder, decision, "--text", SUM, "--json"))
    assert (found["chosen"], found["replay"]["agrees"], found["replay_by_router"]["agrees"]) == ("adder", True, True)
    assert len(found["nearest"]) == 3


def test_explain_finds_the_version_that_decided(router_folder, pool, capsys):
    from mixture_training.src.version_folders import keep

    with MoEController.load(router_folder, experts=pool, keep_texts=True) as moe:
        decision = moe.process_instruction(SUM).id
    keep(router_folder, 1)
    router = Router.load(router_folder)
    router.data = {**router.data, "version": 2}
    router.classifier._bias[1] += 5.0
    router.save(router_folder, overwrite=True)
    assert "Replay by the router: the same decision." in explained(capsys, "--router", router_folder, decision)
    (kept,) = [path for path in router_folder.with_name("router.versions").iterdir() if path.name == "1"]
    kept.rename(kept.with_name("gone"))
    assert "is not at hand" in explained(capsys, "--router", router_folder, decision)


def test_run_streams_and_takes_messages(router_folder, tmp_path, capsys):
    experts = tmp_path / "experts.yaml"
    experts.write_text("- {provider: echo, name: adder}\n- {provider: echo, name: poet}\n")
    common = ["run", "--router", str(router_folder), "--experts", str(experts)]
    assert main([*common, "--stream", SUM]) == 0
    out, err = capsys.readouterr()
    assert out == SUM + "\n"
    assert "adder" in err
    file = tmp_path / "talk.json"
    file.write_text(json.dumps([{"role": "user", "content": POEM}]))
    assert main([*common, "--messages", str(file), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["expert"], found["receipt"]["chosen"], found["response"]) == ("poet", "poet", POEM)
    assert main(["route", "--router", str(router_folder), "--messages", str(file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["expert"] == "poet"
    assert main([*common]) == 2
    assert main([*common, SUM, "--stream", "--json"]) == 2
    assert "either --stream or --json" in capsys.readouterr().err
