"""Any Hugging Face encoder, by hub id or folder, mean-pooled."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mixture_training.src.encoders.base import Embeddings, Encoder
from mixture_training.src.pretrained import (
    find_pretrained,
    load_pretrained,
    same_length_batches,
    save_pretrained,
    token_ids,
)


class HuggingFaceEncoder(Encoder):
    """Unit vectors: the mean of a transformer's last hidden states.

    Texts are run together only with texts of the same number of tokens, so nothing is padded and a text's vector
    is its own. On a GPU where there is one.

    Args:
        model: Hub id or folder.
        max_tokens: What of a text is read.
        batch_size: Texts a run.
    """

    kind = "hf"

    def __init__(self, model: str, max_tokens: int = 256, batch_size: int = 32) -> None:
        self.model = model
        self.max_tokens = max_tokens
        self.batch_size = batch_size
        self._parts: tuple[Any, Any] | None = None
        self._fingerprint: str | None = None

    @property
    def seconds_per_text(self) -> float:
        """Roughly what a 60-token text costs on one core, of a small model."""
        return 2e-2

    def fingerprint(self) -> str:
        """Return a hash of the weights, the tokenizer and all else that a vector depends on."""
        if self._fingerprint is None:
            tokenizer, model = self._loaded()
            digest = hashlib.sha256()
            facts = [self.max_tokens, self.batch_size, model.device.type, model.config.model_type]
            digest.update(json.dumps([*facts, sorted(tokenizer.get_vocab().items())]).encode())
            for name, tensor in sorted(model.state_dict().items()):
                digest.update(name.encode())
                digest.update(tensor.detach().cpu().contiguous().numpy().data)
            self._fingerprint = f"hf-{digest.hexdigest()[:32]}"
        return self._fingerprint

    def encode(self, texts: Sequence[str]) -> Embeddings:
        """Return the vectors of `texts`, shape (n, hidden size)."""
        import torch

        tokenizer, model = self._loaded()
        vectors = np.zeros((len(texts), int(model.config.hidden_size)), dtype=np.float32)
        for rows, batch in same_length_batches(token_ids(tokenizer, texts, self.max_tokens), self.batch_size):
            with torch.inference_mode():
                states = model(input_ids=torch.tensor(batch, device=model.device)).last_hidden_state
                pooled = torch.nn.functional.normalize(states.mean(dim=1).float(), dim=1)
            vectors[rows] = pooled.cpu().numpy()
        return vectors

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the tokenizer and the weights (safetensors)."""
        tokenizer, model = self._loaded()
        save_pretrained(tokenizer, model, folder)
        return {"model": self.model, "max_tokens": self.max_tokens, "batch_size": self.batch_size}

    @classmethod
    def load(cls, folder: Path, state: dict[str, Any]) -> "HuggingFaceEncoder":
        """Return the encoder, its weights read from `folder`."""
        encoder = cls(**state)
        encoder._parts = encoder._read(str(folder))
        return encoder

    def _loaded(self) -> tuple[Any, Any]:
        if self._parts is None:
            self._parts = self._read(find_pretrained(self.model))
        return self._parts

    def _read(self, name: str) -> tuple[Any, Any]:
        import torch

        tokenizer, model = load_pretrained(name)
        return tokenizer, model.to("cuda" if torch.cuda.is_available() else "cpu")
