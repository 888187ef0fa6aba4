"""Train a router: learn from a dataset which expert will score what, and write the router folder.

    python mixture_training/src/training.py --epochs 10 --batch_size 16 --model_type roberta-large
    moe train --dataset runs/dataset --output runs/router --model_type linear --encoder minilm+tfidf
    torchrun --nproc_per_node 2 mixture_training/src/training.py --model_type roberta-large

An interrupted transformer goes on from its last finished epoch with --resume.
"""

if __name__ == "__main__":  # run the importable module, never a second copy named __main__
    import os
    import sys
    from importlib import import_module

    sys.path[0] = os.path.abspath(os.path.join(__file__, "../../.."))
    try:
        sys.exit(import_module("mixture_training.src.training").main())
    except KeyboardInterrupt:  # while modules are imported
        print("training.py: interrupted", file=sys.stderr)
        sys.exit(3)

import argparse
import logging
import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dataset_build import EarlyStopError, Parser, comma_list, parse_columns, positive_int, run_command

if TYPE_CHECKING:
    from mixture_training.src.artifacts import Router
    from mixture_training.src.classifier import Classifier
    from mixture_training.src.config import TrainConfig
    from mixture_training.src.training_data import TrainingData


def train_router(config: "TrainConfig", *, show_progress: bool = False) -> Path:
    """Train the router that `config` describes and return its folder.

    Args:
        config: What to train on, what to train, and where to write it.
        show_progress: Print steps, and the validation table at the end.

    Raises:
        ConfigError: something asked for does not exist, or the output is in the way.
        DataError: the dataset is not what training needs.
        EarlyStopError: a transformer was interrupted; its finished epochs are kept.
    """
    from mixture_training.src.artifacts import check_output
    from mixture_training.src.model_types import TRANSFORMER, make_classifier, parse_model_type
    from mixture_training.src.policy import parse_policy
    from mixture_training.src.training_data import load_training_data

    is_first = int(os.environ.get("RANK", "0")) == 0
    show_progress = show_progress and is_first
    if show_progress:
        logging.getLogger("mixture_training").setLevel(logging.INFO)
    kind, _ = parse_model_type(config.model_type)
    parse_policy(config.policy)
    if is_first:
        check_output(config.output, overwrite=config.overwrite)
    checkpoints = config.output.with_name(config.output.name + ".checkpoints") if kind == TRANSFORMER else None
    started = time.perf_counter()
    data = load_training_data(config.dataset, columns=config.columns or None, experts=config.experts, seed=config.seed)
    if show_progress:
        counts = ", ".join(f"{len(data.split(name)):,} {name}" for name in ("train", "validation", "test"))
        print(f"{config.dataset}: {len(data.experts)} experts, {counts}")
    classifier = make_classifier(config, checkpoints=checkpoints)
    if checkpoints is not None and is_first and not config.resume:
        shutil.rmtree(checkpoints, ignore_errors=True)
    if show_progress:
        print(f"training {config.model_type} …", flush=True)
    router = _fit(config, data, classifier, checkpoints)
    if is_first:
        router.save(config.output, overwrite=config.overwrite)
        if checkpoints is not None:
            shutil.rmtree(checkpoints, ignore_errors=True)
    if show_progress:
        print_trials(router)
        print_summary(router, seconds=time.perf_counter() - started)
    return config.output


def _fit(config: "TrainConfig", data: "TrainingData", classifier: "Classifier", checkpoints: Path | None) -> "Router":
    """Fit and judge; an interrupt that leaves checkpoints behind says how to go on."""
    from dataset_build import read_dataset_json
    from mixture_training.src.fitting import fit_router

    try:
        return fit_router(
            data,
            classifier,
            policy=config.policy,
            dataset=read_dataset_json(config.dataset),
            path=config.dataset,
            options=config.model_dump(mode="json", exclude={"output", "overwrite", "resume"}),
            guard=config.guard,
            seed=config.seed,
        )
    except KeyboardInterrupt:
        if checkpoints is None or not any(checkpoints.glob("checkpoint-*")):
            raise
        raise EarlyStopError(
            f"interrupted; the finished epochs are kept in {checkpoints}: the same command with --resume goes on"
        ) from None


def print_trials(router: "Router") -> None:
    """Print the table of what `auto` tried, the best first; nothing for other classifiers."""
    tried = router.options["diagnostics"].get("tried")
    if not tried:
        return
    seconds = getattr(router.classifier, "fit_seconds_", {})
    width = max(len(trial["name"]) for trial in tried)
    print("tried on parts of train not learned from: behind the best ± its error, mean score, ms a route, s to fit")
    for trial in tried:
        mark = ">" if trial["is_chosen"] else " "
        took = f"{seconds[trial['name']]:6.1f}" if trial["name"] in seconds else ""
        print(
            f"{mark} {trial['name']:<{width}} {trial['behind']:.4f} ±{trial['standard_error']:.4f} "
            f"{trial['quality']:.4f} {1000 * trial['route_s']:4.2g} {took}".rstrip()
        )
    print("Chosen: of those within one standard error of the best, the best that is about as fast as the fastest.")


