"""Find instructions that a test file holds, whole, nearly or in part, so that nothing is learnt from what is tested."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from dataset_build.src.errors import DataError
from dataset_build.src.near_duplicates import NearDuplicates
from dataset_build.src.records import Instruction
from dataset_build.src.sources.files import FileSource
from dataset_build.src.wording import digest, word_runs, words

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: Words in a row that two texts do not share by chance. Shorter test instructions count whole, down to `SHORTEST_RUN`;
#: both as in the appendix of GPT-3 (Brown et al., Language models are few-shot learners, 2020, appendix C).
LONGEST_RUN = 13
SHORTEST_RUN = 8
#: A run in more test instructions than this is the wording of a template, not of one of them (same appendix).
COMMON = 10


class Contamination(NamedTuple):
    """Why an instruction may not be learnt from.

    Attributes:
        rule: "in a test file", "nearly in a test file" or "shares a passage with a test file".
        test_id: The id of the test instruction.
    """

    rule: str
    test_id: str


class Decontaminator:
    """Knows the instructions of test files, and finds them in others; references are not looked at.

    In this order: the same words and figures in the same order; nearly the same, as `NearDuplicates` has it; a run of
    13 words in common, or the whole of a test instruction of 8 to 12. Runs that more than ten test instructions hold,
    or all of them where there are three or more, are a template's wording and are left out. Memory grows with the
    test files only.

    Args:
        tests: The test instructions.
        near_threshold: See `NearDuplicates`.

    Raises:
        DataError: there are none.
    """

    def __init__(self, tests: Iterable[Instruction], *, near_threshold: float = 0.8) -> None:
        import numpy as np

        self._ids: list[str] = []
        self._whole: dict[bytes, str] = {}
        self._near = NearDuplicates(near_threshold)
        runs: dict[int, list[NDArray[np.uint64]]] = {}
        owners: dict[int, list[NDArray[np.int64]]] = {}
        for test in tests:
            of = words(test.text)
            if self._whole.setdefault(digest(" ".join(of)), test.id) != test.id:
                continue
            self._near.find_or_add(test.id, test.text)
            length = min(len(of), LONGEST_RUN)
            if length >= SHORTEST_RUN:
                own = np.unique(word_runs(of, length))
                runs.setdefault(length, []).append(own)
                owners.setdefault(length, []).append(np.full(len(own), len(self._ids)))
            self._ids.append(test.id)
        if not self._ids:
            raise DataError("The test files hold no instructions to decontaminate against.")
        self._runs = {
            length: _distinctive(np.concatenate(runs[length]), np.concatenate(owners[length]), tests=len(self._ids))
            for length in runs
        }

    @classmethod
    def from_files(
        cls,
        paths: Sequence[str | Path],
        *,
        columns: Mapping[str, str] | None = None,
        near_threshold: float = 0.8,
    ) -> "Decontaminator":
        """Read the test instructions from JSONL, CSV or Parquet files, plain or in interchange form.

        Args:
            paths: The files.
            columns: Canonical name -> name in the files, where they differ.
            near_threshold: See `NearDuplicates`.

        Raises:
            ConfigError: a file is absent or has no column for the instruction.
            DataError: a row is not usable.
        """
        sources = [FileSource(path, columns=columns) for path in paths]
        return cls((one for source in sources for one in source.instructions(seed=0)), near_threshold=near_threshold)

    def __len__(self) -> int:
        """How many different test instructions are known."""
        return len(self._ids)

    def find(self, text: str) -> Contamination | None:
        """Return which test instruction the text repeats and how, or None."""
        of = words(text)
        same = self._whole.get(digest(" ".join(of)))
        if same is not None:
            return Contamination("in a test file", same)
        near = self._near.find(text)
        if near is not None:
            return Contamination("nearly in a test file", near)
        for length, (runs, owners) in self._runs.items():
            if len(of) >= length:
                own = word_runs(of, length)
                places = runs.searchsorted(own).clip(max=len(runs) - 1)
                hits = places[runs[places] == own] if len(runs) else places[:0]
                if len(hits):
                    return Contamination("shares a passage with a test file", self._ids[owners[hits[0]]])
        return None


def _distinctive(
    runs: "NDArray[np.uint64]", owners: "NDArray[np.int64]", *, tests: int
) -> "tuple[NDArray[np.uint64], NDArray[np.int64]]":
    """Return the different runs, sorted, without those of templates, and a test instruction that holds each."""
    import numpy as np

    different, first, counts = np.unique(runs, return_index=True, return_counts=True)
    kept = counts <= min(COMMON, max(2, tests - 1))
    return different[kept], owners[first[kept]]
