import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dataset_build import ConfigError, DataError
from mixture_training.src.assurance import Assurance
from mixture_training.src.calibration import Calibration
from mixture_training.src.classifier import Prediction
from mixture_training.src.costs import CostModel
from mixture_training.src.evaluation import Given, Method, evaluate, fit_method, method_of_router
from mixture_training.src.guard import Guard, Verdict
from mixture_training.src.linear import LinearClassifier
from mixture_training.src.policy import parse_policy
from mixture_training.src.report import print_report, to_dict, to_html, to_json, to_markdown, write_report
from mixture_training.src.training_data import TrainingData, load_training_data

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"
FIELDS = {
    "quality", "quality_ci95", "cost", "gap_closed", "vs_best_single", "vs_best_single_ci95",
    "aiq", "apgr", "cpt50", "cpt80", "train_s", "route_us", "by_category",
}  # fmt: skip


class Fixed:
    """Predicts what it was told; texts are row numbers."""

    category_names_ = ()

    def __init__(self, experts, scores):
        self.experts_ = tuple(experts)
        self.scores = np.asarray(scores, dtype=float)

    def predict(self, texts):
        rows = [int(text) for text in texts]
        return Prediction(self.scores[rows], np.zeros((len(rows), 0)))


def hand_data():
    """Four train and four test rows of two experts, one score missing in test."""
    return TrainingData(
        ids=tuple("abcdefgh"),
        texts=tuple("01234567"),
        categories=("x", "x", "y", "y") * 2,
        splits=("train",) * 4 + ("test",) * 4,
        experts=("cheap", "strong"),
        scores=np.array([[1, 1], [0, 1], [0, 1], [0, 1], [1, 1], [0, 1], [1, 0], [np.nan, 1]], dtype=float),
        costs=np.tile([1.0, 3.0], (8, 1)),
        latencies=np.full((8, 2), np.nan),
    )


@pytest.fixture(scope="module")
def by_hand():
    data = hand_data()
    costs = CostModel.fit(data.split("train"), category_names=())
    guess = np.array([[0.9, 0.8]] * 4 + [[0.9, 0.8], [0.1, 0.8], [0.9, 0.8], [0.9, 0.1]])
    return evaluate(data, [Method("guess", Fixed(data.experts, guess), costs, train_s=1.5)], dataset="by hand")


def test_reference_points_by_hand(by_hand):
    references = by_hand.references
    assert list(references) == [
        "random", "expert:cheap", "expert:strong", "best_single", "best_per_category", "zero_router", "oracle",
    ]  # fmt: skip
    assert by_hand.best_single == "strong"
    assert by_hand.weak == "cheap"
    assert references["best_single"].quality.value == 0.75
    assert references["expert:cheap"].quality.value == pytest.approx(2 / 3)
    assert references["expert:cheap"].unscored == 1
    assert references["random"].quality.value == pytest.approx((1 + 0.5 + 0.5 + 1) / 4)
    assert references["oracle"].quality.value == 1.0
    assert references["oracle"].cost == pytest.approx((1 + 3 + 1 + 3) / 4)
    assert references["oracle"].gap_closed.value == 1.0
    assert references["best_single"].gap_closed.value == 0.0
    assert references["best_per_category"].share == {"strong": 1.0}
    assert by_hand.hull.tolist() == [[1.0, pytest.approx(2 / 3)], [3.0, 0.75]]
    assert references["zero_router"].aiq == pytest.approx((2 / 3 + 0.75) / 2)
    assert references["best_single"].by_category["y"].quality.value == 0.5


def test_a_method_by_hand(by_hand):
    """It takes cheap, strong, cheap, and cheap where cheap has no score: right in all three that count."""
    guess = by_hand.methods["guess"]
    assert guess.quality.value == 1.0
    assert guess.unscored == 1
    assert guess.cost == pytest.approx(1.5)
    assert guess.gap_closed.value == 1.0
    assert guess.vs_best_single.value == pytest.approx(1 / 3)
    assert (guess.wins.wins, guess.wins.losses) == pytest.approx((1 / 3, 0.0))
    assert guess.share == {"cheap": 0.75, "strong": 0.25}
    assert guess.train_s == 1.5
    assert guess.route_us > 0
    assert guess.curve.costs[0] == pytest.approx(1.5)
    # Rows with both scores: gains 0, 1, −1 in the predicted order strong first, then the two equals.
    assert math.isnan(guess.apgr)


def test_the_cost_range_reaches_to_an_oracle_that_costs_more_than_any_expert():
    data = hand_data()
    right = np.array([[1, 0], [0, 1]] * 4, dtype=float)
    data = replace(data, scores=right, costs=np.where(right == 1, 1.0, 0.1))
    oracle = evaluate(data, []).references["oracle"]
    assert oracle.cost == 1.0
    assert oracle.aiq == pytest.approx((0.55 + 1.0) / 2)


