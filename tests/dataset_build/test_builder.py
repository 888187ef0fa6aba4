"""The build as its users see it: the command, killed, interrupted, resumed, continued, refused."""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from dataset_build import BuildConfig, DataError, build_dataset, read_dataset_json, read_table
from dataset_build.src.builder import build_parser, main
from dataset_build.src.options import without_secrets
from dataset_build.src.response_store import JOURNAL_NAME, ResponseStore
from dataset_build.src.scorers import scorers

ROOT = Path(__file__).resolve().parents[2]
BUILDER = ROOT / "dataset_build" / "src" / "builder.py"

#: A third party's package with three tools; each call of theirs adds a byte to a file.
PLUGIN = """
import os, time
from dataset_build import CannotAnswerError, ToolExpert

class Counted(ToolExpert):
    def solve(self, text):
        file = os.open(os.environ["CALLS_FILE"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(file, b".")
        os.close(file)
        time.sleep(float(os.environ.get("CALL_SECONDS", "0")))
        return self.reply(text)

class Last(Counted):
    tool_name = "last"
    def reply(self, text):
        return text.split()[-1]

class First(Counted):
    tool_name = "first"
    def reply(self, text):
        if "7" in text:
            raise CannotAnswerError("sevens")
        return text.split()[0]

class Flaky(Counted):
    tool_name = "flaky"
    def reply(self, text):
        if text.endswith("3") and os.environ.get("FLAKY"):
            raise ValueError(text)
        return "4"
"""


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """Install the plug-in on the path, and return the file its calls are counted in."""
    folder = tmp_path / "site"
    info = folder / "counted-1.dist-info"
    info.mkdir(parents=True)
    (folder / "counted_plugin.py").write_text(PLUGIN)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: counted\nVersion: 1\n")
    points = "\n".join(f"{name.lower()} = counted_plugin:{name}" for name in ("Last", "First", "Flaky"))
    (info / "entry_points.txt").write_text(f"[moe_toolkit.expert]\n{points}\n")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.setenv("CALLS_FILE", str(tmp_path / "calls"))
    monkeypatch.setattr("dataset_build.src.experts.providers._plugins", None)
    monkeypatch.setattr("dataset_build.src.experts.tools.tools._plugins", None)
    (tmp_path / "calls").touch()
    return tmp_path / "calls"


def questions(path, count, start=0):
    rows = [{"question": f"say {n % 10}, number {n}", "answer": str(n)} for n in range(start, start + count)]
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


def arguments(source, output, *more, experts="last,first,flaky"):
    columns = "instruction=question,reference=answer"
    return [
        "--sources", str(source), "--columns", columns, "--experts", experts, "--output", str(output),
        "--workers", "2", *more,
    ]  # fmt: skip


