"""Boosted trees from an encoder's vectors to the score of each expert.

XGBoost: Chen and Guestrin, 2016. One booster per expert, fitted to the rows that have a score for it, with the
logistic objective on scores in [0, 1]; the number of trees is chosen on a part of train.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dataset_build import MissingDependencyError
from mixture_training.src.encoders.base import Embeddings
from mixture_training.src.training_data import FloatArray
from mixture_training.src.vector_classifier import Arrays, Encoded, VectorClassifier

if TYPE_CHECKING:
    from xgboost import Booster, DMatrix

#: Fewer scored rows than this choose no number of trees.
_ENOUGH_TO_STOP = 20
#: Share of train that chooses it.
_HELD_OUT = 0.15


class XGBoostClassifier(VectorClassifier):
    """Gradient-boosted trees per expert.

    Args:
        encoder: Name of the encoder.
        rounds: At most this many trees per expert.
        learning_rate: Shrinkage of each tree.
        depth: Of each tree.
        patience: Trees without progress on a part of train after which it stops.
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

    def _fit_scores(self, train: Encoded, validation: Encoded) -> None:
        _require_xgboost()
        # Validation rows stay unseen: what they say of the router later must not be what chose the number of trees.
        self._boosters = [
            self._boost(train.vectors, train.data.scores[:, column]) for column in range(len(self.experts_))
        ]

    def _predict_scores(self, vectors: Embeddings, categories: FloatArray) -> FloatArray:
        matrix = _matrix(vectors)
        scores: FloatArray = np.column_stack([booster.predict(matrix) for booster in self._boosters])
        return scores

    def _arrays(self) -> Arrays:
        return {}

    def _restore(self, arrays: Arrays) -> None:
        return None

    def _save_scores(self, folder: Path) -> None:
        """Write one UBJ file per expert."""
        for column, booster in enumerate(self._boosters):
            booster.save_model(folder / f"expert_{column}.ubj")

    def _load_scores(self, folder: Path) -> None:
        _require_xgboost()
        from xgboost import Booster

        self._boosters = []
        for column in range(len(self.experts_)):
            booster = Booster({"nthread": _threads()})
            booster.load_model(folder / f"expert_{column}.ubj")
            self._boosters.append(booster)

    def diagnostics(self) -> dict[str, Any]:
        """Return the encoder and the number of trees of each expert."""
        trees = [booster.num_boosted_rounds() for booster in self._boosters]
        return {**super().diagnostics(), "trees": dict(zip(self.experts_, trees, strict=True))}

    def _boost(self, vectors: Embeddings, scores: FloatArray) -> "Booster":
        known = ~np.isnan(scores)
        vectors, scores = vectors[known], scores[known]
        left_out, learned = np.split(
            np.random.default_rng(self.seed).permutation(len(scores)), [int(_HELD_OUT * len(scores))]
        )
        if len(left_out) < _ENOUGH_TO_STOP:
            return self._train(vectors, scores, self.rounds)
        found = self._train(vectors[learned], scores[learned], self.rounds, vectors[left_out], scores[left_out])
        return self._train(vectors, scores, found.num_boosted_rounds())

    def _train(
        self,
        vectors: Embeddings,
        scores: FloatArray,
        rounds: int,
        held_out: Embeddings | None = None,
        held_out_scores: FloatArray | None = None,
    ) -> "Booster":
        """Return `rounds` trees, or as many as are best for the rows held out, none of whose scores is missing."""
        import xgboost

        data = _matrix(vectors, scores)
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
            "base_score": float(np.clip(scores.mean(), 0.01, 0.99)),
            "seed": self.seed,
            "nthread": _threads(),
        }
        if held_out is None:
            return xgboost.train(parameters, data, num_boost_round=rounds)
        booster = xgboost.train(
            parameters,
            data,
            num_boost_round=rounds,
            evals=[(_matrix(held_out, held_out_scores), "validation")],
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
