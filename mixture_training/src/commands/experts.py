"""List the experts of a router, or those of the embedded pool.

moe experts list
moe experts list --router runs/router
"""

import argparse
import json
from typing import Any

from dataset_build import Parser


def add_arguments(parser: Parser) -> None:
    """Declare the options."""
    parser.add_argument("action", choices=["list"], help="what to do")
    parser.add_argument(
        "--router", metavar="R", help="a router folder, or hf:org/name; without it the embedded pool is listed"
    )
    parser.add_boolean("--json", default=False, help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Print one line per expert."""
    rows = _of_router(args.router) if args.router else _embedded()
    if args.json:
        print(json.dumps(rows, indent=2, ensure_ascii=False))
        return 0
    width = max((len(row["name"]) for row in rows), default=0)
    for row in rows:
        score = "" if row.get("mean_score") is None else f"{row['mean_score']:.3f}  "
        print(f"{row['name']:<{width}}  {score}{row['description']}".rstrip())
    return 0


def _of_router(folder: str) -> list[dict[str, Any]]:
    from mixture_training.src.artifacts import Router

    return [
        {
            "name": card.name,
            "description": card.description,
            "mean_score": card.mean_score,
            "mean_cost": card.mean_cost,
            "reachable": card.config is not None,
        }
        for card in Router.load(folder).experts
    ]


def _embedded() -> list[dict[str, Any]]:
    from dataset_build import tools

    return [{"name": name, "description": tools[name].tool_description} for name in tools]
