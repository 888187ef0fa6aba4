"""Every route of `moe serve`, asked over HTTP in a process of its own."""

import json

import pytest

from dataset_build.src.experts.base import CannotAnswerError
from tests.mixture_training.live_server import LiveServer, live_server

pytestmark = pytest.mark.slow

SECRET_TEXT = "the launch code is 77-alpha-zebra"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with live_server(tmp_path_factory.mktemp("routes")) as running:
        yield running


def chunks_of(body: bytes) -> list:
    """Return the events of a stream, [DONE] as the text it is."""
    events = [line.removeprefix("data: ") for line in body.decode().split("\n\n") if line]
    return [event if event == "[DONE]" else json.loads(event) for event in events]


def test_a_conversation_is_answered_in_the_shape_of_openai_and_says_what_was_decided(server: LiveServer):
    answer = server.chat()
    body = answer.json
    assert answer.status == 200
    assert body["object"] == "chat.completion"
    assert body["choices"][0]["message"]["role"] == "assistant"
    assert body["choices"][0]["finish_reason"] == "stop"
    assert body["usage"]["total_tokens"] == body["usage"]["prompt_tokens"] + body["usage"]["completion_tokens"]
    assert body["model"] == body["moe"]["expert"] == answer.headers["x-moe-expert"]
    assert body["id"] == f"chatcmpl-{body['moe']['decision']}"
    assert answer.headers["x-moe-decision"] == body["moe"]["decision"]
    assert float(answer.headers["x-moe-cost-usd"]) == pytest.approx(body["moe"]["cost_usd"])
    assert answer.headers["x-moe-router-version"] == body["moe"]["router_version"] != ""
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_stream_ends_with_what_was_decided_its_usage_and_done(server: LiveServer):
    answer = server.chat(stream=True, stream_options={"include_usage": True})
    *pieces, last, usage, done = chunks_of(answer.body)
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    assert done == "[DONE]"
    assert usage["choices"] == []
    assert usage["usage"]["completion_tokens"] > 0
    assert last["choices"][0]["finish_reason"] == "stop"
    assert last["moe"]["decision"] == answer.headers["x-moe-decision"]
    assert {chunk["id"] for chunk in [*pieces, last, usage]} == {f"chatcmpl-{last['moe']['decision']}"}
    assert len([chunk for chunk in pieces if chunk["choices"][0]["delta"].get("content")]) > 1
    assert "usage" not in chunks_of(server.chat(stream=True).body)[-2]


def test_a_stream_says_the_same_as_a_whole_answer(server: LiveServer):
    text = "".join(
        chunk["choices"][0]["delta"].get("content") or ""
        for chunk in chunks_of(server.chat(stream=True).body)
        if chunk != "[DONE]"
    )
    assert text == server.chat().json["choices"][0]["message"]["content"]


def decline(text: str) -> str:
    """What an expert is that has no answer to anything."""
    raise CannotAnswerError("nothing in it is a sum")


def test_an_answer_that_came_in_no_pieces_is_streamed_with_its_end(tmp_path):
    experts = tmp_path / "experts.yaml"
    function = "tests.mixture_training.test_server_routes:decline"
    named = [{"provider": "python", "name": name, "function": function} for name in ("small", "large")]
    experts.write_text(json.dumps({"experts": named}))  # JSON is YAML
    with live_server(tmp_path, "--experts", str(experts)) as declining:
        whole = declining.chat().json["choices"][0]["message"]["content"]
        pieces = chunks_of(declining.chat(stream=True).body)[:-1]
    assert whole == "I cannot answer this: nothing in it is a sum"
    assert "".join(piece["choices"][0]["delta"].get("content") or "" for piece in pieces) == whole


def test_pieces_that_arrive_together_are_sent_together_and_others_at_once(server: LiveServer):
    together = server.frames()
    assert len(together) <= 3
    try:
        for expert in server.experts.values():
            expert.change(gap_s=0.02)
        apart = server.frames()
    finally:
        for expert in server.experts.values():
            expert.change(gap_s=0.0)
    assert len(apart) >= 8
    assert [
        [chunk["choices"][0]["delta"] for chunk in chunks_of(b"".join(frames))[:-1]] for frames in (together, apart)
    ] == [[chunk["choices"][0]["delta"] for chunk in chunks_of(server.chat(stream=True).body)[:-1]]] * 2


