"""Classifiers that read an encoder's vectors: all but the model of scores itself is the same for each.

A subclass learns scores from vectors (`_fit_scores`), gives them back (`_predict_scores`), and says in arrays what it
learned. Methods that compare many classifiers encode once and use `fit_vectors` and `predict_vectors`.
"""

import inspect
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from mixture_training.src.ability_head import AbilityHead
from mixture_training.src.array_files import save_arrays
from mixture_training.src.category_head import CategoryHead
from mixture_training.src.classifier import Classifier, Prediction
from mixture_training.src.encoders.base import Embeddings, Encoder
from mixture_training.src.encoders.cache import encode_cached
from mixture_training.src.encoders.factory import load_encoder, make_encoder, save_encoder
from mixture_training.src.targets import as_scores, check_learnable
from mixture_training.src.training_data import FloatArray, TrainingData

Arrays = Mapping[str, npt.NDArray[Any]]

_ARRAYS = "scores.npz"


@dataclass(frozen=True)
class Encoded:
    """Instructions with their vectors.

    Attributes:
        vectors: (n, d).
        data: The n rows they belong to.
        categories: (n, C), probabilities of the categories by a head that had not seen the row; None where they are
            not known yet.
    """

    vectors: Embeddings
    data: TrainingData
    categories: FloatArray | None = None

    def __len__(self) -> int:
        return len(self.data)


@dataclass(frozen=True)
class Heads:
    """What tells categories and abilities from vectors; the same for every classifier that reads them."""

    categories: CategoryHead
    abilities: AbilityHead

    @classmethod
    def fit(cls, train: Encoded) -> "Heads":
        """Return the heads that learned from `train`."""
        return cls(CategoryHead.fit(train.vectors, train.data), AbilityHead.fit(train.vectors, train.data))


class VectorClassifier(Classifier):
    """Expected scores from vectors.

    Constructor arguments are hyper-parameters, `encoder` and `seed` among them; every one is an attribute of the same
    name, JSON-able, and saved as it is.
    """

    encoder: str
    seed: int

    def fit(self, train: TrainingData, validation: TrainingData) -> Self:
        """Encode, and learn from every row that has a score."""
        check_learnable(train)
        encoder = make_encoder(self.encoder).fit(train.texts)
        encoded = (Encoded(encode_cached(encoder, rows.texts), rows) for rows in (train, validation))
        return self.fit_vectors(*encoded).with_encoder(encoder)

    def with_encoder(self, encoder: Encoder) -> Self:
        """Use a fitted encoder from now on; returns the classifier."""
        self._encoder = encoder
        return self

    def fit_vectors(self, train: Encoded, validation: Encoded, *, heads: Heads | None = None) -> Self:
        """Learn from vectors; `predict` needs `with_encoder` too.

        Args:
            train: What to learn from.
            validation: For early stopping and choices; may be empty.
            heads: Those for categories and abilities, where they are fitted already.
        """
        check_learnable(train.data)
        heads = heads or Heads.fit(train)
        self.experts_ = train.data.experts
        self._categories, self._abilities = heads.categories, heads.abilities
        self.category_names_, self.ability_names_ = heads.categories.names, heads.abilities.names
        self._fit_scores(train, validation)
        return self

    def predict(self, texts: Sequence[str]) -> Prediction:
        """Return what is expected for `texts`."""
        return self.predict_vectors(self._encoder.encode(texts))

    def vectors_of(self, texts: Sequence[str]) -> Embeddings:
        """Return the vectors of `texts`, (n, d)."""
        return encode_cached(self._encoder, texts)

    def predict_vectors(self, vectors: Embeddings) -> Prediction:
        """Return what is expected for instructions with these vectors, (n, d)."""
        categories = self._categories.predict(vectors)
        scores = self._predict_scores(vectors, categories) if len(vectors) else np.empty((0, len(self.experts_)))
        return Prediction(as_scores(scores), categories, self._abilities.predict(vectors), vectors=vectors)

    @abstractmethod
    def _fit_scores(self, train: Encoded, validation: Encoded) -> None:
        """Learn the scores; NaN scores are missing. `experts_` and `category_names_` are set."""

    @abstractmethod
    def _predict_scores(self, vectors: Embeddings, categories: FloatArray) -> FloatArray:
        """Return expected scores, (n, E), n > 0; values outside [0, 1] are clipped by the caller.

        Args:
            vectors: (n, d).
            categories: (n, C), their probabilities.
        """

    @abstractmethod
    def _arrays(self) -> Arrays:
        """Return all that was learned about scores, by name."""

    @abstractmethod
    def _restore(self, arrays: Arrays) -> None:
        """Take back what `_arrays` returned; `experts_` and `category_names_` are set."""

    def _save_scores(self, folder: Path) -> None:
        """Write the model of scores; overridden where it is no set of arrays."""
        save_arrays(folder / _ARRAYS, self._arrays())

    def _load_scores(self, folder: Path) -> None:
        with np.load(folder / _ARRAYS, allow_pickle=False) as arrays:
            read = {name: arrays[name] for name in arrays.files}
        for name, array in read.items():
            if name != "scores" and array.dtype.kind == "f" and not np.isfinite(array).all():
                raise ValueError(f"{name} in {folder / _ARRAYS} is not finite")
        self._restore(read)

    def save(self, folder: Path) -> dict[str, Any]:
        """Write encoder, model and heads."""
        return {**self.save_heads(folder), "saved_encoder": save_encoder(self._encoder, folder / "encoder")}

    def save_heads(self, folder: Path) -> dict[str, Any]:
        """Write all but the encoder."""
        self._save_scores(folder)
        self._categories.save(folder / "categories.npz")
        self._abilities.save(folder)
        return {
            "options": self.options(),
            "experts": list(self.experts_),
            "category_names": list(self.category_names_),
            "ability_names": list(self.ability_names_),
        }

    @classmethod
    def load(cls, folder: Path, state: dict[str, Any]) -> Self:
        """Return the classifier that `save` wrote."""
        return cls.load_heads(folder, state).with_encoder(load_encoder(folder / "encoder", state["saved_encoder"]))

    @classmethod
    def load_heads(cls, folder: Path, state: dict[str, Any]) -> Self:
        """Return what `save_heads` wrote; `predict` needs `with_encoder`."""
        classifier = cls(**state["options"])
        classifier.experts_ = tuple(state["experts"])
        classifier.category_names_ = tuple(state["category_names"])
        classifier.ability_names_ = tuple(state.get("ability_names", ()))
        classifier._categories = CategoryHead.load(folder / "categories.npz", classifier.category_names_)
        classifier._abilities = AbilityHead.load(folder, classifier.ability_names_)
        classifier._load_scores(folder)
        return classifier

    def options(self) -> dict[str, Any]:
        """Return the hyper-parameters, as the constructor takes them."""
        names = [name for name in inspect.signature(type(self).__init__).parameters if name != "self"]
        return {name: getattr(self, name) for name in names}

    def diagnostics(self) -> dict[str, Any]:
        """Return the encoder; subclasses add what they chose."""
        return {"encoder": self.encoder}
