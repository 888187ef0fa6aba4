"""Learn from the feedback so far: refit the router and promote it when it is not worse.

moe update --router runs/router
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from dataset_build import ConfigError, Parser


def add_arguments(parser: Parser) -> None:
    """Declare the options."""
    parser.add_argument("--router", required=True, metavar="R", help="a router folder")
    parser.add_argument(
        "--feedback", type=Path, default=None, metavar="F", help="file of decisions (beside the router)"
    )
    parser.add_boolean("--json", default=False, help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Update and report."""
    from mixture_training.src.artifacts import check_router
    from mixture_training.src.feedback_store import FeedbackStore, feedback_path
    from mixture_training.src.updating import update_router

    path = args.feedback or feedback_path(Path(args.router))
    check_router(Path(args.router))  # before a file of decisions is made beside nothing
    if args.feedback is not None and not path.is_file():
        raise ConfigError(f"No such file of decisions: {path}.")
    with FeedbackStore(path) as store:
        report = update_router(args.router, store)
    if args.json:
        print(json.dumps(asdict(report), indent=2, default=str))
        return 0
    print(report.reason)
    print(
        f"{report.judgements} judgements: {report.learned_from} responses learned from, {report.held_out} held out; "
        f"version {report.version} is in use, {report.changed:.1%} of the validation choices changed."
    )
    if report.previous is not None:
        print(f"The version before is kept in {report.previous}.")
    return 0
