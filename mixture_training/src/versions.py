"""The versions of a router: which there are, how one is put back, and the look after those on trial."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from dataset_build import ConfigError
from mixture_training.src.decisions import Judged, now
from mixture_training.src.live_router import ActiveRouter, LiveRouter
from mixture_training.src.version_folders import (
    Entry,
    UpdateRunningError,
    VersionState,
    Watch,
    keep,
    kept_folder,
    only_one,
    put_in_place,
    read_state,
    state_with_current,
    tag_of,
    versions_of,
    write_state,
)

if TYPE_CHECKING:
    from mixture_training.src.feedback_store import FeedbackStore

__all__ = [
    "ActiveRouter",
    "LiveRouter",
    "VersionRow",
    "judge_canary",
    "list_versions",
    "rollback",
    "tend",
    "trial_text",
]

#: Judged decisions of a promoted version after which it is no longer watched, and of the one before to compare with …
WATCHED = 1000
#: … judged at most so many days before it was promoted.
LOOK_BACK_DAYS = 30


@dataclass(frozen=True)
class VersionRow:
    """One line of `moe versions`.

    Attributes:
        version: Number.
        tag: How decisions name it.
        when: ISO 8601, UTC; when its state last changed.
        how: `train`, `quick` or `full`.
        state: What became of it.
        reason: Why.
        judged: Judgements of its decisions.
        mean_score: Their mean; None without any.
        is_kept: Whether it can be gone back to.
    """

    version: int
    tag: str
    when: str
    how: str
    state: str
    reason: str
    judged: int
    mean_score: float | None
    is_kept: bool


def list_versions(folder: Path | str, judged: Iterable[Judged] = ()) -> list[VersionRow]:
    """Return the versions of the router in `folder`, by number.

    Raises:
        ConfigError: there is no router.
        DataError: it, or what is written down about it, is damaged.
    """
    folder = Path(folder)
    state = state_with_current(folder)
    scores: dict[str, list[float]] = {}
    for one in judged:
        scores.setdefault(one.decision.router_version, []).append(one.score)
    rows = []
    for entry in state.history:
        of = scores.get(entry.tag, [])
        mean = sum(of) / len(of) if of else None
        is_kept = entry.version == state.current or kept_folder(folder, entry.version).is_dir()
        shown = replace(entry, state="in use") if entry.version == state.current else entry
        rows.append(
            VersionRow(
                shown.version, shown.tag, shown.when, shown.how, shown.state, shown.reason, len(of), mean, is_kept
            )
        )
    return rows


def rollback(folder: Path | str, to: int | None = None, *, reason: str = "By hand.") -> str:
    """Go back to an earlier version, or end the trial of a canary, and return one sentence that says what was done.

    Args:
        folder: Of the router.
        to: A number that is kept; None ends a trial where there is one, else goes back to the version before.
        reason: What is written down.

    Raises:
        ConfigError: there is no such version, or another update is running.
        DataError: it is damaged.
    """
    folder = Path(folder)
    tag_of(folder)
    with only_one(folder):
        state = state_with_current(folder)
        if to is None and state.canary is not None:
            return end_canary(folder, state, reason)
        return go_back(folder, state, _before(folder, state) if to is None else to, reason)


def end_canary(folder: Path, state: VersionState, reason: str) -> str:
    """End the trial and return a sentence that says so; under the lock."""
    assert state.canary is not None
    version = state.canary.version
    state = replace(state.becoming(version, "rolled back", reason), canary=None)
    write_state(folder, state)
    return f"Version {version} is no longer tried; version {state.current} answers everything. {reason}"


def go_back(folder: Path, state: VersionState, to: int, reason: str) -> str:
    """Put a kept version in place and return a sentence that says so; under the lock."""
    from mixture_training.src.artifacts import Router

    if to == state.current:
        raise ConfigError(f"Version {to} is the one in use. `moe versions` lists those that can be gone back to.")
    kept = kept_folder(folder, to)
    if not kept.is_dir():
        raise ConfigError(f"Version {to} of {folder} is not kept. `moe versions` lists those that are.")
    Router.load(kept)  # a damaged one does not replace a good one
    left = state.current
    if not kept_folder(folder, left).is_dir():
        keep(folder, left)
    put_in_place(folder, to)
    state = state.becoming(left, "rolled back", reason)
    before = state.entry(to)
    how = "train" if before is None else before.how
    state = state.noted(Entry(to, tag_of(folder), now(), how, "in use", f"Put back in place of version {left}."))
    write_state(folder, replace(state, current=to, canary=None, watch=None))
    return f"Version {to} is in use again, version {left} is kept. {reason}"


def _before(folder: Path, state: VersionState) -> int:
    """Return the version that was in use before the present one."""
    given_up = {one.version for one in state.history if one.state == "rolled back"}
    canary = None if state.canary is None else state.canary.version
    kept = [int(path.name) for path in versions_of(folder).glob("*") if path.name.isdigit()]
    earlier = [one for one in kept if one < state.current and one not in given_up and one != canary]
    if not earlier:
        raise ConfigError(f"There is no version before {state.current} to go back to; name one with --to.")
    return max(earlier)


def promote_canary(folder: Path, state: VersionState, reason: str) -> str:
    """Put the canary in the place of the version in use and return a sentence that says so; under the lock."""
    assert state.canary is not None
    canary, left = state.canary, state.current
    keep(folder, left)
    base = tag_of(folder)
    put_in_place(folder, canary.version)
    state = state.becoming(left, "replaced", f"By version {canary.version}.")
    state = state.becoming(canary.version, "in use", reason)
    watch = Watch(canary.version, canary.tag, now(), base, left)
    write_state(folder, replace(state, current=canary.version, canary=None, watch=watch))
    return f"Version {canary.version} is in use now. {reason}"


def tend(folder: Path | str, store: "FeedbackStore") -> str | None:
    """Look after the versions on trial; return what was done in one sentence, None where nothing was.

    A canary that is shown worse is rolled back, one that is shown no worse takes over; a version that was promoted is
    watched over its first `WATCHED` judgements and rolled back where it is shown worse than the one before it. Cheap
    where nothing is on trial; meant to be called from time to time, from any thread; where another update is running,
    it does nothing.
    """
    folder = Path(folder)
    state = read_state(folder)
    if state.canary is None and state.watch is None:
        return None
    try:
        with only_one(folder):
            return judge_canary(folder, store)
    except UpdateRunningError:
        return None


def judge_canary(folder: Path, store: "FeedbackStore") -> str | None:
    """Do what `tend` does; under the lock."""
    from mixture_training.src.canary import compare

    state = state_with_current(folder)
    if state.canary is not None:
        found = compare(store.judged(since=state.canary.since), state.canary.tag, state.canary.base)
        if found.outcome == "worse":
            return end_canary(folder, state, f"Rolled back: {found.text}.")
        if found.outcome == "good":
            return promote_canary(folder, state, f"Promoted after its trial: {found.text}.")
        return None
    watch = state.watch
    if watch is None:
        return None
    judged = store.judged(since=datetime.fromisoformat(watch.since) - timedelta(days=LOOK_BACK_DAYS))
    new = [one for one in judged if one.decision.router_version == watch.tag][:WATCHED]
    old = [one for one in judged if one.decision.router_version == watch.base][-WATCHED:]
    found = compare([*old, *new], watch.tag, watch.base)
    if found.outcome == "worse" and kept_folder(folder, watch.base_version).is_dir():
        return go_back(folder, state, watch.base_version, f"Rolled back: {found.text}.")
    if len(new) >= WATCHED:
        write_state(folder, replace(state, watch=None))
    return None


def trial_text(folder: Path, state: VersionState, store: "FeedbackStore") -> str:
    """Return how the trial of the canary stands, as a clause."""
    from mixture_training.src.canary import compare

    assert state.canary is not None
    return compare(store.judged(since=state.canary.since), state.canary.tag, state.canary.base).text