def test_a_prompt_is_answered_whole_and_piece_by_piece(server: LiveServer):
    asked = {"model": "moe", "prompt": "How much is 3 and 4?"}
    whole = server.ask("POST", "/v1/completions", asked).json
    assert whole["object"] == "text_completion"
    assert whole["id"].startswith("cmpl-")
    stream = chunks_of(server.ask("POST", "/v1/completions", {**asked, "stream": True}).body)
    assert "".join(chunk["choices"][0]["text"] for chunk in stream[:-1]) == whole["choices"][0]["text"]
    assert stream[-2]["moe"]["expert"] == stream[-2]["model"]


@pytest.mark.parametrize(
    ("model", "policy"),
    [("moe-quality", "quality"), ("moe:cost_weight=50", "cost_weight=50"), ("moe: cost_weight = 50", "cost_weight=50")],
)
def test_the_model_names_a_policy(server: LiveServer, model, policy):
    assert server.chat(model=model).json["moe"]["policy"] == policy


@pytest.mark.parametrize("name", ["small", "large"])
def test_the_model_names_an_expert(server: LiveServer, name):
    assert server.chat(model=name).json["moe"]["expert"] == name


def test_what_a_request_holds_is_passed_on_untouched(server: LiveServer):
    parts = [{"type": "text", "text": "what is it?"}, {"type": "image_url", "image_url": {"url": "http://10.0.0.1/x"}}]
    messages = [{"role": "system", "content": "be brief", "name": "s"}, {"role": "user", "content": parts}]
    before = server.requests()
    sent = {"temperature": 0.25, "seed": 7, "some_new_option": {"a": [1]}, "user": "u-1"}
    answer = server.ask("POST", "/v1/chat/completions", {"model": "small", "messages": messages, **sent})
    if answer.status == 400:  # an expert without vision is never asked, whatever the client wants
        assert "small" in answer.error["message"]
        messages = messages[:1] + [{"role": "user", "content": parts[:1]}]
        server.ask("POST", "/v1/chat/completions", {"model": "small", "messages": messages, **sent})
    assert server.requests() == before + 1
    got = server.experts["small"].last_request()[1]
    assert got["messages"] == messages
    assert {name: got[name] for name in sent} == sent


def test_models_are_the_policies_and_the_experts(server: LiveServer):
    listed = server.ask("GET", "/v1/models").json["data"]
    assert [model["id"] for model in listed] == ["moe", "moe-quality", "moe-cheap", "small", "large"]
    assert server.ask("GET", "/v1/models/small").json == listed[3]
    assert server.ask("GET", "/v1/models/moe:cost_weight=2").json["id"] == "moe:cost_weight=2"
    assert server.ask("GET", "/v1/models/gpt-9").status == 404


def test_a_route_is_told_and_nobody_is_called(server: LiveServer):
    before = server.requests()
    body = {"model": "moe", "messages": [{"role": "user", "content": "How much is 3 and 4?"}]}
    receipt = server.ask("POST", "/v1/route", body).json
    assert {option["expert"] for option in receipt["options"]} == {"small", "large"}
    assert receipt["chosen"] == server.chat().json["moe"]["attempts"][0]["expert"]
    assert receipt["reason"]
    assert server.requests() == before + 1


def test_a_decision_is_shown_at_once_with_its_receipt_and_without_texts(server: LiveServer):
    answer = server.chat(SECRET_TEXT)
    for answer_id in (answer.headers["x-moe-decision"], answer.json["id"]):
        shown = server.ask("GET", f"/v1/decisions/{answer_id}").json
        assert shown["id"] == answer.headers["x-moe-decision"]
        assert shown["expert"] == answer.json["model"]
        assert shown["outcome"] == "answered"
        assert shown["receipt"]["chosen"] == shown["ranking"][0]
        assert shown["instruction"] is None
        assert shown["response"] is None
        assert sum(shown["propensities"].values()) == pytest.approx(1.0)


