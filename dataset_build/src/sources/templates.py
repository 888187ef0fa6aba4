"""Cells as text: of a column, of a place inside a column, and of several columns composed by a template."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from dataset_build.src.errors import ConfigError, DataError
from dataset_build.src.records import storable
from dataset_build.src.registry import nearest

#: How options are lettered.
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

_PATH = re.compile(r"([^.\[\]{}]+)((?:\.[^.\[\]{}]+|\[-?\d+\])*)")
_STEP = re.compile(r"\.([^.\[\]]+)|\[(-?\d+)\]")
_BRACES = re.compile(r"(\{\{|\}\}|\{[^{}]+\}|[{}])")


def cell_text(value: Any) -> str | None:  # noqa: ANN401 - a cell of anybody's table
    """Return a cell as text; None for an empty one. Numbers become text, lists and objects JSON."""
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))  # integers beside empty cells arrive as floats
    if isinstance(value, bool | list | dict):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


class CellPath:
    """A place in a row: a column (`question`), or a key or position inside one (`answers.text[0]`, `messages[-1]`).

    Raises:
        ConfigError: it is written in no such way.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        path = _PATH.fullmatch(text)
        self._column = path[1] if path else text
        self._steps = [step[1] or int(step[2]) for step in _STEP.finditer(path[2])] if path else []

    def column(self, have: Mapping[str, Any] | Sequence[str]) -> str:
        """Return the column it begins in; one whose own name has dots or brackets comes first."""
        return self.text if self.text in have else self._column

    def value(self, row: Mapping[str, Any], where: str) -> Any:  # noqa: ANN401 - a cell of anybody's table
        """Return what is there; None where the row, or a list in it, ends before.

        Raises:
            DataError: an object has no such key, or there is neither an object nor a list to look into.
        """
        if self.text in row or not self._steps:
            return row.get(self.text)
        value = row.get(self._column)
        for step in self._steps:
            if value is None:
                return None
            if isinstance(step, int) and isinstance(value, list):
                value = value[step] if -len(value) <= step < len(value) else None
            elif isinstance(step, str) and isinstance(value, dict):
                if step not in value:
                    known = [str(key) for key in value]
                    raise DataError(
                        f"{where}: {self.text!r} finds no key {step!r}.{nearest(step, known)} "
                        f"There is: {', '.join(known)}."
                    )
                value = value[step]
            else:
                expected = "a list" if isinstance(step, int) else "an object"
                raise DataError(
                    f"{where}: {self.text!r} expects {expected} at {step!r} and finds a {type(value).__name__}."
                )
        return value


class Composed(NamedTuple):
    """A filled template.

    Attributes:
        text: The instruction; None where every column of the template is empty.
        labels: What the table calls the options, in their order, where it names them.
        options: How many options there are.
    """

    text: str | None
    labels: list[str]
    options: int


class Template:
    """Text with columns in braces, as in `Question: {question} {choices}`; `{{` and `}}` are braces.

    A list becomes lettered options, one a line: `A) Rome`. So do the forms in which options come with labels:
    `{"text": [...], "label": [...]}` and `[{"label": ..., "text": ...}, ...]`. Everything else is as in `cell_text`, an
    empty cell is nothing, and white space around the whole is dropped.

    Raises:
        ConfigError: a brace stands alone, or no column is named.
    """

    def __init__(self, template: str) -> None:
        self._parts: list[str | CellPath] = []
        for part in _BRACES.split(template):
            if part in ("{", "}"):
                raise ConfigError(
                    f"The template {template!r} has a {part!r} alone. Columns stand in braces, as in '{{question}}'; "
                    "write '{{' or '}}' for a brace itself."
                )
            is_column = part.startswith("{") and part != "{{"
            self._parts.append(
                CellPath(part[1:-1].strip()) if is_column else part.replace("{{", "{").replace("}}", "}")
            )
        self.paths = [part for part in self._parts if isinstance(part, CellPath)]
        if not self.paths:
            raise ConfigError(f"The template {template!r} names no column; put one in braces, as in '{{question}}'.")

    def fill(self, row: Mapping[str, Any], where: str) -> Composed:
        """Return the instruction that a row makes.

        Raises:
            DataError: see `CellPath.value`.
        """
        written: list[str] = []
        labels: list[str] = []
        count, is_empty = 0, True
        for part in self._parts:
            if isinstance(part, str):
                written.append(part)
                continue
            value = part.value(row, where)
            options = _options(value)
            if options is not None:
                count = len(options)
                labels = [label for label, _ in options if label is not None]
                value = "\n".join(f"{_letter(place)}) {text}" for place, (_, text) in enumerate(options))
            cell = cell_text(value) or ""
            is_empty &= not cell.strip()
            written.append(cell)
        return Composed(None if is_empty else "".join(written).strip(), labels, count)


def option_letter(reference: str, composed: Composed, *, first_option: int | None, where: str) -> str:
    """Return the letter of the option that a reference points to; the reference itself where it points to none.

    Args:
        reference: The reference as the table has it.
        composed: The instruction with its options.
        first_option: The number that the table gives to the first option; None when it does not number them.
        where: The row, for messages.

    Raises:
        DataError: options are numbered, and the reference is not the number of one.
    """
    if first_option is not None:
        numbers = [str(first_option + place) for place in range(composed.options)]
        listed = ", ".join(numbers) or "none, as the template has no options,"
        if reference not in numbers:
            raise DataError(
                f"{where}: the reference is {reference!r}; with first_option={first_option}, one of {listed} "
                "was expected."
            )
        return _letter(numbers.index(reference))
    if reference in composed.labels:
        return _letter(composed.labels.index(reference))
    return reference


def _letter(place: int) -> str:
    return LETTERS[place] if place < len(LETTERS) else str(place + 1)


def _options(value: Any) -> list[tuple[str | None, str]] | None:  # noqa: ANN401 - a cell of anybody's table
    """Return (label, text) of the options in a cell; None when it holds none."""
    if isinstance(value, dict) and {"text", "label"} <= set(value):
        texts, labels = value["text"], value["label"]
        if isinstance(texts, list) and isinstance(labels, list) and len(texts) == len(labels):
            return [(cell_text(label), cell_text(text) or "") for label, text in zip(labels, texts, strict=True)]
        return None
    if not isinstance(value, list) or not value:
        return None
    if all(isinstance(one, dict) and {"text", "label"} <= set(one) for one in value):
        return [(cell_text(one["label"]), cell_text(one["text"]) or "") for one in value]
    return [(None, cell_text(one) or "") for one in value]
