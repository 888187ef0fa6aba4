"""Judge methods and routers on a dataset, beside random, every expert, best single, best per category and oracle.

moe evaluate --dataset runs/dataset --methods linear,knn --router runs/router --report runs/report
"""

import argparse
from pathlib import Path

from dataset_build import ConfigError, Parser, comma_list, parse_columns, validate


def add_arguments(parser: Parser) -> None:
    """Declare the options."""
    parser.add_argument("--dataset", required=True, metavar="D", help="a built folder, a file, or hf:org/name")
    parser.add_argument(
        "--methods", type=comma_list, default=[], metavar="a,b", help="model types to fit on its train split and judge"
    )
    parser.add_argument(
        "--router", action="append", default=[], metavar="R", help="a saved router to judge; may be given again"
    )
    parser.add_argument("--split", default="test", choices=["test", "validation"], help="rows to judge on (test)")
    parser.add_argument("--policy", default="quality", help="quality, or cost_weight=NUMBER (quality)")
    parser.add_argument("--report", type=Path, metavar="DIR", help="write report.html, .md, .json and the plot here")
    parser.add_argument("--json", type=Path, metavar="F", help="write the JSON report to this file")
    parser.add_argument("--columns", type=parse_columns, default=None, metavar="a=b", help="columns with other names")
    parser.add_argument("--seed", type=int, default=0, help="of the fits and of the bootstrap (0)")


def run(args: argparse.Namespace) -> int:
    """Fit, judge, print and write."""
    from rich.console import Console

    from mixture_training.src.artifacts import Router
    from mixture_training.src.config import TrainConfig
    from mixture_training.src.evaluation import evaluate, fit_method, method_of_router
    from mixture_training.src.model_types import make_classifier
    from mixture_training.src.policy import parse_policy
    from mixture_training.src.report import print_report, to_json, write_report
    from mixture_training.src.training_data import load_training_data

    policy = parse_policy(args.policy)
    shared = validate(TrainConfig, {"seed": args.seed}, where="the command line")
    unfitted = {
        name: make_classifier(shared.model_copy(update={"model_type": name})) for name in dict.fromkeys(args.methods)
    }
    for target in filter(None, (args.json and args.json.parent, args.report)):
        _check_writable(target)
    routers = {_router_name(folder): Router.load(folder) for folder in dict.fromkeys(args.router)}
    if twice := set(unfitted) & set(routers):
        raise ConfigError(f"{sorted(twice)[0]!r} names a method and a router folder; rename the folder.")
    data = load_training_data(args.dataset, columns=args.columns, seed=args.seed)
    console = Console()
    methods = [method_of_router(name, router) for name, router in routers.items()]
    for name, classifier in unfitted.items():
        with console.status(f"fitting {name}"):
            methods.append(fit_method(name, classifier, data))
    dataset = Path(args.dataset).name if not args.dataset.startswith("hf:") else args.dataset
    result = evaluate(data, methods, split=args.split, policy=policy, dataset=dataset, seed=args.seed)
    print_report(result, console)
    if args.json:
        try:
            args.json.parent.mkdir(parents=True, exist_ok=True)
            args.json.write_text(to_json(result), encoding="utf-8")
        except OSError as problem:
            raise ConfigError(f"Cannot write {args.json}: {problem.strerror or problem}.") from None
    if args.report:
        written = write_report(result, args.report)
        print(f"Report: {written[0]}")
    return 0


def _router_name(folder: str) -> str:
    return Path(folder).resolve().name if Path(folder).name in ("", ".", "..") else Path(folder).name


def _check_writable(folder: Path) -> None:
    """Raise before the work when `folder` cannot be made or written."""
    import os

    above = folder.absolute()
    while not above.exists():
        above = above.parent
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        raise ConfigError(f"Cannot write to {folder}: {above} is not a writable folder. Choose another place.")
