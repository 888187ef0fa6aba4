"""Abilities by rules: what messy instructions ask for, what they only seem to ask for, and hostile texts."""

import pytest

from dataset_build import ConfigError
from dataset_build.src.abilities import KNOWN_ABILITIES
from dataset_build.src.taggers.built_in_rules import RULES
from dataset_build.src.taggers.rules import RulesTagger

LONG = "The committee met again on Monday and talked about the same matter as before. "

ASKS: dict[str, list[str]] = {
    "calculation": [
        "hey whats 17% of 2,340??",
        "Pls compute 3*(4+5) thx",
        "Solve 2x+3=7 for x, quick",
        "convert 12 km to miles plz",
        "I bought 3 books for $4 each & 2 pens for 1.50. How much did I pay?",
        "What's the derivative of x^3 - 2x?",
        "My bill is 66 and I want to leave a 15% tip. Amount?",
        "Evaluate \\frac{3}{4} + \\frac{1}{8}",
    ],
    "reasoning_in_steps": [
        "Think it through STEP BY STEP: which box is heavier?",
        "show your work pls. 12 apples, 5 eaten",
        "Prove that the square root of 2 is irrational",
        "A riddle: what has keys and opens no lock?",
        "Tom has 12 apples and gives 5 to Ann. How many does he have left?",
        "If Anna is taller than Bob and Bob is taller than Cem, who is the shortest?",
        "All cats are mammals. Tom is a cat. Does it follow that Tom is a mammal? therefore what",
    ],
    "code": [
        "write me a python function that reverses a list",
        "fix this:\n```python\nfor i in range(3)\n    print(i)\n```",
        "SELECT name FROM users WHERE id = 3; -- why is it slow",
        "why do I get a TypeError here",
        "Refactor this JavaScript please",
        "def add(a, b): return a + b  # what does it do",
        "Write unit tests for my parser class in Rust",
    ],
    "translation": [
        "translate to french: good morning",
        "how do you say 'thank you' in Japanese?",
        "Übersetze bitte: the cat sleeps",
        "Please translate: Ich habe Hunger",
        "Put this into Spanish: see you tomorrow",
        "Give me a translation of the letter below into Polish",
        "请翻译: good night",
    ],
    "languages_other_than_english": [
        "Wie heißt die Hauptstadt von Frankreich und was ist sie?",
        "Quelle est la capitale de la Pologne ?",
        "что такое гравитация?",
        "日本の首都はどこですか",
        "Please answer in German.",
        "What language is 'god morgen'?",
        "¿Cuál es el río más largo de España?",
    ],
    "extraction": [
        "Extract all email addresses from the text below:\nwrite to a@b.c",
        "list the names of people mentioned in this article: ...",
        "According to the passage, when did the mill close?",
        "Who signed it, based on this contract?",
        "Run named-entity recognition on: Ana lives in Rome",
        "Find every date in the following letter.",
        "Passage: The mill closed in 1911 and was sold to a baker from York.\nQuestion: who bought it",
    ],
    "summarisation": [
        "Summarize this for me pls: ...",
        "tl;dr of the thread?",
        "Give me a two-sentence summary",
        "What are the key points of this report",
        "Condense the following article to 50 words",
        "can u write a short overview of the meeting notes",
        "Boil it down to a single sentence: the town met",
    ],
    "classification": [
        "Is this review positive or negative? 'meh'",
        "classify the tweet: i luv it",
        "Sentiment (positive / negative / neutral):",
        "Is this email spam or not",
        "Which category does the ticket belong to?",
        "Label each comment as toxic or harmless",
        "does the reviewer like the product?? 'would buy again'",
    ],
    "factual_knowledge": [
        "whats the capital of Peru",
        "Who invented the telephone?",
        "When was the Eiffel Tower built?",
        "What does NATO stand for?",
        "what is photosynthesis?",
        "In which year did the Berlin Wall fall",
        "atomic number of gold?",
    ],
    "creative_writing": [
        "write a haiku about rain",
        "Tell me a bedtime story with a fox",
        "compose a short funny limerick, pls",
        "Come up with a slogan for my bakery",
        "I need lyrics for a love song",
        "Continue this story: the door creaked",
        "a toast in the style of Oscar Wilde",
    ],
    "spelling_and_grammar": [
        "Is it spelled seperate or separate?",
        "proofread: he go to school",
        "what is the plural of ox",
        "fix the grammar in 'me and him goes'",
        "past tense of 'to swim'?",
        "spelling fix needed -> recieve",
        "Give me the dictionary form of 'geese'",
    ],
    "structured_output": [
        "Return the answer as JSON",
        "make a table of the planets",
        "list them in bullet points plz",
        "Output valid yaml only",
        "reply with json with the keys name and age",
        "Put it in a markdown table",
        "One item per line, nothing else",
    ],
    "long_context": [
        LONG * 40,
        "Summarise:\n" + LONG * 30,
        "word " * 400,
        "会議は月曜日に再び開かれました" * 80,
        "a b\n" * 300,
        "x = 1\n" * 200,
    ],
}

