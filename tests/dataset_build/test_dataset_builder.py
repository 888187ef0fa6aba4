import json
import shutil
from datetime import date

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset_build.src import dataset_tables
from dataset_build.src.dataset_builder import (
    ExpertColumn,
    assign_splits,
    finish_publishing,
    publish,
    staging_folder,
    write_tables,
)
from dataset_build.src.errors import DataError
from dataset_build.src.evaluator import Evaluator
from dataset_build.src.instruction_store import InstructionStore
from dataset_build.src.interchange import read_table
from dataset_build.src.records import COLUMNS, Instruction, Response
from dataset_build.src.response_store import ResponseStore


@given(st.lists(st.tuples(st.text(max_size=3), st.sampled_from([None, "train", "validation", "test"]))), st.integers())
def test_identical_texts_never_straddle_a_split(drawn, seed):
    asked = [Instruction(id=str(n), text=text, split=split) for n, (text, split) in enumerate(drawn)]
    splits = assign_splits(asked, seed)
    of_text = {}
    for one in asked:
        assert of_text.setdefault(one.text, splits[one.id]) == splits[one.id]


def test_the_sources_split_is_kept_and_the_rest_is_shared_out_by_hash():
    assert assign_splits([Instruction(id="a", text="x", split="validation")], 0) == {"a": "validation"}
    asked = [Instruction(id=str(n), text=f"text {n}") for n in range(4000)]
    counts = [list(assign_splits(asked, 1).values()).count(split) for split in ("train", "validation", "test")]
    assert [round(count / 4000, 1) for count in counts] == [0.7, 0.1, 0.2] or counts[0] in range(2700, 2900)
    assert assign_splits(asked, 1) == assign_splits(asked[::-1], 1) != assign_splits(asked, 2)


def test_where_sources_disagree_the_strictest_split_wins():
    asked = [Instruction(id="a", text="x", split="train"), Instruction(id="b", text="x", split="test")]
    assert assign_splits(asked, 0) == {"a": "test", "b": "test"}


def test_a_split_that_does_not_exist_is_said():
    with pytest.raises(DataError, match="'dev'"):
        assign_splits([Instruction(id="a", text="x", split="dev")], 0)


def column(name):
    return ExpertColumn(name, "r", {"name": name})


def written(folder, asked, responses, experts=("b", "a")):
    with ResponseStore(folder / "journal.sqlite") as store:
        for response in responses:
            store.put("r", response)
        return write_tables(
            folder,
            InstructionStore(asked),
            [column(name) for name in experts],
            store=store,
            evaluator=Evaluator("exact_match"),
            seed=0,
        )


ASKED = [
    Instruction(id="2", text="two", reference="2", category="n", split="train", extra={"family": "f", "level": 1}),
    Instruction(id="1", text="one \ud800", reference="1", split="test", extra={"family": 3, "score": 0.5}),
    Instruction(id="3", text="three", reference="3", split="train", extra={"ok": {"b": [1]}}),
]
RESPONSES = [
    Response("2", "a", text="2", cost=0.5, latency_s=1.0, prompt_tokens=3),
    Response("2", "b", error="timeout: slow"),
    Response("1", "a", text="wrong\x00"),
    Response("1", "b", text="also wrong", cost=0.25),
    Response("3", "a", text="3"),
    Response("3", "b", text="3"),
]


def test_the_tables_hold_every_response_sorted_with_scores_and_extras(tmp_path):
    summary = written(tmp_path, ASKED, RESPONSES)
    frame = read_table(tmp_path)
    assert [*zip(frame["instruction_id"], frame["expert"], strict=True)] == [
        ("2", "a"), ("2", "b"), ("3", "a"), ("3", "b"), ("1", "a"), ("1", "b"),
    ]  # fmt: skip
    assert list(frame.columns[: len(COLUMNS)]) == list(COLUMNS)
    assert frame["score"].tolist()[0] == 1.0
    assert frame["score"].isna().tolist() == [False, True, False, False, False, False]
    assert frame["error"].dropna().tolist() == ["timeout: slow"]
    assert frame["family"].tolist()[-1] == "3"
    assert frame["level"].tolist()[0] == 1
    assert frame["score_of_instruction"].tolist()[-1] == 0.5
    assert json.loads(frame["ok"].dropna().tolist()[0]) == {"b": [1]}
    assert not (tmp_path / "data" / "validation.parquet").exists()
    assert pq.read_metadata(tmp_path / "data" / "test.parquet").row_group(0).column(0).compression == "ZSTD"
    assert summary.experts["a"].mean_score == pytest.approx(2 / 3)
    assert summary.experts["b"].mean_score == 0.5
    assert summary.experts["b"].errors == {"timeout": 1}
    assert (summary.compared, summary.nobody_right, summary.all_equal) == (2, 1, 2)
    assert summary.categories == {"n": 1, "(none)": 2}


