"""Abilities by patterns over the text: built-in ones, and the user's own.

The built-in patterns run in time linear in the text; the user's own give up after a moment.
"""

import logging
from collections import Counter
from collections.abc import Sequence
from typing import Any

from dataset_build.src.abilities import Tagger, check_names
from dataset_build.src.errors import ConfigError, MissingDependencyError
from dataset_build.src.taggers.built_in_rules import RULES
from dataset_build.src.taggers.reading import Reading

logger = logging.getLogger(__name__)

#: Seconds one own pattern may take for one text.
TIMEOUT_S = 0.1


class RulesTagger(Tagger):
    """Gives an ability where one of its patterns is found.

    Args:
        rules: Ability -> regular expressions, letter case ignored. One that a built-in ability has too takes its place.
        built_in: Whether the built-in abilities are given besides.

    Raises:
        ConfigError: a pattern is wrong, or there is no rule at all.
        MissingDependencyError: there are own rules, and the package `regex` is not installed.
    """

    kind = "rules"

    def __init__(self, *, rules: dict[str, list[str]] | None = None, built_in: bool = True) -> None:
        own = rules or {}
        check_names(own, where="abilities, rules")
        self._built_in = {name: rule for name, rule in RULES.items() if name not in own} if built_in else {}
        self._own = {name: [_compiled(name, source) for source in sources] for name, sources in own.items()}
        self.names = tuple(sorted({*self._built_in, *own}))
        if not self.names:
            raise ConfigError("abilities, rules: there is no rule; give some, or leave `built_in` on.")
        self._too_slow: Counter[str] = Counter()

    def tag(self, texts: Sequence[str]) -> list[tuple[str, ...] | None]:
        """Return the abilities whose rules find something; never None."""
        return [self._tag(text) for text in texts]

    def facts(self) -> dict[str, Any]:
        """Return how often an own pattern took too long, by ability, where any did."""
        return {"too_slow": dict(sorted(self._too_slow.items()))} if self._too_slow else {}

    def _tag(self, text: str) -> tuple[str, ...]:
        reading = Reading(text)
        found = {name for name, rule in self._built_in.items() if rule.applies(reading)}
        found.update(name for name, patterns in self._own.items() if self._is_found(name, patterns, reading.text))
        return tuple(sorted(found))

    def _is_found(self, name: str, patterns: Sequence[Any], text: str) -> bool:
        for pattern in patterns:
            try:
                if pattern.search(text, timeout=TIMEOUT_S):
                    return True
            except TimeoutError:
                if not self._too_slow[name]:
                    logger.warning("abilities: a pattern of %s took more than %g s for a text", name, TIMEOUT_S)
                self._too_slow[name] += 1
        return False


def _compiled(name: str, source: str) -> Any:  # noqa: ANN401 - a pattern of a package without types
    from dataset_build.src.scorers.base import UnscorableError
    from dataset_build.src.scorers.bounded_patterns import BoundedPatterns

    try:
        return BoundedPatterns("abilities", ignore_case=True).compile(source)
    except MissingDependencyError:
        raise MissingDependencyError('Own rules for abilities need regex: pip install "moe-toolkit[scorers]"') from None
    except UnscorableError as problem:
        raise ConfigError(f"abilities, rules, {name}: {problem}.") from None
