import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mixture_training.src.classifier import Prediction
from mixture_training.src.costs import PRIOR_CALLS, CostModel
from mixture_training.src.training_data import TrainingData


def data(costs, categories):
    costs = np.asarray(costs, dtype=float)
    n, width = costs.shape
    return TrainingData(
        ids=tuple(map(str, range(n))),
        texts=("x",) * n,
        categories=tuple(categories),
        splits=("train",) * n,
        experts=tuple(f"e{j}" for j in range(width)),
        scores=np.ones((n, width)),
        costs=costs,
        latencies=np.full((n, width), np.nan),
    )


def test_a_category_is_shrunk_towards_the_experts_mean():
    model = CostModel.fit(data([[1.0], [3.0], [8.0]], ["a", "a", "b"]))
    overall = 4.0
    assert model.overall == pytest.approx([overall])
    assert model.by_category[:, 0] == pytest.approx(
        [(4 + PRIOR_CALLS * overall) / (2 + PRIOR_CALLS), (8 + PRIOR_CALLS * overall) / (1 + PRIOR_CALLS)]
    )


def test_costs_are_mixed_by_category_probability():
    model = CostModel.fit(data([[1.0], [9.0]], ["a", "b"]))
    certain = model.predict(["x", "y"], Prediction(np.full((2, 1), 0.5), np.array([[1.0, 0.0], [0.5, 0.5]])))
    assert certain[0, 0] == model.by_category[0, 0]
    assert certain[1, 0] == pytest.approx(5.0)


def test_an_expert_without_known_costs_costs_what_the_others_do():
    model = CostModel.fit(data([[1.0, np.nan], [3.0, np.nan]], ["a", "a"]))
    assert model.overall == pytest.approx([2.0, 2.0])
    nothing = CostModel.fit(data([[np.nan, np.nan]], [None]))
    assert nothing.predict(["x"], Prediction(np.zeros((1, 2)), np.zeros((1, 0)))).tolist() == [[0.0, 0.0]]


def test_another_number_of_categories_is_an_error():
    model = CostModel.fit(data([[1.0]], ["a"]))
    with pytest.raises(ValueError, match="1 categories"):
        model.predict(["x"], Prediction(np.zeros((1, 1)), np.zeros((1, 3))))


def test_the_classifiers_order_of_categories_is_kept():
    model = CostModel.fit(data([[1.0], [9.0]], ["a", "b"]), category_names=("b", "a"))
    assert model.by_category[0, 0] > model.by_category[1, 0]


def test_state_survives_json():
    model = CostModel.fit(data([[1.0, 0.1], [3.0, np.nan]], ["a", None]))
    again = CostModel.from_state(json.loads(json.dumps(model.to_state())))
    assert again.experts == model.experts
    assert again.category_names == model.category_names
    assert np.array_equal(again.by_category, model.by_category)
    assert np.array_equal(again.overall, model.overall)


def test_state_without_categories_survives_too():
    model = CostModel.fit(data([[1.0, 0.1]], [None]))
    assert CostModel.from_state(json.loads(json.dumps(model.to_state()))).by_category.shape == (0, 2)


@given(
    arrays(np.float64, st.tuples(st.integers(1, 8), st.integers(1, 3)), elements=st.floats(0, 10) | st.just(np.nan)),
    st.data(),
)
def test_predicted_costs_are_never_nan_and_within_what_was_seen(costs, draw):
    categories = draw.draw(st.lists(st.sampled_from(["a", "b", None]), min_size=len(costs), max_size=len(costs)))
    model = CostModel.fit(data(costs, categories))
    width = len(model.category_names)
    probabilities = np.full((1, width), 1 / width) if width else np.zeros((1, 0))
    predicted = model.predict(["x"], Prediction(np.zeros((1, costs.shape[1])), probabilities))
    assert not np.isnan(predicted).any()
    known = costs[~np.isnan(costs)]
    highest = known.max() if len(known) else 0.0
    assert (predicted <= highest + 1e-9).all()
    assert (predicted >= 0).all()
