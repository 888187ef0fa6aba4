"""The Ray engine beside the local one: the same build against the same stub server, in one run; memory and start-up.

    python benchmarks/ray_engine.py [--instructions 2000,20000] [--concurrency 64,256] [--workers 2]

The stub answers with 512 tokens after 50 ms. Seconds are those of the whole command, reading, scoring and writing
included; calls/s are those between the first and the last response. Memory is that of all processes of the build
together, each shared page once (proportional set size, Linux), at its highest.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.stub_server import answer_text, start_stub_server

LATENCY_S, TOKENS = 0.05, 512
ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Run every build and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--instructions", default="2000,20000")
    parser.add_argument("--concurrency", default="64,256")
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    print(
        "| engine | instructions | in flight at most | seconds | until the first call | calls/s | memory, MB | hash |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|---|")
    with start_stub_server(latency_s=LATENCY_S, tokens=TOKENS) as server:
        for count in map(int, args.instructions.split(",")):
            for concurrency in map(int, args.concurrency.split(",")):
                for engine in ("local", "ray"):
                    row = measured(server.url, server.requests, engine, count, concurrency, args.workers)
                    print(f"| {engine} | {count:,} | {concurrency} | {' | '.join(row)} |", flush=True)


def measured(url: str, requests: object, engine: str, count: int, concurrency: int, workers: int) -> list[str]:
    """Return the figures of one build."""
    assert callable(requests)
    with tempfile.TemporaryDirectory() as folder:
        expert = {"provider": "openai_compatible", "name": "stub", "base_url": url, "model": "stub"}
        Path(folder, "experts.yaml").write_text(json.dumps([{**expert, "concurrency": concurrency}]))
        reference = answer_text(TOKENS)
        lines = (json.dumps({"instruction": f"question {n}", "reference": reference}) for n in range(count))
        Path(folder, "questions.jsonl").write_text("\n".join(lines))
        command = [sys.executable, str(ROOT / "dataset_build/src/builder.py"), "--quiet", "--engine", engine]
        command += ["--sources", "questions.jsonl", "--experts", "experts.yaml", "--output", "out"]
        command += ["--workers", str(workers), "--max_iter", str(count)]
        before, started = requests(), time.perf_counter()
        process = psutil.Popen(command, cwd=folder, stderr=subprocess.DEVNULL)
        peak = [0]
        watcher = threading.Thread(target=_watch, args=(process, peak))
        watcher.start()
        first = last = 0.0
        made = 0
        while process.poll() is None:
            now = requests() - before
            if now and not first:
                first = time.perf_counter() - started
            if now > made:
                made, last = now, time.perf_counter() - started
            time.sleep(0.05)
        seconds = time.perf_counter() - started
        watcher.join()
        assert process.returncode == 0
        facts = json.loads(Path(folder, "out", "dataset.json").read_text())
    rate = made / max(1e-9, last - first)
    memory = peak[0] / 2**20
    return [f"{seconds:.1f}", f"{first:.1f}", f"{rate:,.0f}", f"{memory:,.0f}", facts["content_hash"][:8]]


def _watch(process: psutil.Process, peak: list[int]) -> None:
    """Keep the highest memory of a process and its descendants, until it ends."""
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        total = 0
        try:
            for one in [process, *process.children(recursive=True)]:
                total += one.memory_full_info().pss
        except psutil.Error:
            continue
        peak[0] = max(peak[0], total)
        time.sleep(0.5)


if __name__ == "__main__":
    main()
