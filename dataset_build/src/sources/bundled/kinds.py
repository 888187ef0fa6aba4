"""The shape of a bundled category, and how its phrasing families are split."""

import hashlib
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

#: Share of a task's phrasing families kept for validation and test; the rest is train.
VALIDATION_SHARE, TEST_SHARE = 0.15, 0.25


@dataclass(frozen=True, slots=True)
class Draw:
    """One drawn problem: the values of the template's slots and the right answer."""

    slots: Mapping[str, str]
    reference: str


@dataclass(frozen=True, slots=True)
class Task:
    """One thing that can be asked within a category, and the ways to ask it.

    Attributes:
        name: Short and stable, unique within the category ("derivative").
        families: Phrasings with `{slot}` fields, as different from one another as people are. A family is
            wholly in train, validation or test. Append new ones at the end: the index is part of the id.
        draw: Makes one problem from a random generator; called until enough distinct texts exist.
        metric: Overrides the category's metric for this task.
    """

    name: str
    families: tuple[str, ...]
    draw: Callable[[random.Random], Draw]
    metric: str | None = None


@dataclass(frozen=True, slots=True)
class Kind:
    """One category of instructions.

    Attributes:
        category: The label, snake_case.
        metric: The scorer that checks its references.
        tasks: What can be asked; instructions are spread over all families of all tasks.
        noise: Which disturbances may be applied, out of "typos", "chatter", "distractor".
    """

    category: str
    metric: str
    tasks: tuple[Task, ...]
    noise: frozenset[str] = field(default=frozenset({"typos", "chatter", "distractor"}))

    def family_ids(self) -> list[tuple[str, Task, str]]:
        """Return (family id, task, template) for every phrasing family."""
        return [
            (f"{self.category}/{task.name}/{index:02d}", task, template)
            for task in self.tasks
            for index, template in enumerate(task.families)
        ]

    def split_of_families(self) -> dict[str, str]:
        """Return family id -> split, fixed for all seeds: each task keeps some families for validation and test."""
        splits: dict[str, str] = {}
        for task in self.tasks:
            ids = [f"{self.category}/{task.name}/{index:02d}" for index in range(len(task.families))]
            ids.sort(key=lambda family: hashlib.sha256(family.encode()).hexdigest())
            for_test = max(1, round(TEST_SHARE * len(ids)))
            for_validation = max(1, round(VALIDATION_SHARE * len(ids)))
            for rank, family in enumerate(ids):
                if rank < for_test:
                    splits[family] = "test"
                elif rank < for_test + for_validation:
                    splits[family] = "validation"
                else:
                    splits[family] = "train"
        return splits
