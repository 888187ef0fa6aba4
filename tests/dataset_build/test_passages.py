"""Summaries and questions about passages: the tools and the bundled categories."""

import random
import re
import sys
from contextlib import suppress

import pytest

from dataset_build.src.errors import MissingDependencyError
from dataset_build.src.experts.base import CannotAnswerError
from dataset_build.src.experts.tools import tools
from dataset_build.src.experts.tools.passages import content_words, passage_in, question_in, sentences_of
from dataset_build.src.experts.tools.textrank_summary import most_central
from dataset_build.src.records import Instruction, Price
from dataset_build.src.scorers import scorers
from dataset_build.src.sources.bundled import passage_qa, summarisation
from dataset_build.src.sources.bundled.source import BundledSource

NAMES = ("bm25_passages", "lead_summary", "minilm_passages", "textrank_summary")
READERS = ("bm25_passages", "minilm_passages")
MODULES = (passage_qa, summarisation)
CATEGORIES = [module.KIND.category for module in MODULES]

STORM = (
    "Trees fell all over the region. The storm cut power to the whole region for two days. "
    "Power lines came down in the storm. Hospitals ran on batteries. Schools without power stayed closed."
)
FLAT = (
    "Olga rents a flat above the pharmacy. Her brother sells used cars. "
    "Olga paints portraits of dogs for a living. Her flat has no lift. The pharmacy closes at six."
)
ABSURD = {
    "empty": "",
    "null bytes": "\x00" * 50 + "\n.\n.\n.\n" + "\x00" * 50,
    "long": "What is it? It is this. " * 5000,
    "one word": "x" * 100_000,
    "one word, short": "What? A. B. C. " + "x" * 19_000,
    "stops": "." * 19_000 + "?",
    "spaces": " " * 100_000,
    "lines": "\n" * 19_000 + "?",
    "sentences": "Who came? " + "Ann came to tea. " * 1000,
    "quotes": "\"'" * 9_000 + "? . . .",
    "surrogate": "Who came to \ud800 tea? Ann came. Bob \udfff came. Cleo came late. Nobody else came.",
    "numbers": "1. 2. 3. " * 2000 + "which?",
    "questions": "Why? " * 3000,
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One came. Two went!  Three?", ["One came.", "Two went!", "Three?"]),
        ("- one thing\n- another thing", ["one thing", "another thing"]),
        ("1) Dr. Who came at 3.5 km.\n2) no", ["Dr. Who came at 3.5 km.", "no"]),
        ("1) First.\n2) Second.", ["First.", "Second."]),
        ('"He left." She stayed.', ["He left.", "She stayed."]),
        ("猫坐下。狗走了。", ["猫坐下。", "狗走了。"]),
        ("Text: All is well.", ["All is well."]),
        ("", []),
        ("...\n!!!", []),
    ],
)
def test_sentences_are_split_and_bared(text, expected):
    assert sentences_of(text) == expected


def test_content_words_drop_small_words_and_plurals():
    assert content_words("The bus of Mira's friends, in a glass") == ["bus", "mira", "friend", "glass"]


@pytest.mark.parametrize(
    "text",
    [
        f"{FLAT}\n\nWhat is Olga's job?",
        f"What is Olga's job? {FLAT}",
        f"Sorry to bother you. What is Olga's job?\n\n“{FLAT}”",
        f"Question: What is Olga's job?\nText: {FLAT}",
        "What is Olga's job?\n" + "\n".join(f"* {one}" for one in sentences_of(FLAT)),
    ],
)
def test_question_and_passage_are_told_apart(text):
    passage = question_in(text)
    assert passage.question == "What is Olga's job?"
    assert set(passage.sentences) - {"Sorry to bother you."} == set(sentences_of(FLAT))


def test_without_a_question_mark_the_request_is_the_question():
    assert question_in(f"Quote what it says about the lift.\n\n{FLAT}").question.startswith("Quote what it says")


def test_the_request_is_no_part_of_the_passage():
    assert passage_in(f"Give me the gist.\n\n{STORM}") == sentences_of(STORM)
    assert passage_in(f"Summarise: {STORM}") == sentences_of(STORM)


def test_textrank_is_fair_to_unrelated_sentences():
    assert most_central(["Cats purr.", "Dogs bark.", "Rain falls."]) == 0
    assert most_central(["Cats purr.", "Dogs bark loudly.", "Dogs and cats fight.", "Rain."]) == 2


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("lead_summary", f"Summarise this.\n\n{STORM}", "Trees fell all over the region."),
        ("lead_summary", "Good morning. All is well", "Good morning."),
        (
            "textrank_summary",
            f"Sum up: {STORM}",
            "The storm cut power to the whole region for two days.",
        ),
        ("bm25_passages", f"{FLAT} Which closing time does the pharmacy have?", "The pharmacy closes at six."),
        (
            "minilm_passages",
            f"{FLAT}\n\nWhich kind of art does Olga make?",
            "Olga paints portraits of dogs for a living.",
        ),
        ("minilm_passages", f"Can I take an elevator?\n\n{FLAT}", "Her flat has no lift."),
        (
            "minilm_passages",
            "Who bakes bread?\n\n" + "It rained again today. " * 20 + "Carlo is the man who bakes. It was cold.",
            "Carlo is the man who bakes.",
        ),
    ],
)
def test_a_tool_answers_what_it_is_for(tool, name, text, expected):
    assert tool(name).solve(text) == expected


