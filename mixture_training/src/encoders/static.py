"""Token vectors distilled from MiniLM, weighted and averaged: numpy and tokenizers only, a tenth of a millisecond."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mixture_training.src.array_files import save_arrays
from mixture_training.src.encoders.base import Embeddings, Encoder, readable
from mixture_training.src.encoders.word_ids import WordIds

if TYPE_CHECKING:
    from tokenizers import Tokenizer

#: Text beyond this many characters is not read.
_MAX_CHARACTERS = 10_000


class StaticEncoder(Encoder):
    """Unit vectors of 256 dimensions; a text without any known token is a zero vector.

    Words count wherever they stand, so it cannot tell "dog bites man" from "man bites dog"; for telling what kind of
    instruction it is, that is rarely needed. The table is made at the first use, which takes about ten seconds, and
    is read from the cache afterwards.
    """

    kind = "static"

    def __init__(self) -> None:
        self._parts: tuple[Tokenizer, Embeddings] | None = None
        self._words: WordIds | None = None

    @property
    def seconds_per_text(self) -> float:
        """Roughly what a 60-token text costs on one core."""
        return 1e-4

    def encode(self, texts: Sequence[str]) -> Embeddings:
        """Return the vectors of `texts`, shape (n, 256)."""
        tokenizer, table = self._loaded()
        vectors = np.zeros((len(texts), table.shape[1]), dtype=np.float32)
        clean = [readable(text, _MAX_CHARACTERS) for text in texts]
        for row, ids in enumerate(self._ids(tokenizer, clean)):
            if ids:
                vectors[row] = table.take(ids, axis=0).sum(axis=0)
        lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))[:, None]
        np.divide(vectors, lengths, out=vectors, where=lengths > 1e-9)
        return vectors

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the table (npz, fp16) and the tokenizer."""
        tokenizer, table = self._loaded()
        save_arrays(folder / "static.npz", {"table": table.astype(np.float16)})
        tokenizer.save(str(folder / "tokenizer.json"))
        return {}

    @classmethod
    def load(cls, folder: Path, state: dict[str, Any]) -> "StaticEncoder":
        """Return the encoder, its table read from `folder`."""
        from mixture_training.src.encoders.static_distillation import read_tokenizer

        encoder = cls()
        with np.load(folder / "static.npz", allow_pickle=False) as arrays:
            table = arrays["table"].astype(np.float32)
        encoder._parts = (read_tokenizer((folder / "tokenizer.json").read_text(encoding="utf-8")), table)
        return encoder

    def _loaded(self) -> "tuple[Tokenizer, Embeddings]":
        if self._parts is None:
            from dataset_build import MiniLM
            from mixture_training.src.encoders.static_distillation import cached_table, read_tokenizer

            file = MiniLM.packaged_folder() / "tokenizer.json"
            self._parts = (read_tokenizer(file.read_text(encoding="utf-8")), cached_table().astype(np.float32))
        return self._parts

    def _ids(self, tokenizer: "Tokenizer", texts: Sequence[str]) -> Iterable[list[int]]:
        if len(texts) > 1:
            return (encoding.ids for encoding in tokenizer.encode_batch_fast(list(texts), add_special_tokens=False))
        if self._words is None:  # one text is not worth waking the library's threads for
            self._words = WordIds(tokenizer)
        return [self._words.of(text) for text in texts]
