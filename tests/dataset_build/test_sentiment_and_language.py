"""The categories sentiment and language_id, their tools, and how tools find the text an instruction is about."""

import re
import sys
from collections import Counter

import pytest

from dataset_build.src.errors import MissingDependencyError
from dataset_build.src.experts.base import CannotAnswerError
from dataset_build.src.experts.tools import language_detector, tools, vader_sentiment
from dataset_build.src.experts.tools.payload import find_passage, payload_of, quoted_parts, sentences, words
from dataset_build.src.records import Instruction
from dataset_build.src.scorers import scorers
from dataset_build.src.sources.bundled import language_id, sentiment
from dataset_build.src.sources.bundled.source import BundledSource

SENTIMENT_TOOLS = ("vader_sentiment", "word_list_sentiment")
LANGUAGE_TOOLS = ("language_detector", "stopword_language")
ABSURD = {
    "empty": "",
    "null bytes": "\x00" * 100_000,
    "long": "Is this review positive? Which language? " * 3000,
    "one giant word": "a" * 100_000,
    "giant word in a request": "positive or negative, and which language: " + "a" * 15_000,
    "apostrophes": "language sentiment " + "'a " * 5000,
    "quotation marks": "language sentiment " + '"' * 15_000,
    "colons": "language sentiment: " * 700,
    "backticks": "language sentiment " + "```" * 5000,
    "new lines": "language sentiment" + "\n" * 15_000,
    "surrogate": "which language, positive or negative: \ud800 \udfff",
    "no letters": "which language, positive or negative: 12345 !!!",
}


@pytest.mark.parametrize(
    ("text", "payload"),
    [
        ("Is 'I can't complain' a happy thing to say?", "I can't complain"),
        ('mood? "It\'s great!" thx', "It's great!"),
        ("which one is it: «Bonjour, l'ami» please", "Bonjour, l'ami"),
        ("»Guten Tag« sagt wer?", "Guten Tag"),
        ("Was heißt „Das ist gut“?", "Das ist gut"),
        ("Sentiment at 10:30: I liked the dogs' food", "I liked the dogs' food"),
        ("Hi: classify this\n\nI loved it. Really: yes.\n", "I loved it. Really: yes."),
        ("Sentiment:\nGood thing\nreally", "Good thing\nreally"),
        ("Loved it.\nWhat is the sentiment?", "Loved it."),
        ("run `x y z` now", "x y z"),
        ("```\nabc\n```", "abc"),
        ("no payload here", "no payload here"),
        (
            'rate: The waiter said "hi" and then spilt soup all over my trousers.',
            'The waiter said "hi" and then spilt soup all over my trousers.',
        ),
        ("", ""),
    ],
)
def test_the_payload_is_told_from_the_request(text, payload):
    assert payload_of(text) == payload


def test_quotations_passages_sentences_and_words():
    assert quoted_parts("'one' and \"two\"") == ["one", "two"]
    assert find_passage("Sum this up: It rained. Note: we left.") == "It rained. Note: we left."
    assert find_passage('Shorten "It rained all day and we left." now') == "It rained all day and we left."
    assert sentences("It rained. We left!") == ["It rained.", "We left!"]
    assert words("the dog's re-run") == ["the", "dog's", "re-run"]


@pytest.mark.parametrize("name", SENTIMENT_TOOLS)
@pytest.mark.parametrize(
    ("text", "label"),
    [
        ('Positive, negative or neutral? "The food was wonderful and we loved the view."', "positive"),
        ("The sofa is awful and I hate it.\n\nsentiment:", "negative"),
        ("What is the mood of this: The parcel has three parts.", "neutral"),
        ("Is the writer happy? The chair was not bad at all.", "positive"),
    ],
)
def test_sentiment_of_plain_reviews(name, text, label):
    assert tools[name]().solve(text) == label


def test_vader_minds_contrast_and_the_word_list_does_not():
    text = 'sentiment of "The soup was lovely and nice, but the service was horrible, horrible, horrible."'
    assert tools["vader_sentiment"]().solve(text) == "negative"
    short = 'sentiment of "The music was great, but the film was shoddy."'
    assert tools["word_list_sentiment"]().solve(short) == "positive"


