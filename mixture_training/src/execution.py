"""What comes of a ranking: the answer and every call it took, at the end or piece by piece."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from dataset_build import ChatPiece
from mixture_training.src.decisions import Attempt


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """Tokens of the answer that was given; those of failed attempts are in the attempts.

    Attributes:
        prompt_tokens: Read, when known.
        completion_tokens: Written, when known.
        cached_tokens: Those read from the endpoint's cache, when known.
        reasoning_tokens: Those written that were thought and not shown, when known.
        is_estimated: Whether they are counted here, because the endpoint reported none.
    """

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    is_estimated: bool = False


@dataclass(frozen=True)
class Execution:
    """What came of a ranking.

    Attributes:
        expert: Who answered, or began to; None when nobody did.
        response: The answer's text, or what there is of it; None when nobody answered.
        attempts: Every call, and every expert that was passed over because its circuit is open or its queue is too
            long, in order.
        latency_s: Seconds from start to end.
        choice: The choice of the chat protocol as the expert gave it (tool calls, refusal, logprobs); None for an
            expert that answers with a text.
        finish_reason: As the expert gave it: "stop", "length", "tool_calls" …
        model: The model the endpoint says it served.
        usage: Tokens of the answer; None when nobody answered.
        is_partial: Whether the answer broke off: it is not whole.
        error: `kind: message` of why there is no answer, or no whole one.
    """

    expert: str | None
    response: str | None
    attempts: tuple[Attempt, ...]
    latency_s: float
    choice: Mapping[str, Any] | None = None
    finish_reason: str | None = None
    model: str | None = None
    usage: TokenUsage | None = None
    is_partial: bool = False
    error: str | None = None

    @property
    def cost(self) -> float:
        """USD of all attempts whose cost is known; of those that were cancelled or lost, what they cost at most."""
        return sum(attempt.cost or 0.0 for attempt in self.attempts)


@dataclass(frozen=True, slots=True)
class Piece:
    """The next piece of the answer, and whose it is."""

    expert: str
    piece: ChatPiece


@dataclass(frozen=True, slots=True)
class Resumed:
    """From here on `expert` continues what `after` began: its stream broke."""

    expert: str
    after: str


@dataclass(frozen=True, slots=True)
class Ended:
    """Nothing more comes."""

    execution: Execution


#: What a stream consists of: pieces, and exactly one `Ended`, last.
StreamEvent: TypeAlias = Piece | Resumed | Ended


@dataclass(frozen=True, slots=True)
class ExpertHealth:
    """How an expert's endpoint does; experts that share one have equal numbers.

    Attributes:
        is_open: Whether its circuit is open: it is not asked, but for one call now and then.
        reason: Why, as `kind: message`; None when closed.
        retry_in_s: Seconds until the one call; 0 when closed.
        in_flight: Calls under way.
        waiting: Calls that wait for a turn.
        level: Calls that may be under way at present.
        p95_s: The 95th percentile of what its answers took lately; None before there are enough.
    """

    is_open: bool
    reason: str | None
    retry_in_s: float
    in_flight: int
    waiting: int
    level: int
    p95_s: float | None
