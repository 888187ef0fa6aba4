"""Boosted trees from an encoder's vectors to the score of each expert.

XGBoost: Chen and Guestrin, 2016. One booster per expert, fitted to the rows that have a score for it, with the
logistic objective on scores in [0, 1]; the number of trees is chosen on validation.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dataset_build import MissingDependencyError
from mixture_training.src.ability_head import AbilityHead
from mixture_training.src.category_head import CategoryHead
from mixture_training.src.classifier import Classifier, Prediction
from mixture_training.src.encoders.base import Embeddings
from mixture_training.src.encoders.factory import load_encoder, make_encoder, save_encoder
from mixture_training.src.targets import as_scores, check_learnable
from mixture_training.src.training_data import FloatArray, TrainingData

if TYPE_CHECKING:
    from xgboost import Booster, DMatrix

#: Fewer scored validation rows than this choose nothing; then all the trees are kept.
_ENOUGH_TO_STOP = 20


class XGBoostClassifier(Classifier):
    """Gradient-boosted trees per expert.

    Args:
        encoder: Name of the encoder.
        rounds: At most this many trees per expert.
        learning_rate: Shrinkage of each tree.
        depth: Of each tree.
        patience: Trees without progress on validation after which it stops.
        seed: Of the sampling of rows and columns.
    """

    kind = "xgboost"

    def __init__(
        self,
        encoder: str = "minilm",
        rounds: int = 300,
        learning_rate: float = 0.08,
        depth: int = 4,
        patience: int = 20,
        seed: int = 0,
    ) -> None:
        self.encoder = encoder
        self.rounds = rounds
        self.learning_rate = learning_rate
        self.depth = depth
        self.patience = patience
        self.seed = seed

    def fit(self, train: TrainingData, validation: TrainingData) -> "XGBoostClassifier":
        """Boost expert by expert; rows without a score for an expert are left out of its trees."""
        _require_xgboost()
        check_learnable(train)
        self.experts_ = train.experts
        self.category_names_, self.ability_names_ = train.category_names, train.ability_names
        self._encoder = make_encoder(self.encoder).fit(train.texts)
        vectors = self._encoder.encode(train.texts)
        held_out = self._encoder.encode(validation.texts)
        self._boosters = [
            self._boost(vectors, train.scores[:, column], held_out, validation.scores[:, column])
            for column in range(len(train.experts))
        ]
        self._categories = CategoryHead.fit(vectors.astype(np.float64), train)
        self._abilities = AbilityHead.fit(vectors.astype(np.float64), train)
        return self

    def predict(self, texts: Sequence[str]) -> Prediction:
        """Return the boosted scores."""
        vectors = self._encoder.encode(texts)
        scores = np.zeros((len(texts), len(self._boosters)))
        if len(texts):
            matrix = _matrix(vectors)
            for column, booster in enumerate(self._boosters):
                scores[:, column] = booster.predict(matrix)
        exact = vectors.astype(np.float64)
        return Prediction(as_scores(scores), self._categories.predict(exact), self._abilities.predict(exact))

    def save(self, folder: Path) -> dict[str, Any]:
        """Write one UBJ file per expert, the encoder and the heads."""
        for column, booster in enumerate(self._boosters):
            booster.save_model(folder / f"expert_{column}.ubj")
        self._categories.save(folder / "categories.npz")
        self._abilities.save(folder)
        return {
            "options": {
                "encoder": self.encoder,
                "rounds": self.rounds,
                "learning_rate": self.learning_rate,
                "depth": self.depth,
                "patience": self.patience,
                "seed": self.seed,
            },
            "experts": len(self._boosters),
            "category_names": list(self._categories.names),
            "ability_names": list(self._abilities.names),
            "saved_encoder": save_encoder(self._encoder, folder / "encoder"),
        }

    @classmethod
    def load(cls, folder: Path, state: dict[str, Any]) -> "XGBoostClassifier":
        """Return the classifier that `save` wrote."""
        _require_xgboost()
        from xgboost import Booster

        classifier = cls(**state["options"])
        classifier._encoder = load_encoder(folder / "encoder", state["saved_encoder"])
        classifier._boosters = []
        for column in range(int(state["experts"])):
            booster = Booster({"nthread": _threads()})
            booster.load_model(folder / f"expert_{column}.ubj")
            classifier._boosters.append(booster)
        classifier._categories = CategoryHead.load(folder / "categories.npz", tuple(state["category_names"]))
        classifier._abilities = AbilityHead.load(folder, tuple(state.get("ability_names", ())))
        return classifier

    def diagnostics(self) -> dict[str, Any]:
        """Return the number of trees of each expert."""
        trees = [booster.num_boosted_rounds() for booster in self._boosters]
        return {"encoder": self.encoder, "trees": dict(zip(self.experts_, trees, strict=True))}

    def _boost(
        self,
        vectors: Embeddings,
        scores: FloatArray,
        held_out: Embeddings,
        held_out_scores: FloatArray,
    ) -> "Booster":
        import xgboost

        known, judged = ~np.isnan(scores), ~np.isnan(held_out_scores)
        data = _matrix(vectors[known], scores[known])
        parameters = {
            "objective": "reg:logistic",
            "eval_metric": "rmse",
            "eta": self.learning_rate,
            "max_depth": self.depth,
            "subsample": 0.8,
            "colsample_bynode": 0.2,
            "min_child_weight": 2.0,
            "lambda": 2.0,
            "max_bin": 64,
            "tree_method": "hist",
            # The mean, away from 0 and 1 where the logistic has no finite start.
            "base_score": float(np.clip(scores[known].mean(), 0.01, 0.99)),
            "seed": self.seed,
            "nthread": _threads(),
        }
        if judged.sum() < _ENOUGH_TO_STOP:
            return xgboost.train(parameters, data, num_boost_round=self.rounds)
        booster = xgboost.train(
            parameters,
            data,
            num_boost_round=self.rounds,
            evals=[(_matrix(held_out[judged], held_out_scores[judged]), "validation")],
            early_stopping_rounds=self.patience,
            verbose_eval=False,
        )
        return booster[: booster.best_iteration + 1]


def _matrix(vectors: Embeddings, scores: npt.NDArray[np.float64] | None = None) -> "DMatrix":
    from xgboost import DMatrix

    return DMatrix(vectors, label=scores, nthread=_threads())


def _threads() -> int:
    return min(8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def _require_xgboost() -> None:
    try:
        import xgboost  # noqa: F401
    except ImportError:
        raise MissingDependencyError('Model type xgboost needs: pip install "moe-toolkit[train]"') from None
