import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mixture_training.src.metrics.references import (
    best_column,
    best_per_category,
    hull,
    known_means,
    oracle,
    pick,
    random_values,
)

NAN = np.nan
SCORES = np.array([[1.0, 1.0, 0.0], [0.0, NAN, 1.0], [NAN, NAN, NAN], [0.0, 1.0, 0.0]])
COSTS = np.array([[3.0, 2.0, 1.0]] * 4)


def test_best_column_by_hand():
    assert known_means(SCORES).tolist() == pytest.approx([1 / 3, 1.0, 1 / 3])
    assert best_column(SCORES, COSTS) == 1


def test_the_cheaper_of_equal_experts_is_the_best_single():
    assert best_column(np.ones((2, 3)), COSTS[:2]) == 2


def test_an_unknown_cost_loses_a_tie():
    assert best_column(np.ones((1, 2)), np.array([[NAN, 5.0]])) == 1


def test_no_score_at_all_is_an_error():
    with pytest.raises(ValueError, match="No expert has a score"):
        best_column(np.full((2, 2), NAN), np.ones((2, 2)))


def test_best_per_category_is_learned_from_train_only():
    train = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 0.9]])
    chosen = best_per_category(train, np.ones((4, 2)), ["a", "a", "b", None], ["b", "a", "new", None])
    assert chosen.tolist() == [1, 0, 0, 0]


def test_a_category_without_scores_gets_the_best_single():
    train = np.array([[NAN, NAN], [0.0, 1.0]])
    assert best_per_category(train, np.ones((2, 2)), ["a", "b"], ["a"]).tolist() == [1]


def test_oracle_takes_the_cheapest_of_the_best_and_nothing_where_nothing_is_known():
    assert oracle(SCORES, COSTS).tolist() == [1, 2, -1, 1]
    assert oracle(np.empty((0, 2)), np.empty((0, 2))).tolist() == []


def test_pick_leaves_missing_cells_missing():
    assert pick(SCORES, np.array([1, 1, 0, -1])).tolist() == pytest.approx([1.0, NAN, NAN, NAN], nan_ok=True)


def test_random_is_the_mean_over_known_experts():
    assert random_values(SCORES).tolist() == pytest.approx([2 / 3, 0.5, NAN, 1 / 3], nan_ok=True)


def test_hull_by_hand():
    costs = np.array([1.0, 2.0, 3.0, 4.0, 5.0, NAN])
    qualities = np.array([0.1, 0.6, 0.65, 0.9, 0.8, 1.0])
    # (3, .65) is under the line from (2, .6) to (4, .9); (5, .8) is dominated; the last has no known cost.
    assert hull(costs, qualities).tolist() == [[1.0, 0.1], [2.0, 0.6], [4.0, 0.9]]


def test_hull_of_nothing_is_empty():
    assert hull(np.array([NAN]), np.array([1.0])).shape == (0, 2)


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=1, max_size=12))
def test_hull_is_above_every_point_rising_and_concave(points):
    costs, qualities = (np.array(column, dtype=float) for column in zip(*points, strict=True))
    vertices = hull(costs, qualities)
    assert (np.interp(costs, vertices[:, 0], vertices[:, 1]) >= qualities - 1e-9).all()
    assert {tuple(vertex) for vertex in vertices} <= {tuple(map(float, point)) for point in points}
    steps = np.diff(vertices, axis=0)
    assert (steps > 0).all()
    slopes = steps[:, 1] / steps[:, 0]
    assert (np.diff(slopes) < 1e-9).all()


@given(arrays(np.float64, (5, 3), elements=st.floats(0, 1) | st.just(NAN)))
def test_oracle_is_at_least_as_good_as_anybody(scores):
    best = pick(scores, oracle(scores, np.ones((5, 3))))
    for column in scores.T:
        known = ~np.isnan(column)
        assert (best[known] >= column[known]).all()
    assert np.array_equal(np.isnan(best), np.isnan(random_values(scores)))
