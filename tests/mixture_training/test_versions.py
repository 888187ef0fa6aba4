import json
import shutil
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from dataset_build import ConfigError, DataError
from mixture_training.src import version_folders
from mixture_training.src.artifacts import Router
from mixture_training.src.canary import compare, difference
from mixture_training.src.cli import main
from mixture_training.src.decisions import Attempt, Decision, Feedback, Judged, now
from mixture_training.src.version_folders import (
    Canary,
    Entry,
    VersionState,
    Watch,
    keep,
    kept_folder,
    next_number,
    number_of,
    only_one,
    put_in_place,
    read_state,
    state_with_current,
    tag_of,
    versions_of,
    write_state,
)
from mixture_training.src.versions import LiveRouter, list_versions, rollback, tend


def judged(version, score, number=0, user=None, expert="adder", policy="quality"):
    decision = Decision(
        id=f"{version}-{number}",
        created=now(),
        instruction=None,
        expert=expert,
        response=None,
        ranking=(expert,),
        policy=policy,
        category=None,
        confidence=None,
        expected_score=0.5,
        cost=0.0,
        latency_s=0.1,
        attempts=(Attempt(expert, 0.0, 0.1, None),),
        router_version=version,
        features_hash=f"{version}-{number}",
    )
    return Judged(decision, Feedback(decision.id, now(), score, user=user or f"user {number % 80}"), score)


def many(version, share, n, seed=0, **more):
    rng = np.random.default_rng(seed)
    return [judged(version, float(rng.random() < share), number, **more) for number in range(n)]


class Store:
    """Judgements in a list."""

    def __init__(self, rows=()):
        self.rows = list(rows)
        self.asked = 0

    def judged(self, since=None):
        self.asked += 1
        return self.rows


def make_version(folder, number, change=0.0):
    """Keep a version beside the router that differs in its best single expert's mean."""
    router = Router.load(folder)
    router.data = {**router.data, "version": number, "change": change}
    router.save(kept_folder(folder, number))
    return kept_folder(folder, number)


def try_canary(folder, share=0.5, number=2):
    """Put a version on trial, and return its tag and that of the one in use."""
    with only_one(folder):
        kept = make_version(folder, number)
        state = state_with_current(folder)
        state = state.noted(Entry(number, tag_of(kept), now(), "quick", "canary", "Tried."))
        write_state(folder, replace(state, canary=Canary(number, tag_of(kept), share, now(), tag_of(folder))))
    return tag_of(kept), tag_of(folder)


# --- what is written down ---


def test_a_tag_is_the_number_and_a_hash(router_folder):
    assert tag_of(router_folder).startswith("1-")
    assert number_of(tag_of(router_folder)) == 1
    assert tag_of(make_version(router_folder, 7)).startswith("7-")
    with pytest.raises(ConfigError, match="No router in"):
        tag_of(router_folder.parent)


def test_what_is_written_down_is_read_again(router_folder):
    state = VersionState(
        3,
        Canary(4, "4-x", 0.2, now(), "3-x"),
        Watch(3, "3-x", now(), "2-x", 2),
        (Entry(3, "3-x", now(), "full", "in use", "Promoted: “better”."),),
    )
    write_state(router_folder, state)
    assert read_state(router_folder) == state
    assert [path.name for path in versions_of(router_folder).iterdir()] == ["state.json"]


def test_nothing_written_down_is_the_first_version(router_folder):
    assert read_state(router_folder) == VersionState()
    state = state_with_current(router_folder)
    assert [(entry.version, entry.how, entry.state) for entry in state.history] == [(1, "train", "in use")]


@pytest.mark.parametrize(
    "text", ["", "[]", '{"current": 1}', '{"current": 1, "canary": 3, "watch": null, "history": []}']
)
def test_a_damaged_state_is_refused(router_folder, text):
    versions_of(router_folder).mkdir()
    (versions_of(router_folder) / "state.json").write_text(text)
    with pytest.raises(DataError, match="is damaged"):
        read_state(router_folder)


def test_numbers_are_never_used_again(router_folder):
    make_version(router_folder, 5)
    assert next_number(router_folder, state_with_current(router_folder)) == 6
    write_state(router_folder, VersionState(1, None, None, (Entry(9, "9-x", now(), "quick", "rolled back"),)))
    assert next_number(router_folder, state_with_current(router_folder)) == 10


