"""The phase of a build that fills in the abilities; what experts are asked for it goes through the engine."""

import inspect
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dataset_build.src.abilities import (
    COLUMN,
    AskingTagger,
    Tagger,
    abilities_text,
    parse_abilities,
)
from dataset_build.src.experts.base import Expert
from dataset_build.src.instruction_store import PAGE, InstructionStore
from dataset_build.src.options import check_options
from dataset_build.src.planning import ExpertPlan, make_plan
from dataset_build.src.records import Instruction
from dataset_build.src.response_store import ResponseStore
from dataset_build.src.taggers.config import AbilitiesConfig

#: Asks experts instructions, as `querying.query_all`, and returns when that is done.
Ask = Callable[[InstructionStore, Sequence[Expert]], None]


@dataclass(slots=True)
class Agreement:
    """How often a tagger gave an ability that an instruction came with."""

    both: int = 0
    only_given: int = 0
    only_tagger: int = 0

    @property
    def f1(self) -> float | None:
        """The harmonic mean of precision and recall; None where neither gave it."""
        total = 2 * self.both + self.only_given + self.only_tagger
        return 2 * self.both / total if total else None


@dataclass(slots=True)
class AbilitySummary:
    """How the abilities of a dataset came about.

    Attributes:
        by: The tagger; None where all were given.
        version: Its version.
        given: Instructions that came with abilities.
        tagged: Instructions that got theirs from the tagger.
        unknown: Instructions without.
        counts: Ability -> instructions.
        agreement: Ability -> how the tagger agrees with what was given, where that was asked for.
        facts: What the tagger says of itself.
    """

    by: str | None = None
    version: str | None = None
    given: int = 0
    tagged: int = 0
    unknown: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    agreement: dict[str, Agreement] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)

    def as_facts(self) -> dict[str, Any]:
        """Return what `dataset.json` says of it."""
        facts: dict[str, Any] = {"by": self.by, "version": self.version}
        facts |= {"given": self.given, "tagged": self.tagged, "unknown": self.unknown}
        facts |= {"counts": dict(sorted(self.counts.items())), **self.facts}
        if self.agreement:
            facts["agreement_with_given"] = {
                name: {"both": one.both, "only_given": one.only_given, "only_tagger": one.only_tagger, "f1": one.f1}
                for name, one in sorted(self.agreement.items())
            }
        return facts


