"""RouterDC's loss: by hand, derivatives by difference, and what it learns."""

import numpy as np
import pytest

from mixture_training.src.contrastive import Comparisons, Space, _drawn, best_and_worst, contrast, dual_loss


def masks(*rows):
    return np.array(rows, dtype=bool)


def test_the_loss_by_hand():
    likeness = np.log([[2.0, 3.0, 5.0, 7.0]])
    value, _ = contrast(likeness, masks([1, 1, 0, 0]), masks([0, 0, 1, 0]))
    assert value == pytest.approx(-np.log(2 / 7) - np.log(3 / 8))
    value, gradient = contrast(likeness, masks([1, 1, 0, 0]), masks([0, 0, 0, 0]))
    assert value == 0.0
    assert not gradient.any()


@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_the_derivatives_are_those_of_the_loss(temperature):
    chance = np.random.default_rng(0)
    vectors, projection, embeddings = (chance.standard_normal(shape) for shape in ((6, 5), (5, 4), (3, 4)))
    scores = chance.random((6, 3))
    scores[1, 2] = np.nan
    friends, strangers = _drawn(np.array([0, 0, 1, 1, 1, 2]), chance)
    comparisons = Comparisons(*best_and_worst(scores), friends, strangers)

    def loss():
        return dual_loss(Space(projection, embeddings), vectors, comparisons, temperature)

    value, *derivatives = loss()
    assert value > 0.0
    for array, derivative in zip((projection, embeddings), derivatives, strict=True):
        assert np.abs(derivative).max() > 1e-3
        for cell in np.ndindex(array.shape):
            kept = array[cell]
            array[cell] = kept + 1e-6
            above = loss()[0]
            array[cell] = kept - 1e-6
            below = loss()[0]
            array[cell] = kept
            assert derivative[cell] == pytest.approx((above - below) / 2e-6, rel=1e-4, abs=1e-6)


def test_the_best_are_near_and_the_worst_far():
    nan = np.nan
    near, far = best_and_worst(
        np.array(
            [
                [1.0, 0.8, 0.7, 0.6, 0.2, 0.1, 0.0],  # three of each
                [1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0],  # equal ones are treated alike
                [0.3, 0.2, nan, nan, nan, nan, nan],  # the best is near however bad, the other far
                [0.0, 0.0, 0.0, nan, nan, nan, nan],  # nobody to go to
                [0.9, 0.8, 0.7, 0.6, 0.6, 0.6, 0.6],  # nobody under ½ to leave
            ]
        )
    )
    np.testing.assert_array_equal(
        near, masks([1, 1, 1, 0, 0, 0, 0], [1, 1, 1, 1, 0, 0, 0], [1, 0, 0, 0, 0, 0, 0], [0] * 7, [1, 1, 1, 0, 0, 0, 0])
    )
    np.testing.assert_array_equal(
        far, masks([0, 0, 0, 0, 1, 1, 1], [0, 0, 0, 0, 1, 1, 1], [0, 1, 0, 0, 0, 0, 0], [0] * 7, [0] * 7)
    )


def test_a_friend_is_of_the_same_group_and_strangers_are_not():
    groups = np.array([0, 0, 0, 1, 1, 2, 2, 2, 3])
    friends, strangers = _drawn(groups, np.random.default_rng(0))
    same = groups[:, None] == groups
    assert friends.sum(axis=1).tolist() == [1] * 8 + [0]
    assert not friends.diagonal().any()
    assert (friends <= same).all()
    assert strangers.sum(axis=1).tolist() == [3] * 9
    assert not (strangers & same).any()
