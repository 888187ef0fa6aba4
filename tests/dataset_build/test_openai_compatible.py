import asyncio
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
from aiohttp import web

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
from dataset_build.src.config import ExpertConfig
from dataset_build.src.experts.openai_compatible import OpenAICompatibleExpert
from dataset_build.src.model_loader import load_expert
from dataset_build.src.records import Usage
from dataset_build.src.tokens import count_tokens
from tests.fault_server import LOST, RANDOM_FAULTS, FaultServer, start_fault_server
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
    app.router.add_post("/v1/{api:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()


@pytest.fixture(scope="module")
def faulty() -> Iterator[FaultServer]:
    with start_fault_server() as running:
        yield running


@pytest.fixture
def lazy() -> Iterator[FaultServer]:
    """A server that gives one sample, however many are asked for."""
    with start_fault_server(ignores_n=True) as running:
        yield running


def expert(base_url: str, **options: Any) -> OpenAICompatibleExpert:
    return OpenAICompatibleExpert("gpt", base_url, "gpt-x", **options)


async def ask(base_url: str, text: str = QUESTION.text, **options: Any) -> Answer | ExpertError:
    asked = expert(base_url, **options)
    try:
        return await asked.answer(Instruction.create(text))
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


def seen(**options: Any) -> tuple[web.Request, dict[str, Any]]:
    """Return the request that an expert with these options makes, and its body."""
    found: list[Any] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        found.append((request, await request.json()))
        return web.json_response(reply() if "chat" in request.path else {"choices": [{"text": "2"}]})

    answer = ask_handler(handle, **options)
    assert isinstance(answer, Answer), answer
    (one,) = found
    return one  # type: ignore[no-any-return]


def test_the_request_holds_what_was_configured_and_the_answer_what_was_served(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TEST_KEY", KEY)
    options = {"system_prompt": "Be short.", "max_tokens": 7, "top_p": 0.5, "stop": ["\n"], "seed": 0}
    more = {"presence_penalty": 0.1, "frequency_penalty": 0.2, "reasoning_effort": "low"}
    request, body = seen(api_key_env="TEST_KEY", **options, **more, extra_body={"top_k": 3})
    assert request.headers["Authorization"] == f"Bearer {KEY}"
    assert request.headers["Content-Type"] == "application/json"
    messages = [{"role": "system", "content": "Be short."}, {"role": "user", "content": QUESTION.text}]
    del options["system_prompt"]
    assert body == {"model": "gpt-x", "temperature": 0.0, "messages": messages, "top_k": 3, **options, **more}
    answer = ask_handler(answering(body=reply(finish_reason="length")))
    assert answer == Answer("2", prompt_tokens=11, completion_tokens=2, model="served-0613", finish_reason="length")


def test_without_a_key_and_with_nothing_set_the_request_is_bare():
    request, body = seen(temperature=None, max_tokens=None)
    assert "Authorization" not in request.headers
    assert body == {"model": "gpt-x", "messages": [{"role": "user", "content": QUESTION.text}]}


def test_a_completion_is_asked_with_one_prompt():
    request, body = seen(api="completions", system_prompt="Be short.")
    assert request.path == "/v1/completions"
    assert body["prompt"] == f"Be short.\n\n{QUESTION.text}"
    assert "messages" not in body
    assert seen(api="completions")[1]["prompt"] == QUESTION.text


def test_any_text_arrives_as_it_is(faulty: FaultServer):
    for text in ('"quoted"\\ \n\t{}', "Grüße €🙂", "\x00\x7f\u2028"):
        answer = asyncio.run(ask(faulty.url, text, system_prompt=text, max_tokens=None))
        assert isinstance(answer, Answer)
        assert answer.text == text
        assert [message["content"] for message in faulty.last_request()[1]["messages"]] == [text, text]


def test_models_that_call_their_bound_otherwise_are_obeyed():
    assert seen(max_tokens_field="max_completion_tokens", max_tokens=9)[1]["max_completion_tokens"] == 9
    body = seen(extra_body={"max_completion_tokens": 9})[1]
    assert body["max_completion_tokens"] == 9
    assert "max_tokens" not in body


def test_headers_of_the_configuration_and_of_the_environment_are_sent(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AZURE_KEY", KEY)
    request, _ = seen(
        headers={"X-Title": "build"},
        headers_env={"api-key": "AZURE_KEY"},
        organization="org-1",
        project="proj-2",
        query={"api-version": "2024-10-21"},
    )
    sent = {"X-Title": "build", "api-key": KEY, "OpenAI-Organization": "org-1", "OpenAI-Project": "proj-2"}
    assert {name: request.headers[name] for name in sent} == sent
    assert request.query_string == "api-version=2024-10-21"


def test_a_secret_header_is_masked_wherever_the_endpoint_repeats_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SECRET_HEADER", f"Bearer {KEY}")
    for stream in (False, True):
        for handler in (answering(401, {"error": {"message": f"bad {KEY}"}}), answering(200, f"<b>{KEY}</b>".encode())):
            problem = ask_handler(handler, headers_env={"Authorization": "SECRET_HEADER"}, stream=stream)
            assert isinstance(problem, ExpertError)
            assert KEY not in str(problem)
            assert "***" in str(problem)


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


@pytest.mark.parametrize("stream", [False, True])
def test_samples_come_in_one_reply_where_the_endpoint_can(faulty: FaultServer, stream: bool):
    before = faulty.requests
    answer = asyncio.run(ask(faulty.url, "one two", n=3, temperature=0.7, stream=stream))
    assert isinstance(answer, Answer)
    assert (answer.text, answer.samples) == ("one two", ("one two",) * 3)
    assert (answer.prompt_tokens, answer.completion_tokens, answer.tokens_estimated) == (2, 6, False)
    assert faulty.requests == before + 1
    assert faulty.last_request()[1]["n"] == 3


@pytest.mark.parametrize("stream", [False, True])
def test_an_endpoint_that_ignores_n_is_asked_again_with_another_seed(lazy: FaultServer, stream: bool):
    answer = asyncio.run(ask(lazy.url, "one two", n=3, temperature=0.7, seed=5, stream=stream))
    assert isinstance(answer, Answer)
    assert answer.samples == ("one two",) * 3
    assert (answer.prompt_tokens, answer.completion_tokens) == (6, 6)
    assert lazy.requests == 3
    last = lazy.last_request()[1]
    assert (last["seed"], last.get("n")) == (7, None)


def test_a_failure_among_the_samples_fails_the_call_with_what_was_paid_so_far(lazy: FaultServer):
    lazy.change(script=["ok", "ok", "429", "ok", "no_usage", "429"])
    for may_be_billed in (False, True):
        problem = asyncio.run(ask(lazy.url, "one two", n=3, temperature=0.7))
        assert isinstance(problem, ExpertUnavailableError)
        assert problem.usage == (Usage(2, 2) if may_be_billed else Usage(4, 4))
        assert problem.may_be_billed == may_be_billed


@pytest.mark.parametrize("stream", [False, True])
def test_nothing_the_server_bills_goes_unnoticed(stream: bool):
    """Half the requests fail; what was answered is counted to the token, what was lost is flagged."""
    kinds = [*RANDOM_FAULTS, "empty_content", "content_filter", "length", "other_model", "wrong_type"]
    read = written = flagged = 0

    async def run(url: str) -> None:
        nonlocal read, written, flagged
        asked = expert(url, stream=stream)
        for number in range(300):
            try:
                done: Answer | Usage | None = await asked.answer(Instruction.create(f"question number {number}"))
            except ExpertError as problem:
                done = problem.usage
                flagged += problem.may_be_billed
            if done is not None:
                read += done.prompt_tokens or 0
                written += done.completion_tokens or 0
        await asked.aclose()

    with start_fault_server(faults=0.5, kinds=kinds, seed=1) as running:
        asyncio.run(run(running.url))
        stats = running.stats()
    assert set(stats["faults"]) == set(kinds)
    assert stats["requests"] == 300
    assert read == stats["prompt_tokens"] - stats["lost_prompt_tokens"]
    assert written == stats["completion_tokens"] - stats["lost_completion_tokens"]
    lost = sum(count for name, count in stats["faults"].items() if name in LOST)
    careful = sum(stats["faults"][name] for name in ("reset", "html", "empty_choices"))
    assert lost <= flagged <= lost + careful


def test_more_samples_than_asked_for_are_left_out():
    body = reply()
    body["choices"] = [body["choices"][0]] * 5
    answer = ask_handler(answering(body=body), n=2, temperature=1.0)
    assert isinstance(answer, Answer)
    assert answer.samples == ("2", "2")


@pytest.mark.parametrize("stream", [False, True])
def test_tokens_nobody_reported_are_estimated_and_marked(faulty: FaultServer, stream: bool):
    text = "one two three <<no_usage>>"
    asked = expert(faulty.url, stream=stream, system_prompt="Be short.")
    answer = asyncio.run(ask(faulty.url, text, stream=stream, system_prompt="Be short."))
    assert isinstance(answer, Answer)
    assert answer.tokens_estimated
    assert answer.prompt_tokens == asked.estimate(Instruction.create(text)).prompt_tokens
    assert answer.completion_tokens == count_tokens(answer.text)
    half = ask_handler(answering(body={**reply(), "usage": {"prompt_tokens": 11}}))
    assert isinstance(half, Answer)
    assert (half.prompt_tokens, half.completion_tokens, half.tokens_estimated) == (11, count_tokens("2"), True)


def test_a_stream_asks_for_usage_and_knows_when_it_began(faulty: FaultServer):
    answer = asyncio.run(ask(faulty.url, "one two", stream=True))
    assert isinstance(answer, Answer)
    assert (answer.text, answer.prompt_tokens, answer.completion_tokens) == ("one two", 2, 2)
    assert answer.first_token_s is not None
    assert answer.first_token_s > 0
    sent = faulty.last_request()[1]
    assert (sent["stream"], sent["stream_options"]) == (True, {"include_usage": True})


def test_what_a_call_may_use_is_known_before_it_is_made(faulty: FaultServer):
    for text in ("", "hello", "x" * 500, "Grüße " * 50):
        instruction = Instruction.create(text)
        plain, system = expert("http://x/v1"), expert("http://x/v1", system_prompt="Be short. " * 9)
        estimate = plain.estimate(instruction)
        assert estimate.prompt_tokens <= estimate.most_prompt_tokens
        assert estimate.most_prompt_tokens >= len(text.encode())
        assert estimate.most_completion_tokens == 1024
        assert system.estimate(instruction).prompt_tokens >= estimate.prompt_tokens + 18
        assert system.estimate(instruction).most_prompt_tokens >= estimate.most_prompt_tokens + 90
    many = expert("http://x/v1", n=3, temperature=1.0).estimate(QUESTION)
    assert many.most_completion_tokens == 3 * 1024
    assert many.most_prompt_tokens == 3 * expert("http://x/v1").estimate(QUESTION).most_prompt_tokens
    assert expert("http://x/v1", max_tokens=None).estimate(QUESTION).most_completion_tokens is None
    bounded = expert("http://x/v1", extra_body={"max_completion_tokens": 9})
    assert bounded.estimate(QUESTION).most_completion_tokens == 9


def test_what_decides_an_answer_is_in_the_fingerprint_and_nothing_else(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TEST_KEY", KEY)
    plain = expert("http://x/v1").fingerprint()
    changes: list[dict[str, Any]] = [
        {"temperature": 1.0},
        {"max_tokens": 1},
        {"system_prompt": "Be short."},
        {"api": "completions"},
        {"seed": 1},
        {"n": 2, "temperature": 1.0},
        {"extra_body": {"top_k": 1}},
        {"query": {"api-version": "1"}},
    ]
    prints = {expert("http://x/v1", **change).fingerprint() for change in changes}
    assert len(prints | {plain, expert("http://y/v1").fingerprint()}) == len(changes) + 2
    for same in (
        {"timeout_s": 3},
        {"connect_timeout_s": 3},
        {"stream": True},
        {"proxy": "http://p:1"},
        {"headers": {"X-A": "b"}},
        {"api_key_env": "TEST_KEY", "headers_env": {"api-key": "TEST_KEY"}},
        {"verify_tls": False},
    ):
        assert expert("http://x/v1", **same).fingerprint() == plain


def test_experts_of_one_model_at_one_address_share_their_limits():
    assert expert("http://x/v1").endpoint == expert("http://x/v1/", temperature=1.0).endpoint
    assert expert("http://x/v1").endpoint != expert("http://y/v1").endpoint
    assert "gpt-x" in expert("http://x/v1").endpoint
    assert expert("http://x/v1").model == "gpt-x"
    assert expert("http://x/v1", timeout_s=3).timeout_s == 3
    assert expert("http://x/v1").timeout_s is None


def test_the_key_is_read_at_call_time_and_stored_nowhere(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.DEBUG)
    for option in ({"api_key_env": "TEST_KEY"}, {"headers_env": {"api-key": "TEST_KEY"}}):
        monkeypatch.delenv("TEST_KEY", raising=False)
        asked = expert("http://127.0.0.1:9/v1", **option)
        with pytest.raises(ConfigError, match="TEST_KEY"):
            asked.check()
        with pytest.raises(ExpertRefusedError, match="TEST_KEY") as caught:
            asyncio.run(asked.answer(QUESTION))
        assert caught.value.kind == "auth"
        monkeypatch.setenv("TEST_KEY", KEY)
        asked.check()
        with pytest.raises(ExpertUnavailableError):
            asyncio.run(asked.answer(QUESTION))
        parts = [asked, asked._headers, asked._connection, asked._request]
        everything = "".join(repr(part) + repr(vars(part)) for part in parts) + asked.fingerprint() + asked.endpoint
        assert KEY not in everything + caplog.text
        monkeypatch.setenv("TEST_KEY", f"{KEY}\nX-Injected: 1")
        with pytest.raises(ExpertRefusedError) as caught:
            asyncio.run(asked.answer(QUESTION))
        assert KEY not in str(caught.value)
        asyncio.run(asked.aclose())


def test_one_expert_serves_several_event_loops_one_session_each():
    asked: list[OpenAICompatibleExpert] = []

    async def run(port: int) -> int:
        """Ask thrice; the server closes its connections before the loop does."""
        with start_fault_server(port=port) as running:
            asked.append(asked[0] if asked else expert(running.url))
            for _ in range(3):
                assert (await asked[0].answer(QUESTION)).text == QUESTION.text
            assert running.stats()["connections"] == 2  # one of them asks for the counts
        await asyncio.sleep(0.05)
        if port:
            await asked[0].aclose()
        return int(running.url.rpartition(":")[2].removesuffix("/v1"))

    asyncio.run(run(asyncio.run(run(0))))
    assert not asked[0]._connection._open


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"base_url": "localhost:8000"}, "no web address"),
        ({"base_url": "ftp://x/v1"}, "no web address"),
        ({"base_url": "http://x:port/v1"}, "no web address"),
        ({"base_url": f"http://user:{KEY}@x/v1"}, "user, a password or a query"),
        ({"base_url": f"http://x/v1?key={KEY}"}, "user, a password or a query"),
        ({"query": {"key": KEY}}, "headers_env"),
        ({"api_key_env": KEY}, "never the key itself"),
        ({"headers_env": {"api-key": KEY}}, "never the key itself"),
        ({"headers_env": {"a b": "KEY"}}, "'a b'"),
        ({"headers_env": {"authorization": "OTHER"}, "api_key_env": "KEY"}, "both"),
        ({"headers": {"Authorization": KEY}}, "headers_env"),
        ({"headers": {"api-key": KEY}}, "headers_env"),
        ({"headers": {"X-Api-Key": KEY}}, "headers_env"),
        ({"headers": {"Cookie": KEY}}, "headers_env"),
        ({"headers": {"Content-Length": "3"}}, "'Content-Length'"),
        ({"headers": {"X-A": "b\r\nX-C: d"}}, "one line"),
        ({"organization": "a\nb"}, "one line"),
        ({"timeout_s": 0}, "above 0"),
        ({"connect_timeout_s": -1}, "above 0"),
        ({"first_byte_timeout_s": 0}, "above 0"),
        ({"max_response_mb": float("nan")}, "above 0"),
        ({"n": 0}, "at least 1"),
        ({"n": 2}, "temperature above 0"),
        ({"extra_body": {"stream": True}}, "'stream'"),
        ({"extra_body": {"n": 2}}, "'n'"),
        ({"extra_body": {"seed": object()}}, "JSON"),
        ({"extra_body": {"seed": float("nan")}}, "JSON"),
    ],
)
def test_a_bad_option_is_refused_without_repeating_a_key(options: dict[str, Any], said: str):
    with pytest.raises(ConfigError) as caught:
        OpenAICompatibleExpert(**{"name": "gpt", "base_url": "http://x/v1", "model": "m", **options})
    assert said in str(caught.value)
    assert KEY not in str(caught.value)


