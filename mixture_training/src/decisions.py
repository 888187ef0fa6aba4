"""What is remembered: what was decided, what came of it, and how good it turned out to be."""

import os
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

#: How a decision ended: an expert answered, all failed, or the caller went away.
Outcome = Literal["answered", "failed", "cancelled"]
#: What a judgement is: a number, one response preferred to another, or what would have been right.
FeedbackKind = Literal["score", "preference", "correction"]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call of one expert.

    Attributes:
        expert: Who was called.
        cost: USD, when known; a failed call may have cost something too.
        latency_s: Seconds it took.
        error: `kind: message` of a failed call, `declined: why` of a tool that cannot; None when it answered.
        started_s: Seconds after the start of the whole.
        first_token_s: Seconds until its first token, where it streamed.
        prompt_tokens: Tokens read, when known.
        completion_tokens: Tokens written, when known.
        cached_tokens: Those read from the endpoint's cache, when known.
        is_hedge: Whether it was started because the one before was late.
    """

    expert: str
    cost: float | None
    latency_s: float
    error: str | None
    started_s: float = 0.0
    first_token_s: float | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    is_hedge: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """One instruction that was routed and executed.

    Attributes:
        id: What feedback refers to.
        created: ISO 8601, UTC.
        instruction: The text that was routed; None unless texts are kept.
        expert: Who answered in the end, or had begun to when the caller went away; None when nobody did.
        response: The answer, or what there was of it; None unless texts are kept, or when nobody answered.
        ranking: The experts as the recommender ranked them.
        policy: The policy that ranked.
        category: The likeliest category, when known.
        confidence: Its probability.
        expected_score: Of the expert that answered, or of the first ranked when nobody did.
        cost: USD of all attempts.
        latency_s: Seconds from start to answer.
        attempts: Every call that was made, in order.
        outcome: How it ended.
        router_version: Which router decided.
        features_hash: SHA-256 of the vector it was decided by, 16 hex digits; None where there is none.
        features: That vector as little-endian float16; None where there is none, or none is to be kept.
        propensities: Expert -> the probability with which it was to be tried first; they sum to 1.
        receipt: Why, as JSON-able values; see `Receipt`.
        session: Whose turns belong together, hashed.
        user: Whose instruction it was, hashed.
        key_id: By which key it came.
    """

    id: str
    created: str
    instruction: str | None
    expert: str | None
    response: str | None
    ranking: tuple[str, ...]
    policy: str
    category: str | None
    confidence: float | None
    expected_score: float
    cost: float
    latency_s: float
    attempts: tuple[Attempt, ...]
    outcome: Outcome = "answered"
    router_version: str = ""
    features_hash: str | None = None
    features: bytes | None = None
    propensities: Mapping[str, float] = field(default_factory=dict)
    receipt: Mapping[str, Any] = field(default_factory=dict)
    session: str | None = None
    user: str | None = None
    key_id: str | None = None


@dataclass(frozen=True, slots=True)
class Feedback:
    """One judgement.

    Attributes:
        decision_id: Of what.
        created: ISO 8601, UTC.
        score: In [0, 1]; of a correction 0, because what was answered was not right; None for a preference.
        comment: Why.
        kind: What it is.
        preferred_to: Of a preference, the decision whose response was found worse.
        correction: What would have been right; None unless texts are kept.
        user: Who judged, hashed.
        event: What tells it from all others: the same event recorded twice counts once.
    """

    decision_id: str
    created: str
    score: float | None
    comment: str | None = None
    kind: FeedbackKind = "score"
    preferred_to: str | None = None
    correction: str | None = None
    user: str | None = None
    event: str = ""


@dataclass(frozen=True, slots=True)
class Judged:
    """One judgement with the decision it is about, as learning reads it.

    Attributes:
        decision: What was judged.
        feedback: The judgement.
        score: In [0, 1]; of a preference 1 for the preferred decision and 0 for the other, which is a row of its own.
    """

    decision: Decision
    feedback: Feedback
    score: float


def new_id() -> str:
    """Return a fresh decision id: 16 hex digits of 64 random bits."""
    return f"{_random.getrandbits(64):016x}"


def now() -> str:
    """Return the time as it is stored."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


#: What precedes the id of a decision in the id of an answer.
CHAT_PREFIX, TEXT_PREFIX = "chatcmpl-", "cmpl-"


def decision_of(answer_id: str) -> str:
    """Return the id of the decision behind the id of an answer; a decision's own is returned as it is."""
    return answer_id.removeprefix(CHAT_PREFIX).removeprefix(TEXT_PREFIX)


#: Ids are no secrets, and the system's own chance costs more than the rest of an id.
_random = random.Random(os.urandom(32))
os.register_at_fork(after_in_child=lambda: _random.seed(os.urandom(32)))
