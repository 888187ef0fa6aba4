"""What every registered classifier promises."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dataset_build import DataError
from mixture_training.src.ability_head import ability_targets
from mixture_training.src.classifier import Classifier, classifiers
from mixture_training.src.metrics.multi_label import macro_f1
from mixture_training.src.metrics.references import best_column, pick
from tests.mixture_training.synthetic import make_data

TRAIN = make_data(120, seed=1, missing=0.1)
VALIDATION = make_data(40, split="validation", seed=2, missing=0.1)
TEST = make_data(60, split="test", seed=3)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def options(tiny_llama_dir: Path) -> dict[str, dict[str, Any]]:
    return {
        "transformer": {"epochs": 2, "batch_size": 8},
        "llm": {"llm": f"transformers_local:{tiny_llama_dir}", "examples": 2, "calibration_rows": 30},
        "xgboost": {"rounds": 60, "learning_rate": 0.2},
        "auto": {"members": ["linear:tfidf", "knn:tfidf"]},
        "ensemble": {"members": ["linear:tfidf", "knn:tfidf"]},
    }


@pytest.fixture(scope="session")
def fitted(options: dict[str, dict[str, Any]]) -> Callable[[str], Classifier]:
    made: dict[str, Classifier] = {}

    def get(name: str) -> Classifier:
        if name not in made:
            made[name] = classifiers[name](**options.get(name, {})).fit(TRAIN, VALIDATION)
        return made[name]

    return get


each_classifier = pytest.mark.parametrize("name", list(classifiers))


@each_classifier
def test_prediction_has_a_row_per_text_and_a_column_per_expert(name, fitted):
    classifier = fitted(name)
    prediction = classifier.predict(TEST.texts[:7])
    assert classifier.kind == name
    assert classifier.experts_ == TRAIN.experts
    assert classifier.category_names_ == TRAIN.category_names
    assert prediction.scores.shape == (7, 3)
    assert prediction.scores.dtype == np.float64
    assert not np.isnan(prediction.scores).any()
    assert (prediction.scores >= 0).all()
    assert (prediction.scores <= 1).all()
    np.testing.assert_allclose(prediction.categories.sum(axis=1), 1.0, atol=1e-6)


@each_classifier
def test_each_ability_has_a_probability_of_its_own(name, fitted):
    classifier = fitted(name)
    prediction = classifier.predict(TEST.texts[:7])
    assert classifier.ability_names_ == TRAIN.ability_names == ("botany", "chemistry", "taste")
    assert prediction.abilities is not None
    assert prediction.abilities.shape == (7, 3)
    assert np.isfinite(prediction.abilities).all()
    assert (prediction.abilities >= 0).all()
    assert (prediction.abilities <= 1).all()
    assert classifier.predict([]).abilities.shape == (0, 3)


@each_classifier
def test_abilities_are_learned_from_the_rows_that_tell_them(name, fitted):
    given = fitted(name).predict(TEST.texts).abilities > 0.5
    assert macro_f1(ability_targets(TEST, TRAIN.ability_names), given) > 0.9


@each_classifier
def test_no_text_gives_no_row(name, fitted):
    prediction = fitted(name).predict([])
    assert prediction.scores.shape == (0, 3)
    assert prediction.categories.shape == (0, 3)


@each_classifier
def test_odd_texts_are_routed_like_any_other(name, fitted):
    prediction = fitted(name).predict(["", "   ", "\ud800 lone", "x" * 30_000, "数学 🙂"])
    assert np.isfinite(prediction.scores).all()


@each_classifier
def test_a_text_is_judged_alone(name, fitted):
    classifier = fitted(name)
    together = classifier.predict(TEST.texts[:5]).scores
    apart = np.concatenate([classifier.predict([text]).scores for text in TEST.texts[:5]])
    np.testing.assert_allclose(together, apart, atol=1e-5)


@each_classifier
def test_saved_and_loaded_it_predicts_the_very_same(name, fitted, tmp_path):
    classifier = fitted(name)
    state = json.loads(json.dumps(classifier.save(tmp_path)))
    loaded = classifiers[name].load(tmp_path, state)
    loaded.experts_, loaded.category_names_ = classifier.experts_, classifier.category_names_
    loaded.ability_names_ = classifier.ability_names_
    before, after = classifier.predict(TEST.texts), loaded.predict(TEST.texts)
    np.testing.assert_array_equal(before.scores, after.scores)
    np.testing.assert_array_equal(before.categories, after.categories)
    np.testing.assert_array_equal(before.abilities, after.abilities)
    allowed = {".npz", ".json", ".onnx", ".safetensors", ".ubj", ".txt", ".jinja", ".model"}
    assert {path.suffix for path in tmp_path.rglob("*") if path.is_file()} <= allowed


@each_classifier
def test_a_classifier_saved_before_there_were_abilities_loads(name, options, tmp_path):
    data = make_data(60)
    bare = type(data)(**{**vars(data), "abilities": ()})
    state = json.loads(json.dumps(classifiers[name](**options.get(name, {})).fit(bare, bare.take([])).save(tmp_path)))
    state.pop("ability_names", None)
    assert classifiers[name].load(tmp_path, state).predict(["apple and pear"]).abilities is None


@each_classifier
def test_the_same_seed_gives_the_same_classifier(name, fitted, options):
    again = classifiers[name](**options.get(name, {})).fit(TRAIN, VALIDATION)
    np.testing.assert_array_equal(again.predict(TEST.texts).scores, fitted(name).predict(TEST.texts).scores)


@each_classifier
def test_arguments_are_kept_untouched(name, fitted, options):
    for key, value in {**options.get(name, {}), "seed": 0}.items():
        assert getattr(fitted(name), key) == value


@each_classifier
def test_diagnostics_are_json(name, fitted):
    assert json.dumps(fitted(name).diagnostics())


@each_classifier
def test_an_expert_without_a_score_is_refused(name, options):
    empty = make_data(20)
    empty.scores[:, 1] = np.nan
    with pytest.raises(DataError, match="'smith' has no score"):
        classifiers[name](**options.get(name, {})).fit(empty, empty.take([]))


@pytest.mark.parametrize("name", [name for name in classifiers if name != "llm"])
def test_what_is_easy_is_learned(name, fitted):
    chosen = fitted(name).predict(TEST.texts).scores.argmax(axis=1)
    alone = TEST.scores[:, best_column(TRAIN.scores, TRAIN.costs)].mean()
    assert pick(TEST.scores, chosen).mean() > alone + 0.3


@pytest.mark.parametrize("name", [name for name in classifiers if name != "llm"])
def test_categories_are_learned(name, fitted):
    classifier = fitted(name)
    guesses = classifier.predict(TEST.texts).categories.argmax(axis=1)
    right = [classifier.category_names_[guess] == truth for guess, truth in zip(guesses, TEST.categories, strict=True)]
    assert np.mean(right) > 0.9


@pytest.mark.parametrize("name", ["linear", "knn", "xgboost"])
def test_without_validation_and_categories_it_still_fits(name, options):
    data = make_data(60, missing=0.0)
    bare = type(data)(**{**vars(data), "categories": (None,) * 60, "abilities": ()})
    classifier = classifiers[name](**options.get(name, {})).fit(bare, bare.take([]))
    prediction = classifier.predict(["apple and pear"])
    assert prediction.categories.shape == (1, 0)
    assert prediction.abilities is None
    assert classifier.ability_names_ == ()
    assert prediction.scores.argmax() == 0
