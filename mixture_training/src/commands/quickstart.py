"""Build, train, evaluate and route, on tools that come with the toolkit: no key, no GPU, no download.

Everything is real: the tools are run and timed, the router is trained on what they scored, and it is judged on
phrasings it has never seen.

    moe quickstart --output moe_quickstart
"""

import argparse
import time
from pathlib import Path

from dataset_build import BuildConfig, ConfigError, Parser, build_dataset, positive_int, read_dataset_json

#: Asked of the router at the end; none of them is in the bundled source.
EXAMPLES = (
    "A jacket costs 80 dollars and is marked down by 15 percent. What do I pay at the till?",
    "How many miles is a marathon of 42.195 km?",
    "What tongue is this note in: 'Kde je najbližšia stanica metra, prosím?'",
)
#: What `auto` may take to compare, in seconds: enough for the quicker half of what it knows.
TRAINING_S = 15.0
#: Fewer instructions than this leave fewer than ten to train on.
LEAST = 20


def add_arguments(parser: Parser) -> None:
    """Declare the options."""
    parser.add_argument("--output", type=Path, default=Path("moe_quickstart"), help="folder for everything written")
    parser.add_argument(
        "--max_iter", type=positive_int, default=2400, help="instructions to ask every expert (default: 2400)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of everything random (default: 0)")


def run(args: argparse.Namespace) -> int:
    """Run the four steps; each uses what the one before it left in the output folder."""
    from rich.console import Console

    console = Console()
    started = time.perf_counter()
    dataset, router, report = (args.output / name for name in ("dataset", "router", "report"))

    _check_place(dataset, router, args)
    console.rule("1/4  Build: ask every expert every instruction and score the answers")
    build_dataset(
        BuildConfig(
            output=dataset,
            max_iter=args.max_iter,
            seed=args.seed,
            use_existing_dataset=(dataset / "dataset.json").is_file(),
        ),
        show_progress=True,
    )
    console.rule("2/4  Train: learn who does what well")
    _train(dataset, router, args.seed)
    console.rule("3/4  Evaluate: on phrasings never seen in training")
    page = _evaluate(dataset, router, report, args.seed, console)
    console.rule("4/4  Route: three new instructions")
    _answer(router, console)

    console.rule(f"Done in {time.perf_counter() - started:.0f} s")
    console.print(f"Report:  {page}", highlight=False, soft_wrap=True)
    console.print("Next:", highlight=False)
    for line in (
        f'moe run --router {router} "What is 17% of 2,340?"',
        f'moe route --router {router} --policy cost_weight=1e8 "What is 17% of 2,340?"',
        f"moe evaluate --dataset {dataset} --router {router} --methods linear,knn,xgboost",
        "moe build --sources questions.csv --columns instruction=question,reference=answer --experts experts.yaml",
    ):
        console.print(f"  {line}", highlight=False, markup=False, soft_wrap=True)
    return 0


def _check_place(dataset: Path, router: Path, args: argparse.Namespace) -> None:
    """Raise where the folder holds what a quickstart did not make, or the instructions are too few to train on."""
    if args.max_iter < LEAST:
        raise ConfigError(f"--max_iter {args.max_iter} leaves too little to train on; give at least {LEAST}.")
    if (dataset / "dataset.json").is_file():
        built = read_dataset_json(dataset)
        sources = {source.get("source") for source in built.get("config", {}).get("sources", [])}
        if sources != {"bundled"} or any(expert.get("provider") != "tool" for expert in built.get("experts", [])):
            raise ConfigError(f"{dataset} holds a dataset that no quickstart made; choose another --output.")
    elif (router / "router.json").is_file():
        raise ConfigError(f"{router} holds a router that no quickstart made; choose another --output.")


def _train(dataset: Path, router: Path, seed: int) -> None:
    from mixture_training.src.config import TrainConfig
    from mixture_training.src.training import train_router

    train_router(
        TrainConfig(dataset=str(dataset), output=router, overwrite=True, seed=seed, time_budget_s=TRAINING_S),
        show_progress=True,
    )


def _evaluate(dataset: Path, router: Path, report: Path, seed: int, console: object) -> Path:
    from mixture_training.src.artifacts import Router
    from mixture_training.src.evaluation import evaluate, method_of_router
    from mixture_training.src.report import print_report, write_report
    from mixture_training.src.training_data import load_training_data

    data = load_training_data(dataset, seed=seed)
    result = evaluate(data, [method_of_router("router", Router.load(router))], dataset="quickstart", seed=seed)
    print_report(result, console)  # type: ignore[arg-type]
    return write_report(result, report)[0]


def _answer(router: Path, console: object) -> None:
    from rich.console import Console

    from mixture_training.src.moe_controller import MoEController

    assert isinstance(console, Console)
    with MoEController.load(router) as moe:
        for instruction in EXAMPLES:
            result = moe.process_instruction(instruction)
            console.print(f"[bold]> {instruction}", highlight=False)
            console.print(f"  {result.response}", highlight=False, markup=False)
            console.print(f"  [dim]{result.reason}", highlight=False)
            for attempt in result.attempts:
                if attempt.error is not None:
                    console.print(f"  [dim]{attempt.expert} {attempt.error}", highlight=False)
            console.print(f"  [dim]answered by {result.expert}", highlight=False)
