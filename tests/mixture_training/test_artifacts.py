import json
import os
from dataclasses import replace

import numpy as np
import pytest

from dataset_build import ConfigError, DataError
from mixture_training.src.artifacts import Router, check_output
from mixture_training.src.fitting import fit_router
from mixture_training.src.linear import LinearClassifier
from mixture_training.src.model_recommender import Recommender
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


def test_what_is_known_about_its_scores_comes_back_too(router, tmp_path):
    loaded = Router.load(router.save(tmp_path / "r"))
    texts = ["apple and pear", "gold", "a tiger", "something else altogether"]
    for policy in ("quality", "cost_weight=3", "budget=0.0025", "target=0.9"):
        before, after = (Recommender(one).recommend(texts, policy=policy) for one in (router, loaded))
        assert before == after
    assert before[0].ranking[0].low <= before[0].expected_score <= before[0].ranking[0].high
    assert before[3].is_novel
    assert loaded.assurance.guard.to_state() == router.assurance.guard.to_state()


def test_a_router_of_before_is_still_read(router, tmp_path):
    """One saved before calibration, intervals, novelty, trade-offs and guard were kept."""
    folder = router.save(tmp_path / "r")
    (folder / "routing.npz").unlink()
    content = json.loads((folder / "router.json").read_text())
    for name in ("calibration", "intervals", "guard", "trade_offs"):
        del content[name]
    del content["files"]["routing.npz"]
    means = ("kind", "experts", "category_names", "by_category", "overall")
    content["costs"] = {name: content["costs"][name] for name in means}
    (folder / "router.json").write_text(json.dumps(content))
    old = Router.load(folder)
    choice = Recommender(old).recommend(["gold"], policy="quality")[0]
    assert choice.expert == "smith"
    assert choice.ranking[0].low is None
    assert choice.is_novel is None
    assert not choice.is_guarded
    with pytest.raises(ConfigError, match="Train it again"):
        Recommender(old).recommend(["gold"], policy="budget=1")
    assert old.assurance.guard is None


def test_tokens_are_kept_with_the_training_data(tmp_path):
    data = joined(make_data(60, seed=1), make_data(30, split="validation", seed=2))
    written = np.random.default_rng(0).integers(1, 99, data.scores.shape).astype(float)
    written[::4] = np.nan
    router = fit_router(replace(data, completion_tokens=written), LinearClassifier("tfidf"))
    kept = Router.load(router.save(tmp_path / "r")).training_data()
    assert kept.prompt_tokens is None
    np.testing.assert_array_equal(kept.completion_tokens, written)


def test_the_guard_is_off_where_it_was_told_to_be():
    data = joined(make_data(60, seed=1), make_data(30, split="validation", seed=2))
    router = fit_router(data, LinearClassifier("tfidf"), guard=False)
    assert not router.assurance.guard.on
    assert router.options["guard"] is False


def test_without_validation_rows_a_classifier_that_is_not_cross_validated_has_no_guard():
    class Slow(LinearClassifier):
        kind = "slow"

    data = make_data(60, seed=1)
    router = fit_router(data, Slow("tfidf"))
    assert router.assurance.guard is None
    assert fit_router(data, LinearClassifier("tfidf")).assurance.guard.quality.rows == 60


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
