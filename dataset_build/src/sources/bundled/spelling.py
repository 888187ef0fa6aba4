"""Misspelt English: a word to correct, a sentence to correct, the wrong word to find, the right one of two."""

import random

from dataset_build.src.sources.bundled.kinds import Draw, Kind, Task
from dataset_build.src.sources.bundled.misspellings import draw_misspelling

#: A sentence around `{w}` in which any of the words can stand: they are mentioned, not used.
_FRAMES = (
    "The word on the wall was {w} in red paint.", "She wrote {w} at the top of the page.",
    "Every child in the class had to read {w} aloud.", "My notes from the meeting say {w} twice.",
    "The label under the picture was {w} and nothing else.", "He could not remember how to say {w} that day.",
    "Our team chose {w} as the password for the game.", "In the long list I found {w} near the end.",
    "The teacher asked for a poem about {w} before noon.", "They printed {w} on all the shirts.",
    "Number seven in the puzzle was {w} after all.", "The robot kept repeating {w} until we left.",
    "Somebody carved {w} into the garden table.", "The first line of the song is {w} my love.",
)  # fmt: skip


def _draw_word(rng: random.Random) -> Draw:
    wrong, right = draw_misspelling(rng)
    return Draw({"wrong": wrong}, right)


def _draw_sentence(rng: random.Random) -> Draw:
    wrong, right = draw_misspelling(rng)
    frame = rng.choice(_FRAMES)
    return Draw({"sentence": frame.format(w=wrong)}, frame.format(w=right))


def _draw_culprit(rng: random.Random) -> Draw:
    wrong, _ = draw_misspelling(rng)
    return Draw({"sentence": rng.choice(_FRAMES).format(w=wrong)}, wrong)


def _draw_choice(rng: random.Random) -> Draw:
    pair = draw_misspelling(rng)
    first, second = pair if rng.random() < 0.5 else reversed(pair)
    return Draw({"first": first, "second": second}, pair[1])


KIND = Kind(
    category="spelling",
    metric="exact_match",
    noise=frozenset({"chatter", "distractor"}),
    tasks=(
        Task(
            "word",
            (
                'Correct the spelling of "{wrong}".',
                "how do you spell {wrong}",
                "'{wrong}' gets a red underline in my editor. What should it be?",
                "spellcheck: {wrong}",
                "I typed «{wrong}» and autocorrect is off. The proper spelling, please?",
                "misspelt={wrong} corrected=",
                "Could you fix the typo in the word “{wrong}” for me?",
                'Dad insists it is written "{wrong}". It isn\'t, is it? Give me the correct orthography.',
                "dictionary says there's no `{wrong}`; which word did I mean",
                "There are letters missing or mixed up in this one: {wrong}",
            ),
            _draw_word,
        ),
        Task(
            "sentence",
            (
                'Fix the spelling mistake: "{sentence}"',
                "Proofread this and give it back corrected.\n{sentence}",
                "{sentence}\n\nRewrite the sentence above without the typo.",
                "spelling fix needed -> {sentence}",
                "Please return the same sentence with every misspelled word put right: {sentence}",
                "I'm about to publish «{sentence}» but one word is spelt badly. Send me a clean copy.",
                "input with typo: {sentence}\noutput without typo:",
                "My spelling is embarrassing. Clean this up, change nothing else: {sentence}",
                "Act as a proofreader. '{sentence}'",
                "The editor circled something in “{sentence}” because of its spelling; type the whole thing as it "
                "ought to be.",
            ),
            _draw_sentence,
        ),
        Task(
            "culprit",
            (
                'Which word is misspelled here? Quote it unchanged. "{sentence}"',
                "find the typo, paste it as is: {sentence}",
                "{sentence}\nOne word above has a spelling error. Name that word as it stands.",
                "Spot the word that is spelt wrong in '{sentence}' and copy it, uncorrected.",
                "What word, letter by letter as typed, would a spell checker underline in this line?\n{sentence}",
                "Spelling bee, hard mode: point out the word with the mistake exactly as printed. {sentence}",
                "Identify the misspelt word (do not correct it) in «{sentence}»",
                "There's a typo in here somewhere, what's the offending string of letters? Leave it wrong. {sentence}",
            ),
            _draw_culprit,
        ),
        Task(
            "choice",
            (
                'Which spelling is right, "{first}" or "{second}"?',
                "{first} or {second}? i can never spell it",
                "Is it spelled {first} or {second}?",
                "Two colleagues quarrel over orthography: one writes {first}, the other {second}. Who's right?",
                "spelling: {first} / {second}",
                "Of '{first}' and '{second}', only one is in the dictionary. That one is:",
                "correctly spelled variant: {first} vs {second}",
                "Before I engrave it in brass, tell me how it's spelt: {first}, {second}?",
            ),
            _draw_choice,
        ),
    ),
)