def test_word_overlap_misleads_where_meaning_does_not(tool):
    text = (
        "What does Olga do for work?\n\nOlga walks past a work of art each day. Olga teaches chemistry at a school. "
        "Her garden is large. The art is by her uncle."
    )
    assert tool("bm25_passages").solve(text) == "Olga walks past a work of art each day."
    assert tool("minilm_passages").solve(text) == "Olga teaches chemistry at a school."


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("text", ["What is 12 * 14?", "Convert 3 miles to km", "Solve x^2 - 4 = 0", "Paris?"])
def test_what_is_no_passage_is_declined(tool, name, text):
    with pytest.raises(CannotAnswerError):
        tool(name).solve(text)


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("bm25_passages", "The cat sat. " * 5000, "too long"),
        ("bm25_passages", f"Who baked bread?\n\n{FLAT}", "no sentence shares a word"),
        ("bm25_passages", FLAT, "no question"),
        ("textrank_summary", "Two sentences are not enough for a ranking to be of use. They never are.", "no passage"),
        (
            "textrank_summary",
            "a, b and c are 1.5, 2.5 and 3.5, which is rather little for all that it claims",
            "no pass",
        ),
        ("minilm_passages", "Who came? Who went? Who was there, and who on earth invited all of them?", "no passage"),
    ],
)
def test_a_refusal_says_why(tool, name, text, reason):
    with pytest.raises(CannotAnswerError, match=reason):
        tool(name).solve(text)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ABSURD)
def test_absurd_input_ends_in_an_answer_or_a_refusal(tool, name, kind):
    with suppress(CannotAnswerError):
        assert isinstance(tool(name).solve(ABSURD[kind]), str)


@pytest.mark.parametrize("name", NAMES)
def test_an_answer_costs_measured_time(tool, name):
    answer = tool(name).answer_now(Instruction.create(f"Where is the flat of Olga?\n\n{FLAT}"))
    assert answer.text in FLAT
    assert answer.cost > 0
    assert answer.latency_s > 0


@pytest.mark.parametrize("name", NAMES)
def test_a_tool_takes_a_name_and_a_price_and_loads_lazily(name):
    made = tools[name](name="mine", price=Price(per_call=1.0), description="d")
    assert (made.name, made.price.per_call, made.description) == ("mine", 1.0, "d")
    assert tools[name].tool_name == name
    assert tools[name].tool_description
    assert made.solve(f"Where is the flat?\n\n{FLAT}") in FLAT


def test_a_missing_library_is_named_with_its_install_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "bm25s", None)
    with pytest.raises(MissingDependencyError, match=r"moe-toolkit\[tools\]"):
        tools["bm25_passages"]().warm_up()


def test_the_reader_prints_nothing(tool, capfd):
    tool("bm25_passages").solve(f"Where is the flat?\n\n{FLAT}")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("module", MODULES)
def test_there_are_dozens_of_families_and_no_two_alike(module):
    templates = [template for _, _, template in module.KIND.family_ids()]
    assert 30 <= len(templates) <= 40
    bare = {" ".join(re.findall(r"[^\W\d_]+", re.sub(r"\{\w+\}", " ", text.lower()))) for text in templates}
    assert len(set(templates)) == len(templates)
    assert len(bare) > 0.9 * len(templates)
    assert all(len(task.families) >= 6 for task in module.KIND.tasks)


@pytest.mark.parametrize("category", CATEGORIES)
def test_there_are_four_hundred_distinct_texts_without_an_open_slot(category):
    texts = [one.text for one in BundledSource([category], 400).instructions(seed=0)]
    assert len(set(texts)) == 400
    assert not any(re.search(r"[{}]|\bA a|\ba [aeiou]\w+n |\bthe the\b", text) for text in texts)


@pytest.mark.parametrize("category", CATEGORIES)
def test_the_reference_stands_in_the_text_once_and_scores_one(category):
    scorer = scorers["text_overlap"]()
    for one in BundledSource([category], 150).instructions(seed=1):
        assert one.metric == "text_overlap"
        assert one.text.count(one.reference) == 1
        assert scorer.score(one, one.reference).value == 1.0


def test_a_question_has_one_answer_in_its_passage():
    rng = random.Random(5)
    for _ in range(400):
        for task in passage_qa.KIND.tasks:
            drawn = task.draw(rng)
            sentences = sentences_of(drawn.slots["passage"])
            assert 4 <= len(sentences) <= 8
            assert len(set(sentences)) == len(sentences)
            assert sentences.count(drawn.reference) == 1


def test_the_main_point_stands_first_in_news_last_in_essays_and_within_minutes():
    rng = random.Random(5)
    for task in summarisation.KIND.tasks:
        for _ in range(100):
            drawn = task.draw(rng)
            sentences = sentences_of(drawn.slots["passage"])
            at, last = sentences.index(drawn.reference), len(sentences) - 1
            assert 3 <= last <= 6
            assert {"news": at == 0, "essay": at == last, "minutes": 0 < at < last}[task.name]
