"""The `bundled` source: thousands of instructions from a seed, written by this project."""

import random
from collections.abc import Iterator
from importlib import import_module

from dataset_build.src.errors import ConfigError
from dataset_build.src.records import Instruction
from dataset_build.src.registry import nearest
from dataset_build.src.sources.base import Source
from dataset_build.src.sources.bundled.kinds import Kind
from dataset_build.src.sources.bundled.noise import render

#: Module names in this package that hold a `KIND`.
KIND_MODULES: tuple[str, ...] = (
    "algebra",
    "arithmetic",
    "calculus",
    "chemistry",
    "date_arithmetic",
    "date_normalisation",
    "geography",
    "holidays",
    "intent",
    "language_id",
    "lemmatisation",
    "locale_format",
    "passage_qa",
    "python_formatting",
    "sentiment",
    "spelling",
    "sql_translation",
    "summarisation",
    "unit_conversion",
    "word_problem",
)

#: Instructions per category unless asked otherwise.
PER_CATEGORY = 400
#: Draws without a new text after which a family counts as exhausted.
PATIENCE = 200


def load_kinds() -> dict[str, Kind]:
    """Return category -> kind, in a fixed order."""
    kinds = [import_module(f"{__package__}.{name}").KIND for name in KIND_MODULES]
    return {kind.category: kind for kind in kinds}


class BundledSource(Source):
    """Instructions of many kinds, taken from the categories in turn, so any prefix is balanced.

    Args:
        categories: Which categories; None means all.
        per_category: How many instructions of each.
    """

    name = "bundled"

    def __init__(self, categories: list[str] | None = None, per_category: int = PER_CATEGORY) -> None:
        self._kinds = load_kinds()
        for category in categories or ():
            if category not in self._kinds:
                known = list(self._kinds)
                raise ConfigError(
                    f"Unknown bundled category {category!r}.{nearest(category, known)} Known: {', '.join(known)}."
                )
        if per_category < 1:
            raise ConfigError(f"per_category is {per_category}; it must be at least 1.")
        self._categories = list(categories or self._kinds)
        self._per_category = per_category

    def instructions(self, *, seed: int, limit: int | None = None) -> Iterator[Instruction]:
        """Yield instructions, one category after another in turn; no text comes twice."""
        seen: set[str] = set()
        streams = [self._of_kind(self._kinds[category], seed, seen) for category in self._categories]
        count = 0
        while streams:
            for stream in list(streams):
                if limit is not None and count >= limit:
                    return
                instruction = next(stream, None)
                if instruction is None:
                    streams.remove(stream)
                    continue
                count += 1
                yield instruction

    def _of_kind(self, kind: Kind, seed: int, seen: set[str]) -> Iterator[Instruction]:
        rng = random.Random(f"{seed}/{kind.category}")
        splits = kind.split_of_families()
        families = kind.family_ids()
        made = 0
        while made < self._per_category and families:
            rng.shuffle(families)
            for entry in list(families):
                if made >= self._per_category:
                    return
                family, task, template = entry
                for _ in range(PATIENCE):
                    drawn = task.draw(rng)
                    text = render(template, drawn.slots, rng, kind.noise)
                    if text not in seen:
                        break
                else:
                    families.remove(entry)
                    continue
                seen.add(text)
                made += 1
                yield Instruction.create(
                    text,
                    category=kind.category,
                    reference=drawn.reference,
                    source=self.name,
                    split=splits[family],
                    metric=task.metric or kind.metric,
                    extra={"family": family},
                )
