"""A key is sent to its endpoint and is found nowhere else, whatever goes wrong."""

import asyncio
import io
import json
import logging
import os
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path

import pytest

from dataset_build import BuildConfig, load_expert
from dataset_build.src import building
from dataset_build.src.config import ExpertConfig
from dataset_build.src.errors import ExpertError, ToolkitError
from dataset_build.src.records import Instruction
from tests.fault_server import FAULTS, start_fault_server

ROOT = Path(__file__).resolve().parents[2]
BUILDER = ROOT / "dataset_build" / "src" / "builder.py"
KEY, HEADER_KEY, PROXY_PASSWORD = "sk-SECRET-4f1d9a77", "hk-SECRET-e02b51c8", "pw-SECRET-77aa01"
SECRETS = (KEY, HEADER_KEY, PROXY_PASSWORD)
#: What an endpoint may say that repeats the key it was sent: status, headers, body.
ECHOES = {
    "401": (401, {}, {"error": {"message": f"Incorrect API key provided: {KEY}", "code": KEY}}),
    "400": (400, {}, {"error": {"message": f"header api-key: {HEADER_KEY}"}}),
    "429": (429, {"Retry-After": "0"}, {"error": {"message": f"{KEY} is used too often"}}),
    "500_text": (500, {}, f"<pre>Authorization: Bearer {KEY}\napi-key: {HEADER_KEY}</pre>"),
    "302": (302, {"Location": f"http://127.0.0.1/login?key={KEY}"}, ""),
    "error_in_200": (200, {}, {"error": {"message": f"bad key {KEY}", "code": 502}}),
    "detail": (422, {}, {"detail": [{"loc": ["header", "authorization"], "input": f"Bearer {KEY}"}]}),
    "no_json": (200, {}, f"Bearer {KEY} is not valid"),
    "no_choices": (200, {}, {"choices": [], "debug": {"authorization": KEY}}),
    "bad_choice": (200, {}, {"choices": [{"error": {"message": f"key {HEADER_KEY}"}}]}),
    "reason": (200, {}, {"choices": [{"message": {"content": ""}, "finish_reason": KEY}]}),
    "status_line": (f"500 no such key {KEY}", {}, ""),
    "bad_header": (200, {f"X-{KEY}\x00": "1"}, ""),
}


@pytest.fixture(autouse=True)
def _keys(monkeypatch):
    monkeypatch.setenv("MY_API_KEY", KEY)
    monkeypatch.setenv("MY_HEADER_KEY", f"Token {HEADER_KEY}")


def endpoint(url: str, **options) -> dict:
    headers = {"api_key_env": "MY_API_KEY", "headers_env": {"api-key": "MY_HEADER_KEY"}}
    return {"provider": "openai_compatible", "name": "e", "base_url": url, "model": "m", **headers, **options}


def clean(text: str) -> bool:
    return not any(secret in text for secret in SECRETS)


def files_are_clean(folder: Path) -> bool:
    found = [
        path
        for path in folder.rglob("*")
        if path.is_file() and any(secret.encode() in path.read_bytes() for secret in SECRETS)
    ]
    assert not found
    return True


def everything_of(problem: BaseException) -> str:
    """Return an exception, and all that hangs on it, as text."""
    parts, waiting, seen = [], [problem], set()
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        parts += [repr(one), str(one), repr(one.args), repr(vars(one)), "".join(traceback.format_exception(one))]
        waiting += [one.__cause__, one.__context__, *getattr(one, "exceptions", ())]
    return "\n".join(parts)


async def echo_server(reply):
    """Serve one fixed reply to every request."""
    status, headers, body = reply
    payload = (body if isinstance(body, str) else json.dumps(body)).encode()
    head = f"HTTP/1.1 {status} Status\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items())

    async def serve(reader, writer):
        data = await reader.readuntil(b"\r\n\r\n")
        assert KEY.encode() in data
        assert HEADER_KEY.encode() in data
        writer.write(head.encode() + b"Content-Length: %d\r\nConnection: close\r\n\r\n%b" % (len(payload), payload))
        await writer.drain()
        writer.close()

    return await asyncio.start_server(serve, "127.0.0.1", 0)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", sorted(ECHOES))
def test_an_endpoint_that_repeats_the_key_finds_no_way_to_spread_it(name: str, stream: bool, caplog):
    caplog.set_level(logging.DEBUG)

    async def work():
        server = await echo_server(ECHOES[name])
        port = server.sockets[0].getsockname()[1]
        expert = load_expert(ExpertConfig.model_validate(endpoint(f"http://127.0.0.1:{port}/v1", stream=stream)))
        try:
            with pytest.raises(ExpertError) as caught:
                await expert.answer(Instruction(id="i", text="text"))
            return everything_of(caught.value) + caught.value.as_field() + repr(expert) + repr(vars(expert))
        finally:
            await expert.aclose()
            server.close()

    assert clean(asyncio.run(work()))
    assert clean(caplog.text)


@pytest.mark.parametrize("stream", [False, True])
def test_a_key_that_an_endpoint_puts_into_its_answer_is_masked_there(stream: bool):
    async def work():
        with start_fault_server(answer=f"Your key is {KEY} and {HEADER_KEY}", served_model=f"m-{KEY}") as server:
            expert = load_expert(ExpertConfig.model_validate(endpoint(server.url, stream=stream)))
            answer = await expert.answer(Instruction(id="i", text="What is my key?"))
            await expert.aclose()
            return answer

    answer = asyncio.run(work())
    assert answer.text == "Your key is *** and ***"
    assert answer.model == "m-***"


