import csv
import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset_build import ConfigError, DataError, Instruction, read_table, write_table
from dataset_build.src.records import storable
from dataset_build.src.sources.files import FileSource

ROWS = [
    {"question": "What is 1 + 1?", "answer": 2, "topic": "sums", "level": 1},
    {"question": "Capital of\nFrance, please?", "answer": "Paris", "topic": None, "level": 2},
    {"question": 'Say "hi", ütf', "answer": None, "topic": "chat", "level": 3},
]
COLUMNS = {"instruction": "question", "reference": "answer", "category": "topic"}


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    elif path.suffix == ".csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    else:
        frame = pd.DataFrame(rows)
        frame["answer"] = frame["answer"].astype("string") if "answer" in frame else None
        frame.to_parquet(path)
    return path


def read(path: Path, **options: Any) -> list[Instruction]:
    return list(FileSource(path, **options).instructions(seed=0))


@pytest.mark.parametrize("ending", [".jsonl", ".csv", ".parquet"])
def test_every_format_gives_the_same_instructions(ending: str, tmp_path: Path):
    found = read(write(tmp_path / f"questions{ending}", ROWS), columns=COLUMNS, category="other", metric="exact_match")
    assert [one.text for one in found] == [row["question"] for row in ROWS]
    assert [one.reference for one in found] == ["2", "Paris", None]
    assert [one.category for one in found] == ["sums", "other", "chat"]
    assert {one.metric for one in found} == {"exact_match"}
    assert [str(one.extra["level"]) for one in found] == ["1", "2", "3"]
    assert {one.source for one in found} == {f"questions{ending}"}
    assert len({one.id for one in found}) == 3


def test_canonical_names_need_no_mapping_and_a_rows_own_metric_wins(tmp_path: Path):
    rows = [
        {"instruction_id": "a", "instruction": "x", "reference": 1.0, "split": "dev", "metric": "number"},
        {"instruction": "y", "reference": [1, "é"], "split": "test", "source": "elsewhere"},
        {"instruction": "z", "reference": True},
    ]
    first, second, third = read(write(tmp_path / "q.jsonl", rows), metric="label")
    assert (first.id, first.reference, first.split, first.metric) == ("a", "1", "validation", "number")
    assert (second.reference, second.split, second.metric, second.source) == ('[1, "é"]', "test", "label", "elsewhere")
    assert third.reference == "true"


def test_integers_that_a_table_turned_into_floats_are_integers_again(tmp_path: Path):
    pd.DataFrame({"instruction": ["a", "b"], "reference": [18, None]}).to_parquet(tmp_path / "q.parquet")
    assert [one.reference for one in read(tmp_path / "q.parquet")] == ["18", None]


def test_a_limit_reads_no_further_than_it_must(tmp_path: Path):
    path = tmp_path / "q.jsonl"
    path.write_text("".join(f'{{"instruction": "number {n}"}}\n' for n in range(500)) + "broken")
    assert len(list(FileSource(path).instructions(seed=0, limit=200))) == 200
    with pytest.raises(DataError, match="line 501"):
        read(path)


def test_a_file_in_interchange_form_gives_each_instruction_once(tmp_path: Path):
    rows = [
        {
            "instruction_id": str(n),
            "instruction": f"q{n}",
            "expert": expert,
            "score": None if expert == "a" else 1.0,
            "metric": None if expert == "a" else "number",
            "response": "r",
            "cost": 0.1,
            "mine": n,
        }
        for expert in ("a", "b")
        for n in range(150)
    ]
    write_table(pd.DataFrame(rows), tmp_path / "table.parquet")
    found = read(tmp_path / "table.parquet")
    assert [one.id for one in found] == [str(n) for n in range(150)]
    assert {one.metric for one in found} == {"number"}
    assert found[7].extra == {"mine": 7}


