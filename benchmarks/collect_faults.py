"""A hundred thousand calls of which a fifth fail: how every instruction ends, beside what the endpoint knows.

    python benchmarks/collect_faults.py [--calls 100000] [--faults 0.2] [--concurrency 256] [--seed 0]

Two experts ask one server, of which one receives streams. Exits with 1 where a row is missing, comes twice, or an
answer was invented or lost.
"""

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from dataset_build import BuildConfig, build_dataset, read_table
from tests.fault_server import RANDOM_FAULTS, start_fault_server

#: Faults after which a repeat may succeed, those of one instruction, and odd answers that are answers.
FINAL, ODD = ("400", "content_filter", "empty_content"), ("length", "wrong_type", "other_model", "no_usage")
KINDS = (*RANDOM_FAULTS, "slow_drip", *FINAL, *ODD)
#: Only few, because each takes until its deadline.
NEVER = 100
TIMEOUT_S = 5.0


def main() -> int:
    """Build, compare, print the tables; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=100_000, help="that reach the server, at least")
    parser.add_argument("--faults", type=float, default=0.2)
    parser.add_argument("--concurrency", type=int, default=256)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    count = args.calls // 2
    with (
        tempfile.TemporaryDirectory() as folder,
        start_fault_server(
            faults=args.faults, kinds=KINDS, seed=args.seed, latency_s=0.01, drip_s=0.0001, own_process=True
        ) as server,
    ):
        source = Path(folder, "questions.jsonl")
        with source.open("w") as file:
            for number in range(count):
                mark = " <<never*1>>" if number % max(1, count // NEVER) == 0 else ""
                text = f"Question {number}{mark}"
                file.write(json.dumps({"instruction": text, "reference": text}) + "\n")
        expert = {"provider": "openai_compatible", "base_url": server.url, "timeout_s": TIMEOUT_S}
        config = BuildConfig.model_validate(
            {
                "sources": [{"source": "file", "path": str(source)}],
                "experts": [
                    {**expert, "name": "whole", "model": "whole"},
                    {**expert, "name": "streamed", "model": "streamed", "stream": True},
                ],
                "output": f"{folder}/dataset",
                "max_iter": count,
                "concurrency": args.concurrency,
            }
        )
        started = time.perf_counter()
        table = read_table(build_dataset(config))
        seconds = time.perf_counter() - started
        truth = server.stats()
    print(
        f"{truth['requests']:,} calls for {count:,} instructions × 2 experts in {seconds:,.0f} s, {args.faults:.0%} "
        f"faults of {len(KINDS)} kinds, {args.concurrency} in flight each, seed {args.seed}\n"
    )
    print(outcomes(table))
    print()
    print(server_side(truth))
    wrong = faults_of(table, truth, count)
    print(f"\n{'; '.join(wrong) if wrong else 'No row is missing, none comes twice, no failed call has a score.'}")
    return 1 if wrong else 0


def outcomes(table: pd.DataFrame) -> str:
    """Return how the calls ended, by expert."""
    ends = table["error"].fillna("answered").str.partition(":")[0]
    counts = ends.groupby([ends, table["expert"]]).size().unstack(fill_value=0)
    lines = [f"| how it ended | {' | '.join(counts.columns)} |", "|---|" + "---:|" * len(counts.columns)]
    for kind, row in counts.sort_values(counts.columns[0], ascending=False).iterrows():
        lines.append(f"| {kind} | {' | '.join(f'{value:,}' for value in row)} |")
    return "\n".join(lines)


def server_side(truth: dict[str, object]) -> str:
    """Return what the server did."""
    faults = Counter(truth["faults"])  # type: ignore[call-overload]
    lines = ["| what the server did | times |", "|---|---:|", f"| answered | {truth['answered']:,} |"]
    lines += [f"| {name} | {times:,} |" for name, times in faults.most_common()]
    return "\n".join(lines)


def faults_of(table: pd.DataFrame, truth: dict[str, object], count: int) -> list[str]:
    """Return everything that is wrong with the dataset."""
    wrong = []
    if len(table) != 2 * count:
        wrong.append(f"{len(table):,} rows instead of {2 * count:,}")
    if table.duplicated(["instruction_id", "expert"]).any():
        wrong.append("rows come twice")
    has_failed = table["error"].notna()
    if (table["response"].isna() != has_failed).any():
        wrong.append("a row has neither an answer nor an error, or both")
    if table.loc[has_failed, "score"].notna().any():
        wrong.append("a failed call has a score")
    if not table.loc[~has_failed, "score"].notna().all():
        wrong.append("an answer has no score")
    faults: dict[str, int] = truth["faults"]  # type: ignore[assignment]
    handed_out = int(truth["answered"]) + sum(faults.get(name, 0) for name in (*ODD, "slow_drip"))  # type: ignore[call-overload]
    if int((~has_failed).sum()) != handed_out:
        wrong.append(f"{int((~has_failed).sum()):,} answers are kept of {handed_out:,} that were handed out")
    return wrong


if __name__ == "__main__":
    sys.exit(main())
