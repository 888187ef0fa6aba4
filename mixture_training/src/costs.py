"""What a call to each expert is expected to cost, before it is made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mixture_training.src.classifier import Prediction
from mixture_training.src.training_data import FloatArray, TrainingData

#: How many calls at the expert's overall mean each category starts from: shrinks thin categories towards it.
PRIOR_CALLS = 5.0


@dataclass(frozen=True)
class CostModel:
    """Mean observed cost per expert and category, mixed by how likely each category is.

    A category's mean is shrunk towards the expert's overall mean as if `PRIOR_CALLS` calls at that mean had been
    seen too (the posterior mean of a normal with known variance ratio), so a category with few calls does not
    decide by chance.

    Attributes:
        experts: The columns of the matrices.
        category_names: The order in which a `Prediction` lists its categories.
        by_category: (C, E), USD per call.
        overall: (E,), USD per call; an expert none of whose costs is known is taken to cost what the others cost on
            average, and nothing where no cost is known at all.
    """

    experts: tuple[str, ...]
    category_names: tuple[str, ...]
    by_category: FloatArray
    overall: FloatArray

    @classmethod
    def fit(cls, data: TrainingData, *, category_names: Sequence[str] | None = None) -> "CostModel":
        """Learn from the observed costs of `data`; NaN costs are unknown, not zero.

        Args:
            data: The training rows.
            category_names: The classifier's `category_names_`; None means those of `data`, sorted.
        """
        names = tuple(data.category_names if category_names is None else category_names)
        known = ~np.isnan(data.costs)
        paid = np.where(known, data.costs, 0.0)
        overall = _overall(paid.sum(axis=0), known.sum(axis=0))
        by_category = np.empty((len(names), len(data.experts)))
        labels = np.array([category or "" for category in data.categories], dtype=object)
        for row, name in enumerate(names):
            inside = labels == name
            calls = known[inside].sum(axis=0)
            by_category[row] = (paid[inside].sum(axis=0) + PRIOR_CALLS * overall) / (calls + PRIOR_CALLS)
        return cls(data.experts, names, by_category, overall)

    def predict(self, texts: Sequence[str], prediction: Prediction) -> FloatArray:
        """Return the expected USD of each expert for each text, (n, E), never NaN.

        Args:
            texts: The instructions; only their number matters to this model.
            prediction: What the classifier expects for them; without categories the overall means are used.

        Raises:
            ValueError: the prediction lists another number of categories than the model was fitted with.
        """
        if not prediction.categories.shape[1]:
            return np.tile(self.overall, (len(texts), 1))
        if prediction.categories.shape[1] != len(self.category_names):
            raise ValueError(
                f"The cost model knows {len(self.category_names)} categories, "
                f"the prediction lists {prediction.categories.shape[1]}."
            )
        mixed: FloatArray = prediction.categories @ self.by_category
        return mixed

    def to_state(self) -> dict[str, Any]:
        """Return the model as JSON-able values."""
        return {
            "kind": "category_means",
            "experts": list(self.experts),
            "category_names": list(self.category_names),
            "by_category": self.by_category.tolist(),
            "overall": self.overall.tolist(),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> "CostModel":
        """Return the model that `to_state` described."""
        experts, names = tuple(state["experts"]), tuple(state["category_names"])
        by_category = np.asarray(state["by_category"], dtype=np.float64).reshape(len(names), len(experts))
        return cls(experts, names, by_category, np.asarray(state["overall"], dtype=np.float64))


def _overall(paid: FloatArray, calls: FloatArray) -> FloatArray:
    """Return the mean cost per expert, those without any known cost at the mean of the others."""
    means = np.divide(paid, calls, out=np.full(len(paid), np.nan), where=calls > 0)
    known = ~np.isnan(means)
    fallback = float(means[known].mean()) if known.any() else 0.0
    filled: FloatArray = np.where(known, means, fallback)
    return filled
