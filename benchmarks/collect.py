"""Collecting against a stub server: requests per second and CPU per request, beside five other ways to do it.

    python benchmarks/collect.py [--concurrency 1,64,256] [--repetitions 3] [--seconds 12] [--litellm_python PATH]

The server (50 ms, 512-token answers) has core 0, the client core 1. "ours" is a whole build by the public function:
journal, retries, cost and exact match on; its first figure is the query phase, its second the build from its start to
the finished dataset. The others only ask: a bare aiohttp loop, the openai SDK's async client, a pool of 100 threads
with requests (`requests.post`, and again with a session for each thread), litellm. Every way runs once in each
repetition, each time in a new process; medians are shown.
"""

import argparse
import asyncio
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.stub_server import start_stub_server

SERVER_CORE, CLIENT_CORE = 0, 1
LATENCY_S, TOKENS = 0.05, 512
THREADS = 100
#: Requests per second that each way is expected to reach, to make all of them run about as long.
EXPECTED = {
    "ours": 2000,
    "aiohttp": 3500,
    "openai": 450,
    "requests": 260,
    "requests+sessions": 1200,
    "litellm": 250,
    "raw": 8000,
}


def main() -> None:
    """Run every way and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--concurrency", default="1,64,256")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=12.0, help="about how long one measurement takes")
    parser.add_argument("--ways", default="ours,aiohttp,openai,requests,requests+sessions,litellm")
    parser.add_argument("--litellm_python", help="the Python of an environment with litellm")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.work is not None:
        print(json.dumps(measured(**json.loads(args.work))))
        return
    levels = [int(level) for level in args.concurrency.split(",")]
    ways = [way for way in args.ways.split(",") if way != "litellm" or args.litellm_python]
    if len(ways) < len(args.ways.split(",")):
        print("litellm is left out: give --litellm_python, the Python of an environment that has it.\n")
    figures: dict[tuple[str, int], list[dict[str, float]]] = {}
    with start_stub_server(latency_s=0.0, tokens=TOKENS, core=SERVER_CORE) as unhurried:
        capacity = one("raw", unhurried.url, 64, args.seconds, sys.executable)["per_s"]
    with start_stub_server(latency_s=LATENCY_S, tokens=TOKENS, core=SERVER_CORE) as server:
        for _ in range(args.repetitions):
            for level in levels:
                for way in ways:
                    python = args.litellm_python if way == "litellm" else sys.executable
                    figures.setdefault((way, level), []).append(one(way, server.url, level, args.seconds, python))
    print(report(figures, ways, levels, args.repetitions, capacity))


def one(way: str, url: str, level: int, seconds: float, python: str) -> dict[str, float]:
    """Return one measurement, made in a new process on the client's core."""
    calls = max(level * 4, int(seconds * min(level / LATENCY_S, EXPECTED[way])))
    work = json.dumps({"way": way, "url": url, "level": level, "calls": calls})
    command = [python, str(Path(__file__).resolve()), "--work", work]
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode:
        raise SystemExit(f"{way} at {level}: {run.stderr[-2000:]}")
    figures: dict[str, float] = json.loads(run.stdout.splitlines()[-1])
    return figures


def measured(way: str, url: str, level: int, calls: int) -> dict[str, float]:
    """Make `calls` calls, `level` at a time, and return calls per second and CPU milliseconds per call."""
    os.sched_setaffinity(0, {CLIENT_CORE})
    if way == "ours":
        return ours(url, level, calls)
    started, before = time.perf_counter(), cpu_s()
    if way.startswith("requests"):
        with_requests(url, min(level, THREADS), calls, keeps_connections=way == "requests+sessions")
    else:
        loops = {"aiohttp": with_aiohttp, "openai": with_openai, "litellm": with_litellm, "raw": with_sockets}
        asyncio.run(loops[way](url, level, calls))
    seconds = time.perf_counter() - started
    return {"per_s": calls / seconds, "cpu_ms": 1000.0 * (cpu_s() - before) / calls}


