"""A language model loaded on this machine with Hugging Face transformers: causal or encoder–decoder."""

import json
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib.util import find_spec
from typing import Any, Literal, TypeAlias

from dataset_build.src.errors import (
    ConfigError,
    ExpertCrashedError,
    ExpertError,
    ExpertRefusedError,
    MissingDependencyError,
)
from dataset_build.src.experts.base import DEFAULT_CORE_HOUR_USD, BatchExpert
from dataset_build.src.experts.chat_call import ChatCall, asked_bound
from dataset_build.src.experts.local_chat import writing_for
from dataset_build.src.experts.local_model import (
    LocalModel,
    Row,
    Setup,
    Writing,
    check_device,
    load_model,
    release_memory,
)
from dataset_build.src.experts.micro_batches import MicroBatches
from dataset_build.src.experts.model_place import find_model
from dataset_build.src.experts.model_text import Generated, ModelText, find_text
from dataset_build.src.own_thread import in_thread
from dataset_build.src.records import Answer, CallEstimate, Instruction, Price, Usage, instruction_id
from dataset_build.src.tokens import count_tokens, most_tokens

#: Tokens of a micro-batch, padding and room for the answers included, unless `batch_tokens` says otherwise.
BATCH_TOKENS_CPU, BATCH_TOKENS_GPU = 4096, 16384

#: A text with the seconds it took, or why there is none.
_Outcome: TypeAlias = tuple[Generated, float] | ExpertError


