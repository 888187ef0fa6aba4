"""List, add and revoke the keys by which clients may ask a server.

moe keys add --router runs/router team-a --budget_usd 20 --requests_per_minute 600
moe keys list --router runs/router
moe keys revoke --router runs/router key-3f2a9c81d0b74e65
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from dataset_build import ConfigError, Parser, comma_list, positive_int

if TYPE_CHECKING:
    from mixture_training.src.storing.keys import Key, KeyStore


def add_arguments(parser: Parser) -> None:
    """Declare the options."""
    parser.add_argument("action", choices=["list", "add", "revoke"], help="what to do")
    parser.add_argument("name", nargs="?", help="add: whose key it is; revoke: its id")
    parser.add_argument("--router", metavar="R", help="the router folder (or hf:org/name) that is served")
    parser.add_argument(
        "--feedback", "--store", dest="feedback", metavar="F", help="the database, where the server was given one"
    )
    parser.add_argument("--budget_usd", type=float, metavar="USD", help="what it may spend in all (no limit)")
    parser.add_argument("--requests_per_minute", type=positive_int, metavar="N", help="how often it may ask (no limit)")
    parser.add_argument("--experts", type=comma_list, metavar="A,B", help="who may answer (all)")
    parser.add_argument("--policies", type=comma_list, metavar="P,Q", help="what may be asked for (all)")
    parser.add_boolean("--json", default=False, help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Do it; the secret of a new key is printed on stdout, once."""
    from mixture_training.src.artifacts import check_router
    from mixture_training.src.feedback_store import FeedbackStore, feedback_path

    if args.feedback is None and args.router is None:
        raise ConfigError("Give --router R (or --feedback F, the database of the server).")
    if args.action != "list" and not args.name:
        wanted = "a name for the key" if args.action == "add" else "the id of the key, as `moe keys list` shows it"
        raise ConfigError(f"moe keys {args.action} needs {wanted}.")
    if args.feedback is None:
        check_router(Path(args.router))  # before a database is made beside nothing
    with FeedbackStore(args.feedback or feedback_path(Path(args.router))) as store:
        if args.action == "add":
            return _add(store.keys, args)
        if args.action == "revoke":
            key = store.keys.revoke(args.name)
            print(f"Revoked: {key.id} ({key.name}). Servers refuse it within about a second.")
            return 0
        return _list(store.keys.list(), is_json=args.json)


def _add(keys: "KeyStore", args: argparse.Namespace) -> int:
    key, secret = keys.add(
        args.name,
        budget_usd=args.budget_usd,
        requests_per_minute=args.requests_per_minute,
        experts=args.experts,
        policies=args.policies,
    )
    if args.json:
        print(json.dumps({**asdict(key), "secret": secret}, indent=2))
    else:
        print(f"{secret}\n\nThis is the key {key.id} ({key.name}). It is shown this once; keep it.")
    return 0


def _list(keys: "list[Key]", *, is_json: bool) -> int:
    if is_json:
        print(json.dumps([asdict(key) for key in keys], indent=2))
        return 0
    if not keys:
        print("No keys yet; `moe keys add NAME` makes one.")
    for key in keys:
        budget = "no limit" if key.budget_usd is None else f"{key.budget_usd:g}"
        rate = "" if key.requests_per_minute is None else f", {key.requests_per_minute} a minute"
        only = "" if key.experts is None else f", only {', '.join(key.experts)}"
        only += "" if key.policies is None else f", only by {', '.join(key.policies)}"
        state = "revoked" if key.is_disabled else f"last used {key.last_used or 'never'}"
        print(f"{key.id}  {key.name}  …{key.hint}  {key.spent_usd:.4g} of {budget} USD{rate}{only}  {state}")
    return 0
