"""An endpoint of the OpenAI protocol that fails on demand, and knows what it would have billed.

It imports nothing of the project, so it runs as well in a process of its own as in a thread::

    with start_fault_server(latency_s=0.05, faults=0.2, seed=1) as server:
        ...                                   # base_url=server.url
        assert server.stats()["answered"] == 100

What happens to a request is decided by the first of these that says something:

1. a mark in the last message, `<<500>>` say, for an instruction that always fails (`<<500*2>>`: the first two times);
2. the list given as `script`, one entry per request, or later by `server.change(script=[...])`;
3. `always`, one fault for every request, also by `server.change(always="503")` (None ends it);
4. `most_in_flight`: more requests than this at the same time get a `429`;
5. chance, `faults` of the requests, chosen from `kinds`. It depends on the seed, the text and how often that text
   came before, and not on the order in which texts arrive: two runs see the same faults.

Faults (those marked * were generated and are billed; those marked ** are billed, and the caller never gets them):
`429`, `429_retry_after`, `400`, `401`, `402`, `500`, `503`, `529`, `504`**, `reset` (before any byte),
`reset_body`**, `cut_body`** (ends before its Content-Length), `slow_drip`* (byte by byte, `drip_s` apart), `never`**,
`truncated_json`**, `html`, `wrong_type`* (an answer called text/plain), `empty_choices`, `empty_content`*,
`content_filter`*, `length`*, `huge`** (`huge_mb` long), `other_model`*, `error_in_200`, `no_usage`*.
In a stream also `stream_error`**, `no_done`* (a finish_reason, but no `[DONE]`), `no_finish`** (neither) and
`keep_alives`* (comments between the events, several lines of data, UTF-8 cut in the middle) and `stall`** (half of it,
then silence). `tool_calls`* calls a tool in place of a text.

A good answer is `answer`, or else the last message itself, `n` times unless `ignores_n`, cut to `max_tokens`
(`finish_reason` "length"). A token is a word. `server.stats()` returns counts: `requests`, `answered`, `faults`
(by name), `in_flight`, `peak_in_flight`, `connections`, `dropped` (requests whose caller went away), `prompt_tokens`
and `completion_tokens` (billed, the lost included), `lost_prompt_tokens`, `lost_completion_tokens`.
`server.last_request()` returns the head and the body of the latest request. `own_process=True` gives the server its
own core.
"""

import asyncio
import json
import os
import re
import socket
import ssl
import struct
import subprocess
import sys
import threading
import urllib.request
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

#: What chance chooses from unless told otherwise: every fault after which a repeat may succeed, the long ones left out.
RANDOM_FAULTS = (
    "429",
    "429_retry_after",
    "500",
    "503",
    "529",
    "504",
    "reset",
    "reset_body",
    "cut_body",
    "truncated_json",
    "html",
    "empty_choices",
    "error_in_200",
)
#: Generated, billed, and never received.
LOST = {"504", "reset_body", "cut_body", "never", "truncated_json", "huge", "stream_error", "no_finish", "stall"}
#: Refused before anything was generated.
FREE = {"429", "429_retry_after", "400", "401", "402", "500", "503", "529", "reset"}
FREE |= {"html", "empty_choices", "error_in_200"}
STATUS = {"429": 429, "429_retry_after": 429, "400": 400, "401": 401, "402": 402, "500": 500, "503": 503, "529": 529}
STATUS["504"] = 504
#: Every fault that chance, a list or a mark may name.
FAULTS = FREE | LOST | {"slow_drip", "wrong_type", "empty_content", "content_filter", "length", "other_model"}
FAULTS |= {"no_usage", "no_done", "keep_alives", "tool_calls"}
_MARK = re.compile(r"<<([a-z0-9_]+)(?:\*(\d+))?>>")
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")


class FaultServer:
    """A running server: its address, its counts, its switches. A context manager."""

    def __init__(self, url: str, thread: threading.Thread | None, process: "subprocess.Popen[bytes] | None") -> None:
        self.url = url
        self._thread = thread
        self._process = process

    @property
    def root(self) -> str:
        """The address without `/v1`."""
        return self.url.removesuffix("/v1")

    def stats(self) -> dict[str, Any]:
        """Return the counts so far."""
        return dict(json.loads(self._ask("/stats")))

    @property
    def requests(self) -> int:
        """How many requests came, failed ones included."""
        return int(self.stats()["requests"])

    def last_request(self) -> tuple[str, Any]:
        """Return the head of the latest request as text, and its body."""
        head, body = json.loads(self._ask("/last"))
        return head, json.loads(body)

    def change(self, **settings: Any) -> None:
        """Change settings of `start_fault_server` while it runs."""
        self._ask("/change", json.dumps(settings).encode())

    def close(self) -> None:
        """Stop it; every connection is broken."""
        if self._process is None and (self._thread is None or not self._thread.is_alive()):
            return
        self._ask("/stop", b"{}")
        if self._thread is not None:
            self._thread.join()
        if self._process is not None:
            self._process.wait()
            self._process = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _ask(self, path: str, body: bytes | None = None) -> bytes:
        context = None
        if self.url.startswith("https"):
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )
        with opener.open(urllib.request.Request(self.root + path, data=body), timeout=30) as response:
            return bytes(response.read())


