"""Put a router or a built dataset on the Hugging Face hub; nothing beside its own files goes there.

moe push --router runs/router org/name
moe push --dataset runs/dataset org/name --private False

The token is that of HF_TOKEN, or of `hf auth login`.
"""

import argparse
from typing import Any

from dataset_build import ConfigError, Parser


def add_arguments(parser: Parser) -> None:
    """Declare the options."""
    parser.add_argument("name", help="org/name on the hub")
    parser.add_argument("--router", metavar="R", help="a router folder, or hf:org/name as it was updated here")
    parser.add_argument("--dataset", metavar="D", help="the folder of a built dataset")
    parser.add_boolean("--private", default=True, help="let only its owner see it")
    parser.add_boolean(
        "--with_data", default=True, help="push the instructions and scores a router learned from as well"
    )
    parser.add_argument("--message", metavar="TEXT", help="what the hub shows beside the commit")


def run(args: argparse.Namespace) -> int:
    """Push, and print the address."""
    if (args.router is None) == (args.dataset is None):
        raise ConfigError("Give either --router R or --dataset D, and only one of them.")
    options: dict[str, Any] = {"private": args.private}
    if args.message is not None:
        options["commit_message"] = args.message
    if args.dataset is not None:
        from dataset_build import push_dataset

        print(push_dataset(args.dataset, args.name, **options))
        return 0
    from mixture_training.src.artifacts import Router

    print(Router.load(args.router).push_to_hub(args.name, with_data=args.with_data, **options))
    return 0
