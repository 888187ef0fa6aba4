"""What holds for any scores, costs, predictions and holes."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mixture_training.src.evaluation import Given, Method, evaluate
from mixture_training.src.evaluation_result import CategoryResult, Result
from mixture_training.src.metrics.bootstrap import gap_interval, mean_intervals, paired_difference
from mixture_training.src.policy import CostWeightPolicy
from mixture_training.src.training_data import TrainingData

ROWS, EXPERTS = 12, 3
CELL = st.integers(0, 4).map(lambda value: value / 4)
SCORES = arrays(np.float64, (2 * ROWS, EXPERTS), elements=CELL | st.just(np.nan))
COSTS = arrays(np.float64, (2 * ROWS, EXPERTS), elements=st.integers(1, 9).map(float) | st.just(np.nan))
GUESS = arrays(np.float64, (ROWS, EXPERTS), elements=CELL)
MEASURES = (
    "cost", "regret", "aiq", "apgr", "cpt50", "cpt80", "performance_gain", "cost_saving", "pareto_distance",
    "arena_score", "entropy", "wins", "losses",
)  # fmt: skip


def make_data(scores, costs):
    rows = len(scores)
    return TrainingData(
        ids=tuple(f"i{row}" for row in range(rows)),
        texts=tuple(f"text {row}" for row in range(rows)),
        categories=tuple(("x", "y", None)[row % 3] for row in range(rows)),
        splits=("train",) * (rows // 2) + ("test",) * (rows - rows // 2),
        experts=tuple(f"e{column}" for column in range(scores.shape[1])),
        scores=scores,
        costs=costs,
        latencies=np.full_like(scores, np.nan),
    )


def usable(data):
    return not any(np.isnan(data.split(split).scores).all() for split in ("train", "test"))


def known(*values):
    return not any(math.isnan(value) for value in values)


@settings(max_examples=60, deadline=None)
@given(SCORES, COSTS, GUESS)
def test_every_figure_keeps_its_bounds(scores, costs, guess):
    data = make_data(scores, costs)
    if not usable(data):
        return
    result = evaluate(data, [Method("m", given=Given(data.experts, scores=guess))], samples=20)
    for name, entry in {**result.references, **result.methods}.items():
        for interval in (entry.quality, entry.vs_best_single, entry.gap_closed, *entry.intervals.values()):
            assert not interval.low > interval.high
        for value in (entry.quality.value, entry.aiq, entry.cpt50, entry.cpt80, entry.arena_score, entry.entropy):
            assert math.isnan(value) or -1e-9 <= value <= 1 + 1e-9
        assert not entry.regret < -1e-9
        assert not entry.pareto_distance < 0
        assert not entry.p_holm < entry.p_value
        assert sum(entry.share.values()) == pytest.approx(1.0) or name == "random" or entry.unscored
        assert set(entry.intervals) <= set(MEASURES)


@settings(max_examples=60, deadline=None)
@given(SCORES, COSTS, GUESS)
def test_nobody_beats_the_oracle_where_both_have_a_score(scores, costs, guess):
    data = make_data(scores, costs)
    if not usable(data):
        return
    result = evaluate(data, [Method("m", given=Given(data.experts, scores=guess))], samples=0)
    for entry in (*result.references.values(), *result.methods.values()):
        assert not entry.gap_closed.value > 1 + 1e-9
    complete = evaluate(make_data(np.nan_to_num(scores, nan=0.0), np.nan_to_num(costs, nan=5.0)), [], samples=0)
    best = complete.references["oracle"].quality.value
    for entry in complete.references.values():
        assert entry.quality.value <= best + 1e-9
    assert complete.references["random"].quality.value == pytest.approx(np.nan_to_num(scores, nan=0.0)[ROWS:].mean())


def flat(entry):
    """Return every figure of a result by its path, times left out."""
    found = {}
    for key, value in vars(entry).items():
        if key in ("route_us", "train_s", "curve", "band", "reliability"):
            continue
        if hasattr(value, "value"):
            found[key] = value.value
        elif isinstance(value, float):
            found[key] = value
        elif key == "by_category":
            for category, part in value.items():
                assert isinstance(part, CategoryResult)
                found[f"{key}/{category}"] = part.quality.value
    return found


@settings(max_examples=40, deadline=None)
@given(SCORES, COSTS, GUESS, st.permutations(range(ROWS)))
def test_the_order_of_the_rows_does_not_matter(scores, costs, guess, order):
    data = make_data(scores, costs)
    if not usable(data):
        return
    rows = np.concatenate([np.arange(ROWS), ROWS + np.array(order)])
    one = evaluate(data, [Method("m", given=Given(data.experts, scores=guess))], samples=0)
    other = evaluate(data.take(rows), [Method("m", given=Given(data.experts, scores=guess[list(order)]))], samples=0)
    for name, entry in {**one.references, **one.methods}.items():
        again = {**other.references, **other.methods}[name]
        assert flat(again) == pytest.approx(flat(entry), nan_ok=True, abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(
    arrays(np.float64, (2 * ROWS, EXPERTS), elements=st.floats(0, 1)),
    arrays(np.float64, (2 * ROWS, EXPERTS), elements=st.floats(0.1, 9)),
    arrays(np.float64, (ROWS, EXPERTS), elements=st.floats(0, 1)),
    st.permutations(range(EXPERTS)),
)
def test_the_order_of_the_experts_does_not_matter_but_for_ties(scores, costs, guess, order):
    data = make_data(scores, costs)
    order = list(order)
    tied = any(len(np.unique(np.round(row, 9))) < EXPERTS for cells in (scores, costs, guess) for row in cells)
    means = [cells[rows].mean(axis=0) for cells in (scores, costs) for rows in (slice(ROWS), slice(ROWS, None))]
    if tied or any(len(np.unique(np.round(mean, 9))) < EXPERTS for mean in means):
        return
    one = evaluate(data, [Method("m", given=Given(data.experts, scores=guess))], samples=0)
    names = tuple(data.experts[column] for column in order)
    moved = replace(data, experts=names, scores=scores[:, order], costs=costs[:, order])
    other = evaluate(moved, [Method("m", given=Given(names, scores=guess[:, order]))], samples=0)
    for name, entry in {**one.references, **one.methods}.items():
        again = {**other.references, **other.methods}[name]
        assert flat(again) == pytest.approx(flat(entry), nan_ok=True, abs=1e-9)
        assert again.share == pytest.approx(entry.share)


@pytest.fixture(scope="module")
def compared():
    """Two methods on random data without holes, and one that always takes the best single expert."""
    rng = np.random.default_rng(1)
    data = make_data(rng.random((80, 4)), rng.uniform(1, 9, (80, 4)))
    guesses = [np.clip(data.scores[40:] + rng.normal(0, blur, (40, 4)), 0, 1) for blur in (0.1, 0.6)]
    methods = [Method(name, given=Given(data.experts, scores=guess)) for name, guess in zip("ab", guesses, strict=True)]
    best = int(evaluate(data, [], samples=0).best_single[1:])
    methods.append(Method("single", given=Given(data.experts, choice=np.full(40, best))))
    return data, guesses, evaluate(data, methods, samples=400, seed=5, policy=CostWeightPolicy(0.01))


def test_intervals_are_those_of_the_plain_functions(compared):
    data, guesses, result = compared
    judged, best = data.split("test"), int(result.best_single[1:])
    prices = np.tile(data.split("train").costs.mean(axis=0), (40, 1))
    chosen = CostWeightPolicy(0.01).choose(guesses[0], prices)
    rows = np.arange(40)
    scores, single, ideal = judged.scores[rows, chosen], judged.scores[:, best], judged.scores.max(axis=1)
    found = result.methods["a"]
    (plain,) = mean_intervals(scores[:, None], samples=400, seed=5)
    for interval, expected in (
        (found.quality, plain),
        (found.vs_best_single, paired_difference(scores, single, samples=400, seed=5)),
        (found.gap_closed, gap_interval(scores, single, ideal, samples=400, seed=5)),
        (found.intervals["regret"], paired_difference(ideal, scores, samples=400, seed=5)),
    ):
        assert vars(interval) == pytest.approx(vars(expected))


def test_rows_without_a_score_count_nowhere():
    """Asked for e1 everywhere, which has no score in two rows where somebody else could have gained."""
    scores = np.tile([[0.5, 0.9, 1.0], [0.5, 0.0, 0.4]], (4, 1))
    scores[4:, 0] += 0.1
    scores[[4, 5], 1] = np.nan
    data = make_data(scores, np.ones((8, 3)))
    found = evaluate(data, [Method("m", given=Given(data.experts, choice=np.ones(4, dtype=np.intp)))], samples=60)
    judged, best = data.split("test").scores, int(found.best_single[1:])
    routed, single, ideal = judged[:, 1], judged[:, best], np.nanmax(judged, axis=1)
    entry = found.methods["m"]
    assert entry.unscored == 2
    for interval, expected in (
        (entry.gap_closed, gap_interval(routed, single, ideal).value),
        (entry.vs_best_single, paired_difference(routed, single).value),
        (entry.intervals["regret"], paired_difference(ideal, routed).value),
        (entry.quality, 0.45),
        (entry.intervals["wins"], entry.wins.wins),
        (entry.intervals["losses"], entry.wins.losses),
    ):
        assert interval.value == pytest.approx(expected)


def test_methods_are_set_against_each_other_and_the_reference_points(compared):
    _, _, result = compared
    a, b = result.methods["a"], result.methods["b"]
    assert (
        a.versus["b"].value == pytest.approx(a.quality.value - b.quality.value) == pytest.approx(-b.versus["a"].value)
    )
    assert (a.versus["b"].low, a.versus["b"].high) == pytest.approx((-b.versus["a"].high, -b.versus["a"].low))
    assert a.versus["b"].low > 0
    assert set(a.versus) == {"b", "single", "best_per_category", "zero_router"}
    assert set(a.aiq_versus) == {"b", "single", "zero_router"}
    assert a.aiq_versus["zero_router"].low > 0


def test_the_best_single_expert_by_another_name_is_just_as_good(compared):
    _, _, result = compared
    single, best = result.methods["single"], result.references["best_single"]
    assert flat(replace(single, p_holm=math.nan)) == pytest.approx(
        {**flat(best), "pareto_distance": single.pareto_distance}, nan_ok=True
    )
    assert single.p_value == single.p_holm == 1.0
    assert (single.vs_best_single.low, single.vs_best_single.high) == (0.0, 0.0)
    assert single.entropy == 0.0


def test_a_band_holds_its_curve_and_every_curve_has_as_many_points(compared):
    _, _, result = compared
    for name in "ab":
        entry = result.methods[name]
        assert len(entry.curve.weights) == len(entry.band.low) == 40
        assert (entry.band.low <= entry.curve.qualities + 1e-9).all()
        assert (entry.curve.qualities <= entry.band.high + 1e-9).all()
        assert result.frontier[:, 1].max() >= entry.curve.qualities.max()
    assert result.methods["single"].curve is None


def test_p_values_of_several_methods_are_corrected_and_many_are_cautioned_of(compared):
    data, guesses, result = compared
    assert result.cautions == ()
    three = [result.methods[name] for name in ("a", "b", "single")]
    assert any(entry.p_holm > entry.p_value for entry in three)
    crowd = [Method(f"m{number}", given=Given(data.experts, scores=guesses[0])) for number in range(6)]
    assert "6 methods" in evaluate(data, crowd, samples=10).cautions[0]


def test_a_single_method_needs_no_correction(compared):
    data, guesses, _ = compared
    entry = evaluate(data, [Method("a", given=Given(data.experts, scores=guesses[0]))], samples=100).methods["a"]
    assert entry.p_holm == entry.p_value < 0.05
    assert isinstance(entry, Result)


def test_without_resamples_there_are_no_intervals(compared):
    data, guesses, _ = compared
    entry = evaluate(data, [Method("a", given=Given(data.experts, scores=guesses[0]))], samples=0).methods["a"]
    assert known(entry.quality.value, entry.aiq, entry.vs_best_single.value)
    assert not known(entry.quality.low)
    assert entry.intervals == {}
    assert np.isnan(entry.band.low).all()


def test_a_method_is_given_something():
    with pytest.raises(ValueError, match="neither scores nor choices"):
        Method("m", given=Given(("a",)))
    with pytest.raises(ValueError, match="needs a classifier"):
        Method("m")


def test_each_step_is_told(compared):
    data, guesses, _ = compared
    steps = []
    evaluate(data, [Method("a", given=Given(data.experts, scores=guesses[0]))], samples=10, on_step=steps.append)
    assert steps[0] == "routing with a"
    assert "methods against each other" in steps
