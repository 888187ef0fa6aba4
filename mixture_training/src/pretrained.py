"""Names of pretrained transformers, and loading them without ever hanging on the hub.

A hub repository is probed for its small `config.json` under a short deadline first; only when that came are the
tokenizer and the weights, which may rightly take long, asked for.
"""

import logging
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from dataset_build import ConfigError, MiniLM, MissingDependencyError, call_hub

#: The name of the encoder whose weights are installed with the toolkit.
EMBEDDED = "minilm"
#: Hub ids without an organisation, which no rule tells from a misspelt word.
KNOWN_IDS = (
    "albert-base-v2",
    "bert-base-cased",
    "bert-base-multilingual-cased",
    "bert-base-uncased",
    "bert-large-uncased",
    "distilbert-base-uncased",
    "distilroberta-base",
    "roberta-base",
    "roberta-large",
    "xlm-roberta-base",
    "xlm-roberta-large",
)

_PROBE_S, _TOKENIZER_S, _WEIGHTS_S = 6.0, 60.0, 3600.0


def is_pretrained_name(name: str) -> bool:
    """Return whether `name` can be a pretrained model: the embedded one, a folder, `org/name`, or a known id."""
    return (
        name in (EMBEDDED, *KNOWN_IDS)
        or Path(name).expanduser().is_dir()
        or name.startswith((".", "/", "~"))
        or re.fullmatch(r"[\w.-]+/[\w.-]+", name) is not None
    )


def find_pretrained(name: str) -> str:
    """Return a folder or hub id that transformers can load, having made sure that it is there.

    Raises:
        ConfigError: there is no such folder, or the hub has no such model or cannot be reached.
    """
    if name == EMBEDDED:
        return str(MiniLM.packaged_folder())
    folder = Path(name).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise ConfigError(f"{folder} holds no pretrained model: it has no config.json.")
        return str(folder)
    if name.startswith((".", "/", "~")):
        raise ConfigError(f"No such model folder: {folder}. Give a folder with a config.json, or a hub id.")

    def probe() -> object:
        from huggingface_hub import hf_hub_download

        # Its retries are no news: what comes of them is said in one line.
        logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
        return hf_hub_download(name, "config.json", etag_timeout=_PROBE_S)

    try:
        import huggingface_hub  # noqa: F401 - imported here so that its import time is not the hub's
    except ImportError:
        raise _missing() from None
    call_hub(f"model {name!r}", probe, timeout_s=_PROBE_S)
    return name


def load_pretrained(name: str) -> tuple[Any, Any]:
    """Return (tokenizer, model) of a transformer encoder, the model in fp32, on the CPU.

    Args:
        name: What `find_pretrained` returned, or a folder written by `save_pretrained`.

    Raises:
        ConfigError: it cannot be loaded.
        MissingDependencyError: torch or transformers is not installed.
    """
    try:
        import torch
        from transformers import AutoModel, AutoTokenizer
        from transformers.utils import logging as transformers_logging
    except ImportError:
        raise _missing() from None
    transformers_logging.disable_progress_bar()
    local = Path(name).is_dir()
    options: dict[str, Any] = {"local_files_only": local}
    tokenizer = call_hub(
        f"the tokenizer of {name!r}", lambda: AutoTokenizer.from_pretrained(name, **options), timeout_s=_TOKENIZER_S
    )
    # Weights as safetensors only: the older format is a pickle.
    model = call_hub(
        f"the weights of {name!r}",
        lambda: AutoModel.from_pretrained(name, use_safetensors=True, dtype=torch.float32, **options),
        timeout_s=_WEIGHTS_S,
    )
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    positions = getattr(model.config, "max_position_embeddings", None)
    if positions:
        if "roberta" in model.config.model_type:  # its positions are counted from after the padding token
            positions -= int(model.config.pad_token_id or 0) + 1
        tokenizer.model_max_length = min(tokenizer.model_max_length, int(positions))
    return tokenizer, model.eval()


def token_ids(tokenizer: Any, texts: Sequence[str], max_tokens: int) -> list[list[int]]:  # noqa: ANN401
    """Return the token ids of each text, cut to `max_tokens` or to what the model has positions for.

    A text that gives none gets one padding token.
    """
    max_tokens = min(max_tokens, tokenizer.model_max_length)
    rows = []
    for text in texts:
        # A lone surrogate is legal in a Python text and in no tokenizer.
        clean = text[: 100 * max_tokens].encode("utf-8", "replace").decode("utf-8")
        ids = tokenizer(clean, truncation=True, max_length=max_tokens)["input_ids"]
        rows.append([int(token) for token in ids] or [int(tokenizer.pad_token_id or 0)])
    return rows


def same_length_batches(ids: Sequence[list[int]], size: int) -> Iterator[tuple[list[int], list[list[int]]]]:
    """Yield (rows, token ids) of texts with the same number of tokens.

    Nothing is padded, so what a text gives does not depend on the texts beside it.
    """
    by_length: dict[int, list[int]] = defaultdict(list)
    for row, tokens in enumerate(ids):
        by_length[len(tokens)].append(row)
    for rows in by_length.values():
        for start in range(0, len(rows), size):
            part = rows[start : start + size]
            yield part, [ids[row] for row in part]


def save_pretrained(tokenizer: Any, model: Any, folder: Path) -> None:  # noqa: ANN401
    """Write tokenizer and weights (safetensors) so that `load_pretrained` reads them."""
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()  # the Trainer switches it on again
    tokenizer.save_pretrained(folder)
    model.save_pretrained(folder, safe_serialization=True)


def _missing() -> MissingDependencyError:
    return MissingDependencyError(
        'Pretrained transformers need torch and transformers: pip install "moe-toolkit[train]"'
    )
