"""Find, load and run a Hugging Face generation model on this machine."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from dataset_build.src.errors import ConfigError, MissingDependencyError, ToolkitError
from dataset_build.src.hub import call_hub

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


@dataclass(frozen=True, slots=True)
class Generated:
    """One generated text; the end-of-text token counts as written."""

    text: str
    prompt_tokens: int
    completion_tokens: int
    finish_reason: str


def find_model(model: str, revision: str | None = None) -> ModelPlace:
    """Return where `model` is, having read its configuration but no weights.

    A hub id is looked up in the local cache first; the hub is asked only for what is not there.

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
        config = Path(_config_of_hub(model, revision))
        place = ModelPlace(model, revision, False, f"{model}@{revision or 'main'}")
    _check_writes_text(config, model)
    return place


def _config_of_hub(model: str, revision: str | None) -> str:
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


def load_model(place: ModelPlace, *, device: str | None = None, dtype: str = "auto") -> "LocalModel":
    """Return the model, ready on its device.

    Weights are read as safetensors only, because the older format is a pickle; no code of the repository is run.

    Raises:
        ConfigError: it cannot be loaded.
    """
    try:
        with _no_progress_bar():
            try:
                return LocalModel(place, device=device, dtype=dtype, local_files_only=True)
            except OSError:
                if place.is_local:
                    raise
        # Not all of it is in the cache. That the hub answers is known from its configuration; its downloads may
        # rightly take long and have time-outs of their own.
        return LocalModel(place, device=device, dtype=dtype, local_files_only=False)
    except ToolkitError:
        raise
    except Exception as problem:  # whatever a damaged folder makes the libraries raise
        reason = " ".join(str(problem).split())[:300] or type(problem).__name__
        raise ConfigError(f"Cannot load model {place.name!r}: {reason}") from problem


class LocalModel:
    """A tokenizer and its model.

    Attributes:
        cores: What a second of the clock costs in core-seconds: the threads on a CPU, 1 on a GPU.
    """

    def __init__(self, place: ModelPlace, *, device: str | None, dtype: str, local_files_only: bool) -> None:
        import torch
        from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer

        common: dict[str, Any] = {"revision": place.revision or "main", "local_files_only": local_files_only}
        config = AutoConfig.from_pretrained(place.name, **common)
        self._is_seq2seq = bool(config.is_encoder_decoder)
        self._device = torch.device(device or _best_device())
        self._tokenizer = AutoTokenizer.from_pretrained(place.name, padding_side="left", **common)
        on_cpu = self._device.type == "cpu"
        chosen = torch.float32 if dtype == "auto" and on_cpu else "auto" if dtype == "auto" else getattr(torch, dtype)
        model_class = AutoModelForSeq2SeqLM if self._is_seq2seq else AutoModelForCausalLM
        model = model_class.from_pretrained(place.name, dtype=chosen, use_safetensors=True, **common)
        self._model = model.to(self._device).eval()
        if self._tokenizer.pad_token is None:  # the padding is masked, so any token will do
            self._tokenizer.pad_token = self._tokenizer.eos_token or self._tokenizer.convert_ids_to_tokens(0)
        ends = self._model.generation_config.eos_token_id
        ends = self._tokenizer.eos_token_id if ends is None else ends
        self._ends = set(ends) if isinstance(ends, list) else {ends}
        self._context: int | None = getattr(config.get_text_config(), "max_position_embeddings", None)
        self.cores = torch.get_num_threads() if on_cpu else 1

    def prompt(self, text: str, system_prompt: str | None) -> str:
        """Return the text the model reads for an instruction, through its chat template where it has one."""
        if not self._tokenizer.chat_template:
            return f"{system_prompt}\n\n{text}" if system_prompt else text
        from jinja2 import TemplateError

        user = {"role": "user", "content": text}
        messages = [{"role": "system", "content": system_prompt}, user] if system_prompt else [user]
        try:
            return self._templated(messages)
        except TemplateError:
            if not system_prompt:
                raise
            # A template that knows no system role, such as Gemma's.
            return self._templated([{"role": "user", "content": f"{system_prompt}\n\n{text}"}])

    def _templated(self, messages: list[dict[str, str]]) -> str:
        return str(self._tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))

    def count_tokens(self, prompts: Sequence[str]) -> list[int]:
        """Return how many tokens each prompt has."""
        return [len(ids) for ids in self._tokenize(prompts)["input_ids"]]

    def _tokenize(self, prompts: Sequence[str], **options: Any) -> Any:  # noqa: ANN401
        # A chat template writes the special tokens itself. Prompts that are too long are refused, not warned about.
        return self._tokenizer(
            list(prompts), add_special_tokens=not self._tokenizer.chat_template, verbose=False, **options
        )

    def room(self, max_new_tokens: int) -> int | None:
        """Return the longest prompt that leaves room for the answer; None where the model has no such limit."""
        if self._context is None:
            return None
        return self._context if self._is_seq2seq else self._context - max_new_tokens

    def generate(
        self, prompts: Sequence[str], *, max_new_tokens: int, temperature: float, seed: str
    ) -> list[Generated]:
        """Return one text per prompt; `seed` decides the samples when the temperature is above 0."""
        import torch

        inputs = self._tokenize(prompts, padding=True, return_tensors="pt", return_token_type_ids=False)
        inputs = inputs.to(self._device)
        sampling: dict[str, Any] = {"do_sample": False, "temperature": None, "top_p": None, "top_k": None}
        if temperature > 0:
            sampling = {"do_sample": True, "temperature": temperature}
        devices = [self._device] if self._device.type == "cuda" else []
        with torch.inference_mode(), torch.random.fork_rng(devices=devices):
            torch.manual_seed(int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8], "big") >> 1)
            output = self._model.generate(
                **inputs, max_new_tokens=max_new_tokens, pad_token_id=self._tokenizer.pad_token_id, **sampling
            )
        start = 1 if self._is_seq2seq else inputs["input_ids"].shape[1]
        read = inputs["attention_mask"].sum(dim=1).tolist()
        return [
            self._generated(written, int(prompt_tokens))
            for written, prompt_tokens in zip(output[:, start:].tolist(), read, strict=True)
        ]

    def _generated(self, written: list[int], prompt_tokens: int) -> Generated:
        end = next((n for n, token in enumerate(written) if token in self._ends), None)
        kept = written if end is None else written[: end + 1]
        text = self._tokenizer.decode(kept, skip_special_tokens=True).strip()
        return Generated(text, prompt_tokens, len(kept), "length" if end is None else "stop")


@contextmanager
def _no_progress_bar() -> Iterator[None]:
    """Keep the loading of weights, which are here already, off the screen."""
    from transformers.utils import logging

    was_enabled = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if was_enabled:
            logging.enable_progress_bar()


def _best_device() -> str:
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"
