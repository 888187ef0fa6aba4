"""The quickstart in an empty folder: seconds, peak memory, and what its router reached.

    python benchmarks/quickstart.py [--max_iter 2400] [--seed 0]

Memory is the proportional set size of the process and its children, sampled five times a second (Linux).
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil


def main() -> None:
    """Run it and print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--max_iter", type=int, default=2400)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "mixture_training.src.cli", "quickstart", "--output", f"{folder}/out"]
        command += ["--max_iter", str(args.max_iter), "--seed", str(args.seed)]
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        peak = watch(psutil.Process(process.pid))
        seconds = time.perf_counter() - started
        report = json.loads((Path(folder) / "out" / "report" / "report.json").read_text())
        wanted = ("quality", "quality_ci95", "vs_best_single", "vs_best_single_ci95", "gap_closed", "gap_closed_ci95")
        router = report["methods"]["router"]
        figures = {
            "exit_code": process.wait(),
            "seconds": round(seconds, 1),
            "peak_mb": peak // 2**20,
            "test_instructions": report["instructions"],
            "best_single": [report["best_single"], report["references"]["best_single"]["quality"]],
            "oracle": report["references"]["oracle"]["quality"],
            **{name: router[name] for name in wanted},
        }
        print(json.dumps(figures, indent=2))


def watch(process: psutil.Process) -> int:
    """Return the peak memory of the process tree in bytes, once it has ended."""
    peak = 0
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        total = 0
        for member in [process, *process.children(recursive=True)]:
            try:
                total += member.memory_full_info().pss
            except psutil.Error:
                continue  # it ended between the listing and the look
        peak = max(peak, total)
        time.sleep(0.2)
    return peak


if __name__ == "__main__":
    main()
