import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
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


@pytest.mark.parametrize("streaming", [True, False])
def test_several_splits_are_taken_in_turn_and_kept_when_asked_for(folder: Path, streaming: bool):
    def splits(**options: object) -> list[str | None]:
        source = HuggingFaceSource(str(folder), columns=COLUMNS, streaming=streaming, **options)  # type: ignore[arg-type]
        return [one.split for one in source.instructions(seed=0)]

    assert splits(split="train+test") == [None] * 607
    kept = splits(split="train + test", keep_split=True)
    assert kept[:14] == ["train", "test"] * 7
    assert kept[14:] == ["train"] * 593
    renamed = splits(split="train+test", keep_split={"test": "validation"})
    assert (renamed.count("validation"), renamed.count("train")) == (7, 600)


def test_slices_of_splits_keep_them_too(folder: Path):
    source = HuggingFaceSource(
        str(folder), columns=COLUMNS, streaming=False, split="train[:3]+test[2:4]", keep_split=True
    )
    found = [(one.split, one.text) for one in source.instructions(seed=0)]
    assert found == [
        ("train", "What is 0 + 1?"),
        ("test", "What is 2 + 1?"),
        ("train", "What is 1 + 1?"),
        ("test", "What is 3 + 1?"),
        ("train", "What is 2 + 1?"),
    ]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"split": "train+"}, "expected different names joined by +"),
        ({"split": "train+train"}, "expected different names joined by +"),
        ({"split": "train_sft", "keep_split": True}, "as in keep_split: {train_sft: train}"),
        ({"split": "train", "keep_split": {"train": "training"}}, "'training' is none of train, validation, test"),
        ({"split": "train", "keep_split": {"trian": "train"}}, "Did you mean 'train'"),
        ({"template": "{question"}, "The template"),
    ],
)
def test_splits_and_templates_that_make_no_sense_are_one_line(options: dict[str, object], said: str):
    with pytest.raises(ConfigError) as caught:
        HuggingFaceSource("org/name", **options)  # type: ignore[arg-type]
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_options_reach_it_from_a_configuration(folder: Path):
    config = SourceConfig.model_validate(
        {"source": f"hf:{folder}", "split": "test", "columns": COLUMNS, "keep_split": {"test": "validation"}}
    )
    assert {one.split for one in load_instructions([config], seed=0)} == {"validation"}


@pytest.mark.parametrize("streaming", [True, False])
def test_rows_are_shuffled_by_the_seed(folder: Path, streaming: bool):
    def texts(seed: int) -> list[str]:
        source = HuggingFaceSource(str(folder), columns=COLUMNS, streaming=streaming, shuffle_buffer=100)
        return [one.text for one in source.instructions(seed=seed)]

    plain = [f"What is {n} + 1?" for n in range(600)]
    assert texts(1) == texts(1) != texts(2)
    assert texts(1) != plain
    assert sorted(texts(1)) == sorted(plain)


@pytest.mark.parametrize("streaming", [True, False])
def test_options_labels_and_nested_columns_become_an_instruction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, streaming: bool
):
    import datasets

    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    rows = {
        "question": ["Capital of France?", "Capital of Italy?", "Capital of Spain?"],
        "choices": [["Bern", "Paris"], ["Rome", "Oslo"], ["Oslo", "Madrid"]],
        "answer": [1, 0, -1],
        "context": [{"topic": ["geography"]}, {"topic": []}, {"topic": None}],
    }
    features = datasets.Features(
        {
            "question": datasets.Value("string"),
            "choices": datasets.List(datasets.Value("string")),
            "answer": datasets.ClassLabel(names=["A", "B"]),
            "context": {"topic": datasets.List(datasets.Value("string"))},
        }
    )
    (tmp_path / "quiz").mkdir()
    datasets.Dataset.from_dict(rows, features=features).to_parquet(tmp_path / "quiz" / "train.parquet")
    source = HuggingFaceSource(
        str(tmp_path / "quiz"),
        template="{question}\n{choices}",
        columns={"reference": "answer", "category": "context.topic[0]"},
        streaming=streaming,
        metric="multiple_choice",
    )
    first, second, hidden = source.instructions(seed=0)
    assert (first.text, first.reference, first.category) == ("Capital of France?\nA) Bern\nB) Paris", "B", "geography")
    assert (second.reference, second.category) == ("A", None)
    assert (hidden.reference, hidden.extra) == (None, {})


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


def ask_the_hub(port: int, home: Path, *, timeout_s: float, streaming: bool = True, token: str | None = None) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    environment |= {"HF_ENDPOINT": f"http://127.0.0.1:{port}", "HF_HOME": str(home), "NO_PROXY": "127.0.0.1"}
    environment |= {"HF_TOKEN": token} if token else {}
    run = subprocess.run(
        [sys.executable, "-c", ASK_THE_HUB, str(timeout_s), "1" if streaming else "0"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,  # without a deadline of our own this takes many minutes
    )
    assert run.returncode == 0, run.stderr
    assert token is None or token not in run.stderr
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


class GatedHub(BaseHTTPRequestHandler):
    """Refuses everybody, as the hub does for a gated data set, and remembers who asked."""

    def do_GET(self) -> None:
        self.server.asked.append(self.headers.get("Authorization"))  # type: ignore[attr-defined]
        body = json.dumps({"error": f"Access is restricted for {self.headers.get('Authorization')}"}).encode()
        self.send_response(403)
        self.send_header("X-Error-Code", "GatedRepo")
        self.send_header("X-Error-Message", "Access to this data set is restricted")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815 - the name that the server looks for

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.mark.slow
@pytest.mark.parametrize("streaming", [True, False])
def test_a_gated_data_set_is_asked_for_with_the_token_which_is_never_shown(tmp_path: Path, streaming: bool):
    token = "hf_" + "Kq7" * 11
    server = ThreadingHTTPServer(("127.0.0.1", 0), GatedHub)
    server.asked = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    said = ask_the_hub(server.server_port, tmp_path, timeout_s=30, streaming=streaming, token=token)
    server.shutdown()
    thread.join()
    server.server_close()
    assert f"Bearer {token}" in server.asked  # type: ignore[attr-defined]
    assert said.startswith("ConfigError: Cannot load data set 'org/name'")
    assert "HF_TOKEN" in said
    assert token not in said
    assert not any(token.encode() in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


@pytest.mark.parametrize("message", ["refused Bearer {}", "x" * 180 + " refused {}"])
def test_a_token_in_the_words_of_the_library_is_masked(message: str, monkeypatch: pytest.MonkeyPatch):
    token = "hf_" + "Kq7" * 11

    def refuse(*_: object, **__: object) -> None:
        raise OSError(message.format(token))

    monkeypatch.setenv("HF_TOKEN", token)
    monkeypatch.setattr("datasets.load_dataset", refuse)
    with pytest.raises(ConfigError, match="refused") as caught:
        list(HuggingFaceSource("org/name").instructions(seed=0))
    assert "Kq7" not in str(caught.value)


def test_a_missing_package_is_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "moe-toolkit\[train\]"'):
        list(HuggingFaceSource("org/name").instructions(seed=0))


def test_the_dataset_option_is_needed():
    with pytest.raises(ConfigError, match="option 'dataset' is missing"):
        load_instructions([SourceConfig(source="hf")], seed=0)