def test_no_exception_of_the_http_library_that_holds_a_request_hangs_on_an_error(caplog):
    async def work():
        texts = []
        with start_fault_server(drip_s=0.05) as server:
            for fault in sorted(FAULTS - {"huge"}):
                options = {"timeout_s": 0.2, "stream": fault in ("stream_error", "no_finish")}
                expert = load_expert(ExpertConfig.model_validate(endpoint(server.url, **options)))
                try:
                    await expert.answer(Instruction(id="i", text=f"text <<{fault}>>"))
                except ExpertError as problem:
                    texts.append(everything_of(problem))
                finally:
                    await expert.aclose()
        return texts

    caplog.set_level(logging.DEBUG)
    texts = asyncio.run(work())
    assert len(texts) > 15
    assert clean("\n".join(texts))
    assert clean(caplog.text)


def job(folder: Path, url: str, texts: list[str], **options) -> dict:
    (folder / "questions.jsonl").write_text("".join(json.dumps({"instruction": text}) + "\n" for text in texts))
    sources = [{"source": "file", "path": str(folder / "questions.jsonl")}]
    values = {"output": str(folder / "dataset"), "timeout_s": 1.0, "retries": 0, "concurrency": 8}
    return {"sources": sources, "experts": [endpoint(url, **options)], **values}


def test_a_build_through_every_fault_with_everything_logged_leaves_no_key_behind(tmp_path: Path):
    records = io.StringIO()
    handler = logging.StreamHandler(records)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        with start_fault_server(drip_s=0.05) as server:
            texts = [f"fine {n}" for n in range(20)] + [f"bad <<{fault}>>" for fault in sorted(FAULTS - {"huge"})]
            config = BuildConfig.model_validate(job(tmp_path, server.url, texts, timeout_s=0.5))
            assert building.plan_build(config).instructions == len(texts)
            journal_files = {}
            write = building.write_tables

            def watched(*args, **options):
                for path in (tmp_path / "dataset").iterdir():
                    if path.is_file():
                        journal_files[path.name] = path.read_bytes()
                return write(*args, **options)

            building.write_tables = watched
            try:
                result = building.build(config)
            finally:
                building.write_tables = write
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    assert {"journal.sqlite", "journal.sqlite-wal"} <= set(journal_files)
    assert not any(secret.encode() in content for content in journal_files.values() for secret in SECRETS)
    assert files_are_clean(tmp_path)
    assert clean(records.getvalue())
    assert clean(repr(config) + str(config) + config.model_dump_json() + repr(result))


def run_and_look(command: list[str], folder: Path, *, interrupt: bool = False, **environment: str) -> tuple[int, str]:
    """Run a command; return its exit code and all it said, having looked at what `ps` shows meanwhile."""
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONASYNCIODEBUG": "1", **environment},
    )
    shown = ""
    for _ in range(400):
        if process.poll() is not None:
            break
        shown += Path(f"/proc/{process.pid}/cmdline").read_text()
        wal = folder / "dataset" / "journal.sqlite-wal"
        if wal.exists() and wal.stat().st_size > 20_000:
            break
        time.sleep(0.02)
    listing = subprocess.run(["ps", "-ww", "-e", "-o", "args"], capture_output=True, text=True, check=False).stdout
    assert clean(shown + listing)
    if interrupt:
        process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=120)
    return process.returncode, out


@pytest.mark.slow
def test_commands_that_run_dry_are_interrupted_killed_or_fail_show_no_key(tmp_path: Path):
    with start_fault_server(latency_s=0.02, faults=0.2, seed=1) as server:
        texts = [f"text {n}" for n in range(3000)]
        (tmp_path / "build.json").write_text(json.dumps(job(tmp_path, server.url, texts)))
        command = [sys.executable, str(BUILDER), "--config", str(tmp_path / "build.json")]
        code, said = run_and_look([*command, "--dry_run"], tmp_path)
        assert code == 0, said
        assert clean(said)
        code, said = run_and_look(command, tmp_path, interrupt=True)
        assert code == 3, said
        assert clean(said)
        assert files_are_clean(tmp_path)
        server.change(always="401")
        code, said = run_and_look([*command, "--max_iter", "40", "--output", str(tmp_path / "other")], tmp_path)
        assert code == 2, said
        assert clean(said)
    assert files_are_clean(tmp_path)


def test_a_key_written_where_its_variables_name_belongs_is_refused_without_being_repeated(tmp_path: Path):
    for options in (
        {"api_key_env": KEY},
        {"api_key": KEY},
        {"headers": {"Authorization": f"Bearer {KEY}"}},
        {"headers_env": {"api-key": HEADER_KEY}},
        {"query": {"api-key": KEY}},
        {"proxy": f"http://user:{PROXY_PASSWORD}@proxy:3128"},
    ):
        config = BuildConfig.model_validate(job(tmp_path, "http://127.0.0.1:1/v1", ["text"], **options))
        with pytest.raises(ToolkitError) as caught:
            building.build(config)
        assert clean(everything_of(caught.value)), options
    assert not (tmp_path / "dataset").exists()


def test_a_password_of_a_proxy_is_shown_nowhere(tmp_path: Path, monkeypatch, caplog):
    monkeypatch.setenv("MY_PROXY", f"http://user:{PROXY_PASSWORD}@127.0.0.1:9")
    caplog.set_level(logging.DEBUG)
    config = BuildConfig.model_validate(job(tmp_path, "http://192.0.2.1/v1", ["text"], proxy_env="MY_PROXY"))
    with pytest.raises(ToolkitError) as caught:
        building.build(config)
    assert clean(everything_of(caught.value))
    assert clean(caplog.text)
    assert files_are_clean(tmp_path)
