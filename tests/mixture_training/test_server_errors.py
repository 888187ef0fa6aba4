"""Whatever is wrong with a request, the answer has OpenAI's shape and tells nothing of the inside."""

import json
import re

import pytest

from tests.mixture_training.live_server import LiveServer, live_server

pytestmark = pytest.mark.slow

CHAT = "/v1/chat/completions"
USER = [{"role": "user", "content": "How much is 3 and 4?"}]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with live_server(tmp_path_factory.mktemp("errors"), "--max_messages", "5", "--max_prompt_tokens", "2000",
                     "--max_completion_tokens", "500") as running:  # fmt: skip
        yield running
        assert '"event": "problem"' not in running.log()
        assert "Traceback" not in running.log()


@pytest.mark.parametrize(
    ("change", "param", "code"),
    [
        ({"messages": None}, "messages", "invalid_value"),
        ({"messages": []}, "messages", "invalid_value"),
        ({"messages": "hello"}, "messages", "invalid_value"),
        ({"messages": ["hello"]}, "messages[0]", "invalid_value"),
        ({"messages": [{"role": "robot", "content": "a"}]}, "messages[0].role", "invalid_value"),
        ({"messages": [{"role": ["user"], "content": "a"}]}, "messages[0].role", "invalid_value"),
        ({"messages": [{"role": "user"}]}, "messages[0].content", "invalid_value"),
        ({"messages": [{"role": "user", "content": 4}]}, "messages[0].content", "invalid_value"),
        ({"messages": [{"role": "user", "content": ["a"]}]}, "messages[0].content", "invalid_value"),
        ({"messages": [{"role": "user", "content": [{"type": ["a"]}]}]}, "messages[0].content", "invalid_value"),
        ({"messages": USER * 6}, "messages", "too_many_messages"),
        ({"messages": [{"role": "user", "content": "word " * 5000}]}, "messages", "context_length_exceeded"),
        ({"model": None}, "model", "invalid_value"),
        ({"model": ["moe"]}, "model", "invalid_value"),
        ({"model": ""}, "model", "invalid_value"),
        ({"n": 2}, "n", "unsupported_value"),
        ({"n": True}, "n", "unsupported_value"),
        ({"stream": "yes"}, "stream", "invalid_value"),
        ({"stream_options": 1}, "stream_options", "invalid_value"),
        ({"temperature": "hot"}, "temperature", "invalid_value"),
        ({"max_tokens": 0}, "max_tokens", "invalid_value"),
        ({"max_tokens": 1.5}, "max_tokens", "invalid_value"),
        ({"max_completion_tokens": 501}, "max_completion_tokens", "invalid_value"),
        ({"tools": ["a"]}, "tools", "invalid_value"),
        ({"stop": [1]}, "stop", "invalid_value"),
        ({"api_base": "http://169.254.169.254/"}, "api_base", "unsupported_parameter"),
        ({"base_url": "http://localhost:1"}, "base_url", "unsupported_parameter"),
        ({"extra_headers": {"a": "b"}}, "extra_headers", "unsupported_parameter"),
        ({"api_key": "sk-1"}, "api_key", "unsupported_parameter"),
    ],
)
def test_a_field_that_is_wrong_is_named_and_nobody_is_called(server: LiveServer, change, param, code):
    before = server.requests()
    answer = server.ask("POST", CHAT, {"model": "moe", "messages": USER, **change})
    assert answer.status == 400, answer.body
    assert (answer.error["param"], answer.error["code"]) == (param, code)
    assert answer.error["type"] == "invalid_request_error"
    assert server.requests() == before


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"null", b'"a"', b"\xff\xfe", b"{" * 100_000, b"[" * 100_000 + b"]" * 100_000,
        b'{"model": NaN}', b'{"model": "\\ud800"}', b'{"a": 1e999}', b'{"a": ' + b"9" * 5000 + b"}",
    ],
    ids=["empty", "open", "list", "null", "text", "bytes", "deep", "deep list", "nan", "half a pair", "infinite",
         "long number"],
)  # fmt: skip
def test_what_is_no_json_object_is_refused(server: LiveServer, body):
    answer = server.ask("POST", CHAT, body)
    assert answer.status == 400
    assert answer.error["code"] in ("invalid_json", "invalid_value")


