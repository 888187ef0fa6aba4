"""Resident memory of `moe serve` after so many requests: it must stay.

    python benchmarks/serve_memory.py [--requests 20000,200000] [--connections 32] [--most_mb 30] [--idle 10000]

Half of the requests are streamed, and all are different. Prints the
memory (PSS of the process and its children) after each number of requests, a few seconds later, when what waits for
the database is written. With `--idle`, so many further connections are opened first, of which each sends half a
request and then nothing. Exits with 1 where the last exceeds the first by more than `--most_mb`.
"""

import argparse
import os
import resource
import socket
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.serving.load import Load, send
from benchmarks.serving.router_folder import make_router_folder
from benchmarks.serving.servers import start_moe
from benchmarks.serving.upstream import start_upstream

LOAD_CORE, SERVER_CORE = 0, 1
#: Seconds between the last answer and the reading.
SETTLE_S = 3.0


def main() -> int:
    """Send, read, print; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", default="20000,200000")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--most_mb", type=float, default=30.0)
    parser.add_argument("--idle", type=int, default=0, help="further connections that only take a place")
    args = parser.parse_args()
    if args.idle:
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # the server inherits it
    counts = [int(number) for number in args.requests.split(",")]
    cores = (LOAD_CORE, SERVER_CORE) if (os.cpu_count() or 1) > 1 else (None, None)
    with tempfile.TemporaryDirectory() as folder, start_upstream(core=cores[0]) as upstream:
        router = make_router_folder(Path(folder, "router"), {"small": upstream.url, "large": upstream.url})
        with start_moe(router, Path(folder), core=cores[1]) as server:
            server.wait_until_ready("/readyz")
            print("| requests | resident MB | requests/s | errors |\n|---:|---:|---:|---:|")
            print(f"| 0 | {server.pss_mb():.1f} | | |", flush=True)
            idle = [held(server.url) for _ in range(args.idle)]
            if idle:
                print(f"| 0, and {len(idle):,} idle connections | {server.pss_mb():.1f} | | |", flush=True)
            sizes, done = [], 0
            for wanted in counts:
                started, errors = time.perf_counter(), 0
                sent_before = done
                for stream in (False, True):
                    share = (wanted - sent_before) // 2
                    load = Load(
                        url=server.url,
                        model=server.model,
                        key=server.key,
                        connections=args.connections,
                        stream=stream,
                        requests=share,
                        core=cores[0],
                    )
                    figures = send(load)
                    done += figures.requests
                    errors += sum(figures.errors.values())
                seconds = time.perf_counter() - started
                time.sleep(SETTLE_S)
                sizes.append(server.pss_mb())
                rate = (done - sent_before) / seconds
                print(f"| {done:,} | {sizes[-1]:.1f} | {rate:,.0f} | {errors} |", flush=True)
            for connection in idle:
                connection.close()
    grown = sizes[-1] - sizes[0]
    print(f"\nGrown by {grown:.1f} MB from {counts[0]:,} to {counts[-1]:,} requests (at most {args.most_mb:g}).")
    return 1 if grown > args.most_mb else 0


def held(url: str) -> socket.socket:
    """Return a connection that has sent half of a request."""
    host, port = url.split("//")[1].split("/")[0].split(":")
    wire = socket.create_connection((host, int(port)))
    wire.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n")
    return wire


if __name__ == "__main__":
    sys.exit(main())
