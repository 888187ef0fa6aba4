"""The bundled source: many, distinct, checkable, reproducible, and split by phrasing family."""

import random
import re
from collections import Counter

import pytest

from dataset_build import ConfigError, Instruction
from dataset_build.src.scorers import scorers
from dataset_build.src.sources.bundled.noise import misspell, render
from dataset_build.src.sources.bundled.source import BundledSource, load_kinds


@pytest.fixture(scope="module")
def everything() -> list[Instruction]:
    return list(BundledSource().instructions(seed=0))


def test_there_are_at_least_six_thousand_in_twelve_categories(everything: list[Instruction]):
    assert len(everything) >= 6_000
    assert len({instruction.category for instruction in everything}) >= 12
    assert len({instruction.text for instruction in everything}) == len(everything)


def test_the_same_seed_gives_the_same_and_another_gives_others(everything: list[Instruction]):
    again = list(BundledSource().instructions(seed=0, limit=500))
    other = list(BundledSource().instructions(seed=1, limit=500))
    assert again == everything[:500]
    assert len({i.text for i in other} & {i.text for i in again}) < 250


def test_any_prefix_is_balanced(everything: list[Instruction]):
    counts = Counter(instruction.category for instruction in everything[: 10 * len(load_kinds())])
    assert set(counts.values()) == {10}


def test_families_never_straddle_splits_and_every_category_is_in_every_split(everything: list[Instruction]):
    splits_of: dict[str, set[str | None]] = {}
    for instruction in everything:
        splits_of.setdefault(instruction.extra["family"], set()).add(instruction.split)
    assert all(len(splits) == 1 for splits in splits_of.values())
    for category in load_kinds():
        assert {i.split for i in everything if i.category == category} == {"train", "validation", "test"}


@pytest.mark.parametrize("category", load_kinds())
def test_a_category_is_asked_in_several_dozen_ways(category: str):
    kind = load_kinds()[category]
    templates = [template for task in kind.tasks for template in task.families]
    assert len(templates) >= 24
    assert len({re.sub(r"\W+", " ", re.sub(r"\{\w+\}", "", t)).lower() for t in templates}) >= 0.9 * len(templates)
    assert len({task.name for task in kind.tasks}) == len(kind.tasks)


@pytest.mark.parametrize("category", load_kinds())
def test_the_reference_itself_is_a_right_answer(category: str):
    for instruction in BundledSource([category], per_category=60).instructions(seed=3):
        assert instruction.metric is not None
        answer = (instruction.reference or "").partition("|")[0]
        assert scorers[instruction.metric]().score(instruction, answer).value == 1.0, instruction


def test_an_unknown_category_names_the_nearest():
    with pytest.raises(ConfigError, match="Did you mean 'arithmetic'"):
        BundledSource(["arithmetik"])
    with pytest.raises(ConfigError, match="per_category is 0"):
        BundledSource(per_category=0)


def test_disturbances_leave_the_slots_alone():
    slots = {"payload": "12,345 + bananna"}
    for seed in range(300):
        text = render("Please compute {payload} for me right now", slots, random.Random(seed), frozenset({"typos"}))
        assert slots["payload"] in text


def test_a_share_of_instructions_is_disturbed():
    plain = "What would {x} come to?"
    allowed = frozenset({"typos", "chatter", "distractor"})
    texts = [render(plain, {"x": "1 + 1"}, random.Random(seed), allowed) for seed in range(500)]
    changed = sum(text != "What would 1 + 1 come to?" for text in texts)
    assert 150 < changed < 350
    assert all(render(plain, {"x": "1"}, random.Random(s), frozenset()) == "What would 1 come to?" for s in range(20))


def test_a_slip_changes_a_word_and_nothing_but_words():
    assert misspell("a 12 b", random.Random(0)) == "a 12 b"
    for seed in range(100):
        slipped = misspell("convert this", random.Random(seed))
        assert abs(len(slipped) - len("convert this")) <= 2
