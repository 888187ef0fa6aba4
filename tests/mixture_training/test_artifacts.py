import json
import os

import numpy as np
import pytest

from dataset_build import ConfigError, DataError
from mixture_training.src.artifacts import Router, check_output
from mixture_training.src.fitting import fit_router
from mixture_training.src.linear import LinearClassifier
from tests.mixture_training.synthetic import EXPERTS, joined, make_data


@pytest.fixture(scope="module")
def router() -> Router:
    data = joined(
        make_data(60, seed=1, missing=0.2),
        make_data(30, split="validation", seed=2),
        make_data(9, split="test", seed=3),
    )
    facts = {
        "content_hash": "abc",
        "experts": [{"name": "smith", "price": {"per_call": 0.002}, "config": {"provider": "echo", "name": "smith"}}],
    }
    return fit_router(data, LinearClassifier("tfidf"), dataset=facts, path="somewhere", policy="cost_weight=1")


def test_saved_and_loaded_a_router_is_the_same(router, tmp_path):
    folder = router.save(tmp_path / "deep" / "router")
    loaded = Router.load(folder)
    texts = ["apple and pear", "gold", "a tiger"]
    before, after = router.classifier.predict(texts), loaded.classifier.predict(texts)
    np.testing.assert_array_equal(before.scores, after.scores)
    np.testing.assert_array_equal(router.costs.predict(texts, before), loaded.costs.predict(texts, after))
    assert loaded.experts == router.experts
    assert loaded.expert_names == EXPERTS
    assert loaded.experts[1].config == {"provider": "echo", "name": "smith"}
    assert loaded.experts[1].price.per_call == 0.002
    assert loaded.best_single == router.best_single
    assert loaded.default_policy == "cost_weight=1"
    assert loaded.metrics == json.loads(json.dumps(router.metrics))
    assert loaded.data["content_hash"] == "abc"
    assert not list(folder.parent.glob(".*"))


def test_the_training_data_comes_back_without_the_test_rows(router, tmp_path):
    kept = Router.load(router.save(tmp_path / "r")).training_data()
    assert kept.experts == EXPERTS
    assert set(kept.splits) == {"train", "validation"}
    before = router.training_data()
    original = dict(zip(before.ids, before.scores, strict=True))
    assert set(kept.ids) == set(original)
    for row, scores in zip(kept.ids, kept.scores, strict=True):
        np.testing.assert_array_equal(scores, original[row])


def test_a_loaded_router_can_be_saved_elsewhere(router, tmp_path):
    again = Router.load(Router.load(router.save(tmp_path / "a")).save(tmp_path / "b"))
    assert len(again.training_data()) == 90


def test_the_card_shows_the_evaluation(router, tmp_path):
    card = (router.save(tmp_path / "r") / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: moe-toolkit")
    assert "best single" in card
    assert "| smith |" in card


def test_a_router_is_not_overwritten_unless_asked(router, tmp_path):
    folder = router.save(tmp_path / "r")
    with pytest.raises(ConfigError, match="--overwrite"):
        router.save(folder)
    router.save(folder, overwrite=True)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").touch()
    with pytest.raises(ConfigError, match="no router"):
        router.save(tmp_path / "other", overwrite=True)
    with pytest.raises(ConfigError, match="is a file"):
        check_output(tmp_path / "other" / "thesis.tex", overwrite=True)
    with pytest.raises(ConfigError, match="cannot be written"):
        check_output(tmp_path / "other" / "thesis.tex" / "r", overwrite=True)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_place_without_permission_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(ConfigError, match="cannot be written"):
        check_output(tmp_path / "r", overwrite=False)


def test_a_damaged_router_is_refused(router, tmp_path):
    folder = router.save(tmp_path / "r")
    (folder / "weights" / "scores.npz").write_bytes(b"x")
    with pytest.raises(DataError, match="SHA-256 differs"):
        Router.load(folder)
    (folder / "weights" / "scores.npz").unlink()
    with pytest.raises(DataError, match="is missing"):
        Router.load(folder)
    (folder / "router.json").write_text('{"format_version": 1}')
    with pytest.raises(DataError, match="damaged"):
        Router.load(folder)
    (folder / "router.json").write_text("[")
    with pytest.raises(DataError, match="damaged"):
        Router.load(folder)


def test_a_newer_format_and_no_router_are_said(router, tmp_path):
    folder = router.save(tmp_path / "r")
    content = json.loads((folder / "router.json").read_text())
    (folder / "router.json").write_text(json.dumps({**content, "format_version": 99}))
    with pytest.raises(DataError, match="written by a newer moe-toolkit"):
        Router.load(folder)
    with pytest.raises(ConfigError, match="No router in"):
        Router.load(tmp_path)


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "weights/../../secret", "a\\b", ""])
def test_a_router_that_reaches_outside_its_folder_is_refused(name, router, tmp_path):
    folder = router.save(tmp_path / "r")
    (tmp_path / "secret").touch()
    content = json.loads((folder / "router.json").read_text())
    content["files"][name] = "0" * 64
    (folder / "router.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match="outside the folder"):
        Router.load(folder)


def test_a_folder_that_leads_outside_is_refused(router, tmp_path):
    folder = router.save(tmp_path / "r")
    os.rename(folder / "weights", tmp_path / "elsewhere")
    (folder / "weights").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="outside itself"):
        Router.load(folder)


def test_without_kept_data_it_says_so(router):
    bare = Router(router.classifier, router.costs, router.experts, router.best_single)
    with pytest.raises(DataError, match="keeps no training data"):
        bare.training_data()
