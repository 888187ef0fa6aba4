"""What the transformer's head for costs learns, from costs that depend on the words of the instruction."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mixture_training.src.instruction_classifier import TransformerClassifier
from tests.mixture_training.synthetic import TOPICS, make_data

pytestmark = pytest.mark.slow


def priced(rows: int, *, split: str = "train", seed: int):
    """A call to the smith costs five times as much on metals; the vet's costs are not known; the rest cost the same."""
    data = make_data(rows, split=split, seed=seed)
    on_metal = np.array([any(word in text for word in TOPICS["metal"]) for text in data.texts])
    costs = np.column_stack([np.full(rows, 0.001), np.where(on_metal, 0.005, 0.001), np.full(rows, np.nan)])
    return replace(data, costs=costs), on_metal


@pytest.fixture(scope="module")
def fitted(tiny_bert_dir: Path) -> TransformerClassifier:
    train, _ = priced(300, seed=1)
    return TransformerClassifier(str(tiny_bert_dir), epochs=12, learning_rate=3e-3).fit(train, train.take([]))


def test_it_tells_which_instructions_are_dear_and_what_they_cost(fitted: TransformerClassifier):
    test, on_metal = priced(90, split="test", seed=2)
    costs = fitted.predict(test.texts).costs
    assert costs.shape == (90, 3)
    assert (costs[:, :2] > 0).all()
    smith = costs[:, 1]
    assert smith[on_metal].mean() > 2.5 * smith[~on_metal].mean()
    np.testing.assert_allclose(smith.mean(), test.costs[:, 1].mean(), rtol=0.3)
    np.testing.assert_allclose(costs[:, 0], 0.001, rtol=0.3)


def test_an_expert_whose_costs_are_unknown_stays_unknown(fitted: TransformerClassifier):
    assert np.isnan(fitted.predict(["tell me about iron"]).costs[:, 2]).all()


def test_saved_and_loaded_it_expects_the_very_same_costs(fitted: TransformerClassifier, tmp_path: Path):
    state = json.loads(json.dumps(fitted.save(tmp_path), allow_nan=False))
    loaded = TransformerClassifier.load(tmp_path, state)
    texts = ["tell me about iron", "tell me about apple and pear"]
    np.testing.assert_array_equal(loaded.predict(texts).costs, fitted.predict(texts).costs)


def test_without_any_cost_there_is_no_head(tiny_bert_dir: Path):
    data = make_data(20, seed=3)
    bare = replace(data, costs=np.full(data.costs.shape, np.nan))
    classifier = TransformerClassifier(str(tiny_bert_dir), epochs=1).fit(bare, bare.take([]))
    assert classifier.predict(["apple"]).costs is None