def start_fault_server(
    *,
    faults: float = 0.0,
    kinds: Sequence[str] = RANDOM_FAULTS,
    seed: int = 0,
    script: Sequence[str] = (),
    always: str | None = None,
    latency_s: float = 0.0,
    answer: str | None = None,
    ignores_n: bool = False,
    most_in_flight: int | None = None,
    retry_after_s: float = 0.05,
    drip_s: float = 0.005,
    token_s: float = 0.0,
    huge_mb: float = 80.0,
    served_model: str | None = None,
    tls: tuple[str, str] | None = None,
    port: int = 0,
    own_process: bool = False,
) -> FaultServer:
    """Start a server on 127.0.0.1 and return it; it answers already.

    Args:
        faults: Share of the requests that fail by chance.
        kinds: What they fail with.
        seed: Of that chance.
        script: What happens to the first requests, in order; "ok" is an answer.
        always: What happens to all requests after them.
        latency_s: Seconds before a request is answered, or fails.
        answer: Text of every answer; None echoes the last message.
        ignores_n: Whether one answer comes however many were asked for.
        most_in_flight: Requests at the same time beyond which the status is 429.
        retry_after_s: What `429_retry_after` asks for.
        drip_s: Seconds between two bytes of a `slow_drip`.
        token_s: Seconds between two events of a stream.
        huge_mb: Length of a `huge` answer.
        served_model: The model named in replies; None repeats the one asked for.
        tls: Files of the certificate and its key.
        port: Where to listen; 0 takes a free port.
        own_process: Run in a process instead of a thread.
    """
    settings = {name: value for name, value in locals().items() if name not in ("own_process", "port", "tls")}
    settings["kinds"], settings["script"] = list(kinds), list(script)
    scheme = "https" if tls else "http"
    if own_process:
        command = [sys.executable, str(Path(__file__).resolve()), json.dumps([settings, port, tls])]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        assert process.stdout is not None
        with process.stdout as out:
            listening = int(out.readline())
        return FaultServer(f"{scheme}://127.0.0.1:{listening}/v1", None, process)
    started: threading.Event = threading.Event()
    found: list[int] = []

    def report(listening: int) -> None:
        found.append(listening)
        started.set()

    thread = threading.Thread(target=lambda: asyncio.run(_serve(settings, port, tls, report)), daemon=True)
    thread.start()
    if not started.wait(30):
        raise RuntimeError("The fault server did not start.")
    return FaultServer(f"{scheme}://127.0.0.1:{found[0]}/v1", thread, None)


class _State:
    """Settings, counts and the decision what to do with a request."""

    def __init__(self, settings: dict[str, Any], stop: asyncio.Event) -> None:
        self.settings = settings
        self.script = list(settings["script"])
        self.stop = stop
        self.connections: set[_Connection] = set()
        self.counts: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.seen: Counter[str] = Counter()
        self.in_flight = self.peak = 0
        self.last: tuple[bytes, bytes] = (b"", b"{}")

    def decide(self, text: str) -> str:
        """Return "ok" or the name of a fault."""
        settings = self.settings
        earlier = self.seen[text]
        self.seen[text] += 1
        mark = _MARK.search(text)
        if mark and (mark[2] is None or earlier < int(mark[2])):
            return mark[1]
        if self.script:
            return str(self.script.pop(0))
        if settings["always"]:
            return str(settings["always"])
        if settings["most_in_flight"] is not None and self.in_flight > settings["most_in_flight"]:
            return "429"
        if settings["faults"] > 0:
            drawn = zlib.crc32(f"{settings['seed']}|{earlier}|{text}".encode("utf-8", "replace"))
            if drawn < settings["faults"] * 2**32:
                kinds = settings["kinds"]
                return str(kinds[zlib.crc32(str(drawn).encode()) % len(kinds)])
        return "ok"

    def bill(self, fault: str, prompt_tokens: int, completion_tokens: int) -> None:
        """Count a request and the tokens that were generated for it."""
        if fault == "ok":
            self.counts["answered"] += 1
        else:
            self.faults[fault] += 1
        for prefix, counted in (("", fault not in FREE), ("lost_", fault in LOST)):
            if counted:
                self.counts[f"{prefix}prompt_tokens"] += prompt_tokens
                self.counts[f"{prefix}completion_tokens"] += completion_tokens

    def stats(self) -> dict[str, Any]:
        names = ("requests", "answered", "connections", "dropped", "prompt_tokens", "completion_tokens")
        lost = ("lost_prompt_tokens", "lost_completion_tokens")
        gauges = {"in_flight": self.in_flight, "peak_in_flight": self.peak, "faults": dict(self.faults)}
        return {**{name: self.counts[name] for name in (*names, *lost)}, **gauges}

    def change(self, settings: dict[str, Any]) -> None:
        self.script = list(settings.pop("script", self.script))
        self.settings.update(settings)


