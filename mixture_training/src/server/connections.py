"""Connections that cannot be held for nothing: slow senders, slow readers, and more than there is room for.

aiohttp reads and writes; here is watched how long each takes. One timer walks all connections, so that a request costs
two assignments.
"""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from aiohttp import web

from mixture_training.src.server.api_errors import COMMON_HEADERS, ApiError
from mixture_training.src.server.json_bytes import write_json

if TYPE_CHECKING:
    from mixture_training.src.server.serve_config import ServeConfig

#: Seconds between two walks.
WALK_S = 0.5


class WatchedConnection(web.RequestHandler):
    """A connection that knows since when it waits for what."""

    __slots__ = ("_closing_since", "_head_since", "_is_busy", "_last_used", "_paused_since", "_wire", "_yard")

    def __init__(self, manager: web.Server, yard: "Connections", **options: Any) -> None:  # noqa: ANN401
        super().__init__(manager, **options)
        self._yard = yard
        self._is_busy = False
        self._head_since: float | None = None
        self._paused_since: float | None = None
        self._closing_since: float | None = None
        self._last_used = 0.0
        self._wire: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection in."""
        self._wire = cast(asyncio.Transport, transport)  # those of uvloop are no subclass
        self._head_since = self._last_used = self._loop.time()
        super().connection_made(transport)
        self._yard.add(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Let it go."""
        self._yard.remove(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on; the first byte of a head starts its time."""
        if self._head_since is None and not self._is_busy:
            self._head_since = self._loop.time()
        super().data_received(data)

    def pause_writing(self) -> None:
        """Note since when the client has not been reading."""
        self._paused_since = self._loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        """Note that it reads again."""
        self._paused_since = None
        super().resume_writing()

    def begin(self) -> None:
        """Note that a request is being answered."""
        self._is_busy, self._head_since = True, None

    def end(self) -> None:
        """Note that it has been."""
        self._is_busy = False
        self._last_used = self._loop.time()

    @property
    def idle_since(self) -> float | None:
        """When it was last used; None while it is."""
        return None if self._is_busy else self._last_used

    def is_overdue(self, now: float, head_s: float, write_s: float) -> bool:
        """Whether a request's head, or a client's reading, has taken too long."""
        wire = self._wire
        if wire is None:
            return False
        if self._head_since is not None and now - self._head_since > head_s:
            return True
        if self._paused_since is not None and now - self._paused_since > write_s:
            return True
        if wire.is_closing():
            if self._closing_since is None:
                self._closing_since = now
            return now - self._closing_since > write_s
        return False

    def drop(self) -> None:
        """End it at once, whatever is left to send."""
        if self._wire is not None:
            self._wire.abort()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is no HTTP, or what nobody foresaw, in the shape of the API and without its insides."""
        if exc is not None and status >= 500:
            self._yard.unforeseen += 1
        says = "This is no HTTP request the server can read." if status < 500 else "The server could not do this."
        response = web.Response(
            status=status,
            body=write_json(ApiError(status, says).to_json()),
            content_type="application/json",
            headers=COMMON_HEADERS,
        )
        response.force_close()
        return response


class Connections:
    """All connections of one worker.

    Args:
        config: The limits.
    """

    def __init__(self, config: "ServeConfig") -> None:
        self._config = config
        self._open: dict[WatchedConnection, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._due = float("inf")
        #: Errors that reached the protocol itself.
        self.unforeseen = 0
        #: Connections ended because they took too long, and because there was no room.
        self.dropped = 0
        self.evicted = 0

    def __len__(self) -> int:
        return len(self._open)

    def add(self, connection: WatchedConnection) -> None:
        """Take one in; with too many, the one that was idle the longest is ended."""
        self._open[connection] = None
        if len(self._open) > self._config.max_connections:
            self.evicted += 1
            idle = ((at, other) for other in self._open if (at := other.idle_since) is not None)
            # Connections stand in the order of their coming: the first idle ones are old enough.
            _, oldest = min(_first(idle, 64), key=lambda pair: pair[0], default=(0.0, connection))
            self._open.pop(oldest, None)
            oldest.drop()

    def remove(self, connection: WatchedConnection) -> None:
        """Let one go."""
        self._open.pop(connection, None)

    def serve(self, manager: web.Server, options: Mapping[str, Any]) -> "asyncio.Protocol":
        """Return the protocol of a new connection."""
        return WatchedConnection(manager, self, loop=asyncio.get_running_loop(), **options)

    def walk(self) -> None:
        """End what takes too long, and come again.

        Where the walk itself comes late, this process was slow: nobody is ended for what it has not read yet.
        """
        loop = asyncio.get_running_loop()
        now, config = loop.time(), self._config
        if now < self._due + WALK_S:
            for connection in list(self._open):
                if connection.is_overdue(now, config.head_timeout_s, config.write_timeout_s):
                    self.dropped += 1
                    connection.drop()
        self._due = now + WALK_S
        self._timer = loop.call_at(self._due, self.walk)

    def stop(self) -> None:
        """Walk no more."""
        if self._timer is not None:
            self._timer.cancel()


def _first(found: Any, count: int) -> list[tuple[float, WatchedConnection]]:  # noqa: ANN401
    return [pair for pair, _ in zip(found, range(count), strict=False)]
