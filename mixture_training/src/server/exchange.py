"""One request on its way: who sent it, what was read of it, what came of it; and the frame in which all are handled."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import web

from dataset_build import ToolkitError
from mixture_training.src.server.api_errors import ApiError, from_http, from_toolkit, unavailable
from mixture_training.src.server.chat_bodies import read_object
from mixture_training.src.server.connections import WatchedConnection

if TYPE_CHECKING:
    from mixture_training.src.asking import MoEResult
    from mixture_training.src.decisions import Attempt
    from mixture_training.src.server.services import Services
    from mixture_training.src.storing.keys import Key

#: What is logged of a request whose sender went away.
GONE = 499
#: The header by which a client asks for less time.
TIMEOUT_HEADER = "x-moe-timeout-s"
#: The least it may ask for.
LEAST_TIMEOUT_S = 0.1
Handler = Callable[["Exchange"], Awaitable[web.StreamResponse]]


@dataclass(slots=True)
class Exchange:
    """A request, its key, and what is to be noted of it.

    Attributes:
        request: As it came.
        services: What it is answered with.
        route: The pattern it matched.
        started: `time.perf_counter()` of its beginning.
        key: By which it came.
        decision: The id of the decision that was made.
        expert: Who answered.
        cost: What that cost, USD.
        code: Of the error it got.
        attempts: Calls that were made for it.
        outcome: How the decision ended.
    """

    request: web.Request
    services: "Services"
    route: str
    started: float
    key: "Key | None" = None
    decision: str | None = None
    expert: str | None = None
    cost: float | None = None
    code: str | None = None
    attempts: "tuple[Attempt, ...]" = field(default=())
    outcome: str = "answered"

    async def body(self) -> bytes:
        """Return the body.

        Raises:
            ApiError: it is too large, too slow, compressed or of another type.
        """
        request, config = self.request, self.services.config
        length = request.content_length
        if length is not None and length > config.max_body_bytes:
            raise _too_large(config.max_body_bytes)
        if request.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise ApiError(415, "The body must not be compressed.")
        if request.body_exists and not _is_json(request.content_type):
            raise ApiError(415, "The body must be JSON: send Content-Type: application/json.")
        try:
            if request.content.is_eof():  # it came with the head
                return await request.read()
            async with asyncio.timeout(config.body_timeout_s):
                return await request.read()
        except TimeoutError:
            raise ApiError(
                408, f"The body did not arrive within {config.body_timeout_s:g} s.", headers={"Connection": "close"}
            ) from None
        except web.HTTPRequestEntityTooLarge:
            raise _too_large(config.max_body_bytes) from None
        except web.RequestPayloadError:
            raise ApiError(400, "The body is cut off or badly framed.", headers={"Connection": "close"}) from None

    async def json(self) -> dict[str, Any]:
        """Return the JSON object in the body.

        Raises:
            ApiError: as for `body`, or it holds none.
        """
        return read_object(await self.body())

    def timeout_s(self) -> float:
        """Return the seconds this request may take.

        Raises:
            ApiError: the client asks for what is no time.
        """
        most = self.services.config.request_timeout_s
        asked = self.request.headers.get(TIMEOUT_HEADER)
        if asked is None:
            return most
        try:
            seconds = float(asked)
        except ValueError:
            seconds = 0.0
        if not LEAST_TIMEOUT_S <= seconds < float("inf"):
            raise ApiError(
                400, f"{TIMEOUT_HEADER} is a number of seconds, at least {LEAST_TIMEOUT_S:g}.", param=TIMEOUT_HEADER
            )
        return min(seconds, most)

    @property
    def elapsed_s(self) -> float:
        """Seconds since it began."""
        return time.perf_counter() - self.started

    def note(self, result: "MoEResult") -> None:
        """Note what an answer cost."""
        self.decision, self.expert, self.cost = result.id, result.expert, result.cost
        self.attempts = result.attempts

    def finish(self, status: int) -> None:
        """Count, log and trace the request."""
        services = self.services
        seconds = self.elapsed_s
        services.measures.request(self.route, status, self.code)
        if self.attempts or self.expert is not None:
            services.measures.answered(self.expert or "none", self.outcome, seconds, self.attempts)
        key_id = None if self.key is None else self.key.id
        services.log.request(
            self.request.method,
            self.route,
            status,
            seconds,
            decision=self.decision,
            expert=self.expert,
            cost=self.cost,
            key_id=key_id,
            code=self.code,
        )
        if services.tracing is not None:
            notes = {"moe.decision": self.decision, "moe.expert": self.expert, "moe.cost_usd": self.cost}
            services.tracing.request(
                f"{self.request.method} {self.route}",
                self.request.headers,
                seconds=seconds,
                status=status,
                attempts=self.attempts,
                notes={name: value for name, value in notes.items() if value is not None},
            )


def endpoint(
    services: "Services", route: str, handler: Handler, *, needs_key: bool = True, is_work: bool = False
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Return `handler` in the frame every request is handled in: key, errors, count, log.

    Args:
        services: What requests are answered with.
        route: The pattern, for log and metrics.
        handler: Answers, or raises `ApiError` or an error of the toolkit.
        needs_key: Whether it takes a key where the server does.
        is_work: Whether it calls experts, so that their number at the same time is limited.
    """

    async def handle(request: web.Request) -> web.StreamResponse:
        exchange = Exchange(request, services, route, time.perf_counter())
        connection = request.protocol
        assert isinstance(connection, WatchedConnection)
        connection.begin()
        services.in_flight += 1
        status = GONE
        try:
            response = await _guarded(exchange, handler, needs_key=needs_key, is_work=is_work)
            status = response.status
            return response
        finally:
            services.in_flight -= 1
            connection.end()
            exchange.finish(status)

    return handle


