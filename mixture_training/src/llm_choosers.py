"""A language model picks an expert's name: by the likelihood of each name (local), or as JSON (API)."""

import asyncio
import json
import logging
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from dataset_build import (
    ConfigError,
    Expert,
    ExpertConfig,
    Instruction,
    MissingDependencyError,
    call_expert,
    call_hub,
    load_expert,
    parse_expert,
    validate,
)
from mixture_training.src.pretrained import find_pretrained
from mixture_training.src.targets import softmax
from mixture_training.src.training_data import FloatArray

logger = logging.getLogger(__name__)

LOCAL = "transformers_local"
#: Seconds, further tries and calls in flight for a routing call to an API.
_TIMEOUT_S, _RETRIES, _IN_FLIGHT = 30.0, 2, 16


class Chooser(ABC):
    """Asks a language model which of some names it would choose."""

    @abstractmethod
    def choose(self, prompts: Sequence[str]) -> FloatArray:
        """Return the probability of each name, (n, E); a row of NaN where the answer was outside the list."""


class LikelihoodChooser(Chooser):
    """The probability of a name is how likely a local causal model finds it as the next words.

    Args:
        model: Folder or hub id.
        names: What is chosen from.
        max_tokens: The end of a longer prompt is read.
    """

    def __init__(self, model: str, names: Sequence[str], max_tokens: int = 1536) -> None:
        try:
            import torch
            from transformers import AutoModelForCausalLM, AutoTokenizer
            from transformers.utils import logging as transformers_logging
        except ImportError:
            raise MissingDependencyError(
                'A local routing model needs torch and transformers: pip install "moe-toolkit[train]"'
            ) from None
        transformers_logging.disable_progress_bar()
        found = find_pretrained(model)
        options: dict[str, Any] = {"local_files_only": Path(found).is_dir()}
        self._tokenizer = call_hub(
            f"the tokenizer of {model!r}", lambda: AutoTokenizer.from_pretrained(found, **options), timeout_s=60.0
        )
        self._model = call_hub(
            f"the weights of {model!r}",
            lambda: AutoModelForCausalLM.from_pretrained(found, use_safetensors=True, **options),
            timeout_s=3600.0,
        )
        self._model.to("cuda" if torch.cuda.is_available() else "cpu").eval()
        self._labels = [self._tokenizer(f" {name}", add_special_tokens=False)["input_ids"] for name in names]
        limit = getattr(self._model.config, "max_position_embeddings", None) or max_tokens
        self._room = min(max_tokens, int(limit) - max(len(label) for label in self._labels))
        if self._room < 1:
            raise ConfigError(f"{model!r} reads {limit} tokens, fewer than the experts' names need.")

    def choose(self, prompts: Sequence[str]) -> FloatArray:
        """Return the softmax of each name's mean log-likelihood per token."""
        return softmax(np.array([self._likelihoods(prompt) for prompt in prompts]).reshape(len(prompts), -1))

    def _likelihoods(self, prompt: str) -> FloatArray:
        import torch

        ids = self._prompt_ids(prompt)[-self._room :]
        longest = max(len(label) for label in self._labels)
        rows = torch.zeros((len(self._labels), len(ids) + longest), dtype=torch.long)
        for row, label in enumerate(self._labels):
            rows[row, : len(ids) + len(label)] = torch.tensor([*ids, *label])
        # Padding follows the name, so a causal model never sees it.
        with torch.inference_mode():
            logits = self._model(input_ids=rows.to(self._model.device)).logits[:, len(ids) - 1 : -1].float()
            likelihood = torch.log_softmax(logits, dim=-1).cpu().numpy()
        return np.array(
            [float(np.mean([likelihood[row, i, token] for i, token in enumerate(label)]))
             for row, label in enumerate(self._labels)]
        )  # fmt: skip

    def _prompt_ids(self, prompt: str) -> list[int]:
        clean = prompt.encode("utf-8", "replace").decode("utf-8")
        if getattr(self._tokenizer, "chat_template", None):
            message = [{"role": "user", "content": clean}]
            text = self._tokenizer.apply_chat_template(message, tokenize=False, add_generation_prompt=True)
            ids = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        else:
            ids = self._tokenizer(clean)["input_ids"]
        return [int(token) for token in ids] or [int(self._tokenizer.eos_token_id or 0)]