def test_interchange_rows_without_ids_are_told_apart_by_text_and_reference(tmp_path: Path):
    lines = ["instruction,reference,expert,score", "q,1,a,1", "q,1,b,0", "q,2,a,1"]
    (tmp_path / "q.csv").write_text("\n".join(lines))
    assert [one.reference for one in read(tmp_path / "q.csv")] == ["1", "2"]


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path):
    for path, text in ((tmp_path / "q.csv", "instruction\nhi\n"), (tmp_path / "q.jsonl", '{"instruction": "hi"}\n\n')):
        path.write_bytes(b"\xef\xbb\xbf" + text.encode())
        assert [one.text for one in read(path)] == ["hi"]


def test_a_cell_of_a_megabyte_is_read(tmp_path: Path):
    (tmp_path / "q.csv").write_text("instruction\n" + "x" * 1_000_000 + "\n")
    assert len(read(tmp_path / "q.csv")[0].text) == 1_000_000


@pytest.mark.parametrize(
    ("name", "content", "error", "said"),
    [
        ("q.csv", b"question,answer\na,b\n", ConfigError, "--columns instruction=question"),
        ("q.csv", b"instructoin,answer\na,b\n", ConfigError, "Did you mean 'instructoin'"),
        ("q.csv", b"Prompt\na\n", ConfigError, "--columns instruction=Prompt"),
        ("q.csv", b"x;y\na;b\n", DataError, "its cells are parted by ';'"),
        ("q.csv", b"", DataError, "is empty"),
        ("q.csv", b"instruction,reference\n", DataError, "is empty"),
        ("q.csv", b"instruction,reference\nok,1\n  ,2\n", DataError, "row 2: the instruction"),
        ("q.csv", b"instruction,reference\na,1\na,b,2\n", DataError, "row 2 has 3 cells"),
        ("q.csv", b"instruction,instruction\na,1\n", DataError, "two columns called 'instruction'"),
        ("q.csv", b'instruction\nok\n"never closed', DataError, "not valid CSV"),
        ("q.csv", b"instruction\ncaf\xe9\n", DataError, "not UTF-8"),
        ("q.csv", b"instruction,split\na,holdout\n", DataError, "split 'holdout' is none of"),
        ("q.jsonl", b"", DataError, "is empty"),
        ("q.jsonl", b'{"instruction": "a"}\n{"instruction": \n', DataError, "line 2 is not valid JSON"),
        ("q.jsonl", b'{"instruction": "a"}\n[1]\n', DataError, "line 2 holds a list"),
        ("q.jsonl", b'{"instruction": "a"}\n{"instruction": "caf\xe9"}\n', DataError, "line 2 is not UTF-8"),
        ("q.jsonl", b'{"instruction": "a"}\n\n{"instruction": null}\n', DataError, "line 3: the instruction"),
        ("q.parquet", b"", DataError, "is empty"),
        ("q.parquet", b"no parquet at all", DataError, "not a Parquet file"),
    ],
)
def test_bad_content_is_one_line_that_says_where(
    name: str, content: bytes, error: type[Exception], said: str, tmp_path: Path
):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(error) as caught:
        read(tmp_path / name)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_bad_paths_and_mappings_are_refused(tmp_path: Path):
    path = write(tmp_path / "q.csv", ROWS)
    with pytest.raises(ConfigError, match="No such file"):
        FileSource(tmp_path / "absent.csv")
    with pytest.raises(ConfigError, match=r"ends in '\.txt'"):
        FileSource(tmp_path / "absent.txt")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(ConfigError, match="is no file"):
        FileSource(tmp_path / "folder.csv")
    with pytest.raises(ConfigError, match="Did you mean 'question'"):
        read(path, columns={"instruction": "questoin"})
    with pytest.raises(ConfigError, match="Did you mean 'instruction'"):
        read(path, columns={"instructions": "question"})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    return tmp_path_factory.mktemp("rows")


ENDINGS = st.sampled_from([".csv", ".jsonl", ".parquet"])
TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"])),
    st.text(st.sampled_from(list("\r\n\t\",;'\\\x00\ufeff\u2028\x85 ab")), max_size=12),
)
ASKED = TEXTS.filter(lambda text: bool(text.strip()))


