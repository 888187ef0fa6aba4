"""From a router folder to the first answer: how long a fresh `moe serve` takes, and how large it is then.

    python benchmarks/cold_start.py [--repetitions 5] [--python PATH] [--most_s 1.5] [--most_mb 300]

Every repetition starts a new process and asks `/v1/chat/completions` until it is answered, by an upstream without
latency; the time is that from starting the process to the last byte of the answer. Memory is the process's resident
set (RSS) and its share of it (PSS) then. Exits with 1 where the median time or memory misses its target, or where torch
was loaded.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped]

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.serving.connection import WHOLE, Connection, Target
from benchmarks.serving.load import chat_body
from benchmarks.serving.router_folder import make_router_folder
from benchmarks.serving.servers import RunningServer, start_moe
from benchmarks.serving.upstream import start_upstream

MOST_S, MOST_MB = 1.5, 300.0
#: Seconds after which a start has failed.
GIVE_UP_S = 60.0


@dataclass(frozen=True)
class Start:
    """One start: seconds to the first answer, then RSS and PSS in MB, and whether torch was loaded."""

    seconds: float
    rss_mb: float
    pss_mb: float
    has_torch: bool


def main() -> int:
    """Start, ask, print; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--python", default=sys.executable, help="whose `moe serve` is started")
    parser.add_argument("--most_s", type=float, default=MOST_S)
    parser.add_argument("--most_mb", type=float, default=MOST_MB)
    args = parser.parse_args()
    starts = []
    with tempfile.TemporaryDirectory() as folder, start_upstream() as upstream:
        router = make_router_folder(Path(folder, "router"), {"small": upstream.url, "large": upstream.url})
        for number in range(args.repetitions):
            work = Path(folder, str(number))
            work.mkdir()
            with start_moe(router, work, python=args.python) as server:
                starts.append(asyncio.run(first_answer(server)))
    print("| start | seconds to the first answer | RSS MB | PSS MB | torch loaded |\n|---:|---:|---:|---:|---|")
    for number, start in enumerate(starts, start=1):
        torch = "yes" if start.has_torch else "no"
        print(f"| {number} | {start.seconds:.2f} | {start.rss_mb:.0f} | {start.pss_mb:.0f} | {torch} |")
    seconds, size = (statistics.median(getattr(start, name) for start in starts) for name in ("seconds", "rss_mb"))
    print(
        f"\nMedian: {seconds:.2f} s to the first answer (at most {args.most_s:g}), {size:.0f} MB resident "
        f"(at most {args.most_mb:g})."
    )
    return 1 if seconds > args.most_s or size > args.most_mb or any(start.has_torch for start in starts) else 0


async def first_answer(server: RunningServer) -> Start:
    """Ask until there is an answer.

    Raises:
        SystemExit: there is none within a minute.
    """
    target = Target(server.url, server.key)
    request = target.post("/chat/completions", chat_body(1, server.model, stream=False))
    while time.perf_counter() - server.started < GIVE_UP_S and server.process.poll() is None:
        try:
            connection = await Connection.open(target.host, target.port)
        except OSError:
            await asyncio.sleep(0.005)
            continue
        reply = await connection.ask(request)
        seconds = time.perf_counter() - server.started
        connection.close()
        if reply.end == WHOLE and reply.status == 200:
            process = psutil.Process(server.process.pid)
            memory = process.memory_full_info()
            has_torch = any("/torch/" in region.path for region in process.memory_maps())
            return Start(seconds, memory.rss / 1e6, memory.pss / 1e6, has_torch)
        await asyncio.sleep(0.005)
    raise SystemExit(f"No answer: {server.log.read_text(errors='replace')[-3000:]}")


if __name__ == "__main__":
    sys.exit(main())
