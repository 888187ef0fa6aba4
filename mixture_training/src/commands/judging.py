"""Find out whether a judge can be trusted: compare its scores with known ones.

Told are agreement, rank correlation, position bias, length bias and self-preference, each with a 95 % interval, and
which canaries it fell for. Verdicts are kept in the report's folder: the same command pays for none of them again.

    moe judge calibrate --dataset runs/dataset --judge judge.yaml --sample 500
    moe judge calibrate --dataset graded.csv --judge judge.yaml --gold human --gold_range 1,5 --report runs/calibration
"""

import argparse
from pathlib import Path

from dataset_build import BuildConfig, ConfigError, Parser, parse_columns, positive_int, validate


def add_arguments(parser: Parser) -> None:
    """Declare the options."""
    add = parser.add_argument
    add("action", choices=["calibrate"], help="what to do")
    add("--dataset", required=True, metavar="D", help="a built folder, a file, or hf:org/name, with known scores")
    add("--judge", required=True, type=Path, metavar="F.yaml", help="the judge: its keys, or a file with `judges:`")
    add("--name", metavar="NAME", help="which judge, where the file has several")
    add("--gold", default="score", metavar="COLUMN", help="the column with the known scores (score)")
    add("--gold_range", type=_range, default=(0.0, 1.0), metavar="LOW,HIGH", help="its worst and its best value (0,1)")
    add("--sample", type=positive_int, metavar="N", help="about how many responses to judge (all)")
    add("--tolerance", type=float, default=0.1, metavar="X", help="what counts as nearly the same score (0.1)")
    add("--report", type=Path, metavar="DIR", help="report, plot and verdicts go here (runs/judge-NAME)")
    add("--json", type=Path, metavar="F", help="write the report as JSON to this file")
    add("--columns", type=parse_columns, default=None, metavar="a=b", help="columns with other names")
    add("--budget_usd", type=float, metavar="USD", help="what the verdicts may cost, all runs together")
    add("--concurrency", type=positive_int, default=16, help="calls in flight per expert at most (16)")
    add("--timeout_s", type=float, default=60.0, metavar="SECONDS", help="for one call (60)")
    add("--retries", type=int, default=3, help="further tries after a failure that is worth one (3)")
    add("--seed", type=int, default=0, help="of the sample and of the intervals (0)")


def run(args: argparse.Namespace) -> int:
    """Judge, compare, print and write."""
    from rich.console import Console

    from dataset_build import judge_sample, read_judge, read_table
    from mixture_training.src.judge_calibration import calibrate
    from mixture_training.src.judge_report import print_calibration, to_json, write_report

    name, judge = read_judge(args.judge, args.name)
    folder = args.report or Path("runs") / f"judge-{name}"
    asking = {key: getattr(args, key) for key in ("budget_usd", "concurrency", "timeout_s", "retries", "seed")}
    config = validate(BuildConfig, {**asking, "output": folder}, where="the command line")
    sample = judge_sample(
        read_table(args.dataset, columns=args.columns),
        name,
        judge,
        config=config,
        gold=args.gold,
        gold_range=args.gold_range,
        sample=args.sample,
    )
    result = calibrate(sample, tolerance=args.tolerance, seed=args.seed)
    print_calibration(result, Console())
    if args.json:
        try:
            args.json.parent.mkdir(parents=True, exist_ok=True)
            args.json.write_text(to_json(result), encoding="utf-8")
        except OSError as problem:
            raise ConfigError(f"Cannot write {args.json}: {problem.strerror or problem}.") from None
    print(f"Report: {write_report(result, sample, folder)}")
    return 0


def _range(text: str) -> tuple[float, float]:
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected LOW,HIGH such as 1,5, got {text!r}") from None
    if not low < high:
        raise argparse.ArgumentTypeError(f"the worst value must be below the best, got {text!r}")
    return low, high
