"""Groups of instructions: their means by hand, and how many are found."""

import numpy as np

from mixture_training.src.clusters import count_distinct, group_means
from tests.mixture_training.test_vector_classifiers import TRAIN, fit


def test_a_mean_counts_only_known_scores_and_starts_from_the_expert():
    belongs = np.array([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]])
    scores = np.array([[1.0, 0.0], [np.nan, 1.0], [0.0, np.nan]])
    overall = np.array([0.5, 0.5])  # (1 + 0 + ½) ÷ 3 for each
    expected = [[1.0 + 2 * 0.5, 0.0 + 0.5 + 2 * 0.5], [0.0 + 2 * 0.5, 0.5 + 2 * 0.5]]
    known = [[1.0, 1.5], [1.0, 0.5]]
    np.testing.assert_allclose(group_means(belongs, scores, 2.0), np.array(expected) / (np.array(known) + 2.0))
    np.testing.assert_allclose(group_means(belongs, scores, 1e9), [overall, overall], atol=1e-8)


def test_about_as_many_groups_are_found_as_there_are():
    assert 4 <= fit("cluster", TRAIN).diagnostics()["clusters"] <= 16


def test_equal_vectors_are_counted_once():
    assert count_distinct(np.array([[1, 2], [1, 2], [2, 1]], dtype=np.float32)) == 2
