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
    try:
        sys.exit(import_module("dataset_build.src.builder").main())
    except KeyboardInterrupt:  # while modules are imported
        print("builder.py: interrupted", file=sys.stderr)
        sys.exit(3)

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataset_build.src.arguments import Parser, comma_list, complain, parse_columns, positive_int, run_command
from dataset_build.src.errors import ConfigError, EarlyStopError

if TYPE_CHECKING:
    from dataset_build.src.config import BuildConfig
    from dataset_build.src.planning import BuildPlan


def build_dataset(config: "BuildConfig", *, show_progress: bool = False) -> Path:
    """Build the dataset that `config` describes and return its folder.

    An unfinished build at `config.output` is resumed.

    Raises:
        ConfigError: something asked for does not exist, or a finished dataset is in the way.
        EarlyStopError: interrupted, the budget is met or the disk is full, with everything finished kept.
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
    add("--metric", help="what judges instructions whose source names no metric (default: exact_match)")
    add("--metrics", type=parse_rules, metavar="KEY:NAME=METRIC,…", help="by category:, source: or instruction:")
    add("--further_metrics", type=comma_list, metavar="A,B", help="scores to record beside, which are no labels")
    add("--judges", type=Path, metavar="F.yaml", help="name: judge, for the metric judge")
    add("--abilities", metavar="TAGGER", help="what fills in abilities: rules or similarity; judge in the file (none)")
    parser.add_boolean("--allow_code_execution", help="let the metric code_tests run answers, in a jail")
    parser.add_boolean("--allow_weak_jail", help="also where this machine cannot confine programs well")
    add("--output", type=Path, metavar="DIR", help="the dataset folder (default: runs/dataset)")
    parser.add_boolean("--use_existing_dataset", help="continue from the finished dataset at --output")
    parser.add_boolean("--overwrite", help="replace the finished dataset at --output")
    add("--batch_size", type=positive_int, help="instructions per checkpoint and local-model batch (default: 20)")
    add("--max_iter", type=positive_int, help="at most this many instructions (default: 50000)")
    add("--concurrency", type=positive_int, help="calls in flight per expert at most (default: 16)")
    add("--budget_usd", type=float, metavar="USD", help="what the build may spend, all its runs together")
    parser.add_boolean("--partial", help="when the budget is met, write the dataset from what is there")
    parser.add_boolean("--dry_run", help="say what would be asked and what it may cost; ask nobody, write nothing")
    add("--prices", type=Path, metavar="F.yaml", help="model: price, for experts whose price is auto")
    add("--deduplicate", choices=("none", "exact", "near"), help="which repeated instructions to drop (default: exact)")
    add("--near_threshold", type=float, metavar="SHARE", help="of common word runs from which on two are near (0.8)")
    add("--decontaminate", type=comma_list, metavar="A,B", help="files of test instructions to keep out")
    add("--workers", type=positive_int, help="processes for tools (default: one per core, at most 4)")
    add("--timeout_s", type=float, metavar="SECONDS", help="for one call (default: 60)")
    add("--retries", type=int, help="further tries after a failure that is worth one (default: 3)")
    add("--engine", help="what runs the calls: local or ray (default: local)")
    add("--ray_address", metavar="ADDRESS", help="of the Ray cluster (default: start one here)")
    add("--seed", type=int, help="of everything random (default: 0)")
    parser.add_boolean("--quiet", default=False, help="no progress and no table")
    return parser


def parse_rules(text: str) -> list[dict[str, str]]:
    """Return `category:sums=number,source:mmlu*=multiple_choice` as rules of `BuildConfig.metrics`.

    Raises:
        argparse.ArgumentTypeError: a part is no such rule.
    """
    rules = []
    for part in comma_list(text):
        key, colon, rest = part.partition(":")
        name, equals, metric = rest.rpartition("=")
        if key not in ("category", "source", "instruction") or not colon or not equals:
            raise argparse.ArgumentTypeError(
                f"expected category:NAME=METRIC, source:NAME=METRIC or instruction:ID=METRIC, got {part!r}"
            )
        rules.append({key: name, "metric": metric})
    return rules


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    parser = build_parser()
    arguments = parser.parse_args(argv)
    return run_command(parser.prog, lambda: _work(arguments))


def _work(arguments: argparse.Namespace) -> int:
    from dataset_build.src.build_report import print_plan, print_result, warnings_of
    from dataset_build.src.building import build, plan_build

    config = resolve_config(arguments)
    if config.dry_run:
        print_plan(plan_build(config))
        return 0
    result = build(config, show_progress=not arguments.quiet, on_plan=None if arguments.quiet else _tell)
    if not arguments.quiet:
        print_result(result)
        print(f"Dataset: {result.folder}")
        print(f"Next:    moe train --dataset {result.folder}")
    unused = [f"the rule {rule} is for no instruction; its metric judged nothing" for rule in result.unused_rules]
    judges = [line for one in result.judges for line in one.warnings()]
    for warning in [*warnings_of(result.summary), *unused, *judges]:
        complain(f"Warning: {warning}")
    return 0


def _tell(plan: "BuildPlan") -> None:
    from dataset_build.src.build_report import print_plan

    try:
        print_plan(plan)
    except BrokenPipeError:
        raise EarlyStopError("nobody reads the output; nothing was asked yet. The same command resumes.") from None


def resolve_config(arguments: argparse.Namespace) -> "BuildConfig":
    """Return the configuration that flags, file and defaults amount to."""
    from dataset_build.src.config import BuildConfig, read_yaml, resolve
    from dataset_build.src.data_loader import parse_source
    from dataset_build.src.model_loader import parse_expert

    flags: dict[str, Any] = {
        name: value
        for name, value in vars(arguments).items()
        if name not in {"config", "columns", "quiet", "prices", "judges"}
    }
    if arguments.prices is not None:
        flags["prices"] = read_yaml(arguments.prices)
    if arguments.judges is not None:
        judges = read_yaml(arguments.judges)
        flags["judges"] = judges.get("judges", judges)
    if arguments.sources is not None:
        flags["sources"] = [parse_source(text).model_dump() for text in arguments.sources]
    if arguments.experts is not None:
        flags["experts"] = [config.model_dump() for text in arguments.experts for config in parse_expert(text)]
    if arguments.decontaminate is not None:
        flags["decontaminate"] = [parse_source(text).model_dump() for text in arguments.decontaminate]
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
