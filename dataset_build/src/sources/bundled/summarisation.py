"""The main point of a short passage, written by us as one sentence among its details.

News puts it first, an essay last, minutes of a meeting anywhere; the details take up its words or do not.
"""

import random

from dataset_build.src.sources.bundled.kinds import Draw, Kind, Task

_PLACES = ("Norwich", "Tampere", "Bergamo", "Duluth", "Graz", "Kumasi", "Cork", "Hobart", "Leiden", "Oaxaca", "Split")
_PEOPLE = ("Ana Duarte", "Piet Vos", "Mira Kovac", "Tom Achebe", "Lena Holm", "Ravi Menon", "Sofia Greco", "Jun Mori")
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Sunday")
#: What happened, and details that take up some of its words.
_NEWS = (
    (
        "The city council of {place} voted on {day} to close the old harbour bridge to cars.",
        "Pedestrians and cyclists may still cross the bridge.",
        "Council member {person} called the {n} votes in favour a surprise.",
        "Around {n} hundred cars used the bridge every day last year.",
        "Shop owners near the harbour had collected signatures against it.",
        "New signs will cost about {n} thousand euros.",
        "The next session takes place in {month}.",
    ),
    (
        "Heavy snow stopped all trains between {place} and the coast on {day}.",
        "Passengers waited up to {n} hours in heated halls.",
        "Spokeswoman {person} said that snow ploughs were on their way.",
        "The coast last saw such weather in {year}.",
        "Bakeries handed out {n} trays of free rolls.",
        "Buses went on running, if slowly.",
    ),
    (
        "Researchers in {place} have built a battery that charges in {n} seconds.",
        "It is made of zinc and paper.",
        "The team around {person} worked on the battery since {year}.",
        "A patent was filed in {month}.",
        "Several makers of scooters have asked for samples.",
        "So far each battery costs more than a bicycle.",
    ),
    (
        "A bakery in {place} won the national bread prize on {day} with a loaf of rye and honey.",
        "{person} founded it in {year} with {n} borrowed ovens.",
        "The jury tasted {n} loaves without knowing who had made them.",
        "Second place went to a village on the lake.",
        "The winner plans to hire two apprentices in {month}.",
        "Its rye comes from a mill down the road.",
    ),
    (
        "The football club of {place} will play in the first league for the first time since {year}.",
        "A goal in minute {n} decided the last match.",
        "Coach {person} was carried around the pitch.",
        "Fans sang in the market square until the morning.",
        "The stadium has to get {n} hundred more seats by {month}.",
        "Tickets are not on sale yet.",
    ),
)
#: What is argued, and observations that lead to it.
_ESSAYS = (
    (
        "Small towns such as {place} should offer free buses to everybody.",
        "Parking in the centre takes {n} minutes on a bad day.",
        "Old people often stay at home because they cannot drive.",
        "When {person} ran the town hall, a trial in {month} doubled the number of passengers on the buses.",
        "Fares pay for only {n} per cent of what the buses cost the town anyway.",
        "Shops gain too when everybody can come.",
    ),
    (
        "Schools ought to begin an hour later in the morning.",
        "Teenagers fall asleep late, whatever their parents say.",
        "A class in {place} that began later missed {n} per cent fewer lessons.",
        "The teacher {person} noticed fewer arguments in the first hour of the morning.",
        "Sports clubs had to move their training, which took until {month}.",
        "No bus driver complained.",
    ),
    (
        "Repairing a washing machine is nearly always better than buying a new one.",
        "A new drum bearing costs {n} euros.",
        "Building a machine takes more energy than {n} years of washing.",
        "{person}, who owns a workshop in {place}, can get parts for any machine made since {year}.",
        "New models wash no cleaner.",
        "Waste yards in {month} are full of machines with one broken hose.",
    ),
    (
        "Every library should lend tools as well as books.",
        "Most drills are used for {n} minutes in their whole life.",
        "In {place} a librarian called {person} began with three saws in {year}.",
        "Neighbours now wait for the ladder as they do for the latest books.",
        "Nothing was stolen, and only {n} tools were broken.",
        "A shelf in the cellar was all the space the library needed.",
    ),
    (
        "Working four days a week makes companies stronger.",
        "A printer in {place} has tried it since {year}.",
        "Sick leave went down by {n} per cent within a year.",
        "{person}, the owner, says that job adverts suddenly draw {n} answers a week.",
        "Customers hardly noticed.",
        "Machines stand still on {day}, which saves power.",
    ),
)
#: What was decided, and what else was said.
_MINUTES = (
    (
        "We decided to move the office to {place} in {month}.",
        "{person} opened the meeting with {n} minutes delay.",
        "The coffee machine is broken again.",
        "The rent of the present office rises by {n} per cent.",
        "Movers have been asked for an offer.",
        "Nobody objected to new chairs.",
    ),
    (
        "The launch of the app is postponed to {month} because the payment page does not work.",
        "{person} showed the new icons.",
        "There are {n} open tickets, most of them small.",
        "The payment provider answers only on {day}.",
        "Marketing has printed {n} hundred flyers.",
        "Lunch was late.",
    ),
    (
        "The choir will sing in {place} this year instead of at home.",
        "{person} collected the money for the scores.",
        "Two tenors are ill and {n} altos on holiday.",
        "The hall at home is closed until {month}.",
        "The bus holds {n} singers.",
        "Rehearsal on {day} starts half an hour earlier.",
    ),
    (
        "From {month} on, dogs are allowed in the shared garden.",
        "{person} counted {n} new tulips.",
        "Someone from {place} asked to rent the shed.",
        "The hose leaks.",
        "The vote was {n} to two.",
        "Compost is collected on {day}.",
    ),
)


