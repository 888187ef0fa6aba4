"""/v1/chat/completions and /v1/completions, whole or piece by piece."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from aiohttp import web

from dataset_build import ToolkitError
from mixture_training.src.server.access import check_choice
from mixture_training.src.server.api_errors import COMMON_HEADERS, ApiError, from_toolkit, safe_header
from mixture_training.src.server.chat_bodies import ChatBody, read_chat, read_completion
from mixture_training.src.server.exchange import Exchange
from mixture_training.src.server.replies import (
    DONE,
    ChunkWriter,
    chat_reply,
    completion_reply,
    error_chunk,
    headers_of,
    moe_field,
    usage_field,
)

if TYPE_CHECKING:
    from dataset_build import ChatPiece
    from mixture_training.src.asking import Ask, MoEResult
    from mixture_training.src.receipt import Receipt

#: Characters of a name of a user or a session that are kept as they are.
_LONGEST_NAME = 200
#: Seconds beyond a request's time after which it is ended even if what should have kept it did not.
_GRACE_S = 5.0
#: Chunks that are sent together at most.
_MOST_UNSENT = 64


async def chat_completions(exchange: Exchange) -> web.StreamResponse:
    """Answer a conversation."""
    body = read_chat(await exchange.json(), exchange.services.config)
    return await _answer(exchange, body, is_chat=True)


async def completions(exchange: Exchange) -> web.StreamResponse:
    """Answer a prompt."""
    body = read_completion(await exchange.json(), exchange.services.config)
    return await _answer(exchange, body, is_chat=False)


def ask_of(exchange: Exchange, body: ChatBody) -> "Ask":
    """Return what the dispatcher is asked.

    Raises:
        ApiError: there is no such model, or the key may not use it.
    """
    from mixture_training.src.asking import Ask

    services, key, headers = exchange.services, exchange.key, exchange.request.headers
    choice = services.choose(body.model, key)
    check_choice(key, choice.policy or services.default_policy, choice.expert)
    return Ask(
        call=body.call,
        policy=choice.policy,
        expert=choice.expert,
        allowed=None if key is None or key.experts is None else frozenset(key.experts),
        session=_name(headers.get("x-moe-session") or body.session),
        user=_name(headers.get("x-moe-user") or body.user),
        key_id=None if key is None else key.id,
        timeout_s=exchange.timeout_s(),
    )


def _name(given: str | None) -> str | None:
    """Return a name as it may be kept: of one that is longer than names are, its digest."""
    if given is None or len(given) <= _LONGEST_NAME:
        return given
    return hashlib.sha256(given.encode("utf-8", "surrogatepass")).hexdigest()


async def _answer(exchange: Exchange, body: ChatBody, *, is_chat: bool) -> web.StreamResponse:
    services = exchange.services
    ask = ask_of(exchange, body)
    held = services.access.admit(exchange.key, services.most_usd(exchange.key, ask.expert, body.call))
    try:
        if body.is_stream:
            return await _Stream(exchange, body, is_chat=is_chat).send(ask)
        async with asyncio.timeout(exchange.timeout_s() + _GRACE_S):
            result = await services.dispatcher.answer(ask)
    finally:
        services.access.settle(held)
    exchange.note(result)
    return web.Response(
        body=chat_reply(result) if is_chat else completion_reply(result),
        content_type="application/json",
        headers=headers_of(result),
    )


class _Stream:
    """Sends one answer as server-sent events.

    Nothing is sent before the first piece is there, so that what fails before it gets a status of its own. An answer
    that breaks after it ends in an event with an `error`, and without [DONE].
    """

    def __init__(self, exchange: Exchange, body: ChatBody, *, is_chat: bool) -> None:
        self._exchange = exchange
        self._body = body
        self._is_chat = is_chat
        self._response: web.StreamResponse | None = None
        self._chunks: ChunkWriter | None = None
        self._receipt: Receipt | None = None
        #: Chunks that are sent together with the next, which has arrived too.
        self._unsent: list[bytes] = []
        #: The piece that ends the answer waits for what was decided, which goes with it.
        self._last: tuple[Mapping[str, Any], str] | None = None

    async def send(self, ask: "Ask") -> web.StreamResponse:
        """Send the answer to `ask`.

        Raises:
            ToolkitError: it failed before its first piece.
        """
        exchange = self._exchange
        try:
            async with (
                asyncio.timeout(exchange.timeout_s() + _GRACE_S),
                aclosing(exchange.services.dispatcher.stream(ask)) as events,
            ):
                await self._send(events)
        except (ToolkitError, TimeoutError) as problem:
            if self._response is None:
                raise
            failure = from_toolkit(problem) if isinstance(problem, ToolkitError) else ApiError(504, "It took too long.")
            exchange.attempts = getattr(problem, "attempts", ())
            self._break_off(failure)
        except (asyncio.CancelledError, ConnectionError):
            exchange.outcome = "cancelled"
            raise
        except Exception as problem:
            if self._response is None:
                raise
            exchange.services.log.problem(exchange.route, problem)
            self._break_off(ApiError(500, "The server could not do this."))
        assert self._response is not None
        await self._response.write_eof(self._take())
        return self._response

    async def _send(self, events: AsyncIterator[Any]) -> None:
        from mixture_training.src.asking import MoEResult
        from mixture_training.src.model_executor import Piece, Resumed
        from mixture_training.src.receipt import Receipt

        async for event in events:
            if isinstance(event, Piece):
                await self._piece(event.expert, event.piece)
            elif isinstance(event, Receipt):
                self._receipt = event
            elif isinstance(event, Resumed):
                chunks, response = await self._begin(event.expert)
                self._last = None
                self._unsent.append(chunks.resumed(event.expert, event.after))
                await response.write(self._take())
            elif isinstance(event, MoEResult):
                await self._end(event)

    async def _begin(self, expert: str) -> tuple[ChunkWriter, web.StreamResponse]:
        """Send the head, once."""
        if self._response is not None and self._chunks is not None:
            return self._chunks, self._response
        exchange, receipt = self._exchange, self._receipt
        headers = {**COMMON_HEADERS, "Content-Type": "text/event-stream; charset=utf-8", "X-Accel-Buffering": "no"}
        headers["x-moe-expert"] = safe_header(expert)
        if receipt is not None:
            exchange.decision = receipt.id
            headers["x-moe-decision"] = safe_header(receipt.id)
            headers["x-moe-router-version"] = safe_header(receipt.router_version)
            headers["x-moe-policy"] = safe_header(receipt.policy)
        exchange.expert = expert
        self._chunks = ChunkWriter(exchange.decision or "", expert, is_chat=self._is_chat)
        self._response = web.StreamResponse(headers=headers)
        exchange.services.measures.first_token(expert, exchange.elapsed_s)
        await self._response.prepare(exchange.request)
        return self._chunks, self._response

    async def _piece(self, expert: str, piece: "ChatPiece") -> None:
        chunks, response = await self._begin(expert)
        if piece.finish_reason is not None:
            self._last = (piece.delta, piece.finish_reason)
            return
        self._unsent.append(chunks.piece(piece))
        if not piece.is_followed or len(self._unsent) >= _MOST_UNSENT:
            await response.write(self._take())

    async def _end(self, result: "MoEResult") -> None:
        self._exchange.note(result)
        # An answer that came in no pieces, such as that of tools of which every one declined, comes with its end.
        whole: Mapping[str, Any] = {"role": "assistant", "content": result.response} if self._response is None else {}
        chunks, _ = await self._begin(result.expert)
        delta, reason = self._last or (whole, result.finish_reason or "stop")
        self._unsent.append(chunks.last(delta, result.finish_reason or reason, moe_field(result)))
        if self._body.with_usage:
            self._unsent.append(chunks.usage(usage_field(result.usage)))
        self._unsent.append(DONE)

    def _break_off(self, failure: ApiError) -> None:
        self._exchange.outcome, self._exchange.code = "failed", failure.code
        self._unsent.append(error_chunk(failure.to_json()))

    def _take(self) -> bytes:
        """Return what is to be sent now."""
        unsent, self._unsent = self._unsent, []
        return b"".join(unsent)
