"""What experts may answer, and where a request may make the server call: nowhere but where it was set up to."""

import json
import socket
import threading
from contextlib import contextmanager

import pytest

from tests.mixture_training.live_server import Answer, LiveServer, live_server

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    limits = ("--retries", "0", "--timeout_s", "3", "--request_timeout_s", "6")
    with live_server(tmp_path_factory.mktemp("upstream"), *limits) as running:
        yield running


@contextmanager
def trap():
    """Listen on a port of this machine that nobody has a reason to call; yields its address and who came."""
    came: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def wait() -> None:
        while True:
            try:
                wire, _ = listener.accept()
            except OSError:
                return
            with wire:
                wire.settimeout(1.0)
                try:
                    came.append(wire.recv(4096))
                    wire.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
                except OSError:
                    came.append(b"")

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", came
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5.0)


CHAT = {"model": "moe", "messages": [{"role": "user", "content": "hello"}]}
OK = "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n"


def whole(body: str, kind: str = "application/json", more: str = "") -> str:
    """Return an answer, its bytes as latin-1."""
    said = body.encode().decode("latin-1")
    return OK.format(kind=kind) + more + f"Content-Length: {len(said)}\r\n\r\n" + said


def reply(**change: object) -> str:
    base = {
        "id": "x",
        "object": "chat.completion",
        "model": "small",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }
    return json.dumps({**base, **change})


MESSAGE = {"role": "assistant", "content": "hi"}

#: Answers of an expert that are none, or odd.
WHOLE = {
    "nothing": "",
    "no HTTP": "SSH-2.0-OpenSSH_9.2\r\n",
    "a head without end": OK.format(kind="application/json") + "A: " + "b" * 100_000,
    "a negative length": OK.format(kind="application/json") + "Content-Length: -5\r\n\r\n{}",
    "a length too long": OK.format(kind="application/json") + "Content-Length: 5000\r\n\r\n{}",
    "odd chunks": OK.format(kind="application/json") + "Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "compressed nonsense": whole("nonsense", more="Content-Encoding: gzip\r\n"),
    "no text": whole("\x00\x01"),
    "deep": whole("[" * 50_000),
    "NaN": whole(reply().replace(": 1", ": NaN")),
    "endless integer": whole(reply().replace(": 1", ": " + "9" * 10_000)),
    "choices null": whole(reply(choices=None)),
    "choices a number": whole(reply(choices=7)),
    "choices of numbers": whole(reply(choices=[7])),
    "a message that is a list": whole(reply(choices=[{"message": [1]}])),
    "a content that is a number": whole(reply(choices=[{"message": {"content": 7}}])),
    "an odd finish reason": whole(reply(choices=[{"message": MESSAGE, "finish_reason": {"a": []}}])),
    "usage a list": whole(reply(usage=[1])),
    "usage negative": whole(reply(usage={"prompt_tokens": -5, "completion_tokens": -1e300})),
    "usage of texts": whole(reply(usage={"prompt_tokens": "many", "completion_tokens": None})),
    "usage beyond all numbers": whole(reply(usage={"prompt_tokens": 10**300, "completion_tokens": 10**300})),
    "a model with line breaks": whole(reply(model="small\r\nX-Evil: 1")),
    "an id with line breaks": whole(reply(id="x\r\nSet-Cookie: a=b")),
    "half a surrogate": whole(reply(choices=[{"message": {**MESSAGE, "content": "SIXSIX"}}])).replace(
        "SIXSIX", "\\ud800"
    ),
    "odd headers": whole(reply(), more="Set-Cookie: a=b\r\nX-Evil: 1\r\nAccess-Control-Allow-Origin: *\r\n"),
    "tool calls of another kind": whole(reply(choices=[{"message": {**MESSAGE, "tool_calls": {"a": 1}}}])),
    "status 100 for ever": "HTTP/1.1 100 Continue\r\n\r\n" * 2000,
    "status 204": "HTTP/1.1 204 No Content\r\n\r\n",
    "status 999": "HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n",
    "401 with a challenge": "HTTP/1.1 401 No\r\nWWW-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n",
}


def events(*lines: str) -> str:
    return OK.format(kind="text/event-stream") + "\r\n" + "".join(lines)


def delta(text: object) -> str:
    return (
        "data: " + json.dumps({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]}) + "\n\n"
    )


END = 'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'
STREAMS = {
    "half a surrogate": events(delta("SIXSIX").replace("SIXSIX", "\\ud800"), END),
    "nothing": "",
    "no event": events(),
    "comments only": events(": keep-alive\n\n" * 100),
    "no JSON": events("data: {nonsense\n\n", END),
    "half of JSON": events(delta("a"), 'data: {"choices": [{"del\n\n'),
    "no end": events(delta("a")),
    "no UTF-8": events('data: {"choices": [{"delta": {"content": "\xff\xfe"}}]}\n\n', END),
    "choices null": events('data: {"choices": null}\n\n', END),
    "a delta that is a number": events('data: {"choices": [{"index": 0, "delta": 5}]}\n\n', END),
    "a content that is a list": events(delta([1, 2]), END),
    "an index that is none": events('data: {"choices": [{"index": "x", "delta": {"content": "a"}}]}\n\n', END),
    "a list": events("data: []\n\n", END),
    "an error": events(delta("a"), 'data: {"error": {"message": "SECRET-OF-THE-ENDPOINT", "code": 500}}\n\n'),
    "an odd error": events('data: {"error": 7}\n\n'),
    "deep": events("data: " + "[" * 20_000 + "\n\n", END),
    "a long line": events("data: " + "x" * 2_000_000),
    "odd usage": events(delta("a"), 'data: {"choices": [], "usage": {"prompt_tokens": "x"}}\n\n', END),
    "carriage returns": events(delta("a").replace("\n", "\r"), END.replace("\n", "\r")),
    "a thousand ends": events(delta("a"), END * 1000),
    "more after the end": events(delta("a"), END, delta("AFTER-THE-END")),
    "an event inside a text": events(delta('x\n\ndata: {"error": 1}\n\ndata: [DONE]\n\n'), END),
    "JSON in place of events": whole(reply()),
    "HTML": whole("<html></html>", kind="text/html"),
    "empty pieces": events(*[delta("")] * 500, END),
}


