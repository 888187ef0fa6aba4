"""What a good figure on test rows may hide: duplicates, a leak, that the category says it all, too few rows to learn.

Everything is done to one method, made afresh each time, and judged on the same rows as in the evaluation.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from dataset_build import DataError, NearDuplicates, normal
from mixture_training.src.classifier import Classifier
from mixture_training.src.costs import CostModel
from mixture_training.src.evaluation import evaluate
from mixture_training.src.evaluation_result import Diagnostics, Duplicates, LearningPoint, LeftOut, Result
from mixture_training.src.judging_rows import Judged
from mixture_training.src.methods import Given, Method, fit_method, route_rows
from mixture_training.src.metrics.bootstrap import mean_interval, paired_difference
from mixture_training.src.metrics.references import best_column, known_means
from mixture_training.src.policy import IndexArray, Policy, QualityPolicy
from mixture_training.src.training_data import MINIMUM_TRAIN, FloatArray, TrainingData

#: Shares of train that the learning curve is drawn from.
SHARES = (0.1, 0.25, 0.5, 1.0)
#: Scores at an expert's overall mean that each category starts from.
_PRIOR_SCORES = 5.0
#: Pairs of duplicates that are shown.
_EXAMPLES = 5
#: A category needs so many judged rows to be left out.
_FEWEST = 5


@dataclass(frozen=True)
class Subject:
    """The method that is looked into.

    Attributes:
        name: Its name.
        make: Makes it afresh, not fitted.
        fitted: As it was evaluated.
    """

    name: str
    make: Callable[[], Classifier]
    fitted: Method


def diagnose(
    data: TrainingData,
    subject: Subject | None,
    *,
    split: str = "test",
    policy: Policy | None = None,
    leave_category_out: bool = False,
    everything: bool = True,
    seed: int = 0,
    samples: int = 1000,
    on_step: Callable[[str], None] = lambda step: None,
) -> Diagnostics:
    """Return what the diagnostics found.

    Args:
        data: With its splits.
        subject: None looks at the dataset only: duplicates, and how far the category gets.
        split: The rows judged.
        policy: How score and cost are traded; None means `quality`.
        leave_category_out: Also fit the method once without each category.
        everything: False leaves only `leave_category_out`.
        seed: Of shuffles, parts of train and bootstrap.
        samples: Bootstrap resamples.
        on_step: Called with what is being done.
    """
    rule = policy or QualityPolicy()
    found = Diagnostics(method=None if subject is None else subject.name)
    if everything:
        on_step("looking for duplicates")
        found = replace(found, duplicates=duplicates(data.split(split), data.split("train")))
        on_step("routing by category alone")
        fitted = [] if subject is None else [subject.fitted]
        only = Method("category only", given=category_predictions(data.split("train"), data.split(split)))
        results = evaluate(data, [only, *fitted], split=split, policy=rule, seed=seed, samples=samples).methods
        found = replace(found, category_only=results["category only"])
        if subject is not None:
            on_step(f"fitting {subject.name} to shuffled scores")
            found = replace(
                found,
                category_share=_share(results["category only"], results[subject.name]),
                shuffled=shuffled_control(data, subject, split=split, policy=rule, seed=seed, samples=samples),
                learning_curve=tuple(
                    learning_curve(data, subject, split=split, policy=rule, seed=seed, samples=samples, on_step=on_step)
                ),
            )
    if leave_category_out and subject is not None:
        found = replace(
            found,
            left_out=categories_left_out(
                data, subject, split=split, policy=rule, seed=seed, samples=samples, on_step=on_step
            ),
        )
    return found


def duplicates(judged: TrainingData, train: TrainingData, *, threshold: float = 0.8) -> Duplicates:
    """Return how many judged texts train has too.

    Args:
        judged: The rows judged.
        train: The rows learned from.
        threshold: Share of their runs of three words that near duplicates have in common, as `NearDuplicates` counts.
    """
    known = {normal(text): row for row, text in reversed(list(enumerate(train.texts)))}
    near = NearDuplicates(threshold)
    for row, text in enumerate(train.texts):
        near.add(str(row), text)
    exact, pairs = 0, []
    for text in judged.texts:
        same = known.get(normal(text))
        exact += same is not None
        like = near.find(text) if same is None else str(same)
        if like is not None:
            pairs.append((text, train.texts[int(like)]))
    return Duplicates(exact, len(pairs), len(judged), tuple(pairs[:_EXAMPLES]))


def category_predictions(train: TrainingData, judged: TrainingData) -> Given:
    """Return what a router expects that is told the category of an instruction, and nothing else.

    Each category's mean score and cost of an expert, shrunk towards its overall mean as if five calls at that mean had
    been seen too.
    """
    overall = np.nan_to_num(train.expert_means(), nan=0.0)
    prices = CostModel.fit(train, category_names=()).overall
    labels = np.array([category or "" for category in train.categories], dtype=object)
    names = np.array([category or "" for category in judged.categories], dtype=object)
    scores, costs = np.tile(overall, (len(judged), 1)), np.tile(prices, (len(judged), 1))
    for name in judged.category_names:
        inside = labels == name
        scores[names == name] = _shrunk(train.scores[inside], overall)
        costs[names == name] = _shrunk(train.costs[inside], prices)
    return Given(train.experts, scores=scores, costs=costs)


def shuffled_control(
    data: TrainingData, subject: Subject, *, split: str, policy: Policy, seed: int = 0, samples: int = 1000
) -> Result:
    """Return what the method reaches when the scores it learns from are dealt to other instructions.

    Each row of scores stays together, so experts keep their means and the best single expert stays the same; what an
    instruction says about its scores is gone. It cannot be better than best single unless the judged rows leak.
    """
    rng = np.random.default_rng(seed)
    scores = data.scores.copy()
    for name in ("train", "validation"):
        rows = np.flatnonzero(np.array(data.splits, dtype=object) == name)
        scores[rows] = scores[rng.permutation(rows)]
    method = fit_method("shuffled", subject.make(), replace(data, scores=scores))
    return evaluate(data, [method], split=split, policy=policy, seed=seed, samples=samples).methods["shuffled"]


def learning_curve(
    data: TrainingData,
    subject: Subject,
    *,
    split: str,
    policy: Policy,
    shares: tuple[float, ...] = SHARES,
    seed: int = 0,
    samples: int = 1000,
    on_step: Callable[[str], None] = lambda step: None,
) -> list[LearningPoint]:
    """Return what the method reaches from parts of train, each part inside the next.

    A part that is too small to learn from, or in which an expert has no score, is left out. The best single expert is
    always that of all of train.
    """
    learned = data.split("train")
    judged = Judged(data.split(split), learned)
    best = judged.data.scores[:, judged.best]
    train = np.flatnonzero(np.array(data.splits, dtype=object) == "train")
    order = np.random.default_rng(seed).permutation(train)
    points = []
    for share in shares:
        count = round(share * len(order))
        on_step(f"fitting {subject.name} to {count} instructions")
        method = subject.fitted if share == 1.0 else _fit_without(data, subject, order[count:])
        if method is None:
            continue
        chosen = route_rows(method, judged, learned, policy).scores
        points.append(
            LearningPoint(
                share=share,
                instructions=count,
                quality=mean_interval(chosen, samples=samples, seed=seed),
                vs_best_single=paired_difference(chosen, best, samples=samples, seed=seed),
                train_s=method.train_s,
            )
        )
    return points


def categories_left_out(
    data: TrainingData,
    subject: Subject,
    *,
    split: str,
    policy: Policy,
    seed: int = 0,
    samples: int = 1000,
    on_step: Callable[[str], None] = lambda step: None,
) -> Mapping[str, LeftOut]:
    """Return, for each category with enough judged rows, what the method reaches on it without having seen it."""
    labels = np.array([category or "" for category in data.categories], dtype=object)
    splits = np.array(data.splits, dtype=object)
    found = {}
    for category in data.category_names:
        learned = data.take((splits == "train") & (labels != category))
        rows = data.take((splits == split) & (labels == category))
        if len(rows) < _FEWEST or np.isnan(rows.scores).all() or len(learned) < MINIMUM_TRAIN:
            continue
        on_step(f"fitting {subject.name} without {category}")
        method = _fit_without(data, subject, np.flatnonzero((labels == category) & (splits != split)))
        if method is None or np.isnan(learned.scores).all():
            continue
        judged = Judged(rows, learned)
        unseen, seen = (route_rows(one, judged, learned, policy).scores for one in (method, subject.fitted))
        best = rows.scores[:, best_column(learned.scores, learned.costs)]
        found[category] = LeftOut(
            instructions=len(rows),
            quality=mean_interval(unseen, samples=samples, seed=seed),
            seen=mean_interval(seen, samples=samples, seed=seed),
            best_single=mean_interval(best, samples=samples, seed=seed),
            vs_best_single=paired_difference(unseen, best, samples=samples, seed=seed),
        )
    return found


def _fit_without(data: TrainingData, subject: Subject, rows: IndexArray) -> Method | None:
    """Return the method fitted without some rows; None where the rest is too little."""
    kept = np.ones(len(data), dtype=bool)
    kept[rows] = False
    part = data.take(kept)
    train = part.split("train")
    if len(train) < MINIMUM_TRAIN or np.isnan(train.expert_means()).any():
        return None
    try:
        return fit_method(subject.name, subject.make(), part)
    except DataError:  # a classifier may need more than this is
        return None


def _shrunk(cells: FloatArray, overall: FloatArray) -> FloatArray:
    counts = (~np.isnan(cells)).sum(axis=0)
    means = np.where(counts > 0, np.nan_to_num(known_means(cells), nan=0.0), 0.0)
    shrunk: FloatArray = (means * counts + _PRIOR_SCORES * overall) / (counts + _PRIOR_SCORES)
    return shrunk


def _share(category_only: Result, method: Result) -> float:
    gain = method.vs_best_single.value
    return category_only.vs_best_single.value / gain if gain > 1e-12 else math.nan
