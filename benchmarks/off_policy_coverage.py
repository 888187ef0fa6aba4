"""How often the 95 % intervals of off-policy estimates hold the truth, in simulation.

    python benchmarks/off_policy_coverage.py [--trials 2000] [--sizes 200,1000,5000]

Instructions are drawn in two dimensions; four experts succeed with a chance that depends on them; scores are binary or
continuous. Logging is uniform, a softmax, mostly the best with a tenth or with a fiftieth left to chance (heavy-tailed
weights). The target is another router's choice without chance. Each trial draws a log and estimates the target's mean
score and its difference from what logging's best choice scores; the doubly robust one is given a model that is wrong
(each expert's mean, off by up to 0.1). The truth is the mean of the true chances over a million instructions. A row is
a method, a way of logging and a kind of score; each cell is coverage over all trials, and where fewer were reliable
the share that was, with the coverage of those.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mixture_training.src.off_policy import Estimate, Log, dr, ips, snips

FloatArray = npt.NDArray[np.float64]

EXPERTS = 4
METHODS = {"ips": ips, "snips": snips, "dr": dr}
LOGGING = ("uniform", "softmax", "tenth", "fiftieth")


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--sizes", default="200,500,1000,5000")
    parser.add_argument("--seed", type=int, default=0)
    flags = parser.parse_args()
    sizes = [int(size) for size in flags.sizes.split(",")]
    print("| estimate | logging | scores | " + " | ".join(f"n = {size}" for size in sizes) + " |")
    print("|---" * (3 + len(sizes)) + "|")
    found: list[tuple[int, int, int, int]] = []
    for logging in LOGGING:
        for kind in ("binary", "continuous"):
            columns = [measure(logging, kind, size, flags.trials, flags.seed) for size in sizes]
            for name in columns[0]:
                print(f"| {name} | {logging} | {kind} | " + " | ".join(cell(column[name]) for column in columns) + " |")
                found += [counts(column[name]) for column in columns if "plain" not in name]
    _, _, held, reliable = np.array(found).sum(axis=0)
    met = [one for one in found if one[3] >= flags.trials / 2]
    inside = sum(0.93 <= one[2] / one[3] <= 0.97 for one in met)
    print(f"\nReliable intervals hold the truth in {held / max(reliable, 1):.2%} of {reliable} cases;", end=" ")
    print(f"{inside} of the {len(met)} cells with at least half reliable lie in 93 to 97 %.")


def measure(logging: str, kind: str, size: int, trials: int, seed: int) -> dict[str, list[tuple[bool, bool]]]:
    """Return, for each estimate, whether its interval held the truth and whether it was called reliable."""
    rng = np.random.default_rng([seed, size, LOGGING.index(logging), kind == "binary"])
    many = np.random.default_rng(1).normal(size=(1_000_000, 2))
    true, target, usual = chances(many), choices(many), one_hot(chances(many).argmax(axis=1))
    truth = float((true * target).sum(axis=1).mean())
    truth_of_difference = truth - float((true * usual).sum(axis=1).mean())
    means = true.mean(axis=0) + np.array([0.1, -0.05, 0.05, -0.1])
    found: dict[str, list[tuple[bool, bool]]] = {}
    for _ in range(trials):
        where = rng.normal(size=(size, 2))
        chance, propensities = chances(where), logged_by(logging, chances(where))
        columns = (propensities.cumsum(axis=1) > rng.random((size, 1))).argmax(axis=1)
        reward = drawn(kind, chance[np.arange(size), columns], rng)
        log = Log(reward, columns, propensities, np.tile(means, (size, 1)))
        wanted, base = choices(where), one_hot(chance.argmax(axis=1))
        for name, method in METHODS.items():
            note(found, name, method(log, wanted), truth)
            note(found, f"{name} difference", method(log, wanted, base), truth_of_difference)
        plain = wanted[np.arange(size), columns] / propensities[np.arange(size), columns] * reward
        half = 1.96 * plain.std() / np.sqrt(size)
        found.setdefault("ips, plain interval", []).append((bool(abs(plain.mean() - truth) <= half), True))
    return found


def note(found: dict[str, list[tuple[bool, bool]]], name: str, estimate: Estimate, truth: float) -> None:
    """Add whether an interval held the truth."""
    found.setdefault(name, []).append((bool(estimate.low <= truth <= estimate.high), estimate.is_reliable))


def chances(where: FloatArray) -> FloatArray:
    """Return each expert's chance of success, (n, E)."""
    slopes = np.array([[1.2, 0.0], [-0.8, 0.8], [0.0, -1.2], [0.3, 0.3]])
    return np.asarray(1.0 / (1.0 + np.exp(-(where @ slopes.T + np.array([0.8, 0.6, 0.4, 1.0])))))


def choices(where: FloatArray) -> FloatArray:
    """Return what the target chooses, (n, E): another router than the best."""
    return one_hot((where @ np.array([[0.9, 0.4], [-1.0, 0.2], [0.5, -1.0], [0.2, 0.2]]).T).argmax(axis=1))


def one_hot(columns: npt.NDArray[np.intp]) -> FloatArray:
    """Return ones where a column was chosen, (n, E)."""
    return np.eye(EXPERTS)[columns]


def logged_by(logging: str, chance: FloatArray) -> FloatArray:
    """Return with what probability each expert is tried, (n, E)."""
    if logging == "uniform":
        return np.full(chance.shape, 1.0 / EXPERTS)
    if logging == "softmax":
        weights = np.exp(4.0 * chance)
        return np.asarray(weights / weights.sum(axis=1, keepdims=True))
    left = {"tenth": 0.1, "fiftieth": 0.02}[logging]
    return one_hot(chance.argmax(axis=1)) * (1.0 - left) + left / EXPERTS


def drawn(kind: str, chance: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Return scores with these means: 0 or 1, or spread over [0, 1]."""
    if kind == "binary":
        return (rng.random(len(chance)) < chance).astype(np.float64)
    return np.asarray(rng.beta(2.0 * chance, 2.0 * (1.0 - chance)))


def counts(results: list[tuple[bool, bool]]) -> tuple[int, int, int, int]:
    """Return how many held the truth of how many, and the same of the reliable ones."""
    held, reliable = np.array(results).T
    return int(held.sum()), len(held), int((held & reliable).sum()), int(reliable.sum())


def cell(results: list[tuple[bool, bool]]) -> str:
    """Return a cell of the table."""
    held, of, held_reliable, reliable = counts(results)
    if reliable == of:
        return f"{held / of:.1%}"
    if not reliable:
        return f"{held / of:.1%} (none reliable)"
    return f"{held / of:.1%} ({reliable / of:.0%} reliable: {held_reliable / reliable:.1%})"


if __name__ == "__main__":
    main()
