import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest

from dataset_build import ConfigError, DataError, MissingDependencyError, SourceConfig, load_instructions, parse_source
from dataset_build.src.sources.hugging_face import HuggingFaceSource

ROOT = Path(__file__).resolve().parents[2]
ASK_THE_HUB = """
import sys
from dataset_build import ToolkitError
from dataset_build.src.sources.hugging_face import HuggingFaceSource
try:
    list(HuggingFaceSource("org/name", timeout_s=float(sys.argv[1]), streaming=sys.argv[2] == "1").instructions(seed=0))
except ToolkitError as problem:
    print(f"{type(problem).__name__}: {problem}")
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A local data set in the layout of the hub, with more rows than one block."""
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    data = tmp_path / "sums" / "data"
    data.mkdir(parents=True)
    rows = [{"question": f"What is {n} + 1?", "answer": n + 1, "level": n % 3} for n in range(600)]
    pd.DataFrame(rows).to_parquet(data / "train-00000-of-00001.parquet")
    pd.DataFrame(rows[:7]).to_parquet(data / "test-00000-of-00001.parquet")
    return tmp_path / "sums"


COLUMNS = {"instruction": "question", "reference": "answer"}


@pytest.mark.parametrize("streaming", [True, False])
def test_a_local_folder_is_read_like_one_on_the_hub(folder: Path, streaming: bool):
    source = HuggingFaceSource(str(folder), columns=COLUMNS, streaming=streaming, category="sums", metric="number")
    found = list(source.instructions(seed=0))
    assert [one.text for one in found] == [f"What is {n} + 1?" for n in range(600)]
    assert (found[5].reference, found[5].category, found[5].metric) == ("6", "sums", "number")
    assert (found[5].source, found[5].split, found[5].extra) == ("sums", None, {"level": 2})
    assert len(list(source.instructions(seed=0, limit=3))) == 3


def test_the_split_is_chosen_and_the_shorthand_loads_it(folder: Path):
    config = parse_source(f"hf:{folder}", options={"columns": COLUMNS, "split": "test"})
    assert len(load_instructions([config], seed=0)) == 7


def test_a_file_alone_in_a_folder_is_a_data_set_too(tmp_path: Path, folder: Path):
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "questions.jsonl").write_text('{"instruction": "hi"}\n')
    assert [one.text for one in HuggingFaceSource(str(tmp_path / "plain")).instructions(seed=0)] == ["hi"]


def test_what_a_local_folder_lacks_is_one_line(folder: Path, tmp_path: Path):
    (tmp_path / "bare").mkdir()
    for source, said in (
        (HuggingFaceSource(str(folder), split="holdout", columns=COLUMNS), "holdout"),
        (HuggingFaceSource(str(folder)), "--columns instruction=question"),
        (HuggingFaceSource(str(folder), columns={"instruction": "questoin"}), "Did you mean 'question'"),
        (HuggingFaceSource(str(tmp_path / "bare")), "Cannot load data set"),
    ):
        with pytest.raises(ConfigError) as caught:
            list(source.instructions(seed=0))
        assert said in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_split_without_rows_is_refused(tmp_path: Path):
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "questions.csv").write_text("question,answer\n")
    with pytest.raises(DataError, match="has no rows"):
        list(HuggingFaceSource(str(tmp_path / "bare"), columns=COLUMNS).instructions(seed=0))


@pytest.mark.parametrize("dataset", ["./absent", "/absent/folder", "~/absent-folder"])
def test_an_absent_folder_is_not_looked_for_on_the_hub(dataset: str):
    with pytest.raises(ConfigError, match="No such folder"):
        HuggingFaceSource(dataset)


@pytest.fixture
def silent_server() -> Iterator[int]:
    """Accepts connections and never says a word."""
    listener = socket.create_server(("127.0.0.1", 0))
    held: list[socket.socket] = []

    def accept() -> None:
        while True:
            try:
                held.append(listener.accept()[0])
            except OSError:
                return

    thread = threading.Thread(target=accept)
    thread.start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()
    for connection in held:
        connection.close()


def ask_the_hub(port: int, home: Path, *, timeout_s: float, streaming: bool = True) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    environment |= {"HF_ENDPOINT": f"http://127.0.0.1:{port}", "HF_HOME": str(home), "NO_PROXY": "127.0.0.1"}
    run = subprocess.run(
        [sys.executable, "-c", ASK_THE_HUB, str(timeout_s), "1" if streaming else "0"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,  # without a deadline of our own this takes many minutes
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


@pytest.mark.slow
@pytest.mark.parametrize("streaming", [True, False])
def test_a_hub_that_never_answers_is_given_up(silent_server: int, tmp_path: Path, streaming: bool):
    said = ask_the_hub(silent_server, tmp_path, timeout_s=1.5, streaming=streaming)
    assert said.startswith("ConfigError: Cannot load data set 'org/name': the hub did not answer within 1.5 s")
    assert "\n" not in said


@pytest.mark.slow
def test_a_hub_that_cannot_be_reached_is_one_line(tmp_path: Path):
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    said = ask_the_hub(port, tmp_path, timeout_s=4.0)
    assert said.startswith("ConfigError: Cannot load data set 'org/name'")
    assert "\n" not in said


def test_a_missing_package_is_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "moe-toolkit\[train\]"'):
        list(HuggingFaceSource("org/name").instructions(seed=0))


def test_the_dataset_option_is_needed():
    with pytest.raises(ConfigError, match="option 'dataset' is missing"):
        load_instructions([SourceConfig(source="hf")], seed=0)
