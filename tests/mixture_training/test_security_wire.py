"""What may come over the wire: heads and bodies that are malformed, huge, slow, or never come."""

import json
import os
import socket
import threading
import time
from contextlib import ExitStack

import pytest

from benchmarks.serving.servers import RunningServer
from tests.mixture_training.live_server import LiveServer, live_server

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    limits = ("--head_timeout_s", "1", "--body_timeout_s", "1", "--write_timeout_s", "1", "--max_connections", "400")
    with live_server(tmp_path_factory.mktemp("wire"), *limits) as running:
        yield running


@pytest.fixture(scope="module", params=["orjson", "json"])
def either(request, tmp_path_factory):
    """A server that reads JSON by orjson, or, where that is not installed, by the standard library."""
    folder = tmp_path_factory.mktemp(request.param)
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "json":
            (folder / "orjson.py").write_text("raise ImportError('as if it were not installed')")
            patch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
        with live_server(folder) as running:
            yield running


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/") else 0


def head(server: LiveServer, *lines: str, path: str = "/v1/chat/completions") -> bytes:
    common = (f"POST {path} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {server.key}")
    return "\r\n".join((*common, "Content-Type: application/json", *lines, "", "")).encode("latin-1")


MESSAGE = {"role": "user", "content": "hello"}
GOOD = json.dumps({"model": "moe", "messages": [MESSAGE]})
DEEP = 100_000

#: Bodies -> whether they may be answered; the others get status 400.
BODIES: dict[str, tuple[bytes, bool]] = {
    "nothing": (b"", False),
    "half": (GOOD[:40].encode(), False),
    "null": (b"null", False),
    "list": (b"[]", False),
    "text": (b'"moe"', False),
    "two": (GOOD.encode() * 2, False),
    "no UTF-8": (b'{"model": "\xff\xfe"}', False),
    "UTF-16": (GOOD.encode("utf-16"), False),
    "byte order mark": (b"\xef\xbb\xbf" + GOOD.encode(), True),
    "NaN": (GOOD[:-1].encode() + b', "temperature": NaN}', False),
    "Infinity": (GOOD[:-1].encode() + b', "temperature": -Infinity}', False),
    "1e999": (GOOD[:-1].encode() + b', "temperature": 1e999}', False),
    "huge integer": (GOOD[:-1].encode() + b', "seed": ' + b"9" * 4000 + b"}", True),
    "huge max_tokens": (GOOD[:-1].encode() + b', "max_tokens": ' + b"9" * 400 + b"}", True),
    "endless integer": (GOOD[:-1].encode() + b', "seed": ' + b"9" * 100_000 + b"}", False),
    "max_tokens as text": (GOOD[:-1].encode() + b', "max_tokens": "1"}', False),
    "negative max_tokens": (GOOD[:-1].encode() + b', "max_tokens": -1}', False),
    "deep": (b"[" * DEEP + b"]" * DEEP, False),
    "deep inside": (GOOD[:-1].encode() + b', "metadata": ' + b'{"a":' * DEEP + b"1" + b"}" * (DEEP + 1), False),
    "rather deep inside": (GOOD[:-1].encode() + b', "metadata": ' + b'{"a":' * 900 + b"1" + b"}" * 901, True),
    "deeper inside": (GOOD[:-1].encode() + b', "metadata": ' + b'{"a":' * 985 + b"1" + b"}" * 986, True),
    "key twice": (b'{"model": "nobody", ' + GOOD[1:].encode(), True),
    "key twice the other way": (GOOD[:-1].encode() + b', "model": "nobody"}', False),
    "half a surrogate": (GOOD.replace("hello", "\\ud800").encode(), False),
    "half a surrogate as a key": (GOOD[:-1].encode() + b', "\\udfff": 1}', False),
    "many keys": (GOOD[:-1].encode() + b"".join(b', "k%d": 0' % n for n in range(20_000)) + b"}", True),
    "no messages": (b'{"model": "moe", "messages": []}', False),
    "too many messages": (json.dumps({"model": "moe", "messages": [MESSAGE] * 1001}).encode(), False),
    "messages as text": (b'{"model": "moe", "messages": "hello"}', False),
    "a message as text": (b'{"model": "moe", "messages": ["hello"]}', False),
    "no content": (b'{"model": "moe", "messages": [{"role": "user"}]}', False),
    "a content of numbers": (b'{"model": "moe", "messages": [{"role": "user", "content": [1]}]}', False),
    "a part without type": (b'{"model": "moe", "messages": [{"role": "user", "content": [{}]}]}', True),
    "a part of odd type": (b'{"model":"moe","messages":[{"role":"user","content":[{"type":[],"text":{}}]}]}', True),
    "an odd role": (b'{"model": "moe", "messages": [{"role": {"a": 1}, "content": "x"}]}', False),
    "odd tools": (GOOD[:-1].encode() + b', "tools": [1]}', False),
    "empty tools": (GOOD[:-1].encode() + b', "tools": [{}]}', True),
    "odd tool calls": (b'{"model":"moe","messages":[{"role":"assistant","content":null,"tool_calls":7}]}', True),
    "many answers": (GOOD[:-1].encode() + b', "n": 1000000}', False),
    "odd stream": (GOOD[:-1].encode() + b', "stream": "yes"}', False),
    "odd stream options": (GOOD[:-1].encode() + b', "stream": true, "stream_options": {"include_usage": [1]}}', True),
    "odd response format": (GOOD[:-1].encode() + b', "response_format": {"type": {"a": []}}}', True),
    "odd stop": (GOOD[:-1].encode() + b', "stop": [1]}', False),
}  # fmt: skip


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/route"])
@pytest.mark.parametrize("name", BODIES)
def test_a_malformed_body_is_the_clients_fault(either: LiveServer, name, path):
    body, may_pass = BODIES[name]
    with either.without_problems():
        answer = either.ask("POST", path, body)
    assert answer.status in ((200, 400) if may_pass else (400, 404)), answer.body[:300]
    if answer.status != 200:
        assert answer.error["type"] in ("invalid_request_error", "not_found_error")


