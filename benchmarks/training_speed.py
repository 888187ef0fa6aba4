"""Seconds to train: a linear router on many cached vectors, `auto` from raw text, a transformer fine-tuned.

    python benchmarks/training_speed.py [--parts linear,auto] [--instructions 5000] [--experts 12] [--epochs 3]

Instructions are the bundled ones; the scores of the experts are made up (each has categories it is good at, and
chance), because only time is measured. `auto` starts with an empty cache of vectors. `--parts transformer` fine-tunes
MiniLM, which takes long.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from dataset_build import load_instructions, parse_source
from mixture_training.src.auto import AutoClassifier
from mixture_training.src.instruction_classifier import TransformerClassifier
from mixture_training.src.linear import LinearClassifier
from mixture_training.src.training_data import TrainingData
from mixture_training.src.vector_classifier import Encoded

#: Of the cached vectors that `linear` is fitted to.
ROWS, DIMENSIONS = 50_000, 384


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default="linear,auto")
    parser.add_argument("--instructions", type=int, default=5000)
    parser.add_argument("--experts", type=int, default=12)
    parser.add_argument("--epochs", type=int, default=3)
    args = parser.parse_args()
    print(f"{len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}\n")
    print("| what | rows × experts | wall s | CPU s |")
    print("|---|---:|---:|---:|")
    for part in args.parts.split(","):
        if part == "linear":
            report("linear on cached vectors", lambda: fit_linear(args.experts), ROWS, args.experts)
            continue
        data = made_up(args.instructions, args.experts)
        if part == "auto":
            report("auto from raw text", lambda: fit_auto(data), len(data), args.experts)  # noqa: B023 - called at once
        else:
            classifier = TransformerClassifier(epochs=args.epochs)
            what = f"MiniLM fine-tuned, {args.epochs} epochs"
            report(what, lambda: classifier.fit(data, data.take([])), len(data), args.experts)  # noqa: B023


def report(what: str, work: object, rows: int, experts: int) -> None:
    """Run `work` and print how long it took."""
    started, busy = time.perf_counter(), time.process_time()
    work()  # type: ignore[operator]
    wall, cpu = time.perf_counter() - started, time.process_time() - busy
    print(f"| {what} | {rows:,} × {experts} | {wall:.1f} | {cpu:.1f} |", flush=True)


def made_up(instructions: int, experts: int) -> TrainingData:
    """Return bundled instructions with scores of 0 and 1, and costs."""
    found = list(load_instructions([parse_source("bundled")], seed=0, limit=instructions))
    names = sorted({instruction.category or "" for instruction in found})
    chance = np.random.default_rng(0)
    skill = chance.beta(1.0, 1.5, size=(len(names), experts))
    rows = np.array([names.index(instruction.category or "") for instruction in found])
    scores = (chance.random((len(found), experts)) < skill[rows]).astype(np.float64)
    costs = np.array([[len(instruction.text) for instruction in found]]).T * np.linspace(1e-7, 1e-5, experts)
    return TrainingData(
        ids=tuple(instruction.id for instruction in found),
        texts=tuple(instruction.text for instruction in found),
        categories=tuple(instruction.category for instruction in found),
        splits=("train",) * len(found),
        experts=tuple(f"expert_{number:02d}" for number in range(experts)),
        scores=scores,
        costs=costs,
        latencies=np.full_like(scores, np.nan),
    )


def fit_linear(experts: int) -> None:
    """Fit a linear classifier, its category head included, to vectors that are there already."""
    few = made_up(2000, experts)
    rows = np.arange(ROWS) % len(few)
    vectors = np.random.default_rng(0).normal(size=(ROWS, DIMENSIONS)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    train = Encoded(vectors, few.take(rows))
    started = time.process_time()
    LinearClassifier(encoder="minilm").fit_vectors(train, Encoded(vectors[:0], few.take([])))
    print(f"(of which the fit: {time.process_time() - started:.1f} s of CPU)", file=sys.stderr)


def fit_auto(data: TrainingData) -> None:
    """Fit `auto` with an empty cache of vectors; the exported encoders are kept."""
    from dataset_build import cache_folder

    with tempfile.TemporaryDirectory() as folder:
        for made in cache_folder().glob("*"):
            if made.name != "vectors":
                Path(folder, made.name).symlink_to(made)
        before = os.environ.get("MOE_TOOLKIT_CACHE")
        os.environ["MOE_TOOLKIT_CACHE"] = folder
        try:
            classifier = AutoClassifier().fit(data, data.take([]))
        finally:
            os.environ.pop("MOE_TOOLKIT_CACHE")
            if before is not None:
                os.environ["MOE_TOOLKIT_CACHE"] = before
    print(f"({classifier.diagnostics()['chosen']}; fits: {classifier.fit_seconds_})", file=sys.stderr)


if __name__ == "__main__":
    main()
