"""A language model loaded on this machine with Hugging Face transformers: causal or encoder–decoder."""

import json
import threading
import time
from collections.abc import Sequence
from typing import Literal

from dataset_build.src.errors import (
    ConfigError,
    ExpertCrashedError,
    ExpertError,
    ExpertRefusedError,
    MissingDependencyError,
)
from dataset_build.src.experts.base import DEFAULT_CORE_HOUR_USD, BatchExpert
from dataset_build.src.experts.local_model import LocalModel, find_model, load_model
from dataset_build.src.records import Answer, Instruction, Price


class TransformersLocalExpert(BatchExpert):
    """Answer with a model on this machine, many instructions at a time.

    Its cost is tokens at the price's token rates plus time at its `per_core_hour`: seconds of the clock times threads
    on a CPU, seconds of the clock on a GPU (state the price of the GPU's hour then). A batch's time is shared out by
    tokens. Greedy answers are deterministic; in a batch of another make-up, rounding can turn a near-tie.

    Args:
        name: How the dataset and the router call it.
        model: A folder or a hub id.
        system_prompt: Comes first: as the system message where the model has a chat template, else as plain text.
        max_new_tokens: Tokens an answer may have.
        temperature: 0 is greedy.
        seed: Of the sampling, when the temperature is above 0.
        dtype: "auto" is the checkpoint's own on a GPU and float32 on a CPU.
        device: "cpu", "cuda:1", …; None takes a GPU when there is one.
        revision: A branch, tag or commit on the hub.
        price: None means the stated price of a core on this machine.
        description: One line for people and for routing language models.

    Raises:
        ConfigError: there is no such model, or it cannot write text.
        MissingDependencyError: torch or transformers is not installed.
    """

    provider = "transformers_local"

    def __init__(
        self,
        name: str,
        model: str,
        system_prompt: str | None = None,
        max_new_tokens: int = 256,
        temperature: float = 0.0,
        seed: int = 0,
        dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto",
        device: str | None = None,
        revision: str | None = None,
        *,
        price: Price | None = None,
        description: str = "",
    ) -> None:
        super().__init__(name, price=price or Price(per_core_hour=DEFAULT_CORE_HOUR_USD), description=description)
        if max_new_tokens < 1 or temperature < 0:
            raise ConfigError(f"Expert {name!r}: max_new_tokens must be at least 1 and temperature at least 0.")
        self._where = find_model(model, revision)
        self._model = model
        self._system_prompt = system_prompt
        self._max_new_tokens = max_new_tokens
        self._temperature = temperature
        self._seed = seed
        self._dtype = dtype
        self._device = device
        self._lock = threading.Lock()
        self._loaded: LocalModel | ExpertCrashedError | None = None

    def answer_batch(self, instructions: Sequence[Instruction]) -> list[Answer | ExpertError]:
        """Answer all at once; an instruction longer than the model's context is refused, not cut (`too_long`).

        Raises:
            ExpertCrashedError: the model cannot be loaded, or failed on the batch.
        """
        if not instructions:
            return []
        with self._lock:  # one batch at a time: two would fight for the same cores or the same memory
            local = self._load()
            prompts = [local.prompt(instruction.text, self._system_prompt) for instruction in instructions]
            room = local.room(self._max_new_tokens)
            lengths = local.count_tokens(prompts)
            fitting = [n for n, length in enumerate(lengths) if room is None or length <= room]
            results: list[Answer | ExpertError] = [
                ExpertRefusedError(
                    f"{length} tokens are more than the {room} the model can read", expert=self.name, kind="too_long"
                )
                for length in lengths
            ]
            if fitting:
                ids = [instructions[n].id for n in fitting]
                answers = self._generate(local, [prompts[n] for n in fitting], ids)
                for n, answer in zip(fitting, answers, strict=True):
                    results[n] = answer
        return results

    async def aclose(self) -> None:
        """Let go of the model and its memory."""
        self._loaded = None

    def fingerprint(self) -> str:
        """Return the model, for a folder with the state of its files, and every option that changes an answer."""
        options = {
            "model": self._where.stamp,
            "system_prompt": self._system_prompt,
            "max_new_tokens": self._max_new_tokens,
            "temperature": self._temperature,
            "seed": self._seed if self._temperature else None,
            "dtype": self._dtype,
        }
        return f"{self.provider}:{json.dumps(options, sort_keys=True)}"

    def _load(self) -> LocalModel:
        if self._loaded is None:
            try:
                self._loaded = load_model(self._where, device=self._device, dtype=self._dtype)
            except (ConfigError, MissingDependencyError) as problem:
                self._loaded = ExpertCrashedError(str(problem), expert=self.name, kind="not_loaded")
        if isinstance(self._loaded, ExpertCrashedError):
            raise self._loaded
        return self._loaded

    def _generate(self, local: LocalModel, prompts: list[str], ids: list[str]) -> list[Answer]:
        started = time.perf_counter()
        try:
            texts = local.generate(
                prompts,
                max_new_tokens=self._max_new_tokens,
                temperature=self._temperature,
                seed=f"{self._seed}/{'/'.join(ids)}",
            )
        except (RuntimeError, ValueError, IndexError) as crash:
            reason = " ".join(str(crash).split())
            raise ExpertCrashedError(f"{type(crash).__name__}: {reason}", expert=self.name) from crash
        seconds = time.perf_counter() - started
        total = sum(text.prompt_tokens + text.completion_tokens for text in texts)
        answers = []
        for text in texts:
            share_s = seconds * (text.prompt_tokens + text.completion_tokens) / total
            tokens_usd = self.price.of_tokens(text.prompt_tokens, text.completion_tokens)
            time_usd = self.price.per_core_hour * share_s * local.cores / 3600.0
            answers.append(
                Answer(
                    text=text.text,
                    prompt_tokens=text.prompt_tokens,
                    completion_tokens=text.completion_tokens,
                    cost=tokens_usd + time_usd,
                    latency_s=share_s,
                    model=self._model,
                    finish_reason=text.finish_reason,
                )
            )
        return answers
