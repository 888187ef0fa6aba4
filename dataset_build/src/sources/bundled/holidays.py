"""Public holidays: when one is, whether a day is one. Rules of our own: fixed days, weekday counts, Easter."""

import random
from collections.abc import Callable
from datetime import date, timedelta

from dataset_build.src.sources.bundled.kinds import Draw, Kind, Task
from dataset_build.src.sources.bundled.written_dates import in_english, random_date

Rule = Callable[[int], date]


def easter(year: int) -> date:
    """Return Easter Sunday of the Gregorian calendar (the anonymous algorithm of Nature, 20 April 1876)."""
    century, rest = divmod(year, 100)
    golden = year % 19
    leap, part = divmod(century, 4)
    shift = (century - (century + 8) // 25 + 1) // 3
    epact = (19 * golden + century - leap - shift + 15) % 30
    quarter, remainder = divmod(rest, 4)
    days = (32 + 2 * part + 2 * quarter - epact - remainder) % 7
    month_shift = (golden + 11 * epact + 22 * days) // 451
    month, day = divmod(epact + days - 7 * month_shift + 114, 31)
    return date(year, month, day + 1)


def _fixed(month: int, day: int) -> Rule:
    return lambda year: date(year, month, day)


def _easter(offset: int) -> Rule:
    return lambda year: easter(year) + timedelta(days=offset)


def _nth(month: int, weekday: int, count: int) -> Rule:
    """Return the rule "the `count`th `weekday` (0 is Monday) of `month`"; -1 is the last."""

    def rule(year: int) -> date:
        if count > 0:
            first = date(year, month, 1)
            return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (count - 1))
        last = date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)
        return last - timedelta(days=(last.weekday() - weekday) % 7)

    return rule


_NEW_YEAR, _EASTER_MONDAY = ("New Year's Day", _fixed(1, 1)), ("Easter Monday", _easter(1))
_GOOD_FRIDAY, _CHRISTMAS = ("Good Friday", _easter(-2)), ("Christmas Day", _fixed(12, 25))
_ASCENSION, _WHIT_MONDAY = ("Ascension Day", _easter(39)), ("Whit Monday", _easter(50))
_CORPUS_CHRISTI, _ASSUMPTION = ("Corpus Christi", _easter(60)), ("Assumption Day", _fixed(8, 15))
_ALL_SAINTS, _EPIPHANY = ("All Saints' Day", _fixed(11, 1)), ("Epiphany", _fixed(1, 6))
_LABOR_DAY, _IMMACULATE = ("Labor Day", _fixed(5, 1)), ("Immaculate Conception", _fixed(12, 8))

