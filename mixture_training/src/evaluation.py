"""Judge routers on a dataset: quality, cost, how much of the gap to the oracle they close, with intervals.

Everything that chooses (best single, best per category, methods) learns from the train rows and is judged on the rows
of one other split. A choice without a score is left out of the mean and counted in `unscored`.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from dataset_build import DataError
from mixture_training.src.classifier import Classifier, Prediction
from mixture_training.src.costs import CostModel
from mixture_training.src.encoders.cache import encode_cached
from mixture_training.src.evaluation_result import EvaluationResult
from mixture_training.src.judging_rows import Judged, Rows
from mixture_training.src.measuring import Measures
from mixture_training.src.metrics.bootstrap import Resamples
from mixture_training.src.metrics.calibration import reliability
from mixture_training.src.metrics.comparisons import holm
from mixture_training.src.metrics.references import pick
from mixture_training.src.policy import IndexArray, Policy, QualityPolicy
from mixture_training.src.training_data import FloatArray, TrainingData
from mixture_training.src.vector_classifier import VectorClassifier

if TYPE_CHECKING:
    from mixture_training.src.artifacts import Router

#: How many instructions are routed one at a time to measure the time of a route.
_TIMED_ROUTES = 25
#: From so many methods on, the best of them is expected to look better than it is.
_MANY = 5


@dataclass(frozen=True)
class Given:
    """What something outside this project predicted or chose for instructions.

    Attributes:
        experts: Whom it knows; the columns of `scores` and `costs` and what `choice` numbers.
        scores: Predicted scores, (n, E); None where only choices are known, which leaves a point without a curve.
        costs: Predicted USD, (n, E); None means each expert's mean cost on train.
        choice: (n,), −1 for none; None means the policy's choice by the scores.
        ids: The instructions, (n,); None means the judged rows in order.
        route_us: Microseconds it took to route one instruction.
    """

    experts: tuple[str, ...]
    scores: FloatArray | None = None
    costs: FloatArray | None = None
    choice: IndexArray | None = None
    ids: tuple[str, ...] | None = None
    route_us: float = math.nan


@dataclass(frozen=True)
class Method:
    """Something that routes, under a name: a fitted classifier and a cost model, or what was predicted elsewhere.

    Attributes:
        name: As in the report.
        classifier: Fitted; None with `given`.
        costs: Of the same experts; None with `given`.
        train_s: Seconds the fit took; NaN where it was not fitted here.
        given: Predictions or choices made elsewhere.
    """

    name: str
    classifier: Classifier | None = None
    costs: CostModel | None = None
    train_s: float = math.nan
    given: Given | None = None

    def __post_init__(self) -> None:
        if self.given is None and (self.classifier is None or self.costs is None):
            raise ValueError(f"Method {self.name!r} needs a classifier and its costs, or what it predicted elsewhere.")
        if self.given is not None and self.given.scores is None and self.given.choice is None:
            raise ValueError(f"Method {self.name!r} is given neither scores nor choices.")


def fit_method(name: str, classifier: Classifier, data: TrainingData) -> Method:
    """Fit a classifier and a cost model on the train rows of `data` and time it."""
    train, validation = data.split("train"), data.split("validation")
    started = time.perf_counter()
    classifier.fit(train, validation)
    costs = CostModel.fit(train, category_names=classifier.category_names_)
    return Method(name, classifier, costs, time.perf_counter() - started)


def method_of_router(name: str, router: "Router") -> Method:
    """Return a saved router as a method."""
    return Method(name, router.classifier, router.costs)


def evaluate(
    data: TrainingData,
    methods: Sequence[Method],
    *,
    split: str = "test",
    policy: Policy | None = None,
    dataset: str = "dataset",
    seed: int = 0,
    samples: int = 2000,
    on_step: Callable[[str], None] = lambda step: None,
) -> EvaluationResult:
    """Judge `methods` beside every reference point on the rows of one split.

    Args:
        data: The dataset with its splits.
        methods: Fitted; one that knows other experts than the dataset is unscored where it chooses those.
        split: The rows to judge on.
        policy: How methods trade score and cost; None means `quality`.
        dataset: A name for the report.
        seed: Of the bootstrap.
        samples: Bootstrap resamples; there are fewer above a million instructions, as `Resamples` says.
        on_step: Called with what is being done, for a progress display.

    Raises:
        DataError: the split, or train, has no row with a score, or what was predicted elsewhere does not fit the rows.
    """
    started = time.perf_counter()
    data_split, learned = data.split(split), data.split("train")
    for part, purpose in (
        (data_split, f"split {split!r}: nothing to judge on"),
        (learned, "train: no best single expert"),
    ):
        if not len(part) or np.isnan(part.scores).all():
            raise DataError(f"{dataset} has no scored row in {purpose}. Give a dataset that has one.")
    judged, rule = Judged(data_split, learned), policy or QualityPolicy()
    rows = judged.references()
    for method in methods:
        on_step(f"routing with {method.name}")
        rows[f"method:{method.name}"] = _route(method, judged, learned, rule)
    compared = [f"method:{method.name}" for method in methods]
    resamples = Resamples(len(data_split), samples=samples, seed=seed)
    measures = Measures(judged, rows, resamples, on_step)
    results = measures.results(compared)
    corrected = holm(np.array([results[name].p_value for name in compared]))
    return EvaluationResult(
        dataset=dataset,
        split=split,
        instructions=len(data_split),
        experts=data.experts,
        policy=str(rule),
        best_single=data.experts[judged.best],
        weak=None if judged.weak is None else data.experts[judged.weak],
        references={name: result for name, result in results.items() if name not in compared},
        methods={
            method.name: replace(
                results[name],
                p_holm=float(p_value),
                versus=_without_prefix(results[name].versus),
                aiq_versus=_without_prefix(results[name].aiq_versus),
            )
            for method, name, p_value in zip(methods, compared, corrected, strict=True)
        },
        hull=judged.hull,
        seed=seed,
        samples=resamples.samples,
        frontier=measures.frontier,
        oracle_curve=judged.oracle_curve(),
        cautions=_cautions(methods),
        elapsed_s=time.perf_counter() - started,
    )


def predict(
    method: Method, judged: TrainingData, learned: TrainingData
) -> tuple[tuple[str, ...], Prediction, FloatArray]:
    """Return whom a method knows, what it expects of them for the judged rows, and what it expects them to cost."""
    if method.given is not None:
        given = _for_rows(method, judged)
        assert given.scores is not None
        prediction = Prediction(given.scores, np.empty((len(judged), 0)))
        if given.costs is not None:
            return given.experts, prediction, given.costs
        means = CostModel.fit(_align(learned, given.experts), category_names=())
        return given.experts, prediction, means.predict(judged.texts, prediction)
    classifier, costs = method.classifier, method.costs
    assert classifier is not None
    assert costs is not None
    encoder = getattr(classifier, "_encoder", None) if isinstance(classifier, VectorClassifier) else None
    if encoder is None:
        prediction = classifier.predict(judged.texts)
    else:
        assert isinstance(classifier, VectorClassifier)
        prediction = classifier.predict_vectors(encode_cached(encoder, judged.texts))
    return classifier.experts_, prediction, costs.predict(judged.texts, prediction)


def _route(method: Method, judged: Judged, learned: TrainingData, policy: Policy) -> Rows:
    """Route the judged rows and keep what was observed of the choices."""
    data = judged.data
    if method.given is not None and method.given.scores is None:
        given = _for_rows(method, data)
        assert given.choice is not None
        aligned = _align(data, given.experts)
        extras = {"train_s": method.train_s, "route_us": given.route_us}
        return Rows(
            pick(aligned.scores, given.choice),
            pick(aligned.costs, given.choice),
            given.choice,
            given.experts,
            extras=extras,
        )
    experts, prediction, costs = predict(method, data, learned)
    aligned = _align(data, experts)
    choice = policy.choose(prediction.scores, costs)
    route_us = math.nan
    if method.given is None:
        route_us = _time_route(method, data, policy)
    else:
        route_us = method.given.route_us
        choice = choice if method.given.choice is None else _chosen(method, data)
    paid = np.where(np.isnan(aligned.costs), costs, aligned.costs)
    own = {name: column for column, name in enumerate(experts)}
    knows_all = all(name in own for name in data.experts)
    return Rows(
        pick(aligned.scores, choice),
        pick(paid, choice),
        choice,
        experts,
        swept=judged.swept(prediction.scores, costs, aligned.scores, aligned.costs),
        ordered=judged.ordered(prediction.scores[:, [own[name] for name in data.experts]]) if knows_all else None,
        extras={
            "train_s": method.train_s,
            "route_us": route_us,
            "reliability": None if np.isnan(aligned.scores).all() else reliability(prediction.scores, aligned.scores),
        },
    )


def _chosen(method: Method, judged: TrainingData) -> IndexArray:
    choice = _for_rows(method, judged).choice
    assert choice is not None
    return choice


def _for_rows(method: Method, judged: TrainingData) -> Given:
    """Return what was given for the judged rows, in their order.

    Raises:
        DataError: it is of other instructions, or of another shape.
    """
    given = method.given
    assert given is not None
    for what, cells in (("scores", given.scores), ("costs", given.costs)):
        if cells is not None and (cells.shape[1:] != (len(given.experts),) or np.isnan(cells).any()):
            raise DataError(
                f"{method.name}: predicted {what} have shape {cells.shape} for {len(given.experts)} experts, "
                "or a hole. Give a number for every instruction and expert."
            )
    if given.ids is None:
        rows: Any = slice(None)
        count = len(given.choice if given.scores is None and given.choice is not None else given.scores)  # type: ignore[arg-type]
        if count != len(judged):
            raise DataError(
                f"{method.name} was given for {count} instructions; {len(judged)} are judged. Give their ids as well."
            )
    else:
        place = {name: row for row, name in enumerate(given.ids)}
        absent = [name for name in judged.ids if name not in place]
        if absent:
            raise DataError(
                f"{method.name} has nothing for {len(absent)} of the {len(judged)} judged instructions, "
                f"{absent[0]} among them. Route the rows of the same split."
            )
        rows = np.array([place[name] for name in judged.ids], dtype=np.intp)
    return replace(
        given,
        scores=None if given.scores is None else given.scores[rows],
        costs=None if given.costs is None else given.costs[rows],
        choice=None if given.choice is None else given.choice[rows],
        ids=None,
    )


def _align(data: TrainingData, experts: tuple[str, ...]) -> TrainingData:
    """Return `data` with these columns; an expert it does not have is missing everywhere."""
    if experts == data.experts:
        return data
    column = {name: index for index, name in enumerate(data.experts)}

    def arrange(cells: FloatArray) -> FloatArray:
        missing = np.full(len(data), np.nan)
        return np.column_stack([cells[:, column[name]] if name in column else missing for name in experts])

    return replace(
        data,
        experts=experts,
        scores=arrange(data.scores),
        costs=arrange(data.costs),
        latencies=arrange(data.latencies),
        descriptions=(),
    )


def _time_route(method: Method, judged: TrainingData, policy: Policy) -> float:
    """Return the median microseconds of routing one instruction, over single calls."""
    assert method.classifier is not None
    assert method.costs is not None
    picked = np.linspace(0, len(judged) - 1, min(_TIMED_ROUTES, len(judged))).astype(int)
    spent = []
    for row in picked:
        started = time.perf_counter()
        prediction = method.classifier.predict([judged.texts[row]])
        policy.choose(prediction.scores, method.costs.predict([judged.texts[row]], prediction))
        spent.append(time.perf_counter() - started)
    return float(np.median(spent)) * 1e6


def _cautions(methods: Sequence[Method]) -> tuple[str, ...]:
    if len(methods) <= _MANY:
        return ()
    return (
        f"{len(methods)} methods are compared with one best single expert: of so many, one looks better by chance. "
        "p_holm is corrected for their number.",
    )


def _without_prefix(intervals: Any) -> dict[str, Any]:  # noqa: ANN401 - a mapping to intervals
    return {name.removeprefix("method:"): interval for name, interval in intervals.items()}
