"""The values that flow through stage one: instruction, answer, response, score.

The interchange form (long: one row per instruction and expert) is declared here too, column by
column, because it is the only thing both stages and other people's tools hold on to.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

SPLITS = ("train", "validation", "test")

#: Column of the interchange form -> its type. Every column but the first four may be null or absent.
COLUMNS: dict[str, str] = {
    "instruction_id": "string",
    "instruction": "string",
    "category": "string",
    "reference": "string",
    "source": "string",
    "split": "string",
    "expert": "string",
    "response": "string",
    "score": "double",
    "metric": "string",
    "cost": "double",
    "prompt_tokens": "int64",
    "completion_tokens": "int64",
    "latency_s": "double",
    "error": "string",
    "model": "string",
}
#: Columns a built dataset has besides, about the call and its score; readers of the interchange form may ignore them.
CALL_COLUMNS: dict[str, str] = {
    "finish_reason": "string",
    "first_token_s": "double",
    "cached_tokens": "int64",
    "reasoning_tokens": "int64",
    "tokens_estimated": "bool",
    "samples": "string",
    "metric_version": "string",
    "score_reason": "string",
}
#: What may follow a model's name without making it another model: a date, a tag, a quantisation.
_SAME_MODEL = re.compile(r"[-@:_](\d{3,}|v\d|latest|preview|exp|q\d|fp\d|bf16|gguf|awq|gptq)")
#: How a tool's answer begins that says it cannot do what is asked; such an answer scores 0.
CANNOT_ANSWER = "I cannot answer this:"

#: The most tokens that a call is believed to have: whole numbers up to here survive every file format.
MOST_TOKENS = 2**53 - 1

REQUIRED_COLUMNS = ("instruction", "expert", "score")


def is_count(value: object) -> bool:
    """Return whether `value` is a number of tokens that a call can have: whole, not negative, not absurd."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_TOKENS


