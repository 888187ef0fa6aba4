"""Route an instruction, let the chosen expert answer it, and fall back where one fails.

moe run --router runs/router "What is 17% of 2,340?"
moe run --router runs/router --stream "Write a poem about the sea"
moe run --router runs/router --messages conversation.json
"""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataset_build import Parser

if TYPE_CHECKING:
    from dataset_build import ChatCall
    from mixture_training.src.moe_controller import MoEController, MoEResult


def add_arguments(parser: Parser) -> None:
    """Declare the options."""
    parser.add_argument("text", nargs="?", help="the instruction")
    parser.add_argument("--messages", type=Path, metavar="F", help="a JSON file of chat messages, or a whole request")
    parser.add_argument("--router", required=True, metavar="R", help="a router folder, or hf:org/name")
    parser.add_argument(
        "--policy", default=None, help="quality, cost_weight=NUMBER, budget=USD, target=SHARE (the router's own)"
    )
    parser.add_argument(
        "--experts", default=None, metavar="E", help="who answers: a .yaml file, embedded, … (those it was trained on)"
    )
    parser.add_argument("--expert", default=None, metavar="NAME", help="who is to answer, whatever the router thinks")
    parser.add_argument("--feedback", default=None, metavar="F", help="file or URL of decisions (beside the router)")
    parser.add_boolean("--stream", default=False, help="print the answer as it comes")
    parser.add_boolean("--keep_texts", default=False, help="keep instruction and answer with the decision")
    parser.add_boolean("--json", default=False, help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Answer on stdout; everything about the answer goes to stderr, or all of it into the JSON."""
    from dataset_build import ConfigError
    from mixture_training.src.conversation import as_call, read_conversation

    if (args.text is None) == (args.messages is None):
        raise ConfigError("Give either an instruction or --messages, and not both.")
    if args.text is not None and not args.text.strip():
        raise ConfigError("The instruction is empty; give a text.")
    if args.stream and args.json:
        raise ConfigError("Give either --stream or --json: an answer that comes in pieces is no JSON.")
    call = as_call(args.text) if args.messages is None else read_conversation(args.messages)
    from mixture_training.src.moe_controller import MoEController

    options = {"experts": args.experts, "policy": args.policy, "feedback": args.feedback}
    with MoEController.load(args.router, keep_texts=args.keep_texts, **options) as moe:
        if args.stream:
            result = _streamed(moe, call, args.expert)
        else:
            result = moe.process_instruction(call, expert=args.expert)
    if args.json:
        print(json.dumps(_as_json(result), indent=2, ensure_ascii=False))
        return 0
    if not args.stream:
        print(result.response or json.dumps(_message(result), ensure_ascii=False))
    _print_facts(result)
    return 0


def _streamed(moe: "MoEController", call: "ChatCall", expert: str | None) -> "MoEResult":
    """Print the pieces as they come; where another expert goes on, a line says so."""
    from mixture_training.src.asking import MoEResult
    from mixture_training.src.model_executor import Piece, Resumed

    result = None
    for event in moe.stream(call, expert=expert):
        if isinstance(event, Piece):
            print(event.piece.text, end="", flush=True)
        elif isinstance(event, Resumed):
            print(f"\n[{event.after} broke off; {event.expert} goes on]", file=sys.stderr)
        elif isinstance(event, MoEResult):
            result = event
    assert result is not None
    print("" if result.response else json.dumps(_message(result), ensure_ascii=False))
    return result


def _print_facts(result: "MoEResult") -> None:
    from mixture_training.src.model_recommender import usd

    category = "" if result.category is None else f" · {result.category} ({result.confidence:.0%})"
    print(
        f"{result.expert}{category} · {usd(result.cost)} · {result.latency_s:.2f} s · id {result.id}", file=sys.stderr
    )
    for attempt in result.attempts:
        if attempt.error is not None:
            print(f"  {attempt.expert} failed: {attempt.error}", file=sys.stderr)


def _message(result: "MoEResult") -> Any:  # noqa: ANN401 - a message of the chat protocol
    """Return what was answered instead of a text (tool calls, say)."""
    return (result.choice or {}).get("message", "")


def _as_json(result: "MoEResult") -> dict[str, Any]:
    """Return the result as JSON-able values."""
    plain = {key: value for key, value in vars(result).items() if key not in ("alternatives", "attempts", "receipt")}
    return {
        **plain,
        "usage": None if result.usage is None else asdict(result.usage),
        "alternatives": [asdict(one) for one in result.alternatives],
        "attempts": [asdict(one) for one in result.attempts],
        "receipt": result.receipt.to_json(),
    }
