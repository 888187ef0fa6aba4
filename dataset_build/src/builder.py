"""Build a labelled dataset: ask every expert every instruction, score the answers, write one folder.

    python dataset_build/src/builder.py --use_existing_dataset False --batch_size 20 --max_iter 50000
    moe build --sources questions.csv --columns instruction=question,reference=answer --experts calculator,echo

Killed or interrupted, the same command goes on where it stopped and pays for nothing twice.
"""

if __name__ == "__main__":  # run the importable module, never a second copy named __main__
    import os
    import sys
    from importlib import import_module

    sys.path[0] = os.path.abspath(os.path.join(__file__, "../../.."))
    sys.exit(import_module("dataset_build.src.builder").main())

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataset_build.src.arguments import Parser, comma_list, parse_columns, positive_int, run_command
from dataset_build.src.errors import ConfigError

if TYPE_CHECKING:
    from dataset_build.src.building import BuildResult
    from dataset_build.src.config import BuildConfig


def build_dataset(config: "BuildConfig", *, show_progress: bool = False) -> Path:
    """Build the dataset that `config` describes and return its folder.

    An unfinished build at `config.output` is resumed.

    Raises:
        ConfigError: something asked for does not exist, or a finished dataset is in the way.
        EarlyStopError: interrupted, with everything finished kept.
    """
    from dataset_build.src.building import build

    return build(config, show_progress=show_progress).folder


def build_parser(prog: str | None = None) -> Parser:
    """Return the command's parser.

    Args:
        prog: What to call the command in messages; None means as it was called.
    """
    called = "builder.py" if Path(sys.argv[0]).name == "builder.py" else "moe build"
    parser = Parser(prog=prog or called, description=__doc__)
    add = parser.add_argument
    add("--config", type=Path, metavar="F.yaml", help="options by name, as below; flags beat the file")
    add("--sources", type=comma_list, metavar="A,B", help="bundled, a file, hf:org/name (default: bundled)")
    add("--columns", type=parse_columns, metavar="NAME=COLUMN,…", help="what columns of files and hf: sources mean")
    add(
        "--experts",
        type=comma_list,
        metavar="A,B",
        help="embedded, a tool's name, replay:PATH, transformers_local:ID, a .yaml file (default: embedded)",
    )
    add("--metric", help="scorer of instructions whose source names none (default: exact_match)")
    add("--output", type=Path, metavar="DIR", help="the dataset folder (default: runs/dataset)")
    parser.add_boolean("--use_existing_dataset", help="continue from the finished dataset at --output")
    parser.add_boolean("--overwrite", help="replace the finished dataset at --output")
    add("--batch_size", type=positive_int, help="instructions per checkpoint and local-model batch (default: 20)")
    add("--max_iter", type=positive_int, help="at most this many instructions (default: 50000)")
    add("--concurrency", type=positive_int, help="calls in flight per expert (default: 16)")
    add("--workers", type=positive_int, help="processes for tools (default: one per core, at most 4)")
    add("--timeout_s", type=float, metavar="SECONDS", help="for one call (default: 60)")
    add("--retries", type=int, help="further tries after a failure that is worth one (default: 3)")
    add("--engine", help="what runs the calls (default: local)")
    add("--seed", type=int, help="of everything random (default: 0)")
    parser.add_boolean("--quiet", default=False, help="no progress and no table")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    parser = build_parser()
    arguments = parser.parse_args(argv)
    return run_command(parser.prog, lambda: _work(arguments))


def _work(arguments: argparse.Namespace) -> int:
    from dataset_build.src.building import build

    result = build(resolve_config(arguments), show_progress=not arguments.quiet)
    if not arguments.quiet:
        _print_table(result)
        print(f"Dataset: {result.folder}")
        print(f"Next:    moe train --dataset {result.folder}")
    for warning in warnings_of(result):
        print(f"Warning: {warning}", file=sys.stderr)
    return 0


def resolve_config(arguments: argparse.Namespace) -> "BuildConfig":
    """Return the configuration that flags, file and defaults amount to."""
    from dataset_build.src.config import BuildConfig, resolve
    from dataset_build.src.data_loader import parse_source
    from dataset_build.src.model_loader import parse_expert

    flags: dict[str, Any] = {
        name: value for name, value in vars(arguments).items() if name not in {"config", "columns", "quiet"}
    }
    if arguments.sources is not None:
        flags["sources"] = [parse_source(text).model_dump() for text in arguments.sources]
    if arguments.experts is not None:
        flags["experts"] = [config.model_dump() for text in arguments.experts for config in parse_expert(text)]
    config = resolve(BuildConfig, arguments.config, flags)
    if arguments.columns is None:
        return config
    if all(source.source == "bundled" for source in config.sources):
        raise ConfigError("--columns names columns of a file or hf: source, and there is none; add one to --sources.")
    mapped = [
        source if source.source == "bundled" else source.model_copy(update={"columns": arguments.columns})
        for source in config.sources
    ]
    return config.model_copy(update={"sources": mapped})


def warnings_of(result: "BuildResult") -> list[str]:
    """Return what a user should know about a dataset that was written all the same."""
    summary = result.summary
    silent = [name for name, expert in sorted(summary.experts.items()) if not expert.answered]
    found = []
    if silent:
        whom = "no expert gave" if len(silent) == len(summary.experts) else f"{', '.join(silent)} did not give"
        kinds = ", ".join(sorted({kind for name in silent for kind in summary.experts[name].errors}))
        found.append(
            f"{whom} a single answer ({kinds or 'never asked'}); when that is mended, "
            "--use_existing_dataset True tries the failed calls again"
        )
    found += [
        f"{count:,} answers have no score by {metric}: {reason}"
        for (metric, reason), count in sorted(summary.unscored.items())
    ]
    return found


def _print_table(result: "BuildResult") -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{result.summary.instructions:,} instructions, {result.asked:,} calls in this run")
    for name in ("expert", "mean score", "answered", "failed", "USD"):
        table.add_column(name, justify="left" if name == "expert" else "right")
    ranked = sorted(result.summary.experts.items(), key=lambda item: (-(item[1].mean_score or 0.0), item[0]))
    for name, expert in ranked:
        mean = "none" if expert.mean_score is None else f"{expert.mean_score:.3f}"
        failed = ", ".join(f"{kind} {count:,}" for kind, count in expert.errors.most_common()) or "0"
        table.add_row(name, mean, f"{expert.answered:,}", failed, f"{expert.cost_sum:.4g}")
    Console().print(table)
