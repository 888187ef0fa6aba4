import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from dataset_build import ConfigError
from mixture_training.src.artifacts import Router
from mixture_training.src.classifier import classifiers
from mixture_training.src.cli import main
from mixture_training.src.decisions import Attempt
from mixture_training.src.feedback_store import Decision, FeedbackStore, new_id, now
from mixture_training.src.model_recommender import Recommender
from mixture_training.src.refitting import unfitted
from mixture_training.src.updating import update_router
from mixture_training.src.version_folders import read_state, tag_of
from mixture_training.src.versions import LiveRouter, rollback


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


# --- quick updates ---


def served(store, folder, texts, truth, *, explored=0.0, users=30, seed=0, keep_text=False):
    """Route texts as a server would, without keeping them, and judge each answer by `truth(text, expert)`."""
    rng = np.random.default_rng(seed)
    live = LiveRouter.load(folder)
    experts = live.main.router.expert_names
    for number, text in enumerate(texts):
        user = f"user {rng.integers(users)}"
        active = live.pick(user)
        table = active.recommender.table([text])
        first = int(table.ranking[0, 0])
        chances = np.eye(len(experts))[first] * (1 - explored) + explored / len(experts)
        column = int(rng.choice(len(experts), p=chances))
        vector = table.vectors[0].astype("<f2").tobytes()
        decision = Decision(
            id=new_id(),
            created=now(),
            instruction=text if keep_text else None,
            expert=experts[column],
            response=None,
            ranking=tuple(experts[place] for place in table.ranking[0]),
            policy="quality",
            category=table.categories[0],
            confidence=float(table.confidences[0]),
            expected_score=float(table.scores[0, column]),
            cost=0.002,
            latency_s=0.1,
            attempts=(Attempt(experts[column], 0.002, 0.1, None),),
            router_version=active.version,
            features_hash=f"{hash(text) & 0xFFFFFFFF:08x}{number % 7}",
            features=vector,
            propensities=dict(zip(experts, chances.tolist(), strict=True)),
        )
        store.remember(decision)
        store.record(
            decision.id, truth(text, experts[column]), user=store.user_hash(user), event=str(seed * 10_000 + number)
        )


def sums(n, start=0):
    return [f"add {number} and {number * 7 % 97} please" for number in range(start, start + n)]


def adder_is_broken(text, expert):
    return float(expert == "poet")


def as_trained(text, expert):
    return float((expert == "adder") == text.startswith("add"))


def test_a_quick_update_follows_an_expert_that_degrades(router_folder, store):
    served(store, router_folder, sums(400), adder_is_broken, explored=0.2)
    before = tag_of(router_folder)
    report = update_router(router_folder, store, kind="quick")
    assert report.promoted, report.reason
    assert report.kind == "quick"
    assert report.version == 2
    assert report.error.new < report.error.old
    assert report.traffic["dr"].is_reliable
    assert "adder" in str(report.drift)
    assert {test.name for test in report.tests} >= {"held_out", "traffic", "errors"}
    router = Router.load(router_folder)
    table = Recommender(router).table(sums(20, start=1000))
    assert {router.expert_names[column] for column in table.ranking[:, 0]} == {"poet"}
    state = read_state(router_folder)
    assert (state.current, state.entry(1).state, state.entry(2).how) == (2, "replaced", "quick")
    assert state.watch.base == before
    again = update_router(router_folder, store, kind="quick")
    assert "no feedback that version 2 has not learned from" in again.reason
    assert "in use again" in rollback(router_folder)
    assert tag_of(router_folder) == before


def test_a_quick_update_that_shows_no_gain_changes_nothing(router_folder, store):
    rng = np.random.default_rng(3)
    served(store, router_folder, sums(120), lambda text, expert: float(rng.random() < 0.5) if expert == "poet" else 1.0)
    before = tag_of(router_folder)
    report = update_router(router_folder, store, kind="quick")
    assert not report.promoted or report.changed == 0.0, report.reason
    if not report.promoted:
        assert tag_of(router_folder) == before


def test_a_quick_update_takes_little_time(router_folder, store):
    served(store, router_folder, sums(300), adder_is_broken, explored=0.2)
    update_router(router_folder, store, kind="quick")
    assert update_router(router_folder, store, kind="quick").seconds < 5.0


def test_a_full_update_without_texts_says_what_to_do(router_folder, store):
    served(store, router_folder, sums(20), as_trained)
    with pytest.raises(ConfigError, match="holds its text.*keep_texts.*without --full"):
        update_router(router_folder, store, kind="full")


