"""Dates as people write them, in English and ten other languages, by tables of our own."""

import random
from datetime import date, timedelta

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

#: Language -> the twelve months as they stand inside a date (genitive where the language has one).
MONTHS: dict[str, tuple[str, ...]] = {
    language: tuple(names.split())
    for language, names in {
        "English": "January February March April May June July August September October November December",
        "German": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
        "French": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
        "Spanish": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
        "Italian": "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
        "Portuguese": "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
        "Dutch": "januari februari maart april mei juni juli augustus september oktober november december",
        "Swedish": "januari februari mars april maj juni juli augusti september oktober november december",
        "Polish": "stycznia lutego marca kwietnia maja czerwca lipca sierpnia września października listopada grudnia",
        "Turkish": "Ocak Şubat Mart Nisan Mayıs Haziran Temmuz Ağustos Eylül Ekim Kasım Aralık",
        "Russian": "января февраля марта апреля мая июня июля августа сентября октября ноября декабря",
    }.items()
}


def random_date(rng: random.Random, first: int = 1960, last: int = 2035) -> date:
    """Return a day between the first of January of `first` and the last of December of `last`."""
    start, end = date(first, 1, 1), date(last, 12, 31)
    return start + timedelta(days=rng.randrange((end - start).days + 1))


def ordinal(number: int) -> str:
    """Return "1st", "2nd", "13th" and so on."""
    if number % 100 in (11, 12, 13):
        return f"{number}th"
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th') }"


def in_english(day: date, rng: random.Random) -> str:
    """Write a date in one of many unmistakable English forms."""
    month, number, year = MONTHS["English"][day.month - 1], day.day, day.year
    weekday = WEEKDAYS[day.weekday()]
    return rng.choice(
        (
            day.isoformat(),
            day.isoformat(),
            f"{month} {number}, {year}",
            f"{month} {number}, {year}",
            f"{number} {month} {year}",
            f"{number} {month} {year}",
            f"{month} {ordinal(number)}, {year}",
            f"{month} {ordinal(number)} {year}",
            f"{ordinal(number)} {month} {year}",
            f"the {ordinal(number)} of {month} {year}",
            f"{number:02d} {month[:3]} {year}",
            f"{month[:3]} {number}, {year}",
            f"{number}-{month[:3]}-{year}",
            f"{month.lower()} {number} {year}",
            f"{weekday}, {month} {number}, {year}",
            f"{year}/{day.month:02d}/{day.day:02d}",
        )
    )


def in_plain_english(day: date, rng: random.Random) -> str:
    """Write a date in English without naming its weekday (for questions about the weekday)."""
    while True:
        text = in_english(day, rng)
        if not text.startswith(WEEKDAYS):
            return text


def in_language(day: date, language: str, rng: random.Random) -> str:
    """Write a date with the month's name, as `language` does."""
    month, number, year = MONTHS[language][day.month - 1], day.day, day.year
    forms: tuple[str, ...]
    if language == "German":
        forms = (f"{number}. {month} {year}", f"{number:02d}. {month} {year}", f"{number}.{day.month}.{year}")
    elif language == "French":
        first = "1er" if number == 1 else str(number)
        forms = (f"{first} {month} {year}", f"{first} {month.upper()} {year}")
    elif language in ("Spanish", "Portuguese"):
        forms = (f"{number} de {month} de {year}", f"{number} {month} {year}")
        if language == "Spanish":
            forms += (f"{number} de {month} del {year}",)
    elif language == "Polish":
        forms = (f"{number} {month} {year}", f"{number} {month} {year} r.")
    elif language == "Russian":
        forms = (f"{number} {month} {year}", f"{number} {month} {year} г.")
    else:
        forms = (f"{number} {month} {year}",)
    return rng.choice(forms)
