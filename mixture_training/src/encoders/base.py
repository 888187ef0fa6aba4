"""What an encoder is: texts in, one vector each out."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

Embeddings = npt.NDArray[np.float32]


class Encoder(ABC):
    """Turns texts into vectors.

    A text's vector does not depend on the other texts of the call, so routing one instruction and routing
    a thousand give the same choices.
    """

    #: Registered name.
    kind: ClassVar[str] = ""

    @property
    @abstractmethod
    def seconds_per_text(self) -> float:
        """Roughly what a 60-token text costs on one core: declared, not measured, for choosing the faster of two."""

    def fit(self, texts: Sequence[str]) -> "Encoder":
        """Learn from training texts what the encoder needs (a vocabulary, say); most need nothing."""
        return self

    def fingerprint(self) -> str | None:
        """Return what tells this encoder's vectors from all others', safe as a file name.

        None means they are not to be cached: they depend on the texts it was fitted to, or cost next to nothing.
        """
        return None

    @abstractmethod
    def encode(self, texts: Sequence[str]) -> Embeddings:
        """Return the vectors of `texts`, shape (n, d)."""

    @abstractmethod
    def save(self, folder: Path) -> dict[str, Any]:
        """Write what `load` needs into `folder` (exists, empty) and return the JSON-able rest; no pickle."""

    @classmethod
    @abstractmethod
    def load(cls, folder: Path, state: dict[str, Any]) -> "Encoder":
        """Return the encoder that `save` wrote with this `state`."""


def readable(text: str, most: int) -> str:
    """Return the first `most` characters, a lone surrogate, which no tokenizer takes, as a question mark."""
    head = text[:most]
    return head if head.isascii() else head.encode("utf-8", "replace").decode("utf-8")
