import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset_build import Instruction
from dataset_build.src.scorers import scorers
from dataset_build.src.scorers.base import UnscorableError
from dataset_build.src.scorers.instruction_constraints import CONSTRAINTS, count_sentences, follows, language_of
from dataset_build.src.scorers.instruction_following import extract_constraints, readings

ENGLISH = "the small brown dog ran over the hill and slept in the warm sun all day long."
GERMAN = "Das ist ein ganz einfacher deutscher Satz über das Wetter."
#: Constraint -> its settings, texts that keep to it, texts that do not.
CASES = {
    "keywords:existence": ({"keywords": ["Dog", "c++"]}, ["my DOG knows C++"], ["my dog", "c+++ "]),
    "keywords:frequency": (
        {"keyword": "dog", "frequency": 2, "relation": "at least"}, ["Dog eats dog", "dogs, dogs"], ["one dog", "cat"],
    ),
    "keywords:forbidden_words": ({"forbidden_words": ["cat", "a.b"]}, ["a category", "axb"], ["No Cat!", "see a.b"]),
    "keywords:letter_frequency": (
        {"letter": "E", "let_frequency": 2, "let_relation": "less than"}, ["hey", "Ex"], ["Eel", "eye"],
    ),
    "language:response_language": (
        {"language": "de"}, [GERMAN, "42"], [ENGLISH],
    ),
    "length_constraints:number_sentences": (
        {"num_sentences": 3, "relation": "less than"}, ["One. Two!", "Dr. No met Mr. Yes."], ["A b. C d. E f."],
    ),
    "length_constraints:number_paragraphs": (
        {"num_paragraphs": 2}, ["One\n***\nTwo", "***\nOne\n***\nTwo\n***"], ["One", "One\n***\n\n***\nTwo"],
    ),
    "length_constraints:number_words": (
        {"num_words": 3, "relation": "at least"}, ["one two three"], ["one two", "- - -"],
    ),
    "length_constraints:nth_paragraph_first_word": (
        {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "Well"},
        ["One.\n\nwell, two.", 'One.\n\n"Well" said two.'], ["Well, one.\n\nTwo.", "well", "One.\n\nTwo.\n\nwell"],
    ),
    "detectable_content:number_placeholders": ({"num_placeholders": 2}, ["[name], [address]"], ["[name] address]"]),
    "detectable_content:postscript": ({"postscript_marker": "P.S."}, ["Bye.\np.s. more", "P. S. x"], ["PS: no", "Bye"]),
    "detectable_format:number_bullet_lists": (
        {"num_bullets": 2}, ["* one\n* two", "Intro\n  - one\n* two"], ["* one", "**bold**\n* one", "- a\n- b\n- c"],
    ),
    "detectable_format:constrained_response": ({}, ["My answer is maybe."], ["Maybe.", "my answer is yes"]),
    "detectable_format:number_highlighted_sections": ({"num_highlights": 2}, ["*one* and *two*"], ["*one", "* *"]),
    "detectable_format:multiple_sections": (
        {"section_spliter": "Section", "num_sections": 2}, ["Section 1\na\nSection 2\nb"],
        ["Section 1 only", "Section a"],
    ),
    "detectable_format:json_format": ({}, ['{"a": 1}', '```JSON\n{"a": 1}\n```'], ["{a: 1}", 'Here: {"a": 1}']),
    "detectable_format:title": ({}, ["<<Ode to joy>>\nText"], ["<<>>", "<< >>", "<Title>", ">>a<<"]),
    "combination:two_responses": (
        {}, ["One\n******\nTwo", "******A******B"], ["One******One", "a******b******c", "One"],
    ),
    "combination:repeat_prompt": ({"prompt_to_repeat": "Say hi."}, ["say hi. Hi!", " Say hi.\nHi"], ["Hi! Say hi."]),
    "startend:end_checker": ({"end_phrase": "Bye now."}, ["So long. bye now.", '"Bye now."'], ["Bye now. Ciao"]),
    "startend:quotation": ({}, ['"All of it."', ' "x" '], ['"Half" of it', '"', "“curly”"]),
    "change_case:capital_word_frequency": (
        {"capital_frequency": 2, "capital_relation": "at least"}, ["THE WELL-KNOWN dog", "I AM"], ["The DOG", "A1 b2"],
    ),
    "change_case:english_capital": ({}, [ENGLISH.upper()], [ENGLISH, GERMAN.upper()]),
    "change_case:english_lowercase": ({}, [ENGLISH], [ENGLISH.capitalize(), GERMAN.lower()]),
    "punctuation:no_comma": ({}, ["No comma; none"], ["One, two"]),
}  # fmt: skip
CHECKS = [(name, text, True) for name, (_, good, _) in CASES.items() for text in good]
CHECKS += [(name, text, False) for name, (_, _, bad) in CASES.items() for text in bad]