#: Country -> holidays of the whole country, complete for the countries in `COMPLETE`.
HOLIDAYS: dict[str, tuple[tuple[str, Rule], ...]] = {
    "Germany": (_NEW_YEAR, _GOOD_FRIDAY, _EASTER_MONDAY, _LABOR_DAY, _ASCENSION, _WHIT_MONDAY)
    + (("German Unity Day", _fixed(10, 3)), _CHRISTMAS, ("Second Day of Christmas", _fixed(12, 26))),
    "France": (_NEW_YEAR, _EASTER_MONDAY, _LABOR_DAY, ("Victory Day", _fixed(5, 8)), _ASCENSION, _WHIT_MONDAY)
    + (("National Day", _fixed(7, 14)), _ASSUMPTION, _ALL_SAINTS, ("Armistice Day", _fixed(11, 11)), _CHRISTMAS),
    "Austria": (_NEW_YEAR, _EPIPHANY, _EASTER_MONDAY, _LABOR_DAY, _ASCENSION, _WHIT_MONDAY, _CORPUS_CHRISTI)
    + (_ASSUMPTION, ("National Day", _fixed(10, 26)), _ALL_SAINTS, _IMMACULATE, _CHRISTMAS)
    + (("Saint Stephen's Day", _fixed(12, 26)),),
    "Italy": (_NEW_YEAR, _EPIPHANY, ("Easter Sunday", _easter(0)), _EASTER_MONDAY)
    + (("Liberation Day", _fixed(4, 25)), _LABOR_DAY, ("Republic Day", _fixed(6, 2)), _ASSUMPTION, _ALL_SAINTS)
    + (_IMMACULATE, _CHRISTMAS, ("Saint Stephen's Day", _fixed(12, 26))),
    "Portugal": (_NEW_YEAR, _GOOD_FRIDAY, ("Easter Sunday", _easter(0)), ("Freedom Day", _fixed(4, 25)), _LABOR_DAY)
    + (_CORPUS_CHRISTI, ("Day of Portugal", _fixed(6, 10)), _ASSUMPTION, ("Republic Day", _fixed(10, 5)), _ALL_SAINTS)
    + (("Restoration of Independence Day", _fixed(12, 1)), _IMMACULATE, _CHRISTMAS),
    "Belgium": (_NEW_YEAR, ("Easter Sunday", _easter(0)), _EASTER_MONDAY, _LABOR_DAY, _ASCENSION, _WHIT_MONDAY)
    + (("Whit Sunday", _easter(49)), ("National Day", _fixed(7, 21)), _ASSUMPTION, _ALL_SAINTS)
    + (("Armistice Day", _fixed(11, 11)), _CHRISTMAS),
    "the United States": (_NEW_YEAR, _CHRISTMAS, ("Martin Luther King Jr. Day", _nth(1, 0, 3)))
    + (("Independence Day", _fixed(7, 4)), ("Memorial Day", _nth(5, 0, -1)), ("Labor Day", _nth(9, 0, 1)))
    + (("Columbus Day", _nth(10, 0, 2)), ("Veterans Day", _fixed(11, 11)), ("Thanksgiving Day", _nth(11, 3, 4))),
    "Canada": (_NEW_YEAR, _GOOD_FRIDAY, _CHRISTMAS, ("Canada Day", _fixed(7, 1)), ("Labour Day", _nth(9, 0, 1))),
    "Brazil": (_NEW_YEAR, _GOOD_FRIDAY, _CHRISTMAS, ("Tiradentes' Day", _fixed(4, 21)))
    + (("Independence Day", _fixed(9, 7)), ("Republic Proclamation Day", _fixed(11, 15))),
    "Mexico": (_NEW_YEAR, _CHRISTMAS, ("Independence Day", _fixed(9, 16)), ("Constitution Day", _nth(2, 0, 1))),
    "Poland": (_NEW_YEAR, _EPIPHANY, _EASTER_MONDAY, _CORPUS_CHRISTI, _CHRISTMAS)
    + (("Independence Day", _fixed(11, 11)), ("Constitution Day", _fixed(5, 3))),
    "India": (("Republic Day", _fixed(1, 26)), ("Independence Day", _fixed(8, 15))),
    "Australia": (("Anzac Day", _fixed(4, 25)), ("Australia Day", _fixed(1, 26)), _GOOD_FRIDAY, _EASTER_MONDAY),
    "Norway": (_NEW_YEAR, _GOOD_FRIDAY, _EASTER_MONDAY, _ASCENSION, ("Constitution Day", _fixed(5, 17))),
    "South Africa": (("Freedom Day", _fixed(4, 27)), ("Heritage Day", _fixed(9, 24)), ("Youth Day", _fixed(6, 16))),
    "Finland": (_NEW_YEAR, _GOOD_FRIDAY, _EASTER_MONDAY, ("Independence Day", _fixed(12, 6))),
}
#: Countries whose list above is the whole list, so that any other day is an ordinary one.
COMPLETE = ("Germany", "France", "Austria", "Portugal", "Belgium")
YEARS = range(2018, 2035)


def is_holiday(country: str, day: date) -> bool:
    """Return whether `day` is in our list for `country`."""
    return any(rule(day.year) == day for _, rule in HOLIDAYS[country])


def _draw_when(rng: random.Random) -> Draw:
    country = rng.choice(list(HOLIDAYS))
    name, rule = rng.choice(HOLIDAYS[country])
    year = rng.choice(YEARS)
    return Draw({"holiday": name, "country": country, "year": str(year)}, rule(year).isoformat())


