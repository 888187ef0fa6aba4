"""What is asked about the dates in a sentence: a shift, a difference, a weekday, or just the date itself.

The tools about dates differ in how they find and read dates; what to do with them is read here.
"""

import calendar
import re
from dataclasses import dataclass
from datetime import date, timedelta

from dataset_build.src.experts.base import CannotAnswerError

#: Longer texts are not read: no question about a date needs them.
MAX_LENGTH = 4000

_NUMBERS = {"a": 1, "an": 1, "thirteen": 13, "fourteen": 14, "fifteen": 15, "twenty": 20, "thirty": 30, "ninety": 90}
_NUMBERS |= {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9}
_NUMBERS |= {"ten": 10, "eleven": 11, "twelve": 12, "forty": 40, "fifty": 50, "sixty": 60, "hundred": 100}
_UNIT = re.compile(r"\b(\d{1,6}|[a-z]{1,9})[\s-]+(business\s+)?(day|week|fortnight|month|year)s?\b", re.IGNORECASE)
_BACKWARDS = re.compile(
    r"\b(before|prior|ago|minus|subtract|deduct|preced\w+|ahead of|rewind|backwards?|go back|going back|in advance)\b"
    r"|\b(?:days?|weeks?|months?|years?) earlier\b|\btake\b.{0,30}\boff\b|^[^a-z]*-\s*\d+ (?:day|week|month|year)",
    re.IGNORECASE,
)
_FORWARDS = re.compile(r"\b(after|later|plus|add|from now|forward)\b", re.IGNORECASE)
_LENGTH = re.compile(
    r"\b(days?|sleeps|how long|between|difference|gap|separat\w+|apart|elapsed|interval)\b", re.IGNORECASE
)
_WEEKDAY = re.compile(r"\b(?:week\s?day|day of (?:the )?week)", re.IGNORECASE)
_MAYBE_WEEKDAY = re.compile(
    r"\b(day (?:was|is|does|did|will)|(?:what|which|on what) day\b|(?:mon|tues|wednes|thurs|fri|satur|sun)days?)\b",
    re.IGNORECASE,
)
_CALENDAR = re.compile(
    r"\b(iso|8601|[yaj]{2,4}-?mm?|date|datum|fecha|data|year|standard)\b|[yaj]{4}-mm-|%Y", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class FoundDate:
    """A date in a text and where it stands."""

    start: int
    end: int
    day: date


def shift(day: date, count: int, unit: str) -> date:
    """Return `day` moved by `count` units; a day missing from the month becomes the month's last.

    Raises:
        CannotAnswerError: the result is outside the years 1 to 9999.
    """
    try:
        if unit in ("day", "week", "fortnight"):
            return day + timedelta(days=count * {"day": 1, "week": 7, "fortnight": 14}[unit])
        year, month = divmod(day.year * 12 + day.month - 1 + count * (12 if unit == "year" else 1), 12)
        return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))
    except (ValueError, OverflowError, calendar.IllegalMonthError) as error:
        raise CannotAnswerError("the resulting date is beyond the calendar") from error


def amounts(text: str) -> list[tuple[int, str]]:
    """Return every stretch of time in `text`: "three weeks" is (3, "week")."""
    found = []
    for match in _UNIT.finditer(text):
        word = match.group(1).lower()
        count = int(word) if word.isdigit() else _NUMBERS.get(word)
        if count is not None and not match.group(2):
            found.append((count, match.group(3).lower()))
    return found


def answer(text: str, dates: list[FoundDate]) -> str:
    """Return the answer to what `text` asks about the dates found in it.

    Raises:
        CannotAnswerError: there is no date, or nothing about dates is asked.
    """
    if not dates:
        raise CannotAnswerError("no complete date in it")
    rest = text
    for found in reversed(dates):
        rest = rest[: found.start] + " " + rest[found.end :]
    if len(dates) > 1 and _LENGTH.search(rest):
        return str(abs((dates[1].day - dates[0].day).days))
    spans = amounts(rest)
    if spans:
        backwards = _BACKWARDS.search(rest) is not None and _FORWARDS.search(rest) is None
        backwards = backwards or re.match(r"\s*[-−–]\s*\d", text[dates[0].end :]) is not None
        day = dates[0].day
        for count, unit in spans:
            day = shift(day, -count if backwards else count, unit)
        return day.isoformat()
    if _WEEKDAY.search(rest) or (_MAYBE_WEEKDAY.search(rest) and not _CALENDAR.search(rest)):
        return calendar.day_name[dates[0].day.weekday()]
    return dates[0].day.isoformat()
