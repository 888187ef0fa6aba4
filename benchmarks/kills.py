"""Kill a build at random moments, again and again, then compare with an undisturbed one.

    python benchmarks/kills.py [--against endpoint] [--kills 50] [--instructions 4000] [--concurrency 64] [--seed 0]
    python benchmarks/kills.py --against tools [--kills 20] [--instructions 400]

Against an endpoint the other side keeps the books: it knows how many answers it has handed out. After every kill the
journal must hold all of them but those on their way (one a call in flight at most), and at the end no more may have
been handed out than there are instructions and calls in flight at the kills. The last kill falls into the export.
"""

import argparse
import json
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from dataset_build import read_dataset_json
from tests.fault_server import FaultServer, start_fault_server

MEASURED = ["cost", "latency_s", "first_token_s"]  # differ from run to run by nature
EXPERTS = ("one", "two")
#: Share of the calls that fail, each in a way after which a repeat may succeed.
FAULTS = 0.1
#: Share of the kills that come at any moment of a run, its start included; the others come after some answers.
AT_ANY_MOMENT = 0.3


@dataclass
class Outcome:
    """What the kills did.

    Attributes:
        kills: How many there were.
        during_export: How many of them while the dataset was being written.
        unkept: For each kill, answers handed out in its run that the journal does not hold.
        in_flight: How many calls were in flight at most.
        answers: Answers the dataset needs.
        handed_out: Answers the endpoint gave.
        same_hash: Whether the dataset has the content hash of the undisturbed one.
        same_tables: Whether it has the same rows.
    """

    kills: int = 0
    during_export: int = 0
    unkept: list[int] = field(default_factory=list)
    in_flight: int = 0
    answers: int = 0
    handed_out: int = 0
    same_hash: bool = False
    same_tables: bool = False

    @property
    def lost(self) -> int:
        """Finished responses that a kill lost: what is missing beyond one for every call in flight."""
        return sum(max(0, count - self.in_flight) for count in self.unkept)

    def table(self) -> str:
        """Return it as a Markdown table."""
        rows = [
            ("kills", f"{self.kills}, {self.during_export} of them during the export"),
            ("answers needed", f"{self.answers:,}"),
            ("answers handed out", f"{self.handed_out:,}"),
            ("paid twice", f"{self.handed_out - self.answers:,}"),
            ("calls in flight at the kills, at most", f"{self.kills * self.in_flight:,}"),
            ("on their way at a kill, mean and most", f"{_mean(self.unkept):.1f} and {max(self.unkept, default=0)}"),
            ("finished responses lost", f"{self.lost}"),
            ("same content hash", f"{self.same_hash}"),
            ("same rows", f"{self.same_tables}"),
        ]
        return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)])


