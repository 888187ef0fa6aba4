"""What stands between a client and its models, and what it costs: us beside LiteLLM's proxy and RouteLLM's server.

    python benchmarks/serve.py [--litellm_python PATH] [--routellm_python PATH] [--latencies 0,0.05]
        [--connections 1,32,256] [--repetitions 3] [--seconds 5] [--json F]

Every server has core 1, alone among those that work at the time; the upstream stub and the sender of the load share
core 0. The upstream answers after 0 or 50 ms, in eight pieces where a stream was asked for. `moe serve` routes by a
linear router on the static encoder between two experts, wants a key, and writes every decision to its database;
LiteLLM's proxy shuffles between two deployments and wants a key; RouteLLM's server has its random router (the trained
ones need models of a hub). All run one worker. The ways take turns within each repetition; medians are shown. Added
latency is that of the way less that of the stub alone at the same number of connections.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.serving.load import Figures, Load, send
from benchmarks.serving.router_folder import make_router_folder
from benchmarks.serving.servers import RunningServer, start_litellm, start_moe, start_routellm
from benchmarks.serving.upstream import Upstream, start_upstream

LOAD_CORE, SERVER_CORE = 0, 1
STRAIGHT, OURS, LITELLM, ROUTELLM = "straight to the stub", "moe serve", "LiteLLM proxy", "RouteLLM server"
#: What the issue asks of the static encoder at 32 connections and 50 ms.
MOST_ADDED_P50_MS, MOST_ADDED_P99_MS, LEAST_RATIO = 3.0, 15.0, 2.0

#: (latency in s, connections, whether streamed).
Case = tuple[float, int, bool]
Measured = dict[tuple[Case, str], list[dict[str, Any]]]


def main() -> int:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--litellm_python", help="the Python of an environment with litellm[proxy]")
    parser.add_argument("--routellm_python", help="the Python of an environment with routellm[serve]")
    parser.add_argument("--latencies", default="0,0.05", help="of the upstream, in seconds")
    parser.add_argument("--connections", default="1,32,256")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0, help="of one measurement, after a second to warm up")
    parser.add_argument("--warm_s", type=float, default=1.0)
    parser.add_argument("--kinds", default="whole,streamed")
    parser.add_argument("--json", type=Path, help="write every single measurement here")
    args = parser.parse_args()
    cases = [
        (float(latency), int(connections), kind == "streamed")
        for latency in args.latencies.split(",")
        for kind in args.kinds.split(",")
        for connections in args.connections.split(",")
    ]
    core = LOAD_CORE if (os.cpu_count() or 1) > 1 else None
    with ExitStack() as running, tempfile.TemporaryDirectory() as folder:
        upstream = running.enter_context(start_upstream(core=core))
        servers = start_all(running, upstream, Path(folder), args.litellm_python, args.routellm_python)
        measured = measure(upstream, servers, cases, args.repetitions, args.seconds, args.warm_s)
        memory = {name: server.pss_mb() for name, server in servers.items()}
    if args.json is not None:
        rows = [{"case": case, "way": way, **run} for (case, way), runs in measured.items() for run in runs]
        args.json.write_text(json.dumps(rows, indent=1))
    print(report(measured, cases, args.repetitions, args.seconds))
    print("\nResident memory after all of it (PSS of the process and its children): " + said(memory))
    print("\n" + verdict(measured))
    return 0


def start_all(
    running: ExitStack, upstream: Upstream, work: Path, litellm_python: str | None, routellm_python: str | None
) -> dict[str, RunningServer]:
    """Start what there is to compare, and say what is left out."""
    core = SERVER_CORE if (os.cpu_count() or 1) > 1 else None
    router = make_router_folder(work / "router", {"small": upstream.url, "large": upstream.url})
    ours = running.enter_context(start_moe(router, work, core=core))
    ours.wait_until_ready("/readyz")
    servers = {OURS: ours}
    if litellm_python:
        servers[LITELLM] = running.enter_context(start_litellm(litellm_python, upstream.url, work, core=core))
    if routellm_python:
        servers[ROUTELLM] = running.enter_context(start_routellm(routellm_python, upstream.url, work, core=core))
    left_out = [name for name in (LITELLM, ROUTELLM) if name not in servers]
    if left_out:
        print(f"Left out: {' and '.join(left_out)}; give --litellm_python and --routellm_python.\n")
    idle = {name: server.pss_mb() for name, server in servers.items()}
    print(f"Resident memory before the first request (PSS of the process and its children): {said(idle)}\n")
    return servers


def measure(
    upstream: Upstream,
    servers: Mapping[str, RunningServer],
    cases: Sequence[Case],
    repetitions: int,
    seconds: float,
    warm_s: float,
) -> Measured:
    """Return every measurement; the ways take turns, and every second repetition in the opposite order."""
    measured: Measured = {}
    ways = [STRAIGHT, *servers]
    for repetition in range(repetitions):
        for case in cases:
            latency_s, connections, stream = case
            upstream.change(latency_s=latency_s)
            for way in ways if repetition % 2 == 0 else reversed(ways):
                server = servers.get(way)
                load = Load(
                    url=server.url if server else upstream.url,
                    model=server.model if server else "small",
                    key=server.key if server else "",
                    connections=connections,
                    stream=stream,
                    seconds=seconds,
                    warm_s=warm_s,
                    core=LOAD_CORE if (os.cpu_count() or 1) > 1 else None,
                )
                before = server.cpu_s() if server else 0.0
                figures: Figures = send(load)
                used = server.cpu_s() - before if server else 0.0
                run = {**asdict(figures), "server_cpu_ms": 1000.0 * used / max(1, figures.requests)}
                measured.setdefault((case, way), []).append(run)
    return measured


def median(runs: Sequence[Mapping[str, Any]], name: str) -> float:
    """Return the median of a figure."""
    return float(statistics.median(run[name] for run in runs))


def report(measured: Measured, cases: Sequence[Case], repetitions: int, seconds: float) -> str:
    """Return the table."""
    lines = [
        f"Server on core {SERVER_CORE}, upstream and sender on core {LOAD_CORE} of {os.cpu_count()}; median of "
        f"{repetitions} alternating repetitions of {seconds:g} s. Load of the machine {os.getloadavg()[0]:.1f}.",
        "",
        "| upstream | answers | connections | way | requests/s | p50 ms | p95 ms | p99 ms | added p50 | added p99 | "
        "first byte p50 | CPU ms per request | errors |",
        "|---:|---|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for case in cases:
        bare = measured[case, STRAIGHT]
        for way in (way for kind, way in measured if kind == case):
            runs = measured[case, way]
            added = [f"{median(runs, p) - median(bare, p):.1f}" if way != STRAIGHT else "" for p in ("p50", "p99")]
            cpu = f"{median(runs, 'server_cpu_ms'):.2f}" if way != STRAIGHT else ""
            figures = " | ".join(f"{median(runs, p):.1f}" for p in ("p50", "p95", "p99"))
            errors = sum(sum(run["errors"].values()) for run in runs)
            lines.append(
                f"| {1000 * case[0]:g} ms | {'streamed' if case[2] else 'whole'} | {case[1]} | {way} | "
                f"{median(runs, 'per_s'):,.0f} | {figures} | {added[0]} | {added[1]} | "
                f"{median(runs, 'first_p50'):.1f} | {cpu} | {errors} |"
            )
    return "\n".join(lines)


def verdict(measured: Measured) -> str:
    """Return what was asked for beside what was measured."""
    lines = []
    for kind, stream in (("whole", False), ("streamed", True)):
        case: Case = (0.05, 32, stream)
        if (case, OURS) in measured:
            p50, p99 = (median(measured[case, OURS], p) - median(measured[case, STRAIGHT], p) for p in ("p50", "p99"))
            holds = p50 <= MOST_ADDED_P50_MS and p99 <= MOST_ADDED_P99_MS
            lines.append(
                f"Added at 32 connections and 50 ms, {kind}: p50 {p50:.1f} ms (at most {MOST_ADDED_P50_MS:g}), p99 "
                f"{p99:.1f} ms (at most {MOST_ADDED_P99_MS:g}): {'holds' if holds else 'MISSED'}."
            )
    for case in dict.fromkeys(case for case, _ in measured):
        if (case, LITELLM) in measured and case[1] > 1 and case[0] == 0.0:
            ours, theirs = (median(measured[case, way], "per_s") for way in (OURS, LITELLM))
            holds = ours >= LEAST_RATIO * theirs
            times = f"{ours / theirs:.1f} × LiteLLM's" if theirs else "LiteLLM's proxy answered none in time"
            lines.append(
                f"Throughput at {case[1]} connections, {'streamed' if case[2] else 'whole'}: {times} "
                f"(at least {LEAST_RATIO:g} ×): {'holds' if holds else 'MISSED'}."
            )
    return "\n".join(lines) or "No case that a target is stated for was measured."


def said(megabytes: Mapping[str, float]) -> str:
    """Return sizes by name."""
    return ", ".join(f"{name} {size:,.0f} MB" for name, size in megabytes.items())


if __name__ == "__main__":
    sys.exit(main())
