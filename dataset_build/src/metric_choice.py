"""Which metric judges what: one or several weighted scorers with their options, written as a short text.

`exact_match`, `number{"tolerance": 0.01}`, `0.7*rouge_l + 0.3*chrf` (a mean by weight). The text is stored with every
score.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from dataset_build.src.errors import ConfigError
from dataset_build.src.records import Instruction

_FORMS = 'a name such as exact_match, a name with options such as number{"tolerance": 0.01}, or a weighted sum of them'


@dataclass(frozen=True, slots=True)
class MetricPart:
    """One scorer of a metric.

    Attributes:
        name: Its registered name.
        options: Of its constructor.
        weight: Its share of the score.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    weight: float = 1.0

    def __str__(self) -> str:
        return self.name + (json.dumps(dict(self.options), sort_keys=True) if self.options else "")


@dataclass(frozen=True, slots=True)
class Metric:
    """A weighted mean of scorers."""

    parts: tuple[MetricPart, ...]

    @property
    def total_weight(self) -> float:
        """The sum of the weights, by which a weighted sum of scores becomes their mean."""
        return sum(part.weight for part in self.parts)

    def __str__(self) -> str:
        if len(self.parts) == 1:
            return str(self.parts[0])
        return " + ".join(f"{part.weight!r}*{part}" for part in self.parts)


def parse_metric(text: str) -> Metric:
    """Return the metric that `text` stands for.

    Raises:
        ConfigError: it cannot be read.
    """
    parts: list[MetricPart] = []
    rest = text.strip()
    while rest:
        head = rest.split("{", 1)[0].split("+", 1)[0]
        weight, star, name = head.rpartition("*")
        rest = rest[len(head) :]
        options: object = {}
        if rest.startswith("{"):
            try:
                options, end = json.JSONDecoder().raw_decode(rest)
            except (ValueError, RecursionError) as problem:
                raise ConfigError(f"Metric {text!r}: its options are no JSON object ({problem}).") from None
            rest = rest[end:].lstrip()
        parts.append(_part(name.strip(), options, weight.strip() if star else 1.0, text))
        if not rest:
            return _weighted(parts, text)
        if not rest.startswith("+"):
            break
        rest = rest[1:].strip()
    raise ConfigError(f"Metric {text!r} is not {_FORMS}.")


def metric_text(value: object) -> str:
    """Return the text of a metric as a configuration states it: a text, `{name: …, option: …}`, or a list of these.

    In a list each mapping may have a `weight`.

    Raises:
        ConfigError: it is none of these.
    """
    if isinstance(value, str):
        return str(parse_metric(value))
    entries = value if isinstance(value, list) else [value]
    parts = []
    for entry in entries:
        if isinstance(entry, str):
            parts += list(parse_metric(entry).parts)
        elif isinstance(entry, Mapping) and isinstance(entry.get("name"), str):
            options = {key: inner for key, inner in entry.items() if key not in ("name", "weight")}
            parts.append(_part(entry["name"], options, entry.get("weight", 1.0), str(dict(entry))))
        else:
            raise ConfigError(f"Metric {entry!r:.100} is no text and no mapping with the key `name`.")
    return str(_weighted(parts, str(value)))


def _part(name: str, options: object, weight: object, where: str) -> MetricPart:
    try:
        number = float(weight)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        number = 0.0
    if not re.fullmatch(r"[\w.-]+", name) or not isinstance(options, Mapping):
        raise ConfigError(f"Metric {where!r} is not {_FORMS}.")
    if not 0.0 < number < float("inf"):
        raise ConfigError(f"Metric {where!r}: the weight of {name} is {weight!r}; it must be above 0.")
    return MetricPart(name, dict(options), number)


def _weighted(parts: Sequence[MetricPart], where: str) -> Metric:
    if not parts:
        raise ConfigError(f"Metric {where!r} is not {_FORMS}.")
    return Metric(tuple(parts))


@dataclass(frozen=True, slots=True)
class MetricRule:
    """Which metric judges the instructions that match; what is None matches all. Names may hold `*` and `?`.

    Attributes:
        metric: The metric's text.
        category: Of the instruction.
        source: Of the instruction.
        instruction: Its id.
    """

    metric: str
    category: str | None = None
    source: str | None = None
    instruction: str | None = None

    def __str__(self) -> str:
        conditions = (("category", self.category), ("source", self.source), ("instruction", self.instruction))
        return ", ".join(f"{name}:{value}" for name, value in conditions if value is not None) + f" = {self.metric}"

    def matches(self, instruction: Instruction) -> bool:
        """Return whether the rule is for this instruction."""
        pairs = (
            (self.category, instruction.category),
            (self.source, instruction.source),
            (self.instruction, instruction.id),
        )
        return all(pattern is None or fnmatchcase(value or "", pattern) for pattern, value in pairs)


def unused_rules(rules: Iterable[MetricRule], instructions: Iterable[Instruction]) -> list[MetricRule]:
    """Return the rules that are for none of the instructions: a name in them may be misspelt."""
    left = list(rules)
    for instruction in instructions:
        if not left:
            break
        left = [rule for rule in left if not rule.matches(instruction)]
    return left
