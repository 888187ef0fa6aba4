import asyncio
import shutil
import socket
import subprocess
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Any

import pytest

from dataset_build import Answer, ConfigError, ExpertError, ExpertRefusedError, ExpertUnavailableError, Instruction
from dataset_build.src.experts.openai_compatible import OpenAICompatibleExpert
from tests.fault_server import FaultServer, start_fault_server

KEY = "sk-very-secret-0123456789"
PASSWORD = "proxy-password-98"


@pytest.fixture(scope="module")
def server() -> Iterator[FaultServer]:
    with start_fault_server(huge_mb=3, drip_s=0.001) as running:
        yield running


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("TEST_KEY", KEY)


@asynccontextmanager
async def raw_server(
    handler: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[int]:
    """A server that does what `handler` does to one connection, and its port."""
    done: asyncio.Queue[None] = asyncio.Queue()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):
            await handler(reader, writer)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
        done.put_nowait(None)

    listening = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield listening.sockets[0].getsockname()[1]
        await done.get()
    finally:
        listening.close()


async def ask_async(url: str, text: str, **options: Any) -> Answer | ExpertError:
    expert = OpenAICompatibleExpert("gpt", url, "m", api_key_env="TEST_KEY", **options)
    found: Answer | ExpertError
    try:
        found = await expert.answer(Instruction.create(text))
    except ExpertError as problem:
        found = problem
    await expert.aclose()
    if isinstance(found, ExpertError):
        assert found.__cause__ is None
        assert found.__context__ is None  # aiohttp's exception, which may hold the request's headers
        assert KEY not in "".join(traceback.format_exception(found)) + found.as_field()
    return found


def ask(url: str, text: str, **options: Any) -> Answer | ExpertError:
    return asyncio.run(ask_async(url, text, **options))


def fault(url: str, text: str, **options: Any) -> tuple[str, bool, bool]:
    """Return the kind of a failure, whether a repeat may help, and whether it may be billed."""
    problem = ask(url, text, **options)
    assert isinstance(problem, ExpertError), problem
    return problem.kind, problem.retryable, problem.may_be_billed or problem.usage is not None


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("name", "kind", "retryable", "billed"),
    [
        ("429", "rate_limit", True, False),
        ("429_retry_after", "rate_limit", True, False),
        ("400", "bad_request", False, False),
        ("401", "auth", False, False),
        ("402", "quota", False, False),
        ("500", "server_error", True, False),
        ("503", "overloaded", True, False),
        ("529", "overloaded", True, False),
        ("504", "timeout", True, True),
        ("reset", "connection", True, True),
        ("reset_body", None, True, True),
        ("cut_body", None, True, True),
        ("truncated_json", "invalid_response", True, True),
        ("html", "invalid_response", True, True),
        ("empty_choices", "invalid_response", True, True),
        ("empty_content", "empty_response", False, True),
        ("content_filter", "content_filter", False, True),
        ("error_in_200", "server_error", True, False),
        ("huge", "invalid_response", True, True),
    ],
)
def test_every_fault_has_its_kind_and_never_shows_the_key(
    server: FaultServer, name: str, kind: str | None, retryable: bool, billed: bool, stream: bool
):
    found = fault(server.url, f"one two three four <<{name}>>", stream=stream, max_response_mb=1)
    assert found[0] in ((kind,) if kind else ("connection", "invalid_response"))
    assert found[1:] == (retryable, billed)


@pytest.mark.parametrize(("name", "kind"), [("stream_error", "server_error"), ("no_finish", "invalid_response")])
def test_a_stream_that_breaks_off_is_an_error(server: FaultServer, name: str, kind: str):
    assert fault(server.url, f"one two three four <<{name}>>", stream=True) == (kind, True, True)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", ["wrong_type", "other_model", "length", "slow_drip", "no_usage"])
def test_odd_but_whole_answers_are_answers(server: FaultServer, name: str, stream: bool):
    answer = ask(server.url, f"one two <<{name}>>", stream=stream)
    assert isinstance(answer, Answer)
    assert answer.text == f"one two <<{name}>>"
    assert answer.model == ("another-model" if name == "other_model" else "m")
    assert answer.finish_reason == ("length" if name == "length" else "stop")
    assert answer.tokens_estimated == (name == "no_usage")
    assert answer.prompt_tokens
    assert answer.completion_tokens
    assert (answer.first_token_s is not None) == stream