LOOKS_LIKE: dict[str, list[str]] = {
    "calculation": [
        "What happened in 1969?",
        "Call me at 555-1234",
        "Write a poem about 3 cats",
        "How many continents are there?",
        "Summarise the meeting of 2024-05-06",
        "We're open 24/7, rooms 3 to 5. Translate this into French.",
        "Who wrote Fahrenheit 451?",
    ],
    "reasoning_in_steps": [
        "What is the capital of France?",
        "I need proof of purchase for my washing machine",
        "The steps in front of the house are icy, write a sign",
        "Translate: if you like it, buy it",
        "Is this waterproof?",
        "How much is a stamp?",
        "name 3 rivers",
    ],
    "code": [
        "Is a python venomous?",
        "What is a code of conduct?",
        "Best time to visit Java island?",
        "Class starts at 9, write a reminder to parents",
        "Select a good restaurant from the guide",
        "The import of tea rose in 1890. Why?",
        "Rust on my car door, what now?",
    ],
    "translation": [
        "Who translated the Iliad into Latin first?",
        "Translate this T-SQL query to the sqlite dialect: SELECT TOP 3 a FROM b",
        "Could you translate 475 K for somebody who knows Celsius",
        "What is French toast?",
        "lost in the crowd, a poem please",
        "Which language has most speakers?",
        "rewrite this more politely",
    ],
    "languages_other_than_english": [
        "What is the capital of France and who rules it?",
        "I ate a croissant and a pretzel on the way",
        "Write a function in python",
        "John van der Berg is on the phone for you",
        "Is it in the park or on the hill?",
        "naïve façade café, plural please",
        "∑ of α and β",
    ],
    "extraction": [
        "How much vanilla extract goes into a cake?",
        "How is DNA taken from a cell?",
        "Write a story about a dentist",
        "Find x if 2x = 4",
        "list three rivers in Asia",
        "What is in the box?",
        "Give me a name for my dog",
    ],
    "summarisation": [
        "What is a summary offence in law?",
        "I am summarising my life here, sorry. 3 + 4?",
        "How short was Napoleon?",
        "write a long essay about trees",
        "What's the point of exams?",
        "the key to the cellar is lost",
        "sum of 3 and 4",
    ],
    "classification": [
        "Where do I post classified ads?",
        "I am positive that he left. When?",
        "Which class has the most pupils?",
        "Write a sentimental poem",
        "what sort of bread is this",
        "buy spam at the shop, add it to the list",
        "the topic for tomorrow is rain",
    ],
    "factual_knowledge": [
        "What is the sum of 3 and 4?",
        "Who is mentioned in the text below?",
        "What does this function do? Who is to blame for the bug in my code",
        "Write a haiku",
        "Translate: good morning",
        "What is the sentiment of this review: bad",
        "According to the passage, who was late?",
    ],
    "creative_writing": [
        "Who wrote the poem 'If'?",
        "Summarise this story in a line",
        "Translate the song into German",
        "Write a user story for the login page",
        "Write a python script that sorts files",
        "Write down the total",
        "Analyse the poem below",
    ],
    "spelling_and_grammar": [
        "The witch cast a spell on him. Continue.",
        "Which grammar school is best in Kent?",
        "What is 3 + 4?",
        "What is the basic form of government in Peru?",
        "correct me if I am wrong: is Rome in Italy",
        "Type the word hello",
        "a story of a spelunker",
    ],
    "structured_output": [
        "My JSON file is corrupt, why?",
        "What does CSV stand for?",
        "Book a table for four",
        "Who invented XML?",
        "Is the periodic table complete",
        "What is a bullet train?",
        "keys and fields of wheat",
    ],
    "long_context": [
        "",
        "Summarise this long text.",
        LONG * 5,
        "word " * 300,
        "a" * 5_000,
        "会議は月曜日に" * 20,
    ],
}