@pytest.mark.parametrize("name", ["nothing", "half", "deep", "NaN", "no UTF-8", "half a surrogate", "null"])
@pytest.mark.parametrize("path", ["/v1/feedback", "/v1/completions", "/v1/embeddings"])
def test_so_it_is_at_every_address(server: LiveServer, name, path):
    answer = server.ask("POST", path, BODIES[name][0])
    assert answer.status in (400, 404)
    assert answer.error["message"]


GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"
POST = b"POST /v1/route HTTP/1.1\r\nHost: x\r\n"
HEADS = {
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 200,
    "no version": b"GET /\r\n\r\n",
    "odd version": b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
    "spaces": b"GET  /healthz  HTTP/1.1\r\nHost: x\r\n\r\n",
    "odd method": b"GE\x00T /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
    "NUL in the path": b"GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
    "NUL in a header": GET + b"A: \x00\r\n\r\n",
    "space before the colon": GET + b"A : b\r\n\r\n",
    "a header without colon": GET + b"nonsense\r\n\r\n",
    "a folded header": GET + b"A: b\r\n c\r\n\r\n",
    "two lengths": POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "length and chunks": POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "negative length": POST + b"Content-Length: -1\r\n\r\n",
    "odd length": POST + b"Content-Length: +3\r\n\r\nabc",
    "odd chunk": POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nab\r\n0\r\n\r\n",
    "odd encoding": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "huge head": GET + b"A: " + b"b" * 1_000_000 + b"\r\n\r\n",
    "huge path": b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "many headers": GET + b"".join(b"H%d: v\r\n" % n for n in range(50_000)) + b"\r\n",
    "two hosts": GET + b"Host: y\r\n\r\n",
    "another host's address": b"GET http://evil.example/healthz HTTP/1.1\r\nHost: x\r\n\r\n",
    "a tunnel": b"CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n",
    "an upgrade": b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "bare line feeds": b"GET /healthz HTTP/1.1\nHost: x\n\n",
}  # fmt: skip


