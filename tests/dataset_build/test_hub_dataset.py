"""Datasets pushed to and fetched from a small hub of the test, by the real client library."""

import json
import logging
import re
from pathlib import Path

import pandas as pd
import pytest

from dataset_build import (
    ConfigError,
    DataError,
    HubRepository,
    fetch_dataset,
    push_dataset,
    read_dataset_json,
    read_table,
    write_table,
)
from dataset_build.src.sources import hugging_face
from tests.hub_server import HubServer

SECRETS = (
    "journal.sqlite3",
    "feedback.db",
    "evil.pkl",
    "data/code.py",
    "labels/notes.txt",
    ".env",
    "data/extra.parquet",
)


@pytest.fixture
def built(tmp_path: Path) -> Path:
    folder = tmp_path / "built"
    rows = {"instruction_id": ["1", "2"], "instruction": ["a", "b"], "score": [0.0, 1.0], "split": ["train", "test"]}
    frame = pd.DataFrame({**rows, "expert": "e"})
    for split in ("train", "test"):
        write_table(frame[frame["split"] == split], folder / "data" / f"{split}.parquet")
    (folder / "labels").mkdir()
    (folder / "labels" / "train.parquet").write_bytes((folder / "data" / "train.parquet").read_bytes())
    facts = {"format_version": 1, "experts": [], "counts": {"splits": {"train": 1, "validation": 0, "test": 1}}}
    (folder / "dataset.json").write_text(json.dumps(facts))
    (folder / "README.md").write_text("---\nlicense: mit\n---\n# d\n")
    for name in SECRETS:
        (folder / name).write_text("secret")
    return folder


def test_a_dataset_is_pushed_and_comes_back_and_nothing_else_of_its_folder_goes_along(hub: HubServer, built: Path):
    address = push_dataset(built, "org/d", token="hf_writes")
    assert address == f"{hub.url}/datasets/org/d"
    names = {"README.md", "dataset.json", "data/train.parquet", "data/test.parquet", "labels/train.parquet"}
    assert set(hub.files("dataset", "org/d")) == names | {".gitattributes"}
    assert hub.repositories["dataset", "org/d"]["private"]
    hub.repositories["dataset", "org/d"]["private"] = False

    fetched = fetch_dataset("hf:org/d")
    assert read_table(fetched).equals(read_table(built))
    assert read_dataset_json(fetched) == read_dataset_json(built)


def test_only_the_tables_that_are_named_are_fetched(hub: HubServer, built: Path):
    files = {str(file.relative_to(built)): file.read_bytes() for file in built.rglob("*") if file.is_file()}
    hub.add("dataset", "org/d", files)
    folder = fetch_dataset("org/d")
    found = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}
    assert found == {"dataset.json", "data/train.parquet", "data/test.parquet"}
    assert not [path for path in hub.paths() if any(secret in path for secret in SECRETS)]


def test_a_second_push_removes_the_tables_that_are_gone(hub: HubServer, built: Path):
    push_dataset(built, "org/d", token="hf_writes")
    (built / "labels" / "train.parquet").unlink()
    push_dataset(built, "org/d", token="hf_writes")
    assert "labels/train.parquet" not in hub.files("dataset", "org/d")
    assert "data/train.parquet" in hub.files("dataset", "org/d")


def test_a_folder_that_is_no_finished_dataset_is_not_pushed(hub: HubServer, tmp_path: Path, built: Path):
    with pytest.raises(ConfigError, match="no finished dataset: it has no dataset.json"):
        push_dataset(tmp_path, "org/d", token="hf_writes")
    for split in ("train", "test"):
        (built / "data" / f"{split}.parquet").unlink()
    with pytest.raises(ConfigError, match="not whole"):
        push_dataset(built, "org/d", token="hf_writes")
    assert not hub.requests


def test_a_dataset_json_that_says_nothing_of_splits_is_damaged(hub: HubServer):
    hub.add("dataset", "org/d", {"dataset.json": b'{"format_version": 1, "counts": 3}'})
    with pytest.raises(DataError, match="how many rows"):
        fetch_dataset("org/d")


@pytest.mark.parametrize("name", ["d", "a/b/c", "org/../d", "/etc/passwd", "org/d@", "", "org/d\n", "hf:"])
def test_what_is_no_name_on_the_hub_is_said(name: str):
    with pytest.raises(ConfigError, match="is no name on the hub; expected org/name"):
        HubRepository.parse(name, "dataset", "dataset")


def test_a_name_may_hold_its_revision():
    assert HubRepository.parse("hf:org/d@v1", "model", "router").revision == "v1"
    assert HubRepository.parse("org/d", "model", "router", "v2").revision == "v2"
    with pytest.raises(ConfigError, match="give one"):
        HubRepository.parse("org/d@v1", "model", "router", "v2")


def test_a_token_is_needed_and_asked_for_before_anything_is_sent(hub: HubServer, built: Path):
    with pytest.raises(ConfigError, match="needs a token that may write: set HF_TOKEN"):
        push_dataset(built, "org/d")
    assert not hub.requests


@pytest.mark.parametrize(
    ("token", "says"),
    [("hf_reads", "The token may not write to org/d"), ("hf_mistyped0123", "The hub does not know the token")],
)
def test_a_token_that_does_not_do_is_said_and_never_shown(
    hub: HubServer, built: Path, token: str, says: str, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.DEBUG)
    with pytest.raises(ConfigError, match=says) as caught:
        push_dataset(built, "org/d", token=token)
    assert token not in str(caught.value)
    assert caught.value.__cause__ is None
    assert not [record for record in caplog.records if token in record.getMessage()]
    assert ("dataset", "org/d") not in hub.repositories


def test_a_token_that_may_only_read_what_is_there_does_not_write(hub: HubServer, built: Path):
    hub.add("dataset", "org/d", {}, private=True)
    with pytest.raises(ConfigError, match="The token may not write to org/d"):
        push_dataset(built, "org/d", token="hf_reads")


def test_what_is_meant_to_be_private_does_not_go_where_everybody_reads(hub: HubServer, built: Path):
    hub.add("dataset", "org/d", {"README.md": b"before"})
    with pytest.raises(ConfigError, match="everybody can read it"):
        push_dataset(built, "org/d", token="hf_writes")
    assert hub.files("dataset", "org/d") == {"README.md": b"before"}
    push_dataset(built, "org/d", token="hf_writes", private=False)
    assert "dataset.json" in hub.files("dataset", "org/d")


def test_a_hub_that_is_away_is_one_line(hub: HubServer, built: Path, monkeypatch: pytest.MonkeyPatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ConfigError, match="push dataset to org/d.*refused") as caught:
        push_dataset(built, "org/d", token="hf_writes")
    assert "hf_writes" not in str(caught.value)


def test_tokens_are_left_out_of_what_sources_say(monkeypatch: pytest.MonkeyPatch):
    assert not re.search("abc|hf_x", hugging_face.without_tokens("token abc and hf_xyz", "abc"))
