"""A date buried in a sentence, in one of many written forms and languages, wanted as ISO 8601."""

import random

from dataset_build.src.sources.bundled.kinds import Draw, Kind, Task
from dataset_build.src.sources.bundled.written_dates import MONTHS, in_english, in_language, random_date

_ENGLISH = (
    "The lease was signed on {d} by both parties.",
    "We met in Lisbon on {d}, it rained all day.",
    "Payment of 340 dollars is due {d}.",
    "Grandpa bought the farm on {d} for next to nothing.",
    "Please return the 3 library books before {d}.",
    "Version 2 of the app came out {d} to mixed reviews.",
    "Her train of 11 o'clock on {d} was cancelled.",
    "Room 204 is booked from {d} onwards.",
    "The witness last saw him on {d} near the harbour.",
    "According to the minutes of {d}, nobody objected.",
    "Flight BA117 of {d} landed late.",
    "The parliament passed the law on {d} with 212 votes.",
)
_FOREIGN = {
    "German": ("Der Vertrag wurde am {d} unterschrieben.", "Bitte zahlen Sie bis zum {d}.",
               "Das Konzert vom {d} fällt aus."),
    "French": ("Le contrat a été signé le {d}.", "La réunion du {d} est annulée.", "Merci de payer avant le {d}."),
    "Spanish": ("El contrato se firmó el {d}.", "La reunión del {d} queda cancelada.", "Nació el {d} en Sevilla."),
    "Italian": ("Il contratto è stato firmato il {d}.", "La festa del {d} è annullata.", "È nata il {d} a Torino."),
    "Portuguese": ("O contrato foi assinado em {d}.", "Ela nasceu no dia {d} em Lisboa.",
                   "A festa de {d} acabou cedo."),
    "Dutch": ("Het contract werd op {d} getekend.", "De vergadering van {d} gaat niet door.", "Ze is geboren op {d}."),
    "Swedish": ("Avtalet skrevs under den {d}.", "Mötet den {d} är inställt.", "Hon föddes den {d} i Lund."),
    "Polish": ("Umowę podpisano {d}", "Spotkanie odbyło się {d}", "Urodziła się {d}"),
    "Turkish": ("Sözleşme {d} tarihinde imzalandı.", "Toplantı {d} günü yapıldı.", "Konser {d} tarihinde."),
    "Russian": ("Договор подписан {d}", "Встреча состоялась {d}", "Она родилась {d}"),
}  # fmt: skip


def _draw_english(rng: random.Random) -> Draw:
    day = random_date(rng)
    written = in_english(day, rng)
    while written == day.isoformat():
        written = in_english(day, rng)
    return Draw({"sentence": rng.choice(_ENGLISH).format(d=written)}, day.isoformat())


def _draw_foreign(rng: random.Random) -> Draw:
    day = random_date(rng)
    language = rng.choice([name for name in MONTHS if name != "English"])
    sentence = rng.choice(_FOREIGN[language]).format(d=in_language(day, language, rng))
    return Draw({"sentence": sentence, "language": language}, day.isoformat())


def _draw_numeric(rng: random.Random) -> Draw:
    day = random_date(rng)
    day_first = rng.random() < 0.5
    separator = rng.choice("/./-")
    parts = (day.day, day.month) if day_first else (day.month, day.day)
    written = f"{parts[0]:02d}{separator}{parts[1]:02d}{separator}{day.year}"
    order = "day first" if day_first else "month first"
    return Draw({"written": written, "order": order}, day.isoformat())


KIND = Kind(
    category="date_normalisation",
    metric="exact_match",
    tasks=(
        Task(
            "english",
            (
                'Extract the date from this sentence as YYYY-MM-DD: "{sentence}"',
                "{sentence}\n\nWhich date is mentioned above? ISO 8601 only.",
                "turn the date into iso format: {sentence}",
                "I'm filling a spreadsheet whose column wants yyyy-mm-dd. What goes in for: {sentence}",
                'When did it happen? "{sentence}" (write it like a computer would, year first)',
                "Normalise the date in the following text.\n{sentence}",
                "Find the calendar day hidden in here and rewrite it machine readable, year-month-day: {sentence}",
                "text: {sentence}\nfield: date\nformat: %Y-%m-%d\nvalue:",
                "Someone wrote: {sentence} My database rejects that timestamp. Give me the standard notation.",
                'From "{sentence}" pull out just the day, in the international standard notation.',
                "Read this, then reply with nothing but the date, big-endian: {sentence}",
                "parse date -> {sentence}",
                "Our archive sorts by YYYY-MM-DD stamps. Stamp this note: {sentence}",
                "For the timeline, I want one entry per sentence, keyed by ISO day. Key for this one? {sentence}",
            ),
            _draw_english,
        ),
        Task(
            "foreign",
            (
                'This {language} sentence contains a date: "{sentence}" Write that date as YYYY-MM-DD.',
                "{sentence}\nI don't speak {language}; which day is meant? ISO please.",
                "date from {language} text to iso 8601: {sentence}",
                "A letter in {language} says: {sentence} When is that, in yyyy-mm-dd?",
                "Convert the {language} date to standard form. {sentence}",
                (
                    "My landlord writes only {language}. He texted «{sentence}» and I need the day for my calendar "
                    "app (2-digit month, 2-digit day, after the year)."
                ),
                "extract date | lang={language} | {sentence}",
                "Please transcribe the date found in '{sentence}' into the international year-month-day notation.",
                "What day are they talking about? {sentence} Reply in the form YYYY-MM-DD.",
                "Scanned document, OCR output: {sentence}. Fill the ISO date field of the record.",
                "Quelle est la date, au format AAAA-MM-JJ ? {sentence}",
                "Welches Datum steht hier? Bitte im Format JJJJ-MM-TT. {sentence}",
                "¿Qué fecha aparece aquí, en formato AAAA-MM-DD? {sentence}",
            ),
            _draw_foreign,
        ),
        Task(
            "numeric",
            (
                "Rewrite {written} ({order}) as an ISO date.",
                "The form says {written}, {order}. YYYY-MM-DD?",
                "{written} to iso 8601, it is {order}",
                "How would a programmer write the date {written}? Mind you, it's {order}.",
                "On the stamp: {written}. The clerk puts the {order}. Give me year-month-day.",
                "reformat date, {order}: {written}",
                "I can never tell these apart. {written}, written {order}; please normalise to yyyy-mm-dd",
                "My CSV has {written} in the created column, {order}. Postgres wants a proper date literal. Which one?",
                "Standardise this best-before mark: {written} (they print the {order}).",
                "given input {written} with {order}, output sortable date",
            ),
            _draw_numeric,
        ),
    ),
)
