"""What feedback corrects: identity without any, sums that add up, changes that are followed, folders that keep it."""

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset_build import DataError
from mixture_training.src.artifacts import Router
from mixture_training.src.correction import Axes, Correction
from mixture_training.src.fitting import fit_router
from mixture_training.src.linear import LinearClassifier
from mixture_training.src.model_recommender import Recommender
from mixture_training.src.novelty import fit_novelty

EXPERTS, WIDE = 3, 12


def vectors(n, seed=0):
    return np.random.default_rng(seed).normal(size=(n, WIDE)).astype(np.float32)


def nothing():
    return Correction.nothing(EXPERTS, Axes.of(fit_novelty(vectors(300), vectors(50, 1)).measure))


def observed(n, seed=0, bias=(0.0, 0.0, 0.0)):
    """Return vectors, columns and residuals; the biases of the three experts are given."""
    chance = np.random.default_rng([seed, 5])
    columns = chance.integers(0, EXPERTS, n)
    return vectors(n, seed), columns, np.array(bias)[columns] + chance.normal(0, 0.3, n)


def test_without_feedback_it_is_exactly_the_identity():
    scores = np.random.default_rng(0).random((20, EXPERTS))
    assert np.array_equal(nothing().adjust(vectors(20), scores), scores)
    assert nothing().is_identity
    assert np.array_equal(nothing().learn(*observed(0)).adjust(vectors(20), scores), scores)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), cuts=st.lists(st.integers(0, 60), max_size=5))
def test_many_small_updates_are_one_large_one_in_any_order(seed, cuts):
    read, columns, residuals = observed(60, seed, (0.0, -0.5, 0.1))
    weights = np.random.default_rng(seed).random(60)
    whole = nothing().learn(read, columns, residuals, weights)
    parts = nothing()
    order = np.random.default_rng([seed, 1]).permutation(60)
    for rows in np.split(order, sorted(cuts)):
        parts = parts.learn(read[rows], columns[rows], residuals[rows], weights[rows])
    scores = np.full((9, EXPERTS), 0.5)
    assert np.allclose(parts.adjust(vectors(9, 3), scores), whole.adjust(vectors(9, 3), scores), atol=1e-9)
    assert np.allclose(parts.deviations(vectors(9, 3)), whole.deviations(vectors(9, 3)), atol=1e-9)


def test_noise_moves_nothing_and_a_degraded_expert_is_lowered():
    noise, degraded = (nothing().learn(*observed(600, 1, bias)).shifts for bias in ((0, 0, 0), (0, -0.5, 0)))
    assert np.abs(noise).max() < 0.03
    assert degraded[1] == pytest.approx(-0.5, abs=0.06)
    assert np.abs(degraded[[0, 2]]).max() < 0.03


def test_what_depends_on_the_instruction_is_corrected_where_it_is():
    read, columns, residuals = observed(900, 2)
    place = nothing().axes.read(read)[:, 1]
    learned = nothing().learn(read, columns, residuals + np.where(columns == 2, np.sign(place) * 0.3, 0.0))
    moved = learned.adjust(vectors(400, 9), np.full((400, EXPERTS), 0.5)) - 0.5
    sides = np.sign(nothing().axes.read(vectors(400, 9))[:, 1])
    assert (moved[:, 2] * sides).mean() > 0.15
    assert abs(moved[:, 0] @ sides) / 400 < 0.05


def test_scores_stay_between_0_and_1_and_deviations_shrink():
    read, columns, residuals = observed(600, 1, (0.9, -0.9, 0.0))
    learned = nothing().learn(read, columns, residuals)
    corrected = learned.adjust(read, np.random.default_rng(1).random((600, EXPERTS)))
    assert corrected.min() >= 0.0
    assert corrected.max() <= 1.0
    assert (learned.deviations(read) < nothing().deviations(read)).all()


def test_weights_count_as_often_as_they_say_and_zero_is_not_seen():
    read, columns, residuals = observed(40, 3, (0.2, 0.2, 0.2))
    twice = nothing().learn(*(np.concatenate([part, part]) for part in (read, columns, residuals)))
    doubled = nothing().learn(read, columns, residuals, np.full(40, 2.0))
    assert np.allclose(twice.shifts, doubled.shifts)
    assert nothing().learn(read, columns, residuals, np.zeros(40)).is_identity


def days(n, bias_of_day, per_day=30, seed=0):
    """Return observations of expert 0, `per_day` on each of n days."""
    chance = np.random.default_rng(seed)
    moments = np.repeat(np.arange(n), per_day) + chance.random(n * per_day)
    residuals = np.array([bias_of_day(day) for day in np.floor(moments)]) + chance.normal(0, 0.35, len(moments))
    return vectors(len(moments), seed), np.zeros(len(moments), dtype=np.intp), residuals, moments


def test_a_change_is_followed_within_two_days_however_long_the_past_was():
    read, columns, residuals, moments = days(42, lambda day: -0.5 if day >= 40 else 0.0)
    learned = nothing().learn(read, columns, residuals, moments=moments)
    assert learned.shifts[0] == pytest.approx(-0.5, abs=0.1)
    assert 40 <= learned.changes[0] < 42
    assert np.isnan(learned.changes[1:]).all()


def test_without_a_change_none_is_found():
    found = [
        np.isnan(
            nothing().learn(*days(30, lambda day: 0.0, seed=seed)[:3], moments=days(30, float, seed=seed)[3]).changes
        )
        for seed in range(10)
    ]
    assert np.array(found).all()


