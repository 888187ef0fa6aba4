"""Words and letters of an instruction, weighted by rarity and reduced to a few hundred dimensions.

What a sentence encoder blurs (numbers, symbols, spelling, languages it never saw) stays visible here. TF-IDF:
Salton and Buckley, 1988; its reduction by truncated SVD is latent semantic analysis (Deerwester et al., 1990).
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mixture_training.src.encoders.base import Embeddings, Encoder

#: Places of features, ascending, and how often each occurs.
Counts = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]

_WORD = re.compile(r"\w+|[^\w\s]")
_LETTERS = (2, 3, 4)
#: Text beyond this many characters says nothing new about what is asked.
_MAX_CHARACTERS = 20_000
#: Tokens whose letter groups are remembered, none of them longer than so many characters.
_MOST_REMEMBERED, _LONGEST_REMEMBERED = 50_000, 40


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
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        tokenised = [_tokens(text) for text in texts]
        rare = 2 if len(texts) >= 20 else 1
        words, letters = (
            _frequent((set(features(tokens)) for tokens in tokenised), self.features, rare)
            for features in (_words, _letters)
        )
        self._use(words, letters)
        width = len(words) + len(letters)
        present = [self._counted(tokens) for tokens in tokenised]
        documents = np.zeros(width)
        for index, _ in chain.from_iterable(present):
            documents[index] += 1
        self._idf = (np.log((1 + len(texts)) / (1 + documents)) + 1).astype(np.float32)
        rows = [self._weighted(halves) for halves in present]
        if width > self.dimensions and len(texts) > 1:
            starts = np.cumsum([0, *(len(index) for index, _ in rows)])
            matrix = csr_matrix(
                (np.concatenate([value for _, value in rows]), np.concatenate([index for index, _ in rows]), starts),
                shape=(len(texts), width),
            )
            kept = min(self.dimensions, len(texts) - 1)
            with threadpool_limits(limits=1):  # sums in another order round to other directions
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
            index, value = self._weighted(self._counted(_tokens(text)))
            vector = value @ self._directions[index]
            length = float(np.linalg.norm(vector))
            if length > 1e-9:
                vectors[row] = vector / length
        return vectors

    def save(self, folder: Path) -> dict[str, Any]:
        """Write vocabulary (JSON), rarities and directions (npz)."""
        names = [list(self._word_index), list(self._letter_index)]
        (folder / "vocabulary.json").write_text(json.dumps(names), encoding="ascii")
        np.savez(folder / "tfidf.npz", idf=self._idf, directions=self._directions.astype(np.float16))
        return {"dimensions": self.dimensions, "features": self.features, "seed": self.seed}

    @classmethod
    def load(cls, folder: Path, state: dict[str, Any]) -> "TfidfEncoder":
        """Return the fitted encoder that `save` wrote."""
        encoder = cls(**state)
        words, letters = json.loads((folder / "vocabulary.json").read_text(encoding="ascii"))
        encoder._use(_numbered(words), _numbered(letters))
        with np.load(folder / "tfidf.npz", allow_pickle=False) as arrays:
            encoder._idf = arrays["idf"]
            encoder._directions = arrays["directions"].astype(np.float32)
        return encoder

    def _use(self, words: dict[str, int], letters: dict[str, int]) -> None:
        self._word_index = words
        self._letter_index = letters
        #: Token -> the places of its letter groups: a few thousand tokens make up most of what people write.
        self._remembered: dict[str, tuple[int, ...]] = {}

    def _counted(self, tokens: list[str]) -> tuple[Counts, Counts]:
        """Return (places, how often) of the known features, words and letters apart, in ascending order."""
        known = self._word_index
        words = [known[name] for name in _words(tokens) if name in known]
        letters = list(chain.from_iterable(map(self._letter_places, tokens)))
        word_places, word_counts = np.unique(np.array(words, dtype=np.int64), return_counts=True)
        letter_places, letter_counts = np.unique(np.array(letters, dtype=np.int64), return_counts=True)
        return (word_places, word_counts), (letter_places + len(known), letter_counts)

    def _letter_places(self, token: str) -> tuple[int, ...]:
        places = self._remembered.get(token)
        if places is None:
            known, padded = self._letter_index, f" {token} "
            places = tuple(
                known[padded[start : start + size]]
                for size in _LETTERS
                for start in range(len(padded) - size + 1)
                if padded[start : start + size] in known
            )
            if len(token) <= _LONGEST_REMEMBERED:
                if len(self._remembered) >= _MOST_REMEMBERED:
                    self._remembered = {}
                self._remembered[token] = places
        return places

    def _weighted(self, halves: tuple[Counts, Counts]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        """Return (places, weights): (1 + log count) times rarity, each half scaled to length 1."""
        weights = []
        for places, counts in halves:
            value = (1 + np.log(counts.astype(np.float32))) * self._idf[places]
            weights.append(value / max(float(np.linalg.norm(value)), 1e-9))
        return np.concatenate([places for places, _ in halves]), np.concatenate(weights).astype(np.float32)


def _tokens(text: str) -> list[str]:
    return _WORD.findall(text[:_MAX_CHARACTERS].lower())


def _words(tokens: list[str]) -> list[str]:
    return tokens + [f"{first} {second}" for first, second in pairwise(tokens)]


def _letters(tokens: list[str]) -> Iterator[str]:
    for token in tokens:
        padded = f" {token} "
        for size in _LETTERS:
            yield from (padded[start : start + size] for start in range(len(padded) - size + 1))


def _frequent(texts: Iterable[set[str]], limit: int, rare: int) -> dict[str, int]:
    """Return the `limit` features in the most texts (at least `rare`), ties by name, numbered."""
    documents: Counter[str] = Counter()
    for features in texts:
        documents.update(features)
    kept = sorted((-count, name) for name, count in documents.items() if count >= rare)[:limit]
    return _numbered(sorted(name for _, name in kept))


def _numbered(names: Sequence[str]) -> dict[str, int]:
    return {name: number for number, name in enumerate(names)}