def test_what_is_kept_is_put_in_place_byte_for_byte(router_folder):
    before = tag_of(router_folder)
    keep(router_folder, 1)
    make_version(router_folder, 2)
    put_in_place(router_folder, 2)
    assert number_of(tag_of(router_folder)) == 2
    put_in_place(router_folder, 1)
    assert tag_of(router_folder) == before
    with pytest.raises(ConfigError, match="Version 8 of .* is not kept"):
        put_in_place(router_folder, 8)
    assert sorted(path.name for path in router_folder.parent.iterdir()) == ["router", "router.versions"]


# --- the router in use ---


def test_old_versions_are_removed_but_none_that_was_trained_or_is_needed(router_folder, monkeypatch):
    monkeypatch.setattr(version_folders, "MOST_KEPT", 2)
    for version in range(1, 8):
        version_folders.keep(router_folder, version)
    (versions_of(router_folder) / "notes").mkdir()
    state = VersionState(
        8,
        Canary(3, "3-a", 0.1, now(), "8-a"),
        Watch(8, "8-a", now(), "5-a", 5),
        (Entry(2, "2-a", now(), "train", "replaced"), Entry(4, "4-a", now(), "quick", "replaced")),
    )
    version_folders.prune(router_folder, state)
    assert sorted(path.name for path in versions_of(router_folder).glob("[!.]*")) == ["2", "3", "5", "6", "7", "notes"]


def test_a_key_always_goes_the_same_way_and_the_share_is_kept(router_folder):
    tag, base = try_canary(router_folder, share=0.25)
    live = LiveRouter.load(router_folder)
    went = {f"user {number}": live.pick(f"user {number}").version for number in range(4000)}
    assert set(went.values()) == {tag, base}
    assert 0.22 < sum(version == tag for version in went.values()) / 4000 < 0.28
    again = LiveRouter.load(router_folder)
    assert all(again.pick(key).version == version for key, version in went.items())
    assert live.pick("").version == base
    assert live.canary.is_canary
    assert not live.main.is_canary


def test_picking_takes_microseconds(router_folder):
    try_canary(router_folder)
    live = LiveRouter.load(router_folder)
    started = time.perf_counter()
    for _ in range(2000):
        live.pick("somebody")
    assert (time.perf_counter() - started) / 2000 < 200e-6


def test_a_new_version_is_taken_while_it_serves(router_folder):
    live = LiveRouter.load(router_folder)
    first = live.main
    assert not live.refresh()
    make_version(router_folder, 2)
    put_in_place(router_folder, 2)
    assert live.refresh()
    assert live.main.version.startswith("2-")
    assert live.main.router is not first.router
    assert not live.refresh()


def test_a_canary_comes_and_goes(router_folder):
    live = LiveRouter.load(router_folder)
    assert live.canary is None
    tag, _ = try_canary(router_folder)
    assert live.refresh()
    assert live.canary.version == tag
    router = live.canary.router
    with only_one(router_folder):
        state = read_state(router_folder)
        write_state(router_folder, replace(state, canary=replace(state.canary, share=0.9)))
    assert live.refresh()
    assert live.canary.router is router  # the same version is not read again
    rollback(router_folder)
    assert live.refresh()
    assert live.canary is None


def test_a_damaged_version_never_replaces_a_good_one(router_folder, caplog):
    live = LiveRouter.load(router_folder)
    good = live.main
    content = json.loads((router_folder / "router.json").read_text())
    content["best_single"] = "nobody"
    (router_folder / "router.json").write_text(json.dumps(content))
    assert not live.refresh()
    assert live.main is good
    assert not live.refresh()
    assert sum("is damaged" in record.message for record in caplog.records) == 1
    content["best_single"] = "poet"
    (router_folder / "router.json").write_text(json.dumps(content, indent=1))
    assert live.refresh()
    assert live.main is not good


def test_a_damaged_canary_or_state_leaves_the_router_in_use(router_folder, caplog):
    try_canary(router_folder)
    (kept_folder(router_folder, 2) / "weights" / "scores.npz").write_bytes(b"PK nonsense")
    live = LiveRouter.load(router_folder)
    assert live.canary is None
    assert live.main.version.startswith("1-")
    (versions_of(router_folder) / "state.json").write_text("{")
    assert not live.refresh()
    assert not live.refresh()
    assert live.pick("x") is live.main
    assert len([each for each in caplog.records if "cannot be read" in each.message]) == 1  # not each second


