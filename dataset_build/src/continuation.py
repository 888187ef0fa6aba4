"""What of a finished dataset answers the instructions of the build that continues it.

An answer depends on the text of its instruction only. So it is not paid for again where the source has another name
now, or where the reference was corrected, although an instruction's id depends on both.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from dataset_build.src.instruction_store import InstructionStore
from dataset_build.src.records import Instruction, Response


@dataclass(slots=True)
class Reuse:
    """Which instructions of a build are known to the dataset under another id.

    Attributes:
        renamed: How many differ in nothing but the name of their source; they keep the id they have there.
        heirs: Id in the dataset -> ids of the build's instructions that take over its answers.
        replaced: Ids of the dataset that give way, because the instruction has another reference now.
    """

    renamed: int = 0
    heirs: dict[str, list[str]] = field(default_factory=dict)
    replaced: set[str] = field(default_factory=set)

    @property
    def inherited(self) -> int:
        """How many take over the answers of an instruction with another reference."""
        return len({heir for heirs in self.heirs.values() for heir in heirs})

    def instructions(self, existing: Iterable[Instruction]) -> Iterator[Instruction]:
        """Yield those of the dataset, and, under the ids of their heirs, those that have some."""
        for one in existing:
            for key in self._ids(one.id):
                yield one if key == one.id else replace(one, id=key)

    def responses(self, existing: Iterable[tuple[str, Response]]) -> Iterator[tuple[str, Response]]:
        """Yield (request, response) for those of the dataset, and again for every heir of their instruction."""
        for request, one in existing:
            for key in self._ids(one.instruction_id):
                yield request, one if key == one.instruction_id else replace(one, instruction_id=key)

    def _ids(self, key: str) -> list[str]:
        return [*([] if key in self.replaced else [key]), *self.heirs.get(key, ())]


def recognise(instructions: InstructionStore, existing: Callable[[], Iterable[Instruction]]) -> Reuse:
    """Find the instructions that a dataset knows, and give those their old id whose source was only renamed.

    Args:
        instructions: Of the build, before those of the dataset are added.
        existing: Gives the instructions of the dataset, as often as it is called.
    """
    reuse = Reuse()
    unknown = instructions.mark_known(one.id for one in existing())
    if unknown:
        for one in existing():
            same = [new for new in instructions.unknown_of(one.text) if new.reference == one.reference]
            if same and one.id not in instructions:
                instructions.rename(same[0], one)
                reuse.renamed += 1
    if unknown > reuse.renamed:
        for one in existing():
            _bequeath(one, instructions, reuse)
    return reuse


def _bequeath(one: Instruction, instructions: InstructionStore, reuse: Reuse) -> None:
    """Let what is unknown and has the text of an instruction of the dataset take over its answers.

    The same text from the same source with another reference is a correction, and what it corrects gives way.
    """
    is_here = one.id in instructions
    for new in instructions.unknown_of(one.text):
        reuse.heirs.setdefault(one.id, []).append(new.id)
        if not is_here and one.id not in reuse.replaced and new.source == one.source:
            reuse.replaced.add(one.id)
            instructions.mark_known([new.id])