@pytest.mark.parametrize("name", HEADS)
def test_a_malformed_head_is_refused_and_nothing_behind_it_is_read_as_a_request(server: LiveServer, name):
    smuggled = b"GET /v1/smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
    with server.without_problems():
        answer = server.raw(HEADS[name] + smuggled, wait_s=3.0)
    assert not status_of(answer) >= 500, answer[:300]
    if status_of(answer) == 400:
        assert answer.count(b"HTTP/1.") == 1, "after a head that cannot be read nothing is certain any more"
        assert b'"error"' in answer
    assert b"Traceback" not in answer
    assert server.ask("GET", "/healthz").status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/../../../../etc/passwd",
        "/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "/..%2f..%2f..%2fetc%2fpasswd",
        "/static/../../router.json",
        "/assets/..%5c..%5crouter.json",
        "//etc/passwd",
        "/v1/decisions/..%2f..%2frouter.json",
        "/v1/decisions/%00",
        "/v1/decisions/%ff%fe",
        "/v1/decisions/" + "a" * 5000,
        "/v1/decisions/'%20OR%201=1--",
        "/v1/models/%0d%0aX-Evil:%201",
        "/v1/models/..%2f..%2fetc%2fpasswd",
        "/v1//chat/completions",
        "/file:///etc/passwd",
    ],
)
def test_no_path_leads_out(server: LiveServer, path):
    request = (
        f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {server.key}\r\nConnection: close\r\n\r\n"
    )
    answer = server.raw(request.encode())
    assert status_of(answer) in (400, 404, 405, 414), answer[:200]
    assert b"root:" not in answer
    assert b"format_version" not in answer
    assert b"\r\nX-Evil:" not in answer


def test_ten_megabytes_are_refused_before_they_are_read(server: LiveServer):
    size = 10 * 1024 * 1024
    before = server.server.pss_mb()
    answer = server.raw(head(server, f"Content-Length: {size}"))
    assert status_of(answer) == 413, "the length alone is enough"
    assert status_of(server.raw(head(server, f"Content-Length: {size}") + b"x" * size)) in (413, 0)
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    assert status_of(server.raw(head(server, "Transfer-Encoding: chunked") + chunk * 160 + b"0\r\n\r\n")) in (413, 0)
    assert status_of(server.raw(head(server, "Content-Length: 99999999999999999999"))) in (400, 413)
    assert server.server.pss_mb() - before < 30.0
    assert server.chat().status == 200


def test_a_body_just_within_the_limit_is_taken(server: LiveServer):
    text = "word " * 150_000
    assert server.chat(text).status in (200, 400)
    assert server.chat("x" * (4 * 1024 * 1024)).status == 413


