"""Route an instruction, let the chosen expert answer it, and fall back where one fails.

moe run --router runs/router "What is 17% of 2,340?"
"""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from dataset_build import Parser


def add_arguments(parser: Parser) -> None:
    """Declare the options."""
    parser.add_argument("text", help="the instruction")
    parser.add_argument("--router", required=True, metavar="R", help="a router folder")
    parser.add_argument("--policy", default=None, help="quality, or cost_weight=NUMBER (the router's own)")
    parser.add_argument(
        "--experts", default=None, metavar="E", help="who answers: a .yaml file, embedded, … (those it was trained on)"
    )
    parser.add_argument(
        "--feedback", type=Path, default=None, metavar="F", help="file of decisions (beside the router)"
    )
    parser.add_boolean("--json", default=False, help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Answer on stdout; everything about the answer goes to stderr, or all of it into the JSON."""
    from dataset_build import ConfigError

    if not args.text.strip():
        raise ConfigError("The instruction is empty; give a text.")
    from mixture_training.src.model_recommender import usd
    from mixture_training.src.moe_controller import MoEController

    with MoEController.load(args.router, experts=args.experts, policy=args.policy, feedback=args.feedback) as moe:
        result = moe.process_instruction(args.text)
    if args.json:
        print(json.dumps(asdict(result), indent=2, ensure_ascii=False))
        return 0
    print(result.response)
    category = "" if result.category is None else f" · {result.category} ({result.confidence:.0%})"
    print(
        f"{result.expert}{category} · {usd(result.cost)} · {result.latency_s:.2f} s · id {result.id}", file=sys.stderr
    )
    for attempt in result.attempts:
        if attempt.error is not None:
            print(f"  {attempt.expert} failed: {attempt.error}", file=sys.stderr)
    return 0