class Tagging:
    """The tagger of a build, where there is one, and what it does for its instructions.

    Args:
        config: How abilities are filled in; None leaves instructions without them as they are.
        prices: Model -> price, for a tagger that asks an expert whose price is "auto".

    Raises:
        ConfigError: no such tagger, or an option of it is wrong.
        MissingDependencyError: its optional package is not installed.
    """

    def __init__(self, config: AbilitiesConfig | None, *, prices: Mapping[str, Any] | None = None) -> None:
        from dataset_build.src.taggers import taggers

        self._config = config
        self._tagger: Tagger | None = None
        if config is None:
            return
        tagger_class = taggers[config.by]
        options = check_options(tagger_class, config.options(), where=f"Abilities by {config.by!r}")
        if prices and "prices" in inspect.signature(tagger_class).parameters:
            options.setdefault("prices", dict(prices))
        self._tagger = tagger_class(**options)

    @property
    def _compares(self) -> bool:
        return self._config is not None and self._config.compare_with_given

    def experts(self) -> list[Expert]:
        """Return whom the tagger asks."""
        return self._tagger.load_experts() if isinstance(self._tagger, AskingTagger) else []

    def check(self, instructions: InstructionStore) -> None:
        """Make sure, before anything is paid, that the abilities that instructions come with can be read.

        Raises:
            DataError: some cannot.
        """
        for instruction in instructions:
            _given(instruction)

    def keep(self, instructions: InstructionStore, existing: Iterable[Instruction]) -> None:
        """Without a tagger, let instructions keep the abilities they have in a dataset that is continued."""
        if self._tagger is not None:
            return
        known = {one.id: one.extra[COLUMN] for one in existing if one.extra.get(COLUMN) is not None}
        for page in instructions.pages(PAGE) if known else ():
            for instruction in page:
                if instruction.extra.get(COLUMN) is None and instruction.id in known:
                    instructions.set_extra(instruction, COLUMN, known[instruction.id])

    def plan(self, instructions: InstructionStore, store: ResponseStore, *, timeout_s: float) -> list[ExpertPlan]:
        """Return what the tagger's expert would be asked, and what that may cost."""
        if not isinstance(self._tagger, AskingTagger):
            return []
        with InstructionStore(self._tagger.questions(self._texts(instructions), store)) as questions:
            return make_plan(questions, self._tagger.load_experts(), store, timeout_s=timeout_s).experts

    def ask(self, instructions: InstructionStore, store: ResponseStore, ask: Ask) -> None:
        """Ask the tagger's expert what there is no reply to yet, and once more where a reply cannot be read.

        Raises:
            EarlyStopError: as `ask` does.
        """
        if not isinstance(self._tagger, AskingTagger):
            return
        for questions in (self._tagger.questions, self._tagger.questions_again):
            with InstructionStore(questions(self._texts(instructions), store)) as prompts:
                if len(prompts):
                    ask(prompts, self._tagger.load_experts())

    def tag(self, instructions: InstructionStore, store: ResponseStore) -> AbilitySummary | None:
        """Fill in the abilities; those that instructions come with stay, as a JSON list.

        Returns:
            What was done; None where there is neither a tagger nor an instruction with abilities.
        """
        summary = AbilitySummary()
        tagger = self._tagger
        if tagger is not None and self._config is not None:
            summary.by, summary.version = self._config.by, tagger.version
        if isinstance(tagger, AskingTagger):
            tagger.read_from(store)
        for page in instructions.pages(PAGE):
            given = [_given(instruction) for instruction in page]
            tags: dict[int, tuple[str, ...] | None] = {}
            if tagger is not None:
                wanted = [number for number, names in enumerate(given) if names is None or self._compares]
                tags = dict(zip(wanted, tagger.tag([page[number].text for number in wanted]), strict=True))
            for number, instruction in enumerate(page):
                _settle(instruction, given[number], tags.get(number), instructions, summary)
        if tagger is not None:
            summary.facts = tagger.facts()
        return summary if tagger is not None or summary.given else None

    def _texts(self, instructions: InstructionStore) -> Iterator[str]:
        """Yield the texts that the tagger is for."""
        for instruction in instructions:
            if self._compares or _given(instruction) is None:
                yield instruction.text


def _settle(
    instruction: Instruction,
    given: tuple[str, ...] | None,
    tagged: tuple[str, ...] | None,
    instructions: InstructionStore,
    summary: AbilitySummary,
) -> None:
    names = tagged if given is None else given
    if names is None:
        summary.unknown += 1
        if COLUMN in instruction.extra:
            instructions.set_extra(instruction, COLUMN, None)
        return
    summary.counts.update(names)
    if given is None:
        summary.tagged += 1
    else:
        summary.given += 1
        if tagged is not None:
            _compare(given, tagged, summary)
    cell = abilities_text(names)
    if instruction.extra.get(COLUMN) != cell:
        instructions.set_extra(instruction, COLUMN, cell)


def _compare(given: Sequence[str], tagged: Sequence[str], summary: AbilitySummary) -> None:
    for name in {*given, *tagged}:
        one = summary.agreement.setdefault(name, Agreement())
        one.both += name in given and name in tagged
        one.only_given += name not in tagged
        one.only_tagger += name not in given


def _given(instruction: Instruction) -> tuple[str, ...] | None:
    cell = instruction.extra.get(COLUMN)
    return None if cell is None else parse_abilities(cell, where=f"Instruction {instruction.id}: {COLUMN}")