def test_a_full_update_drops_the_correction_it_has_learned_itself(router_folder, store):
    served(store, router_folder, sums(400), adder_is_broken, explored=0.3, keep_text=True)
    assert update_router(router_folder, store, kind="quick").promoted
    assert Router.load(router_folder).correction is not None
    report = update_router(router_folder, store, kind="full")
    if report.promoted:
        router = Router.load(router_folder)
        assert router.correction is None
        table = Recommender(router).table(sums(20, start=2000))
        assert {router.expert_names[column] for column in table.ranking[:, 0]} == {"poet"}
    else:
        assert Router.load(router_folder).correction is not None


def test_texts_serve_where_no_vectors_were_kept(router_folder, store):
    for number in range(40):
        judge(store, f"add {number} and 5 please", "adder", 1.0)
    report = update_router(router_folder, store, kind="quick")
    assert report.learned_from == 40, report.reason


def test_decisions_with_neither_vector_nor_text_teach_nothing(router_folder, store):
    served(store, router_folder, sums(5), as_trained)
    decision = replace(store.decisions()[0], id=new_id(), features=None, instruction=None)
    with FeedbackStore(router_folder.with_name("other.sqlite3")) as other:
        other.remember(decision)
        other.record(decision.id, 1.0)
        report = update_router(router_folder, other, kind="quick")
    assert "holds a vector that this router reads, nor its text" in report.reason


def test_a_canary_answers_its_share_and_is_judged_by_the_next_update(router_folder, store):
    served(store, router_folder, sums(300), adder_is_broken, explored=0.2)
    before = tag_of(router_folder)
    report = update_router(router_folder, store, kind="quick", canary=0.5)
    assert (report.promoted, report.canary, report.version) == (False, 2, 1)
    assert report.reason.startswith("Tried as a canary")
    assert tag_of(router_folder) == before
    waiting = update_router(router_folder, store, kind="quick", canary=0.5)
    assert "version 2 is tried on 50% of the traffic" in waiting.reason
    served(store, router_folder, sums(500, start=5000), adder_is_broken, seed=1, users=200)
    promoted = update_router(router_folder, store, kind="quick")
    assert "Version 2 is in use now" in promoted.trial
    assert promoted.promoted
    assert tag_of(router_folder).startswith("2-")


@pytest.mark.parametrize("share", [0.0, 1.0, -1.0, float("nan")])
def test_a_canary_gets_a_share(router_folder, store, share):
    with pytest.raises(ConfigError, match="share of the traffic between 0 and 1"):
        update_router(router_folder, store, canary=share)


def test_a_number_is_not_used_again_after_going_back(router_folder, store):
    served(store, router_folder, sums(400), adder_is_broken, explored=0.2)
    assert update_router(router_folder, store, kind="quick").version == 2
    rollback(router_folder)
    served(store, router_folder, sums(50, start=900), adder_is_broken, explored=0.2, seed=2)
    report = update_router(router_folder, store, kind="quick")
    assert report.promoted, report.reason
    assert report.version == 3


def test_a_flood_is_told(router_folder, store):
    served(store, router_folder, sums(200), as_trained)
    served(store, router_folder, sums(150, start=300), lambda text, expert: 0.0, users=1, seed=3)
    report = update_router(router_folder, store, kind="quick")
    assert any("answers within" in finding for finding in report.findings), report.findings


def test_the_command_is_quick_unless_told(router_folder, store, tmp_path, capsys):
    served(store, router_folder, sums(300), adder_is_broken, explored=0.2)
    place = str(tmp_path / "feedback.sqlite3")
    assert main(["update", "--router", str(router_folder), "--feedback", place, "--full"]) == 2
    assert "keep_texts" in capsys.readouterr().err
    assert main(["update", "--router", str(router_folder), "--feedback", place, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["kind"], report["promoted"]) == ("quick", True)
    assert report["traffic"]["dr"]["rows"] == 300
    assert main(["update", "--router", str(router_folder), "--feedback", place, "--canary", "2"]) == 2
    assert "between 0 and 1" in capsys.readouterr().err


def test_a_kind_of_update_that_there_is_not_is_refused(router_folder, store):
    with pytest.raises(ConfigError, match="'quick' or 'full'; 'fast' was given"):
        update_router(router_folder, store, kind="fast")
