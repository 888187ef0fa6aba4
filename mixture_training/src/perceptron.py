"""A network with one hidden layer from an encoder's vectors to the scores of all experts.

Trained by cross-entropy of the known scores (of preferences: Bradley and Terry, 1952) until rows it does not learn from
are told no better; several networks, each from another start, are averaged.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mixture_training.src.adam import Adam
from mixture_training.src.cross_entropy import Loss, PreferenceLoss, ScoreLoss, expected_scores
from mixture_training.src.encoders.base import Embeddings
from mixture_training.src.targets import ScoreKind, score_kind, scored_rows
from mixture_training.src.training_data import FloatArray
from mixture_training.src.vector_classifier import Arrays, Encoded, VectorClassifier

#: Share of train that tells when to stop.
_HELD_OUT = 0.15
#: Epochs without progress after which it stops.
_PATIENCE = 6
_RATE, _DECAY = 1e-3, 0.3
#: Share of the hidden units that are silent for a row while learning (Srivastava et al., 2014).
_DROPOUT = 0.3
_BATCH = 64


class Layers(NamedTuple):
    """Weights of a network.

    Attributes:
        inner: (d, h).
        inner_bias: (h,).
        outer: (h, E).
        outer_bias: (E,).
    """

    inner: Embeddings
    inner_bias: Embeddings
    outer: Embeddings
    outer_bias: Embeddings

    def logits(self, vectors: Embeddings) -> FloatArray:
        """Return the network's values, (n, E)."""
        hidden = np.maximum(vectors @ self.inner + self.inner_bias, 0.0)
        return np.asarray(hidden @ self.outer + self.outer_bias, dtype=np.float64)


class PerceptronClassifier(VectorClassifier):
    """The mean of a few small networks.

    Args:
        encoder: Name of the encoder.
        hidden: Units of the hidden layer.
        networks: How many are averaged.
        epochs: Times that each sees every row, at most.
        seed: Of starts, order, silent units and rows left out.
    """

    kind = "mlp"

    def __init__(
        self,
        encoder: str = "minilm+tfidf+features",
        hidden: int = 128,
        networks: int = 3,
        epochs: int = 100,
        seed: int = 0,
    ) -> None:
        self.encoder = encoder
        self.hidden = hidden
        self.networks = networks
        self.epochs = epochs
        self.seed = seed

    def _fit_scores(self, train: Encoded, validation: Encoded) -> None:
        scored = scored_rows(train.data)
        scores = train.data.scores[scored]
        self._kind: ScoreKind = score_kind(scores)
        make = PreferenceLoss.of if self._kind == "preference" else ScoreLoss.of
        vectors = train.vectors[scored]
        self._centre = vectors.mean(axis=0)
        self._scale = np.array(max(float(np.std(vectors - self._centre)), 1e-6), dtype=np.float32)
        vectors, loss = self._standard(vectors), make(scores)
        self._layers, self._epochs_used = [], []
        for chance in np.random.default_rng(self.seed).spawn(self.networks):
            # Validation rows stay unseen: what they say of the router later must not be what stopped the training.
            order = chance.permutation(len(vectors))
            left_out, learned = np.split(order, [int(_HELD_OUT * len(order))])
            held_out, judged = vectors[left_out], loss.take(left_out)
            layers, epochs = self._train(vectors[learned], loss.take(learned), held_out, judged, chance)
            self._layers.append(layers)
            self._epochs_used.append(epochs)

    def _standard(self, vectors: Embeddings) -> Embeddings:
        standard: Embeddings = ((vectors - self._centre) / self._scale).astype(np.float32)
        return standard

    def _train(
        self, vectors: Embeddings, loss: Loss, held_out: Embeddings, judged: Loss, chance: np.random.Generator
    ) -> tuple[Layers, int]:
        """Return the network after the epoch with the smallest loss on `held_out`, and that epoch's number."""
        start, width = loss.start(), vectors.shape[1]
        layers = Layers(
            (chance.standard_normal((width, self.hidden)) * np.sqrt(2.0 / width)).astype(np.float32),
            np.zeros(self.hidden, dtype=np.float32),
            np.zeros((self.hidden, len(start)), dtype=np.float32),
            start.astype(np.float32),
        )
        adam = Adam(layers, _RATE, _DECAY)
        best, kept, kept_epoch = np.inf, Layers(*(array.copy() for array in layers)), 0
        for epoch in range(1, self.epochs + 1):
            order = chance.permutation(len(vectors))
            for begin in range(0, len(order), _BATCH):
                rows = order[begin : begin + _BATCH]
                heard = (chance.random((len(rows), self.hidden)) >= _DROPOUT) / np.float32(1 - _DROPOUT)
                adam.step(_derivatives(layers, vectors[rows], loss.take(rows), heard.astype(np.float32))[1])
            error = judged(layers.logits(held_out))[0] if len(held_out) else -epoch
            if error < best:
                best, kept, kept_epoch = error, Layers(*(array.copy() for array in layers)), epoch
            elif epoch - kept_epoch >= _PATIENCE:
                break
        return kept, kept_epoch

    def _predict_scores(self, vectors: Embeddings, categories: FloatArray) -> FloatArray:
        standard = self._standard(vectors)
        scores: FloatArray = np.mean(
            [expected_scores(layers.logits(standard), self._kind) for layers in self._layers], axis=0
        )
        return scores

    def _arrays(self) -> Arrays:
        stacked = {name: np.stack([getattr(layers, name) for layers in self._layers]) for name in Layers._fields}
        return {**stacked, "centre": self._centre, "scale": self._scale, "kind": np.array(self._kind)}

    def _restore(self, arrays: Arrays) -> None:
        self._layers = [Layers(*parts) for parts in zip(*(arrays[name] for name in Layers._fields), strict=True)]
        self._centre, self._scale, self._kind = arrays["centre"], arrays["scale"], arrays["kind"].item()
        self._epochs_used = []

    def diagnostics(self) -> dict[str, Any]:
        """Return the encoder, what the scores were taken for, and when each network stopped."""
        return {**super().diagnostics(), "scores": self._kind, "epochs": self._epochs_used}


def _derivatives(
    layers: Layers, vectors: Embeddings, loss: Loss, heard: npt.NDArray[np.float32]
) -> tuple[float, Layers]:
    """Return the loss a row and its derivative by every weight.

    Args:
        layers: The network.
        vectors: (n, d).
        loss: Of their logits.
        heard: (n, h), the factor of each hidden unit, 0 where it is silent.
    """
    before = vectors @ layers.inner + layers.inner_bias
    hidden = np.maximum(before, 0.0) * heard
    value, slopes = loss(np.asarray(hidden @ layers.outer + layers.outer_bias, dtype=np.float64))
    outer = (slopes / len(vectors)).astype(layers.outer.dtype)
    inner = (outer @ layers.outer.T) * heard * (before > 0.0)
    return value / len(vectors), Layers(vectors.T @ inner, inner.sum(axis=0), hidden.T @ outer, outer.sum(axis=0))
