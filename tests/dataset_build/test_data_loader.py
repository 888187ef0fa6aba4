import logging
from pathlib import Path

import pytest

from dataset_build import ConfigError, DataError, SourceConfig, load_instructions, parse_source
from dataset_build.src.cleaning import Cleaner
from dataset_build.src.data_loader import gather, load_source
from dataset_build.src.decontamination import Decontaminator
from dataset_build.src.sources.files import FileSource
from dataset_build.src.sources.hugging_face import HuggingFaceSource


@pytest.fixture
def files(tmp_path: Path) -> list[SourceConfig]:
    (tmp_path / "a.csv").write_text("instruction,reference\na1,1\na2,2\na3,3\na1,1\na1,other\n")
    (tmp_path / "b.jsonl").write_text('{"instruction": "b1", "metric": "number"}\n')
    return [SourceConfig(source=str(tmp_path / name)) for name in ("a.csv", "b.jsonl")]


def test_sources_are_taken_in_turn_and_a_limit_keeps_some_of_each(files: list[SourceConfig]):
    assert [one.text for one in load_instructions(files, seed=0, limit=3)] == ["a1", "b1", "a2"]
    assert [one.metric for one in load_instructions(files, seed=0, limit=2)] == [None, "number"]


def test_duplicates_are_dropped_and_counted_but_another_reference_is_another_instruction(
    files: list[SourceConfig], caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO)
    found = load_instructions(files, seed=0, limit=None)
    assert [(one.text, one.reference) for one in found if one.text == "a1"] == [("a1", "1"), ("a1", "other")]
    assert len(found) == 5
    assert "1 of 6 instructions came twice" in caplog.text


def test_one_id_for_two_texts_is_refused(tmp_path: Path):
    (tmp_path / "q.csv").write_text("instruction_id,instruction\n1,x\n1,y\n")
    with pytest.raises(DataError, match="stands for two texts"):
        load_instructions([SourceConfig(source=str(tmp_path / "q.csv"))], seed=0)


def test_the_same_seed_gives_the_same_bundled_instructions():
    config = [parse_source("bundled")]
    first = load_instructions(config, seed=3, limit=40)
    assert first == load_instructions(config, seed=3, limit=40)
    assert first != load_instructions(config, seed=4, limit=40)
    assert len({one.id for one in first}) == 40


def test_no_sources_and_a_limit_of_nothing_are_refused(files: list[SourceConfig]):
    with pytest.raises(DataError, match="no instructions"):
        load_instructions([], seed=0)
    with pytest.raises(ConfigError, match="at least 1"):
        load_instructions(files, seed=0, limit=0)


def test_the_shorthand_tells_names_files_and_hub_ids_apart(tmp_path: Path):
    assert parse_source("bundled").source == "bundled"
    assert parse_source("data/q.csv").options() == {"path": "data/q.csv"}
    assert parse_source("hf:org/name").options() == {"dataset": "org/name"}
    assert parse_source("hf:org/name:main").options() == {"dataset": "org/name", "config": "main"}
    assert parse_source(f"hf:{tmp_path}").options() == {"dataset": str(tmp_path)}
    with_columns = parse_source("q.csv", options={"columns": {"instruction": "question"}})
    assert with_columns.options() == {"path": "q.csv", "columns": {"instruction": "question"}}


def test_a_configuration_may_hold_the_shorthand(tmp_path: Path):
    (tmp_path / "q.csv").write_text("question\nx\n")
    config = SourceConfig.model_validate({"source": str(tmp_path / "q.csv"), "columns": {"instruction": "question"}})
    assert isinstance(load_source(config), FileSource)
    assert isinstance(load_source(SourceConfig(source="hf:org/name")), HuggingFaceSource)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"source": "budnled"}, "Did you mean 'bundled'"),
        ({"source": "bundled", "per_categroy": 3}, "Did you mean 'per_category'"),
        ({"source": "bundled", "per_category": "many"}, "valid integer"),
        ({"source": "file"}, "option 'path' is missing"),
        ({"source": "hf:org/name", "timeout_s": 0}, "above 0"),
    ],
)
def test_a_bad_configuration_is_one_line(values: dict[str, object], said: str):
    with pytest.raises(ConfigError) as caught:
        load_source(SourceConfig.model_validate(values))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_where_cleaning_leaves_nothing_it_says_so(tmp_path):
    (tmp_path / "q.csv").write_text("instruction\nWhat is 2+2?\n")
    config = [SourceConfig(source=str(tmp_path / "q.csv"))]
    cleaner = Cleaner(decontaminator=Decontaminator(load_instructions(config)))
    with pytest.raises(DataError, match="Every instruction of .* was dropped .*--decontaminate"):
        gather(config, cleaner=cleaner)
