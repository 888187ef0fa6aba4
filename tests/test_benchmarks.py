"""The benchmarks run, small: a figure that nobody can measure again is worth nothing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("collect.py --ways ours,aiohttp --concurrency 4 --seconds 0.5 --repetitions 1", "| 4 | ours |"),
        ("collect_memory.py --instructions 20,40 --experts 2 --concurrency 4", "Largest minus smallest"),
        ("collect_faults.py --calls 300 --concurrency 16", "no failed call has a score"),
        ("collect_budget.py --runs 2 --instructions 60 --concurrency 16", "Over the cap: 0 of 2 runs"),
        ("serve.py --latencies 0 --connections 2 --repetitions 1 --seconds 0.5 --warm_s 0.2", "| moe serve |"),
        ("serve_memory.py --requests 100,200 --connections 4 --idle 50", "Grown by"),
        ("serve_faults.py --requests 800 --connections 16 --database sqlite", "No request hung"),
        ("cold_start.py --repetitions 1 --most_s 60 --most_mb 2000", "s to the first answer"),
        ("evaluate_scale.py --instructions 300 --experts 4 --methods 2 --samples 50", "resamples"),
        ("learning_month.py --seeds 2 --methods learning,gated --plot month.png", "| gated |"),
        ("routing_speed.py --encoders tfidf --rounds 3 --experts 3 --train 60", "tfidf"),
        ("training_speed.py --parts auto --instructions 60 --experts 3", "| auto from raw text | 60 × 3 |"),
    ],
)
def test_a_benchmark_runs_small(line: str, said: str, tmp_path: Path):
    environment = os.environ | {"OMP_NUM_THREADS": "1", "TMPDIR": str(tmp_path)}
    name, *options = line.split()
    run = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / name), *options],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    assert said in run.stdout, run.stdout[-2000:]
