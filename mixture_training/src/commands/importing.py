"""Convert what others have published into a dataset.

Read are RouterBench, RouteLLM, MT-bench, LLMRouterBench, LLMRouter, AlpacaEval, sample logs of lm-evaluation-harness,
and plain rows of any origin. The format is recognised by the columns. A missing answer or score stays missing; what was
converted, dropped or is unknown is told at the end. A pickle is refused, with the reason and what to do.

    moe import routerbench_0shot.parquet --output routerbench.parquet
    moe import results/ --experts gpt-4o,llama-3-8b --output evaluated.parquet
    moe import scores.csv --columns instruction=question,expert=model,score=correct --output scores.parquet
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from dataset_build import Parser, comma_list, parse_columns

if TYPE_CHECKING:
    from dataset_build import ImportSummary


def add_arguments(parser: Parser) -> None:
    """Declare the options."""
    parser.add_argument(
        "paths",
        nargs="+",
        metavar="PATH",
        help="a .csv, .json, .jsonl (each also .gz) or .parquet file, or a folder of them",
    )
    parser.add_argument("--output", required=True, type=Path, metavar="OUT", help="a .parquet, .jsonl or .csv file")
    parser.add_argument("--format", metavar="NAME", help="what the files are, where their columns do not tell")
    parser.add_argument(
        "--columns", type=parse_columns, default=None, metavar="a=b", help="columns of plain rows with other names"
    )
    parser.add_argument("--experts", type=comma_list, default=[], metavar="a,b", help="keep only these")
    parser.add_argument("--source", metavar="NAME", help="the source of rows that name none (the format's name)")
    parser.add_argument("--seed", type=int, default=0, help="of the splits, where the files have none (0)")
    parser.add_boolean("--overwrite", default=False, help="replace a file that is at --output")


def run(args: argparse.Namespace) -> int:
    """Import and print what was read, written and left out."""
    from dataset_build import import_dataset

    summary = import_dataset(
        args.paths,
        output=args.output,
        format=args.format,
        columns=args.columns,
        experts=args.experts,
        source=args.source,
        seed=args.seed,
        overwrite=args.overwrite,
    )
    _print_summary(summary)
    return 0


def _print_summary(summary: "ImportSummary") -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table()
    for name in ("expert", "rows", "no score", "no cost", "errors", "mean score"):
        table.add_column(name, justify="left" if name == "expert" else "right")
    for name, expert in sorted(summary.experts.items()):
        counts = (expert.rows, expert.rows - expert.scored, expert.rows - expert.priced, expert.errors)
        mean = f"{expert.score_sum / expert.scored:.3f}" if expert.scored else "unknown"
        table.add_row(escape(name), *(f"{count:,}" for count in counts), mean)
    Console().print(table)
    skipped = f"; skipped {len(summary.skipped)} of no known format" if summary.skipped else ""
    unknown = f"{summary.null_scores:,} without a score, {summary.null_costs:,} without a cost"
    splits = ", ".join(f"{count:,} {name}" for name, count in sorted(summary.splits.items()))
    print(f"files:        {', '.join(f'{count} {name}' for name, count in sorted(summary.formats.items()))}{skipped}")
    print(f"rows:         {summary.rows_read:,} read, {summary.rows_written:,} written ({unknown})")
    for reason, count in summary.dropped.most_common():
        print(f"left out:     {count:,}: {reason}")
    print(f"instructions: {summary.instructions:,} ({splits})")
    for note in summary.notes:
        print(f"note:         {note}")
    print(f"written:      {summary.output}")
    print(f"next:         moe train --dataset {summary.output}")