def storable(text: str) -> str:
    """Return `text` with lone surrogates, which neither UTF-8 nor Parquet can hold, replaced by U+FFFD."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def instruction_id(source: str | None, text: str, reference: str | None) -> str:
    """Return the stable id of an instruction: 16 hex digits of the SHA-256 of source, text and reference."""
    payload = json.dumps([source, text, reference], ensure_ascii=False).encode("utf-8", "surrogatepass")
    return hashlib.sha256(payload).hexdigest()[:16]


def serves_another_model(asked: str | None, served: str | None) -> bool:
    """Return whether an endpoint answered with another model than the one asked for.

    A dated or tagged name of the same model is no other one (`gpt-4o` served as `gpt-4o-2024-08-06`), nor is one with
    or without its organisation (`org/name` served as `name`).
    """
    if not asked or not served:
        return False
    asked, served = (name.lower().rpartition("/")[2].removesuffix(":latest") for name in (asked, served))
    if served == asked:
        return False
    rest = served.removeprefix(asked)
    return (
        rest == served or re.match(r"[-@:_](\d{3,}|v\d|latest|preview|exp|q\d|fp\d|bf16|gguf|awq|gptq)", rest) is None
    )


@dataclass(frozen=True, slots=True)
class Instruction:
    """What a user asks, and what is known about a right answer.

    Attributes:
        id: Stable id, see `instruction_id`.
        text: The instruction with its context, as an expert receives it.
        category: Its kind, one label, when known.
        reference: What a scorer compares a response with.
        source: Where it came from.
        split: Fixed split when the source decides it, else None (then it is decided by hash).
        metric: Name of the scorer that can check the reference, when the source knows it.
        extra: Further columns, kept in the dataset.
    """

    id: str
    text: str
    category: str | None = None
    reference: str | None = None
    source: str | None = None
    split: str | None = None
    metric: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def create(
        cls,
        text: str,
        *,
        category: str | None = None,
        reference: str | None = None,
        source: str | None = None,
        split: str | None = None,
        metric: str | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> "Instruction":
        """Make an instruction whose id is the hash of its source, text and reference."""
        return cls(
            id=instruction_id(source, text, reference),
            text=text,
            category=category,
            reference=reference,
            source=source,
            split=split,
            metric=metric,
            extra=dict(extra or {}),
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """What an expert gives back for one instruction when it answered.

    Attributes:
        text: The answer; an expert that cannot do what is asked says so here (and is scored 0 for it).
        prompt_tokens: Tokens read, or None where the expert has none.
        completion_tokens: Tokens written, or None.
        cost: USD for this call when the expert knows it itself (measured CPU time, say); None means
            "price it from the tokens".
        latency_s: Seconds the expert itself took, when it knows better than the caller's clock.
        model: The model the endpoint says it served.
        finish_reason: "stop", "length", "content_filter", …, when reported.
        cached_tokens: Those of the prompt tokens that came from the endpoint's cache, when reported.
        reasoning_tokens: Those of the completion tokens that were thought and not shown, when reported.
        first_token_s: Seconds until the first token arrived, when the answer was streamed.
        tokens_estimated: Whether the token counts are ours, because the endpoint reported none.
        samples: All texts where several were asked for (`text` is the first); empty otherwise.
        choice: The choice of the chat protocol as the endpoint gave it (`message`, `finish_reason` …), where a
            conversation was asked; `text` is the text of its message, and may be empty beside tool calls.
    """

    text: str
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost: float | None = None
    latency_s: float | None = None
    model: str | None = None
    finish_reason: str | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    first_token_s: float | None = None
    tokens_estimated: bool = False
    samples: tuple[str, ...] = ()
    choice: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens one call is billed for; the fields are those of `Answer`. What is no count is None."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None

    def __post_init__(self) -> None:
        for field_ in fields(self):
            if not is_count(getattr(self, field_.name)):
                object.__setattr__(self, field_.name, None)


@dataclass(frozen=True, slots=True)
class CallEstimate:
    """What one call will use, known before it is made.

    Attributes:
        prompt_tokens: Tokens to be read, as well as can be told.
        most_prompt_tokens: An upper bound of it.
        most_completion_tokens: An upper bound of the tokens to be written, all samples together; None when nothing
            bounds them.
    """

    prompt_tokens: int
    most_prompt_tokens: int
    most_completion_tokens: int | None


@dataclass(frozen=True, slots=True)
class Price:
    """What an expert charges.

    Attributes:
        prompt_per_million: USD per million prompt tokens.
        completion_per_million: USD per million completion tokens.
        per_call: USD per call, on top.
        per_core_hour: USD per hour of one CPU core, for experts whose cost is their measured CPU time.
        cached_per_million: USD per million prompt tokens that came from the endpoint's cache; None means that they
            cost what the others do.
    """

    prompt_per_million: float = 0.0
    completion_per_million: float = 0.0
    per_call: float = 0.0
    per_core_hour: float = 0.0
    cached_per_million: float | None = None

    def of_tokens(
        self, prompt_tokens: int | None, completion_tokens: int | None, cached_tokens: int | None = None
    ) -> float:
        """Return the USD for a call of these token counts; an unknown count is charged as zero.

        Args:
            prompt_tokens: All tokens read.
            completion_tokens: All tokens written.
            cached_tokens: Those of the prompt tokens that came from the cache.
        """
        prompt = prompt_tokens or 0
        cached = 0 if self.cached_per_million is None else min(cached_tokens or 0, prompt)
        return (
            self.per_call
            + self.prompt_per_million * (prompt - cached) / 1e6
            + (self.cached_per_million or 0.0) * cached / 1e6
            + self.completion_per_million * (completion_tokens or 0) / 1e6
        )

    def at_most(self, estimate: CallEstimate) -> float | None:
        """Return the most USD a call may cost by its tokens; None when nothing bounds them."""
        if estimate.most_completion_tokens is None and self.completion_per_million:
            return None
        dearest = max(self.prompt_per_million, self.cached_per_million or 0.0)
        return (
            self.per_call
            + dearest * estimate.most_prompt_tokens / 1e6
            + self.completion_per_million * (estimate.most_completion_tokens or 0) / 1e6
        )

    def of_cpu(self, seconds: float) -> float:
        """Return the USD for `seconds` of one core."""
        return self.per_call + self.per_core_hour * seconds / 3600.0


@dataclass(frozen=True, slots=True)
class Response:
    """One finished call: an answer, or the error it ended in. Never both, never neither.

    `error` is `"kind: message"`; a response with an error has no text, and no score is ever given to it. The other
    fields are those of `Answer`.

    Attributes:
        at_risk: USD that failed tries of this call may have cost at most, on top of `cost`: an endpoint may charge
            for an answer that never arrived. Counted against a budget, shown nowhere else.
    """

    instruction_id: str
    expert: str
    text: str | None = None
    error: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost: float | None = None
    latency_s: float | None = None
    model: str | None = None
    finish_reason: str | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    first_token_s: float | None = None
    tokens_estimated: bool = False
    samples: tuple[str, ...] = ()
    at_risk: float = 0.0
    choice: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        if (self.text is None) == (self.error is None):
            raise ValueError("A response has either a text or an error.")

    @property
    def error_kind(self) -> str | None:
        """The short word before the colon of `error`."""
        return self.error.partition(":")[0] if self.error else None


@dataclass(frozen=True, slots=True)
class Score:
    """Quality of one response in [0, 1], or None with the reason why there is none."""

    value: float | None
    metric: str
    reason: str | None = None
    version: str | None = None

    def __post_init__(self) -> None:
        if self.value is not None and not 0.0 <= self.value <= 1.0:
            raise ValueError(f"A score lies in [0, 1]; {self.metric} gave {self.value!r}.")
