"""In which language is this written? Sentences put together from fragments of two dozen languages."""

import random

from dataset_build.src.sources.bundled.kinds import Draw, Kind, Task
from dataset_build.src.sources.bundled.language_fragments import FRAGMENTS

#: Names that count as right where there are several; written Malay can be the same word for word.
_ACCEPTED = {"Chinese": "Chinese|Mandarin", "Dutch": "Dutch|Flemish", "Indonesian": "Indonesian|Malay"}


def _sentence(rng: random.Random, language: str) -> str:
    openings, middles, endings = FRAGMENTS[language]
    spaced = "" if language in ("Chinese", "Japanese") else " "
    sentence = spaced.join((rng.choice(openings), rng.choice(middles), rng.choice(endings)))
    return sentence[0].upper() + sentence[1:]


def _draw(rng: random.Random) -> Draw:
    language = rng.choice(list(FRAGMENTS))
    return Draw({"sentence": _sentence(rng, language)}, _ACCEPTED.get(language, language))


def _draw_with_numbers(rng: random.Random) -> Draw:
    language = rng.choice(list(FRAGMENTS))
    mark = rng.choice((f"({rng.randrange(2, 99)})", f"[{rng.randrange(1, 13)}.{rng.randrange(2001, 2026)}]",
                       f"№ {rng.randrange(100, 999)}", f"{rng.randrange(1, 24)}:{rng.randrange(10, 60)}"))  # fmt: skip
    return Draw({"sentence": f"{mark} {_sentence(rng, language)}"}, _ACCEPTED.get(language, language))


KIND = Kind(
    category="language_id",
    metric="label",
    noise=frozenset({"typos"}),
    tasks=(
        Task(
            "plain",
            (
                'Which language is this? "{sentence}"',
                "{sentence}\n\nWhat language is the line above written in?",
                "identify the language: {sentence}",
                "I found a note at the bus stop that says «{sentence}» In what tongue is it, please?",
                "lang of `{sentence}`",
                "Before I send this to a translator, I need to know what I am looking at: {sentence}",
                "Can you recognise the language? (English name of it will do)\n{sentence}",
                "My new neighbours speak like this: “{sentence}” Which language do they speak?",
                "text: {sentence}\nlanguage:",
                "Name the idiom this was composed in, I mean the natural language.\n\n{sentence}",
                "'{sentence}' - is that Finnish, Turkish, or something else entirely? What language?",
                "Detect language -> {sentence}",
                "My pen pal surprised me with the following words. What do they speak over there?\n{sentence}",
                "If I wanted an interpreter for {sentence}, an interpreter of which language would I ask for?",
                "{sentence} ← no clue what they speak, do you?",
                "The subtitles went foreign on me: {sentence} Name the language.",
            ),
            _draw,
        ),
        Task(
            "document",
            (
                "Archive item, provenance unknown.\n{sentence}\nLanguage of the item?",
                'Route this ticket to the desk that speaks its language. Ticket: "{sentence}" Which desk?',
                "¿En qué idioma está escrito esto? Give the name in English. «{sentence}»",
                "In welcher Sprache ist das? (Answer with the English name.)\n{sentence}",
                "Our form has a drop-down 'language of the applicant'. What do I pick for: {sentence}",
                "OCR gave me {sentence} and the spell checker wants to know which language to load.",
                "What's the linguistic origin of this line?\n\n{sentence}",
                "Set the HTML lang attribute, but write it out as an English word. <p>{sentence}</p>",
                "Guess the language! Round 3: {sentence}",
                'Someone shouted "{sentence}" at me on the ferry. What were they speaking?',
                "classify by language\ninput | {sentence}",
                "To shelve a book I need its language, and all I have is the first line: {sentence}",
                "Which of the world's languages produces a sentence such as this one?\n{sentence}",
                "A voice mail, transcribed automatically, reads '{sentence}'. The caller was speaking …?",
                "Je ne reconnais pas cette langue : « {sentence} » Its English name, please.",
                "{sentence}\n^ language id pls",
            ),
            _draw_with_numbers,
        ),
    ),
)
