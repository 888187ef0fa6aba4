"""The table of the `static` encoder: every token of MiniLM's vocabulary alone through MiniLM, made once and cached.

As model2vec does (Tulkens and van Dongen, 2024): principal components of the tokens' vectors, each weighted by how
rare its token is (Arora et al., "A simple but tough-to-beat baseline for sentence embeddings", 2017).
"""

import hashlib
import io
import logging
import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dataset_build import ConfigError, MiniLM, cache_folder, sha256_of, write_atomically

if TYPE_CHECKING:
    from tokenizers import Tokenizer

logger = logging.getLogger(__name__)

Table = npt.NDArray[np.float16]

DIMENSIONS = 256
#: `a` of the weight a / (a + p) of a token with probability p. Of 1e-4, 1e-3, 1e-2 and no weights, this explained most
#: of the scores on three of four recorded sets, by up to two points of variance; what was routed hardly differed.
SMOOTHING = 1e-2

#: Raise when anything here changes the table, so that an old cached one is not used.
_VERSION = 1
#: Tokens a run of the model; part of what is computed, because a matrix product rounds by its shape.
_BATCH = 256
#: Batches between two lines about the progress.
_REPORT_EVERY = 30


def cached_table() -> Table:
    """Return the table, shape (vocabulary, 256), from the cache, or make it, which takes about ten seconds.

    Raises:
        MissingDependencyError: the package with MiniLM's weights is not installed.
        ConfigError: the cache cannot be written.
    """
    source = MiniLM.packaged_folder() / "model.safetensors"
    file = cache_folder() / f"static-{sha256_of(source)[:12]}-{_VERSION}" / "table.npy"
    recorded = file.with_suffix(".sha256")
    if file.is_file() and recorded.is_file():
        content = file.read_bytes()
        if recorded.read_text(encoding="ascii", errors="replace").strip() == hashlib.sha256(content).hexdigest():
            return _read(content)
        logger.info("%s is damaged and is made again", file)
    stream = io.BytesIO()
    np.save(stream, distil(), allow_pickle=False)
    content = stream.getvalue()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, content)
        write_atomically(recorded, hashlib.sha256(content).hexdigest().encode("ascii"))
    except OSError as problem:
        raise ConfigError(
            f"Cannot write the table of the static encoder to {file.parent} ({problem.strerror}); "
            "set MOE_TOOLKIT_CACHE to a folder that can be written."
        ) from None
    return _read(content)


def distil() -> Table:
    """Return the weighted principal components of every token's vector, shape (vocabulary, 256).

    Tokens that no text holds (padding, unused places, marks of the model's own) get zeros.
    """
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        MiniLM.load("fp32").save(Path(folder))
        tokenizer = read_tokenizer((Path(folder) / "tokenizer.json").read_text(encoding="utf-8"))
        session = _session_for_batches(Path(folder) / "minilm_fp32.onnx")
    names = sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().__getitem__)
    used = np.array([number for number, name in enumerate(names) if not _is_mark(name)])
    vectors = _alone(session, used, first=names.index("[CLS]"), last=names.index("[SEP]"))
    table = np.zeros((len(names), DIMENSIONS), dtype=np.float64)
    table[used] = principal_components(vectors, DIMENSIONS) * rarity_weights(len(used))[:, None]
    logger.info("distilled %d tokens for the static encoder in %.0f s", len(used), time.perf_counter() - started)
    return table.astype(np.float16)


def principal_components(vectors: npt.NDArray[np.floating], dimensions: int) -> npt.NDArray[np.float64]:
    """Return the centred `vectors` in the directions of their largest variance, (n, dimensions).

    A direction's sign is free: the largest of its entries is made positive.
    """
    centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    _, directions = np.linalg.eigh(centred.T @ centred)
    directions = directions[:, ::-1][:, :dimensions]
    largest = directions[np.abs(directions).argmax(axis=0), np.arange(directions.shape[1])]
    components: npt.NDArray[np.float64] = centred @ (directions * np.where(largest < 0, -1.0, 1.0))
    return components


def rarity_weights(tokens: int, smoothing: float = SMOOTHING) -> npt.NDArray[np.float64]:
    """Return the weight of each token of a vocabulary whose order is that of frequency, by Zipf's law."""
    probabilities = 1.0 / np.arange(2, tokens + 2)
    probabilities /= probabilities.sum()
    weights: npt.NDArray[np.float64] = smoothing / (smoothing + probabilities)
    return weights


def read_tokenizer(content: str) -> "Tokenizer":
    """Return a tokenizer that neither pads nor cuts."""
    from tokenizers import Tokenizer

    tokenizer: Tokenizer = Tokenizer.from_str(content)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def _is_mark(name: str) -> bool:
    return name.startswith("[unused") or name in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def _alone(session: Any, tokens: npt.NDArray[np.integer], *, first: int, last: int) -> npt.NDArray[np.float32]:  # noqa: ANN401
    """Return the model's vector of each token by itself, between the marks of start and end."""
    inputs = np.stack([np.full_like(tokens, first), tokens, np.full_like(tokens, last)], axis=1).astype(np.int64)
    batches = [inputs[start : start + _BATCH] for start in range(0, len(inputs), _BATCH)]

    def run(batch: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        vectors: npt.NDArray[np.float32] = session.run(None, {"input_ids": batch})[0]
        return vectors

    done: list[npt.NDArray[np.float32]] = []
    with ThreadPoolExecutor(min(os.cpu_count() or 1, 8)) as pool:
        for vectors in pool.map(run, batches):
            if not len(done) % _REPORT_EVERY:
                logger.info("distilling the static encoder, once: %d %%", 100 * len(done) // len(batches))
            done.append(vectors)
    return np.concatenate(done)


def _session_for_batches(model: Path) -> Any:  # noqa: ANN401
    """Return a session of MiniLM's graph that takes many texts of one length; the file's takes one."""
    import onnx
    import onnxruntime

    graph = onnx.load(model)
    for value in (*graph.graph.input, *graph.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "texts"
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # the same sums in the same order on any number of cores
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _read(content: bytes) -> Table:
    table: Table = np.load(io.BytesIO(content), allow_pickle=False)
    return table
