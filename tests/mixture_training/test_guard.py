import json
from dataclasses import replace

import numpy as np
import pytest

from dataset_build import ConfigError
from mixture_training.src.assurance import Assurance
from mixture_training.src.guard import Guard, TradeOffs, judge_guard, route
from mixture_training.src.policy import parse_policy
from mixture_training.src.trade_off import trade_off_of

QUALITY, TRADE = parse_policy("quality"), parse_policy("cost_weight=10")


def rows(n=400, seed=0):
    """Return outcomes of two experts that are good at different things, and costs; the second is the better one."""
    chance = np.random.default_rng(seed)
    first = chance.random(n) < 0.4
    chances = np.column_stack([np.where(first, 0.9, 0.2), np.where(first, 0.4, 0.9)])
    truth = (chance.random((n, 2)) < chances).astype(float)
    return chances, np.tile([0.001, 0.01], (n, 1)), truth


def judged(expected, costs, truth, *, on=True):
    means = truth.mean(axis=0)
    best = int(means.argmax())
    guard = judge_guard(expected, costs, truth, costs, means, costs.mean(axis=0), best=best, on=on)
    singles = np.tile(means, (len(truth), 1)), np.tile(costs.mean(axis=0), (len(truth), 1))
    tables = TradeOffs(trade_off_of(expected, costs, truth, costs, best), trade_off_of(*singles, truth, costs, best))
    return Assurance(guard=guard, trade_offs=tables)


def blind():
    """Return what chance expects, judged on the same rows."""
    _, costs, truth = rows()
    expected = np.random.default_rng(7).random(truth.shape)
    return expected, costs, judged(expected, costs, truth)


def test_a_router_that_knows_is_shown_to_be_better_and_left_alone():
    expected, costs, truth = rows()
    known = judged(expected, costs, truth)
    assert known.guard.quality.is_better
    assert known.guard.cost.is_better
    for policy in (QUALITY, TRADE):
        routing = route(expected, costs, policy, known)
        assert not routing.is_guarded
        assert np.array_equal(routing.ranking, policy.rank(expected, costs))


def test_a_router_that_guesses_is_stopped():
    expected, costs, known = blind()
    assert not known.guard.quality.is_better
    assert not known.guard.cost.is_better
    routing = route(expected, costs, QUALITY, known)
    assert routing.is_guarded
    assert routing.ranking.tolist() == [[1, 0]] * len(expected)


def test_along_the_cost_curve_a_stopped_router_is_the_zero_router():
    expected, costs, known = blind()
    gap = known.guard.mean_scores[1] - known.guard.mean_scores[0]
    swap = gap / 0.009
    for weight, first in ((0.5 * swap, 1), (2 * swap, 0)):
        ranking = route(expected, costs, parse_policy(f"cost_weight={weight}"), known).ranking
        assert (ranking[:, 0] == first).all()


def test_told_otherwise_a_stopped_router_routes():
    expected, costs, known = blind()
    told = route(expected, costs, QUALITY, known, heed_guard=False)
    off = route(expected, costs, QUALITY, replace(known, guard=replace(known.guard, on=False)))
    for routing in (told, off):
        assert not routing.is_guarded
        assert np.array_equal(routing.ranking, QUALITY.rank(expected, costs))


def test_better_in_quality_alone_is_heeded_in_quality_alone():
    expected, costs, truth = rows()
    known = judged(expected, costs, truth)
    half = replace(known, guard=replace(known.guard, cost=replace(known.guard.cost, low=-0.1)))
    assert not route(expected, costs, QUALITY, half).is_guarded
    assert route(expected, costs, TRADE, half).is_guarded
    assert route(expected, costs, parse_policy("budget=0.005"), half).is_guarded
    assert not route(expected, costs, parse_policy("cost_weight=0"), half).is_guarded


def test_novel_instructions_go_where_the_means_say():
    expected, costs, truth = rows()
    known = judged(expected, costs, truth)
    distances = np.where(np.arange(len(truth)) % 2, 0.5, 1.5)
    routing = route(expected, costs, QUALITY, known, distances=distances)
    assert (routing.ranking[::2, 0] == 1).all()
    assert np.array_equal(routing.ranking[1::2], QUALITY.rank(expected, costs)[1::2])
    assert routing.is_novel.tolist() == (distances > 1).tolist()
    ignored = route(expected, costs, QUALITY, known, distances=distances, heed_guard=False)
    assert np.array_equal(ignored.ranking, QUALITY.rank(expected, costs))


