from dataclasses import replace

import numpy as np
import pytest

from mixture_training.src.gate import MARGIN, Budget, HeldOut, Traffic, category_cells, decide, recent_changes

RNG = np.random.default_rng(0)


def held_out(chances, old, new, n=600, seed=0, expected=None):
    """Rows on which expert e is right with chance `chances[e]`; one category."""
    rng = np.random.default_rng(seed)
    experts = len(chances)
    truth = (rng.random((n, experts)) < chances).astype(float)
    return HeldOut(
        truth,
        np.tile(chances if expected is None else expected, (n, 1)),
        np.full(n, old),
        np.full(n, new),
        np.zeros(n, dtype=int),
    )


def traffic(chances, believed, old, new, n=2000, explored=0.0, seed=1, users=50, renewed=None):
    """Judged decisions of a router that chooses `old`; expert e is right with chance `chances[e]`."""
    rng = np.random.default_rng(seed)
    experts = len(chances)
    propensities = np.tile(np.eye(experts)[old] * (1 - explored) + explored / experts, (n, 1))
    columns = (propensities.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    rewards = (rng.random(n) < np.array(chances)[columns]).astype(float)
    expected = np.tile(np.array(believed, dtype=float), (n, 1))
    return Traffic(
        rewards=rewards,
        columns=columns,
        old=np.full(n, old),
        new=np.full(n, new),
        expected=expected,
        renewed=expected if renewed is None else np.tile(np.array(renewed, dtype=float), (n, 1)),
        propensities=propensities,
        history=expected,
        is_drawn=np.ones(n, dtype=bool),
        weights=np.ones(n),
        users=rng.integers(0, users, n),
        cells=np.zeros(n, dtype=int),
    )


def test_nothing_to_compare_on_promotes_nothing():
    found = decide(None, None)
    assert not found.promote
    assert "nothing to compare" in found.reason


def test_a_better_choice_on_held_out_rows_is_promoted():
    found = decide(held_out([0.6, 0.8], old=0, new=1), None)
    assert found.promote
    assert found.reason.startswith("Promoted: mean score on 600 held-out rows +0.")


def test_a_worse_choice_is_not():
    found = decide(held_out([0.8, 0.6], old=0, new=1), None, needs_gain=False)
    assert not found.promote
    assert found.tests[0].is_worse


def test_a_choice_that_changes_nothing_needs_no_gain_but_gets_none():
    rows = held_out([0.8, 0.6], old=0, new=0)
    assert decide(rows, None, needs_gain=False).promote
    found = decide(rows, None, needs_gain=True)
    assert not found.promote
    assert "it is not shown to be better" in found.reason


def test_too_few_rows_to_rule_out_a_loss_promote_nothing():
    found = decide(held_out([0.7, 0.7], old=0, new=1, n=40), None, needs_gain=False)
    assert not found.promote
    assert found.tests[0].low < -MARGIN
    assert f"maybe worse by more than {MARGIN:g}" in found.reason


def test_a_canary_need_only_not_be_shown_worse():
    rows = held_out([0.7, 0.7], old=0, new=1, n=40)
    found = decide(rows, None, as_canary=True)
    assert found.promote
    assert found.reason.startswith("Tried as a canary")
    assert not decide(held_out([0.8, 0.5], old=0, new=1), None, as_canary=True).promote


def test_history_that_the_present_contradicts_is_moved():
    """On the held-out rows 0 is better; since then it has become bad, and judged decisions say so."""
    rows = held_out([0.9, 0.7], old=0, new=1)
    assert not decide(rows, None).promote
    now = traffic([0.2, 0.7], [0.9, 0.7], old=0, new=1)
    moves, evidence = recent_changes(rows, now)
    assert moves[0, 0] == pytest.approx(-0.7, abs=0.25)
    assert moves[0, 1] == 0.0
    assert evidence.tolist() == [[True, False]]
    found = decide(rows, now)
    assert found.promote, found.reason
    assert "in the light of 1 change since" in found.reason
    assert "cannot be estimated: for 100.0% of the traffic" in found.reason


def test_a_change_is_measured_against_history_even_after_a_correction_learned_it():
    rows = held_out([0.9, 0.7], old=1, new=0)
    now = traffic([0.2, 0.7], [0.9, 0.7], old=0, new=0)
    corrected = replace(now, old=np.full(2000, 1), expected=np.tile([0.2, 0.7], (2000, 1)))
    found = decide(rows, corrected)
    assert not found.promote
    assert found.tests[0].is_worse


def test_scores_that_were_always_overestimated_are_no_change():
    rows = held_out([0.7, 0.6], old=0, new=1, expected=[0.9, 0.6])
    moves, _ = recent_changes(rows, traffic([0.7, 0.6], [0.9, 0.6], old=0, new=1))
    assert moves[0, 0] > -0.05


def test_logged_traffic_decides_where_it_shows_a_gain():
    rows = held_out([0.8, 0.7], old=0, new=1)
    now = traffic([0.5, 0.8], [0.8, 0.7], old=0, new=1, explored=0.5)
    found = decide(rows, now)
    assert found.promote, found.reason
    assert "experts without recent judgements only" in found.reason
    assert found.traffic["dr"].low < 0.3 < found.traffic["dr"].high
    assert found.traffic["snips"].is_reliable


def test_logged_traffic_that_shows_a_loss_stops_what_history_recommends():
    rows = held_out([0.6, 0.8], old=0, new=1)
    now = traffic([0.6, 0.3], [0.6, 0.8], old=0, new=1, explored=0.5)
    found = decide(rows, now, needs_gain=False)
    assert not found.promote
    assert any(test.name == "traffic" and test.is_worse for test in found.tests)


def test_expectations_that_are_shown_worse_are_not_promoted():
    rows = held_out([0.7, 0.7], old=0, new=0)
    found = decide(rows, traffic([0.7, 0.7], [0.7, 0.7], 0, 0, renewed=[0.3, 0.7]), needs_gain=False)
    assert not found.promote
    assert "clearly larger" in found.reason


def test_better_expectations_are_promoted_where_no_choice_changes():
    rows = held_out([0.7, 0.5], old=0, new=0)
    found = decide(rows, traffic([0.7, 0.5], [0.4, 0.5], 0, 0, renewed=[0.7, 0.5]))
    assert found.promote, found.reason


@pytest.mark.parametrize("score", [0.0, 1.0])
def test_what_a_few_users_say_moves_no_history(score):
    """Three users give a tenth of the judgements, and all judgements of expert 1."""
    rows = held_out([0.8, 0.6], old=0, new=1)
    honest = traffic([0.8, 0.6], [0.8, 0.6], old=0, new=1, n=1800)
    n = 200
    theirs = {
        "rewards": np.full(n, score),
        "columns": np.ones(n, dtype=int),
        "is_drawn": np.zeros(n, dtype=bool),
        "users": 50 + RNG.integers(0, 3, n),
    }
    both = replace(
        honest,
        **{name: np.concatenate([value, theirs.get(name, value[:n])]) for name, value in vars(honest).items()},
    )
    moves, _ = recent_changes(rows, both)
    assert not moves.any()
    assert not decide(rows, both).promote


def test_a_budget_takes_the_users_that_favour_most_up_to_a_tenth():
    users = np.repeat(np.arange(20), 10)
    favour = np.where(users == 7, 5.0, np.where(users == 3, 4.0, np.where(users == 5, 3.0, -1.0)))
    kept = Budget(users, np.ones(200)).without(favour, np.arange(200))
    assert set(users[~kept]) == {7, 3}


def test_a_budget_never_takes_the_operator_nor_more_than_a_tenth_of_the_judgements():
    users = np.concatenate([np.full(100, -1), np.repeat(np.arange(10), 10), np.full(300, 10)])
    kept = Budget(users, np.ones(500)).without(np.ones(500), np.arange(500))
    assert kept[users == -1].all()
    assert kept[users == 10].all()
    assert (~kept).sum() <= 50


def test_categories_get_numbers():
    assert category_cells(["b", None, "x", "a"], ["a", "b"]).tolist() == [1, 2, 2, 0]
