"""Choices made elsewhere are judged as a router's own."""

import numpy as np
import pandas as pd
import pytest

from dataset_build import ConfigError, DataError, write_table
from mixture_training.src.artifacts import to_frame
from mixture_training.src.cli import main
from mixture_training.src.evaluation import Given, Method, evaluate
from mixture_training.src.outside_choices import parse_choices, read_choices


def table(data, **more):
    rows = data.split("test")
    experts = ["adder" if category == "sums" else "poet" for category in rows.categories]
    return pd.DataFrame({"instruction_id": rows.ids, "expert": experts, **more})


def judge(data, given, name="outside", **options):
    return evaluate(data, [Method(name, given=given)], samples=100, **options).methods[name]


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
def test_choices_of_every_kind_of_table_are_judged(ending, small_data, tmp_path):
    frame, file = table(small_data).iloc[::-1], tmp_path / f"choices.{ending}"
    if ending == "parquet":
        frame.to_parquet(file)
    elif ending == "csv":
        frame.to_csv(file, index=False)
    else:
        frame.to_json(file, orient="records", lines=True)
    found = judge(small_data, read_choices(file))
    assert found.gap_closed.value == pytest.approx(1.0)
    assert found.curve is None
    assert np.isnan(found.apgr)
    assert found.share == {"adder": 0.4, "poet": 0.6}


def test_scores_in_the_table_give_a_curve(small_data, tmp_path):
    frame = table(small_data)
    frame["score:adder"] = (frame["expert"] == "adder") * 0.9
    frame["score:poet"] = (frame["expert"] == "poet") * 0.8
    frame.to_parquet(tmp_path / "r.parquet")
    found = judge(small_data, read_choices(tmp_path / "r.parquet"))
    assert len(found.curve.weights) == 40
    assert found.apgr > 0.5
    assert found.reliability.brier < 0.1


def test_what_moe_route_writes_is_read(small_data, router_folder, tmp_path):
    write_table(to_frame(small_data), tmp_path / "data.parquet")
    flags = ["--dataset", tmp_path / "data.parquet", "--output", tmp_path / "c.csv"]
    assert main(["route", "--router", str(router_folder), *map(str, flags)]) == 0
    assert judge(small_data, read_choices(tmp_path / "c.csv")).gap_closed.value > 0.9


def test_a_choice_of_nobody_is_unscored(small_data):
    rows = small_data.split("test")
    given = Given(("adder", "poet"), choice=np.full(len(rows), -1))
    found = judge(small_data, given)
    assert found.unscored == len(rows)
    assert np.isnan(found.quality.value)
    assert found.share == {}


BAD = [
    ({"instruction_id": ["a"]}, "no column 'expert'"),
    ({"instruction_id": ["a", "a"], "expert": ["x", "y"]}, "a twice"),
    ({"instruction_id": ["a"], "expert": ["x"], "score:y": [0.5]}, "no column score:x"),
    ({"instruction_id": ["a"], "expert": ["x"], "score:x": [None]}, "has a hole"),
    ({"instruction_id": ["a"], "expert": ["x"], "score:x": ["high"]}, "no number"),
]


@pytest.mark.parametrize(("columns", "says"), BAD)
def test_a_table_that_says_too_little_is_refused(columns, says, tmp_path):
    pd.DataFrame(columns).to_csv(tmp_path / "c.csv", index=False)
    with pytest.raises(DataError, match=says):
        read_choices(tmp_path / "c.csv")


def test_a_table_of_other_instructions_is_refused(small_data):
    rows = small_data.split("test")
    few = Given(("adder",), choice=np.zeros(3, dtype=np.intp))
    with pytest.raises(DataError, match="3 instructions; 30 are judged"):
        judge(small_data, few)
    other = Given(("adder",), choice=np.zeros(2, dtype=np.intp), ids=(rows.ids[0], "elsewhere"))
    with pytest.raises(DataError, match="nothing for 29 of the 30"):
        judge(small_data, other)
    with pytest.raises(DataError, match="shape"):
        judge(small_data, Given(("adder", "poet"), scores=np.zeros((30, 3))))


def test_the_name_comes_before_the_file(tmp_path):
    (tmp_path / "theirs.csv").touch()
    assert parse_choices(f"peer={tmp_path / 'theirs.csv'}")[0] == "peer"
    assert parse_choices(str(tmp_path / "theirs.csv"))[0] == "theirs"
    with pytest.raises(ConfigError, match="No such file of choices"):
        parse_choices("peer=absent.csv")
    (tmp_path / "c.txt").touch()
    with pytest.raises(ConfigError, match="ends in"):
        read_choices(tmp_path / "c.txt")
