"""A hundred providers that do not speak the OpenAI protocol, through the package LiteLLM.

It is an extra, `pip install "moe-toolkit[litellm]"`, and nothing else needs it. Releases 1.82.7 and 1.82.8 stole
credentials (March 2026); the extra excludes them.
"""

import json
import os
from collections.abc import AsyncIterator, Mapping
from typing import Any

from dataset_build.src.errors import ConfigError, ExpertError, ExpertUnavailableError, MissingDependencyError
from dataset_build.src.experts.capabilities import Capabilities
from dataset_build.src.experts.chat_call import ChatCall, ChatPiece
from dataset_build.src.experts.chat_expert import ChatExpert, check_limits
from dataset_build.src.experts.chat_pieces import StreamedChat
from dataset_build.src.experts.chat_protocol import (
    LONGEST_MESSAGE,
    Reply,
    invalid,
    read_chat,
    read_failure,
    read_payload,
)
from dataset_build.src.experts.chat_request import ChatRequest
from dataset_build.src.experts.masking import masked
from dataset_build.src.experts.request_headers import RequestHeaders
from dataset_build.src.records import Answer, Price

#: LiteLLM's exception → the code an OpenAI endpoint would give; the others are told apart by their status.
_CODES = {"ContentPolicyViolationError": "content_filter", "ContextWindowExceededError": "context_length_exceeded"}
_INSTALL = 'The expert needs LiteLLM: pip install "moe-toolkit[litellm]".'
#: Options of a conversation that are passed on. LiteLLM takes addresses, keys and files among its arguments, and
#: whoever asks has no say in those.
_PASSED_ON = frozenset(
    {
        "audio", "frequency_penalty", "function_call", "functions", "logit_bias", "logprobs", "max_completion_tokens",
        "max_tokens", "modalities", "parallel_tool_calls", "prediction", "presence_penalty", "reasoning_effort",
        "response_format", "seed", "stop", "temperature", "tool_choice", "tools", "top_logprobs", "top_p",
    }
)  # fmt: skip
#: Options of LiteLLM that the expert sets itself.
_RESERVED = ("api_key", "api_base", "base_url", "max_retries", "num_retries", "timeout")