def test_a_configuration_may_name_variables_of_secret_headers():
    config = ExpertConfig.model_validate(
        {
            "provider": "openai_compatible",
            "base_url": "http://x/v1",
            "model": "m",
            "headers_env": {"Authorization": "GATEWAY_HEADER", "api_key": "AZURE_KEY"},
        }
    )
    assert load_expert(config).model == "m"


def test_the_address_may_end_in_a_slash_or_in_the_whole_path():
    for api, path in (("chat", "/chat/completions"), ("completions", "/completions")):
        bases = ("http://x/v1", " http://x/v1/", "http://x/v1/chat/completions", "http://x/v1/completions")
        assert {expert(base, api=api)._connection.url for base in bases} == {f"http://x/v1{path}"}


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
def test_a_real_server_streams_and_is_asked_again_for_the_samples_it_leaves_out(served: str, tiny_llama_dir: Path):
    question, right = PAIRS[0]

    async def run() -> Answer:
        model = str(tiny_llama_dir)
        asked = OpenAICompatibleExpert("llama", served, model, temperature=0.01, max_tokens=12, n=2, stream=True)
        try:
            return await asked.answer(Instruction.create(question))
        finally:
            await asked.aclose()

    answer = asyncio.run(run())
    assert [sample.strip() for sample in answer.samples] == [right, right]
    assert answer.first_token_s
    assert answer.finish_reason == "stop"
    assert answer.completion_tokens


@pytest.mark.slow
def test_a_real_server_refuses_a_model_it_does_not_have(served: str):
    problem = asyncio.run(ask(served))
    assert isinstance(problem, ExpertError)
