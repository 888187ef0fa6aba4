"""Requests through `moe serve` while everything behind it fails: how each ends, and whether it is remembered.

    python benchmarks/serve_faults.py [--requests 50000] [--connections 64] [--database postgres|sqlite]
        [--workers 1] [--seed 0]

Three experts, each a process of its own, are one after the other slowed beyond the deadline of a try, made to send
garbage, made to stop in the middle of an answer (each with two requests in five), and killed; in between the router
folder is replaced by another router, and the database goes away and returns. All the while requests come, half of them
for streams, each with a tag of its own that the expert repeats in every word. At the end the server is asked to stop
(SIGTERM) while requests run. Exits with 1 where a request took longer than its deadline, got a word of another's
answer, was called whole and was not, or ended with an id that is not in the database afterwards.
"""

import argparse
import asyncio
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.serving.connection import LOST, Connection, Reply, Target
from benchmarks.serving.faults import Course, Fault, expert_faults
from benchmarks.serving.judging import ANSWERED, RESUMED, Outcomes
from benchmarks.serving.router_folder import KINDS, make_router_folder
from benchmarks.serving.servers import RunningServer, start_moe
from benchmarks.serving.upstream import start_upstream

EXPERTS = ("small", "middle", "large")
PIECES = 8
#: Seconds: of one try, of a whole request, and what a busy machine may add before a request counts as hanging.
TRY_S, REQUEST_S, SLACK_S = 1.0, 4.0, 2.0
#: Seconds an expert takes; and one that is slow, which is beyond the deadline of a try.
LATENCY_S, SLOW_S = 0.01, 3.0
#: Seconds between the events of a stream.
GAP_S = 0.002


