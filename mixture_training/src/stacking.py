"""Several classifiers judged on rows they have not learned from, and put together by non-negative weights.

Stacked generalisation (Wolpert, 1992) with weights that are non-negative and sum to 1 (Breiman, "Stacked Regressions",
1996). Every encoder is fitted once a fold, however many classifiers read its vectors.
"""

import hashlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dataset_build import ConfigError
from mixture_training.src.classifier import Prediction, classifiers
from mixture_training.src.encoders.base import Embeddings, Encoder
from mixture_training.src.encoders.cache import encode_cached
from mixture_training.src.encoders.factory import load_encoder, make_encoder, part_names, save_encoder
from mixture_training.src.hierarchical import HierarchicalClassifier, left_out_categories
from mixture_training.src.targets import shrunk_means
from mixture_training.src.training_data import FloatArray, TrainingData
from mixture_training.src.vector_classifier import Encoded, Heads, VectorClassifier

logger = logging.getLogger(__name__)

#: A member with less weight than this is left out.
LEAST_WEIGHT = 0.03


@dataclass(frozen=True)
class Candidate:
    """A classifier that reads vectors, by name.

    Attributes:
        kind: Registered name of a `VectorClassifier`.
        encoder: What it reads.
        options: Further hyper-parameters.
    """

    kind: str
    encoder: str
    options: tuple[tuple[str, Any], ...] = ()

    @classmethod
    def parse(cls, text: str) -> "Candidate":
        """Return the candidate `kind:encoder` names.

        Raises:
            ConfigError: no encoder is given, or the classifier does not read an encoder's vectors.
        """
        kind, _, encoder = text.partition(":")
        if not encoder or not issubclass(classifiers[kind], VectorClassifier):
            raise ConfigError(f"{text!r} cannot be combined; expected CLASSIFIER:ENCODER, such as linear:minilm+tfidf.")
        return cls(kind, encoder)

    def make(self, seed: int) -> VectorClassifier:
        """Return the classifier, not fitted."""
        options: dict[str, Any] = {"encoder": self.encoder, "seed": seed, **dict(self.options)}
        made = classifiers[self.kind](**options)
        assert isinstance(made, VectorClassifier)
        return made

    def __str__(self) -> str:
        chosen = "".join(f",{name}={value}" for name, value in self.options)
        return f"{self.kind}:{self.encoder}{chosen}"


@dataclass(frozen=True)
class OutOfFold:
    """What a candidate gives rows that it has not learned from.

    Attributes:
        scores: (n, E), expected scores.
        fit_s: Seconds all its fits took, encoding left out.
    """

    scores: FloatArray
    fit_s: float


def folds_of(texts: Sequence[str], count: int, *, seed: int) -> npt.NDArray[np.intp]:
    """Return the fold of each text, by hash: texts that are equal share one."""

    def fold(text: str) -> int:
        content = f"{seed} {text}".encode("utf-8", "surrogatepass")
        return int.from_bytes(hashlib.sha256(content).digest()[:8]) % count

    return np.array([fold(text) for text in texts], dtype=np.intp)