def test_feedback_is_taken_once_per_event(server: LiveServer):
    first, second = server.chat().json["id"], server.chat().headers["x-moe-decision"]
    scored = {"id": first, "score": 0.5, "user": "ann", "event": "e-1", "comment": "so so"}
    said = [server.ask("POST", "/v1/feedback", scored).json for _ in range(2)]
    assert said[0] == said[1]
    assert said[0]["score"] == 0.5
    preferred = server.ask("POST", "/v1/feedback", {"preference": {"better": first, "worse": second}})
    assert (preferred.status, preferred.json["kind"]) == (200, "preference")
    corrected = server.ask("POST", "/v1/feedback", {"id": second, "correction": "7"})
    assert (corrected.status, corrected.json["score"]) == (200, 0.0)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"id": "ID", "score": 2}, 400, "invalid_value"),
        ({"id": "ID", "score": True}, 400, "invalid_value"),
        ({"id": "ID"}, 400, "invalid_value"),
        ({"id": "ID", "score": 1, "correction": "x"}, 400, "invalid_value"),
        ({"score": 1}, 400, "invalid_value"),
        ({"id": "nothing", "score": 1}, 404, "decision_not_found"),
        ({"preference": {"better": "ID", "worse": "ID"}}, 400, "invalid_value"),
        ({"preference": ["ID"]}, 400, "invalid_value"),
        ({"id": "ID", "correction": "  "}, 400, "invalid_value"),
        ({"id": "ID", "score": 1, "user": "u" * 101}, 400, "invalid_value"),
    ],
)
def test_feedback_that_is_none_is_refused(server: LiveServer, body, status, code):
    made = server.chat().headers["x-moe-decision"]
    answer = server.ask("POST", "/v1/feedback", json.dumps(body).replace('"ID"', f'"{made}"').encode())
    assert (answer.status, answer.error["code"]) == (status, code)


def test_health_needs_no_key_and_metrics_count(server: LiveServer):
    server.chat()
    assert server.ask("GET", "/healthz", key=None).json == {"status": "ok"}
    ready = server.ask("GET", "/readyz", key=None).json
    assert ready["status"] == "ready"
    assert ready["experts"] == {"small": "closed", "large": "closed"}
    text = server.ask("GET", "/metrics", key=None).body.decode()
    for name in (
        "moe_request_seconds_bucket{",
        "moe_cost_usd_total{",
        "moe_tokens_total{",
        "moe_in_flight ",
        "moe_circuit_state{",
        "moe_spool_pending ",
        "moe_router_version{",
        "moe_overhead_seconds_count ",
    ):
        assert f"\n{name}" in text


def test_embeddings_say_how_to_have_them(server: LiveServer):
    answer = server.ask("POST", "/v1/embeddings", {"input": "a", "model": "e"})
    assert (answer.status, answer.error["code"]) == (404, "embeddings_not_configured")
    assert "--embeddings_url" in answer.error["message"]


def test_embeddings_are_passed_on_where_an_endpoint_is_set_up(tmp_path, server: LiveServer):
    endpoint = server.experts["small"].url
    with live_server(tmp_path, "--embeddings_url", endpoint) as other:
        answer = other.ask("POST", "/v1/embeddings", {"input": ["a", "b"], "model": "e"})
        assert answer.status == 200
        assert answer.json["data"]
        refused = other.ask("POST", "/v1/embeddings", {"input": "a", "api_base": "http://10.0.0.1"})
        assert (refused.status, refused.error["code"]) == (400, "unsupported_parameter")
        head, _ = server.experts["small"].last_request()
        assert other.key not in head


def test_no_text_and_no_key_is_in_the_log(server: LiveServer):
    server.chat(SECRET_TEXT)
    server.chat(SECRET_TEXT, stream=True)
    server.ask("POST", "/v1/chat/completions", b'{"model": "moe", "' + SECRET_TEXT.encode())
    server.ask("POST", f"/v1/{SECRET_TEXT.replace(' ', '-')}", {})
    server.chat(SECRET_TEXT, model=SECRET_TEXT)
    server.chat(SECRET_TEXT, key="moe-" + SECRET_TEXT.replace(" ", "-"))
    server.wait_for(lambda: '"status": 401' in server.log())
    log = server.log()
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    assert any(line.get("route") == "/v1/chat/completions" and line.get("decision") for line in lines)
    assert all({"method", "route", "status", "ms"} <= line.keys() for line in lines if "route" in line)
    for part in ("launch code", "launch-code", "zebra", server.key):
        assert part not in log


def test_what_the_api_is_stands_in_its_description(server: LiveServer):
    described = server.ask("GET", "/openapi.json", key=None).json
    assert described["openapi"].startswith("3.1")
    assert set(described["paths"]) >= {"/v1/chat/completions", "/v1/completions", "/v1/models", "/v1/embeddings",
                                       "/v1/feedback", "/v1/route", "/healthz", "/readyz", "/metrics"}  # fmt: skip