@settings(max_examples=150, deadline=None)
@given(texts=st.lists(ASKED, min_size=1, max_size=6), ending=ENDINGS)
def test_any_text_survives_every_format(texts: list[str], ending: str, folder: Path):
    rows = [{"instruction": text, "n": n} for n, text in enumerate(texts)]
    assert [one.text for one in read(write(folder / f"any{ending}", rows))] == texts


@settings(max_examples=150, deadline=None)
@given(rows=st.lists(st.tuples(ASKED, TEXTS, st.none() | TEXTS), min_size=1, max_size=6), ending=ENDINGS)
def test_any_instruction_survives_being_written_in_interchange_form(
    rows: list[tuple[str, str, str | None]], ending: str, folder: Path
):
    frame = pd.DataFrame(
        {"instruction_id": str(n), "instruction": text, "reference": reference, "category": category, "expert": expert}
        for n, (text, reference, category) in enumerate(rows)
        for expert in "ab"
    ).assign(score=1.0)
    write_table(frame, folder / f"table{ending}")
    found = [(one.text, one.reference, one.category) for one in read(folder / f"table{ending}")]
    assert found == [(text, reference or None, category or None) for text, reference, category in rows]
    table = read_table(folder / f"table{ending}")
    assert list(table["instruction"]) == [text for text, _, _ in rows for _ in "ab"]


@settings(max_examples=80, deadline=None)
@given(text=st.text(st.characters(categories=["Cs", "L", "P"]), min_size=1), ending=ENDINGS)
def test_a_lone_surrogate_is_written_as_the_replacement_character(text: str, ending: str, folder: Path):
    frame = pd.DataFrame({"instruction": [text], "expert": ["a"], "score": [1.0]}, dtype=object)
    write_table(frame, folder / f"lone{ending}")
    (one,) = read(folder / f"lone{ending}")
    assert one.text == storable(text)
    assert len(one.text.encode()) > 0


def test_a_lone_surrogate_anywhere_in_a_row_is_replaced(tmp_path: Path):
    broken = "x\ud800"
    row = {"instruction": broken, "instruction_id": broken, "category": broken, broken: 1}
    (tmp_path / "q.jsonl").write_text(json.dumps(row))
    (one,) = read(tmp_path / "q.jsonl")
    mended = "x\ufffd"
    assert (one.text, one.id, one.category, dict(one.extra)) == (mended, mended, mended, {mended: 1})


def test_json_nested_too_deep_is_one_line(tmp_path: Path):
    (tmp_path / "q.jsonl").write_text('{"instruction": ' + "[" * 100_000 + "]" * 100_000 + "}")
    with pytest.raises(DataError, match="line 1 is not valid JSON"):
        read(tmp_path / "q.jsonl")


def test_parquet_damaged_in_the_middle_is_one_line(tmp_path: Path):
    path = tmp_path / "q.parquet"
    pd.DataFrame({"instruction": ["abc" * 1000] * 50}).to_parquet(path)
    content = bytearray(path.read_bytes())
    content[20:60] = b"z" * 40
    path.write_bytes(content)
    with pytest.raises(DataError, match="not a Parquet file that can be read"):
        read(path)


def test_bytes_in_a_parquet_file_are_text(tmp_path: Path):
    pd.DataFrame({"instruction": ["é".encode()]}).to_parquet(tmp_path / "q.parquet")
    assert read(tmp_path / "q.parquet")[0].text == "é"


def test_a_file_that_may_not_be_read_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "q.csv").write_text("instruction\na\n")
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ConfigError, match="Permission denied"):
        read(tmp_path / "q.csv")


def test_a_limit_counts_different_instructions(tmp_path: Path):
    (tmp_path / "q.csv").write_text("instruction\na\na\na\nb\nc\n")
    found = list(FileSource(tmp_path / "q.csv").instructions(seed=0, limit=2))
    assert list(dict.fromkeys(one.text for one in found)) == ["a", "b"]


