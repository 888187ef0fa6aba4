"""Dates in English by python-dateutil: fast, and blind to other languages."""

import re
from collections.abc import Callable
from datetime import datetime

from dataset_build.src.errors import MissingDependencyError
from dataset_build.src.experts.base import CannotAnswerError, ToolExpert
from dataset_build.src.experts.tools.date_requests import MAX_LENGTH, FoundDate, answer
from dataset_build.src.records import Price

_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}\.?"
_WEEKDAY = r"(?:mon|tue|wed|thu|fri|sat|sun)[a-z]{0,6}\.?,?\s+"
_DATE = re.compile(
    r"\b(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4}"
    rf"|(?:{_WEEKDAY})?\d{{1,2}}(?:st|nd|rd|th)?[\s-]+(?:of\s+)?{_MONTH}[\s,-]+\d{{4}}"
    rf"|(?:{_WEEKDAY})?{_MONTH}\s+\d{{1,2}}(?:st|nd|rd|th)?,?\s+\d{{4}})\b",
    re.IGNORECASE,
)
_DAY_FIRST = re.compile(r"\bday[ -]?(?:comes )?first|\bdd[-/.]?mm|\bbritish|\beuropean", re.IGNORECASE)
_MONTH_FIRST = re.compile(r"\bmonth[ -]?(?:comes )?first|\bmm[-/.]?dd|\bamerican", re.IGNORECASE)


class DateutilDates(ToolExpert):
    """Finds English and numeric dates by pattern, reads them with dateutil, and counts with them.

    Numeric dates with dots are read day first, with slashes or dashes month first, unless the text says otherwise.
    """

    tool_name = "dateutil_dates"
    tool_description = "English dates: so much later or earlier, days between, weekday, ISO form (python-dateutil)."

    def __init__(self, name: str | None = None, *, price: Price | None = None, description: str | None = None) -> None:
        super().__init__(name, price=price, description=description)
        self._parse: Callable[..., datetime] | None = None

    def warm_up(self) -> None:
        """Import dateutil."""
        try:
            from dateutil import parser
        except ImportError as error:
            raise MissingDependencyError('Install the tools: pip install "moe-toolkit[tools]"') from error
        self._parse = parser.parse

    def solve(self, text: str) -> str:
        """Return a date in ISO form, a number of days, or a weekday.

        Raises:
            CannotAnswerError: no complete date in an English or numeric form.
        """
        if len(text) > MAX_LENGTH or not re.search(r"\d", text):
            raise CannotAnswerError("no complete date in it")
        return answer(text, self.find(text))

    def find(self, text: str) -> list[FoundDate]:
        """Return the dates in `text`, in order."""
        found = []
        for match in _DATE.finditer(text):
            day_first = "." in match.group() if _MONTH_FIRST.search(text) is None else False
            if _DAY_FIRST.search(text):
                day_first = True
            if self._parse is None:
                self.warm_up()
            assert self._parse is not None
            written = re.sub(r"\bof\b", " ", match.group(), flags=re.IGNORECASE)
            year_first = match.group()[:4].isdigit()
            try:
                day = self._parse(written, dayfirst=day_first and not year_first, yearfirst=year_first).date()
            except (ValueError, OverflowError):
                continue
            found.append(FoundDate(match.start(), match.end(), day))
        return found
