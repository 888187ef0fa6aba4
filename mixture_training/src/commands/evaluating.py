"""Judge methods and routers on a dataset, beside random, every expert, best single, best per category and oracle.

moe evaluate --dataset runs/dataset --methods linear,knn --router runs/router --report runs/report
moe evaluate --dataset runs/dataset --methods auto,knn:minilm --repeats 5 --diagnostics --choices peer=peer.parquet
"""

import argparse
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataset_build import ConfigError, Parser, comma_list, parse_columns, positive_int, validate

if TYPE_CHECKING:
    from mixture_training.src.classifier import Classifier
    from mixture_training.src.evaluation_result import EvaluationResult
    from mixture_training.src.methods import Method
    from mixture_training.src.training_data import TrainingData

    Makers = Mapping[str, Callable[[], Classifier]]


def add_arguments(parser: Parser) -> None:
    """Declare the options."""
    parser.add_argument("--dataset", required=True, metavar="D", help="a built folder, a file, or hf:org/name")
    parser.add_argument(
        "--methods",
        type=comma_list,
        default=[],
        metavar="a,b:ENCODER",
        help="model types to fit on its train split and judge; an encoder after a colon, as in linear:static+tfidf",
    )
    parser.add_argument(
        "--router",
        action="append",
        default=[],
        metavar="R",
        help="a saved router to judge, or hf:org/name; may be given again",
    )
    parser.add_argument(
        "--choices",
        action="append",
        default=[],
        metavar="NAME=FILE",
        help="choices made elsewhere, in the table that `moe route --dataset` writes; may be given again",
    )
    parser.add_argument("--split", default="test", choices=["test", "validation"], help="rows to judge on (test)")
    parser.add_argument(
        "--policy", default="quality", help="quality, cost_weight=NUMBER, budget=USD or target=SHARE (quality)"
    )
    parser.add_argument("--report", type=Path, metavar="DIR", help="write report.html, .md, .json and the plot here")
    parser.add_argument("--json", type=Path, metavar="F", help="write the JSON report to this file")
    parser.add_argument(
        "--repeats", type=positive_int, metavar="N", help="fit and judge --methods on N further random splits as well"
    )
    parser.add_boolean(
        "--diagnostics",
        default=False,
        help="look for duplicates and leaks, and draw the learning curve of the first of --methods",
    )
    parser.add_boolean(
        "--leave_category_out", default=False, help="fit the first of --methods without each category, judge it on that"
    )
    parser.add_argument(
        "--export",
        action="append",
        default=[],
        metavar="FORMAT:FILE",
        help="write the choices as routerarena, routerbench or llmrouterbench read them; may be given again",
    )
    parser.add_argument("--samples", type=positive_int, default=2000, metavar="N", help="bootstrap resamples (2000)")
    parser.add_argument("--columns", type=parse_columns, default=None, metavar="a=b", help="columns with other names")
    parser.add_argument("--experts", type=comma_list, default=None, metavar="A,B", help="of the dataset, only these")
    parser.add_argument("--seed", type=int, default=0, help="of the fits, splits and bootstrap (0)")


def run(args: argparse.Namespace) -> int:
    """Fit, judge, print and write."""
    from rich.console import Console

    from mixture_training.src.artifacts import Router
    from mixture_training.src.evaluation import evaluate
    from mixture_training.src.exports import parse_export
    from mixture_training.src.methods import Method, fit_method, method_of_router
    from mixture_training.src.outside_choices import parse_choices, read_choices
    from mixture_training.src.policy import parse_policy
    from mixture_training.src.report import print_report, to_json, write_report
    from mixture_training.src.training_data import load_training_data

    policy = parse_policy(args.policy)
    makers = _makers(args)
    exports = [parse_export(text) for text in dict.fromkeys(args.export)]
    for target in filter(None, (args.json and args.json.parent, args.report, *(place.parent for _, place in exports))):
        _check_writable(target)
    routers = {_router_name(folder): Router.load(folder) for folder in dict.fromkeys(args.router)}
    outside = {name: read_choices(file) for name, file in map(parse_choices, dict.fromkeys(args.choices))}
    _check_names(makers, routers, outside)
    data = load_training_data(args.dataset, columns=args.columns, experts=args.experts, seed=args.seed)
    console = Console()
    methods = [method_of_router(name, router) for name, router in routers.items()]
    methods += [Method(name, given=given) for name, given in outside.items()]
    with _progress(console) as on_step:
        prices = _prices(args.dataset, data)
        for name, make in makers.items():
            on_step(f"fitting {name}")
            methods.append(fit_method(name, make(), data, prices=prices, seed=args.seed))
        dataset = Path(args.dataset).name if not args.dataset.startswith("hf:") else args.dataset
        result = evaluate(
            data,
            methods,
            split=args.split,
            policy=policy,
            dataset=dataset,
            seed=args.seed,
            samples=args.samples,
            on_step=on_step,
        )
        result = _more(args, result, data, makers, methods, on_step)
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
    _export(result, data, exports)
    return 0


