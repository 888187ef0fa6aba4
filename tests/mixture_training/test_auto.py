"""Choosing among classifiers by cross-validation, and stacking them."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset_build import ConfigError
from mixture_training.src import auto as auto_module
from mixture_training.src.auto import STACK, AutoClassifier, choose, row_values, trade_offs
from mixture_training.src.classifier import classifiers
from mixture_training.src.ensemble import EnsembleClassifier
from mixture_training.src.stacking import (
    Candidate,
    OutOfFold,
    folds_of,
    out_of_fold,
    stack_weights,
    stacked_out_of_fold,
)
from tests.mixture_training.synthetic import joined, make_data

MEMBERS = ["linear:tfidf", "knn:tfidf", "kernel:tfidf"]
TRAIN = make_data(150, seed=5, missing=0.1)
VALIDATION = make_data(30, split="validation", seed=6)
TEST = make_data(60, split="test", seed=7)


@pytest.fixture(scope="module")
def fitted() -> AutoClassifier:
    return AutoClassifier(members=MEMBERS).fit(TRAIN, VALIDATION)


# Folds


def test_texts_that_are_equal_share_a_fold_and_every_fold_is_used():
    texts = [f"text {number % 200}" for number in range(400)]
    folds = folds_of(texts, 5, seed=3)
    assert (folds[:200] == folds[200:]).all()
    assert set(folds.tolist()) == set(range(5))
    assert (folds_of(texts, 5, seed=4) != folds).any()


def test_a_row_is_predicted_by_a_fit_that_never_saw_it():
    marked = make_data(80, seed=1)
    scores = np.full(marked.scores.shape, 0.5)
    scores[7] = 1.0  # only this row stands out: a fit that saw it gives it more than one that did not
    texts = tuple(f"word{number} other{number}" for number in range(80))
    data = replace(marked, scores=scores, texts=texts)
    candidate = Candidate("knn", "tfidf", (("neighbours", 1), ("temperature", 0.02)))
    found = out_of_fold([candidate], data, folds=4, seed=0)[candidate]
    np.testing.assert_allclose(found.scores[7], found.scores[8], atol=0.05)
    assert candidate.make(0).fit(data, data.take([])).predict([texts[7]]).scores.min() > 0.75


def test_an_expert_without_a_score_in_the_other_folds_gets_their_mean():
    data = make_data(60, seed=1)
    fold_of = folds_of(data.texts, 3, seed=0)
    scores = data.scores.copy()
    scores[fold_of != 1, 2] = np.nan  # the third expert is only known in fold 1
    found = out_of_fold([Candidate("linear", "tfidf")], replace(data, scores=scores), folds=3, seed=0)
    (predicted,) = found.values()
    assert not np.isnan(predicted.scores).any()
    np.testing.assert_allclose(predicted.scores[fold_of == 1, 2], np.nanmean(scores[fold_of != 1]))


def test_a_candidate_whose_package_is_missing_is_left_out_with_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    def refuse(*_: object) -> None:
        raise ConfigError("needs: pip install something")

    monkeypatch.setattr(classifiers["knn"], "_fit_scores", refuse)
    candidates = [Candidate.parse(member) for member in MEMBERS[:2]]
    found = out_of_fold(candidates, TRAIN, folds=3, seed=0)
    assert [candidate.kind for candidate in found] == ["linear"]
    assert "knn:tfidf is left out: needs: pip install something" in caplog.text
    monkeypatch.setattr(classifiers["linear"], "_fit_scores", refuse)
    with pytest.raises(ConfigError, match="None of the classifiers"):
        AutoClassifier(members=MEMBERS[:2]).fit(TRAIN, VALIDATION)


# Weights


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), members=st.integers(1, 5), missing=st.floats(0, 0.8))
def test_stack_weights_are_a_mixture_and_no_worse_than_the_best_member(seed: int, members: int, missing: float):
    chance = np.random.default_rng(seed)
    truth = chance.random((80, 3))
    predictions = [np.clip(truth + chance.normal(0, 0.3, truth.shape), 0, 1) for _ in range(members)]
    truth[chance.random(truth.shape) < missing] = np.nan
    truth[0, 0] = 0.5
    weights = stack_weights(predictions, truth)
    assert weights.sum() == pytest.approx(1.0)
    assert (weights >= 0).all()
    errors = [np.nanmean((prediction - truth) ** 2) for prediction in predictions]
    together = sum(weight * prediction for weight, prediction in zip(weights, predictions, strict=True))
    assert np.nanmean((together - truth) ** 2) <= min(errors) * 1.1 + 1e-6


def test_the_member_that_is_right_gets_all_the_weight():
    chance = np.random.default_rng(0)
    truth = chance.random((200, 2))
    weights = stack_weights([chance.random((200, 2)), truth, chance.random((200, 2))], truth)
    np.testing.assert_allclose(weights, [0, 1, 0], atol=1e-6)


def test_the_stack_of_a_fold_has_weights_from_the_others():
    truth = np.tile([[0.0, 1.0]], (40, 1))
    fold_of = np.arange(40) % 2
    good_in_0 = np.where((fold_of == 0)[:, None], truth, 1 - truth)
    good_in_1 = 1 - good_in_0
    stacked = stacked_out_of_fold([good_in_0, good_in_1], truth, fold_of)
    np.testing.assert_allclose(stacked, 1 - truth, atol=1e-6)  # each fold trusts who was good in the other


# Choosing


def trial_data(rows: int = 400):
    return make_data(rows, seed=2)


def noisy(truth, scale: float, seed: int):
    return OutOfFold(truth + np.random.default_rng(seed).normal(0, scale, truth.shape), 1.0)


def test_of_two_that_are_as_good_the_faster_is_taken_and_of_unequal_ones_the_better():
    data = trial_data()
    slow, fast = Candidate("linear", "minilm"), Candidate("linear", "tfidf")
    fold_of = folds_of(data.texts, 5, seed=0)
    same = {slow: noisy(data.scores, 0.05, 1), fast: noisy(data.scores, 0.05, 2)}
    assert choose(same, data, fold_of)[0] == str(fast)
    unequal = {slow: noisy(data.scores, 0.01, 1), fast: noisy(data.scores, 3.0, 2)}
    assert choose(unequal, data, fold_of)[0] == str(slow)


def test_the_table_tells_how_far_each_is_behind_the_best_and_marks_one():
    data = trial_data()
    good, bad = Candidate("linear", "tfidf"), Candidate("knn", "tfidf")
    found = {bad: noisy(data.scores, 2.0, 1), good: noisy(data.scores, 0.01, 2)}
    name, trials = choose(found, data, folds_of(data.texts, 5, seed=0))
    assert {trial.name for trial in trials} == {str(good), str(bad), STACK}
    assert [trial.behind for trial in trials] == sorted(trial.behind for trial in trials)
    assert trials[0].behind == 0.0
    assert [trial.name for trial in trials if trial.is_chosen] == [name]
    worst = trials[-1]
    assert worst.name == str(bad)
    assert worst.behind > worst.standard_error > 0


def test_routing_is_judged_at_quality_and_where_single_experts_change_places():
    data = trial_data()
    scores = data.scores + [0.0, 0.1, 0.2]
    weights = trade_offs(replace(data, scores=scores))
    assert weights[0] == 0.0
    assert len(weights) > 1
    unpriced = replace(data, costs=np.full(data.costs.shape, np.nan))
    np.testing.assert_array_equal(trade_offs(unpriced), [0.0])
    values = row_values(data.scores, unpriced)
    np.testing.assert_allclose(values, data.scores.max(axis=1))


def test_where_most_scores_are_missing_the_error_decides():
    data = trial_data()
    scores = data.scores.copy()
    scores[:, 1:] = np.nan
    scores[0] = np.nan
    values = row_values(np.full(scores.shape, 0.5), replace(data, scores=scores))
    assert np.isnan(values[0])
    np.testing.assert_allclose(values[1:], -((scores[1:, 0] - 0.5) ** 2))


# The classifiers


def test_what_was_tried_is_told_and_what_is_easy_is_learned(fitted: AutoClassifier):
    told = fitted.diagnostics()
    assert {trial["name"] for trial in told["tried"]} == {*MEMBERS, STACK}
    assert sum(trial["is_chosen"] for trial in told["tried"]) == 1
    assert sum(told["chosen"].values()) == pytest.approx(1.0)
    chosen = fitted.predict(TEST.texts).scores.argmax(axis=1)
    assert TEST.scores[np.arange(len(TEST)), chosen].mean() > 0.8
    assert fitted.out_of_fold_.shape == TRAIN.scores.shape


def test_the_same_seed_gives_the_same_files(fitted: AutoClassifier, tmp_path: Path):
    again = AutoClassifier(members=MEMBERS).fit(TRAIN, VALIDATION)
    contents = []
    for name, classifier in (("one", fitted), ("two", again)):
        (tmp_path / name).mkdir()
        state = classifier.save(tmp_path / name)
        files = sorted(path for path in (tmp_path / name).rglob("*") if path.is_file())
        contents.append((json.dumps(state), [path.read_bytes() for path in files]))
    assert contents[0] == contents[1]


@pytest.mark.parametrize("make", [AutoClassifier, EnsembleClassifier])
def test_a_saved_one_predicts_the_very_same(make: type, tmp_path: Path):
    classifier = make(members=MEMBERS).fit(TRAIN, VALIDATION)
    loaded = make.load(tmp_path, json.loads(json.dumps(classifier.save(tmp_path))))
    before, after = classifier.predict(TEST.texts), loaded.predict(TEST.texts)
    np.testing.assert_array_equal(before.scores, after.scores)
    np.testing.assert_array_equal(before.categories, after.categories)
    np.testing.assert_array_equal(before.abilities, after.abilities)


def test_members_that_read_the_same_encoder_share_it(tmp_path: Path):
    classifier = EnsembleClassifier(members=MEMBERS).fit(TRAIN, VALIDATION)
    classifier.save(tmp_path)
    assert len(list(tmp_path.glob("encoder_*"))) == 1
    assert sum(classifier.diagnostics()["weights"].values()) == pytest.approx(1.0)


def test_a_small_time_budget_tries_less_and_at_least_one():
    every = AutoClassifier(time_budget_s=1e9)._affordable(1000, 5, 5)
    some = AutoClassifier(time_budget_s=5.0)._affordable(1000, 5, 5)
    one = AutoClassifier(time_budget_s=1e-9)._affordable(1000, 5, 5)
    assert len(every) == len(auto_module.CANDIDATES)
    assert 1 < len(some) < len(every)
    assert len(one) == 1


def test_an_encoder_that_is_given_is_what_all_candidates_read():
    candidates = AutoClassifier(encoder="tfidf", time_budget_s=1e9)._affordable(1000, 5, 5)
    assert {candidate.encoder for candidate in candidates} == {"tfidf"}
    assert len(candidates) == len(set(candidates))


@pytest.mark.parametrize("text", ["linear", "linear:", "llm:minilm", "transformer:minilm"])
def test_what_reads_no_vectors_cannot_be_combined(text: str):
    with pytest.raises(ConfigError, match=r"cannot be combined; expected CLASSIFIER:ENCODER"):
        Candidate.parse(text)


def test_joined_rows_with_few_texts_still_fit():
    few = joined(make_data(12, seed=1), make_data(3, seed=2))
    classifier = AutoClassifier(members=MEMBERS[:1]).fit(few, few.take([]))
    assert classifier.predict(["apple"]).scores.shape == (1, 3)


@pytest.mark.parametrize("make", [AutoClassifier, EnsembleClassifier])
def test_where_all_texts_are_the_same_it_still_fits(make: type):
    data = replace(make_data(40, seed=1), texts=("the same",) * 40)
    classifier = make(members=MEMBERS).fit(data, data.take([]))
    np.testing.assert_allclose(classifier.predict(["the same"]).scores[0], data.expert_means(), atol=0.1)


@pytest.mark.parametrize("weight", [float("nan"), -1.0, 0.0, 2.0])
def test_a_stack_with_weights_that_are_no_mixture_is_refused(fitted: AutoClassifier, tmp_path: Path, weight: float):
    state = fitted.save(tmp_path)
    state["stack"]["members"][0]["weight"] = weight
    with pytest.raises(ValueError, match="the weights of the stack are"):
        AutoClassifier.load(tmp_path, state)


def test_an_encoder_that_is_given_is_what_all_members_read():
    candidates = AutoClassifier(encoder="features", members=MEMBERS)._affordable(100, 3, 3)
    assert [str(candidate) for candidate in candidates] == ["linear:features", "knn:features", "kernel:features"]


def test_a_settled_one_learns_what_was_chosen_without_comparing_again(fitted: AutoClassifier, monkeypatch):
    def never(*_: object, **__: object) -> None:
        raise AssertionError("compared again")

    monkeypatch.setattr(auto_module, "choose", never)
    again = fitted.settled().fit(TRAIN, VALIDATION)
    # What the guard of an updated router is judged by: without it a few validation rows would stop the router.
    np.testing.assert_allclose(again.out_of_fold_, fitted.out_of_fold_, atol=0.2)
    assert again.diagnostics() == fitted.diagnostics()
    np.testing.assert_array_equal(again.predict(TEST.texts).scores, fitted.predict(TEST.texts).scores)
