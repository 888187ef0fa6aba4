"""List a router's versions: since when, how each came about, what became of it and why, and how it was judged.

moe versions --router runs/router
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from dataset_build import Parser


def add_arguments(parser: Parser) -> None:
    """Declare the options."""
    parser.add_argument("--router", required=True, metavar="R", help="a router folder, or hf:org/name")
    parser.add_argument("--feedback", default=None, metavar="F", help="file or URL of decisions (beside the router)")
    parser.add_boolean("--json", default=False, help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Print one line per version, and how a trial stands."""
    from mixture_training.src.artifacts import check_router
    from mixture_training.src.feedback_store import feedback_path
    from mixture_training.src.storing.opening import open_store
    from mixture_training.src.version_folders import read_state
    from mixture_training.src.versions import list_versions, trial_text

    folder = Path(args.router)
    check_router(folder)
    state, trial = read_state(folder), None
    if args.feedback is None and not feedback_path(folder).is_file():
        rows = list_versions(folder)
    else:
        with open_store(args.feedback, args.router) as store:
            rows = list_versions(folder, store.judged())
            trial = None if state.canary is None else trial_text(folder, state, store)
    if args.json:
        canary = None if state.canary is None else {**asdict(state.canary), "so_far": trial}
        print(json.dumps({"versions": [asdict(row) for row in rows], "canary": canary}, indent=2, ensure_ascii=False))
        return 0
    print(f"{'version':<12}  {'since':<16}  {'how':<5}  {'state':<11}  {'judged':>6}  {'mean':>5}  why")
    for row in rows:
        mean = "" if row.mean_score is None else f"{row.mean_score:.3f}"
        kept = "" if row.is_kept else "(not kept) "
        print(
            f"{row.tag:<12}  {row.when[:16].replace('T', ' ')}  {row.how:<5}  {row.state:<11}  {row.judged:>6}  "
            f"{mean:>5}  {kept}{row.reason}".rstrip()
        )
    if state.canary is not None:
        so_far = trial or "no judgements so far"
        print(f"Version {state.canary.version} is tried on {state.canary.share:.0%} of the traffic: {so_far}.")
    return 0
