"""From a dataset and a classifier to a router, judged on the validation rows."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from dataset_build import Price
from mixture_training.src.ability_head import LIKELY, ability_targets
from mixture_training.src.artifacts import ExpertCard, Router
from mixture_training.src.assurance import Assurance, fit_assurance
from mixture_training.src.classifier import Classifier, Prediction
from mixture_training.src.costs import CostModel
from mixture_training.src.guard import route
from mixture_training.src.metrics.bootstrap import mean_interval, paired_difference
from mixture_training.src.metrics.calibration import brier_score, expected_calibration_error
from mixture_training.src.metrics.multi_label import f1_per_label, macro_f1
from mixture_training.src.metrics.references import best_column, known_means, oracle, pick, random_values
from mixture_training.src.metrics.routing import gap_closed
from mixture_training.src.policy import parse_policy
from mixture_training.src.training_data import FloatArray, TrainingData


def fit_router(
    data: TrainingData,
    classifier: Classifier,
    *,
    policy: str = "quality",
    dataset: Mapping[str, Any] | None = None,
    path: str = "",
    options: Mapping[str, Any] | None = None,
    guard: bool = True,
    seed: int = 0,
) -> Router:
    """Return a router trained on the train rows of `data` and judged on its validation rows.

    Args:
        data: With its splits; test rows are not looked at and not kept.
        classifier: Not yet fitted.
        policy: The router's default.
        dataset: What the dataset's `dataset.json` says (experts with prices and configurations, content hash).
        path: Where the data came from, for the record.
        options: How it was trained, for the record.
        guard: Route to the best single expert, or along the zero router, where routing is not shown to be better.
        seed: Of the bootstrap, and of the parts that calibration is cross-validated by.

    Raises:
        DataError: an expert has no score in train.
        ConfigError: an unknown policy, or something the classifier needs is missing.
    """
    parse_policy(policy)
    train, validation = data.split("train"), data.split("validation")
    classifier.fit(train, validation)
    facts = dict(dataset or {})
    best = best_column(train.scores, train.costs)
    cards = expert_cards(train, facts)
    prices = tuple(card.price for card in cards)
    prediction = classifier.predict(validation.texts)
    costs, assurance = fit_assurance(classifier, train, validation, prediction, prices=prices, guard=guard, seed=seed)
    judged = judge(classifier, costs, validation, prediction, best=best, policy=policy, assurance=assurance, seed=seed)
    return Router(
        classifier=classifier,
        costs=costs,
        experts=cards,
        best_single=train.experts[best],
        default_policy=policy,
        metrics=judged,
        data={
            "path": path,
            "content_hash": facts.get("content_hash"),
            "train_instructions": len(train),
            "validation_instructions": len(validation),
            "scores": int((~np.isnan(train.scores)).sum()),
            "version": 1,
        },
        model_type=classifier.kind,
        options={**(options or {}), "guard": guard, "diagnostics": classifier.diagnostics()},
        assurance=assurance,
        _training=data.take(np.array([split in ("train", "validation") for split in data.splits], dtype=bool)),
    )


def expert_cards(train: TrainingData, dataset: Mapping[str, Any]) -> tuple[ExpertCard, ...]:
    """Return a card per expert, with price and configuration where the dataset tells them."""
    told = {str(expert["name"]): expert for expert in dataset.get("experts", [])}
    scores, costs = train.expert_means(), known_means(train.costs)
    described = train.descriptions or ("",) * len(train.experts)
    return tuple(
        ExpertCard(
            name=name,
            description=described[column],
            price=Price(**(told.get(name, {}).get("price") or {})),
            config=told.get(name, {}).get("config"),
            mean_score=float(scores[column]),
            mean_cost=None if np.isnan(costs[column]) else float(costs[column]),
        )
        for column, name in enumerate(train.experts)
    )


def judge(
    classifier: Classifier,
    costs: CostModel,
    rows: TrainingData,
    prediction: Prediction,
    *,
    best: int,
    policy: str,
    assurance: Assurance | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Return what routing `rows` reaches beside the reference points, JSON-able.

    Args:
        classifier: Fitted.
        costs: Fitted.
        rows: Rows the classifier has not learned from; none gives `{"instructions": 0}`.
        prediction: What the classifier expects for them.
        best: Column of the best single expert, chosen on train.
        policy: The trade-off to route by.
        assurance: What is known about the scores. Routing is judged as if the guard were off, which is told apart.
        seed: Of the bootstrap.
    """
    if not len(rows) or np.isnan(rows.scores).all():
        return {"instructions": 0}
    known = assurance or Assurance()
    prediction = known.expect(prediction)
    expected_costs = costs.predict(rows.texts, prediction)
    distances = known.distances(prediction)
    routing = route(
        prediction.scores, expected_costs, parse_policy(policy), known, distances=distances, heed_guard=False
    )
    chosen = routing.ranking[:, 0]
    single = np.full(len(rows), best, dtype=np.intp)
    ideal = oracle(rows.scores, rows.costs)
    routed, alone, top = (pick(rows.scores, choice) for choice in (chosen, single, ideal))
    ahead = paired_difference(routed, alone, seed=seed)

    def row(scores: FloatArray, paid: FloatArray) -> dict[str, float | None]:
        interval = mean_interval(scores, seed=seed)
        cost = known_means(paid[:, None])[0]
        return {
            "value": interval.value,
            "low": interval.low,
            "high": interval.high,
            "cost": None if np.isnan(cost) else float(cost),
        }

    judged: dict[str, Any] = {
        "instructions": len(rows),
        "policy": policy,
        "best_single_name": rows.experts[best],
        "routed": row(routed, pick(rows.costs, chosen)),
        "best_single": row(alone, pick(rows.costs, single)),
        "random": row(random_values(rows.scores), random_values(rows.costs)),
        "oracle": row(top, pick(rows.costs, ideal)),
        "vs_best_single": {"value": ahead.value, "low": ahead.low, "high": ahead.high},
        "gap_closed": _or_none(gap_closed(routed, alone, top)),
        "unscored": int(np.isnan(routed).sum()),
        "shares": _shares(chosen, rows.experts),
        "ece": _or_none(expected_calibration_error(prediction.scores, rows.scores)),
        "brier": _or_none(brier_score(prediction.scores, rows.scores)),
        "novel_share": None if distances is None else float(routing.is_novel.mean()),
        "cost_error": _cost_error(expected_costs, rows.costs),
        "is_guarded": known.guard is not None and known.guard.stops(parse_policy(policy)),
    }
    if prediction.abilities is not None:
        judged["abilities"] = _judge_abilities(prediction.abilities, classifier.ability_names_, rows)
    return judged


def _cost_error(expected: FloatArray, paid: FloatArray) -> float | None:
    """Return the mean absolute error of expected costs as a share of the mean cost; None where no cost is known."""
    known = ~np.isnan(paid)
    mean = float(paid[known].mean()) if known.any() else 0.0
    return float(np.abs(expected - paid)[known].mean()) / mean if mean > 0.0 else None


def _judge_abilities(probabilities: FloatArray, names: tuple[str, ...], rows: TrainingData) -> dict[str, Any]:
    """Return the F1 of each ability and their mean, over the rows whose abilities are known."""
    truth = ability_targets(rows, names)
    given = probabilities > LIKELY
    each = f1_per_label(truth, given)
    return {
        "instructions": sum(abilities is not None for abilities in rows.abilities),
        "macro_f1": _or_none(macro_f1(truth, given)),
        "f1": {name: _or_none(float(value)) for name, value in zip(names, each, strict=True)},
    }


def _shares(chosen: npt.NDArray[np.intp], experts: tuple[str, ...]) -> dict[str, float]:
    counts = np.bincount(chosen, minlength=len(experts))
    return {name: float(count / len(chosen)) for name, count in zip(experts, counts, strict=True)}


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else value
