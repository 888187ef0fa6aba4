"""Learn from the feedback so far, and put the new version in place when it is shown to be no worse.

Quickly, a correction from the vectors of judged decisions; with --full, the classifier again, from their texts:

moe update --router runs/router
moe update --router runs/router --full
moe update --router runs/router --canary 0.1
"""

import argparse
import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dataset_build import ConfigError, Parser


def add_arguments(parser: Parser) -> None:
    """Declare the options."""
    parser.add_argument("--router", required=True, metavar="R", help="a router folder, or hf:org/name")
    parser.add_boolean("--full", default=False, help="learn the classifier again, from the judged texts")
    parser.add_argument(
        "--canary", type=float, default=None, metavar="SHARE", help="try the new version on this share of the traffic"
    )
    parser.add_argument("--feedback", default=None, metavar="F", help="file or URL of decisions (beside the router)")
    parser.add_boolean("--json", default=False, help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Update and report."""
    from mixture_training.src.artifacts import check_router
    from mixture_training.src.feedback_store import FeedbackStore, feedback_path
    from mixture_training.src.storing.opening import open_store
    from mixture_training.src.updating import update_router

    check_router(Path(args.router))  # before a file of decisions is made beside nothing
    if args.feedback is not None and "://" not in args.feedback and not Path(args.feedback).is_file():
        raise ConfigError(f"No such file of decisions: {args.feedback}.")
    beside = feedback_path(Path(args.router))
    is_new = args.feedback is None and not beside.is_file()
    with FeedbackStore(beside) if is_new else open_store(args.feedback, args.router) as store:
        report = update_router(args.router, store, kind="full" if args.full else "quick", canary=args.canary)
    if args.json:
        print(json.dumps(asdict(report, dict_factory=_finite), indent=2, default=str, allow_nan=False))
        return 0
    print(report.reason)
    if report.trial is not None:
        return 0
    print(
        f"{report.judgements} judgements: {report.learned_from} responses learned from, {report.held_out} held out; "
        f"version {report.version} is in use, {report.changed:.1%} of the validation choices changed."
    )
    for finding in report.findings:
        print(finding)
    if report.drift is not None:
        print(report.drift)
    if report.canary is not None and report.reason.startswith("Tried"):
        print(f"Version {report.canary} answers {args.canary:.0%} of the traffic; `moe versions` says how it does.")
    if report.previous is not None:
        print(f"The version before is kept in {report.previous}.")
    return 0


def _finite(items: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the fields of a record; a number that is none, which JSON has no word for, as null."""
    return {name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in items}
