"""The contract of every instruction classifier: instruction in, expected score per expert out.

Classifiers are fitted to scores, not to the label of the best expert: ties are common, so such a label is
arbitrary, and on recorded data the same model fitted to labels lost 5 to 8 points.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from dataset_build import Registry
from mixture_training.src.training_data import FloatArray, TrainingData


@dataclass(frozen=True)
class Prediction:
    """What a classifier expects for n instructions.

    Attributes:
        scores: Expected score of each expert, (n, E), in [0, 1], never NaN.
        categories: Probability of each category, (n, C), rows summing to 1; C is 0 where none were known.
        abilities: Probability of each ability, (n, A), each in [0, 1]; None where none were known.
        costs: Expected USD of each expert, (n, E), NaN for one whose costs are unknown; None where the classifier does
            not tell and a cost model must.
        vectors: What it read instead of the texts, (n, d); None where it reads no vectors.
    """

    scores: FloatArray
    categories: FloatArray
    abilities: FloatArray | None = None
    costs: FloatArray | None = None
    vectors: npt.NDArray[np.float32] | None = None


class Classifier(ABC):
    """Learns the expected score of each expert for an instruction.

    Constructor arguments are hyper-parameters, stored untouched; all chance comes from `seed`. `fit` sets
    `experts_`, `category_names_` and `ability_names_`, whose order the columns of a `Prediction` follow.
    """

    #: Registered name.
    kind: ClassVar[str] = ""

    experts_: tuple[str, ...]
    category_names_: tuple[str, ...]
    ability_names_: tuple[str, ...] = ()

    @abstractmethod
    def fit(self, train: TrainingData, validation: TrainingData) -> "Classifier":
        """Learn from the rows of `train`; `validation` is for early stopping and choices, and may be empty.

        Scores that are NaN are missing, not zero.
        """

    @abstractmethod
    def predict(self, texts: Sequence[str]) -> Prediction:
        """Return expected scores, category and ability probabilities, a row per text; no text gives zero rows."""

    @abstractmethod
    def save(self, folder: Path) -> dict[str, Any]:
        """Write weights into `folder` (exists, empty) and return the JSON-able rest; no pickle."""

    @classmethod
    @abstractmethod
    def load(cls, folder: Path, state: dict[str, Any]) -> "Classifier":
        """Return the classifier that `save` wrote with this `state`."""

    def vectors_of(self, texts: Sequence[str]) -> npt.NDArray[np.float32] | None:
        """Return the `vectors` of a prediction for `texts`, from the cache where they are; None where it has none."""
        return None

    def diagnostics(self) -> dict[str, Any]:
        """Return JSON-able facts about the fit worth showing (chosen hyper-parameters, counts of fallbacks …)."""
        return {}


classifiers: Registry[Classifier] = Registry(
    "model type",
    {
        "auto": "mixture_training.src.auto:AutoClassifier",
        "ensemble": "mixture_training.src.ensemble:EnsembleClassifier",
        "linear": "mixture_training.src.linear:LinearClassifier",
        "logistic": "mixture_training.src.logistic:LogisticClassifier",
        "kernel": "mixture_training.src.kernel:KernelClassifier",
        "knn": "mixture_training.src.neighbours:NeighboursClassifier",
        "cluster": "mixture_training.src.clusters:ClusterClassifier",
        "factorisation": "mixture_training.src.factorisation:FactorisationClassifier",
        "mlp": "mixture_training.src.perceptron:PerceptronClassifier",
        "contrastive": "mixture_training.src.contrastive:ContrastiveClassifier",
        "hierarchical": "mixture_training.src.hierarchical:HierarchicalClassifier",
        "xgboost": "mixture_training.src.xgb_classifier:XGBoostClassifier",
        "transformer": "mixture_training.src.instruction_classifier:TransformerClassifier",
        "llm": "mixture_training.src.llm_classifier:LLMClassifier",
    },
)
