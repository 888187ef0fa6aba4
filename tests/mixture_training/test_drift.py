"""Drift is noticed, named and not imagined."""

import numpy as np
import pytest
from scipy.stats import energy_distance

from mixture_training.src.drift import Drift, DriftMonitor, Instructions, compare
from mixture_training.src.expert_drift import ALARM, compare_scores
from mixture_training.src.fitting import fit_router
from mixture_training.src.linear import LinearClassifier


def cloud(n, seed=0, shift=0.0, novel=0.0, odds=(0.5, 0.3, 0.2)):
    chance = np.random.default_rng(seed)
    places = chance.normal(0, 1, (n, 8))
    places[:, 0] += shift
    return Instructions(places, chance.random(n) < novel, chance.choice(len(odds), n, p=odds))


def test_the_same_kind_of_instructions_raises_few_alarms():
    alarms = [compare(cloud(120, seed), cloud(120, 1000 + seed)) for seed in range(60)]
    assert sum(found.is_drifted for found in alarms) <= 3  # one in a hundred is expected
    assert np.mean([found.distance_p for found in alarms]) == pytest.approx(0.5, abs=0.12)


def test_the_distance_is_the_energy_distance():
    first, second = cloud(60).places[:, :1], cloud(50, 1, shift=0.5).places[:, :1]
    together = np.concatenate([first, second])[:, 0]
    unit = np.abs(together[:, None] - together).mean()
    found = compare(Instructions(first), Instructions(second))
    assert found.distance * unit == pytest.approx(energy_distance(first[:, 0], second[:, 0]) ** 2)


@pytest.mark.parametrize("change", [{"shift": 1.0}, {"odds": (0.1, 0.2, 0.7)}])
def test_what_moved_is_noticed(change):
    found = compare(cloud(200), cloud(200, 1, **change))
    assert found.is_drifted
    assert "are not like those of training" in str(found)
    assert set(found.measures()) == {"distance", "stability"}


def test_many_novel_instructions_are_noticed_and_as_many_as_there_may_be_are_not():
    usual, many = (compare(cloud(200), cloud(200, 1, novel=share), beyond=(3, 198)) for share in (0.015, 0.2))
    assert usual.novel_p > ALARM
    assert many.is_drifted
    assert many.novel_share == pytest.approx(0.2, abs=0.06)


def test_a_new_category_gives_a_finite_index():
    found = compare(cloud(100), cloud(100, 1, odds=(0.1, 0.1, 0.1, 0.7)))
    assert np.isfinite(found.stability)
    assert found.stability > 0.25


def test_too_few_say_nothing():
    found = compare(cloud(100), cloud(10))
    assert found == Drift()
    assert not found.is_drifted
    assert "Too little" in str(found)


def scores_of(n, truth, seed=0):
    """Return scores of one expert that is expected to reach 0.8."""
    chance = np.random.default_rng(seed)
    return (chance.random(n) < np.broadcast_to(truth, n)).astype(float), np.full(n, 0.8)


def test_a_degraded_expert_is_named_with_the_day_and_the_others_are_not():
    truth = np.where(np.arange(300) < 240, 0.8, 0.3)
    scores, expected = scores_of(300, truth)
    others, _ = scores_of(300, 0.8, seed=1)
    columns = np.repeat([0, 1], 300)
    found = compare_scores(
        ("old", "steady"), columns, np.concatenate([scores, others]), np.tile(expected, 2), np.tile(np.arange(300.0), 2)
    )
    old, steady = found
    assert old.is_degraded
    assert old.since == pytest.approx(240, abs=15)
    assert old.observed == pytest.approx(0.3, abs=0.15)
    assert not steady.is_degraded
    assert "old degraded" in str(Drift(experts=found))
    assert Drift(experts=found).changed == (old,)


def test_an_improved_expert_is_named_too():
    scores, expected = scores_of(200, 0.99)
    assert compare_scores(("late",), np.zeros(200, dtype=np.intp), scores, expected)[0].is_improved


def test_steady_experts_raise_few_alarms():
    alarms = 0
    for seed in range(200):
        scores, expected = scores_of(150, 0.8, seed)
        found = compare_scores(("one",), np.zeros(150, dtype=np.intp), scores, expected)
        alarms += bool(Drift(experts=found).changed)
    assert alarms <= 6


def test_few_scores_say_nothing():
    scores, expected = scores_of(10, 0.1)
    assert compare_scores(("one",), np.zeros(10, dtype=np.intp), scores, expected) == ()


def test_a_monitor_compares_what_arrives_with_the_validation_rows(small_data):
    from mixture_training.src.training_data import TrainingData

    rows = len(small_data)
    data = TrainingData(
        **{
            name: getattr(small_data, name)
            for name in ("ids", "texts", "categories", "experts", "scores", "costs", "latencies")
        },
        splits=tuple("train" if row < rows // 2 else "validation" for row in range(rows)),
    )
    router = fit_router(data, LinearClassifier("tfidf"))
    monitor = DriftMonitor(router)
    names = router.classifier.category_names_

    def measured(texts):
        prediction = router.classifier.predict(texts)
        likeliest = [names[index] for index in prediction.categories.argmax(axis=1)]
        return monitor.measure(prediction.vectors, likeliest)

    assert not measured(data.texts[rows // 2 :]).is_drifted
    sums = [text for text, category in zip(data.texts, data.categories, strict=True) if category == "sums"]
    drifted = measured(sums[:40])
    assert drifted.is_drifted
    assert drifted.rows == 40
    judged = monitor.measure(
        None, columns=np.zeros(60, dtype=np.intp), scores=np.zeros(60), expected=np.full(60, 0.9), seed=1
    )
    assert judged.changed[0].expert == router.expert_names[0]
