"""Reviews, complaints and remarks to be called positive, negative or neutral.

A review is put together from a subject and a verdict whose leaning is known: plain praise or blame, a negated word
("not bad at all"), or two clauses joined by "but", of which the second counts. Dates, places and amounts stand
inside as they do in real reviews.
"""

import random

from dataset_build.src.sources.bundled.kinds import Draw, Kind, Task

_THINGS = (
    "hotel", "blender", "headset", "sofa", "train ride", "museum tour", "phone case", "bakery", "bike shop", "novel",
    "concert", "keyboard", "raincoat", "campsite", "dentist visit", "app update", "coffee grinder", "ferry", "tent",
    "language course", "vacuum cleaner", "sandwich bar", "film", "printer", "gym", "taxi service", "hiking map",
    "watch strap", "moving company", "garden chair",
)  # fmt: skip
_GOOD = (
    "great", "excellent", "lovely", "a pleasure", "better than expected", "wonderful", "worth every cent",
    "a real gem", "superb", "delightful", "very good", "impressive", "top notch", "flawless", "a joy to use",
    "exactly what I hoped for", "so good that I told all my friends",
)  # fmt: skip
_BAD = (
    "terrible", "awful", "a disappointment", "worse than expected", "horrible", "a waste of money", "dreadful",
    "a mess", "shoddy", "very bad", "unacceptable", "a nightmare", "useless", "an insult", "falling apart",
    "nothing like the photos", "so poor that I asked for my money back",
)  # fmt: skip
_NOT_GOOD = (
    "not good", "not worth it", "hardly impressive", "far from great", "not at all nice", "never once pleasant",
    "anything but comfortable", "not something I would recommend", "less fun than doing my taxes",
)  # fmt: skip
_NOT_BAD = (
    "not bad at all", "never boring", "without a single problem", "nothing to complain about", "far from terrible",
    "impossible to hate", "anything but dull", "no disappointment", "not the least bit annoying",
)  # fmt: skip
_FACTS = (
    "The {t} is on {street} and opens at {h}.",
    "I used the {t} on {date} for the first time.",
    "The {t} comes in {n} colours and ships from {place}.",
    "We were {n} people at the {t}, and it took {h} hours.",
    "According to the sign, the {t} has existed since {year}.",
    "The {t} weighs {n} kilos, box included.",
    "My brother ordered the same {t} from {place} in {year}.",
    "They delivered the {t} on {date}, in two parcels.",
    "It is a {t}. It costs {n} euros.",
    "The invoice for the {t} is number {year}{n}.",
    "The {t} was moved from {place} to {street} in {year}.",
    "On {date} the {t} got a new owner, a woman from {place}.",
)
_ASIDES = ("We talked about the {t} on {date}.", "The {t} is a subject for another day, maybe {date}.")
_GOOD_SENTENCES = (
    "The {t} was {good}.", "Honestly, this {t} is {good}!", "I can't remember a {t} that was so {adj_good}.",
    "Went there on {date}: the {t} is {good}.", "Paid {n} euros for the {t} and it was {good}.",
    "The {t} turned out to be {not_bad}.", "Bought in {place}, {n} days of use so far, and the {t} is {not_bad}.",
    "I was afraid the {t} would be {bad}, but it was {good}.", "The {extra} was {bad}, but the {t} itself is {good}.",
    "{date}, {place}. The {t}: {good}.", "Would I come back to this {t}? In a heartbeat.",
    "I'd give the {t} {n} stars if I could.", "We laughed, we stayed longer than planned, and the {t} was {good}.",
    "Although it rained in {place} all {n} days, the {t} made us happy.", "Hats off to the people behind this {t}.",
)  # fmt: skip
_BAD_SENTENCES = (
    "The {t} was {bad}.", "Honestly, this {t} is {bad}!", "I can't remember a {t} that was so {adj_bad}.",
    "Went there on {date}: the {t} is {bad}.", "Paid {n} euros for the {t} and it was {bad}.",
    "The {t} turned out to be {not_good}.", "Bought in {place}, {n} days of use so far, and the {t} is {not_good}.",
    "I was told the {t} would be {good}, but it was {bad}.", "The {extra} was {good}, but the {t} itself is {bad}.",
    "{date}, {place}. The {t}: {bad}.", "Would I come back to this {t}? Over my dead body.",
    "The {t} broke after {n} days and nobody answers my mails.", "Great, another {t} that stops working on {date}.",
    "Although the sun shone in {place} all {n} days, the {t} made us sad.", "Save your {n} euros and skip this {t}.",
)  # fmt: skip
_SAD_ADJECTIVES = ("bad", "boring", "dirty", "noisy", "rude to its guests", "badly made", "tiring")
_GLAD_ADJECTIVES = ("good", "exciting", "clean", "friendly to its guests", "cleverly made", "relaxing", "charming")
_EXTRAS = ("packaging", "parking", "website", "weather", "music", "waiting room", "manual", "smell", "bus connection")
_PLACES = ("Lisbon", "Osaka", "Leeds", "Toronto", "Gdansk", "Lima", "Perth", "Tallinn", "Cork", "Pune", "Oslo")
_STREETS = ("Mill Lane", "Harbour Road", "Station Street", "Elm Avenue", "Castle Square", "Bridge Street")
_MONTHS = ("January", "March", "April", "May", "July", "August", "October", "December")


