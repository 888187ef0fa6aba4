"""An import keeps what is known, invents nothing, says what it left out, refuses in one line what it cannot read."""

import gzip
import json
import pickle
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dataset_build import ConfigError, DataError, InputFile, import_dataset, read_table
from dataset_build.src import imported_rows
from dataset_build.src.dataset_builder import assign_splits
from dataset_build.src.records import COLUMNS, Instruction

TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00\r"), min_size=1, max_size=12)
ROW = st.fixed_dictionaries(
    {
        "instruction": TEXT.filter(str.strip),
        "expert": st.sampled_from(["x", "y", "z"]),
        "score": st.none() | st.floats(0, 1),
        "cost": st.none() | st.floats(0, 10),
        "prompt_tokens": st.none() | st.integers(0, 2**40),
        "response": st.none() | TEXT,
        "split": st.sampled_from([None, "train", "dev", "test"]),
    }
)


def rows_file(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def row(**changes: object) -> dict[str, Any]:
    return {"instruction": "a", "expert": "x", "score": 1.0, **changes}


@pytest.mark.parametrize("ending", ["parquet", "jsonl", "csv"])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
@given(rows=st.lists(ROW, min_size=1, max_size=12), batch=st.integers(1, 5))
def test_what_is_written_is_what_was_read(ending: str, rows: list[dict[str, Any]], batch: int, tmp_path: Path):
    path = rows_file(tmp_path / "rows.jsonl", rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(imported_rows, "BATCH_ROWS", batch)
        summary = import_dataset([path], output=tmp_path / f"out.{ending}", overwrite=True)
    frame = read_table(summary.output)
    first: dict[tuple[str, str], dict[str, Any]] = {}
    for one in rows:
        first.setdefault((one["instruction"], one["expert"]), one)
    assert [(text, expert) for text, expert in zip(frame["instruction"], frame["expert"], strict=True)] == list(first)
    for name in ("score", "cost", "prompt_tokens", "response"):
        assert [None if pd.isna(value) else value for value in frame[name]] == [one[name] for one in first.values()]
    assert summary.rows_read == len(rows) == summary.rows_written + summary.dropped.total()
    assert summary.null_scores == sum(one["score"] is None for one in first.values())
    assert summary.null_costs == sum(one["cost"] is None for one in first.values())
    assert summary.instructions == frame["instruction_id"].nunique() == sum(summary.splits.values())
    assert set(frame["split"]) == set(summary.splits)


def test_splits_are_the_file_s_own_else_by_the_hash_every_build_uses(tmp_path: Path):
    rows = [row(instruction=f"question {n}", split="test" if n < 3 else None) for n in range(60)]
    frame = read_table(
        import_dataset([rows_file(tmp_path / "r.jsonl", rows)], output=tmp_path / "o.csv", seed=7).output
    )
    assert set(frame["split"][:3]) == {"test"}
    wanted = assign_splits([Instruction(str(n), f"question {n}") for n in range(60)], 7)
    assert list(frame["split"][3:]) == [wanted[str(n)] for n in range(3, 60)]
    assert set(frame["split"]) == {"train", "validation", "test"}


def test_of_two_rows_of_an_instruction_and_expert_the_first_stays_and_the_rest_is_counted(tmp_path: Path):
    rows = [row(score=0.25), row(score=1.0), row(expert="y"), row(score=0.5)]
    summary = import_dataset([rows_file(tmp_path / "r.jsonl", rows)], output=tmp_path / "o.parquet")
    assert list(read_table(summary.output)["score"]) == [0.25, 1.0]
    assert summary.dropped == {"second row of an instruction and expert (the first stays)": 2}


def test_the_same_answer_once_more_is_no_loss(tmp_path: Path):
    rows = [row(score=0.25, response="a"), row(score=None, response="a"), row(score=0.25, response="a")]
    rows += [row(score=None, response="b"), row(score=0.5, response="a"), row(score=None, response=None)]
    summary = import_dataset([rows_file(tmp_path / "r.jsonl", rows)], output=tmp_path / "o.parquet")
    assert summary.dropped == {
        "an answer that is there already, word for word (nothing is lost)": 2,
        "second row of an instruction and expert (the first stays)": 3,
    }


def test_json_that_is_cut_off_is_said_to_be(tmp_path: Path):
    (tmp_path / "cut.json").write_text('{"a": 1, "performance": [1, 2')
    with pytest.raises(DataError, match=r"cut\.json, line 1 is not valid JSON"):
        import_dataset([tmp_path / "cut.json"], output=tmp_path / "o.parquet")
    (tmp_path / "list.json").write_text('[{"a": 1}, {"a"')
    with pytest.raises(DataError, match=r"list\.json, line 1 is not valid JSON"):
        import_dataset([tmp_path / "list.json"], output=tmp_path / "o.parquet")
    (tmp_path / "whole.json").write_text('{"a": 1}')
    with pytest.raises(ConfigError, match="is of no known format. Its keys: a"):
        import_dataset([tmp_path / "whole.json"], output=tmp_path / "o.parquet")


def test_a_failed_call_has_neither_score_nor_response_and_is_never_a_zero(tmp_path: Path):
    rows = [row(score=0.0, error="timeout:\n no answer", response="half"), row(expert="y", score=None)]
    summary = import_dataset([rows_file(tmp_path / "r.jsonl", rows)], output=tmp_path / "o.parquet")
    frame = read_table(summary.output)
    assert frame["score"].isna().all()
    assert frame["response"].isna().all()
    assert frame["error"][0] == "timeout: no answer"
    assert (summary.null_scores, summary.experts["x"].errors, summary.experts["x"].scored) == (2, 1, 0)


def test_what_is_known_of_an_instruction_in_one_row_is_known_in_all(tmp_path: Path):
    rows = [row(instruction_id="1"), row(instruction_id="1", expert="y", category="pets", split="train")]
    rows += [row(instruction_id="1", expert="z", category="zoo", split="test")]
    frame = read_table(import_dataset([rows_file(tmp_path / "r.jsonl", rows)], output=tmp_path / "o.parquet").output)
    assert list(frame["category"]) == ["pets"] * 3
    assert list(frame["split"]) == ["test"] * 3


def test_rows_without_an_instruction_or_an_expert_are_counted(tmp_path: Path):
    rows = [row(instruction=" "), row(instruction=None), row(expert=None), row(expert=""), row()]
    summary = import_dataset([rows_file(tmp_path / "r.jsonl", rows)], output=tmp_path / "o.parquet")
    assert summary.dropped == {"no instruction": 2, "no expert": 2}
    assert (summary.rows_read, summary.rows_written) == (5, 1)


def test_only_the_experts_asked_for_are_kept(tmp_path: Path):
    path = rows_file(tmp_path / "r.jsonl", [row(), row(expert="yak"), row(expert="z")])
    summary = import_dataset([path], output=tmp_path / "o.parquet", experts=["x", "z"])
    assert list(summary.experts) == ["x", "z"]
    assert summary.dropped == {"expert not asked for": 1}
    with pytest.raises(ConfigError, match="No expert 'yack' in the files. Did you mean 'yak'"):
        import_dataset([path], output=tmp_path / "p.parquet", experts=["yack"])


def test_the_source_given_is_that_of_rows_that_name_none(tmp_path: Path):
    path = rows_file(tmp_path / "r.jsonl", [row(), row(instruction="b", source="its own")])
    frame = read_table(import_dataset([path], output=tmp_path / "o.parquet", source="mine").output)
    assert list(frame["source"]) == ["mine", "its own"]


def test_further_columns_of_mixed_kinds_become_text_and_columns_keep_their_types(tmp_path: Path):
    rows = [row(mixed=1, whole=1, real=1, huge=2**70, tags=["a"], truth=True, none=None)]
    rows += [row(expert="y", mixed="b", whole=2, real=0.5, huge=3, tags=None, truth=None, lone="\ud800")]
    frame = read_table(import_dataset([rows_file(tmp_path / "r.jsonl", rows)], output=tmp_path / "o.parquet").output)
    assert list(frame.columns) == [*COLUMNS, "mixed", "whole", "real", "huge", "tags", "truth", "none", "lone"]
    assert list(frame["mixed"]) == ["1", "b"]
    assert list(frame["whole"]) == [1, 2]
    assert list(frame["real"]) == [1.0, 0.5]
    assert list(frame["huge"]) == [str(2**70), "3"]
    assert frame["tags"][0] == '["a"]'
    assert frame["lone"][1] == "\ufffd"


@pytest.mark.parametrize("ending", ["csv.gz", "jsonl.gz", "json.gz"])
def test_compressed_files_are_read(ending: str, tmp_path: Path):
    content = {
        "csv.gz": "instruction,expert,score\na,x,0.5\n",
        "jsonl.gz": json.dumps(row(score=0.5)),
        "json.gz": json.dumps([row(score=0.5)]),
    }[ending]
    (tmp_path / f"r.{ending}").write_bytes(gzip.compress(content.encode()))
    frame = read_table(import_dataset([tmp_path / f"r.{ending}"], output=tmp_path / "o.parquet").output)
    assert list(frame["score"]) == [0.5]


def test_lines_in_a_json_file_are_read_as_lines(tmp_path: Path):
    path = rows_file(tmp_path / "r.json", [row(), row(expert="y")])
    assert InputFile(path).ending == ".jsonl"
    assert import_dataset([path], output=tmp_path / "o.parquet").rows_written == 2


@pytest.mark.parametrize("filler", [0, 200_000])
def test_keys_are_found_however_long_the_values(filler: int, tmp_path: Path):
    (tmp_path / "list.json").write_text(json.dumps([{"first": "é" * filler, "last": 1}]))
    (tmp_path / "object.json").write_text(json.dumps({"one": [1, {"two": 2}], "three": "é" * filler, "four": 4}))
    expected = ["first"] if filler else ["first", "last"]
    assert InputFile(tmp_path / "list.json").columns[: len(expected)] == expected
    known = InputFile(tmp_path / "object.json").columns
    assert known == (["one", "three"] if filler else ["one", "three", "four"])


def test_in_a_folder_what_is_of_no_known_format_is_skipped_and_told(tmp_path: Path):
    (tmp_path / "in" / "deep").mkdir(parents=True)
    rows_file(tmp_path / "in" / "deep" / "r.jsonl", [row()])
    (tmp_path / "in" / "notes.json").write_text('{"author": "me"}')
    (tmp_path / "in" / "README.md").write_text("hello")
    summary = import_dataset([tmp_path / "in"], output=tmp_path / "o.parquet")
    assert [path.name for path in summary.skipped] == ["notes.json"]
    assert summary.formats == {"interchange": 1}


def test_a_built_dataset_folder_can_be_imported(tmp_path: Path):
    (tmp_path / "built" / "data").mkdir(parents=True)
    (tmp_path / "built" / "dataset.json").write_text('{"format_version": 1}')
    for split, score in (("train", 1.0), ("test", 0.0)):
        frame = pd.DataFrame([row(instruction=split, split=split, score=score)])
        frame.to_parquet(tmp_path / "built" / "data" / f"{split}.parquet")
    frame = read_table(import_dataset([tmp_path / "built"], output=tmp_path / "o.jsonl").output)
    assert dict(zip(frame["instruction"], frame["split"], strict=True)) == {"train": "train", "test": "test"}


def pickled(tmp_path: Path, name: str) -> Path:
    data = pickle.dumps({"a": 1})
    (tmp_path / name).write_bytes(gzip.compress(data, mtime=0) if name.endswith(".gz") else data)
    return tmp_path / name


@pytest.mark.parametrize("name", ["t.pkl", "t.pickle", "t.pkl.gz", "t.csv", "t.jsonl.gz", "t.parquet", "t.dat"])
def test_a_pickle_is_refused_whatever_it_is_called_with_the_reason_and_the_way_out(name: str, tmp_path: Path):
    with pytest.raises(ConfigError, match="runs whatever code.*throw-away environment.*read_pickle.*to_parquet"):
        import_dataset([pickled(tmp_path, name)], output=tmp_path / "o.parquet")


def test_a_pickle_in_a_folder_is_refused_too(tmp_path: Path):
    (tmp_path / "in").mkdir()
    rows_file(tmp_path / "in" / "r.jsonl", [row()])
    pickled(tmp_path / "in", "z.pkl")
    with pytest.raises(ConfigError, match="is a pickle"):
        import_dataset([tmp_path / "in"], output=tmp_path / "o.parquet")


@pytest.mark.parametrize(
    ("name", "content", "error", "message"),
    [
        ("r.jsonl", b'{"instruction": "a", "expert": "x", "score": 1}\n{oops\n', DataError, "line 2 is not valid JSON"),
        ("r.json", b'[{"instruction": "a", "expert": "x", "score": 1},\n{oops]', DataError, "line 2 is not valid JSON"),
        ("r.json", b'[{"instruction": "a", "expert": "x", "score": 1}, 5]', DataError, "record 2 is a int"),
        ("r.csv", b"instruction,expert,score\na,x\n", DataError, "row 1 has 2 cells"),
        ("r.csv", b"instruction,expert,score\na,x,good\n", DataError, "row 1: 'good' stands where a number"),
        ("r.csv", b"instruction,expert,score\na,x,1\nb,x,7\n", DataError, r"row 2: score 7 of expert 'x' lies outside"),
        ("r.csv", b"instruction,expert,score,cost\na,x,1,-1\n", DataError, "row 1: cost -1 of expert 'x'"),
        ("r.csv", b"instruction,expert,score,cost\na,x,1,inf\n", DataError, "row 1: cost inf"),
        (
            "r.csv",
            b"instruction,expert,score,prompt_tokens\na,x,1,1e30\n",
            DataError,
            "row 1: prompt_tokens 1e.30 of expert 'x' is more than any call has",
        ),
        (
            "r.jsonl",
            b'{"instruction": "a", "expert": "x", "score": 1, "cost": 1' + b"0" * 400 + b"}\n",
            DataError,
            "line 1: 10+ stands where a number",
        ),
        ("r.csv", b"instruction,expert,score,split\na,x,1,holdout\n", DataError, "split 'holdout' is none of"),
        ("r.csv", b"instruction,expert,score,instruction_id\na,x,1,i\nb,y,1,i\n", DataError, "row 2: .* another text"),
        ("r.csv", b"instruction,expert,score\n", ConfigError, "no known format"),
        (
            "r.csv",
            b"instruction,expert,score\n,x,1\n",
            DataError,
            "No row is left to write; left out: 1 no instruction",
        ),
        ("r.csv", b"\xff\xfe\x00", DataError, "not UTF-8"),
        ("r.parquet", b"not parquet", DataError, "not a Parquet file"),
        ("r.jsonl.gz", b"not gzip", DataError, "Cannot read .*r.jsonl.gz"),
        (
            "r.jsonl.gz",
            gzip.compress(b'{"instruction": "a"}' * 500, mtime=0)[:-20],
            DataError,
            "Cannot read .*r.jsonl.gz",
        ),
        ("r.json", b'"text"', ConfigError, "no known format"),
        ("r.json", b"", ConfigError, "no known format"),
        ("r.csv", b"prompt\na\n", ConfigError, "no known format"),
        ("r.csv", b"promt,modle\na,b\n", ConfigError, "columns: promt, modle. Formats: alpaca_eval, interchange"),
        ("r.csv", b"sample_id,eval_name,m\na,b,1\n", ConfigError, "Nearest: routerbench, RouterBench's wide table"),
        ("r.jsonl", b'{"task_name": "a", "query": "b"}\n', ConfigError, "keys: task_name, query. Nearest: llmrouter"),
        ("r.xlsx", b"PK", ConfigError, "Expected one of .csv, .json, .jsonl, .parquet"),
        ("r.parquet.gz", gzip.compress(b"PAR1", mtime=0), ConfigError, "Expected one of"),
        ("r.zip", b"PK\x03\x04", ConfigError, "unpack archives first"),
        ("r.tar.gz", gzip.compress(b"x", mtime=0), ConfigError, "unpack archives first"),
    ],
)
def test_what_cannot_be_read_is_said_in_one_line_and_leaves_nothing(
    name: str, content: bytes, error: type[Exception], message: str, tmp_path: Path
):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(error, match=message) as raised:
        import_dataset([tmp_path / name], output=tmp_path / "o.parquet")
    assert "\n" not in str(raised.value)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_mapped_columns_that_are_absent_are_named_with_the_nearest(tmp_path: Path):
    (tmp_path / "r.csv").write_text("question,expert,score\na,x,1\n")
    with pytest.raises(ConfigError, match=r"no column 'questoin' \(for instruction\). Did you mean 'question'"):
        import_dataset([tmp_path / "r.csv"], output=tmp_path / "o.csv", columns={"instruction": "questoin"})
    with pytest.raises(ConfigError, match="no column 'instruction'.*--columns instruction=YOUR_COLUMN"):
        import_dataset([tmp_path / "r.csv"], output=tmp_path / "o.csv", format="interchange")
    with pytest.raises(ConfigError, match="Unknown column 'instrution'.*Did you mean 'instruction'"):
        import_dataset([tmp_path / "r.csv"], output=tmp_path / "o.csv", columns={"instrution": "question"})
    with pytest.raises(ConfigError, match="--columns goes with plain rows; the columns of routellm are known"):
        import_dataset([tmp_path / "r.csv"], output=tmp_path / "o.csv", columns={"score": "s"}, format="routellm")


def test_a_format_that_does_not_fit_or_exist_is_refused(tmp_path: Path):
    path = rows_file(tmp_path / "r.jsonl", [row()])
    with pytest.raises(ConfigError, match="not of the format routerbench"):
        import_dataset([path], output=tmp_path / "o.csv", format="routerbench")
    with pytest.raises(ConfigError, match="Unknown import format 'routrbench'. Did you mean 'routerbench'"):
        import_dataset([path], output=tmp_path / "o.csv", format="routrbench")


def test_outputs_that_cannot_be_are_refused_before_anything_is_read(tmp_path: Path):
    path = rows_file(tmp_path / "r.jsonl", [row()])
    with pytest.raises(ConfigError, match=r"expected one of \.parquet, \.jsonl, \.csv"):
        import_dataset([path], output=tmp_path / "o.xlsx")
    with pytest.raises(ConfigError, match="exists already.*--overwrite"):
        import_dataset([path], output=path)
    with pytest.raises(ConfigError, match="is one of the files to import"):
        import_dataset([path], output=path, overwrite=True)
    with pytest.raises(ConfigError, match="Cannot write"):
        import_dataset([path], output=path / "below" / "o.csv")
    assert path.read_text() == json.dumps(row()) + "\n"


def test_a_failed_import_leaves_the_old_output_alone(tmp_path: Path):
    good, bad = rows_file(tmp_path / "g.jsonl", [row()]), rows_file(tmp_path / "b.jsonl", [row(score=7)])
    import_dataset([good], output=tmp_path / "o.parquet")
    before = (tmp_path / "o.parquet").read_bytes()
    with pytest.raises(DataError):
        import_dataset([bad], output=tmp_path / "o.parquet", overwrite=True)
    assert (tmp_path / "o.parquet").read_bytes() == before
    assert not list(tmp_path.glob(".import-*"))


def test_no_file_and_an_empty_folder_say_so(tmp_path: Path):
    with pytest.raises(ConfigError, match="No such file"):
        import_dataset([tmp_path / "absent.csv"], output=tmp_path / "o.csv")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="Nothing to import in .*empty"):
        import_dataset([tmp_path / "empty"], output=tmp_path / "o.csv")
