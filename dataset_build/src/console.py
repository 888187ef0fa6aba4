"""The terminal, for tables and bars; one that goes away is an `OSError`, not the end of the process."""

from typing import TextIO

from rich.console import Console


class Terminal(Console):
    """A console of rich that passes on that nobody reads it any more, instead of exiting."""

    def on_broken_pipe(self) -> None:
        """Raise what rich has caught."""
        raise BrokenPipeError


def terminal(stream: TextIO | None = None) -> Terminal:
    """Return a console on `stream`; None means stdout."""
    return Terminal(file=stream)
