"""One HTTP/1.1 connection with as little between the caller and the socket as there can be."""

import asyncio
import time
from dataclasses import dataclass, field

#: How an answer ended: whole, with the connection lost before it was whole, or not in time.
WHOLE, LOST, LATE, REFUSED = "whole", "lost", "late", "refused"


@dataclass(slots=True)
class Reply:
    """An answer, or how it failed to come.

    Attributes:
        end: One of WHOLE, LOST, LATE and REFUSED.
        status: 0 where no head came.
        head: As received.
        body: Without the framing.
        seconds: From sending until the end.
        first_s: From sending until the first byte of the body; NaN where none came.
    """

    end: str
    status: int = 0
    head: bytes = b""
    body: bytes = b""
    seconds: float = 0.0
    first_s: float = float("nan")

    def header(self, name: str) -> str | None:
        """Return the value of a header; None where there is none."""
        found = self.head.lower().find(b"\r\n" + name.lower().encode() + b":")
        if found < 0:
            return None
        line = self.head[found + 2 :].split(b"\r\n", 1)[0]
        return line.partition(b":")[2].strip().decode("latin-1")


class Connection(asyncio.Protocol):
    """One connection; one request at a time."""

    def __init__(self) -> None:
        self.is_open = False
        self._transport: asyncio.Transport
        self._waiting: asyncio.Future[None] | None = None
        self._left: int | None = None
        self._first = 0.0
        self._clear()

    @classmethod
    async def open(cls, host: str, port: int) -> "Connection":
        """Return a connection.

        Raises:
            OSError: nobody listens.
        """
        _, made = await asyncio.get_running_loop().create_connection(cls, host, port)
        return made

    async def ask(self, request: bytes, timeout_s: float = 60.0) -> Reply:
        """Send a request as it is and return its answer; a late one costs the connection."""
        self._clear()
        loop = asyncio.get_running_loop()
        self._waiting = loop.create_future()
        started = time.perf_counter()
        deadline = loop.call_later(timeout_s, self._end, LATE)
        self._transport.write(request)
        try:
            await self._waiting
        finally:
            deadline.cancel()
        ended = time.perf_counter()
        if self._end_kind != WHOLE:
            self._transport.abort()
            self.is_open = False
        first_s = self._first - started if self._first else float("nan")
        return Reply(self._end_kind, self._status, self._head, bytes(self._body), ended - started, first_s)

    def close(self) -> None:
        """Close it."""
        self.is_open = False
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport, self.is_open = transport, True

    def connection_lost(self, exc: Exception | None) -> None:
        """End the request that waits; an answer without a length ends this way."""
        self.is_open = False
        self._end(WHOLE if self._head and self._left is None and not self._is_chunked and exc is None else LOST)

    def data_received(self, data: bytes) -> None:
        """Take what came."""
        self._buffer += data
        if not self._head and not self._read_head():
            return
        if self._is_chunked:
            self._read_chunks()
            return
        if self._buffer:
            self._note_first()
            self._body += self._buffer
            self._buffer.clear()
        if self._left is not None and len(self._body) >= self._left:
            self._end(WHOLE)

    def _read_head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        self._head = bytes(self._buffer[:end])
        del self._buffer[: end + 4]
        self._status = int(self._head[9:12])
        if self._status == 100:
            self._head = b""
            return self._read_head()
        low = self._head.lower()
        self._is_chunked = b"\r\ntransfer-encoding: chunked" in low
        at = low.find(b"\r\ncontent-length:")
        if at >= 0:
            self._left = int(low[at + 17 :].split(b"\r\n", 1)[0])
        return True

    def _read_chunks(self) -> None:
        while (line := self._buffer.find(b"\r\n")) >= 0:
            size = int(self._buffer[:line].split(b";")[0], 16)
            until = line + 2 + size
            if len(self._buffer) < until + 2:
                return
            self._note_first()
            self._body += self._buffer[line + 2 : until]
            del self._buffer[: until + 2]
            if size == 0:
                self._end(WHOLE)
                return

    def _note_first(self) -> None:
        if not self._first:
            self._first = time.perf_counter()

    def _end(self, kind: str) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._end_kind = kind
            self._waiting.set_result(None)

    def _clear(self) -> None:
        self._buffer, self._body = bytearray(), bytearray()
        self._head, self._status, self._first = b"", 0, 0.0
        self._left, self._is_chunked = None, False
        self._end_kind = LOST


@dataclass(frozen=True)
class Target:
    """Where requests go.

    Attributes:
        url: With its path, `http://127.0.0.1:8080/v1`.
        key: A bearer key, or "".
        headers: Further ones.
    """

    url: str
    key: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def host(self) -> str:
        """The host's name."""
        return self.url.split("//")[1].split("/")[0].split(":")[0]

    @property
    def port(self) -> int:
        """The port."""
        return int(self.url.split("//")[1].split("/")[0].split(":")[1])

    def post(self, path: str, body: bytes, *, method: str = "POST") -> bytes:
        """Return a request as it goes over the wire."""
        prefix = "/" + "/".join(self.url.split("//")[1].split("/")[1:])
        lines = [f"{method} {prefix.rstrip('/')}{path} HTTP/1.1", f"Host: {self.host}:{self.port}"]
        lines += [f"Authorization: Bearer {self.key}"] if self.key else []
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}", "", ""]
        return "\r\n".join(lines).encode() + body
