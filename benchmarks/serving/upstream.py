"""An upstream of the OpenAI protocol: fast, says in its answers whose request they answer, and fails on order.

One process is one endpoint, so it can be killed and started again on the same port::

    with start_upstream(latency_s=0.05, core=0) as upstream:
        ...                                     # base_url=upstream.url
        upstream.change(mode="garbage")
        upstream.stats()["requests"]

An answer is `pieces` words, each of them the tag of the request (`<<7f3a…>>` in its last message, "w" where it has
none) and its number; streams send each word as an event. A request with `tools` whose last message is the user's gets
a call of the first tool, one in JSON mode gets a JSON object, `/embeddings` gets vectors of three numbers, and a GET
gets a list of models. What is no request gets status 400.

`mode` says what happens instead, to `share` of the requests (all):

- `ok`: nothing.
- `slow`: the answer comes after `slow_s`.
- `silent`: no answer, ever.
- `error`: status 500.
- `garbage`: status 200 with something that is no answer: HTML, half of a JSON, bytes that are no text, an empty list.
- `cut`: half of the answer, then the connection is reset, or, where it is a stream, closed.
- `raw`: the bytes `raw` (latin-1) as they are, then the connection is closed.
"""

import asyncio
import json
import os
import random
import re
import signal
import subprocess
import sys
import urllib.request
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Any, Self

_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
_TAG = re.compile(rb"<<([0-9a-z]+)>>")
_CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
_LAST_CHUNK = b"0\r\n\r\n"
_GARBAGE = (b"<html><body>Welcome</body></html>", b'{"choices": [{"message": {"content": "ha', b"\xff\xfe\x00", b"[]")
MODES = ("ok", "slow", "silent", "error", "garbage", "cut", "raw")


