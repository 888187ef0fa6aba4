"""Any endpoint that speaks the OpenAI protocol: hosted models, gateways, servers on this machine."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any

from dataset_build.src.errors import ExpertError, ExpertRefusedError
from dataset_build.src.experts.capabilities import Capabilities
from dataset_build.src.experts.chat_call import ChatCall, ChatPiece
from dataset_build.src.experts.chat_expert import ChatExpert, check_limits
from dataset_build.src.experts.chat_pieces import StreamedChat
from dataset_build.src.experts.chat_protocol import Reply, read_chat, read_failure, read_reply
from dataset_build.src.experts.chat_request import Api, ChatRequest, MaxTokensField, endpoint_url
from dataset_build.src.experts.chat_stream import StreamedReply
from dataset_build.src.experts.http_connection import HttpConnection, Transport
from dataset_build.src.experts.request_headers import RequestHeaders, environment_name
from dataset_build.src.records import Answer, Price


class OpenAICompatibleExpert(ChatExpert):
    """Answer by `POST base_url/chat/completions`, or `/completions`.

    Secrets are read from the environment at each call and are stored nowhere. Where the endpoint reports no tokens,
    they are estimated and marked so. Reasoning that it reports apart is no part of the text, but its tokens are paid
    and are counted within `max_tokens`; a `<think>` block inside the answer stays. An endpoint that gives fewer
    samples than asked for is asked again for the rest, the seed raised by as many as there are. A call fails as a
    whole if one sample is empty or filtered: a mean over the others would flatter the expert.

    A conversation is asked as it is: its messages and options go to the endpoint untouched and win over those given
    here, and `system_prompt` is added only where it brings none. Unless `capabilities` say otherwise, the chat API is
    taken to understand tools and JSON mode, and no images or sound.

    Failures and their kinds: of those that may be worth a repeat, `timeout` (its message names the
    deadline: connection, first byte, or all), `connection`, `dns`, `rate_limit`, `overloaded` (503, 529),
    `server_error`, `invalid_response` (truncated, no JSON, too long, a stream cut short); of those that are not,
    `tls`, `auth`, `bad_request`, `quota`, `too_long` (the prompt does not fit the model), `content_filter`,
    `empty_response`. An answer cut off at `max_tokens` is an answer, with finish_reason "length".

    Args:
        name: How the dataset and the router call it.
        base_url: Where the endpoint is, with its version: `https://api.openai.com/v1`.
        model: What the endpoint calls the model.
        api_key_env: The environment variable that holds the key; None sends no key.
        system_prompt: Sent first, as the system message (`completions`: before the text, with an empty line between).
        temperature: 0 is greedy; None leaves it to the endpoint (some models accept no other).
        max_tokens: Tokens a sample may have; None leaves it to the endpoint, and a budget cannot bound the call.
        extra_body: Further keys of the request; they win over the options here.
        timeout_s: Seconds one request may take; None leaves it to the caller.
        api: `chat` sends messages, `completions` a plain prompt.
        max_tokens_field: What the endpoint calls `max_tokens`; reasoning models want `max_completion_tokens`.
        top_p: As for the endpoint, and so are the five that follow; None leaves each out.
        stop: Texts that end the answer.
        seed: Of the endpoint's sampling.
        presence_penalty: Against words that came before at all.
        frequency_penalty: Against words that came often.
        reasoning_effort: How long a reasoning model may think: "low", "medium", "high" …
        n: Samples per instruction; the score is their mean.
        stream: Receive the answer piece by piece and record the time to the first piece of text or shown thought.
        organization: Sent as `OpenAI-Organization`.
        project: Sent as `OpenAI-Project`.
        headers: Further headers that are no secret.
        headers_env: Header → the environment variable with its value: `{api-key: AZURE_KEY}`.
        query: Parameters of the address: `{api-version: 2024-10-21}`.
        connect_timeout_s: Seconds until there is a connection.
        first_byte_timeout_s: Seconds until the reply begins; None means no limit.
        max_response_mb: A longer reply is an error.
        proxy: A proxy's address without user and password.
        proxy_env: The environment variable that holds a proxy's whole address.
        trust_env: Whether HTTP_PROXY, HTTPS_PROXY and NO_PROXY count (never for this machine itself; `.netrc` is not
            read).
        verify_tls: Whether the endpoint's certificate is checked.
        ca_file: Certificates of authorities to trust instead of the system's.
        client_cert: A certificate to show the endpoint.
        client_key: Its key, when not in the same file; one with a password cannot be used.
        price: USD per million tokens.
        description: One line for people and for routing language models.
    """

    provider = "openai_compatible"

    def __init__(
        self,
        name: str,
        base_url: str,
        model: str,
        api_key_env: str | None = None,
        system_prompt: str | None = None,
        temperature: float | None = 0.0,
        max_tokens: int | None = 1024,
        extra_body: Mapping[str, Any] | None = None,
        timeout_s: float | None = None,
        *,
        api: Api = "chat",
        max_tokens_field: MaxTokensField = "max_tokens",
        top_p: float | None = None,
        stop: str | list[str] | None = None,
        seed: int | None = None,
        presence_penalty: float | None = None,
        frequency_penalty: float | None = None,
        reasoning_effort: str | None = None,
        n: int = 1,
        stream: bool = False,
        organization: str | None = None,
        project: str | None = None,
        headers: Mapping[str, str] | None = None,
        headers_env: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        connect_timeout_s: float = 10.0,
        first_byte_timeout_s: float | None = None,
        max_response_mb: float = 64.0,
        proxy: str | None = None,
        proxy_env: str | None = None,
        trust_env: bool = True,
        verify_tls: bool = True,
        ca_file: str | None = None,
        client_cert: str | None = None,
        client_key: str | None = None,
        price: Price | None = None,
        description: str = "",
    ) -> None:
        url = endpoint_url(base_url, api, query or {}, name=name)
        environment_name(proxy_env, "proxy_env", expert=name)
        check_limits(
            name,
            timeout_s=timeout_s,
            connect_timeout_s=connect_timeout_s,
            first_byte_timeout_s=first_byte_timeout_s,
            max_response_mb=max_response_mb,
        )
        named = {"OpenAI-Organization": organization, "OpenAI-Project": project}
        plain = {**(headers or {}), **{header: value for header, value in named.items() if value is not None}}
        self._headers = RequestHeaders(name, api_key_env=api_key_env, plain=plain, from_env=headers_env or {})
        options: dict[str, Any] = {
            "temperature": temperature,
            max_tokens_field: max_tokens,
            "top_p": top_p,
            "stop": stop,
            "seed": seed,
            "presence_penalty": presence_penalty,
            "frequency_penalty": frequency_penalty,
            "reasoning_effort": reasoning_effort,
        }
        request = ChatRequest(
            name,
            model,
            api=api,
            system_prompt=system_prompt,
            options=options,
            extra_body=extra_body or {},
            n=n,
            stream=stream,
            max_tokens_field=max_tokens_field,
        )
        super().__init__(name, request, model=model, timeout_s=timeout_s, price=price, description=description)
        self._streams = stream
        if api == "chat":
            self.capabilities = Capabilities(tools=True, json_mode=True)
        transport = Transport(
            connect_timeout_s=connect_timeout_s,
            first_byte_timeout_s=first_byte_timeout_s,
            timeout_s=timeout_s,
            most_bytes=int(max_response_mb * (1 << 20)),
            proxy=proxy,
            proxy_env=proxy_env,
            trust_env=trust_env,
            verify_tls=verify_tls,
            ca_file=ca_file,
            client_cert=client_cert,
            client_key=client_key,
        )
        self._connection = HttpConnection(name, url, transport)

    @property
    def endpoint(self) -> str:
        """The address and the model."""
        return f"{self._connection.url} {self.model}"

    def check(self) -> None:
        """Raise before a build where an environment variable is not set or a certificate cannot be read."""
        self._headers.check()
        self._connection.check()

    async def aclose(self) -> None:
        """Close the connections of every event loop this expert was used in."""
        await self._connection.aclose()

    def fingerprint(self) -> str:
        """Return the address and every part of the request that decides the answer: no text, no header, no deadline."""
        facts = {**self._request.facts(), "url": self._connection.url}
        return f"{self.provider}:{json.dumps(facts, sort_keys=True)}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={self.name!r}, url={self._connection.url!r}, model={self.model!r})"

    async def stream_chat(self, call: ChatCall) -> AsyncIterator[ChatPiece | Answer]:
        """Yield each piece as it arrives, its delta as the endpoint gave it, and the answer last.

        No more is read ahead than a small buffer holds, and closing the iterator closes the connection at once. The
        piece that says how the answer ended comes when the whole has been found to be one.

        Raises:
            ExpertError: as `chat`; the answer so far is lost to the caller only where no piece was yielded.
        """
        headers, hidden = self._headers.read()
        reply = StreamedChat(self.name, hidden)
        refused: list[bytes] = []
        status, received = 200, headers
        chunks = self._connection.receive(self._encoded(call, stream=True), headers, hidden=hidden, stream=reply)
        async with aclosing(chunks):
            async for code, given, chunk in chunks:
                if code != 200:
                    status, received = code, given
                    refused.append(chunk)
                    continue
                reply.feed(chunk)
                for piece in reply.take():
                    yield piece
                if reply.problem is not None:
                    break
        if status != 200:
            raise read_failure(status, received, b"".join(refused), expert=self.name, hidden=hidden)
        result = reply.finish()
        if isinstance(result, ExpertError):
            raise result
        for piece in reply.take():
            yield piece
        yield self._as_answer(call, result)

    async def _ask_chat(self, call: ChatCall) -> Reply:
        headers, hidden = self._headers.read()
        status, received, body, _ = await self._connection.post(self._encoded(call), headers, hidden=hidden)
        if status != 200:
            raise read_failure(status, received, body, expert=self.name, hidden=hidden)
        result = read_reply(body, expert=self.name, hidden=hidden, reader=read_chat)
        if isinstance(result, ExpertError):
            raise result
        return result

    def _encoded(self, call: ChatCall, *, stream: bool = False) -> bytes:
        try:
            return self._request.encoded_chat(call, stream=stream)
        except (TypeError, ValueError, RecursionError) as problem:
            message = f"the conversation cannot be written as JSON: {problem}"
            raise ExpertRefusedError(message, expert=self.name, kind="bad_request") from None

    async def _ask(self, text: str, have: int) -> tuple[Reply, float | None]:
        headers, hidden = self._headers.read()
        stream = StreamedReply(self.name, hidden) if self._streams else None
        status, received, body, first_token_s = await self._connection.post(
            self._request.encoded(text, have=have), headers, hidden=hidden, stream=stream
        )
        if status != 200:
            result: Reply | ExpertError = read_failure(status, received, body, expert=self.name, hidden=hidden)
        elif stream is not None:
            result = stream.finish()
        else:
            result = read_reply(body, expert=self.name, hidden=hidden)
        if isinstance(result, ExpertError):
            raise result
        return result, first_token_s