def main() -> None:
    """Run it and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", choices=("endpoint", "tools"), default="endpoint")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--instructions", type=int, help="default: 4000 against an endpoint, 400 against tools")
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if args.against == "tools":
            print(against_tools(Path(folder), args.kills, args.instructions or 400, args.seed))
            return
        count = args.instructions or 4000
        outcome = against_an_endpoint(Path(folder), args.kills, count, args.concurrency, args.seed)
    print(
        f"{count:,} instructions × {len(EXPERTS)} experts, {args.concurrency} calls in flight each, {FAULTS:.0%} faults"
    )
    print(outcome.table())


def against_an_endpoint(folder: Path, kills: int, instructions: int, concurrency: int, seed: int) -> Outcome:
    """Kill builds that ask an endpoint, the last one during the export."""
    chance = random.Random(seed)
    outcome = Outcome(in_flight=concurrency * len(EXPERTS), answers=instructions * len(EXPERTS))
    with (folder / "questions.jsonl").open("w") as file:
        for number in range(instructions):
            text = f"What is {number} plus one?"
            file.write(json.dumps({"instruction": text, "reference": text}) + "\n")
    with start_fault_server(faults=FAULTS, seed=seed, latency_s=0.01, retry_after_s=0.01, own_process=True) as server:
        whole, killed = folder / "whole", folder / "killed"
        subprocess.run(endpoint_build(folder, server, whole, concurrency), check=True)
        before = server.stats()["answered"]
        command = endpoint_build(folder, server, killed, concurrency)
        for kill in range(kills):
            is_last = kill == kills - 1
            kept, started = journaled(killed, folder), server.stats()["answered"]
            process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
            if is_last:
                wait_until((killed / ".staging").exists, process)
            elif chance.random() < AT_ANY_MOMENT:
                time.sleep(chance.uniform(0.0, 3.0))
            else:
                left = outcome.answers - kept
                wanted = started + chance.randint(1, max(1, 2 * left // (kills - kill + 2)))
                wait_until(lambda wanted=wanted: server.stats()["answered"] >= wanted, process)
            if process.poll() is not None:
                raise SystemExit("A build ended before its kill; give more --instructions or fewer --kills.")
            process.kill()
            process.wait()
            settle(server)
            outcome.kills += 1
            outcome.during_export += (killed / ".staging").exists() or (killed / ".ready").exists()
            outcome.unkept.append(server.stats()["answered"] - started - (journaled(killed, folder) - kept))
        subprocess.run(command, check=True)
        outcome.handed_out = server.stats()["answered"] - before
    outcome.same_hash = read_dataset_json(whole)["content_hash"] == read_dataset_json(killed)["content_hash"]
    outcome.same_tables = table(whole).equals(table(killed))
    return outcome


def endpoint_build(folder: Path, server: FaultServer, output: Path, concurrency: int) -> list[str]:
    """Return the command of a build that asks the server as two experts."""
    experts = [
        {
            "provider": "openai_compatible",
            "name": name,
            "base_url": server.url,
            "model": name,
            "price": {"prompt_per_million": 1.0, "completion_per_million": 2.0},
        }
        for name in EXPERTS
    ]
    config = {"sources": [{"source": "file", "path": str(folder / "questions.jsonl")}], "experts": experts}
    (folder / "build.json").write_text(json.dumps(config))
    program = [sys.executable, "-m", "dataset_build.src.builder", "--quiet", "--config", str(folder / "build.json")]
    return [*program, "--output", str(output), "--concurrency", str(concurrency), "--retries", "5"]


def wait_until(is_so: Callable[[], bool], process: "subprocess.Popen[bytes]") -> None:
    """Wait until something is so, or the process has ended."""
    while not is_so() and process.poll() is None:
        time.sleep(0.002)


def settle(server: FaultServer) -> None:
    """Wait until the server has noticed that the other side is gone."""
    for _ in range(100):
        if not server.stats()["in_flight"]:
            return
        time.sleep(0.01)


def journaled(output: Path, scratch: Path) -> int:
    """Return how many answers the journal holds, from a copy: opening the journal itself would mend it."""
    copy = scratch / "copy.sqlite"
    for suffix in ("", "-wal"):
        Path(f"{copy}{suffix}").unlink(missing_ok=True)
        if (output / f"journal.sqlite{suffix}").exists():
            shutil.copy(output / f"journal.sqlite{suffix}", f"{copy}{suffix}")
    if not copy.exists():
        return 0
    connection = sqlite3.connect(copy)
    try:
        if not connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'responses'").fetchone()[0]:
            return 0
        return int(connection.execute("SELECT count(*) FROM responses WHERE text IS NOT NULL").fetchone()[0])
    finally:
        connection.close()


def against_tools(folder: Path, wanted: int, instructions: int, seed: int) -> str:
    """Kill builds of the embedded pool at random; how many calls a kill costs is counted in test_builder.py."""
    chance = random.Random(seed)
    whole, killed = folder / "whole", folder / "killed"
    started = time.perf_counter()
    subprocess.run(build(whole, instructions), check=True)
    undisturbed_s = time.perf_counter() - started
    kills = 0
    while kills < wanted:
        process = subprocess.Popen(build(killed, instructions), stderr=subprocess.DEVNULL)
        time.sleep(chance.uniform(0.5, 0.55 * undisturbed_s))
        if process.poll() is not None:
            break
        process.kill()
        process.wait()
        kills += 1
    if not (killed / "dataset.json").is_file():
        subprocess.run(build(killed, instructions), check=True)
    same_hash = read_dataset_json(whole)["content_hash"] == read_dataset_json(killed)["content_hash"]
    return f"{kills} kills; same content hash: {same_hash}; same tables: {table(whole).equals(table(killed))}"


def build(output: Path, max_iter: int) -> list[str]:
    """Return the command of a build of the embedded pool."""
    program = [sys.executable, "-m", "mixture_training.src.cli", "build", "--quiet"]
    return [*program, "--output", str(output), "--max_iter", str(max_iter), "--batch_size", "20"]


def table(folder: Path) -> pd.DataFrame:
    """Return all rows of a dataset, without the columns that are measured."""
    parts = [pd.read_parquet(part) for part in sorted((folder / "data").glob("*.parquet"))]
    return pd.concat(parts, ignore_index=True).drop(columns=MEASURED)


def _mean(counts: list[int]) -> float:
    return sum(counts) / len(counts) if counts else 0.0


if __name__ == "__main__":
    main()
