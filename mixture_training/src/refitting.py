"""A router learned again, from its training data and the feedback whose texts were kept."""

import hashlib
import inspect
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from mixture_training.src.assurance import fit_assurance
from mixture_training.src.auto import AutoClassifier
from mixture_training.src.classifier import Classifier
from mixture_training.src.feedback_store import ScoredInstruction
from mixture_training.src.fitting import judge
from mixture_training.src.training_data import FloatArray, TrainingData

if TYPE_CHECKING:
    from mixture_training.src.artifacts import Router


def refit(router: "Router", base: TrainingData, feedback: Sequence[ScoredInstruction]) -> "Router":
    """Return the router with the same kind of classifier, learned from the base and the feedback."""
    train = with_feedback(base.split("train"), feedback)
    validation = base.split("validation")
    classifier = unfitted(router.classifier).fit(train, validation)
    prices, guard = tuple(card.price for card in router.experts), bool(router.options.get("guard", True))
    prediction = classifier.predict(validation.texts)
    costs, assurance = fit_assurance(classifier, train, validation, prediction, prices=prices, guard=guard)
    best = router.expert_names.index(router.best_single)
    metrics = judge(
        classifier, costs, validation, prediction, best=best, policy=router.default_policy, assurance=assurance
    )
    return replace(
        router,
        classifier=classifier,
        costs=costs,
        assurance=assurance,
        metrics=metrics,
        correction=None,
        _training=base,
    )


def unfitted(classifier: Classifier) -> Classifier:
    """Return a classifier with the same hyper-parameters that has learned nothing; `auto` keeps to what it chose."""
    if isinstance(classifier, AutoClassifier):
        return classifier.settled()
    names = [name for name in inspect.signature(type(classifier).__init__).parameters if name != "self"]
    return type(classifier)(**{name: getattr(classifier, name) for name in names})


def with_feedback(data: TrainingData, feedback: Sequence[ScoredInstruction]) -> TrainingData:
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
        ids=data.ids + tuple(f"feedback-{digest_of(text).hex()[:16]}" for text in texts),
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


def digest_of(text: str) -> bytes:
    """Return the SHA-256 of any text, lone surrogates included."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def share_of(text: str) -> float:
    """Return a number in [0, 1) that depends on the text only."""
    return int.from_bytes(digest_of(text)[:8]) / 2**64