def out_of_fold(
    candidates: Sequence[Candidate],
    train: TrainingData,
    *,
    folds: int,
    seed: int,
    on_step: Callable[[str], None] = lambda step: None,
) -> dict[Candidate, OutOfFold]:
    """Return, for every candidate, the predictions for each row by a fit on the folds it is not in.

    An expert without a score in the other folds gets the mean of all scores there. A candidate that cannot be fitted
    (a package is missing, say) is left out, with a warning.

    Args:
        candidates: What to fit.
        train: n rows.
        folds: How many parts.
        seed: Of the parts and of the candidates.
        on_step: Called with what is done now.
    """
    fold_of = folds_of(train.texts, folds, seed=seed)
    scores = {candidate: np.full(train.scores.shape, np.nan) for candidate in candidates}
    spent = dict.fromkeys(candidates, 0.0)
    for fold in np.unique(fold_of):
        on_step(f"part {fold + 1} of {folds}")
        inside = fold_of == fold
        if inside.all():  # all texts are the same: no others are left to learn from
            return {
                name: OutOfFold(shrunk_means(train.scores)[None].repeat(len(train), axis=0), 0.0) for name in scores
            }
        learned, judged = train.take(~inside), train.take(inside)
        means = learned.expert_means()
        known = np.flatnonzero(~np.isnan(means))
        filler = np.nanmean(learned.scores) if len(known) else 0.5
        learned = _with_experts(learned, known)
        parts = _Parts(learned.texts, judged.texts)
        for encoder, group in _by_encoder(list(scores)):
            vectors = [parts.vectors(part) for part in part_names(encoder)]
            seen, unseen = (
                Encoded(np.concatenate(side, axis=1), rows)
                for side, rows in zip(zip(*vectors, strict=True), (learned, judged), strict=True)
            )
            nothing, heads = Encoded(seen.vectors[:0], learned.take([])), Heads.fit(seen)
            if any(candidate.kind == HierarchicalClassifier.kind for candidate in group):
                seen = replace(seen, categories=left_out_categories(seen.vectors, learned, seed=seed))
            for candidate in group:
                started = time.perf_counter()
                try:
                    fitted = candidate.make(seed).fit_vectors(seen, nothing, heads=heads)
                    prediction = fitted.predict_vectors(unseen.vectors)
                except ConfigError as problem:
                    logger.warning("%s is left out: %s", candidate, problem)
                    del scores[candidate]
                    continue
                spent[candidate] += time.perf_counter() - started
                scores[candidate][inside] = filler
                scores[candidate][np.ix_(inside, known)] = prediction.scores
    return {candidate: OutOfFold(found, spent[candidate]) for candidate, found in scores.items()}


class _Parts:
    """The vectors of some rows by each encoder that other encoders are put together from, each made once.

    Args:
        learned: Texts that encoders are fitted to.
        judged: Texts that they are not fitted to.
    """

    def __init__(self, learned: Sequence[str], judged: Sequence[str]) -> None:
        self._learned, self._judged = learned, judged
        self._made: dict[str, tuple[Embeddings, Embeddings]] = {}

    def vectors(self, name: str) -> tuple[Embeddings, Embeddings]:
        """Return the vectors of the learned and of the judged texts, (n, d) each."""
        if name not in self._made:
            encoder = make_encoder(name).fit(self._learned)
            self._made[name] = encode_cached(encoder, self._learned), encode_cached(encoder, self._judged)
        return self._made[name]


def _with_experts(data: TrainingData, columns: npt.NDArray[np.intp]) -> TrainingData:
    """Return `data` with only these experts."""
    if len(columns) == len(data.experts):
        return data
    return replace(
        data,
        experts=tuple(data.experts[column] for column in columns),
        scores=data.scores[:, columns],
        costs=data.costs[:, columns],
        latencies=data.latencies[:, columns],
        descriptions=tuple(data.descriptions[column] for column in columns) if data.descriptions else (),
    )


def _by_encoder(candidates: Sequence[Candidate]) -> Iterator[tuple[str, list[Candidate]]]:
    for encoder in dict.fromkeys(candidate.encoder for candidate in candidates):
        yield encoder, [candidate for candidate in candidates if candidate.encoder == encoder]


def stack_weights(predictions: Sequence[FloatArray], truth: FloatArray) -> FloatArray:
    """Return weights (m,) ≥ 0 that sum to 1, for the smallest squared error of the weighted sum; small ones are 0.

    Args:
        predictions: m of (n, E), for rows not learned from.
        truth: (n, E), NaN where missing.
    """
    from scipy.optimize import nnls

    known = ~np.isnan(truth)
    columns = np.column_stack([prediction[known] for prediction in predictions])
    target = truth[known]
    # With the sum fixed at 1 the residual is Σ w (prediction − truth); a heavy row of ones keeps the sum.
    gram = (columns - target[:, None]).T @ (columns - target[:, None]) / max(len(target), 1)
    root = np.linalg.cholesky(gram + 1e-9 * np.eye(len(gram))).T
    heavy = 1e3
    weights, _ = nnls(np.vstack([root, np.full(len(gram), heavy)]), np.append(np.zeros(len(gram)), heavy))
    weights = np.where(weights / weights.sum() < LEAST_WEIGHT, 0.0, weights)
    return np.asarray(weights / weights.sum(), dtype=np.float64)


