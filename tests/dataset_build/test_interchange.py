"""The interchange form survives every file format, and what is not in it is named."""

import json
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dataset_build import ConfigError, DataError, read_dataset_json, read_table, write_table
from dataset_build.src.records import COLUMNS

TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00"), max_size=30)
ROW = st.fixed_dictionaries(
    {
        "instruction": TEXT.filter(bool),
        "category": st.none() | TEXT.filter(bool),
        "response": st.none() | TEXT,
        "score": st.none() | st.floats(0, 1),
        "cost": st.none() | st.floats(0, 1e3),
        "prompt_tokens": st.none() | st.integers(0, 2**40),
    }
)


def small_frame(**changes: list[object]) -> pd.DataFrame:
    columns = {
        "instruction_id": ["a", "a", "b"],
        "instruction": ["one", "one", "two"],
        "expert": ["x", "y", "x"],
        "score": [1.0, 0.0, None],
    }
    return pd.DataFrame({**columns, **changes})


@pytest.mark.parametrize("ending", ["parquet", "jsonl", "csv"])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(rows=st.lists(ROW, min_size=1, max_size=5))
def test_every_format_gives_back_what_was_written(ending: str, rows: list[dict], tmp_path: Path):
    frame = pd.DataFrame([{**row, "instruction_id": str(n), "expert": "x"} for n, row in enumerate(rows)])
    path = tmp_path / f"rows.{ending}"
    write_table(frame, path)
    back = read_table(path)
    assert list(back.columns) == list(COLUMNS)
    for name in rows[0]:
        read = [None if pd.isna(value) else value for value in back[name]]
        assert read == [row[name] for row in rows], name


def test_further_columns_are_kept(tmp_path: Path):
    write_table(small_frame(family=["f", "f", "g"]), tmp_path / "rows.parquet")
    assert list(read_table(tmp_path / "rows.parquet")["family"]) == ["f", "f", "g"]


def test_lone_surrogates_do_not_stop_a_write(tmp_path: Path):
    broken = pd.Series(["\ud800", "fine", "x"], dtype="object")
    write_table(small_frame().assign(response=broken), tmp_path / "rows.parquet")
    assert list(read_table(tmp_path / "rows.parquet")["response"]) == ["\ufffd", "fine", "x"]


def test_a_missing_id_is_computed_from_source_text_and_reference(tmp_path: Path):
    write_table(small_frame(), tmp_path / "rows.csv")
    frame = pd.read_csv(tmp_path / "rows.csv").drop(columns="instruction_id")
    frame.to_csv(tmp_path / "rows.csv", index=False)
    ids = read_table(tmp_path / "rows.csv")["instruction_id"]
    assert ids[0] == ids[1] != ids[2]


def test_columns_can_be_mapped(tmp_path: Path):
    small_frame().rename(columns={"instruction": "question"}).to_csv(tmp_path / "rows.csv", index=False)
    assert list(read_table(tmp_path / "rows.csv", columns={"instruction": "question"})["instruction"])[0] == "one"


def test_a_mapped_column_that_is_absent_is_named_with_the_nearest(tmp_path: Path):
    small_frame().rename(columns={"instruction": "question"}).to_csv(tmp_path / "rows.csv", index=False)
    with pytest.raises(ConfigError, match="'questoin'.*Did you mean 'question'"):
        read_table(tmp_path / "rows.csv", columns={"instruction": "questoin"})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"score": [1.5, 0, 0]}, "row 0: score 1.5 .* outside \\[0, 1\\]", id="above-one"),
        pytest.param({"score": [0, -0.1, 0]}, "row 1: score -0.1", id="below-zero"),
        pytest.param({"score": ["good", "0", "1"]}, "score is 'good'; a number was expected", id="no-number"),
        pytest.param({"cost": [float("inf"), 0, 0]}, "cost is infinite", id="infinite-cost"),
        pytest.param({"prompt_tokens": [1, 1e30, 1]}, "row 1: prompt_tokens is 1e.30, more than any call", id="absurd"),
        pytest.param({"split": ["train", "train", "dev"]}, "split 'dev' is none of", id="unknown-split"),
        pytest.param({"split": ["train", "test", "test"]}, "different values of split", id="straddling-split"),
        pytest.param({"instruction": ["one", "uno", "two"]}, "different values of instruction", id="two-texts"),
        pytest.param({"expert": ["x", "x", "x"]}, "second row of expert 'x'", id="row-twice"),
        pytest.param({"expert": ["x", None, "x"]}, "row 1: expert is missing", id="no-expert"),
    ],
)
def test_content_that_is_wrong_is_named(changes: dict, message: str, tmp_path: Path):
    small_frame(**changes).to_parquet(tmp_path / "rows.parquet")
    with pytest.raises(DataError, match=message):
        read_table(tmp_path / "rows.parquet")


