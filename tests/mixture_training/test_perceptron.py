"""The network in numpy: derivatives by difference, Adam by hand."""

from dataclasses import replace

import numpy as np
import pytest

from mixture_training.src.adam import Adam
from mixture_training.src.cross_entropy import ScoreLoss
from mixture_training.src.perceptron import Layers, PerceptronClassifier, _derivatives
from tests.mixture_training.test_vector_classifiers import TEST, TRAIN, fit


def test_the_derivatives_are_those_of_the_loss():
    chance = np.random.default_rng(0)
    layers = Layers(*(chance.standard_normal(shape) for shape in ((5, 7), (7,), (7, 3), (3,))))
    vectors, scores = chance.standard_normal((6, 5)), chance.random((6, 3))
    scores[2, 1] = np.nan
    loss, heard = ScoreLoss.of(scores), (chance.random((6, 7)) < 0.7) / 0.7
    derivatives = _derivatives(layers, vectors, loss, heard)[1]
    for array, derivative in zip(layers, derivatives, strict=True):
        for cell in np.ndindex(array.shape):
            kept = array[cell]
            array[cell] = kept + 1e-6
            above = _derivatives(layers, vectors, loss, heard)[0]
            array[cell] = kept - 1e-6
            below = _derivatives(layers, vectors, loss, heard)[0]
            array[cell] = kept
            assert derivative[cell] == pytest.approx((above - below) / 2e-6, abs=1e-6)


def test_adam_by_hand():
    weights, bias = np.array([[1.0]]), np.array([1.0])
    adam = Adam([weights, bias], rate=0.1, decay=0.5)
    adam.step([np.array([[4.0]]), np.array([-2.0])])
    assert weights[0, 0] == pytest.approx(0.95 - 0.1)  # the first step has length `rate`; only weights decay
    assert bias[0] == pytest.approx(1.1)
    adam.step([np.array([[0.0]]), np.array([-2.0])])
    mean, square = 0.9 * 0.4 / (1 - 0.81), 0.999 * 0.016 / (1 - 0.999**2)
    assert weights[0, 0] == pytest.approx(0.85 * 0.95 - 0.1 * mean / np.sqrt(square))
    assert bias[0] == pytest.approx(1.2)


def test_it_stops_when_rows_it_does_not_learn_from_are_told_no_better():
    chance = np.random.default_rng(0).random(TRAIN.data.scores.shape).round()
    classifier = fit("mlp", replace(TRAIN, data=replace(TRAIN.data, scores=chance)))
    assert isinstance(classifier, PerceptronClassifier)
    assert all(0 < epochs < 30 for epochs in classifier.diagnostics()["epochs"])


@pytest.mark.parametrize("name", ["mlp", "xgboost"])
def test_validation_rows_stay_unseen(name):
    """What they say of the router later must not be what stopped the training."""
    told = [fit(name, TRAIN, validation).predict_vectors(TEST.vectors).scores for validation in (TEST, None)]
    np.testing.assert_array_equal(*told)


def test_networks_start_differently():
    inner = fit("mlp", TRAIN)._arrays()["inner"]
    assert np.abs(inner[0] - inner[1]).max() > 0.1
