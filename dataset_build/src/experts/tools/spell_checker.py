"""Spelling by pyspellchecker: the commonest English word one slip away, or two for short words."""

import re
from typing import Any

from dataset_build.src.errors import MissingDependencyError
from dataset_build.src.experts.base import CannotAnswerError, ToolExpert
from dataset_build.src.experts.tools.spelling_requests import read_request
from dataset_build.src.records import Price

_WORD = re.compile(r"(?<![\w'’])[A-Za-z]{3,24}(?![\w'’])")
#: A text has so many words at most, so many of them unknown.
_MAX_WORDS, _MAX_UNKNOWN = 80, 6
#: Words two slips away are looked for up to this many letters: their number grows with the square, to 50 ms here.
_MAX_LETTERS_TWICE = 9


class SpellChecker(ToolExpert):
    """Corrects a word or a short text, says which word is wrong, or which of two spellings exists.

    A name it does not know is a mistake to it, unless another word is one.
    """

    tool_name = "spell_checker"
    tool_description = "Corrects English spelling in a word or a short text, or finds the wrong word (pyspellchecker)."

    def __init__(self, name: str | None = None, *, price: Price | None = None, description: str | None = None) -> None:
        super().__init__(name, price=price, description=description)
        self._checker: Any = None

    def warm_up(self) -> None:
        """Read the word frequencies."""
        try:
            from spellchecker import SpellChecker as Checker
        except ImportError as error:
            raise MissingDependencyError('Install the tools: pip install "moe-toolkit[tools]"') from error
        self._checker = Checker(language="en")

    def solve(self, text: str) -> str:
        """Return the corrected word or text, the wrong word, or the right one of two.

        Raises:
            CannotAnswerError: spelling is not what it is about, or no word is unknown.
        """
        request = read_request(text)
        if self._checker is None:
            self.warm_up()
        if request.task == "choose":
            first, second = request.texts
            return first if self._checker[first.lower()] >= self._checker[second.lower()] else second
        for part in request.texts:
            wrong = self._unknown(part)
            if wrong and request.task == "find":
                return wrong[0].group()
            if wrong and request.task == "correct word":
                return self._correction(wrong[0].group())
            if wrong:
                for match in reversed(wrong):
                    part = part[: match.start()] + self._correction(match.group()) + part[match.end() :]
                return part
        raise CannotAnswerError("every word of it is in the dictionary")

    def _unknown(self, text: str) -> list[re.Match[str]]:
        """Return the words no dictionary has, capitalised ones only where there are no others."""
        found = list(_WORD.finditer(text))
        if len(found) > _MAX_WORDS:
            raise CannotAnswerError("there is too much to check")
        wrong = [match for match in found if match.group().lower() not in self._checker]
        if len(wrong) > _MAX_UNKNOWN:
            raise CannotAnswerError("too few of its words are English")
        return [match for match in wrong if not match.group().istitle()] or wrong

    def _correction(self, word: str) -> str:
        lower = word.lower()
        near = self._checker.known(self._checker.edit_distance_1(lower))
        if not near and len(word) <= _MAX_LETTERS_TWICE:
            near = self._checker.known(self._checker.edit_distance_2(lower))
        found = max(sorted(near), key=lambda candidate: int(self._checker[candidate]), default=lower)
        if word.isupper():
            return found.upper()
        return found.capitalize() if word[0].isupper() else found