def _makers(args: argparse.Namespace) -> "Makers":
    """Return name -> what makes the method; the first making shows whether it can be made."""
    from functools import partial

    from mixture_training.src.config import TrainConfig
    from mixture_training.src.model_types import make_classifier

    found: dict[str, Callable[[], Classifier]] = {}
    shared = validate(TrainConfig, {"seed": args.seed}, where="the command line")
    for text in dict.fromkeys(args.methods):
        name, colon, encoder = text.partition(":")
        if colon and not encoder:
            raise ConfigError(f"--methods {text!r} names no encoder after the colon; write {name}:ENCODER or {name}.")
        make = partial(make_classifier, shared.model_copy(update={"model_type": name, "encoder": encoder or None}))
        make()
        found[text] = make
    if (args.repeats or args.leave_category_out) and not found:
        raise ConfigError("--repeats and --leave_category_out fit --methods again; give at least one.")
    if args.repeats == 1:
        raise ConfigError("--repeats 1 has no spread; give at least 2.")
    return found


def _more(
    args: argparse.Namespace,
    result: "EvaluationResult",
    data: "TrainingData",
    makers: "Makers",
    methods: "list[Method]",
    on_step: Callable[[str], None],
) -> "EvaluationResult":
    """Return the result with repeated splits and diagnostics, where they were asked for."""
    from dataclasses import replace

    from mixture_training.src.diagnostics import Subject, diagnose
    from mixture_training.src.policy import parse_policy
    from mixture_training.src.repeats import with_repeats

    policy = parse_policy(args.policy)
    if args.repeats:
        result = with_repeats(
            result, data, makers, repeats=args.repeats, policy=policy, seed=args.seed, on_step=on_step
        )
    if args.leave_category_out and not data.category_names:
        raise ConfigError(f"--leave_category_out needs categories, and {args.dataset} has none.")
    if args.diagnostics or args.leave_category_out:
        first = next(iter(makers), None)
        subject = None
        if first is not None:
            subject = Subject(first, makers[first], next(method for method in methods if method.name == first))
        found = diagnose(
            data,
            subject,
            split=args.split,
            policy=policy,
            leave_category_out=args.leave_category_out,
            everything=args.diagnostics,
            seed=args.seed,
            samples=args.samples,
            on_step=on_step,
        )
        result = replace(result, diagnostics=found)
    return result


def _prices(dataset: str, data: "TrainingData") -> Any:  # noqa: ANN401 - a price per expert
    from dataset_build import read_dataset_json
    from mixture_training.src.fitting import expert_cards

    return [card.price for card in expert_cards(data.split("train"), read_dataset_json(dataset))]


def _export(result: "EvaluationResult", data: "TrainingData", exports: list[tuple[str, Path]]) -> None:
    """Write every method's choices in every form; with several methods the name goes before the ending."""
    from mixture_training.src.exports import Choices, export, file_name

    rows = data.split(result.split)
    for form, place in exports:
        for name, experts in result.choices.items():
            own = place
            if len(result.choices) > 1 and form != "llmrouterbench":
                own = place.with_name(f"{place.stem}-{file_name(name)}{place.suffix}")
            written = export(Choices(name, rows, experts, result.split, result.policy), form, own)
            print(f"Choices of {name} for {form}: {written[0]}")


@contextmanager
def _progress(console: Any) -> Iterator[Callable[[str], None]]:  # noqa: ANN401 - rich is imported where it is used
    """Show what is being done and for how long, on a terminal only; gives what to call with each step."""
    from rich.markup import escape
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("starting", total=None)
        yield lambda step: progress.update(task, description=escape(step))


def _check_names(*groups: Mapping[str, object]) -> None:
    seen: set[str] = set()
    for group in groups:
        if twice := seen & set(group):
            raise ConfigError(f"{sorted(twice)[0]!r} names a method and a router; rename the folder or the file.")
        seen |= set(group)


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