class LiteLLMExpert(ChatExpert):
    """Answer by `litellm.acompletion`, without its retries, caches and price list; only conversations are streamed.

    Samples, tokens and kinds of failure are those of `openai_compatible`. The price is the one stated here, not
    LiteLLM's.

    Args:
        name: How the dataset and the router call it.
        model: Provider and model as LiteLLM writes them: `anthropic/claude-sonnet-4-5`, `bedrock/…`.
        api_key_env: The environment variable that holds the key; None leaves it to LiteLLM, which reads each
            provider's own.
        base_url: Where the provider is, when not at its usual address.
        system_prompt: Sent first, as the system message.
        temperature: 0 is greedy; None leaves it to the provider.
        max_tokens: Tokens a sample may have; None leaves it to the provider.
        n: Samples per instruction; the score is their mean.
        options: Further arguments of `acompletion`, such as `top_p`, `seed`, `drop_params` or `aws_region_name`.
        timeout_s: Seconds one request may take; None leaves it to the caller.
        price: USD per million tokens.
        description: One line for people and for routing language models.
    """

    provider = "litellm"

    def __init__(
        self,
        name: str,
        model: str,
        api_key_env: str | None = None,
        base_url: str | None = None,
        system_prompt: str | None = None,
        temperature: float | None = 0.0,
        max_tokens: int | None = 1024,
        n: int = 1,
        options: Mapping[str, Any] | None = None,
        timeout_s: float | None = None,
        *,
        price: Price | None = None,
        description: str = "",
    ) -> None:
        self._headers = RequestHeaders(name, api_key_env=api_key_env, plain={}, from_env={})
        check_limits(name, timeout_s=timeout_s)
        for reserved in _RESERVED:
            if reserved in (options or {}):
                raise ConfigError(f"Expert {name!r}: options hold {reserved!r}, which the expert sets itself.")
        request = ChatRequest(
            name,
            model,
            api="chat",
            system_prompt=system_prompt,
            options={"temperature": temperature, "max_tokens": max_tokens},
            extra_body=options or {},
            n=n,
            stream=False,
        )
        served = model.partition("/")[2] or model
        super().__init__(name, request, model=served, timeout_s=timeout_s, price=price, description=description)
        self._full_model = model
        self._base_url = base_url
        self.capabilities = Capabilities(tools=True, json_mode=True)
        _litellm()

    @property
    def endpoint(self) -> str:
        """The address, where one is given, and the model."""
        return f"{self.provider} {self._base_url or ''} {self._full_model}"

    def check(self) -> None:
        """Raise before a build where the key's environment variable is not set."""
        self._headers.check()

    def fingerprint(self) -> str:
        """Return the address and every part of the request that decides the answer."""
        facts = {**self._request.facts(), "base_url": self._base_url}
        return f"{self.provider}:{json.dumps(facts, sort_keys=True)}"

    async def stream_chat(self, call: ChatCall) -> AsyncIterator[ChatPiece | Answer]:
        """Yield each piece as LiteLLM gives it, and the answer last.

        Raises:
            ExpertError: as `chat`.
        """
        _, hidden = self._headers.read()
        reply = StreamedChat(self.name, hidden)
        chunks = await self._complete(self._fields(call, stream=True), hidden)
        problem: ExpertError | None = None
        try:
            async for chunk in chunks:
                reply.add(chunk.model_dump())
                for piece in reply.take():
                    yield piece
                if reply.problem is not None:
                    break
        except Exception as failure:
            problem = self._problem(failure, hidden)
        finally:
            if hasattr(chunks, "aclose"):
                await chunks.aclose()
        result = problem or reply.finish()
        if isinstance(result, ExpertError):
            raise result
        for piece in reply.take():
            yield piece
        yield self._as_answer(call, result)

    async def _ask_chat(self, call: ChatCall) -> Reply:
        _, hidden = self._headers.read()
        response = await self._complete(self._fields(call), hidden)
        result = read_chat(response.model_dump(), expert=self.name, hidden=hidden)
        if isinstance(result, ExpertError):
            raise result
        return result

    def _fields(self, call: ChatCall, *, stream: bool = False) -> dict[str, Any]:
        options = {key: value for key, value in call.options.items() if key in _PASSED_ON}
        return self._request.chat_fields(ChatCall(call.messages, options), stream=stream)

    async def _ask(self, text: str, have: int) -> tuple[Reply, float | None]:
        _, hidden = self._headers.read()
        response = await self._complete(self._request.as_fields(text, have=have), hidden)
        result = read_payload(response.model_dump(), expert=self.name, hidden=hidden)
        if isinstance(result, ExpertError):
            raise result
        return result, None

    async def _complete(self, fields: Mapping[str, Any], hidden: tuple[str, ...]) -> Any:  # noqa: ANN401 - untyped
        litellm = _litellm()
        try:
            return await litellm.acompletion(
                **fields,
                **({"api_key": hidden[0]} if hidden else {}),
                **({"base_url": self._base_url} if self._base_url else {}),
                **({"timeout": self.timeout_s} if self.timeout_s else {}),
                num_retries=0,
                max_retries=0,
            )
        except Exception as failure:  # LiteLLM raises its own, its providers' and its libraries'
            problem = self._problem(failure, hidden)
        # Outside the `except`: a foreign exception can hold the request, and with it the key.
        raise problem

    def _problem(self, failure: Exception, hidden: tuple[str, ...]) -> ExpertError:
        """Return what an exception of LiteLLM stands for."""
        kinds = {ancestor.__name__ for ancestor in type(failure).__mro__}
        said = masked(" ".join(str(failure).split()), hidden)[:LONGEST_MESSAGE] or type(failure).__name__
        if "Timeout" in kinds or isinstance(failure, TimeoutError):
            return ExpertUnavailableError(said, expert=self.name, kind="timeout", may_be_billed=True)
        if "APIConnectionError" in kinds or isinstance(failure, OSError):
            return ExpertUnavailableError(said, expert=self.name, kind="connection", may_be_billed=True)
        if "PaymentRequiredError" in kinds:
            status: object = 402
        else:
            status = getattr(failure, "status_code", None)
        if not isinstance(status, int) or "APIResponseValidationError" in kinds:
            return invalid(f"{type(failure).__name__}: {said}", self.name)
        code = next((code for kind, code in _CODES.items() if kind in kinds), None)
        body = json.dumps({"error": {"message": said, "code": code or getattr(failure, "code", None)}}, default=str)
        headers = getattr(getattr(failure, "response", None), "headers", None) or {}
        # It gives 500 as well to an answer that was lost or that it could not read.
        lost = status == 500
        return read_failure(status, headers, body.encode(), expert=self.name, hidden=hidden, may_be_billed=lost)


def _litellm() -> Any:  # noqa: ANN401 - an optional package without types
    """Return the package, told beforehand not to fetch a list of prices from the network."""
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    try:
        import litellm
    except ImportError as missing:
        raise MissingDependencyError(_INSTALL) from missing
    litellm.suppress_debug_info = True  # it prints advice to standard output otherwise
    return litellm
