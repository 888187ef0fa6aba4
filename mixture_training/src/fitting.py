"""From a dataset and a classifier to a router, judged on the validation rows."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from dataset_build import Price
from mixture_training.src.ability_head import LIKELY, ability_targets
from mixture_training.src.artifacts import ExpertCard, Router
from mixture_training.src.classifier import Classifier
from mixture_training.src.costs import CostModel
from mixture_training.src.metrics.bootstrap import mean_interval, paired_difference
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
        seed: Of the bootstrap.

    Raises:
        DataError: an expert has no score in train.
        ConfigError: an unknown policy, or something the classifier needs is missing.
    """
    parse_policy(policy)
    train, validation = data.split("train"), data.split("validation")
    classifier.fit(train, validation)
    costs = CostModel.fit(train, category_names=classifier.category_names_)
    facts = dict(dataset or {})
    best = best_column(train.scores, train.costs)
    return Router(
        classifier=classifier,
        costs=costs,
        experts=expert_cards(train, facts),
        best_single=train.experts[best],
        default_policy=policy,
        metrics=judge(classifier, costs, validation, best=best, policy=policy, seed=seed),
        data={
            "path": path,
            "content_hash": facts.get("content_hash"),
            "train_instructions": len(train),
            "validation_instructions": len(validation),
            "scores": int((~np.isnan(train.scores)).sum()),
            "version": 1,
        },
        model_type=classifier.kind,
        options={**(options or {}), "diagnostics": classifier.diagnostics()},
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
    classifier: Classifier, costs: CostModel, rows: TrainingData, *, best: int, policy: str, seed: int = 0
) -> dict[str, Any]:
    """Return what routing `rows` reaches beside the reference points, JSON-able.

    Args:
        classifier: Fitted.
        costs: Fitted.
        rows: Rows the classifier has not learned from; none gives `{"instructions": 0}`.
        best: Column of the best single expert, chosen on train.
        policy: The trade-off to route by.
        seed: Of the bootstrap.
    """
    if not len(rows) or np.isnan(rows.scores).all():
        return {"instructions": 0}
    prediction = classifier.predict(rows.texts)
    expected_costs = costs.predict(rows.texts, prediction)
    chosen = parse_policy(policy).choose(prediction.scores, expected_costs)
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
    }
    if prediction.abilities is not None:
        judged["abilities"] = _judge_abilities(prediction.abilities, classifier.ability_names_, rows)
    return judged


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
