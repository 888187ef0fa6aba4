"""Find a class by the name a user types, importing its module only then."""

from collections.abc import Iterator
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import entry_points
from typing import Generic, TypeVar

from dataset_build.src.errors import ConfigError

T = TypeVar("T")


def nearest(name: str, known: list[str]) -> str:
    """Return ` Did you mean 'x'?` for the known name closest to `name`, or an empty string."""
    close = get_close_matches(name, known, n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


class Registry(Generic[T]):
    """A table from short names to classes that are imported on first use.

    Packages add their own through the entry-point group `moe_toolkit.<kind>`, with the kind's
    spaces as underscores: `[project.entry-points."moe_toolkit.expert"]`, `mine = "package.module:MyExpert"`.

    Args:
        kind: What the table holds, as it appears in messages ("expert", "metric").
        home: Name to `"module:attribute"`.
    """

    def __init__(self, kind: str, home: dict[str, str]) -> None:
        self.kind = kind
        self._home = dict(home)
        self._plugins: dict[str, str] | None = None

    def _table(self) -> dict[str, str]:
        if self._plugins is None:
            group = f"moe_toolkit.{self.kind.replace(' ', '_')}"
            self._plugins = {point.name: point.value for point in entry_points(group=group)}
        return {**self._plugins, **self._home}

    def __getitem__(self, name: str) -> type[T]:
        """Return the class called `name`.

        Raises:
            ConfigError: no such name; the message lists the known ones and the nearest.
        """
        table = self._table()
        if name not in table:
            known = sorted(table)
            raise ConfigError(f"Unknown {self.kind} {name!r}.{nearest(name, known)} Known: {', '.join(known)}.")
        module, _, attribute = table[name].partition(":")
        found: type[T] = getattr(import_module(module), attribute)
        return found

    def __contains__(self, name: object) -> bool:
        return name in self._table()

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._table()))
