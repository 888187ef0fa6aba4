import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dataset_build import Price
from mixture_training.src.classifier import Prediction
from mixture_training.src.costs import PRIOR_CALLS, CostModel
from mixture_training.src.training_data import TrainingData


def data(costs, categories, texts=None, **tokens):
    costs = np.asarray(costs, dtype=float)
    n, width = costs.shape
    return TrainingData(
        ids=tuple(map(str, range(n))),
        texts=("x",) * n if texts is None else tuple(texts),
        categories=tuple(categories),
        splits=("train",) * n,
        experts=tuple(f"e{j}" for j in range(width)),
        scores=np.ones((n, width)),
        costs=costs,
        latencies=np.full((n, width), np.nan),
        **tokens,
    )


def lengths(n=200, seed=0):
    """Return texts of 10 to 1,000 letters and their lengths."""
    size = np.random.default_rng(seed).integers(10, 1000, n)
    return ["x" * int(count) for count in size], size.astype(float)


def nothing_expected(n, width=1):
    return Prediction(np.full((n, width), 0.5), np.zeros((n, 0)))


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


def test_where_length_tells_the_cost_it_is_learned():
    texts, size = lengths()
    model = CostModel.fit(data(np.column_stack([0.001 * size, np.ones(200)]), [None] * 200, texts))
    assert model.recorded.reads == "lengths"
    fresh, other = lengths(seed=1)
    found = model.predict(fresh, nothing_expected(200, 2))
    assert np.abs(found[:, 0] - 0.001 * other).mean() < 0.1 * 0.001 * other.mean()
    assert found[:, 1] == pytest.approx(np.ones(200), abs=1e-6)


def test_where_length_tells_nothing_the_means_stay():
    texts, _ = lengths()
    model = CostModel.fit(data(np.random.default_rng(0).random((200, 1)), ["a", "b"] * 100, texts))
    assert model.recorded.reads == "categories"
    assert model.arrays() == {}


def test_vectors_are_used_where_they_tell_more():
    texts, _ = lengths(400)
    vectors = np.random.default_rng(1).normal(size=(400, 6))
    costs = np.exp(0.5 * vectors[:, :1]) * 0.01
    rows = data(costs, [None] * 400, texts)
    model = CostModel.fit(rows, vectors=vectors)
    assert model.recorded.reads == "vectors"
    expected = Prediction(np.zeros((400, 1)), np.zeros((400, 0)), vectors=vectors.astype(np.float32))
    plain = np.abs(costs - costs.mean()).mean()
    assert np.abs(model.predict(texts, expected) - costs).mean() < 0.4 * plain
    again = CostModel.from_state(json.loads(json.dumps(model.to_state())), model.arrays())
    assert np.array_equal(again.predict(texts, expected), model.predict(texts, expected))


def test_costs_are_positive_for_texts_of_any_length():
    texts, size = lengths()
    model = CostModel.fit(data((1e-6 * size**1.5)[:, None], [None] * 200, texts))
    found = model.predict(["", "x", "x" * 10**6], nothing_expected(3))
    assert (found > 0).all()
    assert found[2] <= 100 * (1e-6 * 1000**1.5)


def test_what_a_row_cost_has_no_say_in_what_is_expected_of_it_left_out():
    chance = np.random.default_rng(0)
    texts, _ = lengths(150)
    vectors = chance.normal(size=(150, 60))
    costs = 20.0 + 2.0 * vectors[:, :1] + chance.normal(size=(150, 1))
    model, left_out = CostModel.fit_left_out(data(costs, [None] * 150, texts), vectors=vectors)
    assert model.recorded.reads == "vectors"
    expected = Prediction(np.zeros((150, 1)), np.zeros((150, 0)), vectors=vectors.astype(np.float32))
    learned = np.mean((model.predict(texts, expected) - costs) ** 2)
    assert learned < 0.8  # the noise alone is 1: it was learned by heart
    assert np.mean((left_out - costs) ** 2) > 1.0


def test_more_rows_than_are_learned_from_are_expected_like_any_other(monkeypatch):
    monkeypatch.setattr("mixture_training.src.cost_regression.MOST_ROWS", 100)
    texts, size = lengths(300)
    model, left_out = CostModel.fit_left_out(data((0.001 * size)[:, None], ["a", None, "b"] * 100, texts))
    assert left_out.shape == (300, 1)
    assert np.abs(left_out[:, 0] - 0.001 * size).mean() < 0.2 * 0.001 * size.mean()


