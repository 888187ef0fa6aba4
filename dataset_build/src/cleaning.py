"""Drop, and count, instructions that came before, in the same or nearly the same words, or that a test file holds."""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from dataset_build.src.decontamination import Decontaminator
from dataset_build.src.near_duplicates import NearDuplicates
from dataset_build.src.records import Instruction
from dataset_build.src.wording import digest, normal

logger = logging.getLogger(__name__)

#: What counts as having come before.
Deduplicate = Literal["none", "exact", "near"]
#: Ids reported per reason, for a person to look at.
EXAMPLES = 5


@dataclass
class CleaningReport:
    """What was dropped, and why; it grows while instructions are read.

    Attributes:
        read: Instructions seen.
        dropped: Reason -> how many. Reasons are "duplicate", "near-duplicate", and the rules of `Contamination`.
        examples: Reason -> the first ids that were dropped for it, with the id each one repeats where that is known.
    """

    read: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[str]] = field(default_factory=dict)

    @property
    def kept(self) -> int:
        """How many went on."""
        return self.read - sum(self.dropped.values())

    def facts(self) -> dict[str, Any]:
        """Return the report as `dataset.json` holds it."""
        return {"read": self.read, "kept": self.kept, "dropped": self.dropped, "examples": self.examples}

    def log(self) -> None:
        """Log a line for each reason; none when nothing was dropped. Losing more than half is a warning."""
        for reason, count in self.dropped.items():
            level = logging.WARNING if count * 2 > self.read else logging.INFO
            shown = ", ".join(self.examples[reason])
            logger.log(level, "dropped %d of %d instructions (%s), such as %s", count, self.read, reason, shown)

    def count(self, reason: str, dropped: str, repeats: str | None = None) -> None:
        """Note that an instruction was dropped."""
        self.dropped[reason] = self.dropped.get(reason, 0) + 1
        shown = self.examples.setdefault(reason, [])
        if len(shown) < EXAMPLES:
            shown.append(dropped if repeats is None else f"{dropped} (repeats {repeats})")


class Cleaner:
    """Decides, one instruction at a time, whether it goes on. All sources of a build share one.

    First what a test file holds is dropped, then what came before; the first of several duplicates is kept.

    - "exact": the same text and the same reference, whatever the case and the spaces. The same text with another
      reference is another instruction, and stays.
    - "near": besides, nearly the same words, with the same figures and the same reference; see `NearDuplicates`.
    - "none": nothing is compared.

    Instructions that their source fixed in the test split are never dropped for being in a test file: a build may
    have that very file among its sources.

    Args:
        deduplicate: One of the three. "exact" keeps 110 bytes per instruction in memory, "near" 700 more.
        near_threshold: From which share of common word runs on two texts are nearly the same.
        decontaminator: What holds the test instructions; None when there are none.
    """

    def __init__(
        self,
        *,
        deduplicate: Deduplicate = "exact",
        near_threshold: float = 0.8,
        decontaminator: Decontaminator | None = None,
    ) -> None:
        self.report = CleaningReport()
        self._decontaminator = decontaminator
        self._seen: set[bytes] | None = None if deduplicate == "none" else set()
        self._near = NearDuplicates(near_threshold) if deduplicate == "near" else None

    def kept(self, instructions: Iterable[Instruction]) -> Iterator[Instruction]:
        """Yield those that go on, as they come. Clean each source before mixing, so that weights and caps hold."""
        return (instruction for instruction in instructions if self._goes_on(instruction))

    def _goes_on(self, instruction: Instruction) -> bool:
        report, text, reference = self.report, instruction.text, instruction.reference
        report.read += 1
        if self._decontaminator is not None and instruction.split != "test":
            contamination = self._decontaminator.find(text)
            if contamination is not None:
                report.count(contamination.rule, instruction.id, contamination.test_id)
                return False
        if self._seen is not None:
            key = digest(text, reference)
            if key in self._seen:
                report.count("duplicate", instruction.id)
                return False
            self._seen.add(key)
        if self._near is not None:
            apart = "" if reference is None else normal(reference) or " "
            repeats = self._near.find_or_add(instruction.id, text, apart=apart)
            if repeats is not None:
                report.count("near-duplicate", instruction.id, repeats)
                return False
        return True
