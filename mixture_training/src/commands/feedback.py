"""Say how good an answer was; `moe update` learns from it.

A score from 0 to 1, another answer that was worse, or what would have been right:

moe feedback --router runs/router 3f2a9c81d0b74e65 --score 1
moe feedback --router runs/router 3f2a9c81d0b74e65 --preferred_to 90b1c2d3e4f50617
moe feedback --router runs/router 3f2a9c81d0b74e65 --correction "It is 397.8."
"""

import argparse

from dataset_build import Parser


def add_arguments(parser: Parser) -> None:
    """Declare the options."""
    parser.add_argument("id", help="the id that `moe run` printed")
    parser.add_argument("--router", metavar="R", help="the router folder, or hf:org/name")
    judgement = parser.add_mutually_exclusive_group(required=True)
    judgement.add_argument("--score", type=float, default=None, help="from 0 (useless) to 1 (right)")
    judgement.add_argument("--preferred_to", default=None, metavar="ID", help="the decision whose answer was worse")
    judgement.add_argument("--correction", default=None, metavar="TEXT", help="what would have been right")
    parser.add_argument("--comment", default=None, help="why")
    parser.add_argument("--user", default=None, metavar="NAME", help="who says so (stored hashed)")
    parser.add_boolean(
        "--keep_texts", default=False, help="store the text of a correction, not only that there was one"
    )
    parser.add_argument("--feedback", default=None, metavar="F", help="file or URL of decisions (beside the router)")


def run(args: argparse.Namespace) -> int:
    """Store the judgement."""
    from mixture_training.src.storing.opening import open_store

    with open_store(args.feedback, args.router) as store:
        if args.preferred_to is not None:
            store.prefer(args.id, args.preferred_to, args.comment, user=args.user)
        elif args.correction is not None:
            store.correct(args.id, args.correction, args.comment, user=args.user, keep_text=args.keep_texts)
        else:
            store.record(args.id, args.score, args.comment, user=args.user)
        decision = store.decision(args.id)
        count = store.counts().feedback
    about = f"decision {decision.id}" if decision.instruction is None else repr(decision.instruction[:60])
    print(f"Noted: {decision.expert} {_what(args)} on {about} ({count} judgements so far).")
    return 0


def _what(args: argparse.Namespace) -> str:
    if args.preferred_to is not None:
        return f"preferred to decision {args.preferred_to}"
    return "corrected" if args.correction is not None else f"scored {args.score:g}"