def test_cost_weight_moves_a_method_to_the_cheap_expert():
    data = hand_data()
    costs = CostModel.fit(data.split("train"), category_names=())
    method = Method("m", Fixed(data.experts, [[0.4, 0.8]] * 8), costs)
    assert evaluate(data, [method]).methods["m"].share == {"strong": 1.0}
    thrifty = evaluate(data, [method], policy=parse_policy("cost_weight=10"))
    assert thrifty.methods["m"].share == {"cheap": 1.0}
    assert thrifty.policy == "cost_weight=10"


def test_a_router_of_other_experts_is_unscored_where_it_chooses_them():
    data = hand_data()
    guess = np.array([[1.0, 0.0]] * 2 + [[0.0, 1.0]] * 2)
    given = Given(("elsewhere", "strong"), scores=guess, costs=np.tile([0.5, 3.0], (4, 1)))
    result = evaluate(data, [Method("m", given=given)]).methods["m"]
    assert result.unscored == 2
    assert result.quality.value == 0.5
    assert result.share == {"elsewhere": 0.5, "strong": 0.5}
    assert result.cost == pytest.approx((0.5 + 0.5 + 3 + 3) / 4)


def test_unknown_costs_leave_everything_but_the_costs():
    data = hand_data()
    data = replace(data, costs=np.full_like(data.costs, np.nan))
    result = evaluate(data, [fit_tfidf(data)])
    assert math.isnan(result.references["oracle"].cost)
    assert math.isnan(result.references["oracle"].aiq)
    assert result.methods["linear"].cost == 0.0
    assert json.loads(to_json(result))["references"]["oracle"]["cost"] is None
    assert to_html(result).startswith("<!doctype html>")


def test_one_expert_leaves_nothing_to_route():
    data = hand_data()
    alone = replace(data, experts=("strong",), scores=data.scores[:, 1:], costs=data.costs[:, 1:])
    result = evaluate(alone, [])
    assert result.weak is None
    assert math.isnan(result.references["oracle"].gap_closed.value)


def test_nothing_to_judge_on_is_an_error():
    data = hand_data()
    with pytest.raises(DataError, match="no scored row in split 'validation'"):
        evaluate(data, [], split="validation")
    with pytest.raises(DataError, match="no scored row in train"):
        evaluate(replace(data, splits=("test",) * 8), [])


def fit_tfidf(data):
    return fit_method("linear", LinearClassifier(encoder="tfidf"), data)


@pytest.fixture(scope="module")
def evaluated(small_data):
    return evaluate(small_data, [fit_tfidf(small_data)], dataset="sums & <poems> | $5")


def test_a_real_method_beats_the_best_single_expert(evaluated):
    linear = evaluated.methods["linear"]
    assert linear.vs_best_single.low > 0.2
    assert linear.gap_closed.value > 0.9
    assert linear.aiq > evaluated.references["zero_router"].aiq
    assert linear.apgr > evaluated.references["random"].apgr == pytest.approx(0.5)
    assert linear.cpt50 < evaluated.references["random"].cpt50
    assert evaluated.references["oracle"].apgr >= linear.apgr
    assert linear.train_s > 0


def test_the_seed_fixes_the_intervals(small_data, evaluated):
    again = evaluate(small_data, [fit_tfidf(small_data)])
    assert again.methods["linear"].quality == evaluated.methods["linear"].quality
    assert evaluate(small_data, [], seed=1).seed == 1


def test_json_has_the_agreed_shape(evaluated):
    content = json.loads(to_json(evaluated))
    assert {"references", "methods"} <= set(content)
    for entry in [*content["references"].values(), *content["methods"].values()]:
        assert set(entry) >= FIELDS
        assert len(entry["quality_ci95"]) == len(entry["vs_best_single_ci95"]) == 2
        assert set(entry["by_category"]) == {"poems", "sums"}
    assert content["references"]["best_single"]["apgr"] is None
    assert len(content["methods"]["linear"]["curve"]["cost"]) > 1
    assert content == to_dict(evaluated)


def test_every_form_of_the_report_names_every_row(evaluated):
    from io import StringIO

    from rich.console import Console

    console = Console(file=StringIO(), width=80)
    print_report(evaluated, console)
    texts = [to_markdown(evaluated), to_html(evaluated), console.file.getvalue()]
    for text in texts:
        for name in [*evaluated.references, "linear", "sums", "poems"]:
            assert name in text or name.removeprefix("expert:").replace("_", " ") in text
    assert "sums & <poems>" not in texts[1]
    assert max(map(len, texts[2].splitlines())) <= 80


def test_the_report_folder_holds_everything_and_the_page_stands_alone(evaluated, tmp_path):
    written = write_report(evaluated, tmp_path / "new" / "report")
    assert [path.name for path in written] == ["report.html", "report.md", "report.json", "cost_quality.png"]
    assert all(path.is_file() for path in written)
    page = written[0].read_text(encoding="utf-8")
    assert "<svg" in page
    assert "http://" not in page
    assert "https://" not in page
    assert written[3].read_bytes().startswith(b"\x89PNG")


def test_a_report_that_cannot_be_written_is_refused(evaluated, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="Cannot write the report"):
        write_report(evaluated, tmp_path / "file" / "report")


