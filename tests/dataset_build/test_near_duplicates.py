import random
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset_build import ConfigError
from dataset_build.src.near_duplicates import CROWD, RUN, SHORT, NearDuplicates, _BandTable
from dataset_build.src.sources.bundled.source import BundledSource
from dataset_build.src.wording import digest, figures, normal, words

LONG = (
    "A train leaves the old station at dawn and reaches the harbour after crossing two bridges, a tunnel and the wide "
    "valley where the mill stands. How many minutes does it take if it goes at 60 km/h and the line is 45 km long?"
)


def found(earlier: str, later: str, threshold: float = 0.8) -> bool:
    near = NearDuplicates(threshold)
    near.add("earlier", earlier)
    return near.find(later) == "earlier"


def similarity(one: str, other: str) -> float:
    """What `NearDuplicates` estimates, from the sets themselves."""
    of, to = words(one), words(other)
    if figures(of) != figures(to):
        return 0.0
    runs, others = (
        {tuple(w[i : i + n]) for i in range(len(w) - n + 1)} for w, n in ((of, length(of)), (to, length(to)))
    )
    return len(runs & others) / len(runs | others)


def length(of: list[str]) -> int:
    return RUN if len(of) >= SHORT else len(of)


@pytest.mark.parametrize(
    "other",
    [
        LONG.upper(),
        LONG.replace(", ", " "),
        LONG.replace(" ", "\n  "),
        "Please! " + LONG,
        LONG.replace("wide", "narrow"),
        LONG + " Thanks",
    ],
)
def test_a_long_text_is_found_again_after_small_changes(other: str):
    assert found(LONG, other)


@pytest.mark.parametrize("other", [LONG.replace("60", "70"), LONG.replace("45", "4.5"), LONG.replace("60", "-60")])
def test_another_figure_is_another_question(other: str):
    assert not found(LONG, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2+2?", "2+3?"),
        ("2+2?", "2-2?"),
        ("What is 5!", "What is 5"),
        ("x² = 4", "x³ = 4"),
        ("x = .5", "x = 5"),
        ("Is it 12:30?", "Is it 12.30?"),
        ("from 3 to 5", "from 5 to 3"),
        ("What is $5 in yen?", "What is €5 in yen?"),
        ("Capital of France?", "Capital of Spain?"),
        ("Is seven prime?", "Is seven not prime?"),
        ("日本の首都は?", "中国の首都は?"),
        ("三加三", "三加四"),
        ("🙂", "🙁"),
    ],
)
def test_short_texts_that_ask_other_things_are_apart(one: str, other: str):
    assert not found(one, other)
    assert found(one, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2+2?", "2 + 2"),
        ("What's the capital of France?", "what’s   the capital of FRANCE"),
        ("e\u0301te\u0301", "\u00e9t\u00e9!"),
        ("日本の首都は?", "日本の首都は。"),
    ],
)
def test_short_texts_may_differ_in_what_is_only_form(one: str, other: str):
    assert found(one, other)


def test_texts_told_apart_are_never_the_same():
    near = NearDuplicates()
    near.add("a", LONG, apart="45 minutes")
    assert near.find(LONG, apart="an hour") is None
    assert near.find(LONG) is None
    assert near.find(LONG, apart="45 minutes") == "a"


def test_the_most_similar_is_named():
    near = NearDuplicates(0.5)
    near.add("far", LONG.replace("wide", "narrow").replace("old", "new"))
    near.add("close", LONG.replace("wide", "narrow"))
    assert near.find(LONG) == "close"


def test_find_or_add_remembers_only_what_is_new():
    near = NearDuplicates()
    assert near.find_or_add("a", LONG) is None
    assert near.find_or_add("b", LONG + " Thanks") == "a"
    assert near.find_or_add("c", LONG, apart="c") is None
    assert len(near) == 2


