"""Find the earlier text that is nearly the same: MinHash and locality-sensitive hashing over runs of words.

datasketch and rensa do this too. They keep 11.5 and 2.4 kB a text where this keeps 0.7, and neither can be
told that another figure makes another question.
"""

from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dataset_build.src.errors import ConfigError
from dataset_build.src.wording import figures, mixed, word_hash, word_runs, words

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: Words in a run.
RUN = 3
#: A text of fewer words is near only to one of the same words in the same order: in so few, one word is the question.
SHORT = 16
#: Hashes of runs kept per text, the smallest. Similarity is exact up to so many runs, and estimated above.
SKETCH = 256
#: Bands of MinHash values; two texts are compared when a whole band is equal.
BANDS = 16
#: Texts kept per band and value, so that a thousand texts of one template are not compared with each other.
CROWD = 8
#: MinHash values in a band, at most.
MOST_ROWS = 8
#: Share of pairs right at the threshold that must share a band.
RECALL = 0.99
#: Bits of a table entry that number the text; the others are the beginning of the band's hash.
_ID_BITS = 28
_ID_MASK = (1 << _ID_BITS) - 1


@dataclass(frozen=True, slots=True)
class _Described:
    """A text as it is compared: the smallest hashes of its runs, sorted, and one hash per band."""

    sketch: "NDArray[np.uint32]"
    bands: list[int]


class NearDuplicates:
    """Remembers texts, and finds the earlier one that is nearly the same as a new one.

    Nearly the same means: of the runs of three words that either text has, at least `threshold` are in both (Jaccard),
    and the figures (numbers, words with digits, mathematical signs) are the same in the same order. "2+2?" and "2+3?"
    are two questions, and so are two long ones that differ in a number. Texts of fewer than `SHORT` words must have
    the same words in the same order; case, spaces and punctuation may differ.

    Args:
        threshold: Above 0, at most 1.

    Raises:
        ConfigError: it is not.
    """

    def __init__(self, threshold: float = 0.8) -> None:
        import numpy as np

        if not 0 < threshold <= 1:
            raise ConfigError(f"The threshold for near-duplicates is {threshold:g}; it must be above 0 and at most 1.")
        self._threshold = threshold
        rows = _rows_per_band(threshold)
        constants = np.random.default_rng(0).integers(0, 1 << 63, (3, BANDS, rows), dtype=np.uint64)
        self._multipliers, self._weights = constants[0] * np.uint64(2) + np.uint64(1), constants[1] | np.uint64(1)
        self._offsets = constants[2]
        self._ids: list[str] = []
        self._hashes = array("I")
        self._ends = array("Q", [0])
        self._table = _BandTable()

    def __len__(self) -> int:
        """How many texts are remembered."""
        return len(self._ids)

    def find(self, text: str, *, apart: str = "") -> str | None:
        """Return the id of the most similar earlier text that is nearly the same, or None.

        Args:
            text: The text.
            apart: Texts with different values here are never the same (their references, say).
        """
        return self._find(self._described(text, apart))

    def add(self, name: str, text: str, *, apart: str = "") -> None:
        """Remember a text by its id."""
        self._add(name, self._described(text, apart))

    def find_or_add(self, name: str, text: str, *, apart: str = "") -> str | None:
        """Do both in one pass: return what `find` returns, and remember the text where that is None."""
        described = self._described(text, apart)
        found = self._find(described)
        if found is None:
            self._add(name, described)
        return found

    def _described(self, text: str, apart: str) -> _Described:
        import numpy as np

        of = words(text)
        runs = word_runs(of, RUN if len(of) >= SHORT else len(of))
        runs = np.unique(runs)
        values = (runs[:, None, None] * self._multipliers + self._offsets) >> np.uint64(32)
        signature = values.min(axis=0)
        # Another figure or another `apart` is another band: such texts never meet.
        kind = np.uint64(word_hash("\0".join((apart, *figures(of)))))
        bands = mixed((signature * self._weights).sum(axis=1) + np.arange(BANDS, dtype=np.uint64) + kind)
        sketch = np.unique((runs >> np.uint64(32)).astype(np.uint32))[:SKETCH]
        return _Described(sketch, bands.tolist())

    def _find(self, described: _Described) -> str | None:
        best, found = self._threshold, None
        for number in self._table.meets(described.bands):
            similarity = _jaccard(described.sketch, self._sketch(number))
            if similarity > best or (found is None and similarity == best):
                best, found = similarity, number
        return None if found is None else self._ids[found]

    def _add(self, name: str, described: _Described) -> None:
        self._table.add(described.bands, len(self._ids))
        self._ids.append(name)
        self._hashes.frombytes(described.sketch.tobytes())
        self._ends.append(len(self._hashes))

    def _sketch(self, number: int) -> "NDArray[np.uint32]":
        import numpy as np

        return np.frombuffer(self._hashes[self._ends[number] : self._ends[number + 1]], dtype=np.uint32)


class _BandTable:
    """Hash of a band -> numbers of texts: open addressing in one array of 8 bytes an entry, at most 60 % full."""

    def __init__(self) -> None:
        self._bits = 12
        self._entries = array("Q", bytes(8 << self._bits))
        self._used = 0

    def meets(self, bands: list[int]) -> list[int]:
        """Return the texts that share a band, those that share the most first."""
        entries, shift, last = self._entries, 64 - self._bits, len(self._entries) - 1
        shared: dict[int, int] = {}
        for band in bands:
            beginning, slot = band >> _ID_BITS, band >> shift
            while entry := entries[slot]:
                if entry >> _ID_BITS == beginning:
                    number = (entry & _ID_MASK) - 1
                    shared[number] = shared.get(number, 0) + 1
                slot = (slot + 1) & last
        return sorted(shared, key=lambda number: (-shared[number], number))

    def add(self, bands: list[int], number: int) -> None:
        """Put a text under its bands, except those that are crowded."""
        if (self._used + len(bands)) * 5 > len(self._entries) * 3:
            self._grow()
        entries, shift, last = self._entries, 64 - self._bits, len(self._entries) - 1
        for band in bands:
            beginning, slot, crowd = band >> _ID_BITS, band >> shift, 0
            while entry := entries[slot]:
                crowd += entry >> _ID_BITS == beginning
                slot = (slot + 1) & last
            if crowd < CROWD:
                entries[slot] = beginning << _ID_BITS | number + 1
                self._used += 1

    def _grow(self) -> None:
        earlier = self._entries
        self._bits += 1
        self._entries = entries = array("Q", bytes(8 << self._bits))
        shift, last = 64 - self._bits, len(entries) - 1
        for entry in earlier:
            if entry:
                slot = entry >> shift
                while entries[slot]:
                    slot = (slot + 1) & last
                entries[slot] = entry


def _rows_per_band(threshold: float) -> int:
    """Return the most rows for which a pair at the threshold still shares a band with probability `RECALL`."""
    rows = 1
    while rows < MOST_ROWS and 1 - (1 - threshold ** (rows + 1)) ** BANDS >= RECALL:
        rows += 1
    return rows


def _jaccard(one: "NDArray[np.uint32]", other: "NDArray[np.uint32]") -> float:
    """Return the share of hashes that are in both, among the `SKETCH` smallest where a text has more than it keeps."""
    import numpy as np

    union, counts = np.unique(np.concatenate((one, other)), return_counts=True)
    if SKETCH in (len(one), len(other)):
        counts = counts[:SKETCH]
    return float((counts == 2).sum() / len(counts))