def test_a_score_beside_an_error_is_dropped(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    small_frame(error=["timeout: no answer", None, None]).to_parquet(tmp_path / "rows.parquet")
    assert read_table(tmp_path / "rows.parquet")["score"].isna().tolist() == [True, False, True]
    assert "dropped 1 scores of failed calls" in caplog.text


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("rows.jsonl", b'{"instruction": "a"}\n{oops\n', "line 2 is not valid JSON"),
        ("rows.jsonl", b"[1]\n", "line 1 holds a list"),
        ("rows.jsonl", b"\xff\xfe", "not UTF-8"),
        ("rows.jsonl", b"", "has no rows"),
        ("rows.parquet", b"not parquet", "Cannot read"),
        ("rows.csv", b"a,b\n1,2\n", "has no column"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(name: str, content: bytes, message: str, tmp_path: Path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_table(tmp_path / name)


def test_no_such_file_says_what_is_accepted(tmp_path: Path):
    with pytest.raises(ConfigError, match="No such dataset"):
        read_table(tmp_path / "absent.parquet")
    (tmp_path / "rows.xlsx").touch()
    with pytest.raises(ConfigError, match="expected one of .parquet, .jsonl, .csv"):
        read_table(tmp_path / "rows.xlsx")
    with pytest.raises(DataError, match="no dataset folder"):
        read_table(tmp_path)


def test_an_unwritable_place_is_one_line(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="Cannot write"):
        write_table(small_frame(), tmp_path / "file" / "rows.parquet")


def test_a_newer_dataset_says_upgrade(tmp_path: Path):
    (tmp_path / "dataset.json").write_text(json.dumps({"format_version": 99}))
    with pytest.raises(DataError, match="format version 99.*Upgrade"):
        read_dataset_json(tmp_path)
    (tmp_path / "dataset.json").write_text("{")
    with pytest.raises(DataError, match="damaged"):
        read_dataset_json(tmp_path)
    assert read_dataset_json(tmp_path / "rows.parquet") == {}


@pytest.mark.slow
def test_a_hub_data_set_is_read_with_its_splits(tmp_path: Path):
    for split, ids in (("train", ["a", "b"]), ("test", ["c"])):
        frame = pd.DataFrame({"instruction_id": ids, "instruction": ids, "expert": "x", "score": 1.0})
        write_table(frame.assign(split=split), tmp_path / "data" / f"{split}.parquet")
    back = read_table(f"hf:{tmp_path}")
    assert dict(zip(back["instruction_id"], back["split"], strict=True)) == {"a": "train", "b": "train", "c": "test"}


def test_a_hub_data_set_that_is_not_there_is_one_line(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ConfigError, match="Cannot load data set 'nobody/nothing'"):
        read_table("hf:nobody/nothing")


@pytest.mark.parametrize("absurd", [10**30, 10**400, 2**60])
def test_a_number_too_large_for_any_column_is_said(absurd: int, tmp_path: Path):
    row = {"instruction": "a", "expert": "x", "score": 1, "prompt_tokens": absurd}
    (tmp_path / "rows.jsonl").write_text(json.dumps({**row, "prompt_tokens": 1}) + "\n" + json.dumps(row) + "\n")
    with pytest.raises(DataError, match="prompt_tokens is"):
        read_table(tmp_path / "rows.jsonl")