@pytest.fixture(scope="module")
def tagger():
    return RulesTagger()


def test_every_known_ability_has_a_rule_and_examples():
    assert set(RULES) == set(KNOWN_ABILITIES) == set(ASKS) == set(LOOKS_LIKE)
    assert all(len(texts) >= 6 for texts in [*ASKS.values(), *LOOKS_LIKE.values()])


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in ASKS.items() for text in texts])
def test_what_is_asked_for_is_found(name, text, tagger):
    assert name in tagger.tag([text])[0]


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in LOOKS_LIKE.items() for text in texts])
def test_what_only_looks_like_it_is_not(name, text, tagger):
    assert name not in tagger.tag([text])[0]


def test_no_text_hangs_a_built_in_rule(tagger):
    bits = [
        "1",
        "1 ",
        "1,",
        "a ",
        "1 a ",
        "if ",
        "select from ",
        "how many ",
        "what is a aa ",
        "write me a aaa ",
        "```a\n",
    ]
    texts = [bit * (20_000 // len(bit)) for bit in [*bits, "\x00", "\ud800", "\u202e", "(", "translate ", "json "]]
    assert all(tags is not None for tags in tagger.tag(texts))


def test_only_the_beginning_and_the_end_of_a_long_text_are_read(tagger):
    middle = "a " * 20_000
    assert "code" in tagger.tag([f"Fix this JavaScript: {middle}"])[0]
    assert "code" in tagger.tag([f"{middle} Fix this JavaScript"])[0]
    assert tagger.tag(["x" * 30_000_000]) == [()]


def test_own_rules_come_beside_the_built_in_ones():
    tagger = RulesTagger(rules={"cooking": [r"\bbake\b", r"\bcook(?:ing)?\b"], "code": ["never this"]})
    assert tagger.tag(["BAKE a cake", "fix this JavaScript", "convert 3 km to miles"]) == [
        ("cooking",),
        (),
        ("calculation",),
    ]


def test_own_rules_alone():
    tagger = RulesTagger(rules={"cooking": ["bake"]}, built_in=False)
    assert tagger.names == ("cooking",)
    assert tagger.tag(["bake 3 + 4", "3 + 4"]) == [("cooking",), ()]


def test_an_own_pattern_that_never_ends_is_given_up_and_told():
    tagger = RulesTagger(rules={"slow": [r"(a|aa)+$"]}, built_in=False)
    assert tagger.tag(["a" * 200 + "b", "aaa"]) == [(), ("slow",)]
    assert tagger.facts() == {"too_slow": {"slow": 1}}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rules": {"a": ["("]}}, "abilities, rules, a: '\\('"),
        ({"rules": {"a": ["(?:(?:x{999}){999}){9}"]}}, "too large"),
        ({"rules": {" a": ["x"]}}, "white space around it"),
        ({"rules": {"": ["x"]}}, "is no name"),
        ({"built_in": False}, "there is no rule"),
    ],
)
def test_wrong_rules_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        RulesTagger(**options)
