"""Fits by cross-entropy: derivatives by difference, solutions beside scikit-learn's, and what kind scores are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixture_training.src.cross_entropy import (
    Axes,
    CategoryLoss,
    PreferenceLoss,
    ScoreLoss,
    expected_scores,
    fit_linear,
    loss_of,
)
from mixture_training.src.targets import score_kind, shrunk_means, sigmoid, softmax


def scores_with_gaps():
    chance = np.random.default_rng(0)
    scores = chance.random((7, 3))
    scores[chance.random((7, 3)) < 0.3] = np.nan
    return scores


def comparisons(strengths, n, seed=0):
    """Return rows in which two were compared, the stronger the likelier to win."""
    chance = np.random.default_rng(seed)
    scores = np.full(strengths.shape if strengths.ndim == 2 else (n, len(strengths)), np.nan)
    for row in range(n):
        one, other = chance.permutation(scores.shape[1])[:2]
        strength = strengths[row] if strengths.ndim == 2 else strengths
        won = float(chance.random() < sigmoid(strength[one] - strength[other]))
        scores[row, [one, other]] = won, 1 - won
    return scores


LOSSES = {
    "scores": ScoreLoss.of(scores_with_gaps()),
    "preferences": PreferenceLoss.of(comparisons(np.array([0.0, 1.0, 2.0]), 7)),
    "categories": CategoryLoss(np.array([0, 1, 2, 0, 0, 1, 2]), 3),
}


@pytest.mark.parametrize("name", LOSSES)
def test_the_derivative_is_that_of_the_loss(name):
    loss, logits = LOSSES[name], np.random.default_rng(1).normal(0, 2, (7, 3))
    losses, gradient = loss.cells(logits)
    assert losses.sum() == pytest.approx(loss(logits)[0])
    for cell in np.ndindex(7, 3):
        step = np.zeros((7, 3))
        step[cell] = 1e-6
        assert gradient[cell] == pytest.approx((loss(logits + step)[0] - loss(logits - step)[0]) / 2e-6, abs=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_the_curvature_is_that_at_the_start(name):
    loss = LOSSES[name]
    start, curvature = np.tile(loss.start(), (7, 1)), loss.curvature()
    for cell in np.ndindex(7, 3):
        step = np.zeros((7, 3))
        step[cell] = 1e-5
        by_difference = (loss(start + step)[1] - loss(start - step)[1])[cell] / 2e-5
        assert curvature[cell] == pytest.approx(by_difference, abs=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_some_rows_have_the_loss_of_those_rows(name):
    loss, logits, rows = LOSSES[name], np.random.default_rng(2).normal(0, 2, (7, 3)), np.array([4, 1])
    np.testing.assert_array_equal(loss.take(rows).cells(logits[rows])[0], loss.cells(logits)[0][rows])


@pytest.mark.parametrize("name", LOSSES)
def test_huge_logits_give_finite_losses(name):
    losses, gradient = LOSSES[name].cells(np.tile([-2_000.0, 0.0, 2_000.0], (7, 1)))
    assert np.isfinite(losses).all()
    assert np.isfinite(gradient).all()


def test_the_loss_of_a_score_by_hand():
    loss = ScoreLoss.of(np.array([[0.25, np.nan]]))
    assert loss(np.array([[0.0, 9.0]]))[0] == pytest.approx(np.log(2))
    assert loss(np.array([[np.log(3), 9.0]]))[0] == pytest.approx(-0.25 * np.log(0.75) - 0.75 * np.log(0.25))


@pytest.mark.parametrize("shape", [(200, 8), (30, 60)], ids=["more rows", "more dimensions"])
def test_categories_are_told_as_by_scikit_learn(shape):
    from sklearn.linear_model import LogisticRegression

    vectors = np.random.default_rng(0).standard_normal(shape)
    codes = (vectors @ np.random.default_rng(1).standard_normal((shape[1], 3))).argmax(axis=1)
    axes = Axes.of(vectors)
    weights, bias = axes.untwist(*fit_linear(axes, CategoryLoss(codes, 3), 2.0))
    expected = LogisticRegression(C=0.5, tol=1e-8, max_iter=5_000).fit(vectors, codes).predict_proba(vectors)
    np.testing.assert_allclose(softmax(vectors @ weights + bias), expected, atol=5e-3)


def test_soft_labels_are_fitted_as_weighted_hard_ones_by_scikit_learn():
    from sklearn.linear_model import LogisticRegression

    chance = np.random.default_rng(0)
    vectors, scores = chance.standard_normal((500, 6)), chance.random((500, 2))
    known = chance.random((500, 2)) < 0.8
    axes = Axes.of(vectors)
    found = fit_linear(axes, ScoreLoss.of(np.where(known, scores, np.nan)), [1.0, 4.0])
    weights, bias = axes.untwist(*found)
    for column, penalty in enumerate((1.0, 4.0)):
        rows, truth = vectors[known[:, column]], scores[known[:, column], column]
        hard = LogisticRegression(C=1 / penalty, tol=1e-8, max_iter=5_000).fit(
            np.vstack([rows, rows]), np.repeat([1, 0], len(rows)), sample_weight=np.concatenate([truth, 1 - truth])
        )
        np.testing.assert_allclose(weights[:, column], hard.coef_[0], atol=3e-3)
        assert bias[column] == pytest.approx(hard.intercept_[0], abs=5e-3)


def test_strengths_are_found_from_comparisons():
    strengths = np.array([-1.0, 0.0, 0.5, 1.5])
    axes = Axes.of(np.zeros((20_000, 1)))
    _, found = fit_linear(axes, PreferenceLoss.of(comparisons(strengths, 20_000)), 1.0)
    np.testing.assert_allclose(found - found.mean(), strengths - strengths.mean(), atol=0.1)


def test_of_preferences_the_rate_of_wins_is_expected():
    rates = expected_scores(np.array([[0.0, np.log(3), 0.0]]), "preference")
    np.testing.assert_allclose(rates, [[(0.25 + 0.5) / 2, 0.75, 0.375]])
    np.testing.assert_allclose(expected_scores(np.array([[0.0, np.log(3)]]), "fraction"), [[0.5, 0.75]])


def test_the_kinds_of_scores():
    nan = np.nan
    assert score_kind(np.array([[1.0, 0.0], [1.0, 1.0]])) == "binary"
    assert score_kind(np.array([[1.0, 0.0], [1.0, 0.5]])) == "fraction"
    assert score_kind(np.array([[1.0, 0.0, nan], [nan, 0.5, 0.5], [nan, nan, nan]])) == "preference"
    assert score_kind(np.array([[1.0, 0.0, nan], [nan, 0.5, 0.6]])) == "fraction"
    assert score_kind(np.array([[1.0, 0.0, nan], [nan, nan, 1.0]])) == "binary"
    assert isinstance(loss_of(np.array([[1.0, 0.0, nan]])), PreferenceLoss)
    assert isinstance(loss_of(np.array([[1.0, 0.0, 0.0]])), ScoreLoss)


def test_means_are_shrunk_to_that_of_all():
    found = shrunk_means(np.array([[1.0, 0.0, np.nan], [1.0, np.nan, np.nan]]))
    np.testing.assert_allclose(found, [(2 + 2 / 3) / 3, (2 / 3) / 2, 2 / 3])


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 20), st.integers(1, 12), st.integers(0, 999))
def test_turned_back_the_vectors_give_the_same_logits(n, d, seed):
    chance = np.random.default_rng(seed)
    vectors = chance.standard_normal((n, d)).astype(np.float32)
    axes = Axes.of(vectors)
    coefficients, intercepts = chance.standard_normal((axes.turned.shape[1], 2)), chance.standard_normal(2)
    weights, bias = axes.untwist(coefficients, intercepts)
    np.testing.assert_allclose(vectors @ weights + bias, axes.turned @ coefficients + intercepts, atol=1e-5)
