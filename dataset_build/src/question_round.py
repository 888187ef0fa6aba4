"""What one expert is asked in one round of collecting."""

import random
from collections import deque
from collections.abc import Iterator
from itertools import islice

from dataset_build.src.records import Instruction


class Round(Iterator[tuple[Instruction, bool]]):
    """The instructions of a round, each with whether it was asked before and failed.

    Args:
        unanswered: Those instructions.
    """

    def __init__(self, unanswered: Iterator[tuple[Instruction, bool]]) -> None:
        self._unanswered = unanswered
        self._held: deque[tuple[Instruction, bool]] = deque()

    def __next__(self) -> tuple[Instruction, bool]:
        return self._held.popleft() if self._held else next(self._unanswered)

    def put_back(self, instruction: Instruction, has_failed: bool) -> None:
        """Keep one that was not asked after all."""
        self._held.append((instruction, has_failed))

    def is_over(self) -> bool:
        """Return whether nothing is left to ask."""
        self._hold(1)
        return not self._held

    def any_of_the_next(self, count: int) -> tuple[Instruction, bool]:
        """Return one of the next `count`, chosen at random; there is one, because the round is not over."""
        self._hold(count)
        place = random.randrange(len(self._held))
        chosen = self._held[place]
        del self._held[place]
        return chosen

    def _hold(self, count: int) -> None:
        self._held.extend(islice(self._unanswered, max(0, count - len(self._held))))