def _review(rng: random.Random, label: str) -> str:
    sentences = {"positive": _GOOD_SENTENCES, "negative": _BAD_SENTENCES, "neutral": _FACTS}[label]
    values = {
        "t": rng.choice(_THINGS), "good": rng.choice(_GOOD), "bad": rng.choice(_BAD), "not_bad": rng.choice(_NOT_BAD),
        "not_good": rng.choice(_NOT_GOOD), "adj_good": rng.choice(_GLAD_ADJECTIVES), "extra": rng.choice(_EXTRAS),
        "adj_bad": rng.choice(_SAD_ADJECTIVES), "place": rng.choice(_PLACES), "street": rng.choice(_STREETS),
        "date": f"{rng.randrange(1, 29)} {rng.choice(_MONTHS)} {rng.randrange(2015, 2026)}",
        "n": str(rng.randrange(6, 60)), "h": str(rng.randrange(7, 12)), "year": str(rng.randrange(1950, 2020)),
    }  # fmt: skip
    parts = [rng.choice(sentences).format(**values)]
    if rng.random() < 0.35:
        other = {**values, "t": values["extra"], "date": f"{rng.randrange(1, 29)} {rng.choice(_MONTHS)}"}
        parts.insert(rng.randrange(2), rng.choice(_ASIDES).format(**other))
    return " ".join(parts)


def _draw(rng: random.Random) -> Draw:
    label = rng.choice(("positive", "negative", "neutral"))
    return Draw({"review": _review(rng, label)}, label)


KIND = Kind(
    category="sentiment",
    metric="label",
    noise=frozenset({"typos"}),
    tasks=(
        Task(
            "review",
            (
                'Is this review positive, negative or neutral? "{review}"',
                "{review}\n\nSentiment (positive / negative / neutral):",
                "classify the mood: {review}",
                "We sort customer feedback into three piles: positive, negative, neutral. Which pile for «{review}»",
                "Label the polarity of the following text as positive, neutral or negative.\n{review}",
                'A guest wrote "{review}" Happy guest (positive), unhappy guest (negative), or neither (neutral)?',
                "text={review}\nlabels=positive|negative|neutral\noutput=",
                "How does the author feel about it? One word: positive, neutral, negative.\n\n{review}",
                "positive, negative, neutral - pick one for: {review}",
                (
                    "I run a small shop and read every comment. I honestly can't tell whether this one is praise or "
                    "a complaint: '{review}' Tell me positive, negative or neutral."
                ),
                'Thumbs up (positive), thumbs down (negative) or just a fact (neutral): "{review}"',
                "Please rate the attitude expressed below; permitted answers are neutral, negative and positive.\n\n"
                "{review}",
                "“{review}” – good vibes, bad vibes or none? answer positive/negative/neutral",
                "Opinion mining exercise. Input: {review}",
                "Should I be glad about this comment (positive), upset (negative) or indifferent (neutral)? {review}",
                "{review} <- what's the sentiment of that",
            ),
            _draw,
        ),
        Task(
            "message",
            (
                "My dashboard paints feedback green for positive, red for negative, grey for neutral. Tell me the word,"
                ' not the colour, for "{review}"',
                "tone check. is it positive negative or neutral?\n{review}",
                "Would you call the writer satisfied? Reply positive if so, negative if not, neutral if they don't "
                "say. {review}",
                "sentiment analysis: {review}",
                "The survey came back with one line, `{review}` Code it as positive, negative or neutral.",
                "Read between the lines of this post and name its emotional charge (negative, neutral, positive).\n"
                ">>> {review}",
                'Comment 17 of 300: "{review}"\nAnnotator decision, three classes, positive/neutral/negative?',
                "¿Es positivo, negativo o neutro? Answer in English. «{review}»",
                "Does that sound like a fan, a critic or a bystander? Use the words positive, negative, neutral.\n"
                "{review}",
                "Somebody left us this on the door: {review} Good or bad for our reputation? positive/negative/neutral",
                "mood(review) = ? where review = '{review}' and mood is one of positive, negative, neutral",
                "Grandma dictated the following note. Is she content? (positive, negative, neutral)\n\n{review}",
                "For my thesis I tag tweets with their valence. Next tweet: {review}",
                'Decide whether "{review}" leans favourable, unfavourable or neither, and write positive, negative or '
                "neutral accordingly.",
            ),
            _draw,
        ),
    ),
)