def start(command, **environment):
    return subprocess.Popen(
        [sys.executable, str(BUILDER), *command],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def wait_for_calls(calls, count, process):
    while calls.stat().st_size < count and process.poll() is None:
        time.sleep(0.002)


def test_a_build_writes_the_dataset_its_card_and_its_facts(tmp_path, plugin, capsys):
    output = tmp_path / "data"
    assert main(arguments(questions(tmp_path / "q.csv", 40), output)) == 0
    said = capsys.readouterr()
    assert "120 of 120 responses" in said.err
    assert "moe train --dataset" in said.out
    assert "last" in said.out
    assert sorted(path.name for path in output.iterdir()) == ["README.md", "data", "dataset.json", "labels"]
    frame = read_table(output)
    assert len(frame) == 120
    assert frame.groupby("expert")["score"].mean()["last"] == 1.0
    assert frame["cost"].gt(0).all()
    facts = read_dataset_json(output)
    assert [expert["name"] for expert in facts["experts"]] == ["last", "first", "flaky"]
    assert facts["experts"][0]["price"]["per_core_hour"] == 0.05
    assert facts["experts"][0]["config"] == {"provider": "last", "name": "last"}
    assert facts["counts"]["responses"] == 120
    assert facts["metrics"] == {"exact_match": scorers["exact_match"].version}
    assert facts["config"]["sources"][0]["columns"] == {"instruction": "question", "reference": "answer"}
    assert len(facts["content_hash"]) == 64
    card = (output / "README.md").read_text()
    assert "| last | 1.000 |" in card
    assert plugin.stat().st_size == 120


def test_the_hub_library_loads_the_folder(tmp_path, plugin, monkeypatch):
    datasets = pytest.importorskip("datasets")
    output = tmp_path / "data"
    assert main(arguments(questions(tmp_path / "q.csv", 30), output, "--quiet")) == 0
    loaded = datasets.load_dataset(str(output), cache_dir=str(tmp_path / "cache"))
    assert sum(len(part) for part in loaded.values()) == 90
    assert set(loaded) <= {"train", "validation", "test"}


def test_a_finished_dataset_is_refused_continued_or_replaced(tmp_path, plugin, capsys, monkeypatch):
    output, first = tmp_path / "data", questions(tmp_path / "q.csv", 20)
    monkeypatch.setenv("FLAKY", "1")
    assert main(arguments(first, output, experts="last,flaky")) == 0
    assert read_dataset_json(output)["counts"]["failed"] == 2
    assert main(arguments(first, output)) == 2
    said = capsys.readouterr().err.splitlines()
    assert "--use_existing_dataset True" in said[-1]
    assert plugin.stat().st_size == 40

    # A new expert, ten new instructions, and the failures tried again; an expert that is not named is carried along.
    monkeypatch.delenv("FLAKY")
    more = questions(tmp_path / "more.csv", 10, start=100)
    continuing = arguments(f"{first},{more}", output, "--use_existing_dataset", "True", experts="first,flaky")
    assert main(continuing) == 0
    assert plugin.stat().st_size == 40 + 30 + 10 + 2
    frame = read_table(output)
    assert frame.groupby("expert").size().to_dict() == {"first": 30, "flaky": 30, "last": 20}
    assert frame["error"].isna().all()
    assert frame[frame["expert"] == "last"]["score"].eq(1.0).all()
    assert not (output / JOURNAL_NAME).exists()

    # Continuing without anything new asks nothing and changes nothing.
    before = read_dataset_json(output)["content_hash"]
    assert main(continuing) == 0
    assert plugin.stat().st_size == 82
    assert read_dataset_json(output)["content_hash"] == before

    assert main(arguments(first, output, "--overwrite", experts="last")) == 0
    assert plugin.stat().st_size == 102
    assert set(read_table(output)["expert"]) == {"last"}


def test_a_renamed_source_and_a_corrected_reference_cost_no_call_and_leave_no_second_row(tmp_path, plugin, capsys):
    output, source = tmp_path / "data", questions(tmp_path / "q.csv", 20)
    assert main(arguments(source, output, "--quiet", experts="last")) == 0
    before = read_table(output).set_index("instruction_id")
    renamed = pd.read_csv(source, dtype=str)
    source.unlink()
    renamed.to_csv(tmp_path / "renamed.csv", index=False)
    again = arguments(tmp_path / "renamed.csv", output, "--use_existing_dataset", experts="last")
    assert main([*again, "--dry_run"]) == 0
    assert main(again) == 0
    assert capsys.readouterr().out.count("20 instructions are there from a source of another name") == 2
    after = read_table(output).set_index("instruction_id")
    assert after.equals(before)

    questions(tmp_path / "q.csv", 20)
    corrected = pd.read_csv(tmp_path / "q.csv", dtype=str).replace({"answer": {"7": "8"}})
    corrected.to_csv(tmp_path / "q.csv", index=False)
    assert main(arguments(tmp_path / "q.csv", output, "--use_existing_dataset", experts="last")) == 0
    assert "1 instructions are there with another reference: their answers are reused" in " ".join(
        capsys.readouterr().out.split()
    )
    frame = read_table(output)
    assert len(frame) == 20
    assert sorted(frame.loc[frame["reference"] == "8", "score"]) == [0.0, 1.0]
    assert "7" not in set(frame["reference"])
    assert plugin.stat().st_size == 20


def test_continuing_keeps_every_instruction_in_its_split(tmp_path, plugin):
    output, source = tmp_path / "data", questions(tmp_path / "q.csv", 40)
    assert main(arguments(source, output, "--quiet", experts="last")) == 0
    before = read_table(output).set_index("instruction_id")["split"].to_dict()
    again = arguments(source, output, "--quiet", "--use_existing_dataset", "--seed", "9", experts="last")
    assert main(again) == 0
    assert read_table(output).set_index("instruction_id")["split"].to_dict() == before


def test_another_metric_scores_the_same_answers_anew(tmp_path, plugin):
    output, source = tmp_path / "data", questions(tmp_path / "q.csv", 10)
    assert main(arguments(source, output, "--quiet")) == 0
    assert main(arguments(source, output, "--quiet", "--use_existing_dataset", "--metric", "number")) == 0
    assert set(read_table(output)["metric"]) == {"number"}
    assert plugin.stat().st_size == 30


def test_an_expert_that_never_answers_is_a_warning_and_when_none_does_it_ends(tmp_path, plugin, capsys, monkeypatch):
    monkeypatch.setenv("FLAKY", "1")
    pd.DataFrame([{"question": "say 3", "answer": "3"}, {"question": "3", "answer": "3"}]).to_csv(tmp_path / "q.csv")
    assert main(arguments(tmp_path / "q.csv", tmp_path / "a", experts="flaky,last")) == 0
    assert "Warning: flaky did not give a single answer (crash)" in capsys.readouterr().err
    assert main(arguments(tmp_path / "q.csv", tmp_path / "b", experts="flaky")) == 2
    assert "No expert gave a single answer; the first call ended in 'crash:" in capsys.readouterr().err
    assert not (tmp_path / "b" / "dataset.json").exists()
    monkeypatch.delenv("FLAKY")
    assert main(arguments(tmp_path / "q.csv", tmp_path / "b", experts="flaky")) == 0
    assert read_table(tmp_path / "b")["error"].isna().all()


@pytest.mark.slow
def test_builds_killed_at_random_equal_an_undisturbed_one_and_pay_for_little_twice(tmp_path, plugin):
    """Set KILLS=20 for the full number."""
    kills = int(os.environ.get("KILLS", "4"))
    count, batch_size, experts = 300, 20, 3
    source = questions(tmp_path / "q.csv", count)
    assert main(arguments(source, tmp_path / "whole", "--quiet")) == 0
    whole = read_dataset_json(tmp_path / "whole")
    assert plugin.stat().st_size == count * experts
    plugin.write_bytes(b"")

    chance = random.Random(0)
    command = arguments(source, tmp_path / "killed", "--batch_size", str(batch_size))
    for kill in range(kills):
        done = plugin.stat().st_size
        process = start(command, CALL_SECONDS="0.004")
        if kill % 4 == 3:  # at any moment: while starting, or between two calls
            time.sleep(chance.uniform(0, 0.6))
        else:  # after some progress
            left = max(1, 2 * (count * experts - done) // (kills - kill + 2))
            wait_for_calls(plugin, done + chance.randint(1, left), process)
        process.kill()
        finish(process)
        assert process.returncode == -signal.SIGKILL
    code, _, error = finish(start(command))
    assert code == 0, error
    killed = read_dataset_json(tmp_path / "killed")
    assert killed["content_hash"] == whole["content_hash"]
    assert killed["counts"] == whole["counts"]
    assert plugin.stat().st_size <= count * experts + kills * batch_size * experts
    columns = ["instruction_id", "instruction", "reference", "split", "expert", "response", "score", "metric"]
    pd.testing.assert_frame_equal(read_table(tmp_path / "killed")[columns], read_table(tmp_path / "whole")[columns])


@pytest.mark.slow
def test_ctrl_c_ends_with_3_keeps_all_and_the_same_command_resumes(tmp_path, plugin):
    command = arguments(questions(tmp_path / "q.csv", 300), tmp_path / "data")
    process = start(command, CALL_SECONDS="0.01")
    wait_for_calls(plugin, 60, process)
    second = start(command)
    code, _, error = finish(second)
    assert code == 2
    assert error.count("\n") == 1
    assert "Another build is writing to" in error
    process.send_signal(signal.SIGINT)
    code, _, error = finish(process)
    assert code == 3
    assert "answers kept in" in error.splitlines()[-1]
    assert "Traceback" not in error
    paid = plugin.stat().st_size
    with ResponseStore(tmp_path / "data" / JOURNAL_NAME) as store:
        assert paid - len(store) <= 20
    code, _, error = finish(start(command))
    assert code == 0, error
    assert "of them there already" in error
    assert plugin.stat().st_size <= 920
    assert len(read_table(tmp_path / "data")) == 900


@pytest.mark.slow
def test_an_interrupted_overwrite_resumes_and_keeps_the_old_dataset_meanwhile(tmp_path, plugin):
    output, source = tmp_path / "data", questions(tmp_path / "q.csv", 150)
    assert main(arguments(source, output, "--quiet", experts="last")) == 0
    old = read_dataset_json(output)["content_hash"]
    command = arguments(source, output, "--overwrite")
    process = start(command, CALL_SECONDS="0.005")
    wait_for_calls(plugin, 150 + 100, process)
    process.kill()
    finish(process)
    assert read_dataset_json(output)["content_hash"] == old
    assert main(arguments(source, output)) == 2  # without the flag the old one is still in the way
    assert main(command) == 0
    assert plugin.stat().st_size <= 150 + 450 + 20
    assert len(read_table(output)) == 450


def test_a_build_killed_after_the_dataset_is_in_place_ends_well_when_repeated(tmp_path, plugin, monkeypatch):
    def killed(store):
        raise KeyboardInterrupt

    command = arguments(questions(tmp_path / "q.csv", 10), tmp_path / "data", "--quiet")
    with monkeypatch.context() as patched:
        patched.setattr(ResponseStore, "delete", killed)
        assert main(command) == 3
    before = read_dataset_json(tmp_path / "data")["content_hash"]
    assert main(command) == 0
    assert read_dataset_json(tmp_path / "data")["content_hash"] == before
    assert plugin.stat().st_size == 30
    assert main(command) == 2


def test_a_journal_of_another_configuration_is_used_where_it_fits(tmp_path, plugin):
    output, source = tmp_path / "data", questions(tmp_path / "q.csv", 20)
    process = start(arguments(source, output, experts="last"), CALL_SECONDS="0.05")
    wait_for_calls(plugin, 8, process)
    process.kill()
    finish(process)
    with ResponseStore(output / JOURNAL_NAME) as store:
        kept = len(store)
    assert kept >= 4
    paid = plugin.stat().st_size
    config = BuildConfig(
        sources=[{"source": "file", "path": str(questions(tmp_path / "more.csv", 25)),
                  "columns": {"instruction": "question", "reference": "answer"}}],
        experts=[{"provider": "last"}, {"provider": "echo"}], output=output, seed=5, workers=1,
    )  # fmt: skip
    assert build_dataset(config) == output
    assert len(read_table(output)) == 50
    assert plugin.stat().st_size - paid <= 25


def test_a_question_that_was_edited_under_its_id_is_asked_anew(tmp_path, plugin, capsys, caplog):
    output, source = tmp_path / "data", tmp_path / "q.csv"
    rows = pd.DataFrame({"instruction_id": ["a", "b"], "question": ["say 1", "say 2"], "answer": ["1", "2"]})
    rows.to_csv(source, index=False)
    columns = "instruction=question,reference=answer,instruction_id=instruction_id"
    command = ["--sources", str(source), "--columns", columns, "--experts", "last", "--output", str(output), "--quiet"]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("dataset_build.src.building._write", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            main(command)
    assert plugin.stat().st_size == 2
    rows.assign(question=["say 1", "tell me 3"], answer=["1", "3"]).to_csv(source, index=False)
    assert main([*command, "--dry_run"]) == 0
    assert "1 calls to make" in capsys.readouterr().out
    assert main(command) == 0
    frame = read_table(output).sort_values("instruction_id")
    assert frame["response"].tolist() == ["1", "3"]
    assert frame["score"].tolist() == [1.0, 1.0]
    assert plugin.stat().st_size == 3
    assert "1 answers belong to instructions whose text has changed since" in caplog.text


def run_into(command, out, err):
    """Run the builder with these streams; returns its exit code and, where it is a pipe, what stderr said."""
    process = subprocess.run([sys.executable, str(BUILDER), *command], stdout=out, stderr=err, timeout=120)
    return process.returncode, (process.stderr or b"").decode()


def closed_pipe():
    read, write = os.pipe()
    os.close(read)
    return write


def test_an_unfinished_build_goes_on_with_a_renamed_source_and_a_corrected_reference(tmp_path, plugin, caplog):
    output, source = tmp_path / "data", questions(tmp_path / "q.csv", 5)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("dataset_build.src.building._write", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            main(arguments(source, output, "--quiet", experts="last"))
    corrected = pd.read_csv(source, dtype=str).replace({"answer": {"3": "4"}})
    corrected.to_csv(tmp_path / "renamed.csv", index=False)
    assert main(arguments(tmp_path / "renamed.csv", output, "--quiet", experts="last")) == 0
    assert sorted(read_table(output)["score"]) == [0.0, 1.0, 1.0, 1.0, 1.0]
    assert plugin.stat().st_size == 5
    assert "5 instructions have another id now" in caplog.text


def test_a_build_goes_on_when_nobody_reads_what_it_says(tmp_path, plugin):
    source, output = questions(tmp_path / "q.csv", 10), tmp_path / "data"
    gone = closed_pipe()
    assert run_into(arguments(source, output, experts="last"), gone, gone) == (0, "")
    assert len(read_table(output)) == 10
    more = arguments(source, output, "--use_existing_dataset", experts="last,first")
    code, said = run_into(more, gone, subprocess.PIPE)
    assert code == 3
    assert said.endswith("nobody reads the output; nothing was asked yet. The same command resumes.\n")
    assert plugin.stat().st_size == 10
    os.close(gone)
    assert run_into(more, subprocess.DEVNULL, subprocess.PIPE)[0] == 0
    assert plugin.stat().st_size == 20


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_under_the_output_is_no_traceback(tmp_path, plugin):
    command = arguments(questions(tmp_path / "q.csv", 10), tmp_path / "data", experts="last")
    with open("/dev/full", "wb") as full:
        code, said = run_into([*command, "--dry_run"], full, subprocess.PIPE)
        assert (code, said.splitlines()[-1]) == (2, "builder.py: cannot write the output: No space left on device")
        assert "Traceback" not in said
        assert run_into(command, subprocess.DEVNULL, full) == (0, "")
    assert len(read_table(tmp_path / "data")) == 10


def test_a_build_runs_inside_a_running_event_loop(tmp_path, plugin):
    config = BuildConfig(
        sources=[{"source": "file", "path": str(questions(tmp_path / "q.csv", 3)),
                  "columns": {"instruction": "question", "reference": "answer"}}],
        experts=[{"provider": "echo"}], output=tmp_path / "data",
    )  # fmt: skip

    async def notebook():
        return build_dataset(config)

    assert len(read_table(asyncio.run(notebook()))) == 3


def test_a_config_file_gives_options_and_flags_beat_it(tmp_path, plugin):
    source = questions(tmp_path / "q.csv", 5)
    file = tmp_path / "build.yaml"
    file.write_text(
        f"sources: [{{source: file, path: {source}, columns: {{instruction: question, reference: answer}}}}]\n"
        f"experts: [{{provider: echo, name: parrot, price: {{per_call: 0.5}}}}]\n"
        f"output: {tmp_path / 'x'}\nmax_iter: 2\n"
    )
    assert main(["--config", str(file), "--max-iter", "4", "--output", str(tmp_path / "y"), "--quiet"]) == 0
    frame = read_table(tmp_path / "y")
    assert frame["expert"].tolist() == ["parrot"] * 4
    assert frame["cost"].eq(0.5).all()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--batch_size", "0"], "at least 1"),
        (["--experts", "lost"], "Did you mean 'last'"),
        (["--metric", "exact_mach"], "Did you mean 'exact_match'"),
        (["--sources", "absent.csv"], "absent.csv"),
        (["--sources", "bundled"], "--columns"),
        (["--config", "absent.yaml"], "No such configuration file"),
        (["--timeout_s", "0"], "timeout_s"),
        (["--engine", "rey"], "engine"),
        (["--output", "full"], "holds other files"),
        (["--output", "q.csv"], "is a file"),
        (["--output", "q.csv/sub"], "q.csv"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(tmp_path, plugin, capsys, monkeypatch, more, said):
    monkeypatch.chdir(tmp_path)
    questions(tmp_path / "q.csv", 3)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").touch()
    before = sorted(tmp_path.rglob("*"))
    try:
        code = main([*arguments("q.csv", "out"), *more])
    except SystemExit as stop:
        code = stop.code
    error = capsys.readouterr().err
    assert code == 2
    assert error.count("\n") == 1
    assert said in error
    assert [path for path in sorted(tmp_path.rglob("*")) if "__pycache__" not in path.parts] == before


def test_a_damaged_dataset_to_continue_from_is_said(tmp_path, plugin):
    output, source = tmp_path / "data", questions(tmp_path / "q.csv", 5)
    assert main(arguments(source, output, "--quiet")) == 0
    config = BuildConfig(
        sources=[{"source": "file", "path": str(source), "columns": {"instruction": "question"}}],
        experts=[{"provider": "echo"}], output=output, use_existing_dataset=True,
    )  # fmt: skip
    facts = json.loads((output / "dataset.json").read_text())
    (output / "dataset.json").write_text(json.dumps({**facts, "experts": [{"name": "last"}]}))
    with pytest.raises(DataError, match="lacks 'request'"):
        build_dataset(config)
    (output / "dataset.json").write_text(json.dumps(facts))
    for part in (output / "data").iterdir():
        part.write_bytes(b"no parquet")
    with pytest.raises(DataError, match="Cannot read"):
        build_dataset(config)


def test_secrets_never_reach_the_dataset():
    given = {"api_key": "sk-1", "api_key_env": "KEY", "headers": [{"Authorization": "Bearer x", "Accept": "y"}]}
    assert without_secrets(given) == {"api_key_env": "KEY", "headers": [{"Accept": "y"}]}
    assert without_secrets({"max_tokens": 7}) == {"max_tokens": 7}


def test_help_names_every_option_of_a_build():
    text = build_parser("moe build").format_help()
    for name in BuildConfig.model_fields:
        assert f"--{name}" in text


def test_a_dataset_without_references_says_that_nothing_is_scored(tmp_path, capsys):
    (tmp_path / "q.csv").write_text('instruction,category\nhello,"two\nlines | and a bar"\n')
    assert main(["--sources", str(tmp_path / "q.csv"), "--experts", "echo", "--output", str(tmp_path / "data")]) == 0
    assert "1 answers have no score by exact_match: no reference" in capsys.readouterr().err
    assert "| two lines / and a bar | 1 |" in (tmp_path / "data" / "README.md").read_text()


def test_what_was_asked_of_a_row_survives_a_continued_build(tmp_path):
    first, second = tmp_path / "a.jsonl", tmp_path / "b.csv"
    first.write_text(
        json.dumps({"instruction": "red, or blue", "reference": "red", "metric": "label", "labels": ["red", "blue"]})
    )
    second.write_text("instruction,reference\nx,x\n")
    output = tmp_path / "data"
    assert main(["--sources", str(first), "--experts", "echo", "--output", str(output), "--quiet"]) == 0
    before = read_table(output)
    assert list(before["score"]) == [0.0]
    more = ["--sources", str(second), "--experts", "echo", "--output", str(output), "--quiet"]
    assert main([*more, "--use_existing_dataset", "True"]) == 0
    after = read_table(output)
    assert dict(zip(after["instruction"], after["score"], strict=True)) == {"red, or blue": 0.0, "x": 1.0}


def test_a_key_that_is_not_set_is_said_before_anything_is_asked(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("NOT_SET_KEY", raising=False)
    (tmp_path / "q.csv").write_text("question,answer\na,b\n")
    (tmp_path / "experts.yaml").write_text(
        "- {provider: openai_compatible, name: big, model: m, base_url: 'http://127.0.0.1:9/v1', "
        "api_key_env: NOT_SET_KEY}"
    )
    assert main(arguments(tmp_path / "q.csv", tmp_path / "a", experts=str(tmp_path / "experts.yaml"))) == 2
    assert "NOT_SET_KEY with its key is not set" in capsys.readouterr().err
    assert not (tmp_path / "a").exists()


def test_continuing_keeps_the_metric_unless_another_is_given(tmp_path):
    (tmp_path / "q.csv").write_text("question,answer\nsay 28000 metres,28000\nsay 5 m,5\n")
    first = arguments(tmp_path / "q.csv", tmp_path / "a", "--metric", "number", experts="echo")
    assert main(first) == 0
    more = [*arguments(tmp_path / "q.csv", tmp_path / "a", experts="echo"), "--use_existing_dataset", "True"]
    assert main(more) == 0
    assert set(read_table(tmp_path / "a")["metric"]) == {"number"}
    assert main([*more, "--metric", "exact_match"]) == 0
    assert set(read_table(tmp_path / "a")["metric"]) == {"exact_match"}


def test_recorded_answers_are_found_from_any_folder(tmp_path, monkeypatch):
    rows = pd.DataFrame({"instruction": ["a", "b"], "expert": "x", "response": ["1", "2"], "score": [1.0, 0.0]})
    rows.to_csv(tmp_path / "recorded.csv", index=False)
    (tmp_path / "q.csv").write_text("question,answer\na,1\nb,2\n")
    monkeypatch.chdir(tmp_path)
    assert main(arguments(tmp_path / "q.csv", tmp_path / "a", experts="replay:recorded.csv")) == 0
    (expert,) = read_dataset_json(tmp_path / "a")["experts"]
    assert Path(expert["config"]["path"]).is_absolute()


def test_answers_that_are_programs_run_only_when_it_is_allowed(tmp_path, capsys):
    source = tmp_path / "q.jsonl"
    rows = [
        {"instruction": f"def f(): return {n}", "tests": ["assert f() == 1"], "metric": "code_tests"} for n in (1, 2)
    ]
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = ["--sources", str(source), "--experts", "echo", "--output", str(tmp_path / "data"), "--quiet"]
    assert main(command) == 0
    said = capsys.readouterr().err
    assert "2 answers have no score by code_tests" in said
    assert "--allow_code_execution" in said
    assert read_table(tmp_path / "data")["score"].isna().all()
    again = [*command, "--use_existing_dataset", "--allow_code_execution"]
    if main(again) == 2:
        pytest.skip(f"this machine cannot confine programs: {capsys.readouterr().err}")
    frame = read_table(tmp_path / "data").sort_values("instruction")
    assert list(frame["score"]) == [1.0, 0.0]
    assert "0 of 1" in frame["score_reason"].iloc[1]
