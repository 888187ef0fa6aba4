"""What a source is: something that yields instructions."""

from abc import ABC, abstractmethod
from collections.abc import Iterator

from dataset_build.src.records import Instruction


class Source(ABC):
    """Yields instructions; the same options and seed give the same instructions in the same order."""

    #: Stored in the `source` column.
    name: str = ""

    @abstractmethod
    def instructions(self, *, seed: int, limit: int | None = None) -> Iterator[Instruction]:
        """Yield at most `limit` instructions (None means all).

        Raises:
            DataError: the data is not what was asked for (missing column, empty file).
            ConfigError: the source cannot be found or reached.
        """
