"""The classifier that does best on the user's own data, found by cross-validation on train.

Every candidate is judged on rows it has not learned from, by what routing by it is worth along the whole trade between
score and cost; so is their stack. Among those within one standard error of the best (Breiman et al., *Classification
and Regression Trees*, 1984, section 3.4.3) the fastest to route by is taken.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dataset_build import ConfigError
from mixture_training.src.classifier import Classifier, Prediction, classifiers
from mixture_training.src.encoders.base import Embeddings
from mixture_training.src.encoders.factory import make_encoder
from mixture_training.src.metrics.curves import cost_weights
from mixture_training.src.metrics.references import known_means, pick
from mixture_training.src.stacking import (
    Candidate,
    OutOfFold,
    Stack,
    folds_of,
    out_of_fold,
    stack_weights,
    stacked_out_of_fold,
)
from mixture_training.src.targets import check_learnable
from mixture_training.src.training_data import FloatArray, TrainingData

logger = logging.getLogger(__name__)

#: What the stack of all candidates is called among them.
STACK = "stack"
#: What is tried, the cheapest to fit first: (candidate, rough seconds a fold on 1,000 rows, power of the rows).
CANDIDATES: tuple[tuple[Candidate, float, float], ...] = (
    (Candidate("linear", "features"), 0.02, 1.0),
    (Candidate("linear", "static+tfidf+features"), 0.1, 1.0),
    (Candidate("hierarchical", "static+tfidf+features", (("residual", "ridge"),)), 0.15, 1.0),
    (Candidate("linear", "minilm+tfidf+features"), 0.1, 1.0),
    (Candidate("hierarchical", "minilm+tfidf+features", (("residual", "ridge"),)), 0.15, 1.0),
    (Candidate("hierarchical", "features", (("residual", "kernel"),)), 0.6, 1.0),
    (Candidate("knn", "minilm"), 0.1, 2.0),
    (Candidate("kernel", "static+tfidf+features"), 0.6, 1.0),
    (Candidate("kernel", "minilm+tfidf+features"), 0.6, 1.0),
    (Candidate("logistic", "minilm+tfidf+features"), 0.4, 1.0),
    (Candidate("hierarchical", "minilm+tfidf+features", (("residual", "kernel"),)), 0.7, 1.0),
    (Candidate("cluster", "minilm"), 0.4, 1.0),
    (Candidate("factorisation", "minilm+tfidf+features"), 0.6, 1.0),
    (Candidate("mlp", "minilm+tfidf+features"), 0.6, 1.0),
    (Candidate("xgboost", "features"), 0.7, 1.0),
)
#: Parts that rows are cross-validated in: of few rows, each part must leave most to learn from.
MANY_FOLDS, FEW_FOLDS, FEW_ROWS = 5, 3, 1_000
#: Rows that are cross-validated on at most; the winner learns from all.
MOST_ROWS = 20_000
#: Trade-offs at which routing is judged, beside `quality`.
TRADE_OFFS = 7
#: Trade-offs differ by at least this factor.
APART = 1.5
#: Two ways to route whose times differ by less than this factor are equally fast.
AS_FAST = 1.5
#: Where fewer of the cells than this are known, routing cannot be judged, and the error of the scores decides.
ENOUGH_KNOWN = 0.5


@dataclass(frozen=True)
class Trial:
    """How a candidate did on rows it had not learned from.

    Attributes:
        name: The candidate.
        value: Score − λ · cost of the chosen expert, half at λ = 0 and half over the other trade-offs; minus the mean
            squared error where too few scores are known.
        behind: How far that is behind the best, paired.
        standard_error: Of `behind`.
        quality: Mean score of the expert with the highest expected score.
        squared_error: Of the expected scores.
        route_s: About the seconds it takes to route one instruction.
        is_chosen: Whether it is what the router uses.
    """

    name: str
    value: float
    behind: float
    standard_error: float
    quality: float
    squared_error: float
    route_s: float
    is_chosen: bool = False


class AutoClassifier(Classifier):
    """The best of many, or their stack.

    Args:
        encoder: What every candidate reads; None lets each read its own.
        time_budget_s: About the seconds that cross-validation may take on two cores; what would take longer is not
            tried. What is tried depends on this and on the data's size, not on how fast the machine is.
        members: `kind:encoder` of what to try; None means `CANDIDATES`.
        seed: Of the parts and of the candidates.
    """

    kind = "auto"

    def __init__(
        self,
        encoder: str | None = None,
        time_budget_s: float = 120.0,
        members: Sequence[str] | None = None,
        seed: int = 0,
    ) -> None:
        self.encoder = encoder
        self.time_budget_s = time_budget_s
        self.members = None if members is None else list(members)
        self.seed = seed
        self._stack = Stack([], {})
        self._settled: dict[Candidate, float] = {}
        self._trials: list[Trial] = []
        self.fit_seconds_: dict[str, float] = {}

    def settled(self) -> "AutoClassifier":
        """Return a classifier that has learned nothing, and will learn what this one chose, without comparing again."""
        again = AutoClassifier(self.encoder, self.time_budget_s, self.members, self.seed)
        again._settled = {candidate: weight for weight, candidate, _ in self._stack.members}
        again._trials = self._trials
        return again

    def fit(self, train: TrainingData, validation: TrainingData) -> "AutoClassifier":
        """Cross-validate, choose, and fit what was chosen to all of `train`."""
        check_learnable(train)
        self.experts_ = train.experts
        self.category_names_, self.ability_names_ = train.category_names, train.ability_names
        sample = train
        if len(train) > MOST_ROWS:
            sample = train.take(np.sort(np.random.default_rng(self.seed).permutation(len(train))[:MOST_ROWS]))
        folds = MANY_FOLDS if len(sample) <= FEW_ROWS else FEW_FOLDS
        weights, held_out = self._learn_again(sample, folds) if self._settled else self._compare(sample, folds)
        self.out_of_fold_: FloatArray | None = held_out if sample is train else None
        self._tell(f"fitting {', '.join(str(candidate) for candidate, weight in weights.items() if weight)}")
        self._stack = Stack.fit(weights, train, validation, seed=self.seed)
        return self

    def _compare(self, sample: TrainingData, folds: int) -> tuple[dict[Candidate, float], FloatArray]:
        """Return the weights of what is to be used, and what that gives the rows it has not learned from."""
        candidates = self._affordable(len(sample), len(sample.experts), folds)
        self._tell(f"comparing {len(candidates)} classifiers on {len(sample):,} rows, about {self._about_s:.0f} s")
        found = out_of_fold(candidates, sample, folds=folds, seed=self.seed, on_step=self._tell)
        if not found:
            raise ConfigError("None of the classifiers to choose from can be used; see the warnings above.")
        fold_of = folds_of(sample.texts, folds, seed=self.seed)
        chosen, self._trials = choose(found, sample, fold_of)
        #: Seconds each candidate's fits took; not saved, so that the same seed gives the same files.
        self.fit_seconds_ = {str(candidate): part.fit_s for candidate, part in found.items()}
        if chosen == STACK:
            parts = [part.scores for part in found.values()]
            weights = dict(zip(found, stack_weights(parts, sample.scores).tolist(), strict=True))
            return weights, stacked_out_of_fold(parts, sample.scores, fold_of)
        (winner,) = (candidate for candidate in found if str(candidate) == chosen)
        return {winner: 1.0}, found[winner].scores

    def _learn_again(self, sample: TrainingData, folds: int) -> tuple[dict[Candidate, float], FloatArray]:
        """Return the same for what was settled on; the guard needs rows not learned from here too."""
        found = out_of_fold(list(self._settled), sample, folds=folds, seed=self.seed)
        if len(found) < len(self._settled):
            raise ConfigError("What this router was made of can no longer be used; see the warnings above.")
        held_out = np.sum([self._settled[candidate] * part.scores for candidate, part in found.items()], axis=0)
        return self._settled, np.asarray(held_out, dtype=np.float64)

    def _affordable(self, rows: int, experts: int, folds: int) -> list[Candidate]:
        """Return what fits into the time budget, the cheapest first."""
        self._about_s = self.time_budget_s
        if self.members is not None:
            given = [Candidate.parse(member) for member in self.members]
            read = [one if self.encoder is None else Candidate(one.kind, self.encoder, one.options) for one in given]
            return list(dict.fromkeys(read))
        kept: list[Candidate] = []
        left = self.time_budget_s
        for candidate, seconds, power in CANDIDATES:
            if self.encoder is not None:
                candidate = Candidate(candidate.kind, self.encoder, candidate.options)
            if candidate.kind not in classifiers or candidate in kept:
                continue
            about = folds * seconds * (rows / 1_000) ** power * max(1.0, experts / 10)
            if about <= left or not kept:
                kept.append(candidate)
                left -= about
        self._about_s = self.time_budget_s - left
        return kept

    def _tell(self, step: str) -> None:
        logger.info("auto: %s", step)

    def predict(self, texts: Sequence[str]) -> Prediction:
        """Return what the winner expects."""
        return self._stack.predict(texts)

    def vectors_of(self, texts: Sequence[str]) -> Embeddings:
        """Return the vectors of `texts` that predictions carry, (n, d)."""
        return self._stack.vectors_of(texts)

    def save(self, folder: Path) -> dict[str, Any]:
        """Write what was chosen, and the table of what was tried."""
        return {
            "options": {
                "encoder": self.encoder,
                "time_budget_s": self.time_budget_s,
                "members": self.members,
                "seed": self.seed,
            },
            "stack": self._stack.save(folder),
        }

    @classmethod
    def load(cls, folder: Path, state: dict[str, Any]) -> "AutoClassifier":
        """Return the classifier that `save` wrote."""
        classifier = cls(**state["options"])
        classifier._stack = Stack.load(folder, state["stack"])
        classifier.out_of_fold_ = None
        return classifier

    def diagnostics(self) -> dict[str, Any]:
        """Return what was chosen and all that was tried."""
        return {
            "chosen": {str(candidate): weight for weight, candidate, _ in self._stack.members},
            "tried": [asdict(trial) for trial in self._trials],
        }


def choose(
    found: Mapping[Candidate, OutOfFold], data: TrainingData, fold_of: npt.NDArray[np.intp]
) -> tuple[str, list[Trial]]:
    """Return the name of what to use, and how every candidate did, the best first.

    Args:
        found: The candidates' predictions for rows they had not learned from.
        data: Those rows.
        fold_of: (n,), the part each is in.
    """
    predictions = {str(candidate): part.scores for candidate, part in found.items()}
    seconds = {str(candidate): make_encoder(candidate.encoder).seconds_per_text for candidate in found}
    if len(found) > 1:
        predictions[STACK] = stacked_out_of_fold(list(predictions.values()), data.scores, fold_of)
        weights = stack_weights([part.scores for part in found.values()], data.scores)
        used = [str(candidate) for candidate, weight in zip(found, weights, strict=True) if weight > 0.0]
        encoders = {candidate.encoder for candidate in found if str(candidate) in used}
        seconds[STACK] = sum(make_encoder(encoder).seconds_per_text for encoder in encoders)
    values = {name: row_values(predicted, data) for name, predicted in predictions.items()}
    best = max(values, key=lambda name: (round(float(np.nanmean(values[name])), 9), -seconds[name]))
    trials = []
    for name, predicted in predictions.items():
        behind = values[best] - values[name]
        behind = behind[~np.isnan(behind)]
        routed = pick(data.scores, predicted.argmax(axis=1))
        trials.append(
            Trial(
                name=name,
                value=float(np.nanmean(values[name])),
                behind=float(behind.mean()),
                standard_error=float(behind.std() / np.sqrt(max(len(behind), 1))),
                quality=float(np.nanmean(routed)) if not np.isnan(routed).all() else float("nan"),
                squared_error=float(np.nanmean((predicted - data.scores) ** 2)),
                route_s=seconds[name],
            )
        )
    eligible = [trial for trial in trials if trial.behind <= trial.standard_error or trial.name == best]
    fastest = min(trial.route_s for trial in eligible)
    fast = [trial for trial in eligible if trial.route_s <= AS_FAST * fastest]
    winner = max(fast, key=lambda trial: trial.value)
    marked = [trial if trial is not winner else Trial(**{**asdict(trial), "is_chosen": True}) for trial in trials]
    return winner.name, sorted(marked, key=lambda trial: trial.behind)


def row_values(predicted: FloatArray, data: TrainingData) -> FloatArray:
    """Return what routing each row by these expected scores is worth, (n,): half at `quality`, half at the trade-offs.

    Costs are taken as known: what is judged are the scores. Where too few scores are known it is minus the row's mean
    squared error; a row without any is NaN.
    """
    known = ~np.isnan(data.scores)
    if known.mean() < ENOUGH_KNOWN:
        errors = np.where(known, (predicted - data.scores) ** 2, 0.0).sum(axis=1)
        return np.where(known.any(axis=1), -errors / np.maximum(known.sum(axis=1), 1), np.nan)
    means = known_means(data.costs)
    usual = np.nan_to_num(means, nan=0.0 if np.isnan(means).all() else float(np.nanmax(means)))
    paid = np.where(np.isnan(data.costs), usual, data.costs)
    weights = trade_offs(data)
    values = []
    for weight in weights:
        utility = np.round(predicted - weight * paid, 12)
        chosen = np.lexsort((paid, -utility), axis=-1)[:, 0]
        values.append(pick(data.scores, chosen) - weight * pick(paid, chosen))
    if len(weights) == 1:
        return np.asarray(values[0], dtype=np.float64)
    return np.asarray(0.5 * values[0] + 0.5 * np.mean(values[1:], axis=0), dtype=np.float64)


def trade_offs(data: TrainingData) -> FloatArray:
    """Return cost weights to judge at: 0 (quality), and those at which single experts change places on average."""
    scores, costs = known_means(data.scores), known_means(data.costs)
    usable = ~(np.isnan(scores) | np.isnan(costs))
    if usable.sum() < 2:
        return np.zeros(1)
    kept = [0.0]
    for weight in cost_weights(scores[usable][None], costs[usable][None], count=TRADE_OFFS):
        if weight > kept[-1] * APART:
            kept.append(float(weight))
    return np.array(kept)
