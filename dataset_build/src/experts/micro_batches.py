"""Rows of different lengths, cut into batches that fit into memory: sorted by length, halved when they do not fit.

Padding to the longest row of a batch is work for nothing; rows of similar length need little of it.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")

logger = logging.getLogger(__name__)


class MicroBatches:
    """Cuts rows into batches, and remembers what fitted.

    Args:
        max_tokens: Tokens a batch may have, its padding included.
        max_rows: Rows it may have.

    Attributes:
        max_tokens: Starts as given, and becomes smaller where memory did not suffice.
    """

    def __init__(self, max_tokens: int, max_rows: int) -> None:
        self.max_tokens = max_tokens
        self._max_rows = max_rows

    def run(
        self, widths: Sequence[int], process: Callable[[list[int]], T | None]
    ) -> Iterator[tuple[list[int], T | None]]:
        """Yield the numbers of some rows and their result, until all rows had their turn.

        The longest come first, so that memory that does not suffice is found out at once.

        Args:
            widths: Tokens of each row.
            process: From row numbers to their result; None when memory did not suffice. It is called again with
                fewer rows then, and a single row that does not fit is yielded with None.
        """
        order = sorted(range(len(widths)), key=lambda number: -widths[number])
        done = 0
        while done < len(order):
            widest = max(1, widths[order[done]])
            rows = order[done : done + max(1, min(self._max_rows, self.max_tokens // widest))]
            result = process(rows)
            if result is None and len(rows) > 1:
                self.max_tokens = min(self.max_tokens, widest * len(rows) // 2)
                logger.warning("Out of memory with %d rows of %d tokens; going on with half.", len(rows), widest)
                continue
            done += len(rows)
            yield rows, result
