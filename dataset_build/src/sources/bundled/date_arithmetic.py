"""Counting with dates: so much later or earlier, days between, which weekday."""

import random
from calendar import monthrange
from datetime import date, timedelta

from dataset_build.src.sources.bundled.kinds import Draw, Kind, Task
from dataset_build.src.sources.bundled.written_dates import WEEKDAYS, in_english, in_plain_english, random_date

_WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_FORMS = (
    "",
    "",
    " (YYYY-MM-DD)",
    " Answer as YYYY-MM-DD.",
    " ISO date please.",
    " I need it in ISO form.",
    " Year-month-day.",
)


def shifted(day: date, count: int, unit: str) -> date:
    """Return `day` moved by `count` days, weeks, months or years; a missing day becomes the month's last."""
    if unit == "day":
        return day + timedelta(days=count)
    if unit == "week":
        return day + timedelta(weeks=count)
    months = day.year * 12 + day.month - 1 + count * (12 if unit == "year" else 1)
    year, month = divmod(months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def _amount(rng: random.Random) -> tuple[int, str, str]:
    unit, limit = rng.choice((("day", 400), ("day", 100), ("week", 60), ("month", 30), ("year", 12)))
    count = rng.randrange(2, limit)
    written = _WORDS[count - 1] if count <= len(_WORDS) and rng.random() < 0.4 else str(count)
    return count, unit, f"{written} {unit}s"


def _draw_later(rng: random.Random) -> Draw:
    day = random_date(rng, 1980)
    count, unit, amount = _amount(rng)
    slots = {"date": in_english(day, rng), "amount": amount, "form": rng.choice(_FORMS)}
    return Draw(slots, shifted(day, count, unit).isoformat())


def _draw_earlier(rng: random.Random) -> Draw:
    day = random_date(rng, 1990)
    count, unit, amount = _amount(rng)
    slots = {"date": in_english(day, rng), "amount": amount, "form": rng.choice(_FORMS)}
    return Draw(slots, shifted(day, -count, unit).isoformat())


def _draw_between(rng: random.Random) -> Draw:
    day = random_date(rng, 1985, 2030)
    gap = rng.randrange(3, rng.choice((60, 400, 3000)))
    slots = {"first": in_english(day, rng), "second": in_english(day + timedelta(days=gap), rng)}
    return Draw(slots, str(gap))


def _draw_weekday(rng: random.Random) -> Draw:
    day = random_date(rng)
    return Draw({"date": in_plain_english(day, rng)}, WEEKDAYS[day.weekday()])


KIND = Kind(
    category="date_arithmetic",
    metric="exact_match",
    tasks=(
        Task(
            "later",
            (
                "What date is {amount} after {date}?{form}",
                "{date} plus {amount}, what do we land on?{form}",
                "add {amount} to {date}{form}",
                "My warranty started on {date} and runs for {amount}. When does it expire?{form}",
                "If I sign the lease on {date}, which date is it {amount} later?{form}",
                "{date} + {amount} = ?{form}",
                "Could you tell me where the calendar stands once {amount} have passed since {date}?{form}",
                "The doctor saw me on {date} and wants me back in {amount}. Which date do I put in my diary?{form}",
                "deadline calc: start {date}, duration {amount}, end?{form}",
                "Count {amount} forward from {date} and give me the resulting date.{form}",
                "We shipped the parcel {date}; customs said it takes {amount}. Expected arrival?{form}",
                "Starting at {date}, jump ahead {amount}.{form}",
                "A bottle opened on {date} keeps for {amount}. Throw it away on:{form}",
                "The probation of {amount} begins {date}. I'd like its closing date, please.{form}",
            ),
            _draw_later,
        ),
        Task(
            "earlier",
            (
                "What date was {amount} before {date}?{form}",
                "{date} minus {amount}{form}",
                "go back {amount} from {date}, where do we end up?{form}",
                "Subtract {amount} from {date} for me.{form}",
                "The exam is on {date} and I must register {amount} earlier. Latest day to sign up?{form}",
                (
                    "Invitations have to leave {amount} prior to the wedding, which is on {date}. When do I post "
                    "them?{form}"
                ),
                "rewind the calendar by {amount} starting from {date}{form}",
                "It is {date} today. Which date did we have {amount} ago?{form}",
                "Notice must be handed in {amount} ahead of {date}. Work out the day.{form}",
                "take {amount} off {date}{form}",
            ),
            _draw_earlier,
        ),
        Task(
            "between",
            (
                "How many days are there between {first} and {second}?",
                "days from {first} to {second}",
                "Count the days separating {first} and {second}.",
                "I arrived on {first} and left on {second}. How long was that, in days?",
                "{first} -> {second}: number of days?",
                "By how many days does {second} come after {first}?",
                "What's the difference in days between the two dates {first} and {second}?",
                "She quit smoking on {first}; now it is {second}. For how many days has she been clean?",
                (
                    "If the countdown starts {first} and the launch is {second}, how many days does the clock show "
                    "at the start?"
                ),
                "Invoice dated {first}, paid {second}. Length of the wait in days please",
                "until {second}, starting {first}: how many sleeps?",
                "gap in days, {first} vs {second}",
            ),
            _draw_between,
            metric="number",
        ),
        Task(
            "weekday",
            (
                "What day of the week is {date}?",
                "which weekday was {date}",
                "I was born on {date}. Was that a Monday, a Tuesday, or what?",
                "{date}: day of week?",
                "Does {date} fall on a Sunday, or if not, on which day?",
                "Please name the weekday of {date}.",
                "Tell me the day (Monday to Sunday) that {date} lands on.",
                "The wedding is set for {date}. Is that midweek or weekend? Give me the exact weekday name.",
                "is {date} a friday? if it isn't, say which one it is",
                "My diary page for {date} is torn: only the weekday heading is missing. What did it say?",
                "On what day did {date} happen to fall?",
                "Looking at {date}, would the bins that go out on that weekday be Monday's, Tuesday's...? One word.",
            ),
            _draw_weekday,
        ),
    ),
)