def test_a_plot_of_many_experts_with_a_wide_price_range_is_drawn(small_data):
    from mixture_training.src.cost_quality_plot import plot_png

    many = [f"expert_{n} $x^2$" for n in range(10)]
    rng = np.random.default_rng(0)
    shape = (len(small_data), 10)
    wide = replace(
        small_data,
        experts=tuple(many),
        scores=rng.random(shape),
        costs=np.tile(np.logspace(-5, 0, 10), (shape[0], 1)),
        latencies=np.full(shape, np.nan),
    )
    assert plot_png(evaluate(wide, [])).startswith(b"\x89PNG")


def test_a_saved_router_is_judged_without_fitting(small_data, router_folder):
    from mixture_training.src.artifacts import Router

    result = evaluate(small_data, [method_of_router("mine", Router.load(router_folder))])
    assert result.methods["mine"].gap_closed.value > 0.9
    assert math.isnan(result.methods["mine"].train_s)


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.is_dir(), reason="the recorded data is not here")
@pytest.mark.parametrize("name", ["zeroeval12", "routellm_gsm8k", "llmdrift4"])
def test_reference_points_of_recorded_data_are_those_counted_from_its_table(name):
    import pandas as pd

    table = pd.read_parquet(SHARED / f"{name}.parquet")
    train, test = (table[table["split"] == split] for split in ("train", "test"))
    best = train.groupby("expert")["score"].mean().idxmax()
    found = evaluate(load_training_data(SHARED / f"{name}.parquet"), [], samples=100)
    references = found.references
    assert found.best_single == best
    assert references["random"].quality.value == pytest.approx(test["score"].mean())
    assert references["best_single"].quality.value == pytest.approx(test[test["expert"] == best]["score"].mean())
    assert references["oracle"].quality.value == pytest.approx(test.groupby("instruction_id")["score"].max().mean())
    assert references[f"expert:{best}"].cost == pytest.approx(test[test["expert"] == best]["cost"].mean())


def guarded(data, *, is_better):
    """A method as a router would be that prefers the cheap expert everywhere, with a guard that found this."""
    low = 0.1 if is_better else -0.1
    verdict = Verdict(0.2, low, 0.3, 50)
    guard = Guard(verdict, verdict, True, np.array([0.2, 0.9]), np.array([1.0, 3.0]))
    costs = CostModel.fit(data.split("train"), category_names=())
    classifier = Fixed(data.experts, [[0.9, 0.1]] * 8)
    return Method("m", classifier, costs, assurance=Assurance(guard=guard), heeds_guard=True)


def test_a_guarded_router_is_judged_as_it_serves():
    data = hand_data()
    stopped = evaluate(data, [guarded(data, is_better=False)]).methods["m"]
    assert stopped.share == {"strong": 1.0}
    assert stopped.vs_best_single.value == 0.0
    assert stopped.curve.qualities[0] == 0.75
    trusted = evaluate(data, [guarded(data, is_better=True)]).methods["m"]
    assert trusted.share == {"cheap": 1.0}
    ignored = evaluate(data, [replace(guarded(data, is_better=False), heeds_guard=False)]).methods["m"]
    assert ignored.share == {"cheap": 1.0}


def test_calibration_moves_the_scores_that_are_judged():
    data = hand_data()
    table = np.stack([np.linspace(0.5, 1.0, 201), np.linspace(0.0, 0.4, 201)])
    calibrated = Assurance(calibration=Calibration(("platt", "platt"), table))
    costs = CostModel.fit(data.split("train"), category_names=())
    method = Method("m", Fixed(data.experts, [[0.1, 0.9]] * 8), costs)
    assert evaluate(data, [method]).methods["m"].share == {"strong": 1.0}
    assert evaluate(data, [replace(method, assurance=calibrated)]).methods["m"].share == {"cheap": 1.0}


def test_the_figures_of_a_method_by_hand(by_hand):
    """Chosen scores 1, 1, 1 and one missing, for 1, 3, 1 and 1 USD; the best single expert has .75 for 3."""
    guess = by_hand.methods["guess"]
    assert guess.regret == 0.0
    assert guess.performance_gain == pytest.approx(1 / 0.75 - 1)
    assert guess.cost_saving == pytest.approx(1 - guess.curve.costs[guess.curve.qualities >= 0.75].min() / 3)
    assert guess.entropy == pytest.approx(-(0.75 * math.log(0.75) + 0.25 * math.log(0.25)) / math.log(2))
    assert guess.arena_score == 0.0  # 1,500 USD per 1,000 is past the dearest
    assert guess.reliability.brier == pytest.approx(np.mean([0.1**2, 0.2**2, 0.1**2, 0.2**2, 0.1**2, 0.8**2, 0.9**2]))
    assert by_hand.choices == {"guess": ("cheap", "strong", "cheap", "cheap")}
    assert by_hand.ids == tuple("efgh")
    assert guess.by_category["x"].share == {"cheap": 0.5, "strong": 0.5}