def test_day_by_day_is_the_same_as_all_days_at_once():
    read, columns, residuals, moments = days(12, lambda day: -0.4 if day >= 7 else 0.0)
    whole, daily = nothing().learn(read, columns, residuals, moments=moments), nothing()
    for day in range(12):
        rows = np.floor(moments) == day
        daily = daily.learn(read[rows], columns[rows], residuals[rows], moments=moments[rows])
    assert np.allclose(daily.shifts, whole.shifts)
    assert np.array_equal(daily.changes, whole.changes, equal_nan=True)


def test_what_is_old_counts_half_after_its_half_life():
    read, columns, residuals, _ = days(1, lambda day: 0.3)
    old = nothing().learn(read, columns, residuals, moments=np.zeros(30))
    later = old.learn(read[:1], columns[:1] + 1, residuals[:1], moments=np.array([old.half_life]))
    assert later.observations[0] == pytest.approx(15.0)
    one_day = nothing().learn(read[:2], columns[:2], residuals[:2], moments=np.array([0.0, 0.5]))
    assert one_day.observations[0] == pytest.approx(1.0 + 0.5 ** (0.5 / old.half_life))


def test_without_vectors_each_expert_has_one_number():
    plain = Correction.nothing(EXPERTS).learn(None, np.array([1] * 50), np.full(50, -0.4))
    assert plain.adjust(None, np.full((2, EXPERTS), 0.5)) == pytest.approx(np.array([[0.5, 0.1, 0.5]] * 2), abs=0.03)
    assert plain.deviations(None, rows=2).shape == (2, EXPERTS)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"columns": np.array([0, 3])}, "3 experts"),
        ({"columns": np.array([0])}, "other numbers"),
        ({"residuals": np.array([0.0, np.nan])}, "residual"),
        ({"weights": np.array([1.0, -1.0])}, "at least 0"),
        ({"moments": np.array([1.0, np.inf])}, "moment"),
        ({"vectors": None}, "reads vectors"),
    ],
)
def test_observations_that_cannot_be_are_refused(change, says):
    given_ = {"vectors": vectors(2), "columns": np.array([0, 1]), "residuals": np.zeros(2), **change}
    with pytest.raises(ValueError, match=says):
        nothing().learn(**given_)


@pytest.fixture
def folder(small_data, tmp_path):
    """A router that learned that the adder fails."""
    router = fit_router(small_data, LinearClassifier("tfidf"))
    table = Recommender(router).table(small_data.texts[:60])
    columns = np.zeros(60, dtype=np.intp)
    router.correction = Correction.of(router).learn(table.vectors, columns, np.full(60, -0.8), moments=np.arange(60.0))
    return router.save(tmp_path / "router")


def test_a_router_keeps_its_correction_and_routes_by_it(folder, small_data):
    router = Router.load(folder)
    texts = small_data.texts[:10]
    table, before = (Recommender(one).table(texts) for one in (router, replace(router, correction=None)))
    assert np.array_equal(table.uncorrected, before.scores)
    assert (table.scores[:, 0] < before.scores[:, 0] - 0.1).any()
    assert np.allclose(table.scores, router.correction.adjust(table.vectors, before.scores))
    assert table.means[0] < before.means[0] - 0.3
    low, high = table.bounds
    assert ((low <= table.scores + 1e-9) & (table.scores <= high + 1e-9)).all()
    assert before.deviations is None
    again = Router.load(router.save(folder, overwrite=True))
    assert np.array_equal(Recommender(again).table(texts).scores, table.scores)


def test_a_correction_that_learned_nothing_changes_no_number(small_data):
    router = fit_router(small_data, LinearClassifier("tfidf"))
    plain = Recommender(router).table(small_data.texts)
    router.correction = Correction.of(router)
    same = Recommender(router).table(small_data.texts)
    assert np.array_equal(same.scores, plain.scores)
    assert np.array_equal(same.ranking, plain.ranking)
    assert all(np.array_equal(one, other) for one, other in zip(same.bounds, plain.bounds, strict=True))


def test_bounds_widen_only_where_something_was_learned():
    learned = nothing().learn(vectors(20), np.zeros(20, dtype=np.intp), np.full(20, -0.3))
    before = np.full((1, EXPERTS), 0.5)
    after, deviations = learned.adjust(vectors(1), before), learned.deviations(vectors(1))
    low, high = learned.widened((before - 0.1, before + 0.1), before, after, deviations)
    assert (high - low)[0, 0] > 0.2
    assert (high - low)[0, 1:] == pytest.approx(0.2)


@pytest.mark.parametrize(
    "damage",
    [
        {"evidence.mass": np.array([-1.0, 1.0])},
        {"evidence.mass": np.array([1.0])},
        {"evidence.pull": None},
        {"recent.squares": np.array([np.nan, 0.0])},
        {"middle": np.zeros(1)},
        {"changes": np.zeros(5)},
    ],
)
def test_a_damaged_correction_is_called_damaged(folder, damage):
    file = folder / "routing.npz"
    with np.load(file) as arrays:
        content = dict(arrays)
    for name, values in damage.items():
        if values is None:
            del content[f"correction.{name}"]
        else:
            content[f"correction.{name}"] = values
    np.savez(file, **content)
    told = json.loads((folder / "router.json").read_text(encoding="utf-8"))
    told["files"]["routing.npz"] = hashlib.sha256(file.read_bytes()).hexdigest()
    (folder / "router.json").write_text(json.dumps(told), encoding="utf-8")
    with pytest.raises(DataError, match="damaged"):
        Router.load(folder)