class TransformersLocalExpert(BatchExpert):
    """Answer with a model on this machine, many instructions at a time.

    What is asked together is sorted by length and cut into micro-batches, so that little is computed for padding;
    one that does not fit into memory is halved, and the size that fits is kept.

    Its cost is tokens at the price's token rates plus time at its `per_core_hour`: seconds of the clock times threads
    on a CPU, times GPUs on those (state the price of the GPU's hour then). A micro-batch's time is shared out by
    tokens. Greedy answers are deterministic, and samples depend on seed and instruction alone; only in a micro-batch
    of another make-up can rounding turn a near-tie, more easily in 16 bits than in 32.

    Args:
        name: How the dataset and the router call it.
        model: A folder or a hub id.
        system_prompt: Comes first: as the system message where the model has a chat template, else as plain text.
        max_new_tokens: Tokens an answer may have.
        temperature: 0 is greedy (or the beam search that the model's own generation settings ask for).
        seed: Of the sampling, when the temperature is above 0.
        dtype: "auto" is float32 on a CPU, bfloat16 on a GPU that computes in it, else the checkpoint's own.
        device: "cpu", "cuda:1", …; None takes a GPU when there is one.
        revision: A branch, tag or commit on the hub.
        device_map: In place of `device`: "auto" spreads the model over all GPUs, then over memory and disk; or a
            mapping from modules to devices. Needs accelerate.
        top_p: Sample from the likeliest tokens of this total probability; None is the model's own setting.
        top_k: Sample from so many likeliest tokens, 0 from all; None is the model's own setting.
        n: Samples per instruction; more than one needs a temperature. One without text fails the call as a whole.
        stop: Strings that end an answer and are not part of it.
        chat_template_kwargs: Given to the chat template, such as `{"enable_thinking": false}`.
        attn_implementation: "eager", "sdpa", "flash_attention_2", …; None leaves it to transformers.
        batch_tokens: Tokens of a micro-batch, padding and room for the answers included; what its memory follows.
            None is 4,096 on a CPU and 16,384 on a GPU.
        batch_rows: Texts of a micro-batch, at most.
        price: None means the stated price of a core on this machine.
        description: One line for people and for routing language models.

    Raises:
        ConfigError: there is no such model, it cannot write text, or an option is out of its range.
        MissingDependencyError: torch, transformers or accelerate is not installed.
    """

    provider = "transformers_local"
    #: Batches to hand over at a time: the more instructions there are to sort, the less padding.
    window_batches = 16

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
        device_map: str | dict[str, int | str] | None = None,
        top_p: float | None = None,
        top_k: int | None = None,
        n: int = 1,
        stop: str | list[str] | None = None,
        chat_template_kwargs: dict[str, Any] | None = None,
        attn_implementation: str | None = None,
        batch_tokens: int | None = None,
        batch_rows: int = 64,
        price: Price | None = None,
        description: str = "",
    ) -> None:
        super().__init__(name, price=price or Price(per_core_hour=DEFAULT_CORE_HOUR_USD), description=description)
        stops = (stop,) if isinstance(stop, str) else tuple(stop or ())
        for is_right, expected in (
            (max_new_tokens >= 1 and temperature >= 0, "max_new_tokens must be at least 1 and temperature at least 0"),
            (top_p is None or 0 < top_p <= 1, f"top_p is {top_p}; above 0 and at most 1 was expected"),
            (top_k is None or top_k >= 0, f"top_k is {top_k}; 0 (all tokens) or more was expected"),
            (n >= 1, f"n is {n}; at least 1 was expected"),
            (n == 1 or temperature > 0, f"n is {n}, but at temperature 0 all samples are equal; set a temperature"),
            (all(stops), "a stop string is empty"),
            (
                batch_rows >= 1 and (batch_tokens is None or batch_tokens >= 1),
                "batch_rows and batch_tokens must be at least 1",
            ),
            (device is None or device_map is None, "give either device or device_map"),
        ):
            if not is_right:
                raise ConfigError(f"Expert {name!r}: {expected}.")
        if device_map is not None and find_spec("accelerate") is None:
            raise MissingDependencyError(f'Expert {name!r}: device_map needs accelerate: pip install "accelerate>=1"')
        self._where = find_model(model, revision)
        self.model = model
        self._system_prompt = system_prompt
        self._writing = Writing(max_new_tokens, temperature, top_p, top_k, stops)
        self._seed = seed
        self._samples = n
        self._setup = Setup(device, device_map, dtype, attn_implementation, chat_template_kwargs or {})
        self._batch_tokens = batch_tokens
        self._batch_rows = batch_rows
        self._batches: MicroBatches | None = None
        self._lock = threading.Lock()
        self._loaded: LocalModel | ExpertCrashedError | None = None
        self._text_alone: ModelText | None = None
        self._looked_for_text = False

    def answer_batch(self, instructions: Sequence[Instruction]) -> list[Answer | ExpertError]:
        """Answer all; see `iter_answers`.

        Raises:
            ExpertCrashedError: the model cannot be loaded.
        """
        results = dict(self.iter_answers(instructions))
        return [results[number] for number in range(len(instructions))]

    def iter_answers(self, instructions: Sequence[Instruction]) -> Iterator[tuple[int, Answer | ExpertError]]:
        """Yield the number of an instruction and its result as soon as its micro-batch is finished.

        An instruction longer than the model's context is refused, not cut (`too_long`); one that does not even fit
        into memory alone is an `out_of_memory`; the others go on.

        Raises:
            ExpertCrashedError: the model cannot be loaded.
        """
        if not instructions:
            return
        with self._lock:
            local = self._load()
        prompts = [local.text.prompt(instruction.text, self._system_prompt) for instruction in instructions]
        seeds = [f"{self._seed}/{instruction.id}" for instruction in instructions]
        yield from self._answer_prompts(local, prompts, seeds, self._writing, self._samples)

    async def chat(self, call: ChatCall) -> Answer:
        """Answer a conversation through the model's chat template, in a thread; one at a time.

        Of its options those count that this expert has too: the bound of the answer, temperature, top_p, stop, seed.

        Raises:
            ExpertRefusedError: it is too long (`too_long`), an option is out of its range or the template does not take
                such a conversation (`bad_request`), or the model wrote nothing (`empty_response`).
            ExpertCrashedError: the model cannot be loaded.
        """
        result = await in_thread(lambda: self._chat_now(call))
        if isinstance(result, ExpertError):
            raise result
        return result

    def _chat_now(self, call: ChatCall) -> Answer | ExpertError:
        with self._lock:
            local = self._load()
        writing = writing_for(call, self._writing, expert=self.name)
        try:
            prompt = local.text.conversation(call.messages, self._system_prompt)
        except Exception as problem:  # noqa: BLE001 - a template is a program, and this one refuses the conversation
            said = " ".join(str(problem).split())[:200]
            return ExpertRefusedError(f"its chat template: {said}", expert=self.name, kind="bad_request")
        seed = call.options.get("seed")
        seeds = [f"{self._seed if seed is None else seed}/{instruction_id(None, prompt, None)}"]
        ((_, result),) = self._answer_prompts(local, [prompt], seeds, writing, 1)
        return result

    def _answer_prompts(
        self, local: LocalModel, prompts: Sequence[str], seeds: Sequence[str], writing: Writing, samples: int
    ) -> Iterator[tuple[int, Answer | ExpertError]]:
        room = local.room(writing.max_new_tokens)
        rows: list[Row] = []
        owners: list[int] = []
        for number, (seed, tokens) in enumerate(zip(seeds, local.text.encode(prompts), strict=True)):
            if room is not None and len(tokens) > room:
                message = f"{len(tokens)} tokens are more than the {room} the model can read"
                yield number, ExpertRefusedError(message, expert=self.name, kind="too_long")
                continue
            for sample in range(samples):
                rows.append(Row(tokens, f"{seed}/{sample}"))
                owners.append(number)
        yield from self._answer_rows(local, rows, owners, writing, samples)

    def estimate(self, instruction: Instruction) -> CallEstimate:
        """Return the prompt's tokens, counted by the model's own tokenizer unless that is still on the hub."""
        most_completion = self._samples * self._writing.max_new_tokens
        text = self._text()
        if text is None:
            whole = f"{self._system_prompt}\n\n{instruction.text}" if self._system_prompt else instruction.text
            return CallEstimate(count_tokens(whole), most_tokens(whole), most_completion)
        (tokens,) = text.encode([text.prompt(instruction.text, self._system_prompt)])
        return CallEstimate(len(tokens), len(tokens), most_completion)

    def estimate_chat(self, call: ChatCall) -> CallEstimate:
        """Return the same for a conversation."""
        most_completion = asked_bound(call.options) or self._writing.max_new_tokens
        text = self._text()
        if text is not None:
            with suppress(Exception):  # what its template does not take is said when it is asked
                (tokens,) = text.encode([text.conversation(call.messages, self._system_prompt)])
                return CallEstimate(len(tokens), len(tokens), most_completion)
        plain, system = super().estimate_chat(call), self._system_prompt or ""
        return CallEstimate(
            plain.prompt_tokens + count_tokens(system), plain.most_prompt_tokens + most_tokens(system), most_completion
        )

    def check(self) -> None:
        """Find out whether this machine has the device that was asked for.

        Raises:
            ConfigError: it has not.
        """
        if self._setup.device is not None:
            check_device(self._setup.device)

    async def aclose(self) -> None:
        """Let go of the model and its memory; a thread that is answering stops after its micro-batch."""
        was_loaded = isinstance(self._loaded, LocalModel)
        self._loaded = None
        if was_loaded:
            release_memory()

    def fingerprint(self) -> str:
        """Return the model, for a folder with the state of its files, and every option that changes an answer."""
        is_sampling = self._writing.temperature > 0
        options = {
            "model": self._where.stamp,
            "system_prompt": self._system_prompt,
            "max_new_tokens": self._writing.max_new_tokens,
            "temperature": self._writing.temperature,
            "top_p": self._writing.top_p if is_sampling else None,
            "top_k": self._writing.top_k if is_sampling else None,
            "seed": self._seed if is_sampling else None,
            "n": self._samples,
            "stop": self._writing.stop,
            "dtype": self._setup.dtype,
            "chat_template_kwargs": self._setup.template_options,
        }
        return f"{self.provider}:{json.dumps(options, sort_keys=True, default=str)}"

    def _load(self) -> LocalModel:
        if self._loaded is None:
            try:
                self._loaded = load_model(self._where, self._setup)
            except (ConfigError, MissingDependencyError) as problem:
                self._loaded = ExpertCrashedError(str(problem), expert=self.name, kind="not_loaded")
        if isinstance(self._loaded, ExpertCrashedError):
            raise self._loaded
        return self._loaded

    def _text(self) -> ModelText | None:
        """Return the tokenizer, without a download and without the weights; None where that cannot be."""
        if isinstance(self._loaded, LocalModel):
            return self._loaded.text
        if not self._looked_for_text:
            self._text_alone = find_text(self._where, self._setup.template_options)
            self._looked_for_text = True
        return self._text_alone

    def _answer_rows(
        self, local: LocalModel, rows: Sequence[Row], owners: Sequence[int], writing: Writing, samples: int
    ) -> Iterator[tuple[int, Answer | ExpertError]]:
        """Yield an instruction's number, which is in `owners` for each row, with its result once all rows have one."""
        if self._batches is None:
            most = BATCH_TOKENS_GPU if local.on_gpu else BATCH_TOKENS_CPU
            self._batches = MicroBatches(self._batch_tokens or most, self._batch_rows)
        widths = [local.width(row, writing) for row in rows]
        finished: dict[int, list[_Outcome]] = defaultdict(list)
        for numbers, outcomes in self._batches.run(
            widths, lambda batch: self._generate(local, [rows[n] for n in batch], writing)
        ):
            for place, number in enumerate(numbers):
                outcome = self._too_big(rows[number], writing) if outcomes is None else outcomes[place]
                owner = owners[number]
                finished[owner].append(outcome)
                if len(finished[owner]) == samples:
                    yield owner, self._result(local, len(rows[number].tokens), finished.pop(owner))

    def _generate(self, local: LocalModel, rows: Sequence[Row], writing: Writing) -> list[_Outcome] | None:
        with self._lock:  # one micro-batch at a time: two would fight for the same cores or the same memory
            if self._loaded is not local:
                closed = ExpertCrashedError("was closed while it answered", expert=self.name, kind="closed")
                return [closed] * len(rows)
            started = time.perf_counter()
            try:
                texts = local.generate(rows, writing)
            except (RuntimeError, ValueError, IndexError) as crash:
                reason = f"{type(crash).__name__}: {' '.join(str(crash).split())}"
                return [ExpertCrashedError(reason, expert=self.name)] * len(rows)
            seconds = time.perf_counter() - started
        if texts is None:
            return None
        sizes = [len(row.tokens) + text.completion_tokens for row, text in zip(rows, texts, strict=True)]
        return [(text, seconds * size / sum(sizes)) for text, size in zip(texts, sizes, strict=True)]

    def _too_big(self, row: Row, writing: Writing) -> ExpertError:
        room = len(row.tokens) + writing.max_new_tokens
        message = f"memory does not suffice for this one alone ({room} tokens with its answer)"
        return ExpertRefusedError(message, expert=self.name, kind="out_of_memory")

    def _result(self, local: LocalModel, prompt_tokens: int, outcomes: Sequence[_Outcome]) -> Answer | ExpertError:
        """Return all samples of one instruction as its answer, or what is wrong with one of them."""
        samples: list[Generated] = []
        seconds = 0.0
        for outcome in outcomes:
            if isinstance(outcome, ExpertError):
                return outcome
            samples.append(outcome[0])
            seconds += outcome[1]
        texts = tuple(sample.text for sample in samples)
        completion_tokens = sum(sample.completion_tokens for sample in samples)
        finish_reason = "length" if any(sample.finish_reason == "length" for sample in samples) else "stop"
        if not all(texts):  # a mean over the other samples would flatter the expert
            return ExpertRefusedError(
                f"the model wrote no text (finish_reason {finish_reason})",
                expert=self.name,
                kind="empty_response",
                usage=Usage(prompt_tokens, completion_tokens),
            )
        time_usd = self.price.per_core_hour * seconds * local.cores / 3600.0
        return Answer(
            text=texts[0],
            prompt_tokens=prompt_tokens,
            completion_tokens=completion_tokens,
            cost=self.price.of_tokens(prompt_tokens, completion_tokens) + time_usd,
            latency_s=seconds,
            model=self.model,
            finish_reason=finish_reason,
            samples=texts if len(texts) > 1 else (),
        )
