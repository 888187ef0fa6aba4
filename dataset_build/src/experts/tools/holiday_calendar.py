"""Public holidays of countries, by the holidays library."""

import re
import unicodedata
import warnings
from collections.abc import Iterator
from datetime import date
from typing import Any

from dataset_build.src.errors import MissingDependencyError
from dataset_build.src.experts.base import CannotAnswerError, ToolExpert
from dataset_build.src.experts.tools.date_requests import MAX_LENGTH
from dataset_build.src.experts.tools.dateutil_dates import DateutilDates
from dataset_build.src.records import Price

_YEAR = re.compile(r"(?<![\d.,])(?:19|20)\d\d(?!-?\d|[.,]\d)")
_WORD = re.compile(r"[a-z0-9]+")
_DULL = frozenset(["day", "of", "the", "and", "s", "st", "saint", "in", "de", "la"])
_SAME = {"whit": "pentecost", "labour": "labor", "boxing": "second", "xmas": "christmas", "fourth": "4th"}
_NICKNAMES = {"usa": "US", "america": "US", "united states": "US", "uk": "GB", "britain": "GB", "great britain": "GB"}
_YES_NO = re.compile(r"\b(yes|no|is|does|do|was|will|would|whether)\b", re.IGNORECASE)
#: How much a letter of the country's name counts in a holiday's ("Canada Day"), and the fewest letters to match.
_PLACE_WEIGHT, _LEAST_HITS = 0.3, 3
#: Years outside this range are not looked up.
_YEARS = range(1950, 2101)


def _words(text: str) -> list[str]:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower().replace("'", "")
    return [_SAME.get(word, word) for word in _WORD.findall(plain)]


class HolidayCalendar(ToolExpert):
    """Says when a named public holiday of a country is, or whether a day is one."""

    tool_name = "holiday_calendar"
    tool_description = "Public holidays: when one is in a country and year, whether a day is one (holidays)."

    def __init__(self, name: str | None = None, *, price: Price | None = None, description: str | None = None) -> None:
        super().__init__(name, price=price, description=description)
        self._library: Any = None
        self._countries: dict[str, str] = {}
        self._pattern: re.Pattern[str] = re.compile("$^")
        self._calendars: dict[tuple[str, int], dict[date, str]] = {}
        self._dates = DateutilDates()

    def warm_up(self) -> None:
        """Import the library and make the table of countries."""
        try:
            import holidays
            from holidays.registry import COUNTRIES
        except ImportError as error:
            raise MissingDependencyError('Install the tools: pip install "moe-toolkit[tools]"') from error
        self._countries = {module.replace("_", " "): names[1] for module, names in COUNTRIES.items()} | _NICKNAMES
        names = sorted(map(re.escape, self._countries), key=len, reverse=True)
        self._pattern = re.compile(rf"\b({'|'.join(names)})\b", re.IGNORECASE)
        self._library = holidays
        self._dates.warm_up()

    def solve(self, text: str) -> str:
        """Return an ISO date, "yes" or "no", or the name of the holiday on a date.

        Raises:
            CannotAnswerError: no country and year in it, or no such holiday.
        """
        if len(text) > MAX_LENGTH or not re.search(r"(?:19|20)\d\d", text):
            raise CannotAnswerError("no year in it")
        if self._library is None:
            self.warm_up()
        countries = [self._countries[match.group().lower()] for match in self._pattern.finditer(text)]
        if not countries:
            raise CannotAnswerError("no country in it")
        days = self._dates.find(text)
        if days and re.search(r"holiday|day off|closed|celebrat|observ", text, re.IGNORECASE):
            name = self._calendar(countries[0], days[0].day.year).get(days[0].day)
            if _YES_NO.search(text):
                return "yes" if name else "no"
            return name or "no public holiday"
        return self._named(text, countries)

    def _named(self, text: str, countries: list[str]) -> str:
        years = _YEAR.findall(text)
        if not years:
            raise CannotAnswerError("no year in it")
        year = int(years[-1])
        asked, lowered = set(_words(text)), text.lower()
        best, chosen = 0.0, None
        places = set(_words(" ".join(self._pattern.findall(text))))
        for code in dict.fromkeys(countries):
            for day, name in self._named_days(code, year):
                words = [word for word in _words(name) if word not in _DULL]
                hits = sum(len(word) * (_PLACE_WEIGHT if word in places else 1) for word in words if word in asked)
                share = hits / (sum(map(len, words)) or 1)
                in_full = name.partition(",")[0].lower() in lowered
                if (hits >= _LEAST_HITS or in_full) and share + hits / 1000 > best:
                    best, chosen = share + hits / 1000, day
        if chosen is None:
            raise CannotAnswerError("no such public holiday there")
        return chosen.isoformat()

    def _named_days(self, code: str, year: int) -> Iterator[tuple[date, str]]:
        for day, names in sorted(self._calendar(code, year).items()):
            for name in names.split("; "):
                if "observed" not in name.lower():
                    yield day, name

    def _calendar(self, code: str, year: int) -> dict[date, str]:
        if year not in _YEARS:
            raise CannotAnswerError(f"the year {year} is beyond the calendar")
        key = (code, year)
        if key not in self._calendars:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = self._library.country_holidays(code, years=year, language="en_US")
            self._calendars[key] = {day: str(name) for day, name in found.items()}
        return self._calendars[key]
