"""`moe`: one command for everything.

    moe quickstart
    moe build --output runs/dataset
    moe train --dataset runs/dataset --output runs/router
    moe run --router runs/router "What is 17% of 2,340?"

A sub-command is a module of `commands` with `add_arguments(parser)` and `run(args) -> int`; it is imported only when
it was asked for, so that `moe --help` stays instant.
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import Namespace

    from dataset_build import Parser

#: Sub-command -> what it does, in the order of the help.
COMMANDS = {
    "quickstart": "build, train, evaluate and route examples with the embedded experts",
    "build": "ask every expert every instruction, score the answers, write a dataset",
    "train": "train a router on a dataset",
    "evaluate": "judge routers and methods on a dataset, beside every reference point",
    "route": "say which expert an instruction (or every row of a dataset) should go to",
    "run": "route an instruction and answer it",
    "serve": "serve a router behind the protocol of OpenAI",
    "keys": "list, add and revoke the keys that a server takes",
    "explain": "say why an instruction went where it went",
    "feedback": "say how good an answer was",
    "forget": "forget what a user said, or everything before a day",
    "update": "learn from the feedback so far",
    "versions": "list a router's versions, and how the one on trial does",
    "rollback": "go back to an earlier version of a router",
    "experts": "list the experts of a router or of the embedded pool",
    "push": "put a router or a dataset on the Hugging Face hub",
    "judge": "compare a judge with known scores before trusting it",
    "import": "convert what others have published (RouterBench, RouteLLM, AlpacaEval, lm-eval logs …) into a dataset",
}

#: Sub-commands that are programs of their own: module and function.
_PROGRAMS = {"build": ("dataset_build", "build_main"), "train": ("mixture_training.src.training", "main")}

#: Sub-commands that look whether the hub has a newer router; the others take the copy that is here.
_ROUTING = {"evaluate", "experts", "route", "run", "serve"}

#: Sub-commands whose module bears another name: a file `evaluate.py` would replace Hugging Face's package, `import` is
#: a word of the language, and a module called `judge` would be taken for the scorer.
_MODULES = {"evaluate": "evaluating", "import": "importing", "judge": "judging"}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a sub-command and return its exit code: 0 done, 2 bad input, 3 stopped early with everything kept."""
    try:
        return _main(list(sys.argv[1:] if argv is None else argv))
    except KeyboardInterrupt:  # while modules are imported; later each command says so itself
        print("moe: interrupted", file=sys.stderr)
        return 3


def _main(args: list[str]) -> int:
    from dataset_build import nearest, run_command

    if not args:
        print(_help(), file=sys.stderr)
        return 2
    if args[0] in ("-h", "--help"):
        return run_command("moe", _print_help)
    if args[0] in ("-V", "--version"):
        print(f"moe {_version()}")
        return 0
    name, rest = args[0], args[1:]
    if name not in COMMANDS:
        known = list(COMMANDS)
        print(f"moe: unknown command {name!r}.{nearest(name, known)} Known: {', '.join(known)}.", file=sys.stderr)
        return 2
    if name in _PROGRAMS:
        module, function = _PROGRAMS[name]
        code: int = getattr(import_module(module), function)(rest)
        return code
    parsed = parser_of(name).parse_args(rest)
    return run_command(f"moe {name}", lambda: int(_module(name).run(_with_folders(name, parsed))))


def _with_folders(name: str, args: "Namespace") -> "Namespace":
    """Return the arguments with the folder of each `--router hf:org/name` in its place."""
    given = getattr(args, "router", None)
    routers = given if isinstance(given, list) else [given]
    if any(isinstance(router, str) and router.startswith("hf:") for router in routers):
        from mixture_training.src.hub_router import find_router

        found = [str(find_router(str(router), is_fresh=name in _ROUTING)) for router in routers]
        args.router = found if isinstance(given, list) else found[0]
    return args


def parser_of(name: str) -> "Parser":
    """Return the parser of a sub-command that is a module of `commands`."""
    from dataset_build import Parser

    command = _module(name)
    parser = Parser(prog=f"moe {name}", description=command.__doc__)
    command.add_arguments(parser)
    return parser


def _module(name: str) -> ModuleType:
    return import_module(f"mixture_training.src.commands.{_MODULES.get(name, name)}")


def _print_help() -> int:
    print(_help(), flush=True)
    return 0


def _help() -> str:
    width = max(map(len, COMMANDS))
    lines = "\n".join(f"  {name:<{width}}  {what}" for name, what in COMMANDS.items())
    return (
        f"usage: moe COMMAND [options]\n\n{lines}\n\n`moe COMMAND --help` tells a command's options; `moe --version`."
    )


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("moe-toolkit")
    except PackageNotFoundError:
        return "(not installed)"


if __name__ == "__main__":
    sys.exit(main())
