"""A non-negative stack of several classifiers, weighted by their predictions for rows they had not learned from."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mixture_training.src.classifier import Classifier, Prediction
from mixture_training.src.encoders.base import Embeddings
from mixture_training.src.stacking import (
    Candidate,
    Stack,
    folds_of,
    out_of_fold,
    stack_weights,
    stacked_out_of_fold,
)
from mixture_training.src.targets import check_learnable
from mixture_training.src.training_data import FloatArray, TrainingData

#: Members by default: ways of learning that err differently.
MEMBERS = (
    "linear:minilm+tfidf+features",
    "kernel:minilm+tfidf+features",
    "hierarchical:minilm+tfidf+features",
    "knn:minilm",
)


class EnsembleClassifier(Classifier):
    """The weighted mean of what its members expect.

    Args:
        encoder: What every member reads instead of its own; None leaves each its own.
        members: `kind:encoder` of each.
        folds: Parts of train that the weights are learned by.
        seed: Of the parts and of the members.
    """

    kind = "ensemble"

    def __init__(
        self, encoder: str | None = None, members: Sequence[str] = MEMBERS, folds: int = 5, seed: int = 0
    ) -> None:
        self.encoder = encoder
        self.members = list(members)
        self.folds = folds
        self.seed = seed

    def fit(self, train: TrainingData, validation: TrainingData) -> "EnsembleClassifier":
        """Learn the weights by cross-validation on `train`, then every member with a weight from all of it."""
        check_learnable(train)
        self.experts_ = train.experts
        self.category_names_, self.ability_names_ = train.category_names, train.ability_names
        candidates = [Candidate.parse(member) for member in self.members]
        if self.encoder is not None:
            candidates = [Candidate(candidate.kind, self.encoder, candidate.options) for candidate in candidates]
        candidates = list(dict.fromkeys(candidates))
        found = out_of_fold(candidates, train, folds=self.folds, seed=self.seed)
        predictions = [part.scores for part in found.values()]
        weights = stack_weights(predictions, train.scores)
        self.out_of_fold_: FloatArray | None = stacked_out_of_fold(
            predictions, train.scores, folds_of(train.texts, self.folds, seed=self.seed)
        )
        chosen = dict(zip(found, weights.tolist(), strict=True))
        self._stack = Stack.fit(chosen, train, validation, seed=self.seed)
        return self

    def predict(self, texts: Sequence[str]) -> Prediction:
        """Return the weighted means."""
        return self._stack.predict(texts)

    def vectors_of(self, texts: Sequence[str]) -> Embeddings:
        """Return the vectors of `texts` that predictions carry, (n, d)."""
        return self._stack.vectors_of(texts)

    def save(self, folder: Path) -> dict[str, Any]:
        """Write every member and encoder."""
        options = {"encoder": self.encoder, "members": self.members, "folds": self.folds, "seed": self.seed}
        return {"options": options, "stack": self._stack.save(folder)}

    @classmethod
    def load(cls, folder: Path, state: dict[str, Any]) -> "EnsembleClassifier":
        """Return the classifier that `save` wrote."""
        classifier = cls(**state["options"])
        classifier._stack = Stack.load(folder, state["stack"])
        classifier.out_of_fold_ = None
        return classifier

    def diagnostics(self) -> dict[str, Any]:
        """Return the weight of each member."""
        return {"weights": {str(candidate): weight for weight, candidate, _ in self._stack.members}}
