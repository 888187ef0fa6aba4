"""Words and letters of an instruction, weighted by rarity and reduced to a few hundred dimensions.

What a sentence encoder blurs (numbers, symbols, spelling, languages it never saw) stays visible here. TF-IDF:
Salton and Buckley, 1988; its reduction by truncated SVD is latent semantic analysis (Deerwester et al., 1990).
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mixture_training.src.encoders.base import Embeddings, Encoder

_WORD = re.compile(r"\w+|[^\w\s]")
_LETTERS = (2, 3, 4)
#: Text beyond this many characters says nothing new about what is asked.
_MAX_CHARACTERS = 20_000


class TfidfEncoder(Encoder):
    """Word 1-2-grams and letter 2-4-grams within words, whose ends count as letters.

    Each half has length 1 before the reduction.

    Args:
        dimensions: Length of a vector, less where there are fewer features than that.
        features: How many of the most frequent words (and as many letter groups) are kept.
        seed: Of the randomised SVD.
    """

    kind = "tfidf"

    def __init__(self, dimensions: int = 256, features: int = 20_000, seed: int = 0) -> None:
        self.dimensions = dimensions
        self.features = features
        self.seed = seed

    @property
    def seconds_per_text(self) -> float:
        """Roughly what a 60-token text costs on one core."""
        return 3e-4

    def fit(self, texts: Sequence[str]) -> "TfidfEncoder":
        """Learn the vocabulary, how rare each feature is, and the directions that keep most of it."""
        from scipy.sparse import csr_matrix
        from sklearn.decomposition import TruncatedSVD

        counts = [(Counter(_words(text)), Counter(_letters(text))) for text in texts]
        rare = 2 if len(texts) >= 20 else 1
        self._vocabulary: tuple[dict[str, int], dict[str, int]] = (
            _frequent([words for words, _ in counts], self.features, rare),
            _frequent([letters for _, letters in counts], self.features, rare),
        )
        width = sum(len(part) for part in self._vocabulary)
        documents = np.zeros(width)
        for pair in counts:
            for index in self._present(pair):
                documents[index] += 1
        self._idf = (np.log((1 + len(texts)) / (1 + documents)) + 1).astype(np.float32)
        rows = [self._weighted(pair) for pair in counts]
        if width > self.dimensions and len(texts) > 1:
            starts = np.cumsum([0, *(len(index) for index, _ in rows)])
            matrix = csr_matrix(
                (np.concatenate([value for _, value in rows]), np.concatenate([index for index, _ in rows]), starts),
                shape=(len(texts), width),
            )
            kept = min(self.dimensions, len(texts) - 1)
            directions = TruncatedSVD(kept, n_iter=3, random_state=self.seed).fit(matrix).components_.T
        else:
            directions = np.eye(width, max(width, 1))  # texts without any word: one dimension, always 0
        # Rounded now, so that a saved encoder gives the very same vectors.
        self._directions = directions.astype(np.float16).astype(np.float32)
        return self

    def encode(self, texts: Sequence[str]) -> Embeddings:
        """Return unit vectors, shape (n, d); a text without any known feature is a zero vector."""
        vectors = np.zeros((len(texts), self._directions.shape[1]), dtype=np.float32)
        for row, text in enumerate(texts):
            index, value = self._weighted((Counter(_words(text)), Counter(_letters(text))))
            vector = value @ self._directions[index]
            length = float(np.linalg.norm(vector))
            if length > 1e-9:
                vectors[row] = vector / length
        return vectors

    def save(self, folder: Path) -> dict[str, Any]:
        """Write vocabulary (JSON), rarities and directions (npz)."""
        names = [list(part) for part in self._vocabulary]
        (folder / "vocabulary.json").write_text(json.dumps(names), encoding="ascii")
        np.savez(folder / "tfidf.npz", idf=self._idf, directions=self._directions.astype(np.float16))
        return {"dimensions": self.dimensions, "features": self.features, "seed": self.seed}

    @classmethod
    def load(cls, folder: Path, state: dict[str, Any]) -> "TfidfEncoder":
        """Return the fitted encoder that `save` wrote."""
        encoder = cls(**state)
        words, letters = json.loads((folder / "vocabulary.json").read_text(encoding="ascii"))
        encoder._vocabulary = (_numbered(words), _numbered(letters))
        with np.load(folder / "tfidf.npz", allow_pickle=False) as arrays:
            encoder._idf = arrays["idf"]
            encoder._directions = arrays["directions"].astype(np.float32)
        return encoder

    def _present(self, pair: tuple[Counter[str], Counter[str]]) -> Iterator[int]:
        offset = 0
        for counter, known in zip(pair, self._vocabulary, strict=True):
            yield from (known[name] + offset for name in counter if name in known)
            offset += len(known)

    def _weighted(
        self, pair: tuple[Counter[str], Counter[str]]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        """Return (indices, weights): (1 + log count) times rarity, each half scaled to length 1."""
        indices, weights, offset = [], [], 0
        for counter, known in zip(pair, self._vocabulary, strict=True):
            found = sorted((known[name], count) for name, count in counter.items() if name in known)
            index = np.array([place for place, _ in found], dtype=np.int64) + offset
            value = (1 + np.log(np.array([count for _, count in found], dtype=np.float32))) * self._idf[index]
            indices.append(index)
            weights.append(value / max(float(np.linalg.norm(value)), 1e-9))
            offset += len(known)
        return np.concatenate(indices), np.concatenate(weights).astype(np.float32)


def _tokens(text: str) -> list[str]:
    return _WORD.findall(text[:_MAX_CHARACTERS].lower())


def _words(text: str) -> Iterator[str]:
    tokens = _tokens(text)
    yield from tokens
    yield from (f"{first} {second}" for first, second in zip(tokens, tokens[1:], strict=False))


def _letters(text: str) -> Iterator[str]:
    for token in _tokens(text):
        padded = f" {token} "
        for size in _LETTERS:
            yield from (padded[start : start + size] for start in range(len(padded) - size + 1))


def _frequent(counters: list[Counter[str]], limit: int, rare: int) -> dict[str, int]:
    """Return the `limit` features in the most texts (at least `rare`), ties by name, numbered."""
    documents: Counter[str] = Counter()
    for counter in counters:
        documents.update(counter.keys())
    kept = sorted((-count, name) for name, count in documents.items() if count >= rare)[:limit]
    return _numbered(sorted(name for _, name in kept))


def _numbered(names: Sequence[str]) -> dict[str, int]:
    return {name: number for number, name in enumerate(names)}
