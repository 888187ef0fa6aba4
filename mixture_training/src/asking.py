"""What is asked of the mixture of experts, and what comes back."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dataset_build import ChatCall, ExpertUnavailableError
from mixture_training.src.decisions import Attempt
from mixture_training.src.execution import TokenUsage
from mixture_training.src.receipt import Candidate, Receipt


@dataclass(frozen=True, slots=True)
class Ask:
    """One request.

    Attributes:
        call: The conversation.
        policy: How score and cost are traded; None means the router's default.
        expert: Who is to answer, whatever the router thinks; None lets it choose.
        allowed: Who may answer; None means everybody.
        session: Whose turns belong together.
        user: Whose request it is.
        key_id: By which key it comes.
        timeout_s: Seconds all experts tried may take; None leaves it to the executor.
    """

    call: ChatCall
    policy: str | None = None
    expert: str | None = None
    allowed: frozenset[str] | None = None
    session: str | None = None
    user: str | None = None
    key_id: str | None = None
    timeout_s: float | None = None


@dataclass(frozen=True)
class MoEResult:
    """One instruction, answered.

    Attributes:
        response: The answer.
        expert: Who gave it.
        category: What the router takes the instruction for; None for a router trained without categories.
        confidence: The probability of that category; None likewise.
        cost: USD of all attempts.
        latency_s: Seconds from the call to the answer, routing included.
        alternatives: The other experts, best first, those that could not be chosen left out.
        id: What `record_feedback` and `explain` take.
        attempts: Every call that was made, the failed ones first.
        expected_score: What the router expected of the expert that answered.
        reason: Why the first expert tried was recommended.
        policy: How score and cost were traded.
        abilities: What the router thinks the instruction asks for; None for one trained without abilities.
        receipt: Everything that was decided by.
        choice: The choice of the chat protocol as the endpoint gave it, tool calls included; None where there is none.
        usage: Tokens of the answer; None for a repeated or an empty one.
        finish_reason: "stop", "length", "tool_calls" …, when reported.
        model: The model the endpoint says it served.
        router_version: Which router decided.
        is_cached: Whether an earlier answer to the same request was given again.
    """

    response: str
    expert: str
    category: str | None
    confidence: float | None
    cost: float
    latency_s: float
    alternatives: tuple[Candidate, ...]
    id: str
    attempts: tuple[Attempt, ...]
    expected_score: float
    reason: str
    policy: str
    abilities: tuple[str, ...] | None
    receipt: Receipt
    choice: Mapping[str, Any] | None = None
    usage: TokenUsage | None = None
    finish_reason: str | None = None
    model: str | None = None
    router_version: str = ""
    is_cached: bool = False


class NobodyAnsweredError(ExpertUnavailableError):
    """Every expert that could be tried failed, or the one that had begun broke off; the decision is remembered.

    Args:
        message: What happened.
        receipt: What was decided.
        attempts: The calls that were made.
        retry_after_s: Seconds after which another try may succeed, when somebody said so.
    """

    default_kind = "all_failed"

    def __init__(
        self, message: str, *, receipt: Receipt, attempts: tuple[Attempt, ...], retry_after_s: float | None = None
    ) -> None:
        super().__init__(message, expert=receipt.chosen, retry_after_s=retry_after_s)
        self.receipt, self.attempts = receipt, attempts
        self.decision_id = receipt.id