def test_the_moment_in_which_the_folder_is_away_changes_nothing(router_folder):
    live = LiveRouter.load(router_folder)
    away = router_folder.with_name("away")
    router_folder.rename(away)
    assert not live.refresh()
    assert live.pick("x").version.startswith("1-")
    away.rename(router_folder)
    live.refresh()
    assert live.pick("x").version.startswith("1-")


def test_loading_waits_for_a_folder_that_is_being_replaced(router_folder):
    away = router_folder.with_name("away")
    router_folder.rename(away)
    timer = threading.Timer(0.2, away.rename, [router_folder])
    timer.start()
    try:
        assert LiveRouter.load(router_folder).main.version.startswith("1-")
    finally:
        timer.join()


def test_swaps_under_load_never_show_half_a_router(router_folder):
    keep(router_folder, 1)
    make_version(router_folder, 2)
    live, problems, seen = LiveRouter.load(router_folder), [], set()
    done = threading.Event()

    def serve():
        while not done.is_set():
            try:
                live.refresh()
                active = live.pick("somebody")
                seen.add(active.version)
                assert active.recommender.table(["add 1 and 2 please"]).ranking.shape == (1, 2)
            except Exception as problem:  # what it is, is shown at the end
                problems.append(problem)

    thread = threading.Thread(target=serve)
    thread.start()
    for turn in range(12):
        put_in_place(router_folder, 2 - turn % 2)
        time.sleep(0.05)
    done.set()
    thread.join()
    assert not problems
    assert len(seen) == 2


def test_a_router_in_memory_is_live_without_a_folder(router_folder):
    router = Router.load(router_folder)
    router.folder = None
    live = LiveRouter(router)
    assert live.pick("x").version == "1-unsaved"
    assert not live.refresh()


# --- trials ---


def test_a_worse_version_is_told_from_a_better_one():
    worse = compare([*many("1-a", 0.8, 800), *many("2-b", 0.5, 300)], "2-b", "1-a")
    assert worse.outcome == "worse"
    assert worse.high < 0.0
    better = compare([*many("1-a", 0.5, 800), *many("2-b", 0.8, 300)], "2-b", "1-a")
    assert better.outcome == "good"
    assert better.judged == (300, 800)


def test_little_evidence_leaves_a_trial_open():
    assert compare([], "2-b", "1-a").outcome == "open"
    few = compare([*many("1-a", 0.9, 400), *many("2-b", 0.1, 12)], "2-b", "1-a")
    assert few.outcome == "open"
    assert "effective ones of each are needed" in few.text
    assert compare([*many("1-a", 0.7, 100), *many("2-b", 0.7, 100)], "2-b", "1-a").outcome == "open"


def test_decisions_that_named_their_expert_say_nothing_of_a_version():
    rows = [*many("1-a", 0.8, 400), *many("2-b", 0.1, 400, policy="expert")]
    assert compare(rows, "2-b", "1-a").judged == (0, 400)


def test_one_enthusiast_promotes_nothing():
    rows = [*many("1-a", 0.7, 600), *many("2-b", 0.5, 60), *many("2-b", 1.1, 500, user="enthusiast")]
    assert compare(rows, "2-b", "1-a").outcome != "good"


def test_looking_again_and_again_rarely_finds_what_is_not_there():
    """Ends of 95 % each: over 100 trials of equal versions, looked at every 40 judgements, few are called worse."""
    wrong = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        scores = (rng.random(1200) < 0.7).astype(float)
        is_new, users = np.arange(1200) % 2 == 0, rng.integers(0, 300, 1200)
        for looked in range(80, 1201, 40):
            _, _, high, _ = difference(scores[:looked], np.ones(looked), users[:looked], is_new[:looked])
            if high < 0.0:
                wrong += 1
                break
    assert wrong <= 5


def test_a_worse_canary_is_rolled_back_with_the_reason_kept(router_folder):
    tag, base = try_canary(router_folder)
    store = Store([*many(base, 0.9, 300), *many(tag, 0.4, 300)])
    said = tend(router_folder, store)
    assert "Version 2 is no longer tried" in said
    assert "Rolled back: mean score -0." in said
    state = read_state(router_folder)
    assert state.canary is None
    assert state.entry(2).state == "rolled back"
    assert "against the version before it" in state.entry(2).reason
    assert tag_of(router_folder) == base
    store.asked = 0
    assert tend(router_folder, store) is None
    assert store.asked == 0  # nothing is on trial: nothing is read


