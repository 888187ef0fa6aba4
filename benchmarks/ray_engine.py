"""The Ray engine beside the local one: the same build against the same stub server, in one run.

    python benchmarks/ray_engine.py [--instructions 2000,20000] [--concurrency 64,256] [--workers 2]

The stub answers with 512 tokens after 50 ms. Seconds are those of the whole command, reading, scoring and writing
included; calls/s are those between the first and the last request. CPU is in milliseconds per call, without what was
used before the first one: of the driver while calls are made (it writes the journal), of the coordinator, of the
workers together, and of the driver afterwards (it scores and writes the dataset). Memory is that of all processes of
the build, each shared page once (proportional set size, Linux), before the first call and at its highest.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.stub_server import answer_text, start_stub_server

LATENCY_S, TOKENS = 0.05, 512
ROLES = ("driver", "coordinator", "workers")
PARTS = {"coordinator": "ray::Coordinator", "workers": "ray::MapWorker"}
ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Run every build and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--instructions", default="2000,20000")
    parser.add_argument("--concurrency", default="64,256")
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    print("| engine | instructions | in flight | seconds | until the first call | calls/s", end="")
    print(" | CPU driver | coordinator | workers | driver, after | memory before, MB | highest | hash |")
    print("|---|" + "---:|" * 11 + "---|")
    with start_stub_server(latency_s=LATENCY_S, tokens=TOKENS) as server:
        for count in map(int, args.instructions.split(",")):
            for concurrency in map(int, args.concurrency.split(",")):
                for engine in ("local", "ray"):
                    row = measured(server.url, server.requests, engine, count, concurrency, args.workers)
                    print(f"| {engine} | {count:,} | {concurrency} | {' | '.join(row)} |", flush=True)


def measured(
    url: str, requests: Callable[[], int], engine: str, count: int, concurrency: int, workers: int
) -> list[str]:
    """Return the figures of one build."""
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
        watched = _Watched(process)
        watched.start()
        first = last = 0.0
        made = 0
        while process.poll() is None:
            now = requests() - before
            if now and not first:
                first = time.perf_counter() - started
                watched.begin()
            if now > made:
                made, last = now, time.perf_counter() - started
                watched.take_note()
            time.sleep(0.05)
        seconds = time.perf_counter() - started
        watched.join()
        assert process.returncode == 0
        facts = json.loads(Path(folder, "out", "dataset.json").read_text())
    rate = made / max(1e-9, last - first)
    cpu = [f"{1000 * used / made:.2f}" for used in watched.used()]
    memory = [f"{watched.before / 2**20:,.0f}", f"{watched.peak / 2**20:,.0f}"]
    return [f"{seconds:.1f}", f"{first:.1f}", f"{rate:,.0f}", *cpu, *memory, facts["content_hash"][:8]]


class _Watched(threading.Thread):
    """Keeps the memory of a process and its descendants, and the CPU time of each, until it ends."""

    def __init__(self, process: psutil.Process) -> None:
        super().__init__(daemon=True)
        self._process = process
        self._cpu: dict[tuple[str, int], float] = {}
        self._cpu_before: dict[tuple[str, int], float] = {}
        self._cpu_asked: dict[tuple[str, int], float] = {}
        self.peak = self.before = 0

    def begin(self) -> None:
        """Take note that the first call was made."""
        self._cpu_before, self.before = dict(self._cpu), self.peak

    def take_note(self) -> None:
        """Take note that a further call was made."""
        self._cpu_asked = dict(self._cpu)

    def used(self) -> list[float]:
        """Return the CPU seconds of each role from the first to the last call, and of the driver after that."""
        asking = [_total(self._cpu_asked, role) - _total(self._cpu_before, role) for role in ROLES]
        return [*asking, _total(self._cpu, "driver") - _total(self._cpu_asked, "driver")]

    def run(self) -> None:
        while self._process.is_running() and self._process.status() != psutil.STATUS_ZOMBIE:
            total = 0
            with suppress(psutil.Error):
                for one in [self._process, *self._process.children(recursive=True)]:
                    total += one.memory_full_info().pss
                    times = one.cpu_times()
                    self._cpu[self._role(one), one.pid] = times.user + times.system
                self.peak = max(self.peak, total)
            time.sleep(0.25)

    def _role(self, one: psutil.Process) -> str:
        if one.pid == self._process.pid:
            return "driver"
        name = " ".join(one.cmdline())
        return next((role for role, start in PARTS.items() if name.startswith(start)), "other")


def _total(cpu: dict[tuple[str, int], float], role: str) -> float:
    return sum(seconds for (one, _), seconds in cpu.items() if one == role)


if __name__ == "__main__":
    main()
