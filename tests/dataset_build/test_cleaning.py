import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from dataset_build import ConfigError, DataError, Instruction
from dataset_build.src.cleaning import Cleaner, CleaningReport, Deduplicate
from dataset_build.src.decontamination import Decontaminator
from dataset_build.src.mixing import in_proportion

LONG = (
    "Summarise the following report in one sentence: the river rose by three metres in a single night and carried off "
    "the old bridge, two barns and most of the winter hay, and nobody was hurt."
)


def kept(*instructions: Instruction, deduplicate: Deduplicate = "exact") -> tuple[list[str], CleaningReport]:
    cleaner = Cleaner(deduplicate=deduplicate)
    return [one.text for one in cleaner.kept(instructions)], cleaner.report


def test_the_same_text_with_the_same_reference_is_dropped_and_with_another_it_stays():
    found, report = kept(
        Instruction.create("What is it?", reference="A", source="one"),
        Instruction.create(" what  IS it?\n", reference="a", source="two"),
        Instruction.create("What is it?", reference="B"),
        Instruction.create("What is it?"),
        Instruction.create("What is it?", source="two"),
    )
    assert found == ["What is it?"] * 3
    assert (report.read, report.kept, report.dropped) == (5, 3, {"duplicate": 2})


def test_nearly_the_same_is_dropped_only_when_asked_for_and_only_with_the_same_reference():
    instructions = [
        Instruction.create(LONG, reference="flood"),
        Instruction.create("Please: " + LONG, reference="Flood"),
        Instruction.create("Please, " + LONG, reference="bridge"),
    ]
    assert len(kept(*instructions)[0]) == 3
    found, report = kept(*instructions, deduplicate="near")
    assert found == [LONG, "Please, " + LONG]
    assert report.dropped == {"near-duplicate": 1}
    assert report.examples == {"near-duplicate": [f"{instructions[1].id} (repeats {instructions[0].id})"]}


def test_nothing_is_compared_when_nothing_is_asked_for():
    assert kept(Instruction.create("a"), Instruction.create("a"), deduplicate="none")[0] == ["a", "a"]


def test_what_a_test_file_holds_is_dropped_unless_it_is_the_test_split(tmp_path: Path):
    (tmp_path / "test.csv").write_text("instruction\nWhat is 2+2?\n")
    instructions = [
        Instruction.create("what is 2 + 2"),
        Instruction.create("What is 2+3?"),
        Instruction.create("What is 2+2?", split="test"),
    ]
    cleaner = Cleaner(decontaminator=Decontaminator.from_files([tmp_path / "test.csv"]))
    report = cleaner.report
    assert [one.text for one in cleaner.kept(instructions)] == ["What is 2+3?", "What is 2+2?"]
    assert report.facts() == {
        "read": 3,
        "kept": 2,
        "dropped": {"in a test file": 1},
        "examples": report.examples,
    }
    assert report.examples["in a test file"][0].startswith(instructions[0].id)


def test_instructions_are_read_one_at_a_time():
    def one() -> Iterator[Instruction]:
        yield Instruction.create("a")
        raise AssertionError("read too far")

    assert next(Cleaner().kept(one())).text == "a"


def test_sources_that_share_a_cleaner_keep_their_weights():
    cleaner = Cleaner()
    doubled = (Instruction.create(f"a{n // 5}", source="a") for n in range(100))
    plain = (Instruction.create(f"b{n}", source="b") for n in range(100))
    mixture = in_proportion([cleaner.kept(doubled), cleaner.kept(plain)], [1, 1], [8, 8])
    assert [one.text for one in mixture] == [f"{name}{n}" for n in range(8) for name in "ab"]
    assert cleaner.report.dropped["duplicate"] == cleaner.report.read - 16


def test_the_log_has_a_line_per_reason_and_warns_of_losing_most(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    CleaningReport(read=3).log()
    assert caplog.records == []
    _, report = kept(*(Instruction.create("a", source=str(n)) for n in range(9)))
    report.log()
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert record.message.startswith("dropped 8 of 9 instructions (duplicate), such as ")
    assert record.message.count(",") == 5


def test_bad_arguments_are_said_before_anything_is_read(tmp_path: Path):
    with pytest.raises(ConfigError, match="threshold for near-duplicates is 0"):
        Cleaner(deduplicate="near", near_threshold=0)
    with pytest.raises(ConfigError, match="No such file"):
        Decontaminator.from_files([tmp_path / "absent.csv"])
    with pytest.raises(DataError, match="no instructions to decontaminate against"):
        Decontaminator([])
