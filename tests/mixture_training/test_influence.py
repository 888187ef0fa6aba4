import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mixture_training.src.influence import BURST, FLOOR, OPERATOR, SHARE, weigh

DAY = 86_400.0


def weighed(users, scores=None, columns=None, instructions=None, moments=None, vectors=None, names=()):
    n = len(users)
    return weigh(
        np.full(n, 1.0) if scores is None else np.asarray(scores, dtype=float),
        np.zeros(n, dtype=int) if columns is None else np.asarray(columns),
        np.asarray(users),
        np.arange(n) if instructions is None else np.asarray(instructions),
        np.arange(n) * DAY if moments is None else np.asarray(moments, dtype=float),
        vectors=vectors,
        names=names,
    )


def test_one_user_among_many_counts_for_at_most_a_share():
    users = np.concatenate([np.zeros(500, dtype=int), 1 + np.arange(1500) % 100])
    found = weighed(users, columns=np.arange(2000) % 4, names=[f"{user:08x}ffff" for user in range(101)])
    assert found.weights[users == 0].sum() <= SHARE * 2000 + 1e-9
    assert np.allclose(found.weights[users == 1], 1.0)
    assert any("user 00000000 gave" in finding and "counts as 40" in finding for finding in found.findings)


def test_few_judgements_of_a_user_are_never_capped():
    found = weighed(np.arange(10) % 2, scores=np.arange(10) % 3 / 2)
    assert (found.weights == 1.0).all()
    assert found.findings == ()


def test_the_operator_is_not_capped():
    assert (weighed(np.full(3000, OPERATOR), instructions=np.arange(3000)).weights == 1.0).all()


def test_saying_the_same_again_counts_once():
    found = weighed([5] * 30 + [6] * 5, instructions=[0] * 30 + [1, 2, 3, 4, 5])
    assert found.weights[:30].sum() <= 1.0 + 1e-9
    assert "judged one answer to one instruction 30 times; it counts once" in found.findings[0]


def test_one_instruction_has_a_ceiling_whoever_speaks():
    users = np.arange(400)
    found = weighed(users, instructions=np.concatenate([np.zeros(200, dtype=int), np.arange(1, 201)]))
    assert found.weights[:200].sum() <= max(FLOOR, SHARE * 400) + 1e-9
    assert (found.weights[200:] == 1.0).all()


def test_one_user_has_a_ceiling_for_each_expert():
    users = np.concatenate([np.zeros(60, dtype=int), np.arange(1, 101), 101 + np.arange(4000) % 200])
    columns = np.concatenate([np.full(160, 3), np.zeros(4000, dtype=int)])
    found = weighed(users, columns=columns)
    assert found.weights[:60].sum() <= FLOOR + 1e-9


def test_a_burst_of_equal_scores_counts_as_what_is_usual_and_is_told():
    usual = np.arange(300) % 60
    moments = np.concatenate([np.arange(300) * 3600.0, 1e6 + np.arange(200) * 2.0])
    users = np.concatenate([usual, np.full(200, 60)])
    scores = np.concatenate([np.arange(300) % 2, np.zeros(200)])
    names = [f"{user:08x}" for user in range(61)]
    found = weighed(users, scores=scores, moments=moments, names=names)
    assert found.weights[300:].sum() <= 2.0
    assert found.weights[:300].sum() > 250
    told = " ".join(found.findings)
    assert "user 0000003c gave the score 0 to 200 answers within 7 minutes" in told


def test_a_slow_user_with_one_opinion_is_no_burst():
    users = np.concatenate([np.full(40, 60), np.arange(600) % 60])
    found = weighed(users, moments=np.concatenate([np.arange(40) * DAY, np.arange(600) * 3600.0]), scores=np.ones(640))
    assert not any("within" in finding for finding in found.findings)


def test_the_same_instruction_reworded_counts_as_few():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(200, 32)).astype(np.float32)
    vectors[:60] = vectors[0] + 0.01 * rng.normal(size=(60, 32))
    users = np.concatenate([np.zeros(100, dtype=int), 1 + np.arange(100)])
    scores = np.arange(200) % 2
    found = weighed(users, scores=scores, vectors=vectors, moments=np.arange(200) * DAY)
    assert found.weights[:60].sum() <= FLOOR + 1e-6
    assert any("60 nearly identical instructions" in finding for finding in found.findings)


@given(st.integers(0, 5_000), st.integers(0, 300))
def test_weights_lie_between_nothing_and_one_and_nobody_has_more_than_a_share(seed, n):
    rng = np.random.default_rng(seed)
    users = rng.integers(-1, 4, n)
    found = weighed(
        users,
        scores=rng.integers(0, 2, n),
        columns=rng.integers(0, 3, n),
        instructions=rng.integers(0, 40, n),
        moments=rng.random(n) * 10_000,
    )
    assert ((found.weights >= 0.0) & (found.weights <= 1.0 + 1e-9)).all()
    for user in range(4):
        assert found.weights[users == user].sum() <= max(FLOOR, SHARE * n) + 1e-6


def test_a_burst_is_at_least_so_many():
    found = weighed([1] * (BURST - 1), moments=np.arange(BURST - 1), scores=np.zeros(BURST - 1))
    assert not any("within" in finding for finding in found.findings)