async def _guarded(exchange: Exchange, handler: Handler, *, needs_key: bool, is_work: bool) -> web.StreamResponse:
    services = exchange.services
    try:
        if needs_key:
            exchange.key = services.access.key_of(exchange.request.headers)
        if not is_work:
            return await handler(exchange)
        if services.working >= services.config.concurrency:
            raise unavailable("The server has as many requests as it takes at the same time.", code="overloaded")
        services.working += 1
        try:
            return await handler(exchange)
        finally:
            services.working -= 1
    except ConnectionError:
        raise
    except Exception as problem:
        refused = _refusal(exchange, problem)
    # Its traceback leads to this frame, and the frame to it: in a circle, they would keep the body until the collector
    # comes, which counts objects and not bytes.
    refused.__traceback__ = refused.__context__ = refused.__cause__ = None
    exchange.code = refused.code
    exchange.decision = exchange.decision or refused.decision
    response = refused.response()
    if refused.status in (408, 413, 415):  # the rest of the body would be taken for the next request
        response.force_close()
    return response


def _refusal(exchange: Exchange, problem: Exception) -> ApiError:
    """Return what the client hears of a problem."""
    if isinstance(problem, ApiError):
        return problem
    if isinstance(problem, ToolkitError):
        exchange.attempts = getattr(problem, "attempts", ())
        exchange.cost = sum(attempt.cost or 0.0 for attempt in exchange.attempts)
        exchange.outcome = "failed"
        return from_toolkit(problem)
    if isinstance(problem, web.HTTPException):
        return from_http(problem.status, problem.headers)
    if isinstance(problem, TimeoutError):
        return ApiError(504, "The request took too long.")
    exchange.services.log.problem(exchange.route, problem)
    return ApiError(500, "The server could not do this.")


def _is_json(content_type: str) -> bool:
    return content_type == "application/json" or content_type.endswith("+json")


def _too_large(most: int) -> ApiError:
    return ApiError(413, f"A body has at most {most} bytes here.", headers={"Connection": "close"})
