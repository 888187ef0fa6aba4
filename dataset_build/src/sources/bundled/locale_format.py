"""Numbers, amounts of money, percentages and dates written the way of a country."""

import random
from dataclasses import dataclass

from dataset_build.src.sources.bundled.kinds import Draw, Kind, Task
from dataset_build.src.sources.bundled.written_dates import MONTHS, in_plain_english, random_date


@dataclass(frozen=True, slots=True)
class Convention:
    """How one country writes: separators, money pattern, the money's names, long date pattern, percent sign."""

    adjective: str
    country: str
    code: str
    group: str
    decimal: str
    money: str
    currency: tuple[str, str]
    day: str
    percent: str = "{}%"
    months: str = "English"


CONVENTIONS: tuple[Convention, ...] = (
    Convention("German", "Germany", "de_DE", ".", ",", "{} €", ("EUR", "euros"), "{d}. {m} {y}", "{} %", "German"),
    Convention("French", "France", "fr_FR", " ", ",", "{} €", ("EUR", "euros"), "{d} {m} {y}", "{} %", "French"),
    Convention("American", "the United States", "en_US", ",", ".", "${}", ("USD", "US dollars"), "{m} {d}, {y}"),
    Convention("British", "the United Kingdom", "en_GB", ",", ".", "£{}", ("GBP", "pounds"), "{d} {m} {y}"),
    Convention("Indian", "India", "en_IN", "lakh", ".", "₹{}", ("INR", "rupees"), "{d} {m} {y}"),
    Convention("Spanish", "Spain", "es_ES", ".", ",", "{} €", ("EUR", "euros"), "{d} de {m} de {y}", "{} %", "Spanish"),
    Convention("Italian", "Italy", "it_IT", ".", ",", "{} €", ("EUR", "euros"), "{d} {m} {y}", "{}%", "Italian"),
    Convention(
        "Brazilian", "Brazil", "pt_BR", ".", ",", "R$ {}", ("BRL", "reais"), "{d} de {m} de {y}", "{}%", "Portuguese"
    ),
    Convention("Dutch", "the Netherlands", "nl_NL", ".", ",", "€ {}", ("EUR", "euros"), "{d} {m} {y}", "{}%", "Dutch"),
    Convention("Swedish", "Sweden", "sv_SE", " ", ",", "{} kr", ("SEK", "kronor"), "{d} {m} {y}", "{} %", "Swedish"),
    Convention("Polish", "Poland", "pl_PL", " ", ",", "{} zł", ("PLN", "zlotys"), "{d} {m} {y}", "{}%", "Polish"),
    Convention("Swiss", "Switzerland", "de_CH", "'", ".", "CHF {}", ("CHF", "francs"), "{d}. {m} {y}", "{}%", "German"),
)


def grouped(digits: str, separator: str) -> str:
    """Return whole-number digits with separators every three places, or the Indian way for "lakh"."""
    head, size = digits, 3
    groups: list[str] = []
    while len(head) > size:
        head, group = head[:-size], head[-size:]
        groups.insert(0, group)
        size = 2 if separator == "lakh" else 3
    return ("," if separator == "lakh" else separator).join([head, *groups])


def _written(rng: random.Random, convention: Convention, decimals: int) -> tuple[str, str]:
    """Return a number as a machine prints it, and as the country writes it."""
    whole = str(rng.randrange(10**4, 10 ** rng.randrange(5, 9)))
    fraction = "".join(rng.choice("123456789") for _ in range(decimals))
    plain = f"{whole}.{fraction}" if fraction else whole
    local = grouped(whole, convention.group)
    return plain, f"{local}{convention.decimal}{fraction}" if fraction else local


def _convention(rng: random.Random) -> Convention:
    """Draw a country; the four commonest in people's questions (they come first) as often as the rest."""
    return rng.choice(CONVENTIONS[:4] if rng.random() < 0.5 else CONVENTIONS)


def _names(convention: Convention) -> dict[str, str]:
    return {"adjective": convention.adjective, "country": convention.country, "code": convention.code}


