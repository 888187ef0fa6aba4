"""Peak memory of a build by its number of instructions, each in a new process, against the stub server.

    python benchmarks/collect_memory.py [--instructions 10000,200000] [--experts 3] [--trace]

The stub answers with 512 tokens at once. Memory is the peak resident set of the build's process (Linux, `ru_maxrss`).
`--trace` prints where Python's part of it was allocated, which makes the build slower.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.stub_server import start_stub_server

TOKENS = 512


def main() -> None:
    """Run the builds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--instructions", default="10000,200000")
    parser.add_argument("--experts", type=int, default=3)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--trace", action="store_true")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.work is not None:
        print(json.dumps(measured(**json.loads(args.work))))
        return
    print(f"{args.experts} experts, {args.concurrency} calls in flight each, {TOKENS}-token answers\n")
    print("| instructions | seconds | peak, MB | after reading | after asking | journal, MB |")
    print("|---:|---:|---:|---:|---:|---:|")
    peaks = []
    with start_stub_server(latency_s=0.0, tokens=TOKENS) as server:
        for count in map(int, args.instructions.split(",")):
            facts = one(server.url, count, args)
            peaks.append(facts["peak_mb"])
            print(
                f"| {count:,} | {facts['seconds']:,.0f} | {facts['peak_mb']:,.0f} | {facts['read_mb']:,.0f} | "
                f"{facts['asked_mb']:,.0f} | {facts['journal_mb']:,.0f} |",
                flush=True,
            )
    print(f"\nLargest minus smallest: {max(peaks) - min(peaks):,.0f} MB.")


def one(url: str, count: int, args: argparse.Namespace) -> dict[str, float]:
    """Return one measurement, made in a new process."""
    work = {"url": url, "count": count, "experts": args.experts, "concurrency": args.concurrency, "trace": args.trace}
    command = [sys.executable, str(Path(__file__).resolve()), "--work", json.dumps(work)]
    run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    facts: dict[str, float] = json.loads(run.stdout.splitlines()[-1])
    return facts


def measured(url: str, count: int, experts: int, concurrency: int, trace: bool) -> dict[str, float]:
    """Build once; the peak is noted after reading, after asking and at the end."""
    from dataset_build import BuildConfig, build_dataset
    from dataset_build.src import building

    facts: dict[str, float] = {}
    ask, write = building._ask, building._write

    def asking(*arguments: object, **options: object) -> object:
        facts["read_mb"] = peak_mb()
        return ask(*arguments, **options)  # type: ignore[arg-type]

    def writing(config: BuildConfig, *arguments: object, **options: object) -> object:
        facts["asked_mb"] = peak_mb()
        facts["journal_mb"] = sum(path.stat().st_size for path in config.output.glob("journal*")) / 2**20
        try:
            return write(config, *arguments, **options)  # type: ignore[arg-type]
        finally:
            if trace:
                show_allocations()

    building._ask, building._write = asking, writing  # type: ignore[assignment]
    if trace:
        import tracemalloc

        tracemalloc.start(8)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "questions.jsonl")
        with source.open("w") as file:
            for number in range(count):
                text = f"Question {number}: what does the statement with this number say, and why is it so?"
                file.write(json.dumps({"instruction": text, "reference": "42"}) + "\n")
        expert = {"provider": "openai_compatible", "base_url": url}
        config = {
            "sources": [{"source": "file", "path": str(source)}],
            "experts": [{**expert, "name": f"e{number}", "model": f"m{number}"} for number in range(experts)],
            "output": f"{folder}/dataset",
            "max_iter": count,
            "concurrency": concurrency,
        }
        started = time.perf_counter()
        build_dataset(BuildConfig.model_validate(config))
        return {**facts, "seconds": time.perf_counter() - started, "peak_mb": peak_mb()}


def peak_mb() -> float:
    """Return the peak resident set so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def show_allocations() -> None:
    """Print the twelve places that hold the most memory now."""
    import tracemalloc

    for line in tracemalloc.take_snapshot().statistics("lineno")[:12]:
        sys.stderr.write(
            f"{line.size / 2**20:8.1f} MB in {line.count:9,} blocks  {os.path.relpath(str(line.traceback))}\n"
        )
    current, peak = tracemalloc.get_traced_memory()
    sys.stderr.write(f"{current / 2**20:8.1f} MB held, {peak / 2**20:.1f} MB at the peak\n")


if __name__ == "__main__":
    main()
