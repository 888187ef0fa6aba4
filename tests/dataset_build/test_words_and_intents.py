"""Spelling, base forms and intents: the bundled categories and the tools for them."""

import random
import re
import string
import sys
from contextlib import suppress

import pytest

from dataset_build.src.errors import MissingDependencyError
from dataset_build.src.experts.base import CannotAnswerError
from dataset_build.src.experts.tools import tools
from dataset_build.src.experts.tools.choice_requests import read_request as read_choice
from dataset_build.src.experts.tools.spelling_requests import alike
from dataset_build.src.records import Instruction, Price
from dataset_build.src.scorers import scorers
from dataset_build.src.scorers.multiple_choice import read_options
from dataset_build.src.sources.bundled import intent, lemmatisation, misspellings, spelling
from dataset_build.src.sources.bundled.source import BundledSource

MODULES = (spelling, lemmatisation, intent)
NAMES = (
    "edit_distance_speller", "keyword_router", "lemma_dictionary", "minilm_router", "spell_checker", "suffix_stemmer",
)  # fmt: skip
ABSURD = {
    "empty": "",
    "null bytes": "\x00" * 100,
    "one word": "a" * 100_000,
    "long": "Correct the spelling of recieve. Lemma of went? A) x B) y " * 1800,
    "spaces": " " * 100_000,
    "quotes": "'\"`«" * 500 + " typo",
    "unknown words": "Fix the typos: " + "qzxjvk wqpfgh zzzzyx " * 60,
    "long unknown word": "spell " + "xyzq" * 400,
    "many options": "message " + " ".join(f"{letter}) one" for letter in "ABCDEFGHABCDEFGH" * 50),
    "surrogate": "Correct the spelling of \ud800recieve, lemma?\n\ud801\nA) \udfff B) b",
}


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("spell_checker", 'Correct the spelling of "recieve".', "receive"),
        ("spell_checker", "how do you spell definately", "definitely"),
        ("spell_checker", "accomodate or accommodate?", "accommodate"),
        ("spell_checker", "Fix the typo: We will recieve it in Febuary.", "We will receive it in Febuary."),
        ("spell_checker", "Which word is misspelt? «She wrote goverment twice.»", "goverment"),
        ("spell_checker", "Correct the spelling: RECIEVE", "RECEIVE"),
        ("spell_checker", "She was happy untill noon.\nCorrect that, please.", "She was happy until noon."),
        ("edit_distance_speller", "Correct the spelling of 'recieve'", "receive"),
        ("edit_distance_speller", "freind or friend?", "friend"),
        ("edit_distance_speller", "Which word has a typo in “My freind left.”", "freind"),
        ("edit_distance_speller", 'Proofread "My freind left."', "My friend left."),
        ("lemma_dictionary", 'What is the lemma of "mice"?', "mouse"),
        ("lemma_dictionary", "German lemma: ging", "gehen"),
        ("suffix_stemmer", "base form of 'walked'?", "walk"),
        ("keyword_router", "Where does “my parcel was returned” go? A) Parcels B) Loans", "A"),
        ("minilm_router", '"my suitcase never arrived"\nA) Lost luggage\nB) Seat upgrades\nC) Meals on board', "A"),
    ],
)
def test_a_tool_answers_what_it_is_for(tool, name, text, expected):
    assert tool(name).solve(text) == expected


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "text", ["Do you like my new hat?", "What is 12 * 14?", "Solve x^2 - 4 = 0", "SELECT a FROM t"]
)
def test_what_is_not_for_a_tool_is_declined(tool, name, text):
    assert tool(name).answer_now(Instruction.create(text)).text.startswith("I cannot answer this")


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("spell_checker", "Is the spelling of 'house' right?", "in the dictionary"),
        ("spell_checker", "Fix the typos: " + "qzxjvk wqpfgh zzzzyx " * 6, "too few"),
        ("spell_checker", "Fix the typos: " + "we sat there " * 60, "too much"),
        ("edit_distance_speller", "Correct the spelling of qzxjvk", "short list"),
        ("keyword_router", "Where to? “my cat is ill” A) Loans B) Cards", "shares a word"),
        ("keyword_router", "A) Loans B) Cards", "nothing besides"),
        ("keyword_router", "Option A is nice. B is not.", "no lettered options"),
    ],
)
def test_a_refusal_says_why(tool, name, text, reason):
    with pytest.raises(CannotAnswerError, match=reason):
        tool(name).solve(text)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ABSURD)
