import asyncio
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import traceback
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, closing, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from dataset_build import (
    Answer,
    ConfigError,
    ExpertError,
    ExpertRefusedError,
    ExpertUnavailableError,
    Instruction,
    Price,
    call_expert,
)
from dataset_build.src.experts.chat_protocol import read_answer, read_failure, retry_after_s
from dataset_build.src.experts.openai_compatible import OpenAICompatibleExpert
from tests.tiny_models import PAIRS

KEY = "sk-very-secret-0123456789"
QUESTION = Instruction.create("What is 1 + 1?")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def reply(content: object = "2", **choice: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": content}
    return {
        "model": "served-0613",
        "choices": [{"message": message, "finish_reason": "stop", **choice}],
        "usage": {"prompt_tokens": 11, "completion_tokens": 2},
    }


@asynccontextmanager
async def server(handler: Handler) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post("/v1/chat/completions", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def raw_server(
    handler: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[str]:
    done: asyncio.Queue[None] = asyncio.Queue()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await handler(reader, writer)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        done.put_nowait(None)

    listening = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"
        await done.get()
    finally:
        listening.close()


def expert(base_url: str, **options: Any) -> OpenAICompatibleExpert:
    return OpenAICompatibleExpert("gpt", base_url, "gpt-x", **options)


async def ask(base_url: str, **options: Any) -> Answer | ExpertError:
    asked = expert(base_url, **options)
    try:
        return await asked.answer(QUESTION)
    except ExpertError as problem:
        return problem
    finally:
        await asked.aclose()


def ask_handler(handler: Handler, **options: Any) -> Answer | ExpertError:
    async def run() -> Answer | ExpertError:
        async with server(handler) as url:
            return await ask(url, **options)

    return asyncio.run(run())


def answering(status: int = 200, body: object = None, headers: dict[str, str] | None = None) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return web.Response(status=status, body=raw, headers=headers)

    return handle


def test_the_request_holds_what_was_configured_and_the_answer_what_was_served(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TEST_KEY", KEY)
    seen: list[Any] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        seen.append((request.headers.get("Authorization"), await request.json()))
        return web.json_response(reply(finish_reason="length"))

    answer = ask_handler(
        handler=handle, api_key_env="TEST_KEY", system_prompt="Be short.", max_tokens=7, extra_body={"seed": 1}
    )
    assert answer == Answer("2", prompt_tokens=11, completion_tokens=2, model="served-0613", finish_reason="length")
    authorization, body = seen[0]
    assert authorization == f"Bearer {KEY}"
    messages = [{"role": "system", "content": "Be short."}, {"role": "user", "content": QUESTION.text}]
    assert body == {"model": "gpt-x", "temperature": 0.0, "max_tokens": 7, "seed": 1, "messages": messages}


def test_without_a_key_and_with_nothing_set_the_request_is_bare():
    seen: list[Any] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        seen.append(("Authorization" in request.headers, await request.json()))
        return web.json_response(reply())

    assert isinstance(ask_handler(handle, temperature=None, max_tokens=None), Answer)
    assert seen == [(False, {"model": "gpt-x", "messages": [{"role": "user", "content": QUESTION.text}]})]


ERRORS = [
    (answering(401, {"error": {"message": f"Incorrect API key provided: {KEY}"}}), ExpertRefusedError, "auth"),
    (answering(403, {"detail": "no"}), ExpertRefusedError, "auth"),
    (answering(400, {"error": {"message": "bad"}}), ExpertRefusedError, "bad_request"),
    (answering(404, b"<html>Not found</html>"), ExpertRefusedError, "bad_request"),
    (answering(422, {"detail": [{"msg": "no"}]}), ExpertRefusedError, "bad_request"),
    (answering(301, b"", {"Location": "http://127.0.0.1:9/elsewhere"}), ExpertRefusedError, "bad_request"),
    (answering(400, {"error": {"code": "content_filter"}}), ExpertRefusedError, "content_filter"),
    (answering(402, {"error": "pay first"}), ExpertRefusedError, "quota"),
    (answering(429, {"error": {"code": "insufficient_quota"}}), ExpertRefusedError, "quota"),
    (answering(429, b"slow down", {"Retry-After": "7"}), ExpertUnavailableError, "rate_limit"),
    (answering(500, b"oops"), ExpertUnavailableError, "server_error"),
    (answering(503, b"", {"Retry-After": "7"}), ExpertUnavailableError, "server_error"),
    (answering(504, b""), ExpertUnavailableError, "timeout"),
    (answering(200, b"<html><body>Welcome</body></html>"), ExpertUnavailableError, "invalid_response"),
    (answering(200, json.dumps(reply()).encode()[:-20]), ExpertUnavailableError, "invalid_response"),
    (answering(200, b""), ExpertUnavailableError, "invalid_response"),
    (answering(200, []), ExpertUnavailableError, "invalid_response"),
    (answering(200, {"choices": []}), ExpertUnavailableError, "invalid_response"),
    (answering(200, {"choices": [{"message": None}]}), ExpertUnavailableError, "invalid_response"),
    (answering(204, b""), ExpertUnavailableError, "invalid_response"),
    (answering(200, {"error": {"code": 429, "message": "busy"}}), ExpertUnavailableError, "rate_limit"),
    (answering(200, {"error": {"message": "odd"}}), ExpertUnavailableError, "server_error"),
    (answering(200, reply(finish_reason="content_filter")), ExpertRefusedError, "content_filter"),
    (answering(200, reply("")), ExpertRefusedError, "empty_response"),
    (answering(200, reply(None, finish_reason="length")), ExpertRefusedError, "empty_response"),
]


@pytest.mark.parametrize(("handler", "error", "kind"), ERRORS)
def test_every_failure_has_its_kind_and_never_shows_the_key(
    handler: Handler, error: type[ExpertError], kind: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TEST_KEY", KEY)
    problem = ask_handler(handler, api_key_env="TEST_KEY")
    assert type(problem) is error
    assert problem.kind == kind
    assert KEY not in "".join(traceback.format_exception(problem)) + problem.as_field()
    assert "\n" not in problem.as_field()


def test_the_pause_an_endpoint_asks_for_is_kept():
    problem = ask_handler(answering(429, b"", {"Retry-After": "7"}))
    assert isinstance(problem, ExpertUnavailableError)
    assert problem.retry_after_s == 7.0


def test_a_call_that_fails_once_is_repeated_and_priced_from_its_tokens():
    calls: list[int] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        calls.append(1)
        return web.json_response(reply()) if len(calls) > 1 else web.Response(status=500)

    async def run() -> None:
        async with server(handle) as url:
            asked = expert(url, price=Price(1.0, 10.0))
            response = await call_expert(asked, QUESTION, timeout_s=20, retries=3)
            await asked.aclose()
        assert response.text == "2"
        assert response.cost == pytest.approx(31e-6)

    asyncio.run(run())
    assert len(calls) == 2


def test_connections_that_break_are_unavailable_and_time_out():
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.abort()

    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{")

    async def nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"what is this\r\n\r\n")

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async def run() -> None:
        for handler, kind in (
            (reset, "connection"),
            (half, "connection"),
            (nonsense, "connection"),
            (silent, "timeout"),
        ):
            async with raw_server(handler) as url:
                problem = await ask(url, timeout_s=0.5)
            assert isinstance(problem, ExpertUnavailableError)
            assert problem.kind == kind
            assert problem.__cause__ is None
            assert problem.__context__ is None  # aiohttp's exception, which may hold the request's headers

    asyncio.run(run())


def test_nobody_there_and_no_such_host_are_connection_errors():
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    for url in (f"http://127.0.0.1:{port}", "http://no-such-host.invalid/v1"):
        problem = asyncio.run(ask(url, timeout_s=20))
        assert isinstance(problem, ExpertUnavailableError)
        assert problem.kind == "connection"


def test_the_key_is_read_at_call_time_and_stored_nowhere(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.DEBUG)
    monkeypatch.delenv("TEST_KEY", raising=False)
    asked = expert("http://127.0.0.1:9/v1", api_key_env="TEST_KEY")
    with pytest.raises(ExpertRefusedError, match="TEST_KEY") as caught:
        asyncio.run(asked.answer(QUESTION))
    assert caught.value.kind == "auth"
    monkeypatch.setenv("TEST_KEY", KEY)
    with pytest.raises(ExpertUnavailableError):
        asyncio.run(asked.answer(QUESTION))
    everything = repr(asked) + repr(vars(asked)) + asked.fingerprint() + caplog.text
    assert KEY not in everything
    monkeypatch.setenv("TEST_KEY", f"{KEY}\nX-Injected: 1")
    with pytest.raises(ExpertRefusedError) as caught:
        asyncio.run(asked.answer(QUESTION))
    assert KEY not in str(caught.value)
    asyncio.run(asked.aclose())


def test_one_expert_serves_several_event_loops_one_session_each():
    asked: list[OpenAICompatibleExpert] = []

    async def run(close: bool) -> None:
        async with server(answering(200, reply())) as url:
            if not asked:
                asked.append(expert(url))
            asked[0]._url = f"{url}/chat/completions"
            for _ in range(3):
                assert (await asked[0].answer(QUESTION)).text == "2"
            if close:
                await asked[0].aclose()

    asyncio.run(run(close=False))
    asyncio.run(run(close=True))
    assert not asked[0]._sessions


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"base_url": "localhost:8000"}, "no web address"),
        ({"base_url": "ftp://x/v1"}, "no web address"),
        ({"base_url": "http://x:port/v1"}, "no web address"),
        ({"base_url": f"http://user:{KEY}@x/v1"}, "user, a password or a query"),
        ({"base_url": f"http://x/v1?key={KEY}"}, "user, a password or a query"),
        ({"api_key_env": KEY}, "never the key itself"),
        ({"timeout_s": 0}, "above 0"),
        ({"extra_body": {"stream": True}}, "'stream'"),
        ({"extra_body": {"seed": object()}}, "JSON"),
        ({"extra_body": {"seed": float("nan")}}, "JSON"),
    ],
)
def test_a_bad_option_is_refused_without_repeating_a_key(options: dict[str, Any], said: str):
    with pytest.raises(ConfigError) as caught:
        OpenAICompatibleExpert(**{"name": "gpt", "base_url": "http://x/v1", "model": "m", **options})
    assert said in str(caught.value)
    assert KEY not in str(caught.value)


def test_the_address_may_end_in_a_slash_or_in_the_whole_path():
    urls = {expert(base)._url for base in ("http://x/v1", "http://x/v1/", "http://x/v1/chat/completions")}
    assert urls == {"http://x/v1/chat/completions"}


def test_content_in_parts_and_a_models_own_refusal_are_answers():
    parts = [{"type": "text", "text": "a"}, {"type": "thinking"}, {"type": "text", "text": "b"}]
    answer = read_answer(json.dumps(reply(parts)).encode(), expert="x")
    assert isinstance(answer, Answer)
    assert answer.text == "ab"
    refused = {"choices": [{"message": {"content": None, "refusal": "I cannot help with that."}}]}
    answer = read_answer(json.dumps(refused).encode(), expert="x")
    assert isinstance(answer, Answer)
    assert (answer.text, answer.prompt_tokens, answer.model) == ("I cannot help with that.", None, None)


def test_a_pause_is_seconds_milliseconds_or_a_date():
    assert retry_after_s({"Retry-After": "2.5"}) == 2.5
    assert retry_after_s({"retry-after-ms": "250", "Retry-After": "9"}) == 0.25
    assert retry_after_s({"Retry-After": format_datetime(datetime.now(UTC) - timedelta(hours=1), usegmt=True)}) == 0.0
    later = retry_after_s({"Retry-After": format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)})
    assert later is not None
    assert later > 0
    for illegible in ("", "soon", "-3", "nan", "inf"):
        assert retry_after_s({"Retry-After": illegible}) is None


