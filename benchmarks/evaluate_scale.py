"""How long `evaluate` takes and how much memory it needs: synthetic predictions of many methods for many instructions.

    python benchmarks/evaluate_scale.py [--instructions 100000] [--experts 30] [--methods 10] [--samples 1000]

Predictions are the true scores blurred, a method more than the one before; a share of the cells is missing. What is
measured is everything from predictions to the result: choices, curves, all reference points, figures per category and
every interval. The peak is of the whole process and includes the data and the predictions. On a machine that does other
things too, the seconds of CPU say more than those on the wall.
"""

import argparse
import resource
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mixture_training.src.evaluation import Given, Method, evaluate
from mixture_training.src.training_data import FloatArray, TrainingData

CATEGORIES = 12


def main() -> None:
    """Measure once and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--instructions", type=int, default=100_000)
    parser.add_argument("--experts", type=int, default=30)
    parser.add_argument("--methods", type=int, default=10)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--missing", type=float, default=0.02, help="share of the cells without a score (0.02)")
    parser.add_argument("--seed", type=int, default=0)
    flags = parser.parse_args()
    rng = np.random.default_rng(flags.seed)
    data, truth = synthetic(flags.instructions, flags.experts, flags.missing, rng)
    methods = [blurred(f"blur {blur:.2f}", truth, data, blur, rng) for blur in np.linspace(0.05, 1.0, flags.methods)]
    before, started, used = peak_mb(), time.perf_counter(), time.process_time()
    steps: dict[str, float] = {}

    def on_step(step: str) -> None:
        steps[step] = time.perf_counter() - started

    result = evaluate(data, methods, samples=flags.samples, seed=flags.seed, on_step=on_step)
    spent = time.perf_counter() - started
    print(
        f"{flags.instructions:,} instructions × {flags.experts} experts × {flags.methods} methods, "
        f"{result.samples} resamples: {spent:.1f} s ({time.process_time() - used:.1f} s of CPU), "
        f"peak {peak_mb():,.0f} MB ({before:,.0f} MB before)"
    )
    marks = [*steps.items(), ("", spent)]
    parts = [(end - start, name) for (name, start), (_, end) in zip(marks, marks[1:], strict=False)]
    for seconds, name in sorted(parts, reverse=True)[:5]:
        print(f"  {seconds:6.2f} s  {name}")
    best, worst = (result.methods[method.name] for method in (methods[0], methods[-1]))
    print(
        f"  {methods[0].name}: {best.quality.value:.4f} [{best.quality.low:.4f}, {best.quality.high:.4f}], "
        f"AIQ {best.aiq:.4f}; {methods[-1].name}: {worst.quality.value:.4f}, AIQ {worst.aiq:.4f}"
    )


def synthetic(n: int, experts: int, missing: float, rng: np.random.Generator) -> tuple[TrainingData, FloatArray]:
    """Return data with a train part of a tenth beside the n judged rows, and every expert's chance of being right."""
    rows = n + n // 10
    ability, cost = np.sort(rng.normal(0.5, 0.7, experts)), np.sort(np.exp(rng.normal(-7.0, 1.5, experts)))
    categories = rng.integers(0, CATEGORIES, rows)
    talent = rng.normal(0.0, 0.8, (CATEGORIES, experts))
    logits = ability + talent[categories] - rng.normal(0.0, 1.0, (rows, 1)) + rng.normal(0.0, 0.5, (rows, experts))
    chances = 1.0 / (1.0 + np.exp(-logits))
    scores = (rng.random(chances.shape) < chances).astype(np.float64)
    scores[rng.random(scores.shape) < missing] = np.nan
    names = tuple(f"i{row}" for row in range(rows))
    data = TrainingData(
        ids=names,
        texts=names,
        categories=tuple(f"category {code}" for code in categories),
        splits=("test",) * n + ("train",) * (rows - n),
        experts=tuple(f"expert {column}" for column in range(experts)),
        scores=scores,
        costs=cost * rng.gamma(4.0, 0.25, scores.shape),
        latencies=np.full(scores.shape, np.nan),
    )
    return data, chances[:n]


def blurred(name: str, truth: FloatArray, data: TrainingData, blur: float, rng: np.random.Generator) -> Method:
    """Return a method that predicts the true chances with an error."""
    scores = np.clip(truth + rng.normal(0.0, blur, truth.shape), 0.0, 1.0)
    return Method(name, given=Given(data.experts, scores=scores))


def peak_mb() -> float:
    """Return the most memory this process ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