def cpu_s() -> float:
    """Return the CPU seconds of this process."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def question(number: int) -> str:
    """Return one of the instructions, as long as a short one is."""
    return (
        f"Question {number}: a train leaves at 8:15 and arrives at 17:42 the same day. How many minutes does it take?"
    )


def ours(url: str, level: int, calls: int) -> dict[str, float]:
    """Build a dataset of `calls` instructions and one expert; the query phase is measured apart."""
    from dataset_build import BuildConfig, build_dataset, read_dataset_json
    from dataset_build.src import building

    phase: dict[str, float] = {}
    run = building._run

    def timed(work: Coroutine[Any, Any, None]) -> None:
        started, before = time.perf_counter(), cpu_s()
        run(work)
        phase["seconds"], phase["cpu_s"] = time.perf_counter() - started, cpu_s() - before

    building._run = timed
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "questions.jsonl")
        with source.open("w") as file:
            for number in range(calls):
                file.write(json.dumps({"instruction": question(number), "reference": "42"}) + "\n")
        expert = {
            "provider": "openai_compatible",
            "name": "stub",
            "base_url": url,
            "model": "stub",
            "price": {"prompt_per_million": 1.0, "completion_per_million": 2.0},
        }
        started, before = time.perf_counter(), cpu_s()
        config = BuildConfig.model_validate(
            {
                "sources": [{"source": "file", "path": str(source)}],
                "experts": [expert],
                "output": folder + "/dataset",
                "max_iter": calls,
                "concurrency": level,
            }
        )
        output = build_dataset(config)
        seconds, cpu = time.perf_counter() - started, cpu_s() - before
        assert read_dataset_json(output)["counts"]["answered"] == calls
    return {
        "per_s": calls / phase["seconds"],
        "cpu_ms": 1000.0 * phase["cpu_s"] / calls,
        "build_per_s": calls / seconds,
        "build_cpu_ms": 1000.0 * cpu / calls,
    }


def body(number: int) -> dict[str, Any]:
    """Return the request all ways send."""
    message = {"role": "user", "content": question(number)}
    return {"model": "stub", "messages": [message], "temperature": 0.0, "max_tokens": 1024}


async def in_parallel(numbers: Iterator[int], level: int, ask: Callable[[int], Awaitable[object]]) -> None:
    """Ask everything, `level` at a time."""

    async def worker() -> None:
        for number in numbers:
            assert await ask(number)

    await asyncio.gather(*(worker() for _ in range(level)))


async def with_aiohttp(url: str, level: int, calls: int) -> None:
    """Ask by a bare aiohttp loop."""
    import aiohttp

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def ask(number: int) -> object:
            async with session.post(f"{url}/chat/completions", json=body(number)) as response:
                return (await response.json())["choices"][0]["message"]["content"]

        await in_parallel(iter(range(calls)), level, ask)


async def with_openai(url: str, level: int, calls: int) -> None:
    """Ask by the openai SDK."""
    from openai import AsyncOpenAI

    async with AsyncOpenAI(base_url=url, api_key="none", max_retries=3) as client:

        async def ask(number: int) -> object:
            reply = await client.chat.completions.create(**body(number))
            return reply.choices[0].message.content

        await in_parallel(iter(range(calls)), level, ask)


async def with_litellm(url: str, level: int, calls: int) -> None:
    """Ask by litellm."""
    import litellm  # type: ignore[import-not-found]

    litellm.suppress_debug_info = True

    async def ask(number: int) -> object:
        request = {**body(number), "model": "openai/stub"}
        reply = await litellm.acompletion(api_base=url, api_key="none", num_retries=3, **request)
        return reply.choices[0].message.content

    await in_parallel(iter(range(calls)), level, ask)


async def with_sockets(url: str, level: int, calls: int) -> None:
    """Ask with nothing but a socket: what server and machine can do at most."""
    host, port = url.removeprefix("http://").removesuffix("/v1").split(":")
    left = iter(range(calls))
    payload = json.dumps(body(0)).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: stub\r\nContent-Length: {len(payload)}\r\n\r\n"
    request = head.encode() + payload

    async def worker() -> None:
        reader, writer = await asyncio.open_connection(host, int(port))
        size = 0
        for _ in left:
            writer.write(request)
            if not size:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
                await reader.readexactly(length)
                size = len(head) + length
            else:
                await reader.readexactly(size)
        writer.close()

    await asyncio.gather(*(worker() for _ in range(level)))


def with_requests(url: str, level: int, calls: int, *, keeps_connections: bool) -> None:
    """Ask by requests in a pool of threads: by `requests.post`, or with a session for each thread."""
    import threading
    from concurrent.futures import ThreadPoolExecutor

    import requests  # type: ignore[import-untyped]

    local = threading.local()

    def ask(number: int) -> None:
        if keeps_connections and not hasattr(local, "session"):
            local.session = requests.Session()
        post = local.session.post if keeps_connections else requests.post
        reply = post(f"{url}/chat/completions", json=body(number), timeout=60)
        assert reply.json()["choices"][0]["message"]["content"]

    with ThreadPoolExecutor(level) as pool:
        list(pool.map(ask, range(calls)))


def report(
    figures: dict[tuple[str, int], list[dict[str, float]]],
    ways: list[str],
    levels: list[int],
    repetitions: int,
    capacity: float,
) -> str:
    """Return the table."""
    lines = [
        f"Server: {LATENCY_S * 1000:g} ms, {TOKENS}-token answers, core {SERVER_CORE} of {os.cpu_count()}; client "
        f"on core {CLIENT_CORE}; median of {repetitions} alternating repetitions. By bare sockets and without latency "
        f"the server answers {capacity:,.0f}/s. Load {os.getloadavg()[0]:.1f}. Threads of requests: {THREADS}.",
        "",
        "| in flight | way | requests/s | CPU ms per request | of what 50 ms allow | of bare aiohttp | range |",
        "|---:|---|---:|---:|---:|---:|---|",
    ]
    for level in levels:
        bare = median(figures.get(("aiohttp", level), []), "per_s")
        for way in ways:
            runs = figures[way, level]
            for prefix in ("", "build_") if way == "ours" else ("",):
                rate, rates = median(runs, f"{prefix}per_s"), [run[f"{prefix}per_s"] for run in runs]
                share = rate * LATENCY_S / level
                name = {"": way, "build_": "ours, the whole build"}[prefix]
                beside = f"{rate / bare:.2f}" if bare else "–"
                lines.append(
                    f"| {level} | {name} | {rate:,.0f} | {median(runs, f'{prefix}cpu_ms'):.2f} | {share:.2f} | "
                    f"{beside} | {min(rates):,.0f} to {max(rates):,.0f} |"
                )
    return "\n".join(lines)


def median(runs: list[dict[str, float]], name: str) -> float:
    """Return the median of a figure; 0 where there is none."""
    return statistics.median(run[name] for run in runs) if runs else 0.0


if __name__ == "__main__":
    main()
