"""`moe serve` in a process of its own, before experts on this machine that do what a test wants."""

import http.client
import json
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.serving.router_folder import make_router_folder
from benchmarks.serving.servers import RunningServer, start_moe
from benchmarks.serving.upstream import Upstream, start_upstream
from mixture_training.src.feedback_store import FeedbackStore

#: Seconds within which everything answers; far more than it takes.
PATIENCE_S = 30.0


@dataclass
class Answer:
    """What the server said."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        """The error, which must have OpenAI's shape."""
        error = self.json["error"]
        assert {"message", "type", "param", "code"} <= error.keys()
        return error


@dataclass
class LiveServer:
    """The server, its experts by name, its database and its folder."""

    server: RunningServer
    experts: dict[str, Upstream]
    store: str
    folder: Path

    @property
    def url(self) -> str:
        return self.server.url

    @property
    def key(self) -> str:
        return self.server.key

    @property
    def port(self) -> int:
        return int(self.url.split(":")[2].split("/")[0])

    def log(self) -> str:
        return self.server.log.read_text(errors="replace")

    @contextmanager
    def without_problems(self) -> Iterator[None]:
        """Raise at the end where the server met something that nobody foresaw."""
        before = len(self.log())
        yield
        new = self.log()[before:]
        assert '"event": "problem"' not in new, new[-1500:]
        assert "Traceback" not in new, new[-1500:]

    def ask(self, method: str, path: str, body: object = None, *, key: str | None = "", **headers: str) -> Answer:
        """Send one request; `body` is bytes or something for JSON, `key` None sends none, "" the server's own."""
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {"Content-Type": "application/json"} if data is not None else {}
        if key is not None:
            sent["Authorization"] = f"Bearer {key or self.key}"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        try:
            connection.request(method, path, data, sent | named)
            response = connection.getresponse()
            return Answer(response.status, dict(response.getheaders()), response.read())
        finally:
            connection.close()

    def chat(self, text: str = "How much is 3 and 4?", model: str = "moe", **more: Any) -> Answer:
        """Ask `text`; of `more`, `key` and `headers` are the request's, the rest goes into the body."""
        key, headers = more.pop("key", ""), more.pop("headers", {})
        body = {"model": model, "messages": [{"role": "user", "content": text}], **more}
        return self.ask("POST", "/v1/chat/completions", body, key=key, **headers)

    def raw(self, data: bytes, *, wait_s: float = 5.0) -> bytes:
        """Send bytes as they are, and return what comes until the connection is closed or nothing comes any more."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=wait_s) as wire:
            got = b""
            with suppress(OSError):  # it may be closed while sending; what was said before is still to be read
                wire.sendall(data)
            with suppress(OSError):
                while part := wire.recv(65536):
                    got += part
            return got

    def frames(self) -> list[bytes]:
        """Return a streamed answer as the server wrote it: each frame of HTTP's chunked coding is one write."""
        body = json.dumps({"model": "moe", "messages": [{"role": "user", "content": "one two"}], "stream": True})
        head = f"Host: 127.0.0.1\r\nAuthorization: Bearer {self.key}\r\nConnection: close\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        sent = self.raw(f"POST /v1/chat/completions HTTP/1.1\r\n{head}{body}".encode())
        rest, frames = sent.partition(b"\r\n\r\n")[2], []
        while rest:
            size, _, rest = rest.partition(b"\r\n")
            frames.append(rest[: int(size, 16)])
            rest = rest[int(size, 16) + 2 :]
        return frames[:-1]

    def make_key(self, **limits: Any) -> str:
        """Return a new key's secret, known to the server."""
        store = FeedbackStore(self.store)
        _, secret = store.keys.add("test", **limits)
        store.close()
        self.wait_for(lambda: self.ask("GET", "/v1/models", key=secret).status == 200)
        return secret

    def requests(self) -> int:
        """How many requests reached experts."""
        return sum(expert.stats()["requests"] for expert in self.experts.values())

    def wait_for(self, holds: Any, timeout_s: float = PATIENCE_S) -> None:
        until = time.monotonic() + timeout_s
        while not holds():
            assert time.monotonic() < until, self.log()[-2000:]
            time.sleep(0.02)


@contextmanager
def live_server(
    folder: Path, *options: str, experts: Sequence[str] = ("small", "large"), latency_s: float = 0.0
) -> Iterator[LiveServer]:
    """Run a server with these options while the block lasts."""
    with ExitStack() as running:
        made = {name: running.enter_context(start_upstream(latency_s=latency_s)) for name in experts}
        router = make_router_folder(folder / "router", {name: e.url for name, e in made.items()}, encoder="tfidf")
        server = running.enter_context(start_moe(router, folder, options=options))
        server.wait_until_ready("/healthz")
        yield LiveServer(server, made, f"sqlite:///{folder / 'decisions.db'}", folder)
