"""How close in meaning an answer is to a reference, by the embedded sentence encoder.

reference "The film was a delight.", answer "A delightful movie."          0.75
reference "The film was a delight.", answer "Water boils at 100 °C."       0.0

Sentence vectors after Reimers and Gurevych, "Sentence-BERT", 2019 (all-MiniLM-L6-v2, English).
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from dataset_build.src.records import Instruction
from dataset_build.src.scorers.base import Scorer, UnscorableError

#: Tokens of a window, by the estimate of `extract_windows`; the encoder reads 256.
_WINDOW = 220
#: Tokens that a character is taken to need: letters come several to a token, other scripts one by one.
_PER_ASCII, _PER_OTHER = 0.3, 1.0
#: References whose vectors are remembered: one is compared with the answers of every expert.
_REMEMBERED = 1024


def extract_windows(text: str) -> list[str]:
    """Return `text` in pieces that the encoder reads whole, cut at white space where there is any.

    >>> extract_windows("  One short text.  ")
    ['One short text.']
    """
    windows, begun, size = [], "", 0.0
    for piece in _pieces(text):
        needed = len(piece) * (_PER_ASCII if piece.isascii() else _PER_OTHER)
        if begun and size + needed > _WINDOW:
            windows.append(begun)
            begun, size = "", 0.0
        begun = f"{begun} {piece}" if begun else piece
        size += needed + _PER_ASCII
    return [*windows, begun] if begun else windows


def _pieces(text: str) -> Iterator[str]:
    for word in text.split():
        for start in range(0, len(word), _WINDOW // 2):
            yield word[start : start + _WINDOW // 2]


class EmbeddingSimilarity(Scorer):
    """The cosine of the two vectors; a negative one is 0.

    Unrelated English texts have a cosine near 0 and so a score near 0, which (1 + cosine) / 2 would call half right.
    The score measures the topic more than the truth: a sentence and its denial are close. A text longer than the
    encoder reads is embedded window by window, and its vector is the mean. An answer without a letter or digit scores
    0, and a blank reference cannot be judged.

    Raises:
        MissingDependencyError: the encoder's weights are not installed.
    """

    metric = "embedding_similarity"
    max_length = 20_000

    def __init__(self) -> None:
        from dataset_build.src.minilm import MiniLM

        self._encoder = MiniLM.load()
        self._remembered: dict[str, npt.NDArray[np.float32]] = {}

    def compare(self, text: str, reference: str, instruction: Instruction) -> float | None:
        """Return the similarity; 1.0 for the reference itself, None when it is blank."""
        if not reference.strip():
            return None
        if text.split() == reference.split():
            return 1.0
        if not any(sign.isalnum() for sign in text):
            return 0.0
        if reference not in self._remembered:
            if len(self._remembered) >= _REMEMBERED:
                self._remembered.clear()
            self._remembered[reference] = self._vector(reference)
        return float(self._vector(text) @ self._remembered[reference])

    def _vector(self, text: str) -> npt.NDArray[np.float32]:
        mean = self._encoder.encode(extract_windows(text)).mean(axis=0)
        length = float(np.linalg.norm(mean))
        if not length:
            raise UnscorableError("the encoder sees nothing in it")
        unit: npt.NDArray[np.float32] = mean / length
        return unit
