"""Abilities from a dataset to what a router says: read, learned, saved, told; and routers of before there were any."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset_build import DataError, EchoExpert
from mixture_training import MoEController
from mixture_training.src.ability_head import AbilityHead, ability_targets
from mixture_training.src.artifacts import Router, to_frame
from mixture_training.src.cli import main
from mixture_training.src.fitting import fit_router
from mixture_training.src.linear import LinearClassifier
from mixture_training.src.metrics.multi_label import f1_per_label, macro_f1
from mixture_training.src.model_recommender import Recommender
from mixture_training.src.neighbours import NeighboursClassifier
from mixture_training.src.refitting import with_feedback
from mixture_training.src.training_data import from_frame
from tests.mixture_training.synthetic import EXPERTS, joined, make_data

FRUIT = "tell me about apple and pear"


@pytest.fixture(scope="module")
def data():
    return joined(make_data(90, seed=1, missing=0.1), make_data(40, split="validation", seed=2, missing=0.1))


@pytest.fixture(scope="module")
def router(data):
    return fit_router(data, LinearClassifier("tfidf"))


def bare(data):
    return replace(data, abilities=())


def frame_of(cells):
    return pd.DataFrame(
        {
            "instruction_id": [f"i{n}" for n in range(len(cells))],
            "instruction": [f"q{n}" for n in range(len(cells))],
            "category": None,
            "split": "train",
            "expert": "a",
            "score": 1.0,
            "cost": 0.0,
            "latency_s": 0.0,
            "abilities": pd.Series(cells, dtype="object"),
        }
    )


def test_the_column_is_read_however_it_is_written():
    read = from_frame(
        frame_of(['["b", "a"]', "a|b", "b, a", np.array(["a"], dtype=object), ["b"], "[]", "", None, np.nan])
    )
    assert read.abilities == (("a", "b"), ("a", "b"), ("a", "b"), ("a",), ("b",), (), None, None, None)
    assert read.ability_names == ("a", "b")
    assert from_frame(frame_of(["a"]).drop(columns="abilities")).abilities == (None,)


def test_what_cannot_be_read_says_where():
    with pytest.raises(DataError, match="Instruction i1: abilities is '\\[1\\]'"):
        from_frame(frame_of(["a", "[1]"]))


def test_the_rows_of_an_instruction_need_not_all_tell():
    frame = pd.concat([frame_of([None]), frame_of(["a"]).assign(expert="b")])
    assert from_frame(frame).abilities == (("a",),)


@settings(deadline=None)
@given(st.lists(st.none() | st.lists(st.sampled_from(["a", "b,c", "d|e", "f g"]), max_size=3), min_size=1, max_size=8))
def test_training_data_survives_its_own_table(rows):
    abilities = tuple(None if names is None else tuple(sorted(set(names))) for names in rows)
    data = from_frame(frame_of([None] * len(rows)))
    again = from_frame(to_frame(replace(data, abilities=abilities)))
    assert again.abilities == abilities


def test_rows_that_are_taken_keep_their_abilities(data):
    taken = data.take([3, 1])
    assert taken.abilities == (data.abilities[3], data.abilities[1])
    with pytest.raises(ValueError, match="130 instructions and the abilities of 2"):
        replace(data, abilities=taken.abilities)


def test_targets_are_unknown_where_abilities_are():
    data = replace(make_data(3), abilities=(("b",), None, ()))
    np.testing.assert_array_equal(ability_targets(data, ("a", "b")), [[0, 1], [np.nan, np.nan], [0, 0]])


def test_an_ability_that_all_ask_for_is_always_likely():
    data = replace(make_data(4), abilities=(("a",), ("a", "b"), None, ("a",)))
    vectors = np.eye(4)
    head = AbilityHead.fit(vectors, data)
    assert head.names == ("a", "b")
    probabilities = head.predict(vectors)
    assert (probabilities[:, 0] > 0.9).all()
    assert probabilities[1, 1] == probabilities[:, 1].max()
    assert AbilityHead.fit(vectors, bare(data)).predict(vectors) is None


def test_knowing_abilities_changes_no_score_of_a_classifier_with_a_separate_head(data):
    for make in (LinearClassifier, NeighboursClassifier):
        with_them, without = (
            make("tfidf").fit(one.split("train"), one.split("validation")).predict([FRUIT])
            for one in (data, bare(data))
        )
        np.testing.assert_array_equal(with_them.scores, without.scores)
        np.testing.assert_array_equal(with_them.categories, without.categories)
        assert without.abilities is None


def test_f1_is_that_of_each_label_and_their_mean():
    truth = np.array([[1, 0, 0], [1, 0, 0], [0, 1, 0], [np.nan] * 3])
    given_labels = np.array([[1, 0, 0], [0, 0, 0], [0, 1, 0], [1, 1, 1]], dtype=bool)
    np.testing.assert_allclose(f1_per_label(truth, given_labels), [2 / 3, 1.0, np.nan])
    assert macro_f1(truth, given_labels) == pytest.approx(5 / 6)
    assert np.isnan(macro_f1(truth[3:], given_labels[3:]))


@settings(deadline=None)
@given(st.integers(1, 30), st.integers(2, 4), st.integers(0, 999))
def test_f1_equals_that_of_scikit_learn(rows, labels, seed):
    from sklearn.metrics import f1_score

    chance = np.random.default_rng(seed)
    truth, said = chance.integers(0, 2, (2, rows, labels))
    expected = f1_score(truth, said, average=None, zero_division=np.nan)
    found = f1_per_label(truth.astype(float), said.astype(bool))
    np.testing.assert_allclose(found, np.atleast_1d(expected))


def test_a_saved_router_tells_the_same_abilities(router, tmp_path):
    loaded = Router.load(router.save(tmp_path / "r"))
    assert loaded.classifier.ability_names_ == ("botany", "chemistry", "taste")
    texts = [FRUIT, "gold", ""]
    np.testing.assert_array_equal(
        loaded.classifier.predict(texts).abilities, router.classifier.predict(texts).abilities
    )
    kept = loaded.training_data()
    before = dict(zip(router.training_data().ids, router.training_data().abilities, strict=True))
    assert dict(zip(kept.ids, kept.abilities, strict=True)) == before
    assert not {path.suffix for path in (tmp_path / "r").rglob("*") if path.is_file()} & {".pkl", ".joblib", ".pt"}


def test_a_router_of_before_there_were_abilities_loads(data, tmp_path):
    folder = fit_router(bare(data), LinearClassifier("tfidf")).save(tmp_path / "old")
    content = json.loads((folder / "router.json").read_text())
    del content["classifier"]["ability_names"], content["classifier"]["state"]["ability_names"]
    (folder / "router.json").write_text(json.dumps(content))
    assert "weights/abilities.npz" not in content["files"]
    assert "abilities" not in content["metrics"]
    recommendation = Recommender(Router.load(folder)).recommend([FRUIT])[0]
    assert recommendation.expert == "fruiterer"
    assert recommendation.abilities is None


def test_the_likely_abilities_are_told(router, tmp_path, capsys):
    folder = router.save(tmp_path / "r")
    assert main(["route", "--router", str(folder), FRUIT, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["abilities"] == ["botany", "taste"]
    assert main(["route", "--router", str(folder), FRUIT]) == 0
    assert "asks for botany, taste" in capsys.readouterr().out
    with MoEController.load(folder, experts=[EchoExpert(name) for name in EXPERTS]) as moe:
        assert moe.process_instruction(FRUIT).abilities == ("botany", "taste")
        assert moe.recommend("gold and iron").abilities == ("chemistry",)


def test_how_well_abilities_are_told_is_in_the_card(router, tmp_path):
    found = router.metrics["abilities"]
    assert found["macro_f1"] > 0.9
    assert set(found["f1"]) == {"botany", "chemistry", "taste"}
    assert 0 < found["instructions"] < 40
    card = (router.save(tmp_path / "r") / "README.md").read_text()
    assert f"macro-F1 of {found['macro_f1']:.3f}" in card
    assert (
        "macro-F1"
        not in (
            fit_router(bare(router.training_data()), LinearClassifier("tfidf")).save(tmp_path / "b") / "README.md"
        ).read_text()
    )


def test_validation_rows_that_tell_no_abilities_give_no_number(data):
    silent = tuple(
        names if split == "train" else None for names, split in zip(data.abilities, data.splits, strict=True)
    )
    found = fit_router(replace(data, abilities=silent), LinearClassifier("tfidf")).metrics["abilities"]
    assert found["macro_f1"] is None
    assert found["instructions"] == 0


def test_feedback_tells_nothing_about_abilities(data):
    from mixture_training.src.feedback_store import ScoredInstruction

    more = with_feedback(data, [ScoredInstruction("new", "smith", 1.0, 1, None, None)])
    assert more.abilities == (*data.abilities, None)
