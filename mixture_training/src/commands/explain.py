"""Say why an instruction went where it went, and whether it would go there again.

moe explain --router runs/router 3f2a9c81d0b74e65
moe explain --router runs/router 3f2a9c81d0b74e65 --text "What is 17% of 2,340?"

The receipt's own numbers are ranked again; where the text was kept or is given, so is the text, by the version of the
router that decided.
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from dataset_build import ConfigError, Parser

if TYPE_CHECKING:
    from rich.console import Console

    from mixture_training.src.artifacts import Router
    from mixture_training.src.decisions import Decision
    from mixture_training.src.receipt import Candidate, NearInstruction, Receipt, Replay


def add_arguments(parser: Parser) -> None:
    """Declare the options."""
    parser.add_argument("id", help="the id that `moe run` printed, or the server gave")
    parser.add_argument("--router", metavar="R", help="the router folder, or hf:org/name")
    parser.add_argument("--feedback", default=None, metavar="F", help="file or URL of decisions (beside the router)")
    parser.add_argument("--text", default=None, help="what was routed, where texts were not kept")
    parser.add_boolean("--json", default=False, help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Print the receipt; exit code 0 whether or not the replay agrees."""
    from mixture_training.src.receipt import Receipt
    from mixture_training.src.storing.opening import open_store

    with open_store(args.feedback, args.router) as store:
        decision = store.decision(args.id)
    if not decision.receipt:
        raise ConfigError(f"Decision {args.id} has no receipt: it was forgotten, or made by a version without them.")
    receipt = Receipt.from_json(decision.receipt, decision.features)
    router = None if args.router is None else find_version(Path(args.router), receipt.router_version)
    text = args.text if args.text is not None else decision.instruction
    by_numbers = receipt.recompute()
    by_router = None if router is None or text is None else receipt.replay(router, text)
    near = () if router is None else receipt.nearest(router)
    if args.json:
        found = {
            **receipt.to_json(),
            "outcome": decision.outcome,
            "answered_by": decision.expert,
            "cost": decision.cost,
            "nearest": [asdict(one) for one in near],
            "replay": asdict(by_numbers),
            "replay_by_router": None if by_router is None else asdict(by_router),
        }
        print(json.dumps(found, indent=2, ensure_ascii=False))
        return 0
    from rich.console import Console

    console = Console()
    _print(console, decision, receipt, near)
    _say(console, _by_numbers(by_numbers))
    _say(console, _by_router(receipt, router is not None, text is not None, by_router))
    return 0


def find_version(folder: Path, version: str) -> "Router | None":
    """Return a version of the router in `folder`, in use or kept; None where it is not there any more.

    Raises:
        ConfigError: there is no router in the folder.
        DataError: the version is damaged.
    """
    from mixture_training.src.artifacts import Router, check_router
    from mixture_training.src.version_folders import kept_folder, number_of, tag_of

    check_router(folder)
    for place in (folder, kept_folder(folder, number_of(version))):
        if place.is_dir() and tag_of(place) == version:
            return Router.load(place)
    return None


def _print(console: "Console", decision: "Decision", receipt: "Receipt", near: "tuple[NearInstruction, ...]") -> None:
    from mixture_training.src.model_recommender import usd

    _say(console, f"{receipt.chosen} · {receipt.created} · policy {receipt.policy} · router {receipt.router_version}")
    _say(console, receipt.reason)
    if receipt.category is not None:
        _say(console, f"Category {receipt.category} ({receipt.confidence or 0.0:.0%}).")
    if receipt.novelty is not None and receipt.novelty > 1.0:
        _say(console, f"Unlike anything the router learned from (distance {receipt.novelty:.2f}).")
    if receipt.session_expert is not None:
        _say(
            console,
            f"{receipt.session_expert} answered the session before; staying saves {usd(receipt.session_saving)}.",
        )
    if receipt.is_canary:
        _say(console, "Decided by a version on trial.")
    console.print(_table(receipt))
    following = receipt.next_best
    if following is not None:
        _say(
            console,
            f"Next best: {following.expert}, expected to score {following.expected_score:.2f} "
            f"for {usd(receipt.cost_of(following))}.",
        )
    _say(console, _outcome(decision, receipt))
    if near:
        _say(console, "Training instructions most like it:")
        for one in near:
            best = max(one.scores.values(), default=0.0)
            who = ", ".join(name for name, score in one.scores.items() if score == best)
            category = "" if one.category is None else f" [{one.category}]"
            _say(console, f"  {one.similarity:.2f}{category} {_short(one.text)} (best: {who or 'unknown'}, {best:.2f})")


def _table(receipt: "Receipt") -> object:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=box.SIMPLE, pad_edge=False)
    table.add_column("")
    table.add_column("expert", overflow="fold")
    table.add_column("expected score", justify="right")
    table.add_column("expected cost", justify="right")
    table.add_column("probability", justify="right")
    table.add_column("")
    for one in receipt.options:
        mark = "→" if one.expert == receipt.chosen else ""
        values = (mark, one.expert, _score(one), _cost(receipt, one), f"{one.propensity:.3g}", one.excluded or "")
        table.add_row(*map(escape, values), style="bold" if mark else "dim" if one.excluded else None)
    return table


def _score(one: "Candidate") -> str:
    bounds = "" if one.low is None or one.high is None else f" [{one.low:.2f}, {one.high:.2f}]"
    mean = "" if one.mean_score is None else f" (mean {one.mean_score:.2f})"
    return f"{one.expected_score:.3f}{bounds}{mean}"


def _cost(receipt: "Receipt", one: "Candidate") -> str:
    from mixture_training.src.model_recommender import usd

    return usd(receipt.cost_of(one))


def _outcome(decision: "Decision", receipt: "Receipt") -> str:
    from mixture_training.src.model_recommender import usd

    if receipt.cached_from is not None:
        return f"Answered from the cache with what decision {receipt.cached_from} got."
    if decision.outcome == "cancelled":
        return f"The caller went away; the calls cost {usd(decision.cost)}."
    if decision.expert is None:
        return f"Nobody answered; the calls cost {usd(decision.cost)}."
    instead = "" if decision.expert == receipt.chosen else f", because {receipt.chosen} failed"
    return f"Answered by {decision.expert}{instead}, for {usd(decision.cost)} in {decision.latency_s:.2f} s."


def _by_numbers(found: "Replay") -> str:
    if found.agrees:
        return "Replay by its own numbers: the same decision."
    return f"Replay by its own numbers: another decision ({found.difference})."


def _by_router(receipt: "Receipt", has_router: bool, has_text: bool, found: "Replay | None") -> str:
    if found is None:
        if not has_router:
            return f"No replay by the router: version {receipt.router_version} is not at hand."
        return "No replay by the router: the text was not kept; give it with --text." if not has_text else ""
    if found.agrees:
        return "Replay by the router: the same decision" + (f", but {found.difference}." if found.difference else ".")
    return f"Replay by the router: another decision ({found.difference})."


def _say(console: "Console", text: str) -> None:
    console.print(text, markup=False, highlight=False)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 72 else f"{line[:71]}…"