def ask_badly(server: LiveServer, raw: str, *, stream: bool, name: str = "small") -> Answer:
    expert = server.experts[name]
    expert.change(mode="raw", raw=raw)
    try:
        return server.chat(model=name, stream=stream)
    finally:
        expert.change(mode="ok")
        server.wait_for(lambda: server.chat(model=name).status == 200)


def check(answer: Answer) -> None:
    assert answer.status in (200, 400, 502, 504), answer.body[:300]
    assert not {"x-evil", "set-cookie", "access-control-allow-origin"} & {name.lower() for name in answer.headers}
    assert b"SECRET-OF-THE-ENDPOINT" not in answer.body


@pytest.mark.parametrize("name", WHOLE)
def test_an_expert_may_answer_anything(server: LiveServer, name):
    with server.without_problems():
        answer = ask_badly(server, WHOLE[name], stream=False)
    check(answer)
    if answer.status == 200:
        usage = answer.json["usage"]
        assert all(isinstance(usage[part], int) and usage[part] >= 0 for part in ("prompt_tokens", "completion_tokens"))
    else:
        assert answer.error["message"]


@pytest.mark.parametrize("name", STREAMS)
def test_an_expert_may_stream_anything(server: LiveServer, name):
    with server.without_problems():
        answer = ask_badly(server, STREAMS[name], stream=True)
    check(answer)
    if answer.status == 200:
        sent = [line for line in answer.body.decode().split("\n\n") if line]
        assert all(line.startswith("data: ") for line in sent), sent[:3]
        assert all(line == "data: [DONE]" or isinstance(json.loads(line[6:]), dict) for line in sent)
        is_broken = any('"error"' in line and "choices" not in json.loads(line[6:]) for line in sent[:-1] + sent[-1:])
        assert (sent[-1] == "data: [DONE]") != is_broken, "a stream ends in [DONE] or in an error, and never in both"
        assert b"AFTER-THE-END" not in answer.body


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_an_experts_redirect_is_not_followed(server: LiveServer, status):
    with trap() as (url, came):
        for place in (url + "/v1/chat/completions", "file:///etc/passwd", "//169.254.169.254/latest/meta-data"):
            raw = f"HTTP/1.1 {status} Moved\r\nLocation: {place}\r\nContent-Length: 0\r\n\r\n"
            answer = ask_badly(server, raw, stream=False)
            assert answer.status in (400, 502)
        assert came == []


FIELDS = (
    "api_base",
    "base_url",
    "api_key",
    "api_type",
    "client",
    "http_client",
    "proxy",
    "extra_headers",
    "extra_body",
)
FIELDS += ("extra_query", "headers", "custom_llm_provider", "fallbacks", "mock_response", "callbacks", "timeout")


@pytest.mark.parametrize("field", FIELDS)
def test_no_field_says_where_or_how_to_call(server: LiveServer, field):
    with trap() as (url, came):
        for value in (url, {"X-Evil": "1"}, [{"model": "x", "api_base": url}]):
            answer = server.ask("POST", "/v1/chat/completions", {**CHAT, field: value})
            assert answer.status == 400
            assert answer.error["param"] == field
        assert came == []


@pytest.mark.parametrize(
    "address",
    ["{trap}/image.png", "file:///etc/passwd", "gopher://127.0.0.1:6379/_X", "http://[::1]:22/", "//x"],
)
def test_addresses_inside_a_conversation_are_not_opened(server: LiveServer, address):
    with trap() as (url, came):
        place = address.format(trap=url)
        parts = [
            {"type": "image_url", "image_url": {"url": place, "file": place}},
            {"type": "input_audio", "input_audio": {"url": place}},
            {"type": "file", "file": {"file_url": place}},
            {"type": "text", "text": place},
        ]
        for part in parts:
            body = {"model": "moe", "messages": [{"role": "user", "content": [part]}], "webhook_url": place}
            body |= {"metadata": {"url": place}, "response_format": {"type": "json_schema", "schema": {"$ref": place}}}
            for path in ("/v1/chat/completions", "/v1/route"):
                answer = server.ask("POST", path, body)
                assert answer.status in (200, 400), answer.body[:300]
                assert b"root:" not in answer.body
        assert came == []


def test_headers_of_a_client_do_not_reach_an_expert(server: LiveServer):
    headers = {"Cookie": "a=b", "X-Forwarded-For": "10.0.0.1", "X-Evil": "1", "Proxy-Authorization": "Basic eDp5"}
    assert server.chat(model="small", headers=headers).status == 200
    head, _ = server.experts["small"].last_request()
    low = head.lower()
    for name in (*headers, "authorization", "x-moe-user"):
        assert f"\n{name.lower()}:" not in low, name
    assert server.key not in head


def test_failures_of_experts_are_told_by_kind_only(server: LiveServer):
    raw = "HTTP/1.1 500 Oops\r\nContent-Length: 44\r\n\r\nSECRET-OF-THE-ENDPOINT at /srv/models/llm.py"
    answer = ask_badly(server, raw, stream=False)
    assert answer.status == 502
    assert answer.error["message"] == "Every expert failed (small: server_error)."
    assert answer.headers["x-moe-decision"] == answer.error["decision"]
    assert "SECRET-OF-THE-ENDPOINT" not in server.log()
