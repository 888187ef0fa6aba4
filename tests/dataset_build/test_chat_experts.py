"""Conversations through the real expert and a real server: what is sent, what comes back, piece by piece."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from typing import Any

import pytest
from aiohttp import web

from dataset_build import Answer, ChatCall, ChatPiece, ExpertCall, ExpertError, Price, Response, call_expert
from dataset_build.src import calls
from dataset_build.src.budget import Budget
from dataset_build.src.experts.openai_compatible import OpenAICompatibleExpert
from dataset_build.src.limits import Endpoint
from tests.fault_server import FaultServer, start_fault_server

KEY = "sk-very-secret-0123456789"
TOOLS = [{"type": "function", "function": {"name": "look_up", "parameters": {"type": "object", "x-own": None}}}]
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}


@pytest.fixture(scope="module")
def faulty() -> Iterator[FaultServer]:
    with start_fault_server() as running:
        yield running


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "FIRST_WAIT_S", 0.001)


def expert(url: str, **options: Any) -> OpenAICompatibleExpert:
    return OpenAICompatibleExpert("gpt", url, "gpt-x", **options)


def chat(url: str, call: ChatCall, **options: Any) -> Answer:
    async def run() -> Answer:
        asked = expert(url, **options)
        try:
            return await asked.chat(call)
        finally:
            await asked.aclose()

    return asyncio.run(run())


def streamed(url: str, call: ChatCall, **options: Any) -> tuple[list[ChatPiece], Answer | ExpertError]:
    """Return the pieces of a stream and what it ended in."""

    async def run() -> tuple[list[ChatPiece], Answer | ExpertError]:
        asked = expert(url, **options)
        pieces: list[ChatPiece] = []
        try:
            async for item in asked.stream_chat(call):
                if isinstance(item, Answer):
                    return pieces, item
                pieces.append(item)
        except ExpertError as problem:
            return pieces, problem
        finally:
            await asked.aclose()
        raise AssertionError("The stream ended with nothing.")

    return asyncio.run(run())


def text_of(pieces: list[ChatPiece]) -> str:
    return "".join(piece.text for piece in pieces)


def test_messages_and_options_arrive_untouched_and_win_over_those_of_the_expert(faulty: FaultServer):
    messages = (
        {"role": "system", "content": "Be kind.", "name": "house"},
        {"role": "user", "content": [{"type": "text", "text": "What is this?"}, IMAGE]},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": ""}}]},
        {"role": "tool", "tool_call_id": "1", "content": "a cat"},
    )
    options = {
        "tools": TOOLS,
        "tool_choice": "auto",
        "response_format": {"type": "json_object"},
        "temperature": 0.9,
        "logprobs": True,
        "stop": None,
        "user": "u",
        "x_own": {"deep": [1, None]},
    }
    configured = {"system_prompt": "Be short.", "temperature": 0.1, "top_p": 0.5, "max_tokens": 77, "n": 3}
    chat(faulty.url, ChatCall(messages, options), **configured)
    sent = faulty.last_request()[1]
    assert sent["messages"] == list(messages)
    assert {name: sent[name] for name in options} == options
    assert (sent["model"], sent["top_p"], sent["max_tokens"]) == ("gpt-x", 0.5, 77)
    assert "n" not in sent
    assert "stream" not in sent
    streamed(faulty.url, ChatCall(messages, options), **configured)
    sent = faulty.last_request()[1]
    assert (sent["stream"], sent["stream_options"], sent["messages"]) == (True, {"include_usage": True}, list(messages))


def test_the_system_prompt_goes_first_only_where_the_conversation_brings_none(faulty: FaultServer):
    for role, count in (("user", 2), ("system", 2), ("developer", 2)):
        first = {"role": role, "content": "hello"}
        messages = (first,) if role == "user" else (first, {"role": "user", "content": "hi"})
        chat(faulty.url, ChatCall(messages), system_prompt="Be short.")
        sent = faulty.last_request()[1]["messages"]
        assert len(sent) == count
        assert ("Be short." in str(sent)) == (role == "user")


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
@pytest.mark.parametrize("given", ["max_tokens", "max_completion_tokens"])
def test_the_bound_of_a_conversation_takes_the_name_that_the_endpoint_knows(
    faulty: FaultServer, field: Any, given: str
):
    call = ChatCall(({"role": "user", "content": "a b c d"},), {given: 2})
    answer = chat(faulty.url, call, max_tokens=9, max_tokens_field=field)
    sent = faulty.last_request()[1]
    assert {name: sent.get(name) for name in ("max_tokens", "max_completion_tokens") if name in sent} == {field: 2}
    assert (answer.text, answer.finish_reason) == ("a b", "length")
    assert chat(faulty.url, ChatCall(call.messages, {given: None}), max_tokens=3).text == "a b c"


def test_the_toolkits_own_keys_cannot_be_overwritten(faulty: FaultServer):
    options = {"model": "other", "messages": [], "n": 9, "stream": True, "prompt": "x"}
    assert chat(faulty.url, ChatCall(({"role": "user", "content": "hi"},), options)).text == "hi"
    sent = faulty.last_request()[1]
    assert sent["model"] == "gpt-x"
    assert not {"n", "stream", "prompt"} & sent.keys()


def test_the_answer_has_the_choice_as_it_was_given(faulty: FaultServer):
    answer = chat(faulty.url, ChatCall.of("one two"))
    assert answer.choice == {
        "index": 0,
        "message": {"role": "assistant", "content": "one two"},
        "finish_reason": "stop",
    }
    assert (answer.text, answer.model, answer.prompt_tokens, answer.completion_tokens) == ("one two", "gpt-x", 2, 2)


@pytest.mark.parametrize("stream", [False, True])
def test_an_empty_text_beside_calls_of_tools_is_an_answer(faulty: FaultServer, stream: bool):
    call = ChatCall(({"role": "user", "content": "who? <<tool_calls>>"},), {"tools": TOOLS})
    if stream:
        pieces, ended = streamed(faulty.url, call)
        assert isinstance(ended, Answer), ended
        answer = ended
        assert pieces[0].is_token
        assert pieces[-1].finish_reason == "tool_calls"
    else:
        answer = chat(faulty.url, call)
    assert answer.choice is not None
    (called,) = answer.choice["message"]["tool_calls"]
    assert called["function"] == {"name": "look_up", "arguments": json.dumps({"question": "who? <<tool_calls>>"})}
    assert (called["id"], called["type"], answer.text, answer.finish_reason) == ("call_1", "function", "", "tool_calls")


def test_pieces_are_yielded_one_by_one_and_the_answer_with_its_usage_last(faulty: FaultServer):
    pieces, answer = streamed(faulty.url, ChatCall.of("one two three"))
    assert [piece.text for piece in pieces if piece.text] == ["one ", "two ", "three"]
    assert [piece.finish_reason for piece in pieces if piece.finish_reason] == ["stop"]
    assert pieces[-1].finish_reason == "stop"
    assert isinstance(answer, Answer)
    assert answer.choice is not None
    assert (answer.text, answer.prompt_tokens, answer.completion_tokens) == ("one two three", 3, 3)
    assert answer.choice["message"] == {"role": "assistant", "content": "one two three"}


def test_a_piece_is_there_before_the_next_one_is_written():
    async def run(url: str) -> list[int]:
        asked, written = expert(url), []
        async for item in asked.stream_chat(ChatCall.of("a b c")):
            if isinstance(item, ChatPiece) and item.text:
                written.append(len(gate))
                release.set()
        await asked.aclose()
        return written

    gate: list[int] = []
    release = asyncio.Event()

    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for word in ("a ", "b ", "c "):
            gate.append(1)
            await response.write(event({"content": word}))
            await release.wait()
            release.clear()
        await response.write(event({}, "stop") + b"data: [DONE]\n\n")
        return response

    assert asyncio.run(with_server(handle, run)) == [1, 2, 3]


def event(delta: dict[str, Any], finish: str | None = None, **choice: Any) -> bytes:
    payload = {"model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish, **choice}]}
    return b"data: " + json.dumps(payload).encode() + b"\n\n"


async def with_server(handle: Any, run: Any) -> Any:
    app = web.Application()
    app.router.add_post("/v1/{api:.*}", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        return await run(f"http://127.0.0.1:{runner.addresses[0][1]}/v1")
    finally:
        await runner.cleanup()


def from_events(*events: bytes, **options: Any) -> tuple[list[ChatPiece], Answer | ExpertError]:
    async def handle(request: web.Request) -> web.StreamResponse:
        return web.Response(body=b"".join(events), headers={"Content-Type": "text/event-stream"})

    async def run(url: str) -> tuple[list[ChatPiece], Answer | ExpertError]:
        return await asyncio.to_thread(streamed, url, ChatCall.of("hi"), **options)

    return asyncio.run(with_server(handle, run))  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("fault", "kind", "shows"),
    [
        ("429", "rate_limit", False),
        ("500", "server_error", False),
        ("401", "auth", False),
        ("reset", "connection", False),
        ("html", "invalid_response", False),
        ("truncated_json", "invalid_response", False),
        ("empty_content", "empty_response", False),
        ("content_filter", "content_filter", False),
        ("reset_body", None, True),
        ("cut_body", None, True),
        ("stream_error", "server_error", True),
        ("no_finish", "invalid_response", True),
    ],
)
def test_a_stream_that_fails_ends_in_the_error_that_collection_knows(
    faulty: FaultServer, fault: str, kind: str | None, shows: bool
):
    pieces, problem = streamed(faulty.url, ChatCall.of(f"one two three four five <<{fault}>>"))
    assert isinstance(problem, ExpertError)
    assert problem.kind in ((kind,) if kind else ("connection", "invalid_response"))
    assert bool(text_of(pieces)) == shows
    assert not any(piece.finish_reason for piece in pieces)
    with pytest.raises(ExpertError) as caught:
        chat(faulty.url, ChatCall.of(f"one two <<{fault if not shows else 'cut_body'}>>"))
    assert kind is None or shows or caught.value.kind == kind


@pytest.mark.parametrize("fault", ["no_done", "keep_alives", "slow_drip", "no_usage", "other_model"])
def test_streams_of_every_style_are_passed_on(faulty: FaultServer, fault: str):
    text = f"Grüße €🙂 <<{fault}>>"
    pieces, answer = streamed(faulty.url, ChatCall.of(text))
    assert isinstance(answer, Answer)
    assert answer.text == text_of(pieces) == text
    assert answer.tokens_estimated == (fault == "no_usage")


def test_an_endpoint_that_does_not_stream_gives_one_piece():
    body = {"choices": [{"message": {"role": "assistant", "content": "hi", "x": 1}, "finish_reason": "stop"}]}
    pieces, answer = from_events(json.dumps(body).encode())
    assert pieces == [ChatPiece({"role": "assistant", "content": "hi", "x": 1}, "stop")]
    assert isinstance(answer, Answer)
    assert answer.text == "hi"


def test_logprobs_and_own_fields_of_an_endpoint_are_passed_on_and_put_together():
    logprobs = {"content": [{"token": "hi", "logprob": -0.1}]}
    more = {"content": [{"token": "!", "logprob": -0.2}]}
    pieces, answer = from_events(
        event({"role": "assistant", "content": "", "reasoning_content": "hm"}),
        event({"content": "hi", "annotations": [1]}, logprobs=logprobs),
        event({"content": "!", "annotations": [2], "audio": {"id": "a", "data": "AA"}}, logprobs=more),
        event({"audio": {"data": "BB"}}, "stop"),
        b"data: [DONE]\n\n",
    )
    assert pieces[1].logprobs == logprobs
    assert pieces[0].delta["reasoning_content"] == "hm"
    assert isinstance(answer, Answer)
    assert answer.choice is not None
    assert answer.choice["message"] == {
        "role": "assistant",
        "content": "hi!",
        "reasoning_content": "hm",
        "annotations": [1, 2],
        "audio": {"id": "a", "data": "AABB"},
    }
    assert answer.choice["logprobs"] == {"content": [*logprobs["content"], *more["content"]]}


@pytest.mark.parametrize("cut", range(1, len(KEY)))
def test_a_secret_is_masked_also_where_it_comes_in_two_pieces(cut: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TEST_KEY", KEY)
    tool = {"index": 0, "function": {"name": "f", "arguments": KEY[:cut]}}
    rest = {"index": 0, "function": {"arguments": KEY[cut:] + "}"}}
    logprobs = {"content": [{"token": KEY[cut:]}]}
    pieces, answer = from_events(
        event({"content": f"the key is {KEY[:cut]}"}),
        event({"content": f"{KEY[cut:]}!"}, logprobs=logprobs),
        event({"tool_calls": [tool]}),
        event({"tool_calls": [rest], "note": [KEY]}, "stop"),
        b"data: [DONE]\n\n",
        api_key_env="TEST_KEY",
    )
    everything = json.dumps([[piece.delta, piece.logprobs] for piece in pieces])
    assert text_of(pieces) == "the key is ***!"
    assert isinstance(answer, Answer)
    shown = everything + json.dumps(answer.choice) + answer.text
    assert KEY not in shown
    assert KEY[cut:] not in everything or len(KEY[cut:]) < 3
    arguments = [call["function"].get("arguments", "") for p in pieces for call in p.delta.get("tool_calls", ())]
    assert "".join(arguments) == "***}"
    assert answer.choice is not None
    assert "logprobs" not in answer.choice


def test_what_only_looks_like_the_beginning_of_a_secret_comes_in_the_end(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TEST_KEY", KEY)
    for cut in range(1, len(KEY)):
        pieces, answer = from_events(
            event({"content": f"key {KEY[:cut]}"}), event({}, "stop"), b"data: [DONE]\n\n", api_key_env="TEST_KEY"
        )
        assert isinstance(answer, Answer)
        assert text_of(pieces) == f"key {KEY[:cut]}"


def test_a_slow_reader_holds_up_the_endpoint_instead_of_filling_the_memory():
    sent = [0]

    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        assert request.transport is not None
        connection: socket.socket = request.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
        for _ in range(2000):
            await response.write(event({"content": "x" * 10_000}))
            sent[0] += 10_000
        return response

    async def run(url: str) -> tuple[int, int]:
        asked = expert(url)
        async with aclosing(asked.stream_chat(ChatCall.of("hi"))) as stream:  # type: ignore[type-var]
            await anext(stream)
            before = -1
            while before != sent[0]:
                before = sent[0]
                await asyncio.sleep(0.3)
            held = sent[0]
            for _ in range(300):
                await anext(stream)
        await asked.aclose()
        return held, sent[0]

    held, at_the_end = asyncio.run(with_server(handle, run))
    assert held < 12_000_000  # what the buffers of the system take, too
    assert at_the_end < 19_000_000


def test_closing_a_stream_early_closes_its_connection_at_once():
    with start_fault_server(token_s=0.02) as running:

        async def run() -> None:
            asked = expert(running.url)
            stream: AsyncIterator[Any] = asked.stream_chat(ChatCall.of("word " * 500))
            async with aclosing(stream):  # type: ignore[type-var]
                await anext(stream)
            for _ in range(100):
                if running.stats()["dropped"]:
                    break
                await asyncio.sleep(0.02)
            assert running.stats()["dropped"] == 1
            await asked.aclose()

        asyncio.run(run())


@pytest.mark.parametrize("api", ["chat", "completions"])
def test_a_plain_prompt_is_the_transcript(faulty: FaultServer, api: Any):
    turns = ({"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"})
    for ask in (lambda call: chat(faulty.url, call, api=api), lambda call: streamed(faulty.url, call, api=api)[1]):
        answer = ask(ChatCall(turns, {"stop": ["x"]}))
        assert isinstance(answer, Answer)
        assert answer.choice is not None
        assert answer.choice["message"]["content"] == answer.text
        assert answer.text == ("c" if api == "chat" else "user: a\n\nassistant: b\n\nuser: c")


def test_what_json_cannot_hold_is_refused_and_not_sent(faulty: FaultServer):
    before = faulty.requests
    with pytest.raises(ExpertError) as caught:
        chat(faulty.url, ChatCall(({"role": "user", "content": "hi"},), {"temperature": float("nan")}))
    assert caught.value.kind == "bad_request"
    assert faulty.requests == before


def test_a_conversation_is_estimated_with_tools_images_and_the_system_prompt():
    plain, system = expert("http://x/v1"), expert("http://x/v1", system_prompt="Be short. " * 9)
    call = ChatCall.of("hello there")
    about = plain.estimate_chat(call)
    assert about.prompt_tokens <= about.most_prompt_tokens
    assert about.most_completion_tokens == 1024
    assert system.estimate_chat(call).prompt_tokens >= about.prompt_tokens + 18
    with_tools = plain.estimate_chat(ChatCall(call.messages, {"tools": TOOLS, "max_tokens": 5}))
    assert with_tools.prompt_tokens > about.prompt_tokens + 5
    assert with_tools.most_completion_tokens == 5
    seen = ChatCall(({"role": "user", "content": [{"type": "text", "text": "hello there"}, IMAGE]},))
    assert plain.estimate_chat(seen).prompt_tokens >= about.prompt_tokens + 500


# One implementation of turn, price, deadline and retries


def ask(url: str, call: ChatCall, **options: Any) -> Response:
    async def run() -> Response:
        asked = expert(url, price=Price(1.0, 10.0))
        try:
            return await call_expert(asked, call, **{"timeout_s": 20, "retries": 3, **options})
        finally:
            await asked.aclose()

    return asyncio.run(run())


def ask_for_stream(url: str, call: ChatCall, **options: Any) -> tuple[list[ChatPiece], Response, ExpertCall]:
    async def run() -> tuple[list[ChatPiece], Response, ExpertCall]:
        asked = expert(url, price=Price(1.0, 10.0))
        one = ExpertCall(asked, call, **{"timeout_s": 20, "retries": 3, **options})
        items = [item async for item in one.stream()]
        await asked.aclose()
        *pieces, response = items
        assert isinstance(response, Response)
        return [piece for piece in pieces if isinstance(piece, ChatPiece)], response, one

    return asyncio.run(run())


def test_calls_with_conversations_are_retried_and_priced_like_those_with_instructions(faulty: FaultServer):
    response = ask(faulty.url, ChatCall.of("one two <<500*2>>"))
    assert response.text == "one two <<500*2>>"
    assert response.cost == pytest.approx(33e-6)
    assert response.choice is not None
    pieces, streaming, one = ask_for_stream(faulty.url, ChatCall.of("one three <<503*2>>"))
    assert streaming.text == text_of(pieces) == "one three <<503*2>>"
    assert streaming.cost == pytest.approx(33e-6)
    assert streaming.first_token_s == one.first_token_s
    assert ask(faulty.url, ChatCall.of("<<500>>"), retries=0).error_kind == "server_error"


def test_a_stream_is_not_tried_again_after_its_first_token(faulty: FaultServer):
    before = faulty.requests
    pieces, response, one = ask_for_stream(faulty.url, ChatCall.of("one two three four five six <<cut_body>>"))
    assert text_of(pieces).startswith("one two")
    assert response.error_kind in ("connection", "invalid_response")
    assert faulty.requests == before + 1
    shown = len(text_of(pieces).split())
    assert 1e-5 * shown <= response.at_risk <= 1e-5 * (shown + 8) + 30e-6
    assert response.at_risk == one.at_risk


def test_a_stream_that_goes_silent_is_a_timeout(faulty: FaultServer):
    pieces, response, _ = ask_for_stream(faulty.url, ChatCall.of("one two three four <<stall>>"), timeout_s=0.3)
    assert pieces
    assert response.error_kind == "timeout"
    pieces, response, _ = ask_for_stream(faulty.url, ChatCall.of("<<never>>"), timeout_s=0.2, retries=0)
    assert not pieces
    assert response.error_kind == "timeout"
    assert response.at_risk > 0.01  # all that it was allowed to write


def test_a_dropped_stream_gives_back_its_turn_and_knows_what_it_may_have_cost(faulty: FaultServer):
    async def run() -> None:
        asked, endpoint, budget = expert(faulty.url, price=Price(1.0, 10.0)), Endpoint("e", most=1), Budget(1.0)
        for _ in range(3):
            one = ExpertCall(asked, ChatCall.of("one two <<stall>>"), timeout_s=20, retries=0, endpoint=endpoint)
            async with aclosing(one.stream()) as stream:
                await anext(stream)
                assert endpoint.in_flight == 1
            assert endpoint.in_flight == 0
            assert 0 < one.at_risk < 1e-3
        response = await call_expert(asked, ChatCall.of("hi"), timeout_s=5, retries=0, endpoint=endpoint, budget=budget)
        assert response.text == "hi"
        assert budget.spent_usd == pytest.approx(response.cost)
        assert budget.reserved_usd == 0.0
        await asked.aclose()

    asyncio.run(run())
