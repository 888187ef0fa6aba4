"""Go back to an earlier version of a router, or end the trial of the one on trial.

moe rollback --router runs/router
moe rollback --router runs/router --to 2
"""

import argparse
from pathlib import Path

from dataset_build import Parser


def add_arguments(parser: Parser) -> None:
    """Declare the options."""
    parser.add_argument("--router", required=True, metavar="R", help="a router folder, or hf:org/name")
    parser.add_argument(
        "--to", type=int, default=None, metavar="N", help="a version that is kept (the one before; ends a trial first)"
    )
    parser.add_argument("--reason", default="By hand.", help="what is written down")


def run(args: argparse.Namespace) -> int:
    """Go back and say so; a server that runs takes it within a second."""
    from mixture_training.src.artifacts import check_router
    from mixture_training.src.versions import rollback

    check_router(Path(args.router))
    print(rollback(args.router, args.to, reason=args.reason))
    return 0
