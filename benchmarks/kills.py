"""Kill a build of the embedded pool twenty times at random, then compare with an undisturbed one.

    python benchmarks/kills.py [--kills 20] [--max_iter 400] [--seed 0]

How many calls a kill costs is counted in tests/dataset_build/test_builder.py (KILLS=20).
"""

import argparse
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

from dataset_build import read_dataset_json

MEASURED = ["cost", "latency_s"]  # differ from run to run by nature


def main() -> None:
    """Run it and print one line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--max_iter", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    chance = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as folder:
        whole, killed = Path(folder, "whole"), Path(folder, "killed")
        started = time.perf_counter()
        subprocess.run(build(whole, args.max_iter), check=True)
        undisturbed_s = time.perf_counter() - started
        kills = 0
        while kills < args.kills:
            process = subprocess.Popen(build(killed, args.max_iter), stderr=subprocess.DEVNULL)
            time.sleep(chance.uniform(0.5, 0.55 * undisturbed_s))
            if process.poll() is not None:
                break
            process.kill()
            process.wait()
            kills += 1
        if not (killed / "dataset.json").is_file():
            subprocess.run(build(killed, args.max_iter), check=True)
        same_hash = read_dataset_json(whole)["content_hash"] == read_dataset_json(killed)["content_hash"]
        print(f"{kills} kills; same content hash: {same_hash}; same tables: {table(whole).equals(table(killed))}")


def build(output: Path, max_iter: int) -> list[str]:
    """Return the command of a build."""
    program = [sys.executable, "-m", "mixture_training.src.cli", "build", "--quiet"]
    return [*program, "--output", str(output), "--max_iter", str(max_iter), "--batch_size", "20"]


def table(folder: Path) -> pd.DataFrame:
    """Return all rows of a dataset, without the columns that are measured."""
    parts = [pd.read_parquet(part) for part in sorted((folder / "data").glob("*.parquet"))]
    return pd.concat(parts, ignore_index=True).drop(columns=MEASURED)


if __name__ == "__main__":
    main()
