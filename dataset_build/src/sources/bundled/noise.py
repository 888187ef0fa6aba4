"""How people really write: typing slips, small talk around the request, facts that do not matter.

Slips touch only the words of the phrasing, never a slot's value, so the reference stays right.
"""

import random
import re
from collections.abc import Mapping

CHATTER_BEFORE = (
    "Hey there! ", "Hi, quick question. ", "Good morning! ", "ok so ", "Hello assistant, ", "Sorry to bother you. ",
    "Right, next one. ", "I hope you can help me out here. ", "Hi! I'm a bit stuck. ", "umm ", "Quick one for you: ",
    "My colleague says you are good at this. ", "I've been at this for ages now. ", "Please help, I am in a hurry. ",
    "Not sure who to ask, so here goes. ", "Yo. ", "Dear all, ", "Thanks for earlier! Another thing: ",
    "My kid asked me this and I drew a blank. ", "First time using this. ",
)  # fmt: skip
CHATTER_AFTER = (
    " Thanks!", " Thank you so much.", " Cheers.", " Much appreciated!", " thx", " No rush.", " It's kind of urgent.",
    " I owe you one.", " Please and thank you.", " That would make my day.", " Hope that makes sense.", " :)",
    " Asking for a friend.", " Just the answer is fine.", " Don't overthink it.", " Let me know.",
    " My boss is waiting.", " I'll double-check it anyway.",
)  # fmt: skip
DISTRACTORS = (
    "I'm on a train with {n} other people and the wifi is terrible. ",
    "My flat number is {n} by the way, not that it matters. ",
    "We moved here back in {month} and I still have boxes to unpack. ",
    "It is {n} degrees outside and I can barely think. ",
    "My sister from {place} sends her regards. ",
    "I had {n} cups of coffee today, which explains my typing. ",
    "Our meeting in {place} got moved to {month}. ",
    "The dog ate {n} of my socks this week. ",
    "I was going to bake a cake with {n} grams of sugar but got distracted. ",
    "My Spanish teacher from {place} would be proud of me for asking. ",
    "I read about this in a magazine on a {n} minute bus ride. ",
    "There was a holiday in {month} and I forgot everything since. ",
    "My old SQL teacher used to say that nobody asks good questions. ",
    "I wrote {n} emails this morning and loved none of them. ",
    "The weather in {place} was lovely in {month}. ",
    "I weigh my options carefully, all {n} of them. ",
    "We're listening to a podcast about chemistry right now. ",
    "My calculator broke, so did my {n} pencils. ",
    "I am summarising my whole life story here, sorry. ",
    "Our team is spread over {n} countries, mostly around {place}. ",
)  # fmt: skip
PLACES = ("Lisbon", "Osaka", "Nairobi", "Toronto", "Gdansk", "Lima", "Perth", "Tallinn", "Cork", "Pune")
MONTHS = ("January", "March", "May", "July", "September", "November")

TYPO_SHARE, CHATTER_SHARE, DISTRACTOR_SHARE = 0.20, 0.22, 0.15


def misspell(phrase: str, rng: random.Random) -> str:
    """Return `phrase` with one slip in each of one or two of its longer words: dropped, doubled or swapped letters."""
    words = list(re.finditer(r"[A-Za-z]{4,}", phrase))
    if not words:
        return phrase
    for word in sorted(rng.sample(words, min(len(words), rng.choice((1, 1, 2)))), key=lambda m: -m.start()):
        start = word.start() + rng.randrange(1, len(word.group()) - 1)
        slip = rng.choice(("drop", "double", "swap"))
        if slip == "drop":
            phrase = phrase[:start] + phrase[start + 1 :]
        elif slip == "double":
            phrase = phrase[:start] + phrase[start] + phrase[start:]
        else:
            phrase = phrase[:start] + phrase[start + 1] + phrase[start] + phrase[start + 2 :]
    return phrase


def render(template: str, slots: Mapping[str, str], rng: random.Random, allowed: frozenset[str]) -> str:
    """Fill a template and, for a share of instructions, disturb its wording.

    Args:
        template: A phrasing family with `{slot}` fields.
        slots: Their values, inserted untouched.
        rng: The source of chance.
        allowed: The disturbances this category can bear.
    """
    parts = re.split(r"(\{\w+\})", template)
    if "typos" in allowed and rng.random() < TYPO_SHARE:
        phrases = [index for index, part in enumerate(parts) if not part.startswith("{") and len(part.strip()) > 4]
        if phrases:
            chosen = rng.choice(phrases)
            parts[chosen] = misspell(parts[chosen], rng)
    text = "".join(slots[part[1:-1]] if part.startswith("{") else part for part in parts)
    if "distractor" in allowed and rng.random() < DISTRACTOR_SHARE:
        aside = rng.choice(DISTRACTORS).format(
            n=rng.randrange(2, 90), month=rng.choice(MONTHS), place=rng.choice(PLACES)
        )
        text = aside + text
    if "chatter" in allowed and rng.random() < CHATTER_SHARE:
        if rng.random() < 0.5:
            text = rng.choice(CHATTER_BEFORE) + text
        else:
            text = text.rstrip() + rng.choice(CHATTER_AFTER)
    return text