@pytest.mark.parametrize(
    "model", ["gpt-4o", "moe:fast", "moe:budget=0", "moe:", "moe:target=2", "\u202emoe", "x" * 9999]
)
def test_an_unknown_model_names_those_there_are(server: LiveServer, model):
    answer = server.chat(model=model)
    assert (answer.status, answer.error["code"], answer.error["param"]) == (404, "model_not_found", "model")
    assert (
        "small" in answer.error["message"] or "Known" in answer.error["message"] or "needs" in answer.error["message"]
    )
    assert len(answer.body) < 2000


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/v1", 404),
        ("POST", "/v1/../etc/passwd", 404),
        ("GET", "/v1/decisions/..%2f..%2fetc", 404),
        ("GET", "/static/..%2f..%2fpyproject.toml", 404),
        ("GET", CHAT, 405),
        ("DELETE", "/v1/models", 405),
        ("PATCH", "/healthz", 405),
    ],
)
def test_what_there_is_not_has_the_same_shape(server: LiveServer, method, path, status):
    answer = server.ask(method, path)
    assert answer.status == status
    assert answer.error["message"]
    if status == 405:
        assert answer.headers["Allow"]


def test_the_wrong_kind_of_body_is_told(server: LiveServer):
    body = json.dumps({"model": "moe", "messages": USER}).encode()
    assert server.ask("POST", CHAT, body, Content_Type="text/plain").status == 415
    assert server.ask("POST", CHAT, body, Content_Encoding="gzip").status == 415


@pytest.mark.parametrize("seconds", ["soon", "0", "-1", "nan", "inf", "0.01"])
def test_a_time_that_is_none_is_refused(server: LiveServer, seconds):
    answer = server.chat(headers={"x-moe-timeout-s": seconds})
    assert (answer.status, answer.error["param"]) == (400, "x-moe-timeout-s")


def test_options_of_completions_without_a_counterpart_are_refused(server: LiveServer):
    for change in (
        {"echo": True},
        {"suffix": "a"},
        {"best_of": 2},
        {"logprobs": 3},
        {"prompt": ["a", "b"]},
        {"prompt": ""},
    ):
        answer = server.ask("POST", "/v1/completions", {"model": "moe", "prompt": "a", **change})
        assert (answer.status, answer.error["param"]) == (400, next(iter(change)))


def test_failed_experts_are_told_by_the_kind_of_their_failure_only(server: LiveServer):
    for expert in server.experts.values():
        expert.change(mode="error")
    try:
        for stream in (False, True):
            answer = server.chat(stream=stream)
            assert answer.status in (502, 503)
            assert answer.error["decision"] == answer.headers["x-moe-decision"]
            assert not re.search(r"127\.0\.0\.1|:\d{4,5}|http", answer.error["message"])
            shown = server.ask("GET", f"/v1/decisions/{answer.error['decision']}").json
            assert (shown["outcome"], shown["expert"]) == ("failed", None)
            refused = server.ask("POST", "/v1/feedback", {"id": shown["id"], "score": 1})
            assert (refused.status, refused.error["code"]) == (409, "no_answer")
    finally:
        for expert in server.experts.values():
            expert.change(mode="ok")


@pytest.mark.parametrize(
    "data",
    [
        b"hello\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 20_000 + b"\r\n\r\n",
    ],
    ids=["no request", "version", "zero byte", "long header"],
)
def test_what_is_no_http_gets_an_error_and_the_end_of_its_connection(server: LiveServer, data):
    said = server.raw(data)
    head, _, body = said.partition(b"\r\n\r\n")
    assert head.split(b" ")[1] == b"400"
    assert json.loads(body)["error"]["type"] == "invalid_request_error"
    assert b"Traceback" not in said


def test_a_header_cannot_be_injected(server: LiveServer):
    said = server.chat(model="moe\r\nx-evil: 1")
    assert said.status == 404
    assert "x-evil" not in said.headers
    with pytest.raises(ValueError, match="Invalid header value"):
        server.chat(headers={"x-moe-user": "a\r\nb: c"})
    assert server.chat(headers={"x-moe-user": "a\u00e9b"}).status == 200
