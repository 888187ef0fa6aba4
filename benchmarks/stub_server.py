"""A server of the OpenAI chat protocol that is faster than any client: fixed latency, one answer written beforehand.

It stands for a fleet that serves any load, so that what is measured is the client. Run in a process of its own, on a
core of its own::

    with start_stub_server(latency_s=0.05, tokens=512, core=0) as server:
        ...                                    # base_url=server.url
        server.requests()
"""

import asyncio
import heapq
import json
import os
import random
import re
import subprocess
import sys
import urllib.request
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Any, Self

_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
#: Seconds by which answers that are due may be grouped: one timer serves all of them.
TICK_S = 0.001


class StubServer:
    """A running server. A context manager."""

    def __init__(self, process: "subprocess.Popen[bytes]", url: str) -> None:
        self.process = process
        self.url = url

    def requests(self) -> int:
        """How many requests were answered."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(self.url.removesuffix("/v1") + "/stats", timeout=30) as response:
            return int(json.load(response)["requests"])

    def close(self) -> None:
        """Stop it."""
        self.process.terminate()
        self.process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def start_stub_server(
    *, latency_s: float = 0.05, tokens: int = 512, core: int | None = None, model: str = "stub", jitter: float = 0.0
) -> StubServer:
    """Start a server on 127.0.0.1 and return it; it answers already.

    Args:
        latency_s: Seconds before a request is answered.
        tokens: Words of every answer.
        core: Which core it runs on; None means any.
        model: The model it names.
        jitter: Share of the latency by which answers come earlier or later.
    """
    settings = json.dumps([latency_s, tokens, core, model, jitter])
    command = [sys.executable, str(Path(__file__).resolve()), settings]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process.stdout as out:
        port = int(out.readline())
    return StubServer(process, f"http://127.0.0.1:{port}/v1")


def answer_text(tokens: int) -> str:
    """Return the text of every answer; it ends in 42, which is what exact match finds or not."""
    return "The answer is " + " ".join(f"w{number % 97}" for number in range(tokens - 4)) + " 42"


class _Answers:
    """What is due when: requests wait in the order of their deadlines, and one timer serves them."""

    def __init__(self, latency_s: float, jitter: float, reply: bytes) -> None:
        self.latency_s, self.jitter, self.reply = latency_s, jitter, reply
        self.requests = 0
        self._loop = asyncio.get_running_loop()
        self._due: deque[tuple[float, asyncio.Transport]] = deque()
        self._spread: list[tuple[float, int, asyncio.Transport]] = []
        self._chance = random.Random(0)
        self._is_timed = False

    def add(self, transport: asyncio.Transport) -> None:
        """Answer on this connection when its time has come."""
        self.requests += 1
        now = self._loop.time()
        if self.jitter:
            due = now + self.latency_s * (1.0 + self._chance.uniform(-self.jitter, self.jitter))
            heapq.heappush(self._spread, (due, self.requests, transport))
        else:
            due = now + self.latency_s
            self._due.append((due, transport))
        if not self._is_timed:
            self._is_timed = True
            self._loop.call_at(due, self._serve)

    def _serve(self) -> None:
        until, reply = self._loop.time() + TICK_S / 2.0, self.reply
        while self._due and self._due[0][0] <= until:
            self._due.popleft()[1].write(reply)
        while self._spread and self._spread[0][0] <= until:
            heapq.heappop(self._spread)[2].write(reply)
        first = self._due[0][0] if self._due else self._spread[0][0] if self._spread else None
        self._is_timed = first is not None
        if first is not None:
            self._loop.call_at(max(first, until + TICK_S / 2.0), self._serve)


class _Connection(asyncio.Protocol):
    def __init__(self, answers: _Answers) -> None:
        self._answers = answers
        self._buffer = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer = data = self._buffer + data if self._buffer else data
        while (end := data.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(data, 0, end)
            until = end + 4 + (int(length[1]) if length else 0)
            if len(data) < until:
                break
            if data.startswith(b"POST"):
                self._answers.add(self._transport)
            else:
                self._transport.write(_whole(json.dumps({"requests": self._answers.requests}).encode()))
            data = data[until:]
        self._buffer = data


def _whole(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


def _reply(tokens: int, model: str) -> bytes:
    message = {"role": "assistant", "content": answer_text(tokens)}
    usage = {"prompt_tokens": 30, "completion_tokens": tokens, "total_tokens": 30 + tokens}
    reply: dict[str, Any] = {"id": "stub", "object": "chat.completion", "created": 0, "model": model}
    reply["choices"] = [{"index": 0, "message": message, "finish_reason": "stop"}]
    return _whole(json.dumps({**reply, "usage": usage}).encode())


async def _serve(latency_s: float, tokens: int, model: str, jitter: float) -> None:
    answers = _Answers(latency_s, jitter, _reply(tokens, model))
    server = await asyncio.get_running_loop().create_server(lambda: _Connection(answers), "127.0.0.1", 0, backlog=4096)
    os.write(1, f"{server.sockets[0].getsockname()[1]}\n".encode())
    await server.serve_forever()


def _main() -> None:
    latency_s, tokens, core, model, jitter = json.loads(sys.argv[1])
    if core is not None:
        os.sched_setaffinity(0, {core})
    asyncio.run(_serve(latency_s, tokens, model, jitter))


if __name__ == "__main__":
    _main()
