"""Elements and molar masses, by periodictable (Kienzle, NIST; public domain)."""

import re
from functools import lru_cache
from typing import Any

from dataset_build.src.errors import MissingDependencyError
from dataset_build.src.experts.base import CannotAnswerError, ToolExpert

#: Longer instructions are not looked at.
MAX_LENGTH = 2000

_HINT = re.compile(
    r"\b(?:mole?s?|molar|molecular|atom\w*|elements?|symbol|formulas?|protons?|electrons?|periodic|chem\w*|nuclear|Avogadro\S*"
    r"|abbreviat\w*|substance|compound|Z)\b|g/mol|\bM\(|[A-Za-z)]\d"
)
_PART = r"(?:[A-Z][a-z]?\d{0,3}|\((?:[A-Z][a-z]?\d{0,3}){1,8}\)\d{0,2})"
_FORMULA = re.compile(rf"(?<![A-Za-z0-9(]){_PART}{{2,12}}(?![A-Za-z0-9(])")
_MASS_OF = re.compile(r"\bM\(([^()]*(?:\([^()]*\)\d*[^()]*)*)\)")
_SYMBOL = re.compile(r"(?<![\w'/.])[A-Z][a-z]?(?![\w'(])")
_NUMBERED = re.compile(
    r"\b(?:atomic number|proton number|number|Z|element)\s*(?:=|is|of|no\.?)?\s*(\d{1,3})\b|\b(\d{1,3})\s+protons\b",
    re.IGNORECASE,
)
_WANTS_MASS = re.compile(r"mass|weigh|heavy|g/mol|\bgrams?\b|\bmole?s?\b|molar", re.IGNORECASE)
_WANTS_NUMBER = re.compile(
    r"atomic number|protons?\b|electrons?\b|position|nuclear charge|\bZ\b|ordinal|how many|which (?:number|place)",
    re.IGNORECASE,
)
_WANTS_SYMBOL = re.compile(r"symbol|letters?\b|abbreviat\w*|shorthand|is written|formulas", re.IGNORECASE)
_BRITISH = {"aluminium": "aluminum", "caesium": "cesium", "sulphur": "sulfur"}
#: Symbols that are English words at the start of a sentence or in capitals.
_WORDS = frozenset(("I", "In", "As", "At", "He", "No", "Be", "Am", "M", "Z"))


@lru_cache(maxsize=1)
def _elements() -> tuple[dict[str, Any], dict[str, Any], dict[int, Any]]:
    """Return the elements by name, by symbol and by atomic number."""
    try:
        from periodictable import elements
    except ImportError:
        raise MissingDependencyError('periodic_table needs periodictable: pip install "moe-toolkit[tools]"') from None
    known = [element for element in elements if element.number > 0]
    by_name = {element.name: element for element in known}
    by_name |= {british: by_name[american] for british, american in _BRITISH.items()}
    return by_name, {element.symbol: element for element in known}, {element.number: element for element in known}


class PeriodicTable(ToolExpert):
    """Finds a formula or an element and decides by cue words which of its properties is asked for."""

    tool_name = "periodic_table"
    tool_description = "Periodic table: molar masses of formulas, atomic numbers, symbols and names of elements."

    def warm_up(self) -> None:
        """Read the table of elements and use it once."""
        self.solve("molar mass of H2O")

    def solve(self, text: str) -> str:
        """Return a mass in g/mol, a number, a symbol or a name."""
        if len(text) > MAX_LENGTH or not _HINT.search(text):
            raise CannotAnswerError("there is no chemistry in it")
        by_name, by_symbol, by_number = _elements()
        text = _MASS_OF.sub(r"mass of \1 ", text)
        mass = _mass_in(text, by_symbol)
        if mass is not None:
            return f"{mass:.4f} g/mol"
        numbered = _NUMBERED.search(text)
        if numbered and (element := by_number.get(int(numbered[1] or numbered[2]))):
            return str(element.symbol if _WANTS_SYMBOL.search(text) else element.name)
        named = next((by_name[word] for word in re.findall("[a-z]{3,14}", text.lower()) if word in by_name), None)
        element = named or _by_symbol(text, by_symbol)
        if element is None:
            raise CannotAnswerError("it names no element and no formula")
        if _WANTS_NUMBER.search(text):
            return str(element.number)
        if named is not None and _WANTS_SYMBOL.search(text):
            return str(element.symbol)
        if _WANTS_MASS.search(text):
            return f"{element.mass:.4f} g/mol"
        return str(element.symbol if named is not None else element.name)


def _mass_in(text: str, by_symbol: dict[str, Any]) -> float | None:
    """Return the mass of the first formula of several atoms in `text`."""
    for match in _FORMULA.finditer(text):
        formula = match.group()
        symbols = re.findall("[A-Z][a-z]?", formula)
        if any(symbol not in by_symbol for symbol in symbols):
            continue
        if formula.isalpha() and not _WANTS_MASS.search(text):  # a word such as "NOSe", unless a mass is asked for
            continue
        return _mass(formula, by_symbol)
    return None


def _mass(formula: str, by_symbol: dict[str, Any]) -> float:
    total = 0.0
    for group, group_count, symbol, count in re.findall(r"\(([^()]*)\)(\d*)|([A-Z][a-z]?)(\d*)", formula):
        if group:
            total += _mass(group, by_symbol) * int(group_count or 1)
        else:
            total += float(by_symbol[symbol].mass) * int(count or 1)
    return total


def _by_symbol(text: str, by_symbol: dict[str, Any]) -> Any:  # noqa: ANN401
    found = [match.group() for match in _SYMBOL.finditer(text) if match.group() in by_symbol]
    sure = [symbol for symbol in found if symbol not in _WORDS]
    named = re.search(r"(?:symbol|element)\s+([A-Z][a-z]?)\b", text)
    if named and named[1] in by_symbol:
        return by_symbol[named[1]]
    return by_symbol[(sure or found)[-1]] if found else None