class Upstream:
    """A running endpoint. A context manager."""

    def __init__(self, process: "subprocess.Popen[bytes]", port: int, settings: dict[str, Any]) -> None:
        self.process, self.port, self._settings = process, port, settings
        self.url = f"http://127.0.0.1:{port}/v1"

    def change(self, **settings: Any) -> None:  # noqa: ANN401 - those of `start_upstream`
        """Set some of what `start_upstream` takes, and `mode`, `share`, `slow_s`, `raw`, `gap_s` (between events)."""
        self._settings |= settings
        self._ask("/change", json.dumps(settings).encode())

    def stats(self) -> dict[str, Any]:
        """Return `requests`, `in_flight`, and `modes` (requests by the mode they met)."""
        found: dict[str, Any] = json.loads(self._ask("/stats"))
        return found

    def last_request(self) -> tuple[str, dict[str, Any]]:
        """Return the head and the JSON body of the latest request."""
        head, body = json.loads(self._ask("/last"))
        return head, json.loads(body.encode("latin-1"))

    def kill(self) -> None:
        """End it at once, as a crash does."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def restart(self) -> None:
        """Start it again where it was."""
        self.process, _ = _start({**self._settings, "port": self.port})

    def close(self) -> None:
        """Stop it."""
        self.process.terminate()
        self.process.wait()

    def _ask(self, path: str, body: bytes | None = None) -> bytes:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(self.url.removesuffix("/v1") + path, data=body, timeout=30) as response:
            content: bytes = response.read()
            return content

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def start_upstream(
    *, latency_s: float = 0.0, pieces: int = 8, padding: int = 0, core: int | None = None, port: int = 0
) -> Upstream:
    """Start an endpoint on 127.0.0.1 and return it; it answers already.

    Args:
        latency_s: Seconds before an answer, or its first event.
        pieces: Words of an answer, and events of a stream.
        padding: Characters every word is longer.
        core: Which core it runs on; None means any.
        port: Where; 0 means any that is free.
    """
    settings = {"latency_s": latency_s, "pieces": pieces, "padding": padding, "core": core, "port": port}
    process, port = _start(settings)
    return Upstream(process, port, settings)


def _start(settings: dict[str, Any]) -> tuple["subprocess.Popen[bytes]", int]:
    command = [sys.executable, str(Path(__file__).resolve()), json.dumps(settings)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process.stdout as out:
        return process, int(out.readline())


class _State:
    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = {"mode": "ok", "share": 1.0, "slow_s": 5.0, "raw": "", "gap_s": 0.0, **settings}
        self.chance = random.Random(0)
        self.modes: Counter[str] = Counter()
        self.in_flight = 0
        self.last: tuple[bytes, bytes] = (b"", b"{}")


class _Connection(asyncio.Protocol):
    def __init__(self, state: _State) -> None:
        self._state = state
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
            self._request(data[:end], data[end + 4 : until])
            data = data[until:]
        self._buffer = data

    def _request(self, head: bytes, body: bytes) -> None:
        state, path = self._state, head.split(b" ", 2)[1]
        if path == b"/stats":
            counts = {"requests": state.modes.total(), "in_flight": state.in_flight, "modes": dict(state.modes)}
            self._transport.write(_whole(json.dumps(counts).encode()))
        elif path == b"/last":
            self._transport.write(_whole(json.dumps([part.decode("latin-1") for part in state.last]).encode()))
        elif path == b"/change":
            state.settings.update(json.loads(body))
            self._transport.write(_whole(b"{}"))
        elif not head.startswith(b"POST"):
            names = [{"id": name, "object": "model"} for name in ("small", "large")]
            self._transport.write(_whole(json.dumps({"object": "list", "data": names}).encode()))
        else:
            mode = state.settings["mode"] if state.chance.random() < state.settings["share"] else "ok"
            state.last = (head, body)
            state.modes[mode] += 1
            state.in_flight += 1
            wait = state.settings["slow_s"] if mode == "slow" else state.settings["latency_s"]
            if wait:
                asyncio.get_running_loop().call_later(wait, self._answer, path, body, mode)
            else:
                self._answer(path, body, mode)

    def _answer(self, path: bytes, body: bytes, mode: str) -> None:
        state, transport = self._state, self._transport
        state.in_flight -= 1
        if transport.is_closing() or mode == "silent":
            return
        if mode == "raw":
            transport.write(state.settings["raw"].encode("latin-1"))
            transport.close()
        elif mode == "error":
            transport.write(_whole(b'{"error": {"message": "the engine died", "type": "server_error"}}', b"500 Oops"))
        elif mode == "garbage":
            transport.write(_whole(_GARBAGE[state.modes["garbage"] % len(_GARBAGE)]))
        else:
            try:
                parts = _reply(path, body, state.settings)
            except (ValueError, TypeError, LookupError, AttributeError):
                parts = [_whole(b'{"error": {"message": "no such request", "code": null}}', b"400 Bad Request")]
            if len(parts) > 1 and (mode == "cut" or state.settings["gap_s"]):
                self._send_slowly(parts[: len(parts) // 2] if mode == "cut" else parts, is_cut=mode == "cut")
            elif mode == "cut":
                transport.write(parts[0][: len(parts[0]) // 2])
                asyncio.get_running_loop().call_later(0.005, transport.abort)
            else:
                transport.write(b"".join(parts))

    def _send_slowly(self, parts: list[bytes], *, is_cut: bool) -> None:
        loop, gap_s = asyncio.get_running_loop(), max(0.001, self._state.settings["gap_s"])
        for number, part in enumerate(parts):
            loop.call_later(number * gap_s, self._write, part)
        if is_cut:
            loop.call_later(len(parts) * gap_s, self._transport.close)

    def _write(self, part: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(part)


def _reply(path: bytes, body: bytes, settings: dict[str, Any]) -> list[bytes]:
    """Return an answer, or the parts of a stream."""
    request = json.loads(body)
    tags = _TAG.findall(body)
    tag, padding = tags[-1].decode() if tags else "w", "x" * settings["padding"]
    words = [f"{tag}:{number}{padding} " for number in range(settings["pieces"])]
    if path.endswith(b"/embeddings"):
        given = request["input"] if isinstance(request["input"], list) else [request["input"]]
        vectors = [{"object": "embedding", "index": i, "embedding": [0.1, 0.2, 0.3]} for i in range(len(given))]
        usage = {"prompt_tokens": len(given), "total_tokens": len(given)}
        reply = {"object": "list", "model": request.get("model", ""), "data": vectors, "usage": usage}
        return [_whole(json.dumps(reply).encode())]
    message: dict[str, Any] = {"role": "assistant", "content": "".join(words)}
    finish = "stop"
    if request.get("tools") and request["messages"][-1]["role"] == "user":
        tool = request["tools"][0].get("function")
        name = tool.get("name", "f") if isinstance(tool, dict) else "f"
        function = {"name": name, "arguments": json.dumps({"city": tag})}
        calls = [{"id": f"call_{tag}", "type": "function", "function": function}]
        message, finish = {"role": "assistant", "content": None, "tool_calls": calls}, "tool_calls"
    elif str((request.get("response_format") or {}).get("type")).startswith("json"):
        words = ['{"answer": ', f'"{tag}"', "}"]
        message["content"] = "".join(words)
    prompt, completion = len(body) // 4, len(words)
    usage = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    if not request.get("stream"):
        choice = {"index": 0, "message": message, "finish_reason": finish}
        reply = {"id": f"chatcmpl-{tag}", "object": "chat.completion", "created": 1, "model": request.get("model", "")}
        return [_whole(json.dumps({**reply, "choices": [choice], "usage": usage}).encode())]
    if "tool_calls" in message:
        deltas: list[dict[str, Any]] = [{"tool_calls": [{"index": 0, **message["tool_calls"][0]}]}]
    else:
        deltas = [{"content": word} for word in words]
    return [_CHUNKED, *_events(request, f"chatcmpl-{tag}", deltas, finish, usage), _LAST_CHUNK]


def _events(
    request: dict[str, Any], name: str, deltas: list[dict[str, Any]], finish: str, usage: dict[str, int]
) -> list[bytes]:
    base = {"id": name, "object": "chat.completion.chunk", "created": 1, "model": request.get("model", "")}
    deltas[0] = {"role": "assistant", **deltas[0]}
    choices = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
    events: list[dict[str, Any]] = [{**base, "choices": [choice]} for choice in choices]
    events.append({**base, "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    if (request.get("stream_options") or {}).get("include_usage"):
        events.append({**base, "choices": [], "usage": usage})
    return [_chunk(b"data: %b\n\n" % text) for text in (*(json.dumps(e).encode() for e in events), b"[DONE]")]


def _whole(body: bytes, status: bytes = b"200 OK") -> bytes:
    head = b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
    return head % (status, len(body), body)


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


async def _serve(settings: dict[str, Any]) -> None:
    state = _State(settings)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, os._exit, 0)
    server = await loop.create_server(lambda: _Connection(state), "127.0.0.1", settings["port"], backlog=4096)
    os.write(1, f"{server.sockets[0].getsockname()[1]}\n".encode())
    await server.serve_forever()


def _main() -> None:
    settings = json.loads(sys.argv[1])
    if settings["core"] is not None:
        os.sched_setaffinity(0, {settings["core"]})
    asyncio.run(_serve(settings))


if __name__ == "__main__":
    _main()
