"""Whether a new version of a router replaces the one in use.

Three tests, each of the difference new − old, each at one-sided 95 % confidence:

- **held-out rows**: the mean score on the validation rows of the training data, which nobody can poison;
- **held-out feedback**: the squared error of the expected scores on judgements that were not learned from;
- **logged traffic**: the doubly robust estimate (`off_policy`) on judged decisions, where logging left some to chance.

A version that is shown worse by one of them is not promoted, nor is one that the held-out rows do not show to be no
worse by more than `MARGIN`. A quick correction must moreover be shown better by the first or the third: it is learned
from feedback alone, and that the feedback agrees with itself recommends nothing.

Held-out rows are history. Where an expert has changed since, they contradict the present: so its scores are moved, in
each category, by as much as recent judgements of it differ from what was expected, as far as that is shown at 95 %
confidence and was not so on the held-out rows themselves. And where logged traffic shows the new version better, that
decides, and the held-out rows guard only choices of experts there is no recent evidence about.

What speaks for a new version may not hinge on a few users: it must hold without those whose feedback favours it most,
up to a tenth of the users and of the judgements. So a poisoned tenth cannot promote what the other nine tenths do not.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields

import numpy as np
import numpy.typing as npt

from mixture_training.src.off_policy import Estimate, FloatArray, IndexArray, Log, dr, interval, snips, terms_of

BoolArray = npt.NDArray[np.bool_]

#: The mean score a new version may lose at worst.
MARGIN = 0.02
#: Share of users, and of weight, that a result must be able to do without.
POISONED = 0.1
#: Confidence of a two-sided interval whose ends are each one-sided 95 %.
_CONFIDENCE = 0.90
#: Of one expert in one category, the latest so many tell how it is now: that many of these which show most.
_RECENT = (50, 100, 200, 400)
#: At which an expert is held to have changed: one-sided 95 % over all windows that are looked at.
_CHANGED = 1.0 - 0.10 / len(_RECENT)
#: Errors are compared on the latest so many judgements: an expert that changes makes those before it misleading.
_LATEST = 500
#: Judgements' weight of one expert in one category below which they are no evidence.
_EVIDENCE = 20.0
#: A difference within this is none.
_NOTHING = 1e-9
#: A version that changes no more than this share of the choices cannot do harm.
_FEW = 0.002
#: What is told where nothing speaks against a version, and too little for it.
_ADVICE = " A canary (--canary 0.1) tries it on a share of the traffic; exploring (--explore) gives more to compare by."


@dataclass(frozen=True)
class HeldOut:
    """Validation rows and what the two versions make of them.

    Attributes:
        truth: Scores, NaN where missing, (n, E).
        expected: What was expected before there was any feedback, (n, E).
        old: Column that the old version chooses, (n,).
        new: Column that the new version chooses, (n,).
        cells: The likeliest category, (n,), from 0; all 0 without categories.
    """

    truth: FloatArray
    expected: FloatArray
    old: IndexArray
    new: IndexArray
    cells: IndexArray


@dataclass(frozen=True)
class Traffic:
    """Judged decisions, oldest first, and what the two versions make of them.

    Attributes:
        rewards: Scores, (n,).
        columns: Who answered, (n,).
        old: Column that the old version chooses, (n,).
        new: Column that the new version chooses, not having learned from the row, (n,).
        expected: What the old version expects, (n, E).
        renewed: What the new version expects, not having learned from the row, (n, E).
        propensities: Of each expert when it was decided, (n, E).
        history: What was expected before there was any feedback, (n, E).
        is_drawn: Whether who answered is who was drawn by these propensities, (n,).
        weights: What each counts, (n,).
        users: Who judged, (n,), from 0; below 0 the operator.
        cells: As for held-out rows, (n,).
    """

    rewards: FloatArray
    columns: IndexArray
    old: IndexArray
    new: IndexArray
    expected: FloatArray
    renewed: FloatArray
    propensities: FloatArray
    history: FloatArray
    is_drawn: BoolArray
    weights: FloatArray
    users: IndexArray
    cells: IndexArray

    def __len__(self) -> int:
        return len(self.rewards)

    def latest(self, rows: int) -> "Traffic":
        """Return at most so many of them."""
        return Traffic(**{one.name: getattr(self, one.name)[-rows:] for one in fields(self)})


@dataclass(frozen=True)
class Test:
    """What one test found; differences are new − old.

    Attributes:
        name: Which.
        value: The difference.
        low: Lower end of its interval, one-sided 95 %.
        high: Upper end; likewise.
        rows: On how many.
        is_worse: Whether the new version is shown worse.
        is_better: Whether it is shown better, also without the few users that say so most.
        text: A clause with the numbers.
    """

    name: str
    value: float
    low: float
    high: float
    rows: int
    is_worse: bool
    is_better: bool
    text: str


@dataclass(frozen=True)
class GateDecision:
    """What the gate says.

    Attributes:
        promote: Whether the new version replaces the old one.
        reason: One sentence with the numbers.
        tests: What each test found.
        traffic: The estimates on logged traffic, by method; empty without any.
    """

    promote: bool
    reason: str
    tests: tuple[Test, ...]
    traffic: dict[str, Estimate] = field(default_factory=dict)


def decide(
    held_out: HeldOut | None,
    traffic: Traffic | None,
    *,
    evidence: Traffic | None = None,
    needs_gain: bool = True,
    as_canary: bool = False,
) -> GateDecision:
    """Return whether a new version replaces the old one.

    Args:
        held_out: Validation rows; None where there are none.
        traffic: Judged decisions that the new version has not learned from; None where there are none.
        evidence: Judged decisions that tell how the experts have changed; None means `traffic`.
        needs_gain: Whether it must be shown better, as a quick correction must, or only no worse.
        as_canary: Whether it is to be tried on a share of the traffic first: then no test may show it worse, and
            that is all.
    """
    logged: Test | None = None
    errors: Test | None = None
    estimates: dict[str, Estimate] = {}
    note = ""
    if traffic is not None and len(traffic):
        logged, estimates, note = _test_traffic(traffic)
        errors = _test_errors(traffic)
    rows: Test | None = None
    if held_out is not None and len(held_out.truth):
        rows = _test_held_out(
            held_out, evidence or traffic, only_without_evidence=logged is not None and logged.is_better
        )
    tests = tuple(one for one in (rows, logged, errors) if one is not None)
    if not tests:
        return GateDecision(False, "Not promoted: there is nothing to compare the two on.", (), estimates)
    shown_worse = any(one.is_worse for one in tests)
    value = [one for one in (rows, logged) if one is not None]
    shown_as_good = any(one.low >= -MARGIN for one in value[:1]) or not (value or needs_gain)
    gained = any(one.is_better for one in value)
    if not gained and errors is not None and _changed(held_out, traffic) <= _FEW:
        gained = errors.is_better
    found = "; ".join(one.text for one in tests) + note
    if not shown_worse and (as_canary or (shown_as_good and (gained or not needs_gain))):
        return GateDecision(True, f"{'Tried as a canary' if as_canary else 'Promoted'}: {found}.", tests, estimates)
    why = "it is not shown to be better: " if shown_as_good and not shown_worse else ""
    advice = "" if shown_worse or not why else _ADVICE
    return GateDecision(False, f"Not promoted: {why}{found}.{advice}", tests, estimates)


def _changed(held_out: HeldOut | None, traffic: Traffic | None) -> float:
    """Return the larger share of choices that differ."""
    parts = [part for part in (held_out, traffic) if part is not None and len(part.old)]
    return max(float((part.old != part.new).mean()) for part in parts)


def _test_held_out(rows: HeldOut, traffic: Traffic | None, *, only_without_evidence: bool) -> Test | None:
    """Return what the validation rows say, in the light of recent judgements."""
    moves, evidence = recent_changes(rows, traffic)
    every = np.arange(len(rows.truth))
    truth = rows.truth + moves[rows.cells]
    gains = truth[every, rows.new] - truth[every, rows.old]
    if only_without_evidence:
        gains = np.where(evidence[rows.cells, rows.new], 0.0, gains)
    known = ~np.isnan(gains)
    if not known.any():
        return None
    gains = gains[known]
    value = float(gains.mean())
    low, high = (0.0, 0.0) if not gains.any() else interval(gains, np.ones(len(gains)), confidence=_CONFIDENCE)
    moved = int((moves != 0.0).sum())
    light = f" in the light of {moved} change{'s' if moved != 1 else ''} since" if moved else ""
    guarded = ", experts without recent judgements only" if only_without_evidence else ""
    passed = low >= -MARGIN
    return Test(
        "held_out", value, low, high, len(gains), high < -_NOTHING, low > _NOTHING,
        f"mean score on {len(gains)} held-out rows{light}{guarded} {_range(value, low, high)}, "
        f"{'not' if passed else 'maybe'} worse by more than {MARGIN:g}",
    )  # fmt: skip


def recent_changes(rows: HeldOut, traffic: Traffic | None) -> tuple[FloatArray, BoolArray]:
    """Return by how much each expert's scores have moved since, and where there is evidence, both (cells, E).

    A move is the end nearest to 0 of the one-sided 95 % interval of (judged − expected) less the same on held-out rows,
    without the users that say so most, up to a tenth; 0 where that holds 0.
    """
    number, experts = int(rows.cells.max(initial=0)) + 1, rows.truth.shape[1]
    moves, evidence = np.zeros((number, experts)), np.zeros((number, experts), dtype=bool)
    if traffic is None or not len(traffic):
        return moves, evidence
    every = np.arange(len(traffic))
    residuals = traffic.rewards - traffic.history[every, traffic.columns]
    history = rows.truth - rows.expected
    budget = Budget(traffic.users, traffic.weights)
    for cell in range(number):
        for expert in range(experts):
            here = np.flatnonzero((traffic.cells == cell) & (traffic.columns == expert))
            if traffic.weights[here].sum() < _EVIDENCE:
                continue
            evidence[cell, expert] = True
            before = _known(history[(rows.cells == cell) & (rows.old == expert), expert])
            if len(before) < _EVIDENCE:
                before = _known(history[rows.cells == cell, expert])
            usual = float(before.mean()) if len(before) else 0.0
            doubt = float(before.var() / max(len(before) - 1, 1)) if len(before) else 0.0
            found = [
                _move(residuals[latest] - usual, traffic.weights[latest], latest, budget, doubt)
                for latest in (here[-window:] for window in _RECENT)
            ]
            moves[cell, expert] = max(found, key=abs)
    return moves, evidence


def _move(values: FloatArray, weights: FloatArray, rows: IndexArray, budget: "Budget", doubt: float) -> float:
    """Return the end nearest to 0 of the interval of the mean of `values`; 0 where it holds 0."""
    sign = 1.0 if float(weights @ values) > 0.0 else -1.0
    kept = budget.without(sign * weights * values, rows)
    values, weights = values[kept], weights[kept]
    if len(values) < 2 or weights.sum() < _EVIDENCE / 2:
        return 0.0
    mean = float(weights @ values / weights.sum())
    low, _ = interval(sign * values, weights, confidence=_CHANGED)
    shown = sign * mean - math.hypot(sign * mean - low, 2.0 * math.sqrt(doubt))
    return sign * max(shown, 0.0)


class Budget:
    """The users that a result must be able to do without."""

    def __init__(self, users: IndexArray, weights: FloatArray) -> None:
        self._users, self._weights = users, weights
        present = np.unique(users[users >= 0])
        self._most = math.ceil(POISONED * len(present)) if len(present) > 2 else 0
        self._weight = POISONED * len(users)

    def without(self, favour: FloatArray, rows: IndexArray) -> BoolArray:
        """Return which of `rows` remain without the users that favour a result most.

        Args:
            favour: What each row adds to it, (m,).
            rows: Their positions, (m,).
        """
        users, kept = self._users[rows], np.ones(len(rows), dtype=bool)
        named = users >= 0
        if not self._most or not named.any():
            return kept
        sums = np.bincount(users[named], favour[named])
        held = np.bincount(users[named], self._weights[rows][named])
        left, taken = self._weight, list[int]()
        for user in np.argsort(-sums, kind="stable"):
            if sums[user] <= 0.0 or len(taken) == self._most:
                break
            if held[user] <= left + _NOTHING:
                left -= held[user]
                taken.append(int(user))
        return ~np.isin(users, np.array(taken, dtype=np.intp))


def _test_errors(traffic: Traffic) -> Test | None:
    """Return what the squared errors of the expected scores say; lower is better, so the difference is turned."""
    traffic = traffic.latest(_LATEST)
    every = np.arange(len(traffic))
    errors = [(part[every, traffic.columns] - traffic.rewards) ** 2 for part in (traffic.expected, traffic.renewed)]
    gains = errors[0] - errors[1]
    if not gains.any():
        return None
    low, high = interval(gains, traffic.weights, confidence=_CONFIDENCE)
    budget = Budget(traffic.users, traffic.weights)
    kept = budget.without(traffic.weights * gains, every)
    kept_low = -math.inf
    if kept.sum() > 1 and traffic.weights[kept].sum() > 0.0:
        kept_low = min(low, interval(gains[kept], traffic.weights[kept], confidence=_CONFIDENCE)[0])
    old, new = (float(traffic.weights @ part / traffic.weights.sum()) for part in errors)
    is_worse = high < -_NOTHING
    return Test(
        "errors", old - new, low, high, len(traffic), is_worse, kept_low > _NOTHING,
        f"squared error on {len(traffic)} judgements {old:.3f} -> {new:.3f} ({_verdict(is_worse, low, kept_low)})",
    )  # fmt: skip


def _verdict(is_worse: bool, low: float, kept_low: float) -> str:
    if is_worse:
        return "clearly larger"
    if kept_low > _NOTHING:
        return "clearly smaller"
    return "smaller, but not without the few users who say so most" if low > _NOTHING else "not clearly different"


def _test_traffic(traffic: Traffic) -> tuple[Test | None, dict[str, Estimate], str]:
    """Return what logged traffic says, the estimates, and a clause where it says nothing."""
    drawn = np.flatnonzero(traffic.is_drawn & (traffic.weights > 0.0))
    if not len(drawn):
        return None, {}, "; no judged decision was left to chance"
    experts = traffic.propensities.shape[1]
    log = Log(
        traffic.rewards[drawn],
        traffic.columns[drawn],
        traffic.propensities[drawn],
        traffic.expected[drawn],
        traffic.weights[drawn],
    )
    new, old = np.eye(experts)[traffic.new[drawn]], np.eye(experts)[traffic.old[drawn]]
    estimate = dr(log, new, old, confidence=_CONFIDENCE)
    estimates = {"dr": dr(log, new, old), "snips": snips(log, new, old)}
    if not estimate.is_reliable:
        return None, estimates, f"; on logged traffic the difference {_said(estimate)}"
    is_better = estimate.low > _NOTHING and estimates["snips"].value > 0.0
    if is_better:
        favour = np.asarray(log.weights) * terms_of("dr", log, new, old)
        kept = Budget(traffic.users, traffic.weights).without(favour, drawn)
        again = dr(log.take(kept), new[kept], old[kept], confidence=_CONFIDENCE)
        is_better = again.is_reliable and again.low > _NOTHING
    return (
        Test(
            "traffic", estimate.value, estimate.low, estimate.high, estimate.rows, estimate.high < -_NOTHING, is_better,
            f"on {estimate.rows} logged decisions, doubly robust, "
            f"{_range(estimate.value, estimate.low, estimate.high)}",
        ),
        estimates,
        "",
    )  # fmt: skip


def _said(estimate: Estimate) -> str:
    if math.isnan(estimate.value):
        return estimate.reason
    return f"is {estimate.value:+.3f}, which is not relied on: {estimate.reason}"


def _range(value: float, low: float, high: float) -> str:
    return f"{value:+.3f} (one-sided 95 % from {low:+.3f}, to {high:+.3f})"


def _known(values: FloatArray) -> FloatArray:
    found: FloatArray = values[~np.isnan(values)]
    return found


def category_cells(categories: Sequence[str | None], names: Sequence[str]) -> IndexArray:
    """Return the number of each category, (n,); one without, or that is not in `names`, gets that after the last."""
    number = {name: index for index, name in enumerate(names)}
    return np.array([number.get(category or "", len(names)) for category in categories], dtype=np.intp)