def test_a_budget_is_looked_up_in_the_table_of_what_the_router_does():
    expected, costs, known = blind()
    policy = parse_policy("budget=0.005")
    guarded, free = (route(expected, costs, policy, known, heed_guard=heed) for heed in (True, False))
    assert (guarded.ranking[:, 0] == 0).all()  # nothing but the cheap expert is within it, without routing
    assert 0 < (free.ranking[:, 0] == 1).mean() < 1
    assert free.policy != guarded.policy


def test_a_target_that_routing_is_not_sure_of_goes_to_the_best_single_expert():
    expected, costs, truth = rows()
    known = judged(expected, costs, truth)
    table = replace(known.trade_offs.routed, kept_low=np.zeros_like(known.trade_offs.routed.kept_low))
    routing = route(
        expected, costs, parse_policy("target=0.9"), replace(known, trade_offs=replace(known.trade_offs, routed=table))
    )
    assert routing.is_guarded
    assert (routing.ranking[:, 0] == 1).all()


def test_a_router_without_a_table_says_so():
    expected, costs, _ = rows(5)
    with pytest.raises(ConfigError, match="has none"):
        route(expected, costs, parse_policy("budget=1"), Assurance())
    assert not route(expected, costs, QUALITY, Assurance()).is_guarded


def test_no_rows_are_no_judgement_and_no_instructions_no_ranking():
    expected, costs, truth = rows(0)
    assert judge_guard(expected, costs, truth, costs, np.ones(2), np.ones(2), best=0) is None
    assert route(np.empty((0, 2)), np.empty((0, 2)), QUALITY, blind()[2]).ranking.shape == (0, 2)


def test_missing_scores_and_unknown_costs_are_no_evidence():
    expected, costs, truth = rows()
    truth[::2] = np.nan
    guard = judge_guard(expected, costs, truth, np.full_like(costs, np.nan), np.array([0.5, 0.7]), costs[0], best=1)
    assert guard.quality.rows == 200
    nothing = np.full_like(truth, np.nan)
    assert judge_guard(expected, costs, nothing, costs, np.array([0.5, 0.7]), costs[0], best=1) is None


def test_costs_that_are_all_alike_leave_quality_to_decide():
    expected, _, truth = rows()
    free = np.zeros_like(truth)
    guard = judge_guard(expected, free, truth, free, truth.mean(axis=0), np.zeros(2), best=1)
    assert guard.cost == guard.quality


def test_a_guard_survives_json():
    known = blind()[2]
    again = Guard.from_state(json.loads(json.dumps(known.guard.to_state())), 2)
    assert again.to_state() == known.guard.to_state()
    assert (
        TradeOffs.from_state(json.loads(json.dumps(known.trade_offs.to_state()))).to_state()
        == known.trade_offs.to_state()
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s.update(on="yes"),
        lambda s: s.update(mean_scores=[0.1]),
        lambda s: s.update(mean_costs=[0.1, None]),
        lambda s: s.update(mean_costs=[0.1, -1.0]),
        lambda s: s["quality"].update(low=1.0),
        lambda s: s["quality"].update(rows=0),
        lambda s: s["quality"].update(rows=True),
        lambda s: s["cost"].update(is_better=True),
        lambda s: s.pop("cost"),
    ],
)
def test_a_guard_that_contradicts_itself_is_refused(change):
    state = blind()[2].guard.to_state()
    change(state)
    with pytest.raises((ValueError, TypeError, KeyError)):
        Guard.from_state(state, 2)


@pytest.mark.parametrize("share", [0.8, 0.9, 0.95])
def test_a_target_holds_for_novel_instructions_too_by_the_table_of_single_experts(share):
    expected, costs, truth = rows()
    known = judged(expected, costs, truth)
    policy = parse_policy(f"target={share}")
    routing = route(expected, costs, policy, known, distances=np.full(len(expected), 2.0))
    assert not routing.is_guarded
    alone = policy.in_terms_of(known.trade_offs.single) or QUALITY
    by_means = alone.rank(known.guard.mean_scores[None], known.guard.mean_costs[None])
    assert (routing.ranking == by_means).all()
    kept = known.guard.mean_scores[routing.ranking[0, 0]]
    assert kept >= share * known.guard.mean_scores.max()


def test_a_budget_below_every_single_expert_sends_novel_instructions_to_the_cheapest():
    expected, costs, truth = rows()
    known = judged(expected, costs, truth)
    budget = 0.00101  # the cheaper expert costs 0.001
    routing = route(expected, costs, parse_policy(f"budget={budget}"), known, distances=np.full(len(expected), 2.0))
    assert (routing.ranking[:, 0] == 0).all()
