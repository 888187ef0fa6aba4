"""Dates in many languages by dateparser: slower than dateutil, and it reads "3 de mayo del 2024"."""

import re
import warnings
from datetime import datetime
from typing import Any

from dataset_build.src.errors import MissingDependencyError
from dataset_build.src.experts.base import CannotAnswerError, ToolExpert
from dataset_build.src.experts.tools.date_requests import MAX_LENGTH, FoundDate, answer
from dataset_build.src.records import Price

_LANGUAGES = ["en", "de", "fr", "es", "it", "nl", "pt", "sv", "pl", "tr", "ru"]
_WORD = r"[^\W\d_]{3,12}"
_WEEKDAY = r"(?:(?:[Mm]on|[Tt]ue|[Ww]ed|[Tt]hu|[Ff]ri|[Ss]at|[Ss]un)[a-z]{0,6}\.?,?\s+)?"
_NAMED = re.compile(
    rf"\b{_WEEKDAY}(\d{{1,2}})(?:\.|er|st|nd|rd|th|[ºª°])?[\s-]+(?:de\s+|of\s+|d')?({_WORD})\.?,?[\s-]+(?:del?\s+)?(\d{{4}})\b"
)
_MONTH_FIRST_NAMED = re.compile(rf"\b{_WEEKDAY}({_WORD})\.?\s+(\d{{1,2}})(?:st|nd|rd|th)?,?\s+(\d{{4}})\b")
_NUMERIC = re.compile(r"\b(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4})\b")
_DAY_FIRST = re.compile(r"\b(?:day|jour|tag|día)[ -](?:\w+ )?first|\bdd[-/.]?mm", re.IGNORECASE)
_MONTH_FIRST = re.compile(r"\bmonth[ -](?:\w+ )?first|\bmm[-/.]?dd", re.IGNORECASE)


class DateparserDates(ToolExpert):
    """Cuts candidates out of the text itself (dateparser's own search is unreliable) and lets dateparser read them.

    Numeric dates are read day first unless the text says month first.
    """

    tool_name = "dateparser_dates"
    tool_description = "Dates in eleven languages to ISO form, and simple counting with them (dateparser); slow."

    def __init__(self, name: str | None = None, *, price: Price | None = None, description: str | None = None) -> None:
        super().__init__(name, price=price, description=description)
        self._parser: Any = None

    def warm_up(self) -> None:
        """Import dateparser and load its languages."""
        try:
            from dateparser.date import DateDataParser
        except ImportError as error:
            raise MissingDependencyError('Install the tools: pip install "moe-toolkit[tools]"') from error
        settings = {"REQUIRE_PARTS": ["day", "month", "year"], "PARSERS": ["absolute-time"], "DATE_ORDER": "DMY"}
        self._parser = DateDataParser(languages=_LANGUAGES, settings=settings, try_previous_locales=False)
        for month in ("mars", "januari", "janeiro", "enero", "gennaio", "stycznia", "ocak", "января", "xyz"):
            self._read(f"3 {month} 2024")

    def solve(self, text: str) -> str:
        """Return a date in ISO form, a number of days, or a weekday.

        Raises:
            CannotAnswerError: no complete date in a language it knows.
        """
        if len(text) > MAX_LENGTH or not re.search(r"\d{4}", text):
            raise CannotAnswerError("no complete date in it")
        found = [*self._named(text), *self._numeric(text)]
        return answer(text, sorted(found, key=lambda date: date.start))

    def _named(self, text: str) -> list[FoundDate]:
        found: list[FoundDate] = []
        for pattern, order in ((_NAMED, (1, 2, 3)), (_MONTH_FIRST_NAMED, (2, 1, 3))):
            for match in pattern.finditer(text):
                number, month, year = (match.group(group) for group in order)
                overlaps = any(match.start() < known.end and known.start < match.end() for known in found)
                day = None if overlaps else self._read(f"{number} {month.lower()} {year}")
                if day:
                    found.append(FoundDate(match.start(), match.end(), day.date()))
        return found

    def _numeric(self, text: str) -> list[FoundDate]:
        found = []
        for match in _NUMERIC.finditer(text):
            parts = re.split(r"[-/.]", match.group())
            if len(parts[0]) == 4:
                parts.reverse()
            elif _MONTH_FIRST.search(text) and not _DAY_FIRST.search(text):
                parts = [parts[1], parts[0], parts[2]]
            day = self._read("/".join(parts))
            if day:
                found.append(FoundDate(match.start(), match.end(), day.date()))
        return found

    def _read(self, written: str) -> datetime | None:
        if self._parser is None:
            self.warm_up()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            parsed: datetime | None = self._parser.get_date_data(written).date_obj
        return parsed
