"""Find a Hugging Face generation model: in a folder, in the local cache or on the hub."""

import hashlib
import json
import logging
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from dataset_build.src.errors import ConfigError, MissingDependencyError
from dataset_build.src.hub import call_hub, is_hub_left_alone

logger = logging.getLogger(__name__)

#: Class names of models that write text and have no encoder.
WRITERS = ("CausalLM", "LMHead", "ConditionalGeneration")


@dataclass(frozen=True, slots=True)
class ModelPlace:
    """Where a model is.

    Attributes:
        name: A folder or a hub id, as transformers takes it.
        revision: On the hub.
        is_local: Whether it is a folder.
        stamp: What changes when the model changes, as far as that can be seen without reading it.
    """

    name: str
    revision: str | None
    is_local: bool
    stamp: str

    def source(self, *, local_files_only: bool) -> dict[str, Any]:
        """Return what every `from_pretrained` of it takes besides the name."""
        return {"revision": self.revision or "main", "local_files_only": local_files_only}


def find_model(model: str, revision: str | None = None) -> ModelPlace:
    """Return where `model` is, having read its configuration but no weights.

    A hub id is looked up in the local cache first; the hub is asked only for what is not there. Where it is to be left
    alone, that is taken for granted.

    Raises:
        ConfigError: there is no such model, the hub cannot be reached, or the model cannot write text.
        MissingDependencyError: torch or transformers is not installed.
    """
    if find_spec("torch") is None or find_spec("transformers") is None:
        raise MissingDependencyError(
            f'Running {model!r} on this machine needs torch and transformers: pip install "moe-toolkit[train]"'
        )
    folder = Path(model).expanduser()
    if folder.is_dir():
        config = folder / "config.json"
        if not config.is_file():
            raise ConfigError(f"{model} holds no model: there is no config.json in it.")
        files = sorted([*folder.glob("*.safetensors"), *folder.glob("*.json")])
        states = [f"{file.name}-{file.stat().st_size}-{file.stat().st_mtime_ns}" for file in files]
        digest = hashlib.sha256("/".join(states).encode()).hexdigest()[:16]
        place = ModelPlace(str(folder), None, True, f"{folder.resolve()}@{digest}")
    elif model.startswith(("/", ".", "~")) or model.count("/") > 1:
        raise ConfigError(f"No such model folder: {model}. Give a folder that holds a config.json, or a hub id.")
    else:
        found = _config_of_hub(model, revision)
        place = ModelPlace(model, revision, False, f"{model}@{revision or 'main'}")
        if found is None:
            logger.warning(
                "The model %s is not on this machine; a dry run does not look whether the hub has it.", model
            )
            return place
        config = Path(found)
    _check_writes_text(config, model)
    return place


def _config_of_hub(model: str, revision: str | None) -> str | None:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return str(hf_hub_download(model, "config.json", revision=revision, local_files_only=True))
    except LocalEntryNotFoundError:
        pass
    except ValueError as problem:  # not even the form of a hub id
        raise ConfigError(
            f"No model {model!r}: {problem}. Give a folder that holds a config.json, or a hub id."
        ) from None
    if is_hub_left_alone():
        return None
    return str(call_hub(f"model {model!r}", lambda: hf_hub_download(model, "config.json", revision=revision)))


def _check_writes_text(config: Path, model: str) -> None:
    try:
        facts = json.loads(config.read_text(encoding="utf-8"))
        names = [str(name) for name in facts.get("architectures") or []]
    except (OSError, ValueError, AttributeError) as problem:
        raise ConfigError(f"The config.json of {model!r} cannot be read: {problem}.") from None
    if names and not facts.get("is_encoder_decoder") and not any(word in name for word in WRITERS for name in names):
        raise ConfigError(
            f"Model {model!r} ({', '.join(names)}) does not write text; a causal or encoder-decoder one was expected."
        )