def test_a_good_canary_takes_over_and_is_watched(router_folder):
    tag, base = try_canary(router_folder)
    said = tend(router_folder, Store([*many(base, 0.5, 300), *many(tag, 0.9, 300)]))
    assert "Version 2 is in use now" in said
    assert tag_of(router_folder) == tag
    assert tag_of(kept_folder(router_folder, 1)) == base
    state = read_state(router_folder)
    assert (state.canary, state.watch.tag, state.watch.base) == (None, tag, base)
    assert (state.entry(1).state, state.entry(2).state) == ("replaced", "in use")


def test_a_promoted_version_that_turns_out_worse_is_rolled_back(router_folder):
    tag, base = try_canary(router_folder)
    tend(router_folder, Store([*many(base, 0.5, 300), *many(tag, 0.9, 300)]))
    assert tend(router_folder, Store([*many(base, 0.8, 300), *many(tag, 0.8, 100)])) is None
    said = tend(router_folder, Store([*many(base, 0.8, 300), *many(tag, 0.3, 300)]))
    assert "Version 1 is in use again" in said
    assert tag_of(router_folder) == base
    assert read_state(router_folder).watch is None


def test_watching_ends(router_folder):
    tag, base = try_canary(router_folder)
    tend(router_folder, Store([*many(base, 0.5, 300), *many(tag, 0.9, 300)]))
    assert tend(router_folder, Store([*many(base, 0.8, 1200), *many(tag, 0.8, 1200)])) is None
    assert read_state(router_folder).watch is None


def test_an_open_trial_goes_on_and_a_running_update_is_left_alone(router_folder):
    tag, base = try_canary(router_folder)
    assert tend(router_folder, Store([*many(base, 0.7, 50), *many(tag, 0.7, 50)])) is None
    assert read_state(router_folder).canary is not None
    with only_one(router_folder):
        assert tend(router_folder, Store([*many(base, 0.9, 300), *many(tag, 0.1, 300)])) is None


# --- going back ---


def test_going_back_and_forth(router_folder):
    first = tag_of(router_folder)
    with pytest.raises(ConfigError, match="no version before 1"):
        rollback(router_folder)
    keep(router_folder, 1)
    make_version(router_folder, 2)
    put_in_place(router_folder, 2)
    second = tag_of(router_folder)
    assert "Version 1 is in use again" in rollback(router_folder, reason="It was slow.")
    assert tag_of(router_folder) == first
    assert read_state(router_folder).entry(2).reason == "It was slow."
    with pytest.raises(ConfigError, match="Version 1 is the one in use"):
        rollback(router_folder, 1)
    with pytest.raises(ConfigError, match="Version 5 of .* is not kept"):
        rollback(router_folder, 5)
    rollback(router_folder, 2)
    assert tag_of(router_folder) == second


def test_a_damaged_version_is_not_gone_back_to(router_folder):
    kept = make_version(router_folder, 2)
    shutil.rmtree(kept / "weights")
    with pytest.raises(DataError):
        rollback(router_folder, 2)
    assert tag_of(router_folder).startswith("1-")


def test_the_list_counts_what_each_version_was_judged(router_folder):
    tag, base = try_canary(router_folder)
    rows = list_versions(router_folder, [*many(base, 1.1, 4), judged(tag, 0.5)])
    assert [(row.version, row.state, row.judged, row.mean_score, row.is_kept) for row in rows] == [
        (1, "in use", 4, 1.0, True),
        (2, "canary", 1, 0.5, True),
    ]


def test_the_commands_list_and_go_back(router_folder, capsys):
    tag, _ = try_canary(router_folder, share=0.1)
    assert main(["versions", "--router", str(router_folder)]) == 0
    out = capsys.readouterr().out
    assert tag in out
    assert "Version 2 is tried on 10% of the traffic" in out
    assert main(["versions", "--router", str(router_folder), "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert [row["version"] for row in content["versions"]] == [1, 2]
    assert content["canary"]["share"] == 0.1
    assert main(["rollback", "--router", str(router_folder)]) == 0
    assert "no longer tried" in capsys.readouterr().out
    assert main(["rollback", "--router", str(router_folder)]) == 2
    assert "no version before 1" in capsys.readouterr().err
    assert main(["versions", "--router", str(router_folder.parent / "none")]) == 2
