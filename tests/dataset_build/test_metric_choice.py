import json

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset_build import BuildConfig, ConfigError, Instruction, build_dataset, read_table
from dataset_build.src.evaluator import Evaluator
from dataset_build.src.metric_agreement import MetricAgreement
from dataset_build.src.metric_choice import MetricRule, metric_text, parse_metric, unused_rules
from dataset_build.src.records import Response
from dataset_build.src.scorers import scorers
from dataset_build.src.scorers.base import Scorer


class Share(Scorer):
    """Scores a response by an option, whatever it says."""

    metric = "share"
    version = "3"
    needs_reference = False

    def __init__(self, value: float = 0.5):
        self.value = value

    def compare(self, text, reference, instruction):
        return None if text == "?" else self.value


@pytest.fixture(autouse=True)
def _registered(monkeypatch):
    monkeypatch.setitem(scorers._home, "share", f"{__name__}:Share")


names = st.from_regex(r"[a-z][a-z_]{0,8}", fullmatch=True)
options = st.dictionaries(names, st.one_of(st.integers(), st.text(max_size=5), st.booleans()), max_size=2)


@given(st.lists(st.tuples(names, options, st.integers(1, 9)), min_size=1, max_size=3))
def test_a_metric_written_as_text_is_read_back_the_same(parts):
    text = metric_text(
        [{"name": name, "weight": weight, **given} for name, given, weight in parts if "name" not in given]
    )
    assert str(parse_metric(text)) == text


def test_a_metric_may_be_a_name_a_mapping_or_a_weighted_list():
    assert metric_text("number") == "number"
    assert metric_text({"name": "number", "tolerance": 0.01}) == 'number{"tolerance": 0.01}'
    assert metric_text(["chrf", {"name": "rouge_l", "weight": 3}]) == "1.0*chrf + 3.0*rouge_l"
    assert metric_text(' 1*chrf+3 * rouge_l{"a":"+"} ') == '1.0*chrf + 3.0*rouge_l{"a": "+"}'


@pytest.mark.parametrize(
    "wrong", ["", "a b", "a +", "-1*a", "x*a", "a{1}", "a{", "a{} b", 3, [], [{"weight": 1}], "0*a"]
)
def test_what_is_no_metric_is_said_in_one_line(wrong):
    with pytest.raises(ConfigError, match=r"Metric|metric") as problem:
        metric_text(wrong)
    assert "\n" not in str(problem.value)


def test_a_rule_beats_the_source_which_beats_the_default():
    rules = [MetricRule("label", category="mood*"), MetricRule("number", source="sums", instruction="i?")]
    evaluator = Evaluator("exact_match", rules)

    def chosen(**facts):
        return evaluator.metric_of(Instruction(**{"id": "i1", "text": "t", **facts}))

    assert chosen() == "exact_match"
    assert chosen(metric="math") == "math"
    assert chosen(metric="math", category="moods") == "label"
    assert chosen(metric="math", source="sums") == "number"
    assert chosen(metric="math", source="sums", id="j") == "math"


def test_a_weighted_metric_is_the_weighted_mean_with_its_versions():
    evaluator = Evaluator('1*share{"value": 1.0} + 3*share{"value": 0.2}')
    score = evaluator.score(Instruction(id="i", text="t"), Response("i", "e", text="x"))
    assert score.value == pytest.approx(0.4)
    assert score.metric == '1.0*share{"value": 1.0} + 3.0*share{"value": 0.2}'
    assert score.version == "share 3, share 3"


def test_where_a_part_cannot_judge_there_is_no_score_and_it_says_which():
    evaluator = Evaluator("share + exact_match")
    score = evaluator.score(Instruction(id="i", text="t", reference="x"), Response("i", "e", text="?"))
    assert score.value is None
    assert score.reason == "share: the metric could not judge it"


def test_the_score_of_several_samples_is_their_mean_or_none():
    evaluator = Evaluator("exact_match")
    asked = Instruction(id="i", text="t", reference="4")
    assert evaluator.score(asked, Response("i", "e", text="4", samples=("4", "5", "4", "3"))).value == 0.5
    evaluator = Evaluator("share")
    score = evaluator.score(asked, Response("i", "e", text="4", samples=("4", "?")))
    assert score.value is None
    assert score.reason == "sample 2: the metric could not judge it"


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        ("shar", "Did you mean 'share'"),
        ('share{"valeu": 1}', "Did you mean 'value'"),
        ('share{"value": "much"}', "value is"),
    ],
)
def test_unknown_metrics_and_options_are_found_before_anything_is_paid(metric, said):
    with pytest.raises(ConfigError, match=said):
        Evaluator(metric)


def test_agreement_of_metrics_is_counted_over_what_both_scored():
    agreement = MetricAgreement(["score", "a", "b"])
    for row in ([1.0, 1.0, 0.5], [0.0, 0.0, 0.5], [1.0, 0.0, None], [0.0, None, 0.5]):
        agreement.add(row)
    first, constant, *_ = agreement.pairs()
    assert (first.first, first.second, first.count) == ("score", "a", 3)
    assert first.equal == pytest.approx(2 / 3)
    assert first.correlation == pytest.approx(0.5)
    assert constant.correlation is None


def test_another_metric_scores_a_finished_dataset_anew_without_a_call(tmp_path, monkeypatch):
    source = tmp_path / "q.csv"
    pd.DataFrame([{"instruction": f"{n} apples", "reference": str(n)} for n in range(12)]).to_csv(source, index=False)

    def build(**more):
        return build_dataset(
            BuildConfig(**{"sources": [str(source)], "experts": ["echo"], "output": tmp_path / "data", **more})
        )

    before = read_table(build())
    assert before["score"].sum() == 0
    with monkeypatch.context() as patched:
        patched.setattr("dataset_build.src.experts.echo.EchoExpert.answer", None)  # a call would fail
        after = read_table(
            build(
                use_existing_dataset=True,
                metric="number",
                further_metrics=["exact_match", {"name": "share", "value": 1}],
            )
        )
    assert after["score"].sum() == 12
    assert set(after["metric"]) == {"number"}
    assert set(after["metric_version"]) == {scorers["number"].version}
    assert after["metric:exact_match"].sum() == 0
    assert after['metric:share{"value": 1}'].sum() == 12
    again = read_table(build(use_existing_dataset=True))
    assert set(again["metric"]) == {"number"}  # without a new one it keeps what it has
    facts = json.loads((tmp_path / "data" / "dataset.json").read_text())
    assert facts["metrics"] == {"number": scorers["number"].version}


def test_a_rule_that_is_for_no_instruction_is_told():
    asked = [Instruction("1", "a", category="sums"), Instruction("2", "b", category="dates")]
    rules = [
        MetricRule("number", category="sums"),
        MetricRule("label", category="dats"),
        MetricRule("math", source="*x"),
    ]
    assert [str(rule) for rule in unused_rules(rules, asked)] == ["category:dats = label", "source:*x = math"]
    assert unused_rules(rules[:1], asked) == []