def _draw_number(rng: random.Random) -> Draw:
    convention = _convention(rng)
    plain, local = _written(rng, convention, rng.choice((0, 1, 2, 2)))
    return Draw({"number": plain, **_names(convention)}, local)


def _draw_money(rng: random.Random) -> Draw:
    convention = _convention(rng)
    plain, local = _written(rng, convention, 2)
    iso, name = convention.currency
    amount = rng.choice((f"{plain} {iso}", f"{iso} {plain}", f"{plain} {name}"))
    return Draw({"amount": amount, **_names(convention)}, convention.money.format(local))


def _draw_percent(rng: random.Random) -> Draw:
    convention = _convention(rng)
    whole, tenth = rng.randrange(1, 100), rng.randrange(1, 10)
    local = convention.percent.format(f"{whole}{convention.decimal}{tenth}")
    written = rng.choice((f"{whole}.{tenth}%", f"{whole}.{tenth} percent", f"{whole}.{tenth} per cent"))
    return Draw({"share": written, **_names(convention)}, local)


def _draw_day(rng: random.Random) -> Draw:
    convention = _convention(rng)
    day = random_date(rng)
    month = MONTHS[convention.months][day.month - 1]
    local = convention.day.format(d=day.day, m=month, y=day.year)
    return Draw({"date": in_plain_english(day, rng), **_names(convention)}, local)


KIND = Kind(
    category="locale_format",
    metric="exact_match",
    tasks=(
        Task(
            "number",
            (
                "Write {number} with {adjective} thousands and decimal separators.",
                "format {number} for locale {code}",
                "How would someone in {country} write the number {number}?",
                "{number} in {adjective} notation, grouped in thousands",
                "I'm typesetting a brochure for readers in {country}. What should the figure {number} look like?",
                (
                    "My spreadsheet is set to {country} and shows {number} differently from mine. What does it "
                    "display, with digit grouping?"
                ),
                "localise number: {number} -> {code}",
                "Please put the separators into {number} as is customary in {country}.",
                "An accountant from {country} complains that {number} is illegible. Write it her way.",
                "Render the quantity {number} per {adjective} conventions (separators, nothing else).",
            ),
            _draw_number,
        ),
        Task(
            "money",
            (
                "Write the amount {amount} the {adjective} way, with the currency symbol.",
                "price tag for {country}: {amount}",
                "How do I print {amount} on an invoice that goes to {country}? Use the symbol.",
                "currency format {code} {amount}",
                "{amount} please, as a shop in {country} would display it (with the sign, not the code).",
                "Our {adjective} customers expect prices in their own style. Reformat {amount} with the symbol.",
                "My contract says {amount}. Typeset this sum for a {adjective} reader, symbol included.",
                "Show {amount} with local separators and currency sign for {country}",
                "On a menu in {country}, what would {amount} look like, symbol and all?",
                "convert the notation (not the value!) of {amount} to {adjective}, symbol style",
            ),
            _draw_money,
        ),
        Task(
            "percent",
            (
                "Write {share} the {adjective} way.",
                "{share} as a percentage in {code} formatting",
                "How does a newspaper in {country} print {share}, with the % sign?",
                "percent style {adjective}: {share}",
                "Turnout was {share}. I need that figure typeset for {country}, sign included.",
                "Localise the interest rate {share} for our {adjective} bank brochure (% sign).",
                (
                    "Spacing and comma before the percent sign differ by country, they say. What is correct in "
                    "{country} for {share}?"
                ),
            ),
            _draw_percent,
        ),
        Task(
            "day",
            (
                "Write the date {date} out in full the {adjective} way, month as a word.",
                "{date} as a long date in locale {code}",
                "How would the date {date} head a letter in {country}? Spell the month.",
                "long {adjective} date for {date}",
                "My certificate must carry {date} in the style of {country}, month name in the local language.",
                "Print {date} on a {adjective} invitation, month in words.",
                (
                    "I need {date} spelled for an audience in {country}: day, month name, year, in their order and "
                    "language."
                ),
                "localize date {date} -> {code}, long form",
                "Which form of {date} would a clerk from {country} write into a contract (month in letters)?",
            ),
            _draw_day,
        ),
    ),
)