def main() -> int:
    """Send, break, compare, print; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=50_000)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--database", choices=("postgres", "sqlite"), default="postgres")
    parser.add_argument("--workers", type=int, default=1, help="processes of the server")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    started = time.perf_counter()
    with ExitStack() as running, tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        experts = {name: running.enter_context(start_upstream(latency_s=LATENCY_S, pieces=PIECES)) for name in EXPERTS}
        for expert in experts.values():
            expert.change(slow_s=SLOW_S, gap_s=GAP_S)
        urls = {name: expert.url for name, expert in experts.items()}
        router = make_router_folder(work / "router", urls, seed=args.seed)
        other = make_router_folder(work / "other", urls, seed=args.seed + 1)
        small, middle, large = (expert_faults(name, expert) for name, expert in experts.items())
        replaced = Fault("router replaced", lambda: replace_router(other, router), lambda: None)
        faults = [*small, replaced, *middle]
        store = None
        if args.database == "postgres":
            from tests.postgres_server import start_postgres

            database = running.enter_context(start_postgres())
            store = database.new_database()
            faults.append(Fault("database away", database.stop, database.start))
        faults += large
        limits = ["--timeout_s", f"{TRY_S}", "--request_timeout_s", f"{REQUEST_S}", "--workers", f"{args.workers}"]
        server = running.enter_context(start_moe(router, work, store=store, options=limits))
        server.wait_until_ready("/readyz")
        outcomes, code = asyncio.run(send(server, faults, args.requests, args.connections, args.seed))
        seconds = time.perf_counter() - started
        remembered = compare(outcomes, store or f"sqlite:///{work / 'decisions.db'}")
        if code != 0:
            outcomes.wrong.append(f"the server ended with {code}: {server.log.read_text(errors='replace')[-1000:]}")
    print(report(outcomes, remembered, args.requests, args.connections, seconds))
    return 1 if outcomes.wrong else 0


def replace_router(by: Path, folder: Path) -> None:
    """Put another router in the place of the one that is served, as `moe train --overwrite` does."""
    from mixture_training.src.artifacts import Router

    Router.load(by).save(folder, overwrite=True)


async def send(
    server: RunningServer, faults: list[Fault], requests: int, connections: int, seed: int
) -> tuple[Outcomes, int]:
    """Send the requests while the faults take their course, stop the server among the last; return its exit code."""
    target, outcomes, chance = Target(server.url, server.key), Outcomes(), random.Random(seed)
    course = Course(faults, requests - 2 * connections)
    sent, code = 0, -1
    is_stopping = asyncio.Event()

    async def sender() -> None:
        nonlocal sent
        connection: Connection | None = None
        while sent < requests:
            number, sent = sent, sent + 1
            course.sent(sent)
            tag, stream = f"{chance.getrandbits(64):016x}", number % 2 == 1
            phase = "server stopping" if is_stopping.is_set() else course.phase
            reply = Reply(LOST)
            try:
                if connection is None or not connection.is_open:
                    connection = await Connection.open(target.host, target.port)
                request = target.post("/chat/completions", body(number, server.model, tag, stream=stream))
                reply = await connection.ask(request, timeout_s=REQUEST_S + 2.0 * SLACK_S)
            except OSError:
                if not is_stopping.is_set():
                    outcomes.wrong.append(f"{tag}: no connection")
            outcomes.add(phase, tag, PIECES, reply, stream=stream, deadline_s=REQUEST_S + SLACK_S)
            if sent >= requests - connections:
                is_stopping.set()
        if connection is not None:
            connection.close()

    async def stop() -> None:
        nonlocal code
        await is_stopping.wait()
        code = await asyncio.to_thread(server.stop, 60.0)

    await asyncio.gather(course.run(), stop(), *(sender() for _ in range(connections)))
    return outcomes, code


def body(number: int, model: str, tag: str, *, stream: bool) -> bytes:
    """Return the body of a request: every kind of instruction in turn, so that every expert has some."""
    kind = list(KINDS.values())[number // 2 % len(KINDS)]
    text = f"{kind.format(a=number % 997, b=number % 1009)} <<{tag}>>"
    return json.dumps({"model": model, "messages": [{"role": "user", "content": text}], "stream": stream}).encode()


def compare(outcomes: Outcomes, store: str) -> Counter[str]:
    """Look every finished request up in the database; return what is there, by kind."""
    from mixture_training.src.feedback_store import FeedbackStore

    database = FeedbackStore(store)
    stored = {decision.id: decision for decision in database.decisions()}
    database.close()
    missing = outcomes.decisions.keys() - stored.keys()
    if missing:
        outcomes.wrong.append(f"{len(missing):,} finished requests are not in the database, {sorted(missing)[:3]}")
    mine = [stored[decision] for decision in outcomes.decisions if decision in stored]
    answered = [decision for decision in mine if decision.outcome == "answered"]
    return Counter(
        {
            "stored": len(stored),
            "finished and found": len(mine),
            "answered": len(answered),
            "by fallback": sum(decision.expert != decision.ranking[0] for decision in answered),
            "after more than one try": sum(len(decision.attempts) > 1 for decision in answered),
            "router versions": len({decision.router_version for decision in mine}),
        }
    )


def report(outcomes: Outcomes, remembered: Counter[str], requests: int, connections: int, seconds: float) -> str:
    """Return the tables."""
    total = outcomes.total()
    kinds = [kind for kind, _ in total.most_common()]
    lines = [
        f"{sum(total.values()):,} of {requests:,} requests over {connections} connections in {seconds:,.0f} s; a try "
        f"may take {TRY_S:g} s, a request {REQUEST_S:g} s; the slowest took {outcomes.slowest_s:.2f} s. Load of the "
        f"machine {os.getloadavg()[0]:.1f}.",
        "",
        f"| while | {' | '.join(kinds)} |",
        "|---|" + "---:|" * len(kinds),
    ]
    for phase, ends in (*outcomes.ends.items(), ("**in all**", total)):
        lines.append(f"| {phase} | " + " | ".join(f"{ends[kind]:,}" for kind in kinds) + " |")
    answered = max(1, remembered["answered"])
    served = total[ANSWERED] + total[RESUMED]
    lines += [
        "",
        f"Answered: {served / max(1, sum(total.values())):.2%}. In the database: {remembered['stored']:,} decisions, "
        f"{remembered['finished and found']:,} of {len(outcomes.decisions):,} finished requests, "
        f"{remembered['router versions']} router versions. Served by fallback: "
        f"{remembered['by fallback'] / answered:.1%} of what was answered; after more than one try "
        f"{remembered['after more than one try'] / answered:.1%}.",
        "",
    ]
    if outcomes.wrong:
        lines += [f"{len(outcomes.wrong):,} things are WRONG:", *(f"- {what}" for what in outcomes.wrong[:20])]
    else:
        lines.append("No request hung, none got another's content, and no finished one is missing from the database.")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
