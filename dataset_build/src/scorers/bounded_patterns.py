"""Regular expressions that end: compiled by the package `regex`, which gives up in time, at a sensible size."""

import re
from math import prod
from typing import Any

from dataset_build.src.scorers.base import UnscorableError, needed

#: Characters of a pattern, and the product of its counted repetitions, which `regex` writes out when it compiles.
_LONGEST, _MOST_COPIES = 10_000, 100_000
#: Patterns that are kept compiled.
_KEPT = 256
_COUNTED = re.compile(r"\{(?:\d*,)?(\d+)\}|\{(\d+),\}")


class BoundedPatterns:
    """Compiles patterns and keeps them.

    Args:
        metric: Named where the package is missing.
        ignore_case: Whether letter case is ignored.

    Raises:
        MissingDependencyError: the package `regex` is not installed.
    """

    def __init__(self, metric: str, *, ignore_case: bool = False) -> None:
        self._regex = needed("regex", metric=metric)
        self._flags = self._regex.IGNORECASE if ignore_case else 0
        self._compiled: dict[str, Any] = {}

    def compile(self, source: str) -> Any:  # noqa: ANN401 - a pattern of a package without types
        """Return the pattern, whose `search` and `fullmatch` take `timeout` in seconds and raise TimeoutError.

        Raises:
            UnscorableError: it is no pattern, or too large a one.
        """
        if source not in self._compiled:
            copies = prod(int(count[1] or count[2]) or 1 for count in _COUNTED.finditer(source[:_LONGEST]))
            if len(source) > _LONGEST or copies > _MOST_COPIES:
                raise UnscorableError(f"the pattern {source[:60]!r} is too large: shorten it, or repeat less")
            if len(self._compiled) >= _KEPT:
                self._compiled.clear()
            try:
                self._compiled[source] = self._regex.compile(source, self._flags)
            except (self._regex.error, RecursionError, OverflowError, ValueError) as problem:
                raise UnscorableError(f"{source[:60]!r} is no pattern: {problem}") from None
        return self._compiled[source]
