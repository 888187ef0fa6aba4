"""Say which expert an instruction should go to and why, or route every row of a dataset into a table.

moe route --router runs/router "What is 17% of 2,340?"
moe route --router runs/router --messages conversation.json
moe route --router runs/router --dataset runs/dataset --split test --output choices.parquet
"""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataset_build import ConfigError, DataError, Parser, parse_columns

if TYPE_CHECKING:
    from mixture_training.src.model_recommender import Recommendation

_FORMATS = (".parquet", ".csv", ".jsonl")


def add_arguments(parser: Parser) -> None:
    """Declare the options."""
    parser.add_argument("text", nargs="?", help="the instruction")
    parser.add_argument("--messages", type=Path, metavar="F", help="a JSON file of chat messages, or a whole request")
    parser.add_argument("--router", required=True, metavar="R", help="a router folder, or hf:org/name")
    parser.add_argument("--dataset", metavar="D", help="route the rows of a built folder, a file, or hf:org/name")
    parser.add_argument(
        "--split", default="test", choices=["train", "validation", "test", "all"], help="its rows (test)"
    )
    parser.add_argument("--output", type=Path, metavar="F", help=f"where the table goes: {', '.join(_FORMATS)}")
    parser.add_argument(
        "--policy", default=None, help="quality, cost_weight=NUMBER, budget=USD, target=SHARE (the router's own)"
    )
    parser.add_boolean(
        "--guard", default=True, help="send all to the best single expert where routing is not shown to be better"
    )
    parser.add_argument("--columns", type=parse_columns, default=None, metavar="a=b", help="columns with other names")
    parser.add_boolean("--json", default=False, help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Route a text or a dataset."""
    if sum(given is not None for given in (args.text, args.messages, args.dataset)) != 1:
        raise ConfigError("Give either an instruction or --dataset (or --messages), and only one of them.")
    if args.text is not None and not args.text.strip():
        raise ConfigError("The instruction is empty; give a text.")
    if args.dataset is not None and args.output is None:
        raise ConfigError("Routing a dataset needs --output FILE.parquet (or .csv, .jsonl).")
    if args.dataset is None and args.output is not None:
        raise ConfigError("--output goes with --dataset; an instruction is answered on the terminal.")
    return _route_text(args) if args.dataset is None else _route_dataset(args)


def _route_text(args: argparse.Namespace) -> int:
    from mixture_training.src.artifacts import Router
    from mixture_training.src.model_recommender import Recommender

    recommender = Recommender(Router.load(args.router), policy=args.policy, heed_guard=args.guard)
    text = args.text
    if args.messages is not None:
        from mixture_training.src.conversation import read_conversation, routing_text

        text = routing_text(read_conversation(args.messages))
    recommendation = recommender.recommend([text])[0]
    if args.json:
        print(json.dumps(_as_json(recommendation), indent=2, ensure_ascii=False))
    else:
        _print(recommendation)
    return 0


def _route_dataset(args: argparse.Namespace) -> int:
    from dataclasses import replace

    import pandas as pd

    from mixture_training.src.artifacts import Router
    from mixture_training.src.model_recommender import Recommender
    from mixture_training.src.training_data import from_frame, make_splits

    if args.output.suffix not in _FORMATS:
        raise ConfigError(f"--output {args.output} ends in {args.output.suffix!r}; expected {', '.join(_FORMATS)}.")
    recommender = Recommender(Router.load(args.router), policy=args.policy, heed_guard=args.guard)
    data = from_frame(_rows(args.dataset, args.columns))
    if args.split != "all":
        data = replace(data, splits=make_splits(data)).split(args.split)
    if not len(data):
        raise ConfigError(f"{args.dataset} has no instruction in split {args.split!r}; choose another --split.")
    table = recommender.table(data.texts)
    chosen = table.ranking[:, 0]
    rows = range(len(data))
    frame = pd.DataFrame(
        {
            "instruction_id": data.ids,
            "expert": [table.experts[column] for column in chosen],
            "category": table.categories,
            "confidence": table.confidences,
            "predicted_cost": table.costs[rows, chosen],
            **{f"score:{name}": table.scores[:, column] for column, name in enumerate(table.experts)},
        }
    )
    _write(frame, args.output)
    counts = frame["expert"].value_counts()
    guarded = 0 if table.is_guarded is None else int(table.is_guarded.sum())
    if args.json:
        found = {"output": str(args.output), "rows": len(frame), "experts": counts.to_dict()}
        print(json.dumps({**found, "guarded": guarded, "novel_share": table.novel_share}))
    else:
        print(f"Routed {len(frame)} instructions to {args.output}:")
        for name, count in counts.items():
            print(f"  {count:>6}  {name}")
        if table.novel_share:
            print(f"{table.novel_share:.1%} are unlike anything the router learned from.")
        if guarded:
            print(f"{guarded} were ranked by the experts' means (see the router's README); --guard False ranks all.")
    return 0


def _rows(dataset: str, columns: dict[str, str] | None) -> Any:  # noqa: ANN401 - a pandas frame
    """Return a dataset in interchange form; a plain file of instructions needs neither experts nor scores."""
    import pandas as pd

    from dataset_build import COLUMNS, load_instructions, parse_source, read_table

    if dataset.startswith("hf:") or Path(dataset).is_dir():
        return read_table(dataset, columns=columns)
    try:
        return read_table(dataset, columns=columns)
    except DataError as not_interchange:
        if "has no column" not in str(not_interchange):
            raise
        source = parse_source(dataset)
        options = {"columns": columns} if columns else {}
        instructions = load_instructions([source.model_copy(update=options)], seed=0, limit=None)
        frame = pd.DataFrame(
            {
                "instruction_id": [instruction.id for instruction in instructions],
                "instruction": [instruction.text for instruction in instructions],
                "category": [instruction.category for instruction in instructions],
                "split": [instruction.split for instruction in instructions],
                "expert": "",
            }
        )
        return frame.assign(**{name: None for name in COLUMNS if name not in frame})


def _write(frame: Any, output: Path) -> None:  # noqa: ANN401 - a pandas frame, imported where it is used
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        if output.suffix == ".parquet":
            frame.to_parquet(output, index=False)
        elif output.suffix == ".csv":
            frame.to_csv(output, index=False)
        else:
            frame.to_json(output, orient="records", lines=True, force_ascii=False)
    except OSError as problem:
        raise ConfigError(f"Cannot write {output}: {problem.strerror or problem}.") from None


def _as_json(recommendation: "Recommendation") -> dict[str, Any]:
    first = recommendation.ranking[0]
    return {
        "expert": recommendation.expert,
        "category": recommendation.category,
        "confidence": recommendation.confidence,
        "abilities": recommendation.abilities,
        "expected_score": first.expected_score,
        "expected_cost": first.expected_cost,
        "low": first.low,
        "high": first.high,
        "novelty": recommendation.novelty,
        "is_novel": recommendation.is_novel,
        "is_guarded": recommendation.is_guarded,
        "policy": recommendation.policy,
        "reason": recommendation.reason,
        "ranking": [
            {
                "expert": o.expert,
                "expected_score": o.expected_score,
                "expected_cost": o.expected_cost,
                "low": o.low,
                "high": o.high,
            }
            for o in recommendation.ranking
        ],
    }


def _print(recommendation: "Recommendation") -> None:
    from mixture_training.src.model_recommender import usd

    print(recommendation.expert)
    print(f"  {recommendation.reason}")
    if recommendation.category is not None:
        print(f"  category {recommendation.category} ({recommendation.confidence:.0%})")
    if recommendation.abilities:
        print(f"  asks for {', '.join(recommendation.abilities)}")
    if recommendation.is_novel:
        print("  unlike anything the router learned from")
    width = max(len(option.expert) for option in recommendation.ranking)
    for option in recommendation.ranking:
        bounds = "" if option.low is None else f"  ({option.low:.2f} to {option.high:.2f})"
        print(f"  {option.expert:<{width}}  {option.expected_score:.3f}{bounds}  {usd(option.expected_cost)}")
