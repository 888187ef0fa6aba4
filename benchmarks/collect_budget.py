"""A cap with 256 calls in flight: what the endpoint billed against what was allowed, over twenty builds.

    python benchmarks/collect_budget.py [--runs 20] [--instructions 3000] [--concurrency 256] [--seed 0]

The endpoint keeps the books: it bills every token it generated, also of answers that were lost on their way. Latency,
answer length (`max_tokens` is honest) and faults differ from run to run. "Over" is what was billed beyond the cap.
"""

import argparse
import json
import random
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from dataset_build import BuildConfig, EarlyStopError, build_dataset
from dataset_build.src import building
from dataset_build.src.budget import Budget
from tests.fault_server import start_fault_server

PROMPT, COMPLETION = 1.0, 4.0  # USD per million
MAX_TOKENS = 64
#: Answers that are lost after they were billed, or billed and bring no text. None says "too much at a time": then far
#: fewer calls would be in flight.
KINDS = (
    "500",
    "reset",
    "reset_body",
    "cut_body",
    "truncated_json",
    "html",
    "content_filter",
    "empty_content",
    "length",
)


class WatchedBudget(Budget):
    """Remembers how much was set aside at most."""

    most_reserved = 0.0

    async def reserve(self, usd: float) -> None:
        """Reserve, and look."""
        await super().reserve(usd)
        type(self).most_reserved = max(self.most_reserved, self.reserved_usd)


def main() -> None:
    """Run the builds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--instructions", type=int, default=3000)
    parser.add_argument("--concurrency", type=int, default=256)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    building.Budget = WatchedBudget  # type: ignore[misc]
    print(
        f"{args.instructions:,} instructions, {args.concurrency} in flight, max_tokens {MAX_TOKENS}, seed {args.seed}\n"
    )
    print("| run | latency, ms | faults | cap, USD | billed, USD | over, USD | reserved at most, USD | calls | peak |")
    print("|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
    overs, used = [], []
    chance = random.Random(args.seed)
    for run in range(args.runs):
        facts = one(chance, args.instructions, args.concurrency, run)
        overs.append(facts["billed"] - facts["cap"])
        used.append(facts["billed"] / facts["cap"])
        print(
            f"| {run} | {facts['latency_ms']:.0f} | {facts['faults']:.0%} | {facts['cap']:.6f} | "
            f"{facts['billed']:.6f} | {max(0.0, overs[-1]):.6f} | {facts['reserved']:.6f} | "
            f"{facts['calls']:,} | {facts['peak']} |"
        )
    print(
        f"\nOver the cap: {sum(over > 0 for over in overs)} of {args.runs} runs, by USD {max(0.0, *overs):.6f} at "
        f"most; billed of the cap: median {statistics.median(used):.1%}."
    )


def one(chance: random.Random, count: int, concurrency: int, run: int) -> dict[str, Any]:
    """Build once, until the money is spent; returns what both sides say of it."""
    latency_ms, faults, words = chance.uniform(100, 400), chance.choice([0.0, 0.1, 0.2, 0.4]), chance.randint(8, 64)
    texts = [" ".join(["word"] * chance.randint(1, words)) + f" {number}" for number in range(count)]
    whole = sum(PROMPT * len(text.split()) + COMPLETION * min(len(text.split()), MAX_TOKENS) for text in texts) / 1e6
    cap = whole * chance.uniform(0.3, 0.7)
    WatchedBudget.most_reserved = 0.0
    with (
        tempfile.TemporaryDirectory() as folder,
        start_fault_server(
            faults=faults, kinds=KINDS, seed=run, latency_s=latency_ms / 1000, retry_after_s=0.05, own_process=True
        ) as server,
    ):
        source = Path(folder, "questions.jsonl")
        source.write_text("".join(json.dumps({"instruction": text, "reference": text}) + "\n" for text in texts))
        expert = {
            "provider": "openai_compatible",
            "name": "e",
            "base_url": server.url,
            "model": "m",
            "max_tokens": MAX_TOKENS,
            "price": {"prompt_per_million": PROMPT, "completion_per_million": COMPLETION},
        }
        config = {
            "sources": [{"source": "file", "path": str(source)}],
            "experts": [expert],
            "output": f"{folder}/dataset",
            "concurrency": concurrency,
            "budget_usd": cap,
        }
        try:
            build_dataset(BuildConfig.model_validate(config))
            raise SystemExit("The build ended before its money; give more --instructions.")
        except EarlyStopError:
            truth = server.stats()
    billed = (PROMPT * truth["prompt_tokens"] + COMPLETION * truth["completion_tokens"]) / 1e6
    return {
        "latency_ms": latency_ms,
        "faults": faults,
        "cap": cap,
        "billed": billed,
        "reserved": WatchedBudget.most_reserved,
        "calls": truth["requests"],
        "peak": truth["peak_in_flight"],
    }


if __name__ == "__main__":
    main()