#: Conversations within the limit of a body that are laborious to read.
LARGE = {
    "punctuation": {"messages": [{"role": "user", "content": "aB3.,;: " * 480_000}]},
    "spaces": {"messages": [{"role": "user", "content": " " * 3_900_000}]},
    "parts": {"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}] * 100_000}]},
    "tools": {"messages": [MESSAGE], "tools": [{"type": "function", "function": {"name": "f"}}] * 60_000},
}


@pytest.mark.parametrize("name", LARGE)
def test_a_large_request_holds_nobody_up(server: LiveServer, name):
    body = json.dumps({"model": "moe", **LARGE[name]}).encode()
    plain = json.dumps({"model": "moe", "messages": "x" * len(body[:-60])}).encode()
    started = time.monotonic()
    for _ in range(3):
        assert server.ask("POST", "/v1/chat/completions", plain).status == 400
    least = (time.monotonic() - started) / 3  # what receiving so much takes
    waits: list[float] = []
    is_over = threading.Event()

    def look() -> None:
        while not is_over.is_set():
            started = time.monotonic()
            assert server.ask("GET", "/healthz", key=None).status == 200
            waits.append(time.monotonic() - started)

    looking = threading.Thread(target=look)
    looking.start()
    answers = [server.ask("POST", "/v1/chat/completions", body) for _ in range(3)]
    is_over.set()
    looking.join()
    assert {answer.status for answer in answers} <= {200, 400, 413}
    assert max(waits) < 15 * least, f"{max(waits):.2f} s, where receiving takes {least:.3f} s"


def test_compressed_bodies_are_refused(server: LiveServer):
    import gzip

    bomb = gzip.compress(b"0" * 10_000_000)
    for kind in ("gzip", "deflate", "br", "zstd", "gzip, gzip"):
        answer = server.ask("POST", "/v1/chat/completions", bomb, Content_Encoding=kind)
        assert answer.status in (400, 415), kind


def seconds_until_closed(wire: socket.socket) -> float:
    started = time.monotonic()
    wire.settimeout(20.0)
    try:
        while wire.recv(65536):
            pass
    except ConnectionError:
        pass
    return time.monotonic() - started


def test_slow_heads_and_bodies_are_cut_off(server: LiveServer):
    with ExitStack() as wires:
        for start in (b"", b"POST /v1/chat/comp", head(server, "Content-Length: 1000") + b'{"model"'):
            wire = wires.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            if start:
                wire.sendall(start)
            assert seconds_until_closed(wire) < 10.0, start
    assert server.chat().status == 200


def test_a_head_that_drips_is_cut_off_although_something_comes_all_the_time(server: LiveServer):
    with socket.create_connection(("127.0.0.1", server.port)) as wire:
        assert is_cut_off(wire, GET + b"A: " + b"b" * 10_000)


def is_cut_off(wire: socket.socket, data: bytes) -> bool:
    """Send a byte after the other, and say whether the connection is closed before all are sent."""
    for sign in data[:400]:
        try:
            wire.sendall(bytes([sign]))
        except OSError:
            return True
        time.sleep(0.05)
    return False


def test_a_body_that_drips_is_cut_off(server: LiveServer):
    with socket.create_connection(("127.0.0.1", server.port)) as wire:
        wire.sendall(head(server, "Content-Length: 1000"))
        started = time.monotonic()
        got = b""
        wire.settimeout(0.05)
        while time.monotonic() - started < 15.0:
            try:
                wire.sendall(b" ")
                part = wire.recv(65536)
            except TimeoutError:
                continue
            except OSError:
                break
            if not part:
                break
            got += part
        assert time.monotonic() - started < 15.0
        assert status_of(got) in (0, 408)


def test_a_reader_that_does_not_read_is_let_go(server: LiveServer):
    server.experts["small"].change(pieces=2000, padding=2000)
    try:
        body = json.dumps({"model": "small", "stream": True, "messages": [{"role": "user", "content": "x"}]}).encode()
        with socket.socket() as wire:
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            wire.connect(("127.0.0.1", server.port))
            wire.sendall(head(server, f"Content-Length: {len(body)}") + body)
            server.wait_for(lambda: in_flight(server) == 0)
    finally:
        server.experts["small"].change(pieces=8, padding=0)
    assert server.chat().status == 200


def in_flight(server: LiveServer) -> float:
    text = server.ask("GET", "/metrics").body.decode()
    # the question itself is one of those in flight
    return float(next(line for line in text.splitlines() if line.startswith("moe_in_flight ")).split()[1]) - 1.0


def test_idle_connections_take_nobodys_place(server: LiveServer):
    with ExitStack() as wires:
        for _ in range(600):  # 400 are kept
            wire = wires.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            wire.sendall(b"GET /healthz HTTP/1.1\r\n")
        started = time.monotonic()
        assert server.chat().status == 200
        assert time.monotonic() - started < 5.0
        assert open_connections(server.server) < 450


def open_connections(server: RunningServer) -> int:
    import psutil

    port = int(server.url.split(":")[2].split("/")[0])
    found = psutil.Process(server.process.pid).net_connections("tcp")
    return sum(each.laddr.port == port and each.status == psutil.CONN_ESTABLISHED for each in found)


def test_a_client_that_leaves_stops_the_work(server: LiveServer):
    server.experts["small"].change(mode="silent")
    try:
        body = json.dumps({"model": "small", "messages": [{"role": "user", "content": "x"}]}).encode()
        with socket.create_connection(("127.0.0.1", server.port)) as wire:
            wire.sendall(head(server, f"Content-Length: {len(body)}") + body)
            server.wait_for(lambda: in_flight(server) >= 1)
        server.wait_for(lambda: in_flight(server) == 0, 10.0)
    finally:
        server.experts["small"].change(mode="ok")


def test_requests_on_one_connection_are_answered_in_order(server: LiveServer):
    body = GOOD.encode()
    one = head(server, f"Content-Length: {len(body)}") + body
    last = head(server, f"Content-Length: {len(body)}", "Connection: close") + body
    answer = server.raw(one * 20 + last)
    assert answer.count(b"HTTP/1.1 200 OK") == 21
