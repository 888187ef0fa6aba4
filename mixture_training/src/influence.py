"""How much each judgement counts, so that no single user moves the router, and what looks like a flood.

Every judgement starts with a weight of 1. What one user says again and again of one instruction and expert counts
once, what all say of it has a ceiling, floods are thinned, and at last one user's judgements together have a ceiling.
Judgements with neither user nor key come from the operator's own process, which needs no feedback to change a router:
they are not capped.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IndexArray = npt.NDArray[np.intp]

#: One user counts for at most this share of all judgements, and so does one (instruction, expert) …
SHARE = 0.02
#: … for this share of those of one expert …
EXPERT_SHARE = 0.05
#: … or for so many judgements, whichever is more.
FLOOR = 10.0
#: Judgements of one user with one score within `BURST_S` that are a flood where `BURST_TIMES` as many are unusual.
BURST, BURST_S, BURST_TIMES = 20, 600.0, 5.0
#: Instructions of one user whose vectors' cosine is above this are the same one, reworded.
NEAR = 0.995
#: Vectors of one user that are compared at once.
_COMPARED = 2000
#: Whose judgements have neither user nor key.
OPERATOR = -1


@dataclass(frozen=True)
class Influence:
    """What judgements count.

    Attributes:
        weights: (n,), in [0, 1].
        findings: Sentences about what was noticed; users by the first letters of their hash.
    """

    weights: FloatArray
    findings: tuple[str, ...]


def weigh(
    scores: FloatArray,
    columns: IndexArray,
    users: IndexArray,
    instructions: IndexArray,
    moments: FloatArray,
    *,
    vectors: npt.NDArray[np.float32] | None = None,
    names: Sequence[str] = (),
) -> Influence:
    """Return how much each of n judgements counts.

    Args:
        scores: (n,).
        columns: Who had answered, (n,).
        users: Who judged, (n,), from 0; `OPERATOR` for the operator.
        instructions: Which instruction, (n,), from 0; equal ones have equal numbers.
        moments: When, (n,), in seconds.
        vectors: Of the instructions, (n, d); zero where one has none.
        names: Of the users.
    """
    n = len(scores)
    weights, findings = np.ones(n), list[str]()
    if not n:
        return Influence(weights, ())
    judged_by = _Names(names)
    pairs = _codes(instructions, columns)
    outside = users != OPERATOR
    said = _codes(pairs, np.where(outside, users, -1 - np.arange(n)))
    counts = np.bincount(said)
    weights /= counts[said]
    for code in np.flatnonzero(counts >= BURST):
        who = judged_by[int(users[np.flatnonzero(said == code)[0]])]
        findings.append(f"{who} judged one answer to one instruction {counts[code]} times; it counts once.")
    findings += _thin_bursts(weights, scores, users, moments, judged_by)
    if vectors is not None:
        findings += _thin_near(weights, columns, users, vectors, judged_by)
    _cap(weights, pairs, outside, max(FLOOR, SHARE * n))
    about = np.bincount(columns)[columns]
    parties = _codes(np.where(outside, users, -1), columns)
    _cap(weights, parties, outside, np.maximum(FLOOR, EXPERT_SHARE * about))
    held = _cap(weights, np.where(outside, users, 0), outside, max(FLOOR, SHARE * n))
    for user, before, after in held:
        findings.append(f"{judged_by[user]} gave {before:.0f} judgements' weight; it counts as {after:.0f}.")
    return Influence(weights, tuple(findings))


class _Names:
    """How users are called in a sentence."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names

    def __getitem__(self, user: int) -> str:
        return f"user {self._names[user][:8]}" if 0 <= user < len(self._names) else f"user {user}"


def _codes(*parts: IndexArray) -> IndexArray:
    """Return a number for each distinct row of `parts`, (n,), from 0."""
    code = np.zeros(len(parts[0]), dtype=np.intp)
    for part in parts:
        _, inner = np.unique(part, return_inverse=True)
        _, code = np.unique(code * (inner.max(initial=0) + 1) + inner, return_inverse=True)
    return code


def _cap(
    weights: FloatArray, groups: IndexArray, inside: npt.NDArray[np.bool_], most: float | FloatArray
) -> list[tuple[int, float, float]]:
    """Scale the weights of each group down to `most` and return (group, weight before, after) of those it met."""
    if not inside.any():
        return []
    totals = np.bincount(groups[inside], weights[inside])
    ceilings = np.zeros(len(totals))
    ceilings[groups[inside]] = np.broadcast_to(most, len(groups))[inside]
    factors = np.minimum(1.0, ceilings / np.maximum(totals, 1e-12))
    weights[inside] *= factors[groups[inside]]
    met = np.flatnonzero(totals > ceilings * 1.001)
    return [(int(group), float(totals[group]), float(ceilings[group])) for group in met]


def _thin_bursts(
    weights: FloatArray, scores: FloatArray, users: IndexArray, moments: FloatArray, names: _Names
) -> list[str]:
    """Make a burst of one user's equal scores count no more than what is usual, and say so."""
    runs = _codes(users, np.round(scores * 1000).astype(np.intp))
    order = np.lexsort((moments, runs))
    run, when = runs[order], moments[order]
    # Of each judgement, how many of its run came within the seconds up to it: both are sorted, so one search finds it.
    span = float(when.max() - when.min()) + 2.0 * BURST_S
    line = run * span + (when - when.min())
    first = np.searchsorted(line, line - BURST_S, side="left")
    within = np.arange(len(line)) - first + 1
    busiest = np.zeros(int(runs.max()) + 1)
    np.maximum.at(busiest, run, within)
    who = np.zeros(len(busiest), dtype=np.intp)
    who[runs] = users
    outside = who != OPERATOR
    usual = float(np.median(busiest[outside])) if outside.any() else 0.0
    threshold = max(float(BURST), BURST_TIMES * usual)
    found = []
    for code in np.flatnonzero((busiest >= threshold) & outside):
        last = np.flatnonzero((run == code) & (within >= threshold))
        start, stop = int(first[last[0]]), int(last[-1]) + 1
        rows = order[start:stop]
        total = float(weights[rows].sum())
        allowed = max(1.0, usual)
        weights[rows] *= min(1.0, allowed / max(total, 1e-12))
        found.append(
            f"{names[int(who[code])]} gave the score {scores[rows[0]]:g} to {len(rows)} answers within "
            f"{(moments[rows].max() - moments[rows].min()) / 60:.0f} minutes, {usual:.0f} being usual; "
            f"together they count as {allowed:.0f}."
        )
    return found


def _thin_near(
    weights: FloatArray, columns: IndexArray, users: IndexArray, vectors: npt.NDArray[np.float32], names: _Names
) -> list[str]:
    """Make one user's judgements of nearly the same instruction and one expert count as `FLOOR` at most."""
    found = []
    parties = _codes(users, columns)
    for party in np.flatnonzero(np.bincount(parties) >= BURST):
        rows = np.flatnonzero(parties == party)[-_COMPARED:]
        user = int(users[rows[0]])
        lengths = np.linalg.norm(vectors[rows], axis=1)
        if user == OPERATOR or not lengths.any():
            continue
        unit = vectors[rows] / np.maximum(lengths, 1e-12)[:, None]
        near = (unit @ unit.T) >= NEAR
        same = rows[near[int(near.sum(axis=1).argmax())]]
        total = float(weights[same].sum())
        if len(same) >= BURST and total > FLOOR:
            weights[same] *= FLOOR / total
            found.append(
                f"{names[user]} judged {len(same)} nearly identical instructions; together they count as {FLOOR:.0f}."
            )
    return found