def _fill(sentences: tuple[str, ...], rng: random.Random) -> list[str]:
    values = {"place": rng.choice(_PLACES), "person": rng.choice(_PEOPLE), "day": rng.choice(_DAYS),
              "month": rng.choice(("January", "March", "June", "September", "November")),
              "year": str(rng.randrange(1962, 2019))}  # fmt: skip
    return [sentence.format(n=rng.randrange(7, 60), **values) for sentence in sentences]


def _passage(rng: random.Random, texts: tuple[tuple[str, ...], ...], place: str) -> Draw:
    main, *details = _fill(rng.choice(texts), rng)
    details = rng.sample(details, rng.randrange(3, len(details) + 1))
    at = {"first": 0, "last": len(details)}.get(place, rng.randrange(1, len(details)))
    details.insert(at, main)
    return Draw({"passage": " ".join(details)}, main)


def _draw_news(rng: random.Random) -> Draw:
    return _passage(rng, _NEWS, "first")


def _draw_essay(rng: random.Random) -> Draw:
    return _passage(rng, _ESSAYS, "last")


def _draw_minutes(rng: random.Random) -> Draw:
    return _passage(rng, _MINUTES, "within")


KIND = Kind(
    category="summarisation",
    metric="text_overlap",
    tasks=(
        Task(
            "news",
            (
                "Summarise this news item in one sentence.\n\n{passage}",
                "{passage}\n\nTL;DR?",
                'What is the main news here? "{passage}"',
                "one-line summary of the following report: {passage}",
                "I only have ten seconds to read the paper. What happened? «{passage}»",
                "Boil this article down to a single sentence.\n{passage}",
                "article:\n{passage}\nheadline sentence:",
                "The radio wants one sentence, the paper sent me this: {passage}",
                "Give me the gist, leave out the trimmings. {passage}",
                "Dear editor, kindly condense the story below.\n\n{passage}",
                "{passage}\n\nIf you had to text this to a friend in one sentence, which would it be?",
                "Kurz zusammengefasst, in one English sentence: {passage}",
            ),
            _draw_news,
        ),
        Task(
            "essay",
            (
                "What does the author argue?\n\n{passage}",
                "{passage}\n\nSo what is the point of all this?",
                'Reduce the following opinion piece to its thesis: "{passage}"',
                "key message of this essay -> {passage}",
                "My student's essay, and I missed its conclusion. Which sentence is the central claim?\n{passage}",
                "State the core idea of the text in one sentence.\n\n{passage}",
                "opinion column:\n{passage}\nthesis:",
                "Somebody wrote a letter to the mayor: {passage} Sum it up in one sentence for him.",
                "Cut to the chase. {passage}",
                "My debate partner said «{passage}» What is she driving at? One sentence.",
                "Which claim do all these observations support?\n{passage}",
            ),
            _draw_essay,
        ),
        Task(
            "minutes",
            (
                "Summarise the meeting in one sentence.\n\n{passage}",
                "{passage}\n\nWhat did I miss, in short?",
                'These are the minutes: "{passage}" What was the upshot?',
                "most important outcome, 1 sentence: {passage}",
                "My boss won't read all this. Tell her the one thing that matters.\n{passage}",
                "Extract the key decision from these notes.\n\n{passage}",
                "notes:\n{passage}\nbottom line:",
                "I was ill on the day and got this by mail: «{passage}» The essence, please.",
                "Out of the following chatter, keep only what really counts. {passage}",
                "Write the subject line of the mail these minutes go out with, as a full sentence.\n{passage}",
            ),
            _draw_minutes,
        ),
    ),
)
