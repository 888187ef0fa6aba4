"""Say how good an answer was, from 0 to 1; `moe update` learns from it.

moe feedback --router runs/router 3f2a9c81d0b74e65 --score 1
"""

import argparse
from pathlib import Path

from dataset_build import ConfigError, Parser


def add_arguments(parser: Parser) -> None:
    """Declare the options."""
    parser.add_argument("id", help="the id that `moe run` printed")
    parser.add_argument("--router", metavar="R", help="the router folder")
    parser.add_argument("--score", type=float, required=True, help="from 0 (useless) to 1 (right)")
    parser.add_argument("--comment", default=None, help="why")
    parser.add_argument(
        "--feedback", type=Path, default=None, metavar="F", help="file of decisions (beside the router)"
    )


def run(args: argparse.Namespace) -> int:
    """Store the judgement."""
    from mixture_training.src.feedback_store import FeedbackStore, feedback_path

    if args.feedback is None and args.router is None:
        raise ConfigError("Give --router R (or --feedback F, the file of decisions).")
    path = args.feedback or feedback_path(Path(args.router))
    if not path.is_file():
        raise ConfigError(f"No decisions in {path}; `moe run` writes them.")
    with FeedbackStore(path) as store:
        store.record(args.id, args.score, args.comment)
        decision = store.decision(args.id)
        count = len(store.feedback())
    print(
        f"Noted: {decision.expert} scored {args.score:g} on {decision.instruction[:60]!r} ({count} judgements so far)."
    )
    return 0
