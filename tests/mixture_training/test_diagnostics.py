"""Each diagnostic finds what it is for, and nothing where there is nothing."""

from dataclasses import replace

import numpy as np
import pytest

from mixture_training.src.classifier import Classifier, Prediction
from mixture_training.src.diagnostics import Subject, category_predictions, diagnose, duplicates
from mixture_training.src.linear import LinearClassifier
from mixture_training.src.methods import fit_method
from mixture_training.src.training_data import TrainingData


class Copier(Classifier):
    """Knows the judged rows by heart: what a leak looks like. Expects what the text says: one digit per expert."""

    kind = "copier"

    def fit(self, train, validation):
        self.experts_, self.category_names_ = train.experts, ()
        return self

    def predict(self, texts):
        told = [[float(digit) for digit in text.split()[-1]] for text in texts]
        return Prediction(np.array(told).reshape(len(texts), len(self.experts_)), np.zeros((len(texts), 0)))

    def save(self, folder):
        return {}

    @classmethod
    def load(cls, folder, state):
        return cls()


def telling_data(rows=200):
    """The scores stand in the text."""
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 2, (rows, 2)).astype(float)
    return TrainingData(
        ids=tuple(f"i{row}" for row in range(rows)),
        texts=tuple(f"row {row} {int(a)}{int(b)}" for row, (a, b) in enumerate(scores)),
        categories=(None,) * rows,
        splits=("train",) * (rows // 2) + ("test",) * (rows - rows // 2),
        experts=("one", "two"),
        scores=scores,
        costs=np.full((rows, 2), np.nan),
        latencies=np.full((rows, 2), np.nan),
    )


def subject_of(data, make, name="it"):
    return Subject(name, make, fit_method(name, make(), data))


def tfidf():
    return LinearClassifier(encoder="tfidf")


@pytest.fixture(scope="module")
def found(small_data):
    return diagnose(small_data, subject_of(small_data, tfidf), leave_category_out=True, samples=200)


def test_shuffled_scores_teach_nothing(found):
    assert found.shuffled.vs_best_single.low <= 0
    assert not found.leaks


def test_a_leak_is_seen_by_the_shuffled_control():
    data = telling_data()
    assert diagnose(data, subject_of(data, Copier), samples=200).leaks


def test_the_category_explains_all_where_experts_are_good_at_one(found):
    """One expert can do sums, the other poems, so nothing is left for the instruction itself to tell."""
    assert found.category_only.gap_closed.value > 0.9
    assert found.category_share == pytest.approx(1.0, abs=0.1)


def test_the_learning_curve_rises_through_all_parts(found):
    assert [point.share for point in found.learning_curve] == [0.25, 0.5, 1.0]  # a tenth is too little to learn from
    assert [point.instructions for point in found.learning_curve] == [15, 30, 60]
    assert found.learning_curve[-1].vs_best_single.value > 0.2
    assert found.learning_curve[0].quality.value <= found.learning_curve[-1].quality.value + 0.05


def test_a_category_that_was_never_seen_is_judged_without_it(found):
    """Who learned from poems alone sends sums to the poet; the best single expert of poems is the poet too."""
    sums = found.left_out["sums"]
    assert sums.seen.value > 0.9
    assert sums.quality.value < 0.2
    assert sums.best_single.value < 0.2
    assert sums.instructions == sum(category == "sums" for category in ("sums", "sums", "poems", "poems", "poems") * 6)


def test_only_what_was_asked_for_is_done(small_data):
    found = diagnose(small_data, subject_of(small_data, tfidf), everything=False, leave_category_out=True, samples=50)
    assert found.duplicates is None
    assert found.learning_curve == ()
    assert set(found.left_out) == {"sums", "poems"}


def test_without_a_method_the_dataset_is_looked_at(small_data):
    found = diagnose(small_data, None, samples=50)
    assert found.method is None
    assert found.duplicates.judged == 30
    assert found.category_only.gap_closed.value > 0.9
    assert found.shuffled is None


def with_texts(data, texts):
    return replace(data, texts=tuple(texts))


def test_duplicates_are_found_exact_and_near():
    data = telling_data(rows=8)
    train, judged = data.take(np.arange(4)), data.take(np.arange(4, 8))
    words = "tell me in a few words how the tide in the bay follows the moon and the sun over a month of days"
    train = with_texts(train, ["What is 2+2?", words, "A third text", "And a fourth"])
    judged = with_texts(judged, ["what  is 2+2?", words + " please", "What is 2+3?", "Nothing of the kind"])
    found = duplicates(judged, train)
    assert (found.exact, found.near, found.judged) == (1, 2, 4)
    assert found.examples == (("what  is 2+2?", "What is 2+2?"), (words + " please", words))


def test_category_predictions_by_hand():
    """Two train rows in x with scores 1, 0 and mean ½ overall: (1 + 0 + 5 · ½) ÷ 7; a new category gets the mean."""
    data = replace(
        telling_data(rows=8),
        categories=("x", "x", "y", "y", "x", "new", None, "y"),
        scores=np.array([[1, 0], [0, 0], [1, 1], [0, 1], [0, 0], [0, 0], [0, 0], [0, 0]], dtype=float),
    )
    given = category_predictions(data.take(np.arange(4)), data.take(np.arange(4, 8)))
    assert given.scores[0].tolist() == pytest.approx([(1 + 2.5) / 7, 2.5 / 7])
    assert given.scores[1].tolist() == given.scores[2].tolist() == [0.5, 0.5]
    assert given.scores[3].tolist() == pytest.approx([3.5 / 7, (2 + 2.5) / 7])