def test_what_is_found_agrees_with_exact_similarity():
    rng = random.Random(0)
    texts = [one.text for one in BundledSource(per_category=60).instructions(seed=1) if len(words(one.text)) >= 20]
    outcomes = {(True, True): 0, (True, False): 0, (False, True): 0, (False, False): 0}
    for text in rng.choices(texts, k=1500):
        changed = text.split()
        for _ in range(rng.choice([0, 1, 1, 2, 2, 3, 5])):
            place = rng.randrange(len(changed))
            changed[place : place + rng.randrange(2)] = rng.choice([["kindly"], ["some", "other"]])
        other = " ".join(changed)
        outcomes[similarity(text, other) >= 0.8, found(text, other)] += 1
    assert outcomes[True, True] > 300
    assert outcomes[False, False] > 300
    assert outcomes[True, True] / (outcomes[True, True] + outcomes[True, False]) > 0.98
    assert outcomes[True, True] / (outcomes[True, True] + outcomes[False, True]) > 0.98


def test_documents_longer_than_the_sketch_are_estimated_within_a_tenth():
    rng = random.Random(0)
    for share in (0.005, 0.01, 0.1, 0.3):
        text = [f"word{rng.choice('abcdefghijk')}{rng.choice('lmnopqrst')}x{n % 7 * 'y'}z" for n in range(3000)]
        other = [f"{word}q" if rng.random() < share else word for word in text]
        exact = similarity(" ".join(text), " ".join(other))
        assert found(" ".join(text), " ".join(other)) == (exact >= 0.8)
        assert abs(exact - 0.8) > 0.1


def test_a_document_and_its_first_two_thirds_are_two_thirds_similar():
    text = ["".join(letters) for letters in product("abcdefghijklmno", repeat=3)][:3000]
    for threshold, expected in ((0.57, True), (0.77, False)):
        assert found(" ".join(text), " ".join(text[:2000]), threshold) == expected


def test_the_table_finds_everything_however_often_it_grew():
    rng = random.Random(0)
    added = [[rng.getrandbits(64) for _ in range(4)] for _ in range(3000)]
    table = _BandTable()
    for number, bands in enumerate(added):
        table.add(bands, number)
    for number, bands in enumerate(added):
        for band in bands:
            assert table.meets([band]) == [number]
    assert table.meets([rng.getrandbits(64) for _ in range(1000)]) == []


def test_many_texts_of_one_template_are_not_compared_with_each_other_and_copies_are_found_among_them():
    near = NearDuplicates()
    names = [f"{a}{b}{c}" for a, b, c in product("bcdfghjklmnp", "aeiou", "bcdfghjklmnp")]
    template = "Write one short and friendly sentence of welcome for our newest member of staff, whose first name is {}"
    for name in names:
        near.add(name, template.format(f"{name}, a colleague from {name}shire who likes {name}ball and {name}ing"))
    met = near._table.meets(near._described(template.format("nobody"), "").bands)
    assert len(met) <= CROWD * 16
    again = [near.find(template.format(f"{n}, a colleague from {n}shire who likes {n}ball and {n}ing!")) for n in names]
    assert sum(one == name for one, name in zip(again, names, strict=True)) > 0.95 * len(names)


@settings(max_examples=150, deadline=None)
@given(text=st.text(max_size=200), other=st.text(max_size=200))
def test_any_text_is_found_again_and_a_stranger_is_not(text: str, other: str):
    assert found(text, text)
    assert found(text, other) == (similarity(text, other) >= 0.8)


@settings(max_examples=150, deadline=None)
@given(text=st.text(max_size=60))
def test_the_normal_form_of_a_normal_form_is_itself_and_has_the_same_digest(text: str):
    assert digest(normal(text)) == digest(text)
    assert digest(text) != digest(text, "")


@pytest.mark.parametrize("threshold", [0, -1, 1.01, float("nan")])
def test_a_threshold_out_of_range_is_refused(threshold: float):
    with pytest.raises(ConfigError, match="above 0 and at most 1"):
        NearDuplicates(threshold)
