import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset_build.src.records import Instruction
from dataset_build.src.scorers import scorers
from dataset_build.src.scorers.words import longest_common_subsequence, spaced, words_of

WORDS = st.lists(st.sampled_from("abcde"), max_size=12)


def score(text, reference):
    return scorers["text_overlap"]().score(Instruction.create("?", reference=reference), text).value


def table_lcs(first, second):
    rows = [[0] * (len(second) + 1) for _ in range(len(first) + 1)]
    for i, one in enumerate(first):
        for j, other in enumerate(second):
            rows[i + 1][j + 1] = rows[i][j] + 1 if one == other else max(rows[i][j + 1], rows[i + 1][j])
    return rows[-1][-1]


@pytest.mark.parametrize(
    ("text", "reference", "expected"),
    [
        ("The cat sat.", "the CAT sat", 1.0),
        ("Sat the cat?", "The cat sat.", 5 / 6),
        ("A dog ran.", "The cat sat.", 0.0),
        ("the cat", "The cat sat.", 0.8),
        ("the the the", "the cat", 0.4),
        ("", "The cat sat.", 0.0),
        ("...", "The cat sat.", 0.0),
        ("猫坐下", "猫坐着", 2 / 3),
        ("ＡＢＣ", "abc", 1.0),
        ("Straße", "STRASSE", 1.0),
        ("!?", " !? ", 1.0),
        ("!", "?", 0.0),
    ],
)
def test_the_score_is_the_mean_of_both_f1(text, reference, expected):
    assert score(text, reference) == pytest.approx(expected)


def test_a_blank_reference_cannot_be_judged():
    assert score("anything", " \n") is None


@given(WORDS, WORDS)
def test_the_bit_parallel_length_is_that_of_the_table(first, second):
    assert longest_common_subsequence(first, second) == table_lcs(first, second)


@given(st.text(min_size=1).filter(str.strip))
def test_the_same_text_scores_one(text):
    assert score(text, text) == 1.0


@given(st.text(), st.text())
def test_the_score_is_in_range_and_symmetric(text, reference):
    value = score(text, reference)
    if not reference.strip():
        assert value is None
        return
    assert 0.0 <= value <= 1.0
    if text.strip() and words_of(text) and words_of(reference):
        assert score(reference, text) == pytest.approx(value)


@given(WORDS.filter(bool), st.randoms(use_true_random=False))
def test_a_shuffled_text_keeps_half_of_the_score_at_least(words, rng):
    shuffled = list(words)
    rng.shuffle(shuffled)
    assert 0.5 < score(" ".join(shuffled), " ".join(words)) <= 1.0


def test_the_end_of_a_long_answer_counts_and_one_too_long_has_no_score():
    text = " ".join(random.Random(0).choices("abcdefgh", k=40_000))
    assert score(text, text) == 1.0
    assert score(text, text[: len(text) // 2]) == pytest.approx(2 / 3, abs=1e-4)
    assert (
        "reads at most" in scorers["text_overlap"]().score(Instruction.create("?", reference="a"), "a" * 10**6).reason
    )


@given(st.text())
def test_spacing_out_changes_no_word(text):
    assert words_of(spaced(text)) == words_of(text)
