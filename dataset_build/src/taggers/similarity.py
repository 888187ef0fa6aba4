"""Abilities by what a text means: the embedded MiniLM beside examples that somebody tagged, or beside descriptions."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dataset_build.src.abilities import COLUMN, KNOWN_ABILITIES, Tagger, check_names, parse_abilities
from dataset_build.src.errors import ConfigError
from dataset_build.src.minilm import MiniLM

Floats = npt.NDArray[np.float64]

#: Tagged examples with, and without, an ability from which on a head is fitted for it.
ENOUGH_EXAMPLES = 5
#: Probability from which on a fitted head gives its ability.
LIKELY = 0.5
#: Inverse strength of the head's L2 penalty, for unit vectors.
_C = 10.0


class SimilarityTagger(Tagger):
    """Gives an ability by a logistic head fitted to tagged examples, or by cosine similarity to texts about it.

    Args:
        abilities: Ability -> a description, or texts that ask for it; without it the known ones, by their description.
        examples: A JSONL, CSV or Parquet file with the columns `instruction` and `abilities`. An ability with at least
            five examples that ask for it and five that do not gets a head of its own.
        threshold: Cosine similarity to its nearest text from which on an ability without a head is given.

    Raises:
        ConfigError: there is no such file, or a name is no name.
        DataError: the file cannot be read.
        MissingDependencyError: the package with the encoder's weights is not installed.
    """

    kind = "similarity"

    def __init__(
        self,
        *,
        abilities: dict[str, str | list[str]] | None = None,
        examples: Path | None = None,
        threshold: float = 0.2,
    ) -> None:
        given = {} if abilities is None and examples is not None else dict(abilities or KNOWN_ABILITIES)
        check_names(given, where="abilities, similarity")
        self._texts = {name: [texts] if isinstance(texts, str) else list(texts) for name, texts in given.items()}
        for name, texts in self._texts.items():
            if not texts or not all(text.strip() for text in texts):
                raise ConfigError(f"abilities, similarity: {name!r} has no text; give a description, or examples.")
        if not 0.0 < threshold <= 1.0:
            raise ConfigError(f"abilities, similarity: threshold is {threshold:g}; it lies above 0 and is at most 1.")
        self._threshold = threshold
        MiniLM.packaged_folder()  # whether it is installed is known before anything is paid
        self._examples = [] if examples is None else _read(examples)
        tagged = {name for _, names in self._examples for name in names}
        self.names = tuple(sorted({*self._texts, *tagged}))
        self._encoder: MiniLM | None = None

    def tag(self, texts: Sequence[str]) -> list[tuple[str, ...] | None]:
        """Return the abilities that are likely, or similar enough; never None."""
        if not texts:
            return []
        if self._encoder is None:
            self._prepare(MiniLM.load())
        assert self._encoder is not None
        vectors = self._encoder.encode(texts).astype(np.float64)
        given = np.column_stack([self._gives(name, vectors) for name in self.names])
        return [tuple(name for name, is_given in zip(self.names, row, strict=True) if is_given) for row in given]

    def facts(self) -> dict[str, Any]:
        """Return the threshold, and for which abilities the examples decided."""
        heads = sorted(self._heads) if self._encoder is not None else []
        return {"threshold": self._threshold, "examples": len(self._examples), "heads": heads}

    def _prepare(self, encoder: MiniLM) -> None:
        self._encoder = encoder
        known = encoder.encode([text for text, _ in self._examples]).astype(np.float64)
        self._heads: dict[str, tuple[Floats, float]] = {}
        self._anchors: dict[str, Floats] = {}
        for name in self.names:
            has_it = np.array([name in names for _, names in self._examples], dtype=bool)
            if min(has_it.sum(), (~has_it).sum()) >= ENOUGH_EXAMPLES:
                self._heads[name] = _fit(known, has_it)
            else:
                about = encoder.encode(self._texts.get(name, [])).astype(np.float64)
                self._anchors[name] = np.concatenate([about, known[has_it]])

    def _gives(self, name: str, vectors: Floats) -> npt.NDArray[np.bool_]:
        if name in self._heads:
            weights, bias = self._heads[name]
            likely: npt.NDArray[np.bool_] = vectors @ weights + bias > np.log(LIKELY / (1 - LIKELY))
            return likely
        similar: npt.NDArray[np.bool_] = (vectors @ self._anchors[name].T).max(axis=1) >= self._threshold
        return similar


def _fit(vectors: Floats, has_it: npt.NDArray[np.bool_]) -> tuple[Floats, float]:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=_C, max_iter=300).fit(vectors, has_it)
    return np.asarray(model.coef_[0], dtype=np.float64), float(model.intercept_[0])


def _read(path: Path) -> list[tuple[str, tuple[str, ...]]]:
    """Return (text, abilities) of every row whose abilities are known."""
    from dataset_build.src.sources.files import FileSource

    found = []
    for instruction in FileSource(path).instructions(seed=0):
        names = parse_abilities(instruction.extra.get(COLUMN), where=f"{path}: {COLUMN}")
        if names is not None:
            found.append((instruction.text, names))
    if not any(names for _, names in found):
        raise ConfigError(f"{path} has no row with abilities; it needs the columns instruction and {COLUMN}.")
    return found
