"""Routers pushed to and fetched from a small hub of the test, by the real client library."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dataset_build import ConfigError, DataError, Expert, sha256_of
from mixture_training import MoEController
from mixture_training.src import cli, hub_router
from mixture_training.src.artifacts import Router
from mixture_training.src.feedback_store import feedback_path
from mixture_training.src.hub_places import data_folder, working_copy
from mixture_training.src.hub_router import find_router
from mixture_training.src.updating import update_router
from mixture_training.src.version_folders import put_folder, versions_of
from tests.hub_server import HubServer

PLANTED = ("evil.pkl", "code.py", "feedback.db", "weights/code.py", "router.feedback.sqlite3", "weights/evil.pkl")


def files_of(folder: Path) -> dict[str, bytes]:
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def connected_by(folder: Path, *configs: dict[str, str]) -> dict[str, bytes]:
    """Return the files of the router in a folder, its experts reached as the configurations say."""
    router = Router.load(folder)
    router.experts = tuple(
        replace(card, config={**config, "name": card.name})
        for card, config in zip(router.experts, configs, strict=True)
    )
    return files_of(router.save(folder, overwrite=True))


def below(folder: Path) -> set[str]:
    return {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}


@pytest.fixture
def published(hub: HubServer, echo_router_folder: Path) -> str:
    """A router that somebody put on the hub, with more beside it than a router has."""
    hub.add("model", "org/name", files_of(echo_router_folder) | dict.fromkeys(PLANTED, b"boom"), tag="v1")
    return "org/name"


@pytest.fixture
def newer(echo_router_folder: Path) -> dict[str, bytes]:
    """The files of another version of it."""
    router = Router.load(echo_router_folder)
    replace(router, default_policy="cost_weight=1").save(echo_router_folder, overwrite=True)
    return files_of(echo_router_folder)


def test_a_router_of_the_hub_routes_as_the_folder_it_came_from(published: str, echo_router_folder: Path):
    text = ["add 3 and 4 please", "write a poem about rain"]
    there = Router.from_pretrained(published)
    here = Router.from_pretrained(echo_router_folder)
    assert np.array_equal(there.classifier.predict(text).scores, here.classifier.predict(text).scores)
    assert there.folder == working_copy("org/name") == data_folder() / "routers" / "org--name" / "name"
    assert here.folder == echo_router_folder


def test_only_what_the_router_lists_is_fetched(hub: HubServer, published: str, tmp_path: Path):
    folder = find_router(published)
    listed = set(json.loads((folder / "router.json").read_text())["files"])
    assert below(folder) == listed | {"router.json"}
    names = {Path(name).name for name in below(tmp_path / "hub_cache") | below(tmp_path / "data")}
    assert not names & {Path(name).name for name in PLANTED}
    assert not [path for path in hub.paths() for name in PLANTED if path.endswith(name)]
    assert not any(file.is_symlink() for file in folder.rglob("*"))


@pytest.mark.parametrize(
    "name",
    ["evil.pkl", "weights/code.py", "../router.json", "weights/../../x.json", "/etc/passwd", "weights\\x.json",
     "hub.json", "weights/model.bin", "weights//x.json", "name.feedback.sqlite3"],
)  # fmt: skip
def test_a_router_that_lists_what_none_holds_is_refused_unfetched(
    hub: HubServer, echo_router_folder: Path, tmp_path: Path, name: str
):
    files = files_of(echo_router_folder)
    content = json.loads(files["router.json"])
    content["files"][name] = "0" * 64
    hub.add("model", "org/bad", files | {"router.json": json.dumps(content).encode(), name: b"boom"})
    with pytest.raises(DataError, match="is no kind of file that a router holds"):
        find_router("org/bad")
    assert not (tmp_path / "data").exists()
    assert {path.rpartition("/")[2] for path in hub.paths()} == {"router.json"}


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ("classifier", {"kind": "llm"}),
        ("classifier", {"kind": "linear", "state": {"saved_encoder": {"kind": "openai", "state": {"model": "m"}}}}),
        ("classifier", {"kind": "auto", "state": {"stack": {"encoders": [{"saved": {"kind": "openai"}}]}}}),
        ("options", {"encoder": "tfidf + openai:m@https://example.org/v1#AWS_SECRET_ACCESS_KEY"}),
    ],
)
def test_a_router_that_would_ask_a_strangers_endpoint_is_refused(
    hub: HubServer, echo_router_folder: Path, part: str, said: dict[str, object]
):
    files = files_of(echo_router_folder)
    content = json.loads(files["router.json"]) | {part: said}
    hub.add("model", "org/bad", files | {"router.json": json.dumps(content).encode()})
    with pytest.raises(ConfigError, match="decides by asking an endpoint"):
        find_router("org/bad")


@pytest.mark.parametrize(
    "content", [b"[]", b"{}", b"{", b'{"files": []}', b"\xff", b'{"files": {"weights/a.npz": ' + b"[" * 20_000]
)
def test_a_damaged_router_json_is_said(hub: HubServer, content: bytes):
    hub.add("model", "org/bad", {"router.json": content})
    with pytest.raises(DataError, match="is damaged"):
        find_router("org/bad")


@pytest.mark.parametrize(
    "config",
    [
        {"provider": "python", "function": "os:system"},
        {"provider": "openai_compatible", "base_url": "http://127.0.0.1:9", "model": "m", "api_key_env": "HF_TOKEN"},
        {"provider": "transformers_local", "model": "org/m"},
        {"provider": "echo", "answer": "x"},
    ],
)
def test_nothing_a_strangers_router_names_is_run_or_asked(
    hub: HubServer, echo_router_folder: Path, tmp_path: Path, config: dict[str, str], pool: list[Expert]
):
    hub.add("model", "org/name", connected_by(echo_router_folder, config, config))
    find_router("org/name")
    (snapshot,) = (tmp_path / "hub_cache" / "models--org--name" / "snapshots").iterdir()
    moved = shutil.copytree(working_copy("org/name").parent, tmp_path / "moved") / "name"
    for moe in (MoEController.from_pretrained("org/name"), MoEController.load(snapshot), MoEController.load(moved)):
        with moe, pytest.raises(ConfigError, match="whom it would call, where and with which key, is for you to say"):
            moe.process_instruction("write a poem about rain")
    with MoEController.from_pretrained("org/name", experts=pool) as moe:
        assert moe.process_instruction("write a poem about rain").response == "O write a poem about rain!"


def test_tools_of_the_embedded_pool_are_called_and_others_beside_them_passed_over(
    hub: HubServer, echo_router_folder: Path, caplog: pytest.LogCaptureFixture
):
    hub.add(
        "model",
        "org/name",
        connected_by(echo_router_folder, {"provider": "calculator"}, {"provider": "python", "function": "a:b"}),
    )
    with MoEController.from_pretrained("org/name") as moe:
        assert moe.process_instruction("What is 3 + 4?").expert == "adder"
    assert "no connection to poet: passed over" in caplog.text


def test_a_file_whose_hash_differs_is_refused_and_the_copy_of_before_stays(
    hub: HubServer, published: str, newer: dict[str, bytes]
):
    before = files_of(find_router(published))
    hub.add("model", published, newer | {"weights/categories.npz": b"other"})
    with pytest.raises(DataError, match=r"categories\.npz is damaged"):
        Router.from_pretrained(published)
    assert files_of(working_copy(published)) == before


def test_what_is_not_on_the_hub_is_one_line(hub: HubServer, published: str):
    with pytest.raises(ConfigError, match="The hub has no router org/missing, or it is private and the token"):
        MoEController.from_pretrained("org/missing")
    with pytest.raises(ConfigError, match="org/name on the hub has no revision 'v9'"):
        MoEController.from_pretrained(published, revision="v9")
    hub.add("model", "org/other", {"model.bin": b""})
    with pytest.raises(ConfigError, match=r"org/other on the hub is no router, or not whole: it has no router\.json"):
        find_router("hf:org/other")
    assert not data_folder().exists()


def test_a_private_router_is_read_with_the_token(
    hub: HubServer, echo_router_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    hub.add("model", "org/mine", files_of(echo_router_folder), private=True)
    with pytest.raises(ConfigError, match="it is private and the token in HF_TOKEN may not read it"):
        find_router("org/mine")
    monkeypatch.setenv("HF_TOKEN", "hf_reads")
    assert Router.from_pretrained("org/mine").expert_names == ("adder", "poet")


def test_a_hub_that_is_away_or_silent_is_a_line_in_time_and_the_copy_works(
    hub: HubServer, published: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    import dataset_build.src.hub_transfer as transfer

    def quick(what, function, **options):
        return dataset_build_call(what, function, **{**options, "timeout_s": 0.5})

    dataset_build_call = transfer.call_hub
    monkeypatch.setattr(transfer, "call_hub", quick)
    hub.is_silent = True
    started = time.monotonic()
    with pytest.raises(ConfigError, match=r"Cannot load router 'org/name': the hub did not answer within 0\.5 s"):
        find_router(published)
    assert time.monotonic() - started < 5.0
    hub.is_silent = False
    folder = find_router(published)
    hub.is_silent = True
    assert find_router(published) == folder
    shutil.rmtree(folder.parent)  # what is left is the hub's cache
    assert Router.from_pretrained(published).expert_names == ("adder", "poet")
    shutil.rmtree(os.environ["MOE_TOOLKIT_DATA"] + "/../hub_cache")
    caplog.clear()
    assert find_router(published) == folder
    assert "The copy of before" in caplog.text


def test_the_copy_follows_the_hub_until_it_is_updated_here(
    hub: HubServer, published: str, newer: dict[str, bytes], caplog: pytest.LogCaptureFixture
):
    assert Router.from_pretrained(published).default_policy == "quality"
    hub.add("model", published, newer)
    assert Router.load(find_router(published, is_fresh=False)).default_policy == "quality"
    assert Router.from_pretrained(published).default_policy == "cost_weight=1"
    assert Router.from_pretrained(published, revision="v1").default_policy == "quality"

    place = working_copy(published)
    replace(Router.load(place), default_policy="cost_weight=2").save(place, overwrite=True)
    assert Router.from_pretrained(published).default_policy == "cost_weight=2"
    assert not caplog.text
    hub.add("model", published, newer | {"router.json": newer["router.json"] + b"\n"})
    assert Router.from_pretrained(published).default_policy == "cost_weight=2"
    assert "was updated here, so that the newer one on the hub" in caplog.text


def test_a_copy_made_by_a_command_that_was_killed_before_it_noted_so_follows_the_hub(
    hub: HubServer, published: str, newer: dict[str, bytes]
):
    place = find_router(published)
    place.with_name("hub.json").unlink()
    find_router(published)
    hub.add("model", published, newer)
    assert Router.from_pretrained(published).default_policy == "cost_weight=1"


def test_decisions_feedback_and_versions_lie_beside_the_copy_and_nothing_is_written_to_the_cache(
    published: str, tmp_path: Path
):
    find_router(published)
    cache = tmp_path / "hub_cache"
    before = {name: sha256_of(cache / name) for name in below(cache)}
    with MoEController.from_pretrained(published, keep_texts=True) as moe:
        result = moe.process_instruction("write a poem about rain")
        moe.record_feedback(result.id, score=1.0)
        moe.update_models()
        assert moe.feedback_store.path == working_copy(published).with_name("name.feedback.sqlite3")
        assert moe.feedback_store.path.is_file()
    assert versions_of(working_copy(published)).is_dir()
    assert {name: sha256_of(cache / name) for name in below(cache)} == before


def test_a_folder_in_the_cache_keeps_its_feedback_elsewhere_and_is_not_updated(published: str, tmp_path: Path):
    find_router(published)
    (snapshot,) = (tmp_path / "hub_cache" / "models--org--name" / "snapshots").iterdir()
    assert feedback_path(snapshot) == feedback_path(working_copy(published))
    with MoEController.load(snapshot) as moe:
        moe.record_feedback(moe.process_instruction("write a poem about rain").id, score=1.0)
        with pytest.raises(ConfigError, match="lies in the cache of the Hugging Face hub, where nothing is changed"):
            update_router(snapshot, moe.feedback_store)
    assert [path.name for path in snapshot.parent.iterdir()] == [snapshot.name]


def test_a_pushed_router_comes_back_without_anything_that_lies_with_it(
    hub: HubServer, echo_router_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    with MoEController.load(echo_router_folder, keep_texts=True) as moe:
        decision = moe.process_instruction("write a poem about a secret").id
        moe.record_feedback(decision, correction="the right secret")
    for name in PLANTED:
        if not name.startswith("weights/"):
            (echo_router_folder / name).write_text("secret")
    monkeypatch.setenv("HF_TOKEN", "hf_writes")
    with MoEController.load(echo_router_folder) as moe:
        assert moe.push_to_hub("org/mine") == f"{hub.url}/org/mine"
    pushed = hub.files("model", "org/mine")
    listed = json.loads(pushed["router.json"])["files"]
    assert set(pushed) == {*listed, "router.json", "README.md", ".gitattributes"}
    assert not [name for name, content in pushed.items() if b"secret" in content or name in PLANTED]
    assert hub.repositories["model", "org/mine"]["private"]
    assert b'MoEController.from_pretrained("org/mine")' in pushed["README.md"]
    assert Router.from_pretrained("org/mine").expert_names == ("adder", "poet")


def test_a_router_is_pushed_without_its_data_or_the_paths_of_this_machine(
    hub: HubServer, echo_router_folder: Path, tmp_path: Path
):
    router = Router.load(echo_router_folder)
    router.data["path"] = str(tmp_path / "runs" / "dataset")
    router.options = {"dataset": "hf:org/d", "members": [str(tmp_path / "bert")], "seed": 1}
    router.push_to_hub("org/mine", token="hf_writes", with_data=False)
    pushed = hub.files("model", "org/mine")
    assert "training_data.parquet" not in pushed
    assert not [name for name, content in pushed.items() if str(tmp_path).encode() in content]
    content = json.loads(pushed["router.json"])
    assert content["data"]["path"] == "dataset"
    assert content["options"] == {"dataset": "hf:org/d", "members": ["bert"], "seed": 1}
    assert router.folder == echo_router_folder
    router.push_to_hub("org/mine", token="hf_writes")
    assert "training_data.parquet" in hub.files("model", "org/mine")


def test_weights_of_the_version_before_do_not_stay_and_other_files_do(hub: HubServer, echo_router_folder: Path):
    hub.add("model", "org/mine", {"weights/old.npz": b"", "figure.png": b"", "LICENSE": b"MIT"}, private=True)
    Router.load(echo_router_folder).push_to_hub("org/mine", token="hf_writes")
    assert {"figure.png", "LICENSE", "router.json"} < set(hub.files("model", "org/mine")) - {"weights/old.npz"}
    assert "weights/old.npz" not in hub.files("model", "org/mine")


def test_commands_take_routers_of_the_hub_and_push_them(
    hub: HubServer,
    published: str,
    newer: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    assert cli.main(["route", "--router", f"hf:{published}", "write a poem about rain"]) == 0
    assert capsys.readouterr().out.startswith("poet\n")
    assert cli.main(["run", "--router", f"hf:{published}@v1", "write a poem about rain"]) == 0
    assert working_copy(published, "v1").with_name("name.feedback.sqlite3").is_file()
    asked = len(hub.requests)
    assert cli.main(["versions", "--router", f"hf:{published}"]) == 0
    assert len(hub.requests) == asked
    assert cli.main(["route", "--router", "hf:org/missing", "a"]) == 2
    assert "moe route: The hub has no router org/missing" in capsys.readouterr().err

    monkeypatch.setenv("HF_TOKEN", "hf_writes")
    assert cli.main(["push", "--router", f"hf:{published}", "org/mine", "--message", "first"]) == 0
    assert capsys.readouterr().out == f"{hub.url}/org/mine\n"
    assert cli.main(["push", "org/mine"]) == 2
    assert "Give either --router R or --dataset D" in capsys.readouterr().err


def test_a_configuration_of_the_server_may_name_a_router_of_the_hub(
    hub: HubServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    config = tmp_path / "serve.yaml"
    config.write_text("router: hf:org/missing\n")
    assert cli.main(["serve", "--config", str(config)]) == 2
    assert "The hub has no router org/missing" in capsys.readouterr().err


def test_a_word_that_is_a_folder_is_no_name_on_the_hub(hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "org" / "name").mkdir(parents=True)
    assert find_router("org/name") == Path("org/name")
    assert find_router("/no/such") == Path("/no/such")
    assert find_router("router") == Path("router")
    with pytest.raises(ConfigError, match="leave it out"):
        find_router("org/name", "v1")
    assert not hub.requests


def test_a_place_that_cannot_be_written_is_named(published: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MOE_TOOLKIT_DATA", str(tmp_path / "file"))
    with pytest.raises(ConfigError, match="MOE_TOOLKIT_DATA"):
        find_router(published)


def test_an_update_that_comes_between_is_not_undone(
    hub: HubServer, published: str, newer: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
):
    place = find_router(published)
    hub.add("model", published, newer)
    copy = hub_router._copy

    def updated_meanwhile(*args: object) -> None:
        copy(*args)
        replace(Router.load(place), default_policy="cost_weight=2").save(place, overwrite=True)

    monkeypatch.setattr(hub_router, "_copy", updated_meanwhile)
    assert Router.from_pretrained(published).default_policy == "cost_weight=2"
    assert below(place.parent) == {f"name/{name}" for name in below(place)} | {"hub.json", "name.versions/.lock"}


def test_a_folder_that_cannot_be_replaced_stays(tmp_path: Path):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "a").write_text("")
    with pytest.raises(OSError, match="nothing"):
        put_folder(tmp_path / "nothing", tmp_path / "there")
    assert below(tmp_path) == {"there/a"}


@pytest.mark.slow
def test_the_command_reads_hf_endpoint_and_gives_up_in_seconds(hub: HubServer, published: str, tmp_path: Path):
    code = "import sys; from mixture_training.src.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "route", "--router", f"hf:{published}", "write a poem about rain"]
    environment = {**os.environ, "HF_HOME": str(tmp_path / "home"), "HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("poet\n")
    environment |= {"HF_HUB_OFFLINE": "1", "HF_ENDPOINT": "http://127.0.0.1:9"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout[:5]) == (0, "poet\n")

    environment |= {"HF_HOME": str(tmp_path / "new"), "MOE_TOOLKIT_DATA": str(tmp_path / "new"), "HF_HUB_OFFLINE": "0"}
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for endpoint in ("http://127.0.0.1:9", f"http://127.0.0.1:{silent.getsockname()[1]}"):
            started = time.monotonic()
            done = subprocess.run(
                command, env={**environment, "HF_ENDPOINT": endpoint}, capture_output=True, text=True, timeout=120
            )
            assert time.monotonic() - started < 40.0
            assert done.returncode == 2
            assert len(done.stderr.splitlines()) == 1, done.stderr
            assert "moe route: Cannot load router 'org/name': " in done.stderr
