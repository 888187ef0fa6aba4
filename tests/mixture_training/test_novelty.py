import numpy as np
import pytest

from mixture_training.src.novelty import LEAST, Novelty, fit_novelty


def cloud(n, centre=0.0, seed=0, width=40):
    """Return vectors around one place, most of whose spread is in five directions."""
    chance = np.random.default_rng(seed)
    spread = np.where(np.arange(width) < 5, 1.0, 0.05)
    vectors = chance.normal(0, 1, (n, width)) * spread
    vectors[:, -1] += centre
    return vectors.astype(np.float32)


def test_one_in_a_hundred_instructions_like_training_is_novel_and_strange_ones_all_are():
    found = fit_novelty(cloud(800), cloud(400, seed=1))
    assert 0.0 <= (found.measure.distances(cloud(2000, seed=2)) > 1).mean() < 0.03
    assert (found.measure.distances(cloud(200, centre=4.0, seed=3)) > 1).all()


def test_without_held_out_rows_parts_of_train_say_what_is_usual():
    found = fit_novelty(cloud(800), cloud(0))
    assert (found.measure.distances(cloud(2000, seed=2)) > 1).mean() < 0.03
    assert (found.train > 1).mean() <= 0.011


def test_it_is_the_nearest_of_the_training_vectors_that_counts():
    train = np.concatenate([cloud(300), cloud(300, centre=8.0, seed=1)])
    measure = fit_novelty(train, cloud(0)).measure
    between = cloud(50, centre=4.0, seed=2)
    assert measure.distances(between).min() > measure.distances(cloud(50, centre=8.0, seed=3)).mean()


def test_one_and_many_are_equally_far():
    measure = fit_novelty(cloud(300), cloud(100, seed=1)).measure
    rows = cloud(9, centre=1.0, seed=2)
    assert np.allclose(measure.distances(rows), [measure.distances(row[None])[0] for row in rows], atol=1e-5)
    assert measure.distances(rows[:0]).shape == (0,)


def test_too_few_rows_say_nothing_and_equal_rows_make_all_else_novel():
    assert fit_novelty(cloud(LEAST - 1), cloud(10)) is None
    same = np.ones((200, 4), dtype=np.float32)
    measure = fit_novelty(same, same[:60]).measure
    assert measure.distances(same[:3]).tolist() == [0, 0, 0]
    assert measure.distances(same[:1] + 1)[0] > 1


def test_a_text_of_which_nothing_is_known_is_novel_unless_training_had_such():
    train = cloud(300)
    train /= np.linalg.norm(train, axis=1, keepdims=True)
    silence = np.zeros((1, 40), np.float32)
    assert fit_novelty(train, cloud(0)).measure.distances(silence)[0] > 1
    assert fit_novelty(np.concatenate([train, silence]), cloud(0)).measure.distances(silence)[0] < 1


def test_it_survives_as_arrays():
    measure = fit_novelty(cloud(300), cloud(100, seed=1)).measure
    rows = cloud(9, seed=2)
    assert np.array_equal(Novelty.from_arrays(measure.arrays()).distances(rows), measure.distances(rows))


@pytest.mark.parametrize(
    "change",
    [
        {"unit": np.array([0.0])},
        {"unit": np.array([np.nan])},
        {"knows_silence": np.array([2])},
        {"unit": np.array([1.0, 2.0])},
        {"centre": np.zeros(3, np.float32)},
        {"references": np.zeros((0, 32), np.float32)},
        {"references": np.zeros((5, 2), np.float32)},
        {"directions": np.full((40, 32), np.inf, np.float32)},
    ],
)
def test_arrays_that_do_not_fit_are_refused(change):
    arrays = fit_novelty(cloud(300), cloud(100, seed=1)).measure.arrays()
    with pytest.raises(ValueError, match="novelty"):
        Novelty.from_arrays({**arrays, **change})


def test_the_same_seed_gives_the_same_measure():
    one, other = (fit_novelty(cloud(1500), cloud(100, seed=1), seed=4).measure for _ in range(2))
    assert all(np.array_equal(one.arrays()[name], other.arrays()[name]) for name in one.arrays())
