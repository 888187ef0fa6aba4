"""Learn from feedback: refit, compare with the router in use, and promote the new one only when it is not worse.

The kept training data stays as it was; feedback is read anew from the store each time, so no judgement ever counts
twice. A fifth of the judged instructions (by hash, the same in every update) is held out of the fit.
"""

import fcntl
import hashlib
import inspect
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dataset_build import ConfigError
from mixture_training.src.artifacts import Router, check_router
from mixture_training.src.assurance import fit_assurance
from mixture_training.src.auto import AutoClassifier
from mixture_training.src.classifier import Classifier
from mixture_training.src.feedback_store import FeedbackStore, ScoredInstruction
from mixture_training.src.fitting import judge
from mixture_training.src.guard import route
from mixture_training.src.metrics.bootstrap import Interval, paired_difference
from mixture_training.src.metrics.references import pick
from mixture_training.src.policy import parse_policy
from mixture_training.src.training_data import FloatArray, TrainingData

#: Share of the judged instructions that are compared on, not learned from.
HELD_OUT_SHARE = 0.2
#: The mean score the new router may lose on validation at worst (lower end of the 95 % interval).
MARGIN = 0.02
#: Squared errors that differ by less than this are the same.
_NOTHING = 1e-9


@dataclass(frozen=True)
class Comparison:
    """A measure of the router in use and of the refitted one, on the same rows.

    Attributes:
        rows: How many; the three others are NaN where there is none.
        old: Mean of the router in use.
        new: Mean of the refitted one.
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
        promoted: Whether the refitted router is in use now.
        reason: One sentence with the rule and the numbers.
        version: The version in use after the update; the first is 1.
        judgements: How many judgements there were.
        learned_from: (instruction, expert) pairs with feedback that the fit saw.
        held_out: Those kept for comparison.
        quality: Mean score of the chosen expert on the validation rows.
        error: Squared error of the expected score on the held-out feedback.
        changed: Share of the validation rows whose choice changed.
        previous: Folder of the version that was replaced, for going back; None when nothing was.
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


def update_router(folder: Path | str, store: FeedbackStore) -> UpdateReport:
    """Refit the router in `folder` on its training data and the feedback, and put it in place when not worse.

    The rule: on the validation rows the 95 % interval of (new − old) mean score must not reach below −`MARGIN`, and
    on the held-out feedback the interval of (new − old) squared error must not lie wholly above 0. The version that
    is replaced is kept in `<folder>.versions/<number>`; copying it back over `folder` undoes the update.

    Raises:
        ConfigError: there is no router, its place cannot be written, or another update is running.
        DataError: the router keeps no training data, or is damaged.
    """
    folder = Path(folder)
    check_router(folder)  # before the lock, whose file lies beside the router
    with _only_one(folder):
        return _update(folder, Router.load(folder), store)


def _update(folder: Path, router: Router, store: FeedbackStore) -> UpdateReport:
    version = int(router.data.get("version", 1))
    judged = [row for row in store.scored_instructions() if row.expert in router.expert_names]
    judgements = sum(row.count for row in judged)
    base = router.training_data()
    validation = base.split("validation")
    seen = set(validation.texts)
    held_out: list[ScoredInstruction] = []
    learned: list[ScoredInstruction] = []
    for row in judged:
        kept = row.instruction in seen or _share(row.instruction) < HELD_OUT_SHARE
        (held_out if kept else learned).append(row)
    report = UpdateReport(False, "", version, judgements, len(learned), len(held_out))
    digest = _digest(repr(sorted((row.instruction, row.expert, row.score, row.count) for row in judged))).hex()
    if digest == (router.data.get("feedback") or {}).get("digest"):
        return replace(report, reason=f"Not updated: there is no feedback that version {version} has not learned from.")
    if not learned:
        return replace(report, reason=f"Not updated: {_what_is_missing(judged)}.")
    refitted = _refit(router, base, learned)
    quality, changed = _compare_choices(router, refitted, validation)
    error = _compare_errors(router, refitted, held_out)
    promoted, reason = _decide(quality, error)
    report = replace(report, promoted=promoted, reason=reason, quality=quality, error=error, changed=changed)
    if not promoted:
        return report
    refitted.data = {
        **router.data,
        "version": version + 1,
        "feedback": {"judgements": judgements, "pairs": len(learned), "digest": digest},
    }
    previous = _keep(folder, version)
    refitted.save(folder, overwrite=True)
    return replace(report, version=version + 1, previous=previous)


def _refit(router: Router, base: TrainingData, feedback: Sequence[ScoredInstruction]) -> Router:
    """Return the router with the same kind of classifier, learned from the base and the feedback."""
    train = _with_feedback(base.split("train"), feedback)
    validation = base.split("validation")
    classifier = unfitted(router.classifier).fit(train, validation)
    prices, guard = tuple(card.price for card in router.experts), bool(router.options.get("guard", True))
    prediction = classifier.predict(validation.texts)
    costs, assurance = fit_assurance(classifier, train, validation, prediction, prices=prices, guard=guard)
    best = router.expert_names.index(router.best_single)
    metrics = judge(
        classifier, costs, validation, prediction, best=best, policy=router.default_policy, assurance=assurance
    )
    return replace(router, classifier=classifier, costs=costs, assurance=assurance, metrics=metrics, _training=base)


def unfitted(classifier: Classifier) -> Classifier:
    """Return a classifier with the same hyper-parameters that has learned nothing; `auto` keeps to what it chose."""
    if isinstance(classifier, AutoClassifier):
        return classifier.settled()
    names = [name for name in inspect.signature(type(classifier).__init__).parameters if name != "self"]
    return type(classifier)(**{name: getattr(classifier, name) for name in names})


def _with_feedback(data: TrainingData, feedback: Sequence[ScoredInstruction]) -> TrainingData:
    """Return `data` with one row per judged instruction, scores known only for the experts that were judged."""
    texts = tuple(dict.fromkeys(row.instruction for row in feedback))
    row_of = {text: index for index, text in enumerate(texts)}
    column_of = {name: index for index, name in enumerate(data.experts)}
    scores, costs = np.full((len(texts), len(data.experts)), np.nan), np.full((len(texts), len(data.experts)), np.nan)
    for row in feedback:
        cell = row_of[row.instruction], column_of[row.expert]
        scores[cell] = row.score
        costs[cell] = np.nan if row.cost is None else row.cost
    return replace(
        data,
        ids=data.ids + tuple(f"feedback-{_digest(text).hex()[:16]}" for text in texts),
        texts=data.texts + texts,
        # The category was only predicted: learning from it would teach the classifier its own mistakes.
        categories=data.categories + (None,) * len(texts),
        abilities=data.abilities + (None,) * len(texts),
        splits=data.splits + ("train",) * len(texts),
        scores=np.vstack([data.scores, scores]),
        costs=np.vstack([data.costs, costs]),
        latencies=np.vstack([data.latencies, np.full_like(scores, np.nan)]),
        prompt_tokens=_extended(data.prompt_tokens, scores),
        completion_tokens=_extended(data.completion_tokens, scores),
    )


def _extended(counts: FloatArray | None, like: FloatArray) -> FloatArray | None:
    """Return `counts` with unknown ones for further rows."""
    return None if counts is None else np.vstack([counts, np.full_like(like, np.nan)])


def _compare_choices(old: Router, new: Router, rows: TrainingData) -> tuple[Comparison | None, float]:
    """Return the routed mean scores on `rows` and the share of choices that changed."""
    if not len(rows):
        return None, 0.0
    policy = parse_policy(old.default_policy)
    chosen = []
    for router in (old, new):
        prediction = router.assurance.expect(router.classifier.predict(rows.texts))
        costs = router.costs.predict(rows.texts, prediction)
        chosen.append(route(prediction.scores, costs, policy, router.assurance, heed_guard=False).ranking[:, 0])
    changed = float((chosen[0] != chosen[1]).mean())
    return _compare(pick(rows.scores, chosen[0]), pick(rows.scores, chosen[1])), changed


def _compare_errors(old: Router, new: Router, feedback: Sequence[ScoredInstruction]) -> Comparison | None:
    """Return the squared errors of the expected scores on held-out feedback."""
    if not feedback:
        return None
    texts = [row.instruction for row in feedback]
    columns = np.array([old.expert_names.index(row.expert) for row in feedback])
    truth = np.array([row.score for row in feedback])
    errors = [
        (router.assurance.expect(router.classifier.predict(texts)).scores[np.arange(len(texts)), columns] - truth) ** 2
        for router in (old, new)
    ]
    return _compare(*errors)


def _compare(old: FloatArray, new: FloatArray) -> Comparison | None:
    both = ~(np.isnan(old) | np.isnan(new))
    if not both.any():
        return None
    old, new = old[both], new[both]
    return Comparison(len(old), float(old.mean()), float(new.mean()), paired_difference(new, old))


def _decide(quality: Comparison | None, error: Comparison | None) -> tuple[bool, str]:
    """Return whether to promote, and the sentence that says why."""
    if quality is None and error is None:
        return False, "Not promoted: there are neither validation rows nor held-out feedback to compare on."
    parts, good = [], True
    if quality is not None:
        passed = quality.difference.low >= -MARGIN
        good &= passed
        parts.append(
            f"mean score on {quality.rows} validation rows {quality.old:.3f} -> {quality.new:.3f} "
            f"({_range(quality.difference)}, {'not' if passed else 'maybe'} worse by more than {MARGIN:g})"
        )
    if error is not None:
        passed = error.difference.low <= _NOTHING
        good &= passed
        parts.append(
            f"squared error on {error.rows} held-out judgements {error.old:.3f} -> {error.new:.3f} "
            f"({_range(error.difference)}, {'not clearly' if passed else 'clearly'} larger)"
        )
    return good, f"{'Promoted' if good else 'Not promoted'}: {'; '.join(parts)}."


def _range(difference: Interval) -> str:
    return f"{difference.value:+.3f}, 95 % interval {difference.low:+.3f} to {difference.high:+.3f}"


def _what_is_missing(judged: Sequence[ScoredInstruction]) -> str:
    if not judged:
        return "there is no feedback yet; give some with `moe feedback` or `record_feedback`"
    return f"all {len(judged)} judged responses are held out for comparison; more feedback is needed"


def _keep(folder: Path, version: int) -> Path:
    """Copy the router in `folder` to the versions beside it."""
    kept = _versions(folder) / str(version)
    making = kept.with_name(f".{version}.part")
    try:
        for old in (making, kept):  # left behind by an update that was killed before it promoted
            shutil.rmtree(old, ignore_errors=True)
        shutil.copytree(folder, making)
        making.rename(kept)
    except OSError as problem:
        raise ConfigError(f"Cannot keep the present version in {kept}: {problem.strerror or problem}.") from None
    return kept


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Hold the lock of this router's updates.

    Raises:
        ConfigError: somebody else does, or the place cannot be written.
    """
    versions = _versions(folder)
    try:
        versions.mkdir(exist_ok=True)
        lock = (versions / ".lock").open("w")
    except OSError as problem:
        raise ConfigError(f"Cannot write {versions}: {problem.strerror or problem}.") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(f"Another update of {folder} is running; wait for it to end.") from None
        yield


def _versions(folder: Path) -> Path:
    folder = folder.absolute()
    return folder.with_name(f"{folder.name}.versions")


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _share(text: str) -> float:
    """Return a number in [0, 1) that depends on the text only."""
    return int.from_bytes(_digest(text)[:8]) / 2**64