@pytest.mark.parametrize("name", ["no_done", "keep_alives"])
def test_streams_of_every_style_give_the_same_answer(server: FaultServer, name: str):
    answer = ask(server.url, f"Grüße aus Köln €🙂 <<{name}>>", stream=True, temperature=1, n=3)
    assert isinstance(answer, Answer)
    assert answer.samples == (f"Grüße aus Köln €🙂 <<{name}>>",) * 3


@pytest.mark.parametrize("stream", [False, True])
def test_a_server_that_never_answers_meets_each_deadline(server: FaultServer, stream: bool):
    for options in ({"timeout_s": 0.2}, {"first_byte_timeout_s": 0.2, "timeout_s": 30}):
        problem = ask(server.url, "<<never>>", stream=stream, **options)
        assert isinstance(problem, ExpertUnavailableError)
        assert (problem.kind, problem.may_be_billed) == ("timeout", True)
        assert next(iter(options)) in problem.message


@pytest.fixture
def slow(server: FaultServer) -> Iterator[None]:
    """Drips five times slower."""
    server.change(drip_s=0.005)
    yield
    server.change(drip_s=0.001)


@pytest.mark.usefixtures("slow")
def test_the_first_byte_deadline_ends_with_the_first_byte(server: FaultServer):
    for stream in (False, True):
        answer = ask(server.url, "one <<slow_drip>>", stream=stream, first_byte_timeout_s=0.5)
        assert isinstance(answer, Answer)


@pytest.mark.usefixtures("slow")
def test_a_slow_drip_meets_the_whole_deadline(server: FaultServer):
    assert fault(server.url, "one two <<slow_drip>>", timeout_s=0.3)[0] == "timeout"


def test_a_connection_that_is_not_made_is_not_billed():
    with closing(socket.socket()) as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        url = f"http://127.0.0.1:{full.getsockname()[1]}"
        waiting = [socket.socket() for _ in range(4)]  # the system accepts no more for a server that does not
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        problem = ask(url, "hello", connect_timeout_s=0.3, timeout_s=30)
        for one in waiting:
            one.close()
    assert isinstance(problem, ExpertUnavailableError)
    assert (problem.kind, problem.may_be_billed) == ("timeout", False)
    assert "connect_timeout_s" in problem.message


def test_nobody_there_and_no_such_host():
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    assert fault(f"http://127.0.0.1:{port}", "hello", timeout_s=20) == ("connection", True, False)
    assert fault("http://no-such-host.invalid/v1", "hello", timeout_s=20) == ("dns", True, False)


def test_what_is_no_http_is_an_invalid_response():
    async def run() -> Answer | ExpertError:
        async def nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"what is this " + KEY.encode() + b"\r\n\r\n")

        async with raw_server(nonsense) as port:
            return await ask_async(f"http://127.0.0.1:{port}", "hello")

    problem = asyncio.run(run())
    assert isinstance(problem, ExpertUnavailableError)
    assert (problem.kind, problem.may_be_billed) == ("invalid_response", True)


def test_a_reply_that_stops_after_done_is_not_waited_for():
    async def run() -> Answer | ExpertError:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
            writer.write(b'data: {"choices": [{"delta": {"content": "hi"}}]}\n\ndata: [DONE]\n\n')
            await reader.read()

        async with raw_server(handle) as port:
            return await ask_async(f"http://127.0.0.1:{port}", "hello", stream=True, timeout_s=60)

    answer = asyncio.run(run())
    assert isinstance(answer, Answer)
    assert answer.text == "hi"


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def test_a_stream_lost_after_its_finish_reason_is_an_answer():
    async def run() -> Answer | ExpertError:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(
                HEAD + chunk(b'data: {"choices": [{"delta": {"content": "hi"}, "finish_reason": "stop"}]}\n\n')
            )

        async with raw_server(handle) as port:
            return await ask_async(f"http://127.0.0.1:{port}", "hello", stream=True)

    answer = asyncio.run(run())
    assert isinstance(answer, Answer)
    assert (answer.text, answer.tokens_estimated) == ("hi", True)