def print_summary(router: "Router", *, seconds: float) -> None:
    """Print how the router does on validation, where it is, and what to do next."""
    from rich.console import Console
    from rich.table import Table

    metrics, console = router.metrics, Console()
    print(f"trained in {seconds:.1f} s")
    if metrics["instructions"]:
        table = Table(title=f"validation: {metrics['instructions']:,} instructions, policy {metrics['policy']}")
        for name in ("choice", "mean score", "95 % interval", "USD each"):
            table.add_column(name, justify="left" if name == "choice" else "right")
        for name, key in (
            ("this router", "routed"),
            (f"best single ({metrics['best_single_name']})", "best_single"),
            ("random", "random"),
            ("oracle", "oracle"),
        ):
            row = metrics[key]
            cost = "unknown" if row["cost"] is None else f"{row['cost']:.3g}"
            table.add_row(name, f"{row['value']:.3f}", f"{row['low']:.3f} to {row['high']:.3f}", cost)
        console.print(table)
        print(verdict(router))
        if all(card.mean_cost is None for card in router.experts):
            print("No cost is recorded: all experts count as free, and policies about cost cannot tell them apart.")
    else:
        print("There are no validation rows, so nothing is known about its quality yet: moe evaluate tells.")
    print(f"router: {router.folder}")
    print(f'next:   moe run --router {router.folder} "YOUR INSTRUCTION"')
    print(f"        moe evaluate --dataset {router.data['path']} --router {router.folder} --report report")


def verdict(router: "Router") -> str:
    """Return whether routing is better than not routing, and what is done where it has not been shown to be."""
    guard, name = router.assurance.guard, router.metrics["best_single_name"]
    if guard is None:
        return f"Nothing shows whether this is better than always asking {name}: moe evaluate tells."
    told = []
    for found, other in (
        (guard.quality, f"always asking {name}"),
        (guard.cost, "the best single expert for each cost"),
    ):
        numbers = (
            f"{found.value:+.3f} ({found.low:+.3f} to {found.high:+.3f}, {found.rows:,} instructions not learned from)"
        )
        if found.is_better:
            told.append(f"Better than {other}: {numbers}.")
        elif found.high < 0:
            told.append(f"WORSE than {other}: {numbers}.")
        else:
            told.append(f"Not shown to be better than {other}: {numbers}.")
    if guard.quality.is_better and guard.cost.is_better:
        return "\n".join(told)
    stopped = " and ".join(
        part for part, found in (("under quality", guard.quality), ("under cost", guard.cost)) if not found.is_better
    )
    if guard.on:
        told.append(
            f"So {stopped} it sends all to the expert that is best on average; --guard False routes all the same."
        )
    else:
        told.append(f"It routes {stopped} all the same, as --guard False asks.")
    told.append("Try another --model_type or --encoder, or more data.")
    return "\n".join(told)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command."""
    parser = Parser(prog="moe train", description=__doc__)
    add = parser.add_argument
    add("--config", type=Path, metavar="F.yaml", help="read options from a YAML file; flags beat it")
    add("--dataset", metavar="D", help="built folder, .parquet/.jsonl/.csv file, or hf:org/name (runs/dataset)")
    add("--output", type=Path, metavar="DIR", help="the router folder (runs/router)")
    add("--experts", type=comma_list, metavar="A,B", help="route to these experts of the dataset only (all)")
    add(
        "--model_type",
        metavar="M",
        help="auto (the best of these by cross-validation, or their stack), linear, logistic, kernel, knn, cluster, "
        "factorisation, hierarchical, xgboost, mlp, contrastive, ensemble, llm, or a transformer to fine-tune: minilm "
        "(embedded), bert-base-uncased, roberta-large, any Hugging Face id or folder (default: auto)",
    )
    add(
        "--encoder",
        metavar="E",
        help="what the classifier reads: static, minilm, minilm-fp32, tfidf, features, several joined with +, any HF "
        "id (each model type has its own default)",
    )
    add("--members", type=comma_list, metavar="a:b,…", help="for auto, ensemble: classifier:encoder of each to combine")
    add("--time_budget_s", type=float, metavar="S", help="for auto: about the seconds to compare for (120)")
    parser.add_boolean(
        "--guard", shown=True, help="send all to the best single expert where routing is not shown to be better"
    )
    add("--llm", metavar="L", help="for llm: transformers_local:PATH_OR_ID, or a .yaml file with one expert")
    add("--epochs", type=positive_int, metavar="N", help="passes over train, for a transformer (10)")
    add("--batch_size", type=positive_int, metavar="N", help="instructions per step, for a transformer (16)")
    add("--learning_rate", type=float, metavar="R", help="for a transformer (chosen by its size)")
    add("--warmup_ratio", type=float, metavar="R", help="share of the steps in which the rate rises (0.1)")
    add("--weight_decay", type=float, metavar="R", help="for a transformer (0.01)")
    add(
        "--early_stopping_patience",
        type=positive_int,
        metavar="N",
        help="epochs without progress on validation (transformer, 3), or trees on a part of train (xgboost, 20)",
    )
    parser.add_boolean("--resume", help="go on from a transformer's last checkpoint")
    add(
        "--policy",
        metavar="P",
        help="the router's default: quality, cost_weight=NUMBER, budget=USD, target=SHARE (quality)",
    )
    add("--columns", type=parse_columns, metavar="a=b", help="columns with other names in the dataset")
    parser.add_boolean("--overwrite", help="replace a router that is at --output")
    add("--seed", type=int, metavar="S", help="of everything random (0)")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0 done, 2 bad input, 3 interrupted."""
    flags = vars(build_parser().parse_args(argv))

    def work() -> int:
        from dataset_build import resolve
        from mixture_training.src.config import TrainConfig

        config = resolve(TrainConfig, flags.pop("config"), flags)
        train_router(config, show_progress=True)
        return 0

    return run_command("moe train", work)