class _Connection(asyncio.Protocol):
    """One connection: requests one after the other, each answered by what the state decides."""

    def __init__(self, state: _State) -> None:
        self.state = state
        self.buffer = b""
        self.transport: asyncio.Transport
        self.tasks: set[asyncio.Future[None]] = set()
        self.writable = asyncio.Event()
        self.busy = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.writable.set()
        self.state.connections.add(self)
        self.state.counts["connections"] += 1

    def connection_lost(self, exc: Exception | None) -> None:
        self.state.connections.discard(self)
        self.state.counts["dropped"] += self.busy
        self.writable.set()
        for task in self.tasks:
            task.cancel()
        self._done()

    def pause_writing(self) -> None:
        self.writable.clear()

    def resume_writing(self) -> None:
        self.writable.set()

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while True:
            end = self.buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            length = _LENGTH.search(self.buffer, 0, end)
            until = end + 4 + (int(length[1]) if length else 0)
            if len(self.buffer) < until:
                return
            head, body = self.buffer[:end], self.buffer[end + 4 : until]
            self.buffer = self.buffer[until:]
            self._request(head, body)

    def _request(self, head: bytes, body: bytes) -> None:
        path = head.split(b" ", 2)[1]
        state = self.state
        if path == b"/stats":
            return self._send(200, json.dumps(state.stats()).encode())
        if path == b"/last":
            return self._send(200, json.dumps([part.decode("latin-1") for part in state.last]).encode())
        if path == b"/change":
            state.change(json.loads(body))
            return self._send(200, b"{}")
        if path == b"/stop":
            self._send(200, b"{}")
            state.stop.set()
            return None
        state.last = (head, body)
        state.counts["requests"] += 1
        state.in_flight += 1
        state.peak = max(state.peak, state.in_flight)
        self.busy = True
        request = json.loads(body)
        text = request["prompt"] if "prompt" in request else _text(request["messages"][-1]["content"])
        fault = state.decide(text)
        if state.settings["latency_s"] > 0:
            asyncio.get_running_loop().call_later(state.settings["latency_s"], self._answer, path, request, text, fault)
        else:
            self._answer(path, request, text, fault)
        return None

    def _done(self) -> None:
        if self.busy:
            self.busy = False
            self.state.in_flight -= 1

    def _answer(self, path: bytes, request: dict[str, Any], text: str, fault: str) -> None:
        if self.transport.is_closing():
            return
        reply, prompt_tokens, completion_tokens = _reply(path, request, text, fault, self.state.settings)
        self.state.bill(fault, prompt_tokens, completion_tokens)
        if fault not in FAULTS | {"ok"}:
            raise ValueError(f"There is no fault {fault!r}; there are {sorted(FAULTS)}.")
        if fault == "never" or (fault == "stall" and not request.get("stream")):
            return  # in flight until the caller gives up
        if fault == "huge":
            return self._run(self._huge())
        if fault == "slow_drip" and not request.get("stream"):
            body = json.dumps(reply).encode()
            return self._run(self._drip(_head(200, "application/json", f"Content-Length: {len(body)}"), body))
        if request.get("stream") and fault not in FREE | {"504", "truncated_json"}:
            return self._run(self._stream(reply, request, fault))
        self._whole(reply, fault)
        self._done()

    def _whole(self, reply: dict[str, Any], fault: str) -> None:
        body = json.dumps(reply).encode()
        if fault in STATUS:
            self._fail(STATUS[fault], fault)
        elif fault == "reset":
            self._reset()
        elif fault == "html":
            self._send(200, b"<html><body><h1>Welcome to the gateway</h1></body></html>", "text/html")
        elif fault == "error_in_200":
            self._send(200, b'{"error": {"code": 502, "message": "upstream gave no answer"}}')
        elif fault == "truncated_json":
            self._send(200, body[: len(body) * 2 // 3])
        elif fault in ("reset_body", "cut_body"):
            self.transport.write(
                _head(200, "application/json", f"Content-Length: {len(body)}") + body[: len(body) // 2]
            )
            if fault == "cut_body":
                self.transport.close()
            else:
                asyncio.get_running_loop().call_later(0.01, self._reset)
        else:
            self._send(200, body, "text/plain" if fault == "wrong_type" else "application/json")

    def _send(self, status: int, body: bytes, kind: str = "application/json", more: str = "") -> None:
        self.transport.write(_head(status, kind, f"Content-Length: {len(body)}{more}") + body)

    def _fail(self, status: int, fault: str) -> None:
        error = {"message": f"fault {fault}", "type": "fault", "code": None}
        wait = f"\r\nRetry-After: {self.state.settings['retry_after_s']}" if fault == "429_retry_after" else ""
        self._send(status, json.dumps({"error": error}).encode(), more=wait)

    def _reset(self) -> None:
        if not self.transport.is_closing():
            connection: socket.socket = self.transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.transport.abort()

    def _run(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: "asyncio.Future[None]") -> None:
        self.tasks.discard(task)
        self._done()

    async def _drip(self, head: bytes, body: bytes) -> None:
        self.transport.write(head)
        for position in range(len(body)):
            self.transport.write(body[position : position + 1])
            await asyncio.sleep(self.state.settings["drip_s"])

    async def _huge(self) -> None:
        self.transport.write(_head(200, "application/json", "Transfer-Encoding: chunked"))
        piece = b" " * 65536
        for _ in range(int(self.state.settings["huge_mb"] * 16)):
            await self.writable.wait()
            if self.transport.is_closing():
                return
            self.transport.write(_chunk(piece))
            await asyncio.sleep(0)
        self.transport.write(_chunk(b"{}") + b"0\r\n\r\n")

    async def _stream(self, reply: dict[str, Any], request: dict[str, Any], fault: str) -> None:
        self.transport.write(_head(200, "text/event-stream", "Transfer-Encoding: chunked"))
        events = list(_events(reply, request, fault))
        if fault in ("reset_body", "cut_body", "stream_error", "no_finish", "stall"):
            events = events[: max(1, len(events) // 2)]
        if fault == "stream_error":
            events.append(b'data: {"error": {"message": "the engine died", "code": 500}}\n\n')
        for event in events:
            await self._send_event(event, fault)
        if fault == "stall":
            await asyncio.sleep(3600)
        if fault == "reset_body":
            await asyncio.sleep(0.01)
            self._reset()
        elif fault == "cut_body":
            self.transport.close()
        else:
            self.transport.write(b"0\r\n\r\n")

    async def _send_event(self, event: bytes, fault: str) -> None:
        if fault == "slow_drip":
            for position in range(len(event)):
                self.transport.write(_chunk(event[position : position + 1]))
                await asyncio.sleep(self.state.settings["drip_s"])
        elif fault == "keep_alives":
            for part in (b": keep-alive\n\n", event[: len(event) // 2], event[len(event) // 2 :]):
                self.transport.write(_chunk(part))
                await asyncio.sleep(0)
        else:
            await self.writable.wait()
            self.transport.write(_chunk(event))
            await asyncio.sleep(self.state.settings["token_s"])


def _reply(
    path: bytes, request: dict[str, Any], text: str, fault: str, settings: dict[str, Any]
) -> tuple[dict[str, Any], int, int]:
    """Return a reply, the tokens it read and the tokens it wrote."""
    chat = not path.endswith(b"/v1/completions")
    said = text if settings["answer"] is None else settings["answer"]
    finish = {"length": "length", "content_filter": "content_filter"}.get(fault, "stop")
    most = request.get("max_tokens") or request.get("max_completion_tokens")
    words = said.split(" ")
    if most is not None and len(words) > most:
        said, words, finish = " ".join(words[:most]), words[:most], "length" if finish == "stop" else finish
    if fault in ("empty_content", "content_filter"):
        said = ""
    count = 1 if settings["ignores_n"] else request.get("n") or 1
    message = {"message": {"role": "assistant", "content": said}} if chat else {"text": said}
    if fault == "tool_calls" and chat:
        finish = "tool_calls"
        call = {"name": "look_up", "arguments": json.dumps({"question": text})}
        calls = [{"id": "call_1", "type": "function", "function": call}]
        message = {"message": {"role": "assistant", "content": None, "tool_calls": calls}}
    choices = [{"index": index, **message, "finish_reason": finish} for index in range(count)]
    asked = [str(part["content"]) for part in request["messages"]] if chat else [text]
    prompt_tokens, completion_tokens = sum(len(part.split(" ")) for part in asked), len(words) * count
    reply = {
        "id": "fault",
        "object": "chat.completion" if chat else "text_completion",
        "model": "another-model" if fault == "other_model" else settings["served_model"] or request["model"],
        "choices": [] if fault == "empty_choices" else choices,
        "usage": {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": completion_tokens,
            "total_tokens": prompt_tokens + completion_tokens,
        },
    }
    if fault == "no_usage":
        del reply["usage"]
    return reply, prompt_tokens, completion_tokens


def _events(reply: dict[str, Any], request: dict[str, Any], fault: str) -> Iterator[bytes]:
    """Yield a reply as server-sent events, word by word, the choices interleaved."""
    chat = reply["object"] == "chat.completion"
    base = {"id": "fault", "object": "chat.completion.chunk", "model": reply["model"]}
    texts = [choice["message"]["content"] or "" if chat else choice["text"] for choice in reply["choices"]]
    for choice in reply["choices"] if chat else ():
        for delta in _tool_deltas(choice["message"].get("tool_calls", [])):
            yield _event(
                {**base, "choices": [{"index": choice["index"], "delta": delta, "finish_reason": None}]}, fault
            )
    words = [re.findall(r"\S*\s*", text) for text in texts]
    for position in range(max((len(parts) for parts in words), default=0)):
        for index, parts in enumerate(words):
            if position < len(parts):
                delta = {"delta": {"content": parts[position]}} if chat else {"text": parts[position]}
                yield _event({**base, "choices": [{"index": index, **delta, "finish_reason": None}]}, fault)
    for choice in reply["choices"]:
        delta = {"delta": {}} if chat else {"text": ""}
        end = {"index": choice["index"], **delta, "finish_reason": choice["finish_reason"]}
        yield _event({**base, "choices": [end]}, fault)
    if (request.get("stream_options") or {}).get("include_usage") and "usage" in reply:
        yield _event({**base, "choices": [], "usage": reply["usage"]}, fault)
    if fault != "no_done":
        yield b"data: [DONE]\n\n"


def _tool_deltas(calls: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield calls of tools as a stream has them: the name first, then the arguments in parts."""
    for index, call in enumerate(calls):
        function = call["function"]
        start = {**call, "function": {**function, "arguments": ""}}
        yield {"role": "assistant", "content": None, "tool_calls": [{"index": index, **start}]}
        arguments = function["arguments"]
        for position in range(0, len(arguments), 7):
            part = {"index": index, "function": {"arguments": arguments[position : position + 7]}}
            yield {"tool_calls": [part]}


def _text(content: Any) -> str:
    """Return the text of a message, of its parts where it has several."""
    if isinstance(content, list):
        return "".join(part.get("text", "") for part in content)
    return content or ""


def _event(payload: dict[str, Any], fault: str) -> bytes:
    if fault == "keep_alives":
        lines = json.dumps(payload, ensure_ascii=False, indent=1).encode().split(b"\n")
        return b"event: message\r\n" + b"".join(b"data: " + line + b"\r\n" for line in lines) + b"\r\n"
    return b"data: " + json.dumps(payload, ensure_ascii=False).encode() + b"\n\n"


def _head(status: int, kind: str, more: str) -> bytes:
    return f"HTTP/1.1 {status} Status\r\nContent-Type: {kind}\r\n{more}\r\n\r\n".encode()


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


async def _serve(settings: dict[str, Any], port: int, tls: tuple[str, str] | None, report: Any) -> None:
    context = None
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*tls)
    stop = asyncio.Event()
    state = _State(settings, stop)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(state), "127.0.0.1", port, ssl=context, backlog=1024)
    report(server.sockets[0].getsockname()[1])
    await stop.wait()
    server.close()
    await asyncio.sleep(0.05)
    for connection in list(state.connections):
        connection.transport.abort()
    while state.connections:
        await asyncio.sleep(0.01)


def _main() -> None:
    settings, port, tls = json.loads(sys.argv[1])

    def report(listening: int) -> None:
        os.write(1, f"{listening}\n".encode())

    asyncio.run(_serve(settings, port, tuple(tls) if tls else None, report))


if __name__ == "__main__":
    _main()