def test_a_connection_is_kept_though_the_body_ends_a_little_after_the_stream():
    connections: list[int] = []

    async def run() -> None:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connections.append(1)
            for _ in range(2):
                await reader.readuntil(b"}]}")
                writer.write(HEAD + chunk(b'data: {"choices": [{"delta": {"content": "hi"}}]}\n\ndata: [DONE]\n\n'))
                await asyncio.sleep(0.02)
                writer.write(END)

        async with raw_server(handle) as port:
            expert = OpenAICompatibleExpert("gpt", f"http://127.0.0.1:{port}", "m", stream=True, timeout_s=30)
            for _ in range(2):
                assert (await expert.answer(Instruction.create("hello"))).text == "hi"
            await expert.aclose()

    asyncio.run(run())
    assert len(connections) == 1


def test_a_longer_reply_than_allowed_says_what_to_raise(server: FaultServer):
    problem = ask(server.url, "<<huge>>", max_response_mb=1)
    assert "max_response_mb" in str(problem)
    problem = ask(server.url, "<<huge>>", max_response_mb=8)
    assert isinstance(problem, ExpertError)
    assert "max_response_mb" not in str(problem)


def test_connections_are_kept_whether_streamed_or_not(server: FaultServer):
    async def run(stream: bool) -> int:
        before = server.stats()["connections"]
        expert = OpenAICompatibleExpert("gpt", server.url, "m", stream=stream)
        for _ in range(5):
            await expert.answer(Instruction.create("hello"))
        await expert.aclose()
        return int(server.stats()["connections"]) - before

    for stream in (False, True):
        assert asyncio.run(run(stream)) == 2  # one of them asks for the counts


def test_a_long_prompt_is_sent_whole(server: FaultServer):
    text = "word " * 300_000
    answer = ask(server.url, text, max_tokens=None)
    assert isinstance(answer, Answer)
    assert answer.text == text


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A certificate that nobody has signed, for 127.0.0.1, and its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("makes its certificate with the openssl command")
    folder = tmp_path_factory.mktemp("tls")
    files = str(folder / "cert.pem"), str(folder / "key.pem")
    name = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *name, "-out", files[0]]
    subprocess.run([*command, "-keyout", files[1]], check=True, capture_output=True)
    return files


@pytest.fixture(scope="module")
def tls_server(certificate: tuple[str, str]) -> Iterator[FaultServer]:
    with start_fault_server(tls=certificate) as running:
        yield running


def test_a_certificate_nobody_signed_is_refused_unless_it_is_trusted(
    tls_server: FaultServer, certificate: tuple[str, str]
):
    problem = ask(tls_server.url, "hello")
    assert isinstance(problem, ExpertRefusedError)
    assert (problem.kind, problem.may_be_billed) == ("tls", False)
    for options in (
        {"verify_tls": False},
        {"ca_file": certificate[0]},
        {"ca_file": certificate[0], "client_cert": certificate[0], "client_key": certificate[1]},
        {"verify_tls": False, "client_cert": certificate[0], "client_key": certificate[1]},
    ):
        answer = ask(tls_server.url, "hello", **options)
        assert isinstance(answer, Answer), answer


def test_tls_where_there_is_none_is_a_tls_error():
    async def run() -> Answer | ExpertError:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(100)
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        async with raw_server(handle) as port:
            return await ask_async(f"https://127.0.0.1:{port}", "hello")

    problem = asyncio.run(run())
    assert isinstance(problem, ExpertRefusedError)
    assert (problem.kind, problem.may_be_billed) == ("tls", False)


def test_a_certificate_that_cannot_be_read_is_said_before_a_build(tmp_path: Path, certificate: tuple[str, str]):
    torn = tmp_path / "torn.pem"
    torn.write_text("-----BEGIN CERTIFICATE-----\n")
    for options in ({"ca_file": str(tmp_path / "none.pem")}, {"ca_file": str(torn)}, {"client_cert": str(torn)}):
        with pytest.raises(ConfigError, match="ca_file"):
            OpenAICompatibleExpert("gpt", "https://x/v1", "m", **options).check()


def test_a_client_key_with_a_password_is_refused_without_a_question(tmp_path: Path, certificate: tuple[str, str]):
    locked = tmp_path / "locked.pem"
    command = [str(shutil.which("openssl")), "rsa", "-aes256", "-passout", "pass:word", "-in", certificate[1]]
    subprocess.run([*command, "-out", str(locked)], check=True, capture_output=True)
    expert = OpenAICompatibleExpert("gpt", "https://x/v1", "m", client_cert=certificate[0], client_key=str(locked))
    with pytest.raises(ConfigError, match="client_key"):
        expert.check()


