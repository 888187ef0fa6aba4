"""A passage of a few sentences and a question that one of them answers; the reference is that sentence.

Questions on facts are worded unlike their sentence, and some share words with another one; questions on lists name
what they look for.
"""

import random

from dataset_build.src.sources.bundled.kinds import Draw, Kind, Task

#: Subject of a passage -> (sentence, questions) for each of its facts.
_SUBJECTS = {
    "museum": (
        ("The {name} Museum opened its doors in {year}.",
         ("How old is the institution?", "When was the place founded?", "Since when can people visit?")),
        ("Two brothers from {place} paid for the founding collection out of their own pockets.",
         ("Whose money made it possible?", "Who financed the beginnings?")),
        ("Children under {n} get in for nothing.",
         ("What does a ticket for a toddler cost?", "Do young kids have to pay for entry?")),
        ("Its most famous piece is a whale skeleton on the {floor} floor.",
         ("What is the star attraction?", "Which exhibit do people come for above all?")),
        ("On Mondays the doors stay shut.",
         ("On which day of the week is it closed?", "When should I not turn up?")),
        ("A tram from the station stops right in front.",
         ("How do I get there by public transport?", "Can I reach it without a car?")),
        ("The roof was torn off by a storm in {later} and replaced with copper.",
         ("Which damage did bad weather do?", "Why does the top of the building shine reddish?")),
    ),
    "company": (
        ("{name} makes pumps for fish farms.",
         ("What does the firm produce?", "What line of business is it in?")),
        ("Its {n}0 employees work in a former monastery outside {place}.",
         ("How large is the staff?", "Where are the premises?")),
        ("Sales fell by {n} per cent in {later} after a rival copied the design.",
         ("Why did revenue shrink?", "When did the business go through a bad patch?")),
        ("{person} took over as head from her father.",
         ("Who is the boss?", "Who runs it nowadays?")),
        ("Most customers live in Norway and Chile.",
         ("Which countries are the main market?", "Where do the buyers come from?")),
        ("Every Friday afternoon the whole crew goes rowing.",
         ("What do colleagues do together for fun?", "Which sport unites the team?")),
        ("The first workshop burned down in {year}.",
         ("Which disaster struck early on?", "Was there ever a fire?")),
    ),
    "river": (
        ("The {name} rises in a swamp north of {place}.",
         ("Where is the source of the water?", "Where does it begin?")),
        ("It reaches the sea after {n}0 kilometres.",
         ("How long is it?", "What distance does it cover?")),
        ("Otters returned to its banks in {later}.",
         ("Which animals came back?", "What sign is there that nature is recovering?")),
        ("A dye works once coloured it purple for a whole summer.",
         ("What pollution did industry cause?", "Why did it look strange at one time?")),
        ("Swimming is forbidden below the weir because of the currents.",
         ("What is dangerous for bathers?", "Where must I not take a dip?")),
        ("The oldest bridge over it was built in {year} out of oak.",
         ("What material was used for the ancient crossing?", "When could people first walk across?")),
        ("Each spring hundreds of volunteers collect rubbish along the shore.",
         ("Who keeps it tidy?", "How is litter dealt with?")),
    ),
    "cook": (
        ("{person} was born in {place} in {year}.",
         ("Where does she come from?", "What is her birthplace?")),
        ("She learned to bake from a neighbour who had been a ship's cook.",
         ("Who was her teacher?", "How did she acquire the craft?")),
        ("Her restaurant has only {n} seats.",
         ("How many guests fit in?", "Is there room for a large party?")),
        ("An allergy to nuts keeps her from tasting half the desserts.",
         ("Which health problem does she have?", "What can't she eat?")),
        ("In {later} she turned down a television show.",
         ("Did she ever refuse to become famous?", "Which offer did she reject?")),
        ("Her bread needs three days to rise.",
         ("Why do loaves have to be ordered early?", "How long does the dough take?")),
        ("She writes every recipe by hand into a green notebook.",
         ("Where are the instructions for the dishes kept?", "How does she record what she invents?")),
    ),
    "rover": (
        ("The {name} rover landed in a crater on Mars in {later}.",
         ("Where did the vehicle touch down?", "Which planet is being explored?")),
        ("A plutonium battery keeps it warm at night.",
         ("How does it survive the cold after dark?", "What is its source of energy?")),
        ("It crawls along at {n} metres an hour.",
         ("How fast is it?", "What is its top speed?")),
        ("One of its six wheels has been stuck for years.",
         ("What is broken?", "Is anything wrong with the machine?")),
        ("Engineers in {place} send it new orders every morning.",
         ("From where is it steered?", "Who controls it?")),
        ("In a dry lake bed it found traces of clay.",
         ("What has been discovered so far?", "What evidence of former water is there?")),
        ("Its camera was tested in {year} in the Atacama desert.",
         ("Where was the equipment tried out on Earth?", "Which part was rehearsed in Chile?")),
    ),
}  # fmt: skip
_NAMES = ("Harrow", "Belling", "Tessaro", "Okoye", "Vantaa", "Quill", "Marlow", "Istra", "Brandt", "Solano", "Lumen")
_PEOPLE = ("Ana Duarte", "Mira Kovac", "Lena Holm", "Sofia Greco", "Ines Falk", "Noor Said", "Wanda Pike")
_PLACES = ("Norwich", "Tampere", "Bergamo", "Duluth", "Graz", "Kumasi", "Cork", "Hobart", "Leiden", "Oaxaca", "Split")