@given(
    st.binary(max_size=200)
    | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(json.dumps).map(str.encode)
)
def test_any_body_is_an_answer_or_an_error(body: bytes):
    assert isinstance(read_answer(body, expert="x"), Answer | ExpertError)
    for status in (200, 302, 418, 429, 500):
        assert isinstance(read_failure(status, {}, body, expert="x"), ExpertError)


@pytest.fixture(scope="module")
def served(tiny_llama_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real server process with a real model."""
    home = tmp_path_factory.mktemp("hf-home")
    (home / "hub").mkdir()
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    program = Path(sys.executable).with_name("transformers")
    with (home / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            [str(program), "serve", str(tiny_llama_dir), "--device", "cpu", "--host", "127.0.0.1", "--port", str(port)],
            env={**os.environ, "HF_HOME": str(home), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        deadline = monotonic() + 120
        while not _is_healthy(f"http://127.0.0.1:{port}/health"):
            assert process.poll() is None, (home / "log.txt").read_text()
            assert monotonic() < deadline, (home / "log.txt").read_text()
            sleep(0.2)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _is_healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as response:
            return bool(response.status == 200)
    except OSError:
        return False


@pytest.mark.slow
def test_a_real_server_answers_many_calls_at_once(served: str, tiny_llama_dir: Path):
    asked = OpenAICompatibleExpert("llama", served, str(tiny_llama_dir), max_tokens=12, price=Price(1.0, 1.0))

    async def run() -> list[Answer]:
        questions = [Instruction.create(question) for question, _ in PAIRS]
        try:
            return await asyncio.gather(*[asked.answer(question) for question in questions])
        finally:
            await asked.aclose()

    answers = asyncio.run(run())
    assert [answer.text.strip() for answer in answers] == [right for _, right in PAIRS]
    for answer in answers:
        assert answer.prompt_tokens
        assert answer.completion_tokens
        assert answer.finish_reason == "stop"
        assert "tiny-llama" in str(answer.model)


@pytest.mark.slow
def test_a_real_server_refuses_a_model_it_does_not_have(served: str):
    problem = asyncio.run(ask(served))
    assert isinstance(problem, ExpertError)
