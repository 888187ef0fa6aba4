"""Closed-loop load: so many connections, each sending its next request when its last is answered.

Run as a process of its own, so that it can have a core of its own: `python -m benchmarks.serving.load JSON`.
"""

import asyncio
import json
import math
import os
import resource
import subprocess
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.serving.connection import WHOLE, Connection, Target

#: How an instruction reads; about sixty tokens.
INSTRUCTION = (
    "Number {number}: Maria buys {a} pencils at 37 cents each and {b} notebooks at 4.40 dollars, pays with a 100 "
    "dollar bill, and gives half of the change to Ahmed. How much money is left, and what share of all that was paid "
    "was spent on the first of the two?"
)


@dataclass(frozen=True)
class Load:
    """What to send.

    Attributes:
        url: Up to the version: `http://127.0.0.1:8080/v1`.
        model: What the requests ask for.
        connections: How many send at the same time.
        stream: Whether answers are asked for as streams.
        seconds: How long to measure; ignored where `requests` says how many.
        requests: How many to send; 0 means for `seconds`.
        warm_s: Seconds before measuring begins.
        key: A bearer key, or "".
        core: Which core to run on; None means any.
        headers: Further headers.
    """

    url: str
    model: str
    connections: int = 1
    stream: bool = False
    seconds: float = 4.0
    requests: int = 0
    warm_s: float = 1.0
    key: str = ""
    core: int | None = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Figures:
    """What came of it; milliseconds.

    Attributes:
        per_s: Answered requests per second.
        p50: Of the time from sending until the whole answer is there; NaN where none came. So p95, p99.
        p95: 95 % took at most this.
        p99: 99 % took at most this.
        first_p50: Of the time until the first byte of the body.
        first_p99: 99 % of it.
        requests: All that were sent, those while warming up included.
        measured: Those that were measured and answered.
        errors: What went wrong -> how often.
        cpu_ms: Of the sender, per request.
    """

    per_s: float
    p50: float
    p95: float
    p99: float
    first_p50: float
    first_p99: float
    requests: int
    measured: int
    errors: dict[str, int]
    cpu_ms: float


def send(load: Load) -> Figures:
    """Send the load from a process of its own, and return what came of it."""
    command = [sys.executable, str(Path(__file__).resolve()), json.dumps(asdict(load))]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode:
        raise SystemExit(f"The load on {load.url} failed: {run.stderr[-2000:]}")
    return Figures(**json.loads(run.stdout.splitlines()[-1]))


def chat_body(number: int, model: str, *, stream: bool) -> bytes:
    """Return the body of a chat request."""
    text = INSTRUCTION.format(number=number, a=number % 83 + 2, b=number % 41 + 2)
    request: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": text}], "max_tokens": 256}
    return json.dumps({**request, "stream": True} if stream else request).encode()


def is_good(body: bytes, *, stream: bool) -> bool:
    """Whether it is the answer of an expert."""
    return b"data: [DONE]" in body[-32:] if stream else b'"choices"' in body and b'"error"' not in body[:200]


async def run(load: Load) -> Figures:
    """Send the load on this loop."""
    target = Target(load.url, load.key, load.headers)
    times: list[tuple[float, float]] = []
    errors: Counter[str] = Counter()
    numbers = count()
    sent = 0
    begun = time.perf_counter()
    from_s, until_s = begun + load.warm_s, begun + load.warm_s + load.seconds

    async def sender() -> None:
        nonlocal sent
        connection: Connection | None = None
        while sent < load.requests if load.requests else time.perf_counter() < until_s:
            if connection is None or not connection.is_open:
                try:
                    connection = await Connection.open(target.host, target.port)
                except OSError:
                    errors["refused"] += 1
                    await asyncio.sleep(0.05)
                    continue
            started = time.perf_counter()
            sent += 1
            request = target.post("/chat/completions", chat_body(next(numbers), load.model, stream=load.stream))
            reply = await connection.ask(request)
            if reply.end != WHOLE:
                errors[reply.end] += 1
            elif reply.status != 200 or not is_good(reply.body, stream=load.stream):
                errors[f"status {reply.status}"] += 1
            elif load.requests or (started >= from_s and time.perf_counter() <= until_s):
                times.append((reply.seconds, reply.first_s))
        if connection is not None:
            connection.close()

    await asyncio.gather(*(sender() for _ in range(load.connections)))
    usage = resource.getrusage(resource.RUSAGE_SELF)
    seconds = time.perf_counter() - begun if load.requests else load.seconds
    whole, first = (sorted(1000.0 * pair[part] for pair in times) for part in (0, 1))
    return Figures(
        per_s=len(times) / seconds,
        p50=quantile(whole, 0.5),
        p95=quantile(whole, 0.95),
        p99=quantile(whole, 0.99),
        first_p50=quantile(first, 0.5),
        first_p99=quantile(first, 0.99),
        requests=sent,
        measured=len(times),
        errors=dict(errors),
        cpu_ms=1000.0 * (usage.ru_utime + usage.ru_stime) / max(1, sent),
    )


def quantile(ordered: list[float], share: float) -> float:
    """Return the smallest of the ordered values that `share` of them do not exceed; NaN where there is none."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan


def _main() -> None:
    load = Load(**json.loads(sys.argv[1]))
    if load.core is not None:
        os.sched_setaffinity(0, {load.core})
    print(json.dumps(asdict(asyncio.run(run(load)))))


if __name__ == "__main__":
    _main()
