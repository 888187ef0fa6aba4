"""Hidden abilities: where most scores are missing they tell more than a regression for each expert."""

import numpy as np
import pytest

from mixture_training.src.cross_entropy import Axes, PreferenceLoss, ScoreLoss
from mixture_training.src.factorisation import FactorisationClassifier, Factors, fit_factors, start_factors
from mixture_training.src.linear import LinearClassifier
from mixture_training.src.logistic import LogisticClassifier
from mixture_training.src.targets import sigmoid
from tests.mixture_training.test_vector_classifiers import encoded

EXPERTS = 16


def low_rank(n, *, missing, seed):
    """Return vectors with scores by two abilities and a difficulty, most of them missing, and the true chances."""
    world, chance = np.random.default_rng(7), np.random.default_rng(seed)
    asked, ease = world.standard_normal((24, 2)) / 2, world.standard_normal(24) / 4
    abilities, level = world.standard_normal((EXPERTS, 2)), world.standard_normal(EXPERTS) / 2
    vectors = chance.standard_normal((n, 24))
    rates = sigmoid(vectors @ asked @ abilities.T + (vectors @ ease)[:, None] + level)
    scores = (chance.random(rates.shape) < rates).astype(float)
    scores[chance.random(rates.shape) < missing] = np.nan
    return vectors / np.sqrt(24), scores, rates


def error_of(classifier, train, test, rates):
    nothing = type(train)(train.vectors[:0], train.data.take([]))
    return ((classifier.fit_vectors(train, nothing).predict_vectors(test).scores - rates) ** 2).mean()


def many(vectors, scores):
    data = encoded(vectors, scores[:, :4]).data
    names = tuple(f"e{column:02d}" for column in range(EXPERTS))
    full = type(data)(**{**vars(data), "experts": names, "scores": scores, "costs": scores, "latencies": scores})
    return type(encoded(vectors, scores[:, :4]))(vectors.astype(np.float32), full)


def test_with_nine_of_ten_scores_missing_it_beats_separate_regressions():
    vectors, scores, _ = low_rank(1_200, missing=0.9, seed=0)
    test, _, rates = low_rank(1_000, missing=0.0, seed=1)
    train = many(vectors, scores)
    shared = error_of(FactorisationClassifier(), train, test.astype(np.float32), rates)
    assert shared < 0.75 * error_of(LogisticClassifier(), train, test.astype(np.float32), rates)
    assert shared < 0.75 * error_of(LinearClassifier(), train, test.astype(np.float32), rates)


def test_the_number_of_abilities_is_found():
    vectors, scores, _ = low_rank(2_000, missing=0.5, seed=2)
    train = many(vectors, scores)
    classifier = FactorisationClassifier()
    classifier.fit_vectors(train, type(train)(train.vectors[:0], train.data.take([])))
    assert classifier.diagnostics()["rank"] == 2
    assert classifier.diagnostics()["scores"] == "binary"


def test_a_rank_that_is_given_is_kept():
    vectors, scores, _ = low_rank(300, missing=0.5, seed=3)
    train = many(vectors, scores)
    classifier = FactorisationClassifier(rank=3)
    classifier.fit_vectors(train, type(train)(train.vectors[:0], train.data.take([])))
    assert classifier.diagnostics()["rank"] == 3


@pytest.mark.parametrize("kind", [ScoreLoss, PreferenceLoss])
def test_the_fit_has_no_slope_left(kind):
    chance = np.random.default_rng(0)
    scores = chance.random((40, 3))
    if kind is PreferenceLoss:
        scores[np.arange(40), chance.integers(0, 3, 40)] = np.nan
        scores /= np.nansum(scores, axis=1, keepdims=True)
    axes, loss = Axes.of(chance.standard_normal((40, 5))), kind.of(scores)
    fitted = fit_factors(axes, loss, start_factors(axes, loss).cut(2), 0.5, 0.5, progress=1e-14)

    def value(factors):
        penalty = 0.25 * ((factors.asked**2).sum() + (factors.abilities**2).sum() + (factors.ease**2).sum())
        return loss(factors.logits(axes.turned))[0] + penalty + 0.125 * ((factors.level - loss.start()) ** 2).sum()

    flat = fitted.flat()
    for place in range(len(flat)):
        step = np.zeros_like(flat)
        step[place] = 1e-5
        slope = (value(fitted.shaped(flat + step)) - value(fitted.shaped(flat - step))) / 2e-5
        assert slope == pytest.approx(0.0, abs=2e-3)


def test_factors_survive_being_put_in_one_row():
    chance = np.random.default_rng(0)
    factors = Factors(chance.random((4, 2)), chance.random(4), chance.random((3, 2)), chance.random(3))
    again = factors.shaped(factors.flat())
    for name in ("asked", "ease", "abilities", "level"):
        np.testing.assert_array_equal(getattr(again, name), getattr(factors, name))
