"""Load and run a Hugging Face generation model on this machine."""

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from dataset_build.src.errors import ConfigError, ToolkitError
from dataset_build.src.experts.model_place import ModelPlace
from dataset_build.src.experts.model_text import Generated, ModelText
from dataset_build.src.experts.token_choice import SeededChoice, StopAtStrings

#: What torch and its libraries say when memory does not suffice, where the class of the error does not say it.
MEMORY_MESSAGES = (
    "out of memory",
    "not enough memory",
    "can't allocate memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)


@dataclass(frozen=True, slots=True)
class Setup:
    """How a model is loaded.

    Attributes:
        device: "cpu", "cuda:1", …; None takes a GPU when there is one.
        device_map: "auto" or a mapping from modules to devices, in place of a device; spread by accelerate.
        dtype: "auto" is float32 on a CPU, bfloat16 on a GPU that computes in it, else the checkpoint's own.
        attention: The implementation of attention, such as "sdpa"; None leaves it to transformers.
        template_options: Given to the chat template.
    """

    device: str | None = None
    device_map: str | Mapping[str, int | str] | None = None
    dtype: str = "auto"
    attention: str | None = None
    template_options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Writing:
    """How a model writes; `top_p` and `top_k` of None are the model's own, where its author states them.

    Attributes:
        temperature: 0 takes the likeliest token, or what the model's own beam search finds.
    """

    max_new_tokens: int
    temperature: float = 0.0
    top_p: float | None = None
    top_k: int | None = None
    stop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """One text to be written: the tokens before it, and the seed that decides it when it is sampled."""

    tokens: list[int]
    seed: str = ""


def load_model(place: ModelPlace, setup: Setup | None = None) -> "LocalModel":
    """Return the model, ready on its device.

    Weights are read as safetensors only, because the older format is a pickle; no code of the repository is run.

    Raises:
        ConfigError: it cannot be loaded.
    """
    setup = setup or Setup()
    try:
        with _no_progress_bar():
            try:
                return LocalModel(place, setup, local_files_only=True)
            except OSError:
                if place.is_local:
                    raise
        # Not all of it is in the cache. That the hub answers is known from its configuration; its downloads may
        # rightly take long and have time-outs of their own.
        return LocalModel(place, setup, local_files_only=False)
    except ToolkitError:
        raise
    except Exception as problem:  # whatever a damaged folder makes the libraries raise
        reason = " ".join(str(problem).split())[:300] or type(problem).__name__
        raise ConfigError(f"Cannot load model {place.name!r}: {reason}") from problem


class LocalModel:
    """A model and its tokenizer.

    Attributes:
        text: The tokenizer's side.
        on_gpu: Whether its first layer is on an accelerator.
        cores: What a second of the clock costs in core-seconds: the threads on a CPU, else the number of GPUs.
    """

    def __init__(self, place: ModelPlace, setup: Setup, *, local_files_only: bool) -> None:
        import torch
        from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM

        source = place.source(local_files_only=local_files_only)
        config = AutoConfig.from_pretrained(place.name, **source)
        self.text = ModelText(place, template_options=setup.template_options, local_files_only=local_files_only)
        self._is_seq2seq = bool(config.is_encoder_decoder)
        device = torch.device(setup.device or _best_device())
        options: dict[str, Any] = {"dtype": _dtype(setup.dtype, device, config), "use_safetensors": True}
        if setup.attention is not None:
            options["attn_implementation"] = setup.attention
        if setup.device_map is not None:
            options["device_map"] = setup.device_map
        model_class = AutoModelForSeq2SeqLM if self._is_seq2seq else AutoModelForCausalLM
        model = model_class.from_pretrained(place.name, **source, **options).eval()
        if setup.device_map is None:
            model = model.to(device)
        self._model = model
        devices = _devices(model)
        self._device = devices[0]
        self._ends = _ends(model.generation_config.eos_token_id, self.text)
        self._context: int | None = getattr(config.get_text_config(), "max_position_embeddings", None)
        self.on_gpu = self._device.type != "cpu"
        self.cores = len(devices) if self.on_gpu else torch.get_num_threads()

    def room(self, max_new_tokens: int) -> int | None:
        """Return the longest prompt that leaves room for the answer; None where the model has no such limit."""
        if self._context is None:
            return None
        return self._context if self._is_seq2seq else self._context - max_new_tokens

    def width(self, row: Row, writing: Writing) -> int:
        """Return how many tokens the model keeps in memory for a row, at most."""
        beams = 1 if writing.temperature else self._model.generation_config.num_beams or 1
        return (len(row.tokens) + writing.max_new_tokens) * beams

    def generate(self, rows: Sequence[Row], writing: Writing) -> list[Generated] | None:
        """Return one text per row, or None when memory does not suffice for so many."""
        import torch

        inputs = self._padded(rows)
        start = 1 if self._is_seq2seq else inputs["input_ids"].shape[1]
        ends = self._ends | {token for token in map(self.text.special_id, writing.stop) if token is not None}
        strings = [string for string in writing.stop if self.text.special_id(string) is None]
        try:
            with torch.inference_mode():
                output = self._model.generate(
                    **{name: tensor.to(self._device) for name, tensor in inputs.items()},
                    max_new_tokens=writing.max_new_tokens,
                    pad_token_id=self.text.pad_id,
                    eos_token_id=sorted(ends) or None,
                    # The processors below sample; transformers' own sampling would depend on the whole batch.
                    **{"do_sample": False, "temperature": None, "top_p": None, "top_k": None},
                    **self._sampling([row.seed for row in rows], writing, start),
                    **({"stopping_criteria": [StopAtStrings(self.text, strings, start=start)]} if strings else {}),
                )
            written = output[:, start:].tolist()
        except (RuntimeError, MemoryError) as problem:
            if not _is_out_of_memory(problem):
                raise
            written = None
        if written is None:  # the error, and the tensors its traceback held, are gone by now
            release_memory()
            return None
        most = writing.max_new_tokens
        return [self.text.read(tokens, ends=ends, stop=strings, most=most) for tokens in written]

    def _padded(self, rows: Sequence[Row]) -> dict[str, Any]:
        """Return the rows as tensors: what continues a row needs it to end at the right, an encoder to begin left."""
        import torch

        longest = max(len(row.tokens) for row in rows)
        ids = torch.full((len(rows), longest), self.text.pad_id, dtype=torch.long)
        mask = torch.zeros((len(rows), longest), dtype=torch.long)
        for number, row in enumerate(rows):
            size = len(row.tokens)
            place = slice(0, size) if self._is_seq2seq else slice(longest - size, longest)
            ids[number, place] = torch.tensor(row.tokens, dtype=torch.long)
            mask[number, place] = 1
        return {"input_ids": ids, "attention_mask": mask}

    def _sampling(self, seeds: Sequence[str], writing: Writing, start: int) -> dict[str, Any]:
        if not writing.temperature:
            return {}
        from transformers import LogitsProcessorList, TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

        own = self._model.generation_config
        top_k = own.top_k if writing.top_k is None else writing.top_k
        top_p = own.top_p if writing.top_p is None else writing.top_p
        processors: list[Any] = [TemperatureLogitsWarper(float(writing.temperature))]
        if top_k:
            processors.append(TopKLogitsWarper(top_k))
        if top_p is not None and top_p < 1.0:
            processors.append(TopPLogitsWarper(float(top_p)))
        processors.append(SeededChoice(seeds, steps=writing.max_new_tokens, start=start, device=self._device))
        return {"logits_processor": LogitsProcessorList(processors), "num_beams": 1}


def check_device(device: str) -> None:
    """Find out whether this machine has a device.

    Raises:
        ConfigError: it has not, or no device is called so.
    """
    import torch

    try:
        wanted = torch.device(device)
    except RuntimeError:
        raise ConfigError(f"No device {device!r}; 'cpu', 'cuda', 'cuda:1' or 'mps' was expected.") from None
    count = torch.cuda.device_count()
    if wanted.type == "cuda" and (wanted.index or 0) >= count:
        raise ConfigError(f"Device {device!r} was asked for, and torch finds {count} CUDA devices on this machine.")
    if wanted.type == "mps" and not torch.backends.mps.is_available():
        raise ConfigError(f"Device {device!r} was asked for, and torch finds no Metal on this machine.")


def release_memory() -> None:
    """Give memory that nothing uses any more back to the device."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    elif torch.backends.mps.is_available():
        torch.mps.empty_cache()


def _is_out_of_memory(problem: BaseException) -> bool:
    import torch

    if isinstance(problem, MemoryError | torch.cuda.OutOfMemoryError):
        return True
    return any(message in str(problem) for message in MEMORY_MESSAGES)


def _ends(own: int | list[int] | None, text: ModelText) -> frozenset[int]:
    if isinstance(own, list):
        return frozenset(own)
    end = text.end_id if own is None else own
    return frozenset() if end is None else frozenset({end})


def _dtype(name: str, device: Any, config: Any) -> Any:  # noqa: ANN401 - a torch device, a configuration of any model
    import torch

    if name != "auto":
        return getattr(torch, name)
    if device.type == "cpu":
        return torch.float32
    is_quantised = getattr(config, "quantization_config", None) is not None
    # Compute capability 8, the Ampere generation, is the first to compute in bfloat16; older ones emulate it slowly.
    if device.type == "cuda" and not is_quantised and torch.cuda.get_device_capability(device)[0] >= 8:
        return torch.bfloat16
    return "auto"


def _devices(model: Any) -> list[Any]:  # noqa: ANN401
    """Return the accelerators a model is on, the one of its input first; its CPU where there is none."""
    import torch

    spread = getattr(model, "hf_device_map", None) or {}
    named = [place for place in spread.values() if str(place) not in ("cpu", "disk", "meta")]
    devices = [torch.device(place) for place in named]
    return list(dict.fromkeys(devices)) or [torch.device("cpu") if spread else model.device]


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