def test_the_hash_covers_what_is_deterministic_and_nothing_that_is_measured(tmp_path):
    def hash_of(name, asked, responses):
        (tmp_path / name).mkdir()
        return written(tmp_path / name, asked, responses).content_hash

    base = hash_of("base", ASKED, RESPONSES)
    timed = [Response("2", "a", text="2", cost=9.0, latency_s=9.0), Response("2", "b", error="timeout: other words")]
    assert hash_of("measured", ASKED[::-1], [*timed, *RESPONSES[2:]]) == base
    assert hash_of("answer", ASKED, [Response("2", "a", text="4"), *RESPONSES[1:]]) != base
    assert hash_of("kind", ASKED, [RESPONSES[0], Response("2", "b", error="crash: x"), *RESPONSES[2:]]) != base
    assert hash_of("fewer", ASKED, RESPONSES[1:]) != base


def test_large_tables_are_written_in_row_groups(tmp_path, monkeypatch):
    monkeypatch.setattr(dataset_tables, "ROW_GROUP", 7)
    asked = [Instruction(id=f"{n:03d}", text=str(n), split="train") for n in range(30)]
    written(tmp_path, asked, [Response(one.id, "a", text="x") for one in asked], experts=("a",))
    assert pq.read_metadata(tmp_path / "data" / "train.parquet").num_row_groups == 5
    assert len(read_table(tmp_path)) == 30


def stage(output, mark):
    staged = staging_folder(output)
    (staged / "data").mkdir()
    for name in ("data/train.parquet", "README.md", "dataset.json"):
        (staged / name).write_text(mark)


def marks(output):
    return {
        (output / name).read_text() if (output / name).exists() else None
        for name in ("data/train.parquet", "README.md", "dataset.json")
    }


@pytest.mark.parametrize("killed_after", range(5))
def test_a_move_cut_short_anywhere_leaves_old_or_nothing_and_is_completed(tmp_path, monkeypatch, killed_after):
    """Every step that changes the disk is the last one of a process that dies, in turn."""
    output = tmp_path / "out"
    output.mkdir()
    stage(output, "old")
    publish(output)
    assert marks(output) == {"old"}
    stage(output, "new")
    steps = 0

    def dying(function):
        def call(*args, **kwargs):
            nonlocal steps
            if steps >= killed_after:
                raise KeyboardInterrupt
            steps += 1
            return function(*args, **kwargs)

        return call

    with monkeypatch.context() as patched:
        for name in ("rename", "replace", "unlink"):
            patched.setattr(f"pathlib.Path.{name}", dying(getattr(type(output), name)))
        with pytest.raises(KeyboardInterrupt):
            publish(output)
    if (output / "dataset.json").exists():
        assert marks(output) == {"old"}
    finish_publishing(output)
    assert marks(output) == ({"old"} if killed_after == 0 else {"new"})
    assert not (output / ".ready").exists()
    finish_publishing(output)
    shutil.rmtree(output)


def test_further_columns_of_any_value_are_written(tmp_path):
    extras = [
        {"n": 10**30, "m": 1, "when": date(2024, 5, 3), "nested": {"b": [1], "a": None}, "u": 2**63},
        {"n": 1, "m": 1.5, "when": None, "nested": None, "u": 1.5},
    ]
    asked = [Instruction(id=str(n), text="x", extra=extra) for n, extra in enumerate(extras)]
    written(tmp_path, asked, [Response(one.id, "a", text="y") for one in asked])
    frame = read_table(tmp_path)
    assert list(frame["n"]) == [str(10**30), "1"]
    assert list(frame["m"]) == [1.0, 1.5]
    assert frame["when"][0] == "2024-05-03"
    assert json.loads(frame["nested"][0]) == {"b": [1], "a": None}
    assert list(frame["u"]) == [str(2**63), "1.5"]


def test_answers_without_a_score_are_counted_by_reason(tmp_path):
    asked = [Instruction(id="1", text="x"), Instruction(id="2", text="y", reference="z")]
    summary = written(tmp_path, asked, [Response(one.id, "a", text="z") for one in asked])
    assert summary.unscored == {("exact_match", "no reference"): 1}
