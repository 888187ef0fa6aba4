"""Forget what a user said, or all decisions made before a day.

Texts, features, receipts, comments and names go; how many calls there were, and what they cost, stays.

moe forget ann@example.org --router runs/router
moe forget --before 2026-01-01 --router runs/router
"""

import argparse

from dataset_build import ConfigError, Parser


def add_arguments(parser: Parser) -> None:
    """Declare the options."""
    parser.add_argument("user", nargs="?", default=None, help="the user as the server was told the name")
    parser.add_argument("--before", default=None, metavar="DAY", help="2026-01-31, or a moment with its time (UTC)")
    parser.add_argument("--router", metavar="R", help="the router folder, or hf:org/name")
    parser.add_argument("--feedback", default=None, metavar="F", help="file or URL of decisions (beside the router)")


def run(args: argparse.Namespace) -> int:
    """Forget, and say how much."""
    from mixture_training.src.feedback_store import moment_of
    from mixture_training.src.storing.opening import open_store, spool_of
    from mixture_training.src.storing.spool import forget_rejected

    if (args.user is None) == (args.before is None):
        raise ConfigError("Say whom to forget, or --before DAY, and not both.")
    with open_store(args.feedback, args.router) as store:
        spool = spool_of(store, args.router)
        if args.user is not None:
            count = store.forget_user(args.user)
            if spool is not None:
                count += forget_rejected(spool, user=store.user_hash(args.user))
            print(f"Forgot {count} decisions and judgements of this user.")
        else:
            count = store.forget_before(args.before)
            if spool is not None:
                count += forget_rejected(spool, before=moment_of(args.before))
            print(f"Forgot {count} decisions made before {args.before}, and their judgements.")
            if not store.compact():
                print(f"{store.place} is in use: its file becomes smaller with the next `moe forget`.")
    return 0
