"""What one client can take from the others: sizes, times, connections."""

import http.client
import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.mixture_training.live_server import LiveServer, live_server

pytestmark = pytest.mark.slow

BODY = json.dumps({"model": "moe", "messages": [{"role": "user", "content": "How much is 3 and 4?"}]}).encode()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    options = ["--head_timeout_s", "1", "--body_timeout_s", "1", "--idle_timeout_s", "7", "--write_timeout_s", "1",
               "--max_connections", "50", "--concurrency", "4", "--max_body_bytes", "100000"]  # fmt: skip
    with live_server(tmp_path_factory.mktemp("limits"), *options) as running:
        yield running


@pytest.fixture
def slow(server: LiveServer):
    """The experts take a second while the test runs."""
    for expert in server.experts.values():
        expert.change(mode="slow", slow_s=1.0)
    yield
    for expert in server.experts.values():
        expert.change(mode="ok")


def head(server: LiveServer, length: int) -> bytes:
    return (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {server.key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    ).encode()


def closed_after_s(wire: socket.socket, drip: bytes = b"") -> float:
    """Return the seconds until the other side closes; `drip` is sent again and again meanwhile."""
    started = time.monotonic()
    wire.settimeout(0.1)
    while time.monotonic() - started < 20:
        try:
            if drip:
                wire.sendall(drip)
            if not wire.recv(65536):
                return time.monotonic() - started
        except TimeoutError:
            continue
        except OSError:
            return time.monotonic() - started
    raise AssertionError("it was not closed")


def test_a_body_that_is_too_large_is_refused_before_it_is_read(server: LiveServer):
    said = server.raw(head(server, 10_000_000) + b"x" * 1000)
    assert said.startswith(b"HTTP/1.1 413")
    assert json.loads(said.partition(b"\r\n\r\n")[2])["error"]["code"] == "request_too_large"


def test_a_body_of_unknown_length_that_is_too_large_is_refused(server: LiveServer):
    start = head(server, 0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    said = server.raw(start + (b"2710\r\n" + b"x" * 10_000 + b"\r\n") * 20)
    assert said.startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize("drip", [b"", b"X-A: b\r\n"], ids=["silent", "dripping"])
def test_a_head_that_does_not_come_ends_the_connection(server: LiveServer, drip):
    with socket.create_connection(("127.0.0.1", server.port)) as wire:
        wire.sendall(b"POST /v1/chat/completions HTTP/1.1\r\n" if drip else b"")
        assert closed_after_s(wire, drip) < 5  # long before it counts as idle


def test_a_body_that_does_not_come_ends_in_an_error(server: LiveServer):
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as wire:
        wire.sendall(head(server, 1000) + b"{")
        said = wire.recv(65536)
        assert said.startswith(b"HTTP/1.1 408")
        assert closed_after_s(wire, b" ") < 8


def test_an_idle_connection_is_closed(server: LiveServer):
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as wire:
        wire.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert b"200" in wire.recv(65536)
        assert 5 < closed_after_s(wire) < 15


def test_many_idle_connections_keep_nobody_out(server: LiveServer):
    held = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(120)]
    try:
        assert server.chat().status == 200
        text = server.ask("GET", "/metrics", key=None).body.decode()
        assert "moe_connections_dropped" in text
    finally:
        for wire in held:
            wire.close()


def test_a_reader_that_does_not_read_is_dropped(server: LiveServer):
    for expert in server.experts.values():
        expert.change(pieces=60_000, padding=100)
    try:
        asked = json.dumps({**json.loads(BODY), "stream": True}).encode()
        wire = socket.socket()
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with wire:
            wire.connect(("127.0.0.1", server.port))
            wire.sendall(head(server, len(asked)) + asked)

            def dropped() -> bool:
                text = server.ask("GET", "/metrics", key=None).body.decode()
                lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
                return float(lines["moe_connections_dropped"]) > before and float(lines["moe_in_flight"]) <= 1

            text = server.ask("GET", "/metrics", key=None).body.decode()
            before = float(text.split("\nmoe_connections_dropped ")[1].split("\n")[0])
            server.wait_for(dropped)
    finally:
        for expert in server.experts.values():
            expert.change(pieces=8, padding=0)


def test_more_requests_than_there_is_room_for_are_told_to_come_again(server: LiveServer, slow):
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: server.chat(), range(12)))
    statuses = sorted({answer.status for answer in answers})
    assert statuses == [200, 503]
    refused = next(answer for answer in answers if answer.status == 503)
    assert refused.error["code"] == "overloaded"
    assert int(refused.headers["Retry-After"]) >= 1
    assert server.chat().status == 200


def test_a_client_may_ask_for_less_time(server: LiveServer, slow):
    started = time.monotonic()
    answer = server.chat(headers={"x-moe-timeout-s": "0.2"})
    assert (answer.status, answer.error["code"]) == (504, "timeout")
    assert time.monotonic() - started < 0.9


def test_who_goes_away_is_remembered_and_costs_no_more(server: LiveServer, slow):
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    headers = {"Authorization": f"Bearer {server.key}", "Content-Type": "application/json"}
    connection.request("POST", "/v1/chat/completions", BODY, headers)
    time.sleep(0.3)
    connection.close()
    server.wait_for(lambda: '"status": 499' in server.log())


def test_what_is_sent_after_a_refused_body_is_no_request(server: LiveServer):
    """A body that was refused unread must not be read as the next request (request smuggling)."""
    inner = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
    said = server.raw(head(server, 10_000_000) + inner)
    assert said.count(b"HTTP/1.1 ") == 1
