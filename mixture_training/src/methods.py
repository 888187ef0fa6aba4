"""What is judged: something that routes, under a name, and what it does on given rows."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from dataset_build import DataError, Price
from mixture_training.src.assurance import Assurance, fit_assurance
from mixture_training.src.classifier import Classifier, Prediction
from mixture_training.src.costs import CostModel
from mixture_training.src.guard import route
from mixture_training.src.judging_rows import Judged, Rows
from mixture_training.src.metrics.calibration import reliability
from mixture_training.src.metrics.references import pick
from mixture_training.src.policy import IndexArray, Policy
from mixture_training.src.training_data import FloatArray, TrainingData
from mixture_training.src.vector_classifier import VectorClassifier

if TYPE_CHECKING:
    from mixture_training.src.artifacts import Router

#: How many instructions are routed one at a time to measure the time of a route.
_TIMED_ROUTES = 25


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
        assurance: Calibrates the scores, keeps the promises of a policy, and guards.
        heeds_guard: Whether instructions go where a guarded router sends them; else by expected scores.
    """

    name: str
    classifier: Classifier | None = None
    costs: CostModel | None = None
    train_s: float = math.nan
    given: Given | None = None
    assurance: Assurance = field(default_factory=Assurance)
    heeds_guard: bool = False

    def __post_init__(self) -> None:
        if self.given is None and (self.classifier is None or self.costs is None):
            raise ValueError(f"Method {self.name!r} needs a classifier and its costs, or what it predicted elsewhere.")
        if self.given is not None and self.given.scores is None and self.given.choice is None:
            raise ValueError(f"Method {self.name!r} is given neither scores nor choices.")


def fit_method(
    name: str, classifier: Classifier, data: TrainingData, *, prices: Sequence[Price] | None = None, seed: int = 0
) -> Method:
    """Fit a classifier and all that a router has beside it on train and validation of `data`, and time it.

    The guard is not heeded: a comparison of methods tells what each does by itself.

    Args:
        name: As in the report.
        classifier: Not fitted.
        data: With its splits.
        prices: Of each expert; None where they are unknown.
        seed: Of calibration and its parts.
    """
    train, validation = data.split("train"), data.split("validation")
    started = time.perf_counter()
    classifier.fit(train, validation)
    prediction = _predict(classifier, validation.texts)
    costs, assurance = fit_assurance(classifier, train, validation, prediction, prices=prices, seed=seed)
    return Method(name, classifier, costs, time.perf_counter() - started, assurance=assurance)


def method_of_router(name: str, router: "Router") -> Method:
    """Return a saved router as a method that routes as the router does, guard included."""
    return Method(name, router.classifier, router.costs, assurance=router.assurance, heeds_guard=True)


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
        means = CostModel.fit(align(learned, given.experts), category_names=())
        return given.experts, prediction, means.predict(judged.texts, prediction)
    classifier, costs = method.classifier, method.costs
    assert classifier is not None
    assert costs is not None
    prediction = method.assurance.expect(_predict(classifier, judged.texts))
    return classifier.experts_, prediction, costs.predict(judged.texts, prediction)


def _predict(classifier: Classifier, texts: Sequence[str]) -> Prediction:
    """Return what is expected of texts, their vectors from the cache where they are."""
    if isinstance(classifier, VectorClassifier) and len(texts):
        return classifier.predict_vectors(classifier.vectors_of(texts))
    return classifier.predict(texts)


def route_rows(method: Method, judged: Judged, learned: TrainingData, policy: Policy) -> Rows:
    """Route the judged rows and keep what was observed of the choices."""
    data = judged.data
    if method.given is not None and method.given.scores is None:
        only = _for_rows(method, data)
        assert only.choice is not None
        aligned = align(data, only.experts)
        return Rows(
            pick(aligned.scores, only.choice),
            pick(aligned.costs, only.choice),
            only.choice,
            only.experts,
            extras={"train_s": method.train_s, "route_us": only.route_us},
        )
    experts, prediction, costs = predict(method, data, learned)
    aligned = align(data, experts)
    given = None if method.given is None else _for_rows(method, data)
    if given is not None and given.choice is not None:
        choice, route_us = given.choice, given.route_us
    else:
        routing = route(prediction.scores, costs, policy, method.assurance, heed_guard=method.heeds_guard)
        choice = routing.ranking[:, 0]
        route_us = _time_route(method, data, policy) if given is None else given.route_us
    by_scores, by_costs, guard = prediction.scores, costs, method.assurance.guard
    if method.heeds_guard and guard is not None and guard.on and not guard.cost.is_better:
        by_scores, by_costs = (np.tile(means, (len(data), 1)) for means in (guard.mean_scores, guard.mean_costs))
    paid = np.where(np.isnan(aligned.costs), costs, aligned.costs)
    own = {name: column for column, name in enumerate(experts)}
    knows_all = all(name in own for name in data.experts)
    return Rows(
        pick(aligned.scores, choice),
        pick(paid, choice),
        choice,
        experts,
        swept=judged.swept(by_scores, by_costs, aligned.scores, aligned.costs),
        ordered=judged.ordered(prediction.scores[:, [own[name] for name in data.experts]]) if knows_all else None,
        extras={
            "train_s": method.train_s,
            "route_us": route_us,
            "reliability": None if np.isnan(aligned.scores).all() else reliability(prediction.scores, aligned.scores),
        },
    )


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


def align(data: TrainingData, experts: tuple[str, ...]) -> TrainingData:
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
        prompt_tokens=None if data.prompt_tokens is None else arrange(data.prompt_tokens),
        completion_tokens=None if data.completion_tokens is None else arrange(data.completion_tokens),
    )


def _time_route(method: Method, judged: TrainingData, policy: Policy) -> float:
    """Return the median microseconds of routing one instruction, over single calls."""
    assert method.classifier is not None
    assert method.costs is not None
    picked = np.linspace(0, len(judged) - 1, min(_TIMED_ROUTES, len(judged))).astype(int)
    spent = []
    for row in picked:
        started = time.perf_counter()
        texts = [judged.texts[row]]
        prediction = method.assurance.expect(method.classifier.predict(texts))
        costs = method.costs.predict(texts, prediction)
        route(prediction.scores, costs, policy, method.assurance, heed_guard=method.heeds_guard)
        spent.append(time.perf_counter() - started)
    return float(np.median(spent)) * 1e6
