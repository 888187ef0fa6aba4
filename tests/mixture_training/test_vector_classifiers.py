"""What every classifier that reads vectors promises, however few, equal or odd the scores are."""

import json
from dataclasses import replace

import numpy as np
import pytest

from mixture_training.src.classifier import classifiers
from mixture_training.src.training_data import TrainingData
from mixture_training.src.vector_classifier import Encoded, VectorClassifier

VECTOR_CLASSIFIERS = [name for name in classifiers if issubclass(classifiers[name], VectorClassifier)]
#: Smaller than the defaults, where those take long.
OPTIONS = {
    "xgboost": {"rounds": 30, "learning_rate": 0.2},
    "mlp": {"epochs": 30, "networks": 2},
    "contrastive": {"epochs": 5, "dimensions": 16},
}
EXPERTS = ("ant", "bee", "cat", "dog")

each = pytest.mark.parametrize("name", VECTOR_CLASSIFIERS)


def made(n=150, d=12, *, seed=0, missing=0.0, categories=True):
    """Return n unit vectors in four groups, with experts who are each good at one of them."""
    chance = np.random.default_rng(seed)
    group = chance.integers(0, 4, n)
    vectors = np.random.default_rng(99).standard_normal((4, d))[group] + 0.5 * chance.standard_normal((n, d))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    own = group[:, None] == np.arange(4)
    scores = np.clip(np.where(own, 0.8, 0.3) + chance.normal(0, 0.1, (n, 4)), 0, 1)
    scores[chance.random((n, 4)) < missing] = np.nan
    return encoded(vectors, scores, [f"group {number % 3}" for number in group] if categories else [None] * n)


def encoded(vectors, scores, categories=None):
    n = len(vectors)
    data = TrainingData(
        ids=tuple(f"i{row}" for row in range(n)),
        texts=tuple(f"text {row}" for row in range(n)),
        categories=tuple(categories or [None] * n),
        splits=("train",) * n,
        experts=EXPERTS[: scores.shape[1]],
        scores=scores,
        costs=np.full(scores.shape, 0.01),
        latencies=np.full(scores.shape, np.nan),
    )
    return Encoded(vectors.astype(np.float32), data)


def fit(name, train, validation=None):
    nothing = Encoded(train.vectors[:0], train.data.take([]))
    return classifiers[name](**OPTIONS.get(name, {}), seed=3).fit_vectors(train, validation or nothing)


def scores_of(classifier, vectors):
    scores = classifier.predict_vectors(vectors).scores
    assert scores.shape == (len(vectors), len(classifier.experts_))
    assert np.isfinite(scores).all()
    assert scores.min() >= 0.0
    assert scores.max() <= 1.0
    return scores


@pytest.fixture(scope="module")
def fitted():
    kept = {}
    return lambda name: kept.setdefault(name, fit(name, TRAIN))


TRAIN, TEST = made(seed=1, missing=0.1), made(80, seed=2)


@each
def test_who_is_good_at_what_is_learned(name, fitted):
    chosen = scores_of(fitted(name), TEST.vectors).argmax(axis=1)
    found = TEST.data.scores[np.arange(80), chosen].mean()
    assert found > TEST.data.scores.mean(axis=0).max() + 0.2


@each
def test_expected_scores_are_nearer_than_the_means(name, fitted):
    error = ((scores_of(fitted(name), TEST.vectors) - TEST.data.scores) ** 2).mean()
    assert error < 0.8 * ((TRAIN.data.expert_means() - TEST.data.scores) ** 2).mean()


@each
def test_saved_twice_and_fitted_twice_the_bytes_are_the_same(name, fitted, tmp_path):
    for number, classifier in enumerate((fitted(name), fitted(name), fit(name, TRAIN))):
        (tmp_path / str(number)).mkdir()
        json.dumps(classifier.save_heads(tmp_path / str(number)))
    files = sorted(path.name for path in (tmp_path / "0").iterdir())
    assert files
    for other in ("1", "2"):
        assert sorted(path.name for path in (tmp_path / other).iterdir()) == files
        for file in files:
            assert (tmp_path / "0" / file).read_bytes() == (tmp_path / other / file).read_bytes()


@each
def test_loaded_it_predicts_the_very_same(name, fitted, tmp_path):
    state = json.loads(json.dumps(fitted(name).save_heads(tmp_path)))
    loaded = classifiers[name].load_heads(tmp_path, state)
    np.testing.assert_array_equal(scores_of(loaded, TEST.vectors), scores_of(fitted(name), TEST.vectors))
    assert json.dumps(loaded.diagnostics())


