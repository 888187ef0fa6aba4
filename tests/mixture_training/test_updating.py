import shutil

import pytest

from dataset_build import ConfigError
from mixture_training.src.artifacts import Router
from mixture_training.src.classifier import classifiers
from mixture_training.src.feedback_store import Decision, FeedbackStore, new_id, now
from mixture_training.src.model_executor import Attempt
from mixture_training.src.refitting import unfitted
from mixture_training.src.updating import update_router


@pytest.fixture
def store(tmp_path):
    with FeedbackStore(tmp_path / "feedback.sqlite3") as opened:
        yield opened


def judge(store, instruction, expert, score):
    decision = Decision(
        id=new_id(),
        created=now(),
        instruction=instruction,
        expert=expert,
        response="…",
        ranking=(expert,),
        policy="quality",
        category=None,
        confidence=None,
        expected_score=0.5,
        cost=0.002,
        latency_s=0.1,
        attempts=(Attempt(expert, 0.002, 0.1, None),),
    )
    store.remember(decision)
    store.record(decision.id, score)


def test_without_feedback_nothing_changes(router_folder, store):
    report = update_router(router_folder, store)
    assert not report.promoted
    assert "no feedback yet" in report.reason
    assert (report.version, report.judgements, report.previous) == (1, 0, None)


def test_what_feedback_says_about_a_new_kind_is_learned(router_folder, store):
    """Nothing in the training data is a riddle; feedback says that adder, of all, is good at them."""
    for number in range(60):
        judge(store, f"guess this riddle, stranger: what has {number} legs", "adder", 1.0)
        judge(store, f"guess this riddle, stranger: what has {number} legs", "poet", 0.0)
    riddle = ["guess this riddle, stranger: what has four wings"]
    before = Router.load(router_folder)
    report = update_router(router_folder, store)
    assert report.promoted, report.reason
    assert report.version == 2
    assert report.judgements == 120
    assert report.learned_from + report.held_out == 120
    assert 0 < report.held_out < 60
    assert report.error.new < report.error.old
    assert report.error.difference.high < 0
    assert report.quality.rows > 20
    after = Router.load(router_folder)
    assert after.data["version"] == 2
    column = after.expert_names.index("adder")
    assert after.classifier.predict(riddle).scores[0, column] > before.classifier.predict(riddle).scores[0, column]
    assert len(after.training_data()) == len(before.training_data())


def test_the_version_before_is_kept_and_can_be_put_back(router_folder, store):
    for number in range(20):
        judge(store, f"add {number} and 1 please", "adder", 1.0)
    first = Router.load(router_folder)
    report = update_router(router_folder, store)
    assert report.promoted, report.reason
    text = ["add 4 and 5 please"]
    kept = Router.load(report.previous)
    assert (kept.classifier.predict(text).scores == first.classifier.predict(text).scores).all()
    assert report.previous == router_folder.with_name("router.versions") / "1"
    assert "no feedback that version 2 has not learned from" in update_router(router_folder, store).reason
    judge(store, "add 77 and 1 please", "adder", 1.0)
    assert update_router(router_folder, store).previous.name == "2"
    shutil.copytree(report.previous, router_folder, dirs_exist_ok=True)
    assert Router.load(router_folder).data.get("version", 1) == 1


def test_feedback_that_would_spoil_the_router_is_not_promoted(router_folder, store):
    data = Router.load(router_folder).training_data().split("train")
    for text, category in zip(data.texts, data.categories, strict=True):
        judge(store, text + " now", "adder", float(category != "sums"))
        judge(store, text + " now", "poet", float(category == "sums"))
        judge(store, text, "adder", float(category != "sums"))
        judge(store, text, "poet", float(category == "sums"))
    report = update_router(router_folder, store)
    assert not report.promoted
    assert "Not promoted: mean score on" in report.reason
    assert report.quality.new < report.quality.old
    assert report.changed > 0
    assert report.version == 1
    assert report.previous is None
    assert "version" not in Router.load(router_folder).data


def test_feedback_on_experts_the_router_does_not_know_is_left_out(router_folder, store):
    judge(store, "add 1 and 2", "somebody else", 1.0)
    assert "no feedback yet" in update_router(router_folder, store).reason


def test_feedback_on_validation_instructions_is_never_learned_from(router_folder, store):
    text = Router.load(router_folder).training_data().split("validation").texts[0]
    judge(store, text, "adder", 1.0)
    report = update_router(router_folder, store)
    assert not report.promoted
    assert "held out" in report.reason
    assert report.held_out == 1


def test_only_one_update_at_a_time(router_folder, store):
    import fcntl

    versions = router_folder.with_name("router.versions")
    versions.mkdir()
    with (versions / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(ConfigError, match="Another update"):
            update_router(router_folder, store)


def test_a_place_that_cannot_be_written_is_refused(router_folder, store):
    router_folder.with_name("router.versions").touch()
    with pytest.raises(ConfigError, match="Cannot write"):
        update_router(router_folder, store)


@pytest.mark.parametrize("name", list(classifiers))
def test_every_classifier_can_be_made_again_unfitted(name):
    made = classifiers[name](seed=7)
    assert vars(unfitted(made)).keys() == vars(made).keys()
    assert unfitted(made).seed == 7


def test_unfitted_keeps_the_hyper_parameters(router_folder):
    fitted = Router.load(router_folder).classifier
    fresh = unfitted(fitted)
    assert (fresh.encoder, fresh.seed) == (fitted.encoder, fitted.seed)
    assert not hasattr(fresh, "experts_")