def test_a_proxy_is_asked_for_the_whole_address(server: FaultServer, monkeypatch: pytest.MonkeyPatch):
    """The server takes any address in the first line, so it can stand for a proxy of plain HTTP."""
    target = "http://model.invalid:8000/v1"
    with_password = server.root.replace("http://", f"http://user:{PASSWORD}@")
    monkeypatch.setenv("MY_PROXY", with_password)
    monkeypatch.setenv("http_proxy", server.root)
    for options, authorized in (({"proxy": server.root}, False), ({"proxy_env": "MY_PROXY"}, True), ({}, False)):
        answer = ask(target, "hello", **options)
        assert isinstance(answer, Answer), answer
        head, _ = server.last_request()
        assert head.startswith(f"POST {target}/chat/completions ")
        assert ("Proxy-Authorization: Basic" in head) == authorized
    assert fault(target, "hello", trust_env=False)[0] == "dns"
    monkeypatch.setenv("no_proxy", "model.invalid")
    assert fault(target, "hello")[0] == "dns"


def test_a_proxy_that_is_not_there_shows_no_password(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MY_PROXY", f"http://user:{PASSWORD}@127.0.0.1:9")
    for target in ("http://model.invalid/v1", "https://model.invalid/v1"):
        problem = ask(target, "hello", proxy_env="MY_PROXY")
        assert isinstance(problem, ExpertUnavailableError)
        assert (problem.kind, problem.may_be_billed) == ("connection", False)
        assert PASSWORD not in str(problem)


def test_what_a_proxy_repeats_of_its_password_is_masked(monkeypatch: pytest.MonkeyPatch):
    async def run() -> Answer | ExpertError:
        async def repeat(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(f"who is {PASSWORD}\r\n\r\n".encode())

        async with raw_server(repeat) as port:
            monkeypatch.setenv("MY_PROXY", f"http://u:{PASSWORD.replace('-', '%2D')}@127.0.0.1:{port}")
            return await ask_async("http://model.invalid/v1", "hello", proxy_env="MY_PROXY")

    problem = asyncio.run(run())
    assert isinstance(problem, ExpertError)
    assert PASSWORD not in str(problem)
    assert "***" in str(problem)


def test_a_proxy_that_refuses_says_so(monkeypatch: pytest.MonkeyPatch):
    async def run(status: int) -> Answer | ExpertError:
        async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(f"HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n".encode())

        async with raw_server(refuse) as port:
            monkeypatch.setenv("MY_PROXY", f"http://u:{PASSWORD}@127.0.0.1:{port}")
            return await ask_async("https://model.invalid/v1", "hello", proxy_env="MY_PROXY")

    for status, kind in ((407, "auth"), (503, "connection")):
        problem = asyncio.run(run(status))
        assert isinstance(problem, ExpertError)
        assert (problem.kind, problem.may_be_billed) == (kind, False)
        assert PASSWORD not in str(problem)


def test_this_machine_is_never_reached_through_the_environments_proxy(
    server: FaultServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert isinstance(ask(server.url, "hello"), Answer)


def test_netrc_is_never_read(server: FaultServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    (tmp_path / "netrc").write_text(f"machine 127.0.0.1 login me password {PASSWORD}\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))

    async def run() -> None:
        expert = OpenAICompatibleExpert("gpt", server.url, "m")
        await expert.answer(Instruction.create("hello"))
        await expert.aclose()

    asyncio.run(run())
    assert "Authorization" not in server.last_request()[0]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"proxy": f"http://user:{PASSWORD}@proxy:3128"}, "proxy_env"),
        ({"proxy": f"socks5://{PASSWORD}"}, "no proxy for HTTP"),
        ({"proxy_env": f"http://user:{PASSWORD}@proxy"}, "name of an environment variable"),
        ({"proxy_env": "NO_SUCH_PROXY"}, "NO_SUCH_PROXY"),
        ({"proxy_env": "BAD_PROXY"}, "BAD_PROXY"),
        ({}, "HTTP_PROXY"),
    ],
)
def test_a_proxy_of_no_use_is_said_before_a_build(options: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("BAD_PROXY", f"socks5://user:{PASSWORD}@proxy")
    monkeypatch.setenv("HTTP_PROXY", f"socks5://user:{PASSWORD}@proxy")
    with pytest.raises(ConfigError) as caught:
        OpenAICompatibleExpert("gpt", "http://x/v1", "m", **options).check()
    assert said in str(caught.value)
    assert PASSWORD not in str(caught.value)
