"""Flags in both spellings, booleans in all four, errors in one line."""

import pytest

from dataset_build import ConfigError, EarlyStopError, Parser, comma_list, parse_columns, positive_int, run_command


def parser() -> Parser:
    made = Parser(prog="moe test")
    made.add_argument("--batch_size", type=positive_int)
    made.add_argument("--columns", type=parse_columns)
    made.add_boolean("--use_existing_dataset", default=False)
    made.add_argument("text", nargs="?")
    return made


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], False),
        (["--use_existing_dataset"], True),
        (["--use-existing-dataset"], True),
        (["--use_existing_dataset", "True"], True),
        (["--use_existing_dataset", "False"], False),
        (["--use-existing-dataset=false"], False),
        (["--no-use-existing-dataset"], False),
        (["--no_use_existing_dataset"], False),
    ],
)
def test_booleans_are_taken_in_every_spelling(arguments: list[str], expected: bool):
    assert parser().parse_args(arguments).use_existing_dataset is expected


def test_a_bare_boolean_does_not_eat_the_text():
    parsed = parser().parse_args(["--use_existing_dataset", "hello"])
    assert parsed.use_existing_dataset is True
    assert parsed.text == "hello"


def test_what_follows_two_dashes_is_left_alone():
    assert parser().parse_args(["--", "--a-b"]).text == "--a-b"


def test_both_spellings_of_a_flag_are_one():
    assert parser().parse_args(["--batch-size", "3"]) == parser().parse_args(["--batch_size=3"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--batch_size", "0"], "at least 1, got '0'"),
        (["--batch_size", "many"], "at least 1, got 'many'"),
        (["--batchsize", "3"], "Did you mean --batch_size?"),
        (["--use_existing_dataset=perhaps"], "expected True or False, got 'perhaps'"),
        (["--columns", "instruction"], "expected NAME=COLUMN"),
    ],
)
def test_a_wrong_argument_is_one_line_and_code_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(SystemExit) as stop:
        parser().parse_args(arguments)
    assert stop.value.code == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1


def test_lists_and_mappings_are_split_on_commas():
    assert comma_list("a, b,,c") == ["a", "b", "c"]
    assert parse_columns("instruction=question, reference=answer") == {
        "instruction": "question",
        "reference": "answer",
    }


def raising(problem: BaseException) -> int:
    raise problem


@pytest.mark.parametrize(
    ("problem", "code", "said"),
    [
        (ConfigError("two\nlines"), 2, "moe test: two lines\n"),
        (EarlyStopError("kept"), 3, "moe test: kept\n"),
        (KeyboardInterrupt(), 3, "moe test: interrupted\n"),
    ],
)
def test_a_known_problem_becomes_one_line_and_its_code(
    problem: BaseException, code: int, said: str, capsys: pytest.CaptureFixture[str]
):
    assert run_command("moe test", lambda: raising(problem)) == code
    assert capsys.readouterr().err == said


def test_an_unknown_problem_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        run_command("moe test", lambda: raising(ZeroDivisionError()))


def test_output_that_nobody_reads_is_no_error_and_output_that_cannot_be_written_is_one_line(capsys):
    assert run_command("moe test", lambda: raising(BrokenPipeError(32, "gone"))) == 0
    assert capsys.readouterr().err == ""
    assert run_command("moe test", lambda: raising(OSError(28, "No space left on device"))) == 2
    assert capsys.readouterr().err == "moe test: cannot write the output: No space left on device\n"
    with pytest.raises(FileNotFoundError):
        run_command("moe test", lambda: raising(FileNotFoundError(2, "no", "file")))