def stacked_out_of_fold(
    predictions: Sequence[FloatArray], truth: FloatArray, fold_of: npt.NDArray[np.intp]
) -> FloatArray:
    """Return the stack's predictions for each fold, with weights from the others."""
    stacked = np.empty_like(truth)
    for fold in np.unique(fold_of):
        inside = fold_of == fold
        if inside.all():
            weights = stack_weights(predictions, truth)
        else:
            weights = stack_weights([prediction[~inside] for prediction in predictions], truth[~inside])
        stacked[inside] = sum(
            weight * prediction[inside] for weight, prediction in zip(weights, predictions, strict=True)
        )
    return stacked


class Stack:
    """Fitted classifiers with weights; those that read the same encoder share it."""

    def __init__(
        self, members: Sequence[tuple[float, Candidate, VectorClassifier]], encoders: Mapping[str, Encoder]
    ) -> None:
        self.members = list(members)
        self._encoders = dict(encoders)

    @classmethod
    def fit(
        cls, weights: Mapping[Candidate, float], train: TrainingData, validation: TrainingData, *, seed: int
    ) -> "Stack":
        """Return the candidates with a weight, each fitted to all of `train`."""
        members, encoders = [], {}
        for name, group in _by_encoder([candidate for candidate, weight in weights.items() if weight > 0.0]):
            encoders[name] = encoder = make_encoder(name).fit(train.texts)
            encoded = [Encoded(encode_cached(encoder, rows.texts), rows) for rows in (train, validation)]
            heads = Heads.fit(encoded[0])
            for candidate in group:
                classifier = candidate.make(seed).fit_vectors(*encoded, heads=heads).with_encoder(encoder)
                members.append((weights[candidate], candidate, classifier))
        return cls(members, encoders)

    def encode(self, texts: Sequence[str]) -> dict[str, npt.NDArray[np.float32]]:
        """Return the vectors of every encoder, by its name."""
        return {name: encoder.encode(texts) for name, encoder in self._encoders.items()}

    def vectors_of(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return the vectors of the first encoder, which a prediction carries, (n, d)."""
        return encode_cached(next(iter(self._encoders.values())), texts)

    def predict(self, texts: Sequence[str]) -> Prediction:
        """Return the weighted mean of what the members expect."""
        vectors = self.encode(texts)
        parts = [
            (weight, classifier.predict_vectors(vectors[candidate.encoder]))
            for weight, candidate, classifier in self.members
        ]
        if len(parts) == 1:
            return parts[0][1]
        abilities = [weight * part.abilities for weight, part in parts if part.abilities is not None]
        return Prediction(
            np.clip(sum(weight * part.scores for weight, part in parts), 0.0, 1.0),
            np.sum([weight * part.categories for weight, part in parts], axis=0),
            np.clip(np.sum(abilities, axis=0), 0.0, 1.0) if abilities else None,
            vectors=next(iter(vectors.values())),
        )

    def save(self, folder: Path) -> dict[str, Any]:
        """Write every encoder once and every member into a folder of its own."""
        members, encoders = [], []
        for number, (name, encoder) in enumerate(self._encoders.items()):
            encoders.append({"name": name, "saved": save_encoder(encoder, folder / f"encoder_{number}")})
        for number, (weight, candidate, classifier) in enumerate(self.members):
            place = folder / f"member_{number}"
            place.mkdir()
            members.append(
                {
                    "weight": weight,
                    "kind": candidate.kind,
                    "encoder": candidate.encoder,
                    "options": dict(candidate.options),
                    "state": classifier.save_heads(place),
                }
            )
        return {"encoders": encoders, "members": members}

    @classmethod
    def load(cls, folder: Path, state: Mapping[str, Any]) -> "Stack":
        """Return the stack that `save` wrote."""
        encoders = {
            part["name"]: load_encoder(folder / f"encoder_{number}", part["saved"])
            for number, part in enumerate(state["encoders"])
        }
        members = []
        for number, part in enumerate(state["members"]):
            candidate = Candidate(part["kind"], part["encoder"], tuple(part["options"].items()))
            kind = classifiers[candidate.kind]
            if not issubclass(kind, VectorClassifier):
                raise ValueError(f"{candidate.kind} is no member of a stack")
            classifier = kind.load_heads(folder / f"member_{number}", part["state"])
            members.append((float(part["weight"]), candidate, classifier.with_encoder(encoders[candidate.encoder])))
        weights = [weight for weight, _, _ in members]
        if not weights or not all(weight > 0.0 for weight in weights) or abs(sum(weights) - 1.0) > 1e-6:
            raise ValueError(f"the weights of the stack are {weights}")
        return cls(members, encoders)
