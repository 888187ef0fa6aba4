"""Learn from feedback, compare with the router in use, and promote the new version only when the gate opens.

Quick: a correction on top of the classifier, from the vectors of judged decisions, in milliseconds. Full: the
classifier learned again from the training data and the judged texts; the kept training data stays as it was. See `gate`
for what a new version must show, and `versions` for what becomes of the one it replaces.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from dataset_build import ConfigError
from mixture_training.src.artifacts import Router, check_router
from mixture_training.src.decisions import Judged, now
from mixture_training.src.feedback_store import FeedbackStore, ScoredInstruction
from mixture_training.src.full_update import check_texts, evidence_of, refitted, split_feedback
from mixture_training.src.gate import GateDecision, HeldOut, Test, Traffic, decide
from mixture_training.src.judgements import Judgements, read_judgements, vectors_in
from mixture_training.src.metrics.bootstrap import Interval, paired_difference
from mixture_training.src.off_policy import Estimate, FloatArray
from mixture_training.src.quick_update import propose, validation_rows
from mixture_training.src.refitting import digest_of
from mixture_training.src.version_folders import (
    Canary,
    Entry,
    VersionState,
    Watch,
    keep,
    kept_folder,
    next_number,
    number_in,
    only_one,
    prune,
    state_with_current,
    tag_of,
    write_state,
)
from mixture_training.src.versions import judge_canary, trial_text

if TYPE_CHECKING:
    from mixture_training.src.drift import Drift

Kind = Literal["quick", "full"]

#: The latest decisions, judged or not, whose instructions are compared with those of training.
_LATEST = 400


@dataclass(frozen=True)
class Comparison:
    """A measure of the router in use and of the new one, on the same rows.

    Attributes:
        rows: How many; the three others are NaN where there is none.
        old: Mean of the router in use.
        new: Mean of the new one.
        difference: new − old with its 95 % interval, paired.
    """

    rows: int
    old: float
    new: float
    difference: Interval


@dataclass(frozen=True)
class UpdateReport:
    """What an update did and why.

    Attributes:
        promoted: Whether the new version is in use now.
        reason: One sentence with the rule and the numbers.
        version: The version in use after the update; the first is 1.
        judgements: How many judgements there were.
        learned_from: (instruction, expert) pairs with feedback that were learned from.
        held_out: Those kept for comparison; a quick update holds each out in turn.
        quality: Mean score of the chosen expert on the validation rows, as they were scored.
        error: Squared error of the expected score on held-out feedback.
        changed: Share of the validation rows whose choice changed.
        previous: Folder of the version that was replaced, for going back; None when nothing was.
        kind: `quick` or `full`.
        canary: The version that is tried on a share of the traffic from now on; None where none is.
        tests: What each test of the gate found.
        traffic: Method -> what it estimates of new − old on logged traffic.
        findings: What was noticed about the feedback: floods, users whose influence was capped.
        drift: How recent instructions differ from the training data; None where nothing tells.
        trial: What became of a version that was on trial or watched; None where nothing did.
        seconds: What it took.
    """

    promoted: bool
    reason: str
    version: int
    judgements: int
    learned_from: int
    held_out: int
    quality: Comparison | None = None
    error: Comparison | None = None
    changed: float = 0.0
    previous: Path | None = None
    kind: Kind = "full"
    canary: int | None = None
    tests: tuple[Test, ...] = ()
    traffic: dict[str, Estimate] = field(default_factory=dict)
    findings: tuple[str, ...] = ()
    drift: "Drift | None" = None
    trial: str | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class _Proposal:
    """A new version with what it was judged by."""

    router: Router
    decision: GateDecision
    report: UpdateReport


def update_router(
    folder: Path | str, store: FeedbackStore, *, kind: Kind = "full", canary: float | None = None
) -> UpdateReport:
    """Learn from the feedback, and put the new version in place, or on trial, when the gate opens.

    A version that is on trial or watched is looked after first; while a trial goes on, and where it ends, nothing new
    is learned. The version that is
    replaced is kept in `<folder>.versions/<number>`; `versions.rollback` undoes the update.

    Args:
        folder: Of the router.
        store: Its decisions and feedback.
        kind: `quick` for a correction from the vectors of judged decisions, `full` to learn again from their texts.
        canary: The share of the traffic on which the new version is tried beside the old one, in (0, 1); it then need
            only not be shown worse. None puts it in place at once.

    Raises:
        ConfigError: there is no router, its place cannot be written, another update is running, the share is none, or
            a full update finds no texts.
        DataError: the router keeps no training data, or is damaged.
    """
    folder = Path(folder)
    if canary is not None and not 0.0 < canary < 1.0:
        raise ConfigError(f"A canary gets a share of the traffic between 0 and 1, such as 0.1; {canary!r} was given.")
    if kind not in ("quick", "full"):
        raise ConfigError(f"An update is 'quick' or 'full'; {kind!r} was given.")
    check_router(folder)  # before the lock, whose file lies beside the router
    started = time.perf_counter()
    with only_one(folder):
        trial = judge_canary(folder, store)
        router = Router.load(folder)
        if trial is None:
            report = _update(folder, router, store, kind, canary)
        else:
            report = UpdateReport(" is in use now." in trial, trial, number_in(router.data), 0, 0, 0, trial=trial)
        return replace(report, kind=kind, seconds=time.perf_counter() - started)


def _update(folder: Path, router: Router, store: FeedbackStore, kind: Kind, canary: float | None) -> UpdateReport:
    state, version = state_with_current(folder), number_in(router.data)
    judged = [one for one in store.judged() if one.decision.expert in router.expert_names]
    report = UpdateReport(False, "", version, len(judged), 0, 0)
    if state.canary is not None:
        trial = f"version {state.canary.version} is tried on {state.canary.share:.0%} of the traffic"
        return replace(
            report,
            canary=state.canary.version,
            reason=f"Not updated: {trial} ({trial_text(folder, state, store)}). `moe rollback` ends the trial.",
        )
    if not judged:
        missing = "there is no feedback yet; give some with `moe feedback` or `record_feedback`"
        return replace(report, reason=f"Not updated: {missing}.")
    digest = digest_of(
        repr([kind, sorted((one.decision.id, one.score, one.feedback.created, one.feedback.event) for one in judged)])
    ).hex()
    if digest == (router.data.get("feedback") or {}).get("digest"):
        return replace(report, reason=f"Not updated: there is no feedback that version {version} has not learned from.")
    report = replace(report, drift=_drift(router, judged, store))
    learn = _quick if kind == "quick" else _full
    proposal = learn(router, judged, store, report, as_canary=canary is not None)
    if isinstance(proposal, UpdateReport):
        return proposal
    decision = proposal.decision
    report = replace(
        proposal.report,
        reason=decision.reason,
        tests=decision.tests,
        traffic=decision.traffic,
        promoted=decision.promote,
    )
    if not decision.promote:
        return report
    number = next_number(folder, state)
    proposal.router.data = {
        **router.data,
        "version": number,
        "feedback": {"judgements": len(judged), "pairs": report.learned_from, "digest": digest, "kind": kind},
    }
    if canary is not None:
        prune(folder, _try(folder, state, proposal.router, number, canary, kind, decision.reason))
        return replace(report, promoted=False, canary=number)
    previous = keep(folder, version)
    base = tag_of(folder)
    proposal.router.save(folder, overwrite=True)
    tag = tag_of(folder)
    state = state.becoming(version, "replaced", f"By version {number}.")
    state = state.noted(Entry(number, tag, now(), kind, "in use", decision.reason))
    state = replace(state, current=number, watch=Watch(number, tag, now(), base, version))
    write_state(folder, state)
    prune(folder, state)
    return replace(report, version=number, previous=previous)


def _try(
    folder: Path, state: VersionState, router: Router, number: int, share: float, kind: Kind, reason: str
) -> VersionState:
    """Put a version beside the router in use, for a share of the traffic, and return the state."""
    kept = kept_folder(folder, number)
    router.save(kept)
    trial = Canary(number, tag_of(kept), share, now(), tag_of(folder))
    state = replace(state.noted(Entry(number, trial.tag, now(), kind, "canary", reason)), canary=trial)
    write_state(folder, state)
    return state


def _quick(
    router: Router, judged: Sequence[Judged], store: FeedbackStore, report: UpdateReport, *, as_canary: bool
) -> _Proposal | UpdateReport:
    """Return the router with a correction learned from the vectors of the judged decisions, or from their texts."""
    judgements = read_judgements(router, judged)
    if not len(judgements):
        judgements = read_judgements(router, judged, by_text=True)
    if not len(judgements):
        why = "no judged decision holds a vector that this router reads, nor its text: keep features, or texts"
        return replace(report, reason=f"Not updated: {why}.")
    influence = judgements.influence()
    proposal = propose(router, judgements, influence.weights, validation_rows(router))
    decision = decide(proposal.held_out, proposal.traffic, needs_gain=True, as_canary=as_canary)
    left_out = (f"{judgements.left_out} judgements are of decisions without a vector.",) if judgements.left_out else ()
    pairs = _pairs(judgements)
    report = replace(
        _compared(report, proposal.held_out, proposal.quality, proposal.traffic),
        learned_from=pairs,
        held_out=pairs,
        findings=influence.findings + left_out,
    )
    return _Proposal(replace(router, correction=proposal.correction), decision, report)


def _full(
    router: Router, judged: Sequence[Judged], store: FeedbackStore, report: UpdateReport, *, as_canary: bool
) -> _Proposal | UpdateReport:
    """Return the router learned again from its training data and the judged texts."""
    check_texts(judged, router.expert_names)
    rows = [row for row in store.scored_instructions() if row.expert in router.expert_names]
    judgements = read_judgements(router, judged, by_text=True)
    influence = judgements.influence()
    split = split_feedback(rows, router.training_data().split("validation"), judgements, influence.weights)
    report = replace(report, learned_from=len(split.learned), held_out=len(split.held_out), findings=influence.findings)
    if not split.learned:
        return replace(report, reason=f"Not updated: {_what_is_missing(rows)}.")
    new = refitted(router, split, judgements, influence.weights)
    evidence = evidence_of(router, judged)
    decision = decide(new.held_out, new.traffic, evidence=evidence, needs_gain=False, as_canary=as_canary)
    return _Proposal(new.router, decision, _compared(report, new.held_out, new.quality, new.traffic))


def _what_is_missing(rows: Sequence[ScoredInstruction]) -> str:
    return f"all {len(rows)} judged responses are held out for comparison; more feedback is needed"


def _pairs(judgements: Judgements) -> int:
    """Return how many (instruction, expert) pairs were judged."""
    return len(np.unique(np.column_stack([judgements.instructions, judgements.columns]), axis=0))


def _compared(
    report: UpdateReport,
    held_out: HeldOut | None,
    quality: tuple[FloatArray, FloatArray] | None,
    traffic: Traffic | None,
) -> UpdateReport:
    """Return the report with what the two versions reach on the same rows."""
    error = None
    if traffic is not None and len(traffic):
        every = np.arange(len(traffic))
        parts = [(one[every, traffic.columns] - traffic.rewards) ** 2 for one in (traffic.expected, traffic.renewed)]
        error = _compare(*parts)
    changed = 0.0 if held_out is None else float((held_out.old != held_out.new).mean())
    return replace(report, quality=None if quality is None else _compare(*quality), error=error, changed=changed)


def _compare(old: FloatArray, new: FloatArray) -> Comparison | None:
    both = ~(np.isnan(old) | np.isnan(new))
    if not both.any():
        return None
    old, new = old[both], new[both]
    return Comparison(len(old), float(old.mean()), float(new.mean()), paired_difference(new, old))


def _drift(router: Router, judged: Sequence[Judged], store: FeedbackStore) -> "Drift":
    """Return how the latest instructions, and the scores of the experts, differ from what training let expect."""
    from mixture_training.src.drift import DriftMonitor

    latest = store.decisions(limit=_LATEST, newest_first=True)[::-1]
    vectors, decisions = vectors_in(router, latest)
    judgements = read_judgements(router, judged)
    every = np.arange(len(judgements))
    return DriftMonitor(router).measure(
        vectors if len(decisions) else None,
        [decision.category for decision in decisions],
        columns=judgements.columns,
        scores=judgements.scores,
        expected=judgements.expected[every, judgements.columns],
        moments=judgements.moments,
    )
