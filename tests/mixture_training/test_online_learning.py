"""A router that learns while it is in use."""

import threading

import numpy as np
import pytest

from mixture_training.src.fitting import fit_router
from mixture_training.src.linear import LinearClassifier
from mixture_training.src.model_recommender import Recommender
from mixture_training.src.online_learning import OnlineLearner


@pytest.fixture
def router(small_data):
    return fit_router(small_data, LinearClassifier("tfidf"))


def judge(learner, table, rows, expert, score):
    column = table.experts.index(expert)
    for row in rows:
        learner.observe(table.vectors[row], expert, score, table.uncorrected[row, column], moment=1e6)


def test_judgements_change_what_is_expected_of_the_next_instruction(router, small_data):
    learner, recommender = OnlineLearner(router, every=10), Recommender(router)
    before = recommender.table(small_data.texts[:40])
    judge(learner, before, range(9), "poet", 0.0)
    assert np.array_equal(recommender.table(small_data.texts[:40]).scores, before.scores)
    judge(learner, before, range(9, 40), "poet", 0.0)
    learner.flush()
    after = recommender.table(small_data.texts[:40])
    assert after.scores[:, 1].mean() < before.scores[:, 1].mean() - 0.15
    assert np.array_equal(after.uncorrected, before.scores)


def test_what_cannot_be_learned_from_is_passed_over(router):
    learner = OnlineLearner(router, every=1)
    learner.observe(None, "poet", 0.0, 0.9)
    learner.observe(np.zeros(3), "nobody", 0.0, 0.9)
    assert router.correction.is_identity


def test_threads_lose_no_judgement(router, small_data):
    learner, table = OnlineLearner(router, every=7), Recommender(router).table(small_data.texts[:10])
    threads = [threading.Thread(target=judge, args=(learner, table, range(10), "adder", 0.5)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    learner.flush()
    assert router.correction.observations[0] == pytest.approx(40.0)