def test_absurd_input_ends_in_an_answer_or_a_refusal(tool, name, kind):
    with suppress(CannotAnswerError):
        assert isinstance(tool(name).solve(ABSURD[kind]), str)


@pytest.mark.parametrize("name", NAMES)
def test_an_answer_costs_measured_time(tool, name):
    answer = tool(name).answer_now(Instruction.create("Correct the spelling, lemma of 'recieves'. A) one B) two"))
    assert answer.cost > 0


@pytest.mark.parametrize("name", NAMES)
def test_a_tool_takes_a_name_and_a_price_and_loads_lazily(name):
    made = tools[name](name="mine", price=Price(per_call=1.0), description="d")
    assert (made.name, made.price.per_call, made.description) == ("mine", 1.0, "d")
    assert tools[name].tool_name == name
    with suppress(CannotAnswerError):
        made.solve("Correct the spelling and lemma of 'recieves'. A) one B) two")


@pytest.mark.parametrize(("name", "library"), [("spell_checker", "spellchecker"), ("lemma_dictionary", "simplemma")])
def test_a_missing_library_is_named_with_its_install_line(monkeypatch, name, library):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingDependencyError, match=r"moe-toolkit\[tools\]"):
        tools[name]().warm_up()


def test_spellings_of_one_word_are_alike_and_other_words_are_not():
    assert alike("recieve", "receive")
    assert alike("untill", "until")
    assert not alike("house", "garden")
    assert not alike("until", "Until")


@pytest.mark.parametrize("module", MODULES)
def test_there_are_dozens_of_families_and_no_two_alike(module):
    templates = [template for _, _, template in module.KIND.family_ids()]
    assert 30 <= len(templates) <= 48
    bare = {template.lower().strip(string.punctuation) for template in templates}
    assert len(bare) == len(templates)
    assert all(len(task.families) >= 6 for task in module.KIND.tasks)
    for task in module.KIND.tasks:
        known = set(task.draw(random.Random(0)).slots)
        for template in task.families:
            assert {name for _, name, _, _ in string.Formatter().parse(template) if name} <= known, template


@pytest.mark.parametrize("module", MODULES)
def test_a_category_has_hundreds_of_distinct_texts_and_scorable_references(module):
    instructions = list(BundledSource([module.KIND.category], 400).instructions(seed=1))
    assert len({instruction.text for instruction in instructions}) == 400
    assert {instruction.split for instruction in instructions} == {"train", "validation", "test"}
    for instruction in instructions:
        assert scorers[instruction.metric]().score(instruction, instruction.reference).value == 1.0


def test_misspellings_are_no_words_and_their_words_are():
    from spellchecker import SpellChecker

    checker = SpellChecker()
    made = [slip for word in misspellings.WORDS for slips in misspellings.misspellings(word) for slip in slips]
    made += [wrong for wrong, _ in misspellings.KNOWN]
    assert not checker.known(made)
    words = {*misspellings.WORDS, *(right for _, right in misspellings.KNOWN)}
    assert not checker.unknown(words)
    assert len(words) > 450


def test_misspelling_follows_the_slips_people_make():
    made = {slip for slips in misspellings.misspellings("deceive") for slip in slips}
    assert {"decieve", "decive"} <= made
    assert "deceive" not in made
    assert ["oposite"] in misspellings.misspellings("opposite")
    assert ["absance"] in misspellings.misspellings("absence")


def test_base_forms_agree_with_simplemma_but_for_a_few():
    import simplemma

    codes = {"English": "en", "German": "de", "French": "fr", "Spanish": "es", "Italian": "it"}
    pairs = [(language, *pair) for language, table in lemmatisation._PAIRS.items() for pair in table]
    agree = sum(simplemma.lemmatize(form, lang=codes[language]) == lemma for language, form, lemma in pairs)
    assert agree > 0.85 * len(pairs)
    assert len({(language, form) for language, form, _ in pairs}) == len(pairs)


def test_the_options_of_an_intent_can_be_read_and_differ():
    for instruction in BundledSource(["intent"], 200).instructions(seed=3):
        options = read_options(instruction.text)
        assert list(options) == list("ABCD")
        assert len(set(options.values())) == 4
        assert list(read_choice(instruction.text).options) == list("ABCD")
        assert re.fullmatch("[A-D]", instruction.reference)


def test_each_letter_is_right_about_as_often():
    references = [instruction.reference for instruction in BundledSource(["intent"], 400).instructions(seed=0)]
    assert all(70 < references.count(letter) < 130 for letter in "ABCD")
