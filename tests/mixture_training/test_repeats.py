from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixture_training.src.evaluation import evaluate
from mixture_training.src.linear import LinearClassifier
from mixture_training.src.methods import fit_method
from mixture_training.src.repeats import MEASURES, resplit, with_repeats
from mixture_training.src.training_data import TrainingData


def tfidf():
    return LinearClassifier(encoder="tfidf")


@pytest.fixture(scope="module")
def repeated(small_data):
    result = evaluate(small_data, [fit_method("linear", tfidf(), small_data)], samples=50)
    steps = []
    return with_repeats(result, small_data, {"linear": tfidf}, repeats=3, on_step=steps.append), steps


def test_every_figure_is_averaged_over_the_splits(repeated):
    result, steps = repeated
    assert result.repeats == 3
    linear = result.methods["linear"].repeated
    assert {"quality", "vs_best_single", "gap_closed", "aiq", "entropy"} <= set(linear) <= set(MEASURES)
    assert linear["quality"].splits == 3
    assert linear["quality"].low <= linear["quality"].mean <= linear["quality"].high
    assert linear["vs_best_single"].mean > 0.2
    assert result.references["best_single"].repeated["vs_best_single"].mean == 0.0
    assert "split 3 of 3: fitting linear" in steps


def test_a_method_that_cannot_be_made_again_is_not_repeated(small_data):
    result = evaluate(small_data, [fit_method("saved", tfidf(), small_data)], samples=10)
    assert with_repeats(result, small_data, {}, repeats=2).methods["saved"].repeated == {}


def test_the_splits_differ_and_the_seed_fixes_them(small_data):
    one, again, other = (resplit(small_data, seed=seed).splits for seed in (1, 1, 2))
    assert one == again != other
    assert Counter(one) == Counter(small_data.splits)


@given(st.lists(st.sampled_from("abcdefg"), min_size=8, max_size=40), st.integers(0, 100))
def test_equal_texts_never_straddle(texts, seed):
    rows = len(texts)
    empty = np.full((rows, 1), np.nan)
    splits = tuple(("train", "test", "train", "validation")[row % 4] for row in range(rows))
    data = TrainingData(tuple(map(str, range(rows))), tuple(texts), (None,) * rows, splits, ("e",), empty, empty, empty)
    again = resplit(data, seed=seed)
    for text in set(texts):
        assert len({split for split, own in zip(again.splits, texts, strict=True) if own == text}) == 1
