"""Whether a version that answers real traffic is worse than the one it was to replace.

Looked at again and again as feedback comes in, so the intervals are confidence sequences, which hold at every look at
once: the normal-mixture boundary of Robbins (1970), with estimated variances (Waudby-Smith et al. 2021,
*Time-uniform central limit theory*, arXiv:2103.06476). Judgements are weighed as for learning (`influence`).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import numpy as np
import numpy.typing as npt

from mixture_training.src.decisions import Judged
from mixture_training.src.gate import MARGIN, Budget
from mixture_training.src.influence import OPERATOR, weigh
from mixture_training.src.off_policy import FloatArray, IndexArray

Outcome = Literal["worse", "good", "open"]

#: Fewer effective judgements of either version say nothing.
LEAST = 30.0
#: Each end of an interval holds with 95 % confidence at every look at once.
_ALPHA = 0.10
#: The boundary is narrowest at about so many judgements of each version, times a variance of 0.2.
_NARROWEST = 200.0 / 2.0 * 0.2
_BY_NAME = "expert"


@dataclass(frozen=True)
class Comparison:
    """Two versions on the traffic that each answered.

    Attributes:
        outcome: Whether the new one is shown worse, is shown to be no worse by more than `MARGIN`, or neither yet.
        text: A clause with the numbers.
        value: new − old, NaN without judgements of both.
        low: Lower end.
        high: Upper end.
        judged: Judgements of the new one and of the old one.
    """

    outcome: Outcome
    text: str
    value: float
    low: float
    high: float
    judged: tuple[int, int]


def compare(judged: Sequence[Judged], new: str, old: str) -> Comparison:
    """Return how the version called `new` does beside that called `old`.

    Args:
        judged: Of both; others, and decisions that named their expert, are left out.
        new: Tag of the one on trial.
        old: Tag of the other.
    """
    rows = [one for one in judged if one.decision.router_version in (new, old) and one.decision.policy != _BY_NAME]
    counts = sum(one.decision.router_version == new for one in rows)
    both = (counts, len(rows) - counts)
    nothing = float("nan")
    if not all(both):
        return Comparison("open", f"{both[0]} and {both[1]} judgements so far", nothing, nothing, nothing, both)
    scores = np.array([one.score for one in rows])
    is_new = np.array([one.decision.router_version == new for one in rows])
    users, names = _users(rows)
    weights = weigh(
        scores,
        _numbers([one.decision.expert or "" for one in rows]),
        users,
        _numbers([one.decision.features_hash or one.decision.id for one in rows]),
        np.array([datetime.fromisoformat(one.feedback.created).timestamp() for one in rows]),
        names=names,
    ).weights
    value, low, high, least = difference(scores, weights, users, is_new)
    if least < LEAST:
        text = f"{both[0]} and {both[1]} judgements so far, {LEAST:.0f} effective ones of each are needed"
        return Comparison("open", text, value, low, high, both)
    text = (
        f"mean score {value:+.3f} against the version before it (at every look 95 % from {low:+.3f}, to {high:+.3f}; "
        f"{both[0]} and {both[1]} judgements)"
    )
    if high < 0.0:
        return Comparison("worse", text, value, low, high, both)
    if low >= -MARGIN and _holds_without_few(scores, weights, users, is_new):
        return Comparison("good", text, value, low, high, both)
    return Comparison("open", text, value, low, high, both)


def _holds_without_few(
    scores: FloatArray, weights: FloatArray, users: IndexArray, is_new: npt.NDArray[np.bool_]
) -> bool:
    """Return whether the new version is still no worse without the users that favour it most."""
    means = [float(np.average(scores[part], weights=weights[part])) for part in (is_new, ~is_new)]
    favour = np.where(is_new, scores - means[0], means[1] - scores) * weights
    kept = Budget(users, weights).without(favour, np.arange(len(scores)))
    if not (is_new[kept].any() and (~is_new[kept]).any()):
        return False
    value, _, _, _ = difference(scores[kept], weights[kept], users[kept], is_new[kept])
    return value >= -MARGIN


def difference(
    scores: FloatArray, weights: FloatArray, users: IndexArray, is_new: npt.NDArray[np.bool_]
) -> tuple[float, float, float, float]:
    """Return new − old, the ends of its confidence sequence, and the effective judgements of the smaller part."""
    parts = []
    for part in (is_new, ~is_new):
        total = float(weights[part].sum())
        mean = float(weights[part] @ scores[part]) / total
        pulls = weights[part] * (scores[part] - mean) / total
        own = users[part]
        alone = pulls[own == OPERATOR]
        grouped = np.bincount(own[own != OPERATOR], pulls[own != OPERATOR])
        effective = total**2 / float(weights[part] @ weights[part])  # Kish 1965
        # One judgement of each kind is added, so that a run of equal scores is not taken for certainty.
        variance = float((alone**2).sum() + (grouped**2).sum()) + 0.25 / max(effective, 1.0) ** 2
        parts.append((mean, variance, effective))
    (new, spread, some), (old, other, more) = parts
    size = some * more / (some + more)
    intrinsic = (spread + other) * size**2
    tuned = _NARROWEST / (2.0 * math.log(1.0 / _ALPHA) + math.log(1.0 + 2.0 * math.log(1.0 / _ALPHA)))
    radius = math.sqrt((intrinsic + tuned) * math.log((intrinsic + tuned) / (tuned * _ALPHA**2))) / size
    return new - old, new - old - radius, new - old + radius, min(some, more)


def _users(rows: Sequence[Judged]) -> tuple[IndexArray, tuple[str, ...]]:
    """Return who judged each row, from 0, `OPERATOR` for the operator; and their names."""
    who = [one.feedback.user or (f"key {one.decision.key_id}" if one.decision.key_id else "") for one in rows]
    names = tuple(sorted(set(who) - {""}))
    number = {name: index for index, name in enumerate(names)}
    return np.array([number.get(name, OPERATOR) for name in who], dtype=np.intp), names


def _numbers(values: Sequence[str]) -> IndexArray:
    _, numbers = np.unique(np.array(values), return_inverse=True)
    return numbers.astype(np.intp)