def _draw_whether(rng: random.Random) -> Draw:
    if rng.random() < 0.5:
        country = rng.choice(list(HOLIDAYS))
        day = rng.choice(HOLIDAYS[country])[1](rng.choice(YEARS))
        return Draw({"date": in_english(day, rng), "country": country}, "yes")
    country = rng.choice(COMPLETE)
    day = random_date(rng, YEARS[0], YEARS[-1])
    while is_holiday(country, day):
        day += timedelta(days=3)
    return Draw({"date": in_english(day, rng), "country": country}, "no")


KIND = Kind(
    category="holidays",
    metric="exact_match",
    tasks=(
        Task(
            "when",
            (
                "When is {holiday} in {country} in {year}? Give the date as YYYY-MM-DD.",
                "date of {holiday} {year}, {country}, iso format",
                "On which date did or will {country} celebrate {holiday} in {year}? (YYYY-MM-DD)",
                (
                    "I'm moving to {country} and the contract mentions {holiday}. For {year}, which calendar day is "
                    "that (year-month-day)?"
                ),
                "{country} / {year} / {holiday} -> yyyy-mm-dd",
                "Please look up the {year} date of {holiday} as observed across {country}, ISO style.",
                "Planning our {year} roster for the office in {country}: what is the ISO date of {holiday}?",
                (
                    "My flight to {country} is some time in {year} and I want to be there for {holiday}. When "
                    "should I be there (YYYY-MM-DD)?"
                ),
                "tell me when {country} has {holiday} off in {year}, format YYYY-MM-DD",
                "Shops in {country} close for {holiday}. Which day of {year} was that? ISO 8601, nothing else.",
                "Put {holiday} into my {year} calendar for {country}: what do I type in the ISO date field?",
                "As far as {country} goes, {holiday} of the year {year} falls on... (answer like 1999-12-31)",
                "Quiz time: {holiday}, {year}, {country}. Month and day, full ISO notation!",
                "The payroll system for {country} lacks {holiday} for {year}. Which YYYY-MM-DD value shall I add?",
                (
                    "In the year {year}, people in {country} stayed home because of {holiday}; state the date as "
                    "yyyy-mm-dd."
                ),
                "{holiday} moves around, I believe. Where does it sit in {year} for {country}? Use YYYY-MM-DD",
                "What's the bank holiday date: {holiday}, {country}, {year}? ISO.",
                (
                    "My grandmother from {country} always bakes on {holiday}. Her letter is from {year}. Which date "
                    "was it, in ISO form?"
                ),
            ),
            _draw_when,
        ),
        Task(
            "whether",
            (
                "Is {date} a public holiday in {country}? Yes or no.",
                "{country}, {date}: bank holiday, yes/no?",
                "Do people in {country} have the day off on {date} by law? Answer yes or no.",
                "can i expect offices in {country} to be closed for a national holiday on {date}? yes or no",
                "I have a client call with {country} on {date}. Is that a statutory holiday over there? (yes/no)",
                "Check whether {date} counts as a nationwide holiday for {country}. One word, yes or no.",
                "true or not: {date} was a legal holiday throughout {country}. Say yes or no.",
                "Would the banks of {country} observe a national holiday on {date}? yes/no",
                "Our delivery to {country} is due {date}. Will a public holiday get in the way? Just yes or no",
                "holiday({country}, {date}) -> yes | no",
                (
                    "Never mind the weekend: according to the official list of {country}, is {date} a holiday? "
                    "Reply yes or no."
                ),
                (
                    "{date}. {country}. Red-letter day in the calendar or ordinary one? Write yes if it is a public "
                    "holiday, otherwise no."
                ),
                "HR question for {country}: does {date} have to be paid at the public holiday rate? yes or no",
                "We want to hold a workshop in {country} on {date}; is it a national holiday there, yes or no?",
                (
                    "My cousin in {country} claims nobody works on {date} because it's a holiday. Is she right? "
                    "Yes/no answer."
                ),
                "Does the public holiday calendar of {country} contain {date}? Respond with yes or no only.",
            ),
            _draw_whether,
        ),
    ),
)