def test_merging_takes_the_first_cell_of_each_column_and_objects_whole(tmp_path: Path):
    rows = [
        {"instruction": "q", "expert": "a", "score": 1, "response": "r" * 99, "more": {"x": 1}, "category": ""},
        {"instruction": "q", "expert": "b", "score": 1, "more": {"x": 2, "y": 3}, "category": "late", "text\u0000": 1},
        {"instruction": "p", "expert": "a", "score": 1},
    ]
    (tmp_path / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    first, second = read(tmp_path / "q.jsonl")
    assert (first.text, first.category, first.extra) == ("q", "late", {"more": {"x": 1}, "text\u0000": 1})
    assert (second.text, second.extra) == ("p", {})


def test_bytes_in_interchange_form_are_text(tmp_path: Path):
    frame = pd.DataFrame({"instruction": ["é".encode()], "expert": ["a"], "score": [1.0], "when": [pd.Timestamp(0)]})
    frame.to_parquet(tmp_path / "q.parquet")
    (one,) = read(tmp_path / "q.parquet")
    assert (one.text, one.extra) == ("é", {"when": "1970-01-01 00:00:00"})


def test_merging_does_not_hold_the_file_in_memory(tmp_path: Path):
    path = tmp_path / "q.jsonl"
    with path.open("w") as file:
        for n in range(5_000):
            row = {"instruction": f"{n} " + "text " * 100, "expert": "a", "score": 1, "response": "answer " * 100}
            file.write(json.dumps(row) + "\n")
    size = path.stat().st_size
    tracemalloc.start()
    assert sum(1 for _ in FileSource(path).instructions(seed=0)) == 5_000
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < size / 10


def test_a_shuffled_file_has_all_rows_in_an_order_the_seed_decides(tmp_path: Path):
    path = tmp_path / "q.csv"
    path.write_text("instruction\n" + "".join(f"{n}\n" for n in range(500)))

    def order(seed: int, buffer: int) -> list[int]:
        return [int(one.text) for one in FileSource(path, shuffle_buffer=buffer).instructions(seed=seed)]

    assert order(1, 50) == order(1, 50) != order(2, 50)
    assert sorted(order(1, 50)) == list(range(500))
    assert order(1, 1) == list(range(500))
    assert min(order(1, 50)[400:]) > 0
    assert sum(order(1, 10_000)[:100]) / 100 == pytest.approx(250, abs=60)
    with pytest.raises(ConfigError, match="shuffle_buffer is 0"):
        order(1, 0)


def test_a_shuffled_file_names_the_row_that_is_wrong(tmp_path: Path):
    (tmp_path / "q.csv").write_text("instruction,n\n" + "a,1\n" * 6 + ",2\n" + "b,3\n" * 9)
    with pytest.raises(DataError, match="row 7: the instruction"):
        read(tmp_path / "q.csv", shuffle_buffer=4)


def test_a_template_and_a_path_work_on_files(tmp_path: Path):
    row = {"instruction": "Add", "input": "", "question": {"stem": "Why?"}, "answers": [{"text": "So"}], "id": 3}
    (tmp_path / "q.jsonl").write_text(json.dumps(row))
    template = "{instruction}: {question.stem}\n\n{input}"
    (one,) = read(tmp_path / "q.jsonl", template=template, columns={"reference": "answers[0].text"})
    assert (one.text, one.reference, one.extra) == ("Add: Why?", "So", {"id": 3})
    with pytest.raises(ConfigError, match=r"no column 'quetsion' \(in the template\). Did you mean 'question'"):
        read(tmp_path / "q.jsonl", template="{quetsion.stem}")
    with pytest.raises(ConfigError, match="a template and a column for the instruction"):
        read(tmp_path / "q.jsonl", template="{input}", columns={"instruction": "input"})
    with pytest.raises(ConfigError, match="give a template"):
        read(tmp_path / "q.jsonl", first_option=0)
    with pytest.raises(DataError, match=r"all of its template\) is empty"):
        read(tmp_path / "q.jsonl", template="Question: {input}")