def priced(n=200):
    texts, size = lengths(n)
    written = np.column_stack([50 + 0.5 * size, np.full(n, 10.0)])
    read = np.column_stack([7 + size / 3, np.full(n, np.nan)])
    costs = np.column_stack([(2 * read[:, 0] + 6 * written[:, 0]) / 1e6, np.full(n, 0.5)])
    prices = [Price(prompt_per_million=2.0, completion_per_million=6.0), Price(per_call=0.5)]
    return data(costs, [None] * n, texts, prompt_tokens=read, completion_tokens=written), prices


def test_an_expert_that_charges_by_the_token_costs_its_price_for_the_tokens_expected():
    rows, prices = priced()
    model = CostModel.fit(rows, prices=prices)
    assert model.tokens.is_priced.tolist() == [True, False]
    text = "x" * 300
    found = model.predict([text], nothing_expected(1, 2))
    assert found[0] == pytest.approx([(2 * (7 + 100) + 6 * 200) / 1e6, 0.5], rel=0.05)
    counted = model.predict([text], nothing_expected(1, 2), prompt_tokens=np.array([[1000.0, np.nan]]))
    assert counted[0, 0] - found[0, 0] == pytest.approx(2 * (1000 - 107) / 1e6, rel=0.01)
    again = CostModel.from_state(json.loads(json.dumps(model.to_state())), model.arrays())
    assert np.array_equal(again.predict([text], nothing_expected(1, 2)), found)


def test_a_price_that_does_not_explain_what_was_paid_is_not_believed():
    rows, prices = priced()
    assert CostModel.fit(rows, prices=[Price(prompt_per_million=9.0), prices[1]]).tokens is None


def test_the_classifiers_own_costs_are_believed_where_they_are_nearer():
    rows = data(np.arange(40.0)[:, None], [None] * 40)
    model = CostModel.fit(rows)
    right = Prediction(np.zeros((40, 1)), np.zeros((40, 0)), costs=rows.costs + 0.5)
    wrong = Prediction(np.zeros((40, 1)), np.zeros((40, 0)), costs=rows.costs + 500)
    chosen = model.choose_source(rows, right)
    assert chosen.believes_classifier
    assert np.array_equal(chosen.predict(rows.texts, right), right.costs)
    assert not model.choose_source(rows, wrong).believes_classifier
    partly = Prediction(right.scores, right.categories, costs=np.full((40, 1), np.nan))
    assert not np.isnan(chosen.predict(rows.texts, partly)).any()


def test_a_model_of_before_is_still_read():
    """As routers held it before lengths and vectors were looked at."""
    state = {
        "kind": "category_means",
        "experts": ["e0"],
        "category_names": ["a", "b"],
        "by_category": [[1.0], [3.0]],
        "overall": [2.0],
    }
    model = CostModel.from_state(state)
    assert model.predict(["x"], Prediction(np.zeros((1, 1)), np.array([[0.5, 0.5]]))).tolist() == [[2.0]]
    assert model.predict(["x"], nothing_expected(1)).tolist() == [[2.0]]


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s.update(overall=[None, 1.0]),
        lambda s: s.update(overall=[-1.0, 1.0]),
        lambda s: s.update(overall=[1.0]),
        lambda s: s.update(bias=[1.0]),
        lambda s: s.update(least=[-1.0, 0.0]),
        lambda s: s.update(lengths=[[1.0, 2.0]]),
        lambda s: s.update(lengths=[[1.0, 2.0], [0.0, 1.0]]),
        lambda s: s.update(longest=None),
        lambda s: s.update(believes_classifier="yes"),
        lambda s: s["tokens"].update(is_priced=[1, 0]),
        lambda s: s["tokens"].update(prices=[[1.0, 1.0]]),
        lambda s: s["tokens"]["prices"][0].__setitem__(0, -1.0),
        lambda s: s["tokens"].update(prompts=[[1.0, None], [1.0, 1.0]]),
        lambda s: s["tokens"]["completions"].update(overall=[1.0]),
    ],
)
def test_a_state_that_is_no_cost_model_is_refused(change):
    rows, prices = priced()
    model = CostModel.fit(rows, prices=prices)
    state = json.loads(json.dumps(model.to_state()))
    CostModel.from_state(state, model.arrays())
    change(state)
    with pytest.raises((ValueError, TypeError)):
        CostModel.from_state(state, model.arrays())


def test_weights_that_do_not_fit_are_refused():
    rows, prices = priced()
    model = CostModel.fit(rows, prices=prices)
    for wrong in (
        {},
        {"recorded": np.ones((1, 2))},
        {"recorded": np.ones((2, 5))},
        {"recorded": np.full((2, 2), np.nan)},
    ):
        with pytest.raises(ValueError, match="cost"):
            CostModel.from_state(model.to_state(), {**model.arrays(), "recorded": np.empty((0, 2)), **wrong})