@each
def test_the_order_of_experts_changes_nothing(name, fitted):
    order = [2, 0, 3, 1]
    turned = replace(TRAIN.data, experts=tuple(EXPERTS[column] for column in order), scores=TRAIN.data.scores[:, order])
    again = fit(name, Encoded(TRAIN.vectors, turned))
    np.testing.assert_allclose(
        scores_of(again, TEST.vectors), scores_of(fitted(name), TEST.vectors)[:, order], atol=2e-3
    )


@each
def test_missing_is_not_zero(name):
    chance = np.random.default_rng(0)
    train = made(200, seed=4)
    scores = np.clip(chance.normal(0.9, 0.03, train.data.scores.shape), 0, 1)
    scores[chance.random(scores.shape) < 0.8] = np.nan
    scores[np.arange(4), np.arange(4)] = 0.9
    assert scores_of(fit(name, encoded(train.vectors, scores)), TEST.vectors).min() > 0.6


@each
def test_rows_without_any_score_change_nothing(name):
    train = made(60, seed=5)
    scores = train.data.scores.copy()
    scores[40:] = np.nan
    with_them = fit(name, encoded(train.vectors, scores))
    without = fit(name, encoded(train.vectors[:40], scores[:40]))
    if name != "kernel" and name != "hierarchical":  # which choose landmarks among all rows
        np.testing.assert_allclose(scores_of(with_them, TEST.vectors), scores_of(without, TEST.vectors), atol=1e-4)


@each
def test_most_scores_may_be_missing(name):
    train = made(300, seed=6, missing=0.9)
    assert scores_of(fit(name, train), TEST.vectors).std() > 0.0


@each
@pytest.mark.parametrize("score", [0.0, 0.3, 1.0])
def test_an_expert_may_have_one_score(name, score):
    scores = made(60, seed=7).data.scores.copy()
    scores[:, 1] = np.nan
    scores[17, 1] = score
    scores_of(fit(name, encoded(made(60, seed=7).vectors, scores)), TEST.vectors)


@each
@pytest.mark.parametrize("score", [0.0, 0.5, 1.0])
def test_all_scores_may_be_equal(name, score):
    scores = scores_of(fit(name, encoded(TEST.vectors, np.full((80, 4), score))), TRAIN.vectors)
    np.testing.assert_allclose(scores, score, atol=0.05)


@each
def test_ten_rows_are_enough(name):
    scores_of(fit(name, made(10, seed=8)), TEST.vectors)


@each
def test_a_single_row_is_not_too_few(name):
    scores_of(fit(name, made(1, seed=8)), TEST.vectors)


@each
def test_there_may_be_more_dimensions_than_rows(name):
    train, test = made(40, d=200, seed=9), made(30, d=200, seed=10)
    chosen = scores_of(fit(name, train), test.vectors).argmax(axis=1)
    assert test.data.scores[np.arange(30), chosen].mean() > test.data.scores.mean()


@each
def test_there_may_be_no_categories(name):
    classifier = fit(name, made(60, seed=11, categories=False))
    assert classifier.predict_vectors(TEST.vectors).categories.shape == (80, 0)
    scores_of(classifier, TEST.vectors)


@each
def test_there_may_be_a_single_expert(name):
    train = made(60, seed=12)
    scores_of(fit(name, encoded(train.vectors, train.data.scores[:, :1])), TEST.vectors)


@each
def test_all_instructions_may_be_the_same(name):
    train = made(30, seed=13)
    scores_of(fit(name, encoded(np.tile(train.vectors[:1], (30, 1)), train.data.scores)), TEST.vectors)


@each
def test_vectors_may_be_zero(name, fitted):
    scores_of(fitted(name), np.zeros((3, 12), dtype=np.float32))
    train = made(30, seed=14)
    scores_of(fit(name, encoded(np.zeros_like(train.vectors), train.data.scores)), TEST.vectors)


@each
def test_scores_may_be_right_or_wrong_only(name):
    train = made(200, seed=15)
    binary = (np.random.default_rng(1).random((200, 4)) < train.data.scores).astype(float)
    chosen = scores_of(fit(name, encoded(train.vectors, binary)), TEST.vectors).argmax(axis=1)
    assert TEST.data.scores[np.arange(80), chosen].mean() > TEST.data.scores.mean() + 0.15


@each
def test_scores_may_be_preferences(name):
    train = made(600, seed=16)
    chance = np.random.default_rng(2)
    scores = np.full((600, 4), np.nan)
    for row in range(600):
        one, other = chance.permutation(4)[:2]
        wins = float(train.data.scores[row, one] > train.data.scores[row, other])
        scores[row, [one, other]] = wins, 1.0 - wins
    chosen = scores_of(fit(name, encoded(train.vectors, scores)), TEST.vectors).argmax(axis=1)
    assert TEST.data.scores[np.arange(80), chosen].mean() > TEST.data.scores.mean() + 0.15


@each
def test_validation_may_be_there(name):
    classifier = fit(name, TRAIN, TEST)
    scores_of(classifier, TEST.vectors)
