import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset_build import BuildConfig, build_dataset, labels_of, read_table
from dataset_build.src.build_report import warnings_of
from dataset_build.src.dataset_summary import DatasetSummary, ExpertSummary
from dataset_build.src.records import Instruction, Response, Score

cells = st.dictionaries(
    st.tuples(st.sampled_from("pqrs"), st.sampled_from("abc")),
    st.one_of(st.none(), st.sampled_from([0.0, 0.25, 1.0])),
    min_size=1,
)


@given(cells)
def test_the_matrix_holds_every_score_and_nothing_else_and_ties_stay_ties(drawn):
    rows = [{"instruction_id": key, "expert": expert, "score": score} for (key, expert), score in drawn.items()]
    labels = labels_of(pd.DataFrame(rows).astype({"score": "float64"}))
    for i, key in enumerate(labels.ids):
        of_row = {expert: drawn[key, expert] for expert in labels.experts if drawn.get((key, expert)) is not None}
        for j, expert in enumerate(labels.experts):
            assert labels.is_known[i, j] == (expert in of_row)
            assert np.isnan(labels.scores[i, j]) or labels.scores[i, j] == of_row[expert]
            best = expert in of_row and of_row[expert] == max(of_row.values())
            assert labels.is_best[i, j] == best


@given(st.lists(st.dictionaries(st.sampled_from("abc"), st.sampled_from([None, 0.0, 0.5, 1.0]), min_size=1)))
def test_the_counts_of_a_dataset_follow_from_its_scores(rows):
    summary = DatasetSummary({name: ExpertSummary() for name in "abc"})
    for number, scores in enumerate(rows):
        best = summary.add(Instruction(id=str(number), text="t"), "train", scores)
        known = [score for score in scores.values() if score is not None]
        assert set(best) == {name for name, score in scores.items() if known and score == max(known)}
    compared = [known for row in rows if len(known := [s for s in row.values() if s is not None]) > 1]
    assert summary.compared == len(compared)
    assert summary.nobody_right == sum(max(known) == 0 for known in compared)
    assert summary.all_equal == sum(min(known) == max(known) for known in compared)
    alone = sum(known.count(max(known)) == 1 for known in compared)
    assert sum(one.best_alone for one in summary.experts.values()) == alone


def summary_of(rows, metric="m", category="c"):
    summary = DatasetSummary({name: ExpertSummary() for name in rows[0]})
    for number, row in enumerate(rows):
        for name, value in row.items():
            score = Score(value, metric)
            summary.experts[name].add(Response("i", name, text="x"), score, category)
            summary.count_metric(score)
        summary.add(Instruction(id=str(number), text="t", category=category), "train", row)
    return summary


def test_an_expert_that_is_never_best_is_told():
    rows = [{"good": 1.0, "twin": 1.0, "bad": 0.5}] * 30
    (told,) = [line for line in warnings_of(summary_of(rows)) if "never among the best" in line]
    assert told.endswith(": bad")
    assert not any("never among" in line for line in warnings_of(summary_of(rows[:5])))


def test_a_small_category_is_told_unless_it_is_the_only_one():
    summary = summary_of([{"a": 1.0, "b": 0.0}, {"a": 0.0, "b": 1.0}] * 20)
    summary.categories["rare"] = 12
    assert any("rare (12)" in line for line in warnings_of(summary))
    del summary.categories["rare"]
    summary.categories["c"] = 3
    assert not any("teach little" in line for line in warnings_of(summary))


def test_a_metric_that_is_constant_is_told():
    assert any(
        "m gave all 60 answers the score 0.5" in line for line in warnings_of(summary_of([{"a": 0.5, "b": 0.5}] * 30))
    )
    assert not any("gave all" in line for line in warnings_of(summary_of([{"a": 0.5, "b": 0.7}] * 30)))


def test_a_dataset_has_its_training_view_beside_it(tmp_path):
    source = tmp_path / "q.csv"
    rows = [{"instruction": str(n), "reference": str(n if n % 2 else -1), "category": "c"} for n in range(40)]
    pd.DataFrame(rows).to_csv(source, index=False)
    experts = [{"provider": "echo", "name": "one"}, {"provider": "echo", "name": "two"}, "calculator"]
    folder = build_dataset(BuildConfig(sources=[str(source)], experts=experts, output=tmp_path / "data", workers=1))
    frame = read_table(folder)
    labels = labels_of(frame)
    parts = [pd.read_parquet(path) for path in sorted((folder / "labels").glob("*.parquet"))]
    wide = pd.concat(parts).set_index("instruction_id")
    assert len(wide) == 40
    for i, key in enumerate(labels.ids):
        for j, expert in enumerate(labels.experts):
            assert wide.loc[key, f"score:{expert}"] == pytest.approx(labels.scores[i, j], nan_ok=True)
        assert set(wide.loc[key, "best"]) == {labels.experts[j] for j in np.flatnonzero(labels.is_best[i])}
    assert any(len(best) > 1 for best in wide["best"])  # ties are kept
    datasets = pytest.importorskip("datasets")
    loaded = datasets.load_dataset(str(folder), "labels", cache_dir=str(tmp_path / "cache"))
    assert sum(len(part) for part in loaded.values()) == 40
    assert not math.isnan(loaded["train"][0]["score:one"])
