"""What experts that answer by chat replies share: samples put together, tokens counted, calls estimated."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from dataset_build.src.errors import ConfigError, ExpertError
from dataset_build.src.experts.base import Expert
from dataset_build.src.experts.capabilities import prompt_tokens
from dataset_build.src.experts.chat_call import ChatCall
from dataset_build.src.experts.chat_protocol import Reply, total_usage
from dataset_build.src.experts.chat_request import ChatRequest
from dataset_build.src.records import Answer, CallEstimate, Instruction, Price, Usage
from dataset_build.src.tokens import PER_MESSAGE, count_tokens

#: Longest deadline in seconds; timers of the operating system overflow far above it.
LONGEST_TIMEOUT_S = 86_400.0


class ChatExpert(Expert):
    """An expert that sends one `ChatRequest` per reply.

    Args:
        name: How the dataset and the router call it.
        request: What it sends.
        model: What replies call the model.
        timeout_s: Seconds one request may take; None leaves it to the caller.
        price: USD per million tokens.
        description: One line for people and for routing language models.
    """

    def __init__(
        self,
        name: str,
        request: ChatRequest,
        *,
        model: str,
        timeout_s: float | None,
        price: Price | None,
        description: str,
    ) -> None:
        super().__init__(name, price=price, description=description)
        self._request = request
        self.model = model
        self.timeout_s = timeout_s

    @abstractmethod
    async def _ask(self, text: str, have: int) -> tuple[Reply, float | None]:
        """Return one reply, and the seconds until a streamed one began; `have` samples came before it."""

    @abstractmethod
    async def _ask_chat(self, call: ChatCall) -> Reply:
        """Return the reply to a conversation, with its choice."""

    async def chat(self, call: ChatCall) -> Answer:
        """Ask the endpoint once, messages and options as they are; the answer has the choice it gave.

        Raises:
            ExpertUnavailableError: as `answer`.
            ExpertRefusedError: as `answer`; a text may be empty only beside tool calls or sound.
        """
        return self._as_answer(call, await self._ask_chat(call))

    def estimate_chat(self, call: ChatCall) -> CallEstimate:
        """Return what a conversation will use, the system prompt included where the expert adds it."""
        return self._request.estimate_chat(call)

    def _as_answer(self, call: ChatCall, reply: Reply) -> Answer:
        usage = reply.usage or Usage()
        is_estimated = usage.prompt_tokens is None or usage.completion_tokens is None
        if is_estimated:
            read, written = usage.prompt_tokens, usage.completion_tokens
            message = (reply.choice or {}).get("message") or {}
            usage = replace(
                usage,
                prompt_tokens=self._request.estimate_chat(call).prompt_tokens if read is None else read,
                completion_tokens=written_tokens(message) if written is None else written,
            )
        return Answer(
            text=reply.texts[0],
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            model=reply.model,
            finish_reason=reply.finish_reason,
            cached_tokens=usage.cached_tokens,
            reasoning_tokens=usage.reasoning_tokens,
            tokens_estimated=is_estimated,
            choice=reply.choice,
        )

    def estimate(self, instruction: Instruction) -> CallEstimate:
        """Return what a call will use, the system prompt included and all samples together."""
        return self._request.estimate(instruction.text)

    async def answer(self, instruction: Instruction) -> Answer:
        """Ask the endpoint, again where it gave fewer samples than it was asked for.

        An error says what its call is billed for, or that it may be billed: the answer was lost after the request
        was sent (a deadline, a reset, a reply nobody can read).

        Raises:
            ExpertUnavailableError: kinds timeout, connection, dns, rate_limit, overloaded, server_error,
                invalid_response.
            ExpertRefusedError: kinds tls, auth, bad_request, quota, too_long, content_filter, empty_response.
        """
        first, first_token_s = await self._ask(instruction.text, 0)
        replies = [first]
        texts = first.texts
        while len(texts) < self._request.n:
            try:
                reply, _ = await self._ask(instruction.text, len(texts))
            except ExpertError as problem:
                problem.usage = total_usage([*(reply.usage for reply in replies), problem.usage])
                problem.may_be_billed |= any(reply.usage is None for reply in replies)
                raise
            replies.append(reply)
            texts = texts + reply.texts
        return self._put_together(instruction.text, replies, texts[: self._request.n], first_token_s)

    def _put_together(
        self, text: str, replies: Sequence[Reply], texts: Sequence[str], first_token_s: float | None
    ) -> Answer:
        usages = [self._usage(text, reply) for reply in replies]
        usage = usages[0] if len(usages) == 1 else total_usage(usages) or Usage()
        reasons = [reply.finish_reason for reply in replies]
        return Answer(
            text=texts[0],
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            model=replies[0].model,
            finish_reason="length" if "length" in reasons else reasons[0],
            cached_tokens=usage.cached_tokens,
            reasoning_tokens=usage.reasoning_tokens,
            first_token_s=first_token_s,
            tokens_estimated=any(reply.usage is not given for reply, given in zip(replies, usages, strict=True)),
            samples=tuple(texts) if self._request.n > 1 else (),
        )

    def _usage(self, text: str, reply: Reply) -> Usage:
        """Return the tokens of a reply, estimated where the endpoint did not report them."""
        usage = reply.usage or Usage()
        if usage.prompt_tokens is not None and usage.completion_tokens is not None:
            return usage
        read, written = usage.prompt_tokens, usage.completion_tokens
        return replace(
            usage,
            prompt_tokens=self._request.prompt_tokens(text) if read is None else read,
            completion_tokens=sum(map(count_tokens, reply.texts)) if written is None else written,
        )


def written_tokens(message: Mapping[str, Any]) -> int:
    """Return about how many tokens a message has: all that it says, and what it gives to tools."""
    return prompt_tokens(ChatCall((message,))) - PER_MESSAGE


def check_limits(name: str, **limits: float | None) -> None:
    """Refuse limits that are not above 0, or so large that timers overflow.

    Raises:
        ConfigError: one is; the message names it.
    """
    for limit, value in limits.items():
        if value is not None and not 0 < value <= LONGEST_TIMEOUT_S:
            raise ConfigError(
                f"Expert {name!r}: {limit} is {value}; it must be above 0 and at most {LONGEST_TIMEOUT_S:g}."
            )