class AnswerChooser(Chooser):
    """The chosen name is what an expert answers, under a JSON schema that lists the names where it takes one.

    Args:
        expert: Anything that answers.
        names: What is chosen from.
    """

    def __init__(self, expert: Expert, names: Sequence[str]) -> None:
        self._expert = expert
        self._names = list(names)

    def choose(self, prompts: Sequence[str]) -> FloatArray:
        """Return one-hot rows; NaN where the call failed or the answer is no name of the list."""
        # In a thread of its own: the caller may be inside an event loop already.
        with ThreadPoolExecutor(1) as thread:
            answers = thread.submit(lambda: asyncio.run(self._ask(prompts))).result()
        chosen = np.full((len(prompts), len(self._names)), np.nan)
        for row, answer in enumerate(answers):
            name = None if answer is None else parse_choice(answer, self._names)
            if name is not None:
                chosen[row] = 0.0
                chosen[row, self._names.index(name)] = 1.0
        return chosen

    async def _ask(self, prompts: Sequence[str]) -> list[str | None]:
        free = asyncio.Semaphore(_IN_FLIGHT)

        async def one(prompt: str) -> str | None:
            async with free:
                instruction = Instruction.create(prompt)
                response = await call_expert(self._expert, instruction, timeout_s=_TIMEOUT_S, retries=_RETRIES)
            if response.error:
                logger.warning("the routing model did not answer: %s", response.error)
            return response.text

        try:
            return list(await asyncio.gather(*(one(prompt) for prompt in prompts)))
        finally:
            await self._expert.aclose()


def parse_choice(answer: str, names: Sequence[str]) -> str | None:
    """Return the name an answer chooses, or None: `{"expert": name}`, or exactly one name and nothing like it.

    Examples:
        >>> parse_choice('{"expert": "a"}', ["a", "b"])
        'a'
        >>> parse_choice("either a or b", ["a", "b"]) is None
        True
    """
    try:
        parsed = json.loads(answer)
    except ValueError:
        parsed = None
    if isinstance(parsed, dict):
        name = parsed.get("expert")
        return name if name in names else None
    bare = answer.strip().strip("\"'`.")
    if bare in names:
        return bare
    found = {name for name in names if re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", answer)}
    return found.pop() if len(found) == 1 else None


def choice_schema(names: Sequence[str]) -> dict[str, Any]:
    """Return the `response_format` that makes an OpenAI-compatible endpoint answer with one of `names`."""
    schema = {
        "type": "object",
        "properties": {"expert": {"type": "string", "enum": list(names)}},
        "required": ["expert"],
        "additionalProperties": False,
    }
    return {"type": "json_schema", "json_schema": {"name": "choice", "strict": True, "schema": schema}}


def parse_llm(given: str | dict[str, Any]) -> ExpertConfig:
    """Return the configuration of the routing model.

    Args:
        given: `transformers_local:PATH_OR_ID`, a YAML file with one expert, or an `ExpertConfig` as a mapping.

    Raises:
        ConfigError: it is none of these, or stands for several experts.
    """
    if isinstance(given, str):
        configs = parse_expert(given)
        if len(configs) != 1:
            raise ConfigError(f"--llm {given} stands for {len(configs)} experts; exactly one was expected.")
        config = configs[0]
    else:
        config = validate(ExpertConfig, given, where="the routing model")
    model = config.options().get("model")
    if config.provider == LOCAL and isinstance(model, str) and Path(model).expanduser().is_dir():
        # A saved router is used from other folders than the one it was trained in.
        config = config.model_copy(update={"model": str(Path(model).expanduser().resolve())})
    return config


def make_chooser(config: ExpertConfig, names: Sequence[str]) -> Chooser:
    """Return the way to ask the configured model for one of `names`."""
    if config.provider == LOCAL:
        model = config.options().get("model")
        if not isinstance(model, str):
            raise ConfigError(f"The routing model {LOCAL!r} needs a `model`: {LOCAL}:PATH_OR_ID.")
        return LikelihoodChooser(model, names)
    if config.provider == "openai_compatible":
        request = {**(config.options().get("extra_body") or {}), "response_format": choice_schema(names)}
        config = config.model_copy(update={"extra_body": request})
    return AnswerChooser(load_expert(config), names)
