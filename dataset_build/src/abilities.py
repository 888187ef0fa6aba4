"""What an instruction asks of an expert: a column of ability names, and the contract of what fills it in.

In every file the column `abilities` is a text that holds a JSON list, `["calculation", "code"]`; one without any is
`[]`, an unknown one is null. Readers of the interchange form may ignore it.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from dataset_build.src.errors import ConfigError, DataError
from dataset_build.src.records import Instruction, storable

if TYPE_CHECKING:
    from dataset_build.src.experts.base import Expert
    from dataset_build.src.response_store import ResponseStore

#: The column, and the key in `Instruction.extra`.
COLUMN = "abilities"
#: Characters a name may have.
LONGEST_NAME = 100

#: The abilities that are known by name, and what each is.
KNOWN_ABILITIES: dict[str, str] = {
    "calculation": "compute with numbers: arithmetic, algebra, calculus, percentages, units",
    "reasoning_in_steps": "reason over several steps: word problems, proofs, puzzles, explanations step by step",
    "code": "write, explain, translate, format or repair program code, or a query",
    "translation": "translate from one human language into another",
    "languages_other_than_english": "understand or write a language other than English",
    "extraction": "find and copy out names, dates, numbers or answers that stand in a given text",
    "summarisation": "make a given text shorter and keep what matters",
    "classification": "choose one of several labels for a text: its sentiment, topic, language or intent",
    "factual_knowledge": "know facts about the world: people, places, history, science, definitions",
    "creative_writing": "write something new: a story, a poem, a song, a dialogue, a slogan",
    "spelling_and_grammar": "correct spelling, grammar and punctuation; know base forms and inflections of words",
    "structured_output": "answer in a given form: JSON, XML, YAML, CSV, a table, a list of fields",
    "long_context": "read a long text",
}


class Tagger(ABC):
    """Says which abilities instructions ask for.

    Its options are the keyword arguments of its constructor.
    """

    #: Registered name.
    kind: ClassVar[str] = ""
    #: Raise when the tags change; stored in `dataset.json`.
    version: ClassVar[str] = "1"

    #: The abilities it can give.
    names: tuple[str, ...]

    @abstractmethod
    def tag(self, texts: Sequence[str]) -> list[tuple[str, ...] | None]:
        """Return the abilities of each text, None where they cannot be told."""

    def facts(self) -> dict[str, Any]:
        """Return JSON-able facts about the tags worth keeping (thresholds, counts of failures …)."""
        return {}


class AskingTagger(Tagger):
    """A tagger that asks experts; the engine that collects responses asks them, so `tag` only reads the journal."""

    @abstractmethod
    def load_experts(self) -> list["Expert"]:
        """Return whom to ask, anew at each call: those that were asked are closed."""

    @abstractmethod
    def questions(self, texts: Iterable[str], store: "ResponseStore") -> Iterable[Instruction]:
        """Return what to ask about texts, each text once."""

    @abstractmethod
    def questions_again(self, texts: Iterable[str], store: "ResponseStore") -> Iterable[Instruction]:
        """Return what to ask once more, where a reply in the journal cannot be read."""

    @abstractmethod
    def read_from(self, store: "ResponseStore") -> None:
        """Take what `tag` returns from this journal."""


def parse_abilities(cell: object, *, where: str = "abilities") -> tuple[str, ...] | None:
    """Return the abilities in a cell, sorted; None for an empty one, which says nothing.

    Args:
        cell: A list, a JSON list as text, names with commas or `|` between them, or nothing.
        where: What to call the cell in a message.

    Raises:
        DataError: it is something else.

    Examples:
        >>> parse_abilities('["code", "calculation"]')
        ('calculation', 'code')
        >>> parse_abilities("code | translation")
        ('code', 'translation')
        >>> parse_abilities("[]"), parse_abilities("")
        ((), None)
    """
    if hasattr(cell, "tolist"):  # a NumPy array, which is what a list in a Parquet file becomes
        cell = cell.tolist()
    if cell is None or (isinstance(cell, float) and cell != cell):
        return None
    given: object = cell
    if isinstance(cell, str):
        if not cell.strip():
            return None
        given = _split(cell)
    if not isinstance(given, list | tuple | set | frozenset) or not all(isinstance(name, str) for name in given):
        raise DataError(
            f"{where} is {str(cell)[:80]!r}; a list of names was expected, a JSON list as text, or names with "
            "commas or | between them."
        )
    names = {check_ability(name, where=where) for name in given if name.strip()}
    return tuple(sorted(names))


def abilities_text(names: Iterable[str]) -> str:
    """Return the cell for these abilities: a JSON list, sorted, each once."""
    return json.dumps(sorted(set(names)), ensure_ascii=False)


def check_ability(name: str, *, where: str) -> str:
    """Return the name of an ability without white space around it.

    Raises:
        DataError: it is no name.
    """
    bare = storable(name.strip())
    if not bare or len(bare) > LONGEST_NAME or not bare.isprintable():
        raise DataError(f"{where}: {name[:80]!r} is no name: one line of 1 to {LONGEST_NAME} printable characters.")
    return bare


def check_names(names: Mapping[str, Any] | Iterable[str], *, where: str) -> None:
    """Make sure that a configuration names abilities properly.

    Raises:
        ConfigError: it does not.
    """
    for name in names:
        try:
            if check_ability(name, where=where) != name:
                raise DataError(f"{where}: {name!r} has white space around it; remove that.")
        except DataError as problem:
            raise ConfigError(str(problem)) from None


def _split(text: str) -> object:
    if text.lstrip().startswith("["):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return text
    return text.split("|" if "|" in text else ",")