def score(text, options=None, **extra):
    return scorers["instruction_following"](**options or {}).score(Instruction.create("?", extra=extra), text)


def test_every_kind_of_constraint_has_its_examples():
    assert set(CASES) == set(CONSTRAINTS)
    assert len(CONSTRAINTS) == 25


@pytest.mark.parametrize(("name", "text", "expected"), CHECKS)
def test_a_constraint_is_kept_or_not(name, text, expected):
    assert follows(text, name, CASES[name][0]) is expected


@pytest.mark.parametrize("name", CONSTRAINTS)
def test_a_blank_text_keeps_to_nothing(name):
    assert not follows(" \n", name, CASES[name][0])


@pytest.mark.parametrize("name", [name for name, (settings, _, _) in CASES.items() if settings])
def test_a_missing_setting_is_a_reason_and_no_verdict(name):
    score_ = score("Some text.", constraints=[{"id": name}])
    assert score_.value is None
    assert "a constraint needs" in score_.reason


def test_relations_are_those_that_are_known():
    three = {"num_words": 3}
    kept = [how for how in ("at least", "less than", "at most", "exactly")
            if follows("one two three", "length_constraints:number_words", {**three, "relation": how})]  # fmt: skip
    assert kept == ["at least", "at most", "exactly"]
    with pytest.raises(UnscorableError, match="around"):
        follows("one", "length_constraints:number_words", {**three, "relation": "around"})


def test_sentences_are_counted_through_abbreviations_and_numbers():
    assert count_sentences("Dr. Who? Yes! He came at 3.15 p.m. today") == 3
    assert count_sentences("好。很好！真的？") == 3
    assert count_sentences("...") == 0


def test_languages_go_by_their_common_codes():
    assert language_of("我们今天去北京看朋友，然后一起吃饭。") == "zh"
    assert language_of("1 + 1") is None
    assert follows("我们今天去北京看朋友，然后一起吃饭。", "language:response_language", {"language": "zh-cn"})


PUBLISHED = {
    "instruction_id_list": ["punctuation:no_comma", "length_constraints:number_words"],
    "kwargs": [{"num_words": None, "relation": None}, {"num_words": 3.0, "relation": "at least"}],
}


@pytest.mark.parametrize("as_stored", [lambda x: x, json.dumps, np.array], ids=["lists", "text", "arrays"])
def test_constraints_are_read_as_published_and_in_our_own_form(as_stored):
    published = {name: as_stored(value) for name, value in PUBLISHED.items()}
    own = as_stored([{"id": "punctuation:no_comma"}, {"id": "length_constraints:number_words", "num_words": 3}])
    for extra in (published, {"constraints": own}):
        assert score("one two three", **extra).value == 1.0
        assert score("one, two, three", **extra).value == 0.0
        assert score("one, two, three", {"count": "share"}, **extra).value == 0.5
    assert extract_constraints(published)[1][1] == {"num_words": 3.0, "relation": "at least"}


def test_loose_checking_forgives_a_first_line_a_last_line_and_asterisks():
    extra = {"constraints": [{"id": "startend:end_checker", "end_phrase": "Bye."}, {"id": "punctuation:no_comma"}]}
    text = "Sure, here it is:\nSo long. *Bye.*\nAnything else, perhaps?"
    assert score(text, **extra).value == 0.0
    assert score(text, {"mode": "loose"}, **extra).value == 1.0
    assert len(readings("a")) == 8


@pytest.mark.parametrize(
    ("extra", "reason"),
    [
        ({}, "no constraints"), ({"constraints": "[]"}, "no constraints"),
        ({"constraints": [{"id": "x:y"}]}, "unknown"),
        ({"constraints": ["x"]}, "a mapping"), ({"constraints": [{}]}, "unknown constraint"),
        ({"instruction_id_list": ["a", "b"], "kwargs": [{}]}, "2 names"),
    ],
)  # fmt: skip
def test_constraints_that_cannot_be_read_give_a_reason(extra, reason):
    assert reason in score("text", **extra).reason


@settings(deadline=None)
@given(st.text(max_size=120))
def test_any_text_keeps_to_a_constraint_or_not_and_loose_is_never_harder(text):
    for name, (options, _, _) in CASES.items():
        strict = follows(text, name, options)
        assert strict in (True, False)
        assert any(follows(one, name, options) for one in readings(text)) >= strict
