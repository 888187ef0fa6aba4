"""Command-line parsing that every command of the toolkit shares.

Flags take `--snake_case` and `--kebab-case`; booleans take `--flag`, `--no-flag`, `--flag True`, `--flag False`.
A wrong flag or value is one line on stderr and exit code 2.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from difflib import get_close_matches
from typing import NoReturn

from dataset_build.src.errors import ToolkitError

_TRUE, _FALSE = {"true", "1", "yes", "on"}, {"false", "0", "no", "off"}


class Parser(argparse.ArgumentParser):
    """An argument parser with the toolkit's conventions."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        kwargs.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        kwargs.setdefault("allow_abbrev", False)
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self._booleans: set[str] = set()

    def add_boolean(self, flag: str, *, default: bool | None = None, help: str = "", shown: bool = False) -> None:
        """Add a switch that takes `--flag`, `--no-flag` and `--flag True/False`.

        Args:
            flag: The name with dashes in front and underscores inside, `--use_existing_dataset`.
            default: Its value when absent; None where a configuration decides.
            help: What it does.
            shown: What the help says the default is, where it is None.
        """
        self._booleans.add(flag)
        told = shown if default is None else default
        self.add_argument(
            flag, type=parse_boolean, default=default, metavar="True|False", help=f"{help} (default: {told})"
        )

    def parse_known_args(self, args=None, namespace=None):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
        """Parse after rewriting kebab-case flags and bare booleans to one form."""
        return super().parse_known_args(self._normalise(sys.argv[1:] if args is None else args), namespace)

    def _normalise(self, args: Sequence[str]) -> list[str]:
        out: list[str] = []
        waiting = list(args)
        while waiting:
            arg = waiting.pop(0)
            if arg == "--":
                return [*out, arg, *waiting]
            if not arg.startswith("--"):
                out.append(arg)
                continue
            flag, equals, value = arg.partition("=")
            flag = "--" + flag[2:].replace("-", "_")
            if flag.startswith("--no_") and "--" + flag[5:] in self._booleans:
                out.append(f"--{flag[5:]}=False")
            elif flag in self._booleans and not equals:
                follows = waiting[0].lower() if waiting else ""
                out.append(f"{flag}={waiting.pop(0) if follows in _TRUE | _FALSE else 'True'}")
            else:
                out.append(flag + equals + value)
        return out

    def error(self, message: str) -> NoReturn:
        """Print one line and exit with code 2; an unknown flag names the nearest known one."""
        if message.startswith("unrecognized arguments:"):
            unknown = message.split(": ", 1)[1].split()[0].partition("=")[0]
            known = [option for action in self._actions for option in action.option_strings]
            close = get_close_matches(unknown, known, n=1)
            if close:
                message += f". Did you mean {close[0]}?"
        self.exit(2, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


def parse_boolean(text: str) -> bool:
    """Return the truth `text` names.

    Raises:
        argparse.ArgumentTypeError: it names none.
    """
    if text.lower() in _TRUE:
        return True
    if text.lower() in _FALSE:
        return False
    raise argparse.ArgumentTypeError(f"expected True or False, got {text!r}")


def positive_int(text: str) -> int:
    """Return `text` as an integer of at least 1.

    Raises:
        argparse.ArgumentTypeError: it is not one.
    """
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return number


def comma_list(text: str) -> list[str]:
    """Return the non-empty parts of a comma-separated text."""
    return [part.strip() for part in text.split(",") if part.strip()]


def parse_columns(text: str) -> dict[str, str]:
    """Return `instruction=question,reference=answer` as a mapping from canonical name to the file's name.

    Raises:
        argparse.ArgumentTypeError: a part has no `=`.
    """
    mapping = {}
    for part in comma_list(text):
        canonical, equals, given = part.partition("=")
        if not equals or not canonical.strip() or not given.strip():
            raise argparse.ArgumentTypeError(f"expected NAME=COLUMN,NAME=COLUMN, got {text!r}")
        mapping[canonical.strip()] = given.strip()
    return mapping


def run_command(prog: str, work: Callable[[], int]) -> int:
    """Run a command's work; a `ToolkitError` becomes one line on stderr and its exit code.

    Ctrl-C is exit code 3, as everywhere: whatever was finished is already kept. A reader of the output that has seen
    enough (`head`, say) is no error; output that cannot be written is one line and exit code 2.
    """
    try:
        code = work()
        sys.stdout.flush()  # what cannot be written is better said here than by the interpreter at its end
        return code
    except ToolkitError as problem:
        complain(f"{prog}: {' '.join(str(problem).split())}")
        return problem.exit_code
    except KeyboardInterrupt:
        complain(f"{prog}: interrupted")
        return 3
    except BrokenPipeError:
        _give_up_stdout()
        return 0
    except OSError as problem:
        if problem.filename is not None:  # it is about another file
            raise
        _give_up_stdout()
        complain(f"{prog}: cannot write the output: {problem.strerror or problem}")
        return 2


def complain(line: str) -> None:
    """Print a line on stderr, where there is somebody to read it."""
    with suppress(OSError):
        print(line, file=sys.stderr, flush=True)  # noqa: T201


def _give_up_stdout() -> None:
    """Let what is left to print go nowhere."""
    with suppress(OSError, ValueError):  # under a test it may be no file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