@pytest.mark.parametrize(
    ("name", "text", "language"),
    [
        ("language_detector", 'What language is "Minun siskoni ostaa tuoretta leipää asemalla"?', "Finnish"),
        ("language_detector", "language of: Mi hermana espera el autobús delante de la estación", "Spanish"),
        ("language_detector", "My neighbours speak like this: “Náš soused čeká na autobus před nádražím”", "Czech"),
        ("language_detector", "She texted me вона чекає на автобус і п'є склянку води, what language?", "Ukrainian"),
        ("stopword_language", "language of: der Hund ist nicht mit dem Nachbarn im Haus", "German"),
        ("stopword_language", "姉は駅の前でバスを待っています\nwhich language", "Japanese"),
        ("stopword_language", "Which language? «моя сестра ищет ключи»", "Russian"),
    ],
)
def test_languages_are_recognised(name, text, language):
    assert tools[name]().solve(text) == language


@pytest.mark.parametrize("name", SENTIMENT_TOOLS + LANGUAGE_TOOLS)
@pytest.mark.parametrize("text", ["What is 17 times 23?", "Convert 3 miles to km", "capital of Peru", "fix: recieve"])
def test_what_is_not_for_them_is_declined(name, text):
    with pytest.raises(CannotAnswerError):
        tools[name]().solve(text)


def test_no_stop_word_is_no_answer():
    with pytest.raises(CannotAnswerError, match="none of the words"):
        tools["stopword_language"]().solve("language of: xyzzy plugh")


@pytest.mark.parametrize("name", SENTIMENT_TOOLS + LANGUAGE_TOOLS)
@pytest.mark.parametrize("text", ABSURD.values(), ids=ABSURD)
def test_absurd_input_is_answered_or_declined(name, text):
    answer = tools[name]().answer_now(Instruction.create(text or " "))
    assert answer.text


@pytest.mark.parametrize("name", SENTIMENT_TOOLS + LANGUAGE_TOOLS)
def test_an_answer_costs_something(name):
    tool = tools[name]()
    tool.warm_up()
    assert tool.answer_now(Instruction.create("sentiment and language of: I love the old house")).cost > 0
    assert tool.tool_name == name
    assert tool.description


@pytest.mark.parametrize(
    ("module", "package", "load"),
    [(vader_sentiment, "vaderSentiment.vaderSentiment", "_analyzer"), (language_detector, "py3langid", "_model")],
)
def test_a_missing_package_is_said_in_one_line(monkeypatch, module, package, load):
    getattr(module, load).cache_clear()
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingDependencyError, match="pip install"):
        getattr(module, load)()


@pytest.mark.parametrize("module", [sentiment, language_id])
def test_there_are_dozens_of_families_and_no_two_alike(module):
    templates = [template for _, _, template in module.KIND.family_ids()]
    assert 30 <= len(templates) <= 48
    bare = {" ".join(re.findall(r"[^\W\d_]+", re.sub(r"\{\w+\}", " ", text.lower()))) for text in templates}
    assert len(bare) > 0.9 * len(templates)
    assert module.KIND.noise == {"typos"}


@pytest.mark.parametrize("category", ["sentiment", "language_id"])
def test_there_are_hundreds_of_texts_and_every_label_is_common(category):
    instructions = list(BundledSource([category], 400).instructions(seed=1))
    assert len({instruction.text for instruction in instructions}) == 400
    labels = Counter(instruction.reference for instruction in instructions)
    assert len(labels) == 3 if category == "sentiment" else len(labels) >= 15
    assert min(labels.values()) >= 5
    for instruction in instructions[::7]:
        answer = instruction.reference.split("|")[0]
        assert scorers[instruction.metric]().score(instruction, f"It is {answer}.").value == 1.0


@pytest.mark.parametrize(
    ("category", "good", "rough"), [("sentiment", *SENTIMENT_TOOLS), ("language_id", *LANGUAGE_TOOLS)]
)
def test_the_good_tool_is_right_more_often_than_the_rough_one(category, good, rough):
    instructions = list(BundledSource([category], 150).instructions(seed=3))
    scorer = scorers["label"]()
    right = {
        name: sum(scorer.score(entry, tools[name]().answer_now(entry).text).value for entry in instructions)
        for name in (good, rough)
    }
    assert right[good] > right[rough] > 0.2 * len(instructions)
