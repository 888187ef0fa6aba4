from pathlib import Path

import pandas as pd
import pytest

from dataset_build import ConfigError, DataError, Instruction, write_table
from dataset_build.src.decontamination import COMMON, LONGEST_RUN, SHORTEST_RUN, Contamination, Decontaminator

PASSAGE = (
    "the river rose by three metres in a single night and carried off the old bridge two barns and most of the hay "
    "that the village had stored for the winter"
)


def against(*texts: str) -> Decontaminator:
    return Decontaminator(Instruction(id=f"t{number}", text=text) for number, text in enumerate(texts))


def test_the_same_words_in_any_form_are_found():
    tests = against("What is 12 + 35?", "Capital of France?")
    assert tests.find("what is 12+35") == Contamination("in a test file", "t0")
    assert tests.find("CAPITAL OF FRANCE!") == Contamination("in a test file", "t1")
    assert tests.find("What is 12 + 36?") is None
    assert tests.find("What is the capital of France?") is None


def test_nearly_the_same_is_found_and_another_figure_is_another_question():
    tests = against(f"{PASSAGE}. Who paid the 40 pounds?")
    assert tests.find(f"Well, {PASSAGE}. Who paid the 40 pounds?") == Contamination("nearly in a test file", "t0")
    short = "If I pay 12 pounds for 3 apples and 9 pounds for 2 pears, what do I pay for 5 of each?"
    assert against(short).find(short.replace("and 9", "and 8")) is None


def test_a_passage_in_common_is_found_and_a_word_less_is_not():
    tests = against(f"Summarise: {PASSAGE}. One sentence.")
    run = PASSAGE.split()[4 : 4 + LONGEST_RUN]
    question = "Somebody once told me that {}, so what would you have done in my place, given no boat at all?"
    assert tests.find(question.format(" ".join(run))) == Contamination("shares a passage with a test file", "t0")
    assert tests.find(question.format(" ".join(run[:-1]))) is None


def test_a_test_instruction_of_a_few_words_counts_whole():
    eight = "name the longest river that flows through vienna"
    assert len(eight.split()) == SHORTEST_RUN
    longer = "Here is one from my book: {}? I would be glad of any hint."
    assert against(eight).find(longer.format(eight)) == Contamination("shares a passage with a test file", "t0")
    seven = eight.removeprefix("name ")
    assert against(seven).find(longer.format(seven)) is None


@pytest.mark.parametrize(("count", "is_template"), [(2, False), (3, True), (COMMON + 1, True)])
def test_the_wording_of_a_template_is_no_contamination(count: int, is_template: bool):
    template = "Answer the following question with one letter only and do not explain how you came to it at all, {}?"
    tests = against(*(template.format(f"is answer {chr(97 + n) * 3} right") for n in range(count)))
    found = tests.find(template.format("who painted the ceiling of the chapel in Rome and for which pope was it done"))
    assert (found is None) == is_template


def test_a_passage_that_several_of_many_tests_share_still_counts():
    tests = against(*(f"{PASSAGE}. {question}" for question in ("Who?", "When?", "Where?")), "Something else entirely")
    assert tests.find(f"Read this and weep, because {PASSAGE}, and that was that for all of us.") is not None


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".parquet"])
def test_files_of_every_format_are_read_with_a_mapping(ending: str, tmp_path: Path):
    frame = pd.DataFrame({"question": ["What is 2+2?"], "gold": ["4"]})
    path = tmp_path / f"test{ending}"
    if ending == ".csv":
        frame.to_csv(path, index=False)
    elif ending == ".jsonl":
        frame.to_json(path, orient="records", lines=True)
    else:
        frame.to_parquet(path)
    tests = Decontaminator.from_files([path], columns={"instruction": "question"})
    assert len(tests) == 1
    assert tests.find("what is 2+2") is not None


def test_a_file_in_interchange_form_counts_each_instruction_once(tmp_path: Path):
    rows = [{"instruction": f"Question {n}?", "expert": e, "score": 1.0} for e in "ab" for n in range(3)]
    write_table(pd.DataFrame(rows), tmp_path / "test.parquet")
    tests = Decontaminator.from_files([tmp_path / "test.parquet"])
    assert len(tests) == 3
    assert tests.find("question 2") is not None


def test_test_files_that_cannot_be_used_are_named(tmp_path: Path):
    (tmp_path / "test.csv").write_text("question\na\n")
    with pytest.raises(ConfigError, match="--columns instruction=question"):
        Decontaminator.from_files([tmp_path / "test.csv"])
    (tmp_path / "empty.csv").write_text("instruction\n")
    with pytest.raises(DataError, match="is empty"):
        Decontaminator.from_files([tmp_path / "empty.csv"])