_FIRST_NAMES = ("Agnes", "Boris", "Carmen", "Dilip", "Edda", "Femi", "Greta", "Hugo", "Irma", "Jonas", "Kemal", "Lotte",
                "Marta", "Nils", "Olga", "Pablo")  # fmt: skip
_DUTIES = (
    "{who} brings {n} folding chairs to the hall.",
    "{who} collects the keys from the porter at {h}.",
    "{who} parks the van behind shed {n}.",
    "{who} pays the {n}0 euros for the band.",
    "{who} puts up the posters in {place}.",
    "{who} phones the choir from {place}.",
    "{who} prints {n} copies of the programme.",
    "{who} bakes the cake with walnuts.",
    "{who} checks the lights on stage {n}.",
)
_ABOUT = (
    "What is {who} in charge of?", "What is {who}'s job?", "What will {who} do?", "Which task went to {who}?",
    "Which duty has {who} got?",
)  # fmt: skip


def _draw_fact(rng: random.Random) -> Draw:
    facts = rng.choice(tuple(_SUBJECTS.values()))
    values = {
        "name": rng.choice(_NAMES), "person": rng.choice(_PEOPLE), "place": rng.choice(_PLACES),
        "year": str(rng.randrange(1871, 1960)), "later": str(rng.randrange(1990, 2022)),
        "n": str(rng.randrange(5, 40)), "floor": rng.choice(("first", "second", "third", "top")),
    }  # fmt: skip
    chosen = sorted(rng.sample(range(len(facts)), rng.randrange(4, len(facts) + 1)))
    sentences = [facts[index][0].format(**values) for index in chosen]
    at = rng.randrange(len(chosen))
    question = rng.choice(facts[chosen[at]][1])
    return Draw({"passage": " ".join(sentences), "question": question}, sentences[at])


def _draw_duty(rng: random.Random) -> Draw:
    count = rng.randrange(4, 9)
    sentences, people = [], rng.sample(_FIRST_NAMES, count)
    for who, duty in zip(people, rng.sample(_DUTIES, count), strict=True):
        n, place = rng.randrange(3, 60), rng.choice(_PLACES)
        sentences.append(duty.format(who=who, n=n, h=f"{rng.randrange(7, 20)}:{rng.randrange(10, 60)}", place=place))
    at = rng.randrange(count)
    return Draw({"passage": " ".join(sentences), "question": rng.choice(_ABOUT).format(who=people[at])}, sentences[at])


KIND = Kind(
    category="passage_qa",
    metric="text_overlap",
    tasks=(
        Task(
            "fact",
            (
                "{passage}\n\n{question} Quote the sentence that tells.",
                "Read the passage and copy the sentence that answers the question.\nPassage: {passage}\n"
                "Question: {question}",
                '"{passage}"\n{question} (answer with the sentence from the text)',
                "{question}\nFind the sentence in here:\n{passage}",
                "Q: {question}\nContext: {passage}\nSupporting sentence:",
                "I have skimmed this twice and still don't know. {question} Give me the line.\n\n{passage}",
                "Text: «{passage}» Now, {question} Reply with the matching sentence, word for word.",
                "{passage}\n---\n{question}\nwhich sentence",
                "My reading homework. The text: {passage}\nThe question: {question} I must underline one sentence; "
                "which one?",
                "Highlight, in the excerpt below, where it says this. {question}\n\n{passage}",
                "The leaflet says:\n{passage}\nA visitor wants to know: {question} Read out the right line.",
                "open book exam -> {question} book -> {passage}",
                "{question} Don't explain, just paste the passage's own sentence.\n\n{passage}",
                "Retrieve the evidence for the query.\nquery = {question}\ndocument = {passage}",
                "According to the following paragraph, {question}\n{passage}\nPlease cite it literally.",
                "Somebody asked me '{question}' and I only have this text to go by: {passage}",
                "{question}\n\n{passage}",
                "```\n{passage}\n```\n{question}",
            ),
            _draw_fact,
        ),
        Task(
            "duty",
            (
                "{passage}\n\n{question} Copy the sentence.",
                'This is the plan for Saturday: "{passage}" {question} Repeat the sentence in full.',
                "{question}\nlist:\n{passage}",
                "From the notes below, read me the sentence that matters. {question}\n{passage}",
                "who does what:\n{passage}\n\nq: {question}",
                "I lost track of who does what. {question} Quote it from here: {passage}",
                "{passage}\nRight. {question} Full sentence please.",
                "Volunteers, attention! {passage}\n\nA late arrival asks: {question} Answer with the right line.",
                "Look up one entry. {question}\n«{passage}»",
                "Given the roster\n{passage}\nreturn the row that answers: {question}",
                "Scroll through this for me: {passage}\n\n{question} The exact words, please.",
                "It's somewhere in this paragraph, I know it. {passage}\n{question}",
                "Before we start: {question} (The rota: “{passage}”)",
                "Which of these statements settles it? {question}\n\n{passage}",
            ),
            _draw_duty,
        ),
    ),
)
