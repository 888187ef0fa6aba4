"""Router folders that are damaged, forged or linked: one line, never a traceback, never a silent half."""

import copy
import hashlib
import io
import json
import os
import pickle
import tracemalloc
import zipfile

import numpy as np
import pytest

from dataset_build import ConfigError, DataError
from mixture_training.src.artifacts import Router
from mixture_training.src.fitting import fit_router
from mixture_training.src.linear import LinearClassifier


def edit(folder, change):
    file = folder / "router.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    change(content)
    file.write_text(json.dumps(content), encoding="utf-8")


def with_right_hashes(folder):
    def change(content):
        for name in content["files"]:
            content["files"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()

    edit(folder, change)


@pytest.mark.parametrize("kept", [0.0, 1.0])
def test_damaged_weights_are_called_damaged_even_with_the_right_hash(router_folder, kept):
    file = router_folder / "weights" / "scores.npz"
    content = bytearray(file.read_bytes())
    content[200] ^= 0xFF  # inside the first array: its checksum is wrong
    file.write_bytes(content[: int(len(content) * kept)])
    with_right_hashes(router_folder)
    with pytest.raises(DataError, match="damaged"):
        Router.load(router_folder)


def test_a_pickle_in_the_weights_is_not_read(router_folder):
    np.savez(router_folder / "weights" / "scores.npz", weights=np.array([{"a": 1}], dtype=object))
    with_right_hashes(router_folder)
    with pytest.raises(DataError, match="damaged"):
        Router.load(router_folder)


def test_an_array_that_claims_terabytes_is_called_damaged(router_folder):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (10**13,)})
    with zipfile.ZipFile(router_folder / "weights" / "scores.npz", "w") as archive:
        archive.writestr("weights.npy", header.getvalue() + b"\0" * 64)
    with_right_hashes(router_folder)
    with pytest.raises(DataError, match="damaged"):
        Router.load(router_folder)


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c["experts"].pop(),
        lambda c: c["experts"].__setitem__(1, c["experts"][0]),
        lambda c: c["classifier"]["experts"].append("another"),
        lambda c: c["classifier"]["category_names"].pop(),
        lambda c: c["costs"].update(experts=["x", "y"]),
        lambda c: c["costs"]["by_category"][0].__setitem__(0, None),
        lambda c: c.update(best_single="nobody"),
        lambda c: c.update(default_policy=3),
        lambda c: c.update(files=None),
        lambda c: c.update(format_version=0),
        lambda c: c.update(format_version=True),
        lambda c: c.update(format_version=float("inf")),
        lambda c: c["costs"]["overall"].__setitem__(0, float("nan")),
    ],
)
def test_a_router_json_whose_parts_do_not_fit_is_called_damaged(router_folder, change):
    edit(router_folder, change)
    with pytest.raises(DataError, match="damaged"):
        Router.load(router_folder)


@pytest.fixture
def whole_router_folder(small_data, tmp_path):
    """A router with all that `fit_router` puts in."""
    return fit_router(small_data, LinearClassifier("tfidf")).save(tmp_path / "whole")


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c["calibration"].update(kinds=["magic"]),
        lambda c: c.update(calibration=[]),
        lambda c: c.update(calibration={"kinds": ["platt"], "table": [[0.5]]}),
        lambda c: c["intervals"].update(quantiles=[1.0]),
        lambda c: c["intervals"].update(near=-1.0),
        lambda c: c.update(intervals="wide"),
        lambda c: c["guard"].update(on=1),
        lambda c: c["guard"]["quality"].update(is_better="maybe"),
        lambda c: c["guard"]["cost"].pop("rows"),
        lambda c: c["guard"].update(mean_scores=[1.0]),
        lambda c: c["trade_offs"].pop("single"),
        lambda c: c["trade_offs"]["routed"].update(weights=[0.0]),
        lambda c: c["trade_offs"]["routed"]["costs"].__setitem__(0, None),
        lambda c: c["costs"].update(bias=[0.0]),
        lambda c: c["costs"]["overall"].__setitem__(0, -1.0),
        lambda c: c["costs"].update(lengths=[[1.0, 1.0], [1.0, 1.0]]),
        lambda c: c["costs"].update(tokens={}),
    ],
)
def test_a_router_json_that_says_what_cannot_be_is_called_damaged(whole_router_folder, change):
    Router.load(whole_router_folder)
    edit(whole_router_folder, change)
    with pytest.raises(DataError, match=r"damaged.*train the router again") as caught:
        Router.load(whole_router_folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        lambda arrays: arrays.pop("novelty.unit"),
        lambda arrays: arrays.update({"novelty.unit": np.array([-1.0])}),
        lambda arrays: arrays.update({"novelty.centre": np.zeros(2)}),
        lambda arrays: arrays.update({"costs.recorded": np.ones((2, 2))}),
        lambda arrays: arrays.update({"magic.x": np.ones(2)}),
        lambda arrays: arrays.update({"novelty.centre": np.array([{"a": 1}], dtype=object)}),
    ],
)
def test_arrays_that_do_not_belong_together_are_called_damaged(whole_router_folder, change):
    file = whole_router_folder / "routing.npz"
    with np.load(file) as stored:
        arrays = dict(stored)
    change(arrays)
    np.savez(file, **arrays)
    with_right_hashes(whole_router_folder)
    with pytest.raises(DataError, match="damaged"):
        Router.load(whole_router_folder)


def test_a_router_json_nested_too_deep_is_called_damaged(router_folder):
    (router_folder / "router.json").write_text("[" * 100_000, encoding="utf-8")
    with pytest.raises(DataError, match="damaged"):
        Router.load(router_folder)


def test_a_wrong_hash_is_named_with_its_file(router_folder):
    edit(router_folder, lambda c: c["files"].update({"weights/scores.npz": "0" * 64}))
    with pytest.raises(DataError, match=r"scores\.npz is damaged \(its SHA-256 differs\)"):
        Router.load(router_folder)


def test_a_few_kilobytes_that_unpack_to_gigabytes_are_not_unpacked(router_folder):
    file = router_folder / "weights" / "scores.npz"
    np.savez_compressed(file, weights=np.zeros(50_000_000))
    assert file.stat().st_size < 1_000_000
    with_right_hashes(router_folder)
    tracemalloc.start()
    with pytest.raises(DataError, match=r"damaged.*compressed"):
        Router.load(router_folder)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50_000_000


def test_members_that_share_their_bytes_are_not_read_a_thousand_times(router_folder):
    file = router_folder / "weights" / "scores.npz"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("weights.npy", b"\0" * 100_000)
        for number in range(1000):
            again = copy.copy(archive.filelist[0])
            again.filename = f"a{number}.npy"
            archive.filelist.append(again)
    with_right_hashes(router_folder)
    with pytest.raises(DataError, match=r"damaged.*claims more than it holds"):
        Router.load(router_folder)


def test_a_pickle_by_another_name_is_not_read(whole_router_folder):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("a pickle was run",))

    for name in ("weights/scores.npz", "routing.npz"):
        good = (whole_router_folder / name).read_bytes()
        (whole_router_folder / name).write_bytes(pickle.dumps(Bomb()))
        with_right_hashes(whole_router_folder)
        with pytest.raises(DataError, match="damaged"):
            Router.load(whole_router_folder)
        (whole_router_folder / name).write_bytes(good)
    with_right_hashes(whole_router_folder)
    assert Router.load(whole_router_folder).expert_names == ("adder", "poet")


def test_a_link_to_a_file_elsewhere_tells_nothing_of_it(router_folder, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("the-heron-wears-boots", encoding="utf-8")
    file = router_folder / "weights" / "scores.npz"
    file.unlink()
    file.symlink_to(secret)
    with pytest.raises(DataError) as caught:
        Router.load(router_folder)
    assert "heron" not in str(caught.value)


def test_a_folder_of_weights_elsewhere_is_refused(router_folder, tmp_path):
    (router_folder / "weights").rename(tmp_path / "elsewhere")
    (router_folder / "weights").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="leads outside itself"):
        Router.load(router_folder)


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "weights/../../secret", "a\\..\\b", ""])
def test_a_path_that_leads_out_is_refused_before_it_is_read(router_folder, name):
    edit(router_folder, lambda c: c["files"].update({name: "0" * 64}))
    with pytest.raises(DataError, match="outside the folder"):
        Router.load(router_folder)


def test_a_router_json_of_gigabytes_is_not_read(router_folder):
    with (router_folder / "router.json").open("r+b") as file:
        file.truncate(10 * 2**30)  # a hole; it takes no disk
    with pytest.raises(DataError, match="damaged"):
        Router.load(router_folder)


def test_what_is_no_file_is_no_router(router_folder):
    (router_folder / "router.json").unlink()
    os.mkfifo(router_folder / "router.json")
    with pytest.raises(ConfigError, match="No router"):
        Router.load(router_folder)


def test_an_unknown_default_policy_is_named(router_folder):
    edit(router_folder, lambda c: c.update(default_policy="qualty"))
    with pytest.raises(ConfigError, match="qualty"):
        Router.load(router_folder)


def test_a_file_smuggled_among_the_weights_is_refused(router_folder):
    (router_folder / "weights" / "adapter_config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(DataError, match=r"adapter_config\.json.*does not list"):
        Router.load(router_folder)


def test_weights_that_router_json_does_not_list_are_refused(router_folder):
    edit(router_folder, lambda c: c.update(files={}))
    with pytest.raises(DataError, match="does not list"):
        Router.load(router_folder)


def test_a_file_manager_leaving_its_mark_does_no_harm(router_folder):
    (router_folder / "weights" / ".DS_Store").write_bytes(b"x")
    assert Router.load(router_folder).expert_names == ("adder", "poet")


def test_saving_over_a_link_replaces_what_it_leads_to_and_keeps_the_link(router_folder):
    link = router_folder.with_name("current")
    link.symlink_to(router_folder, target_is_directory=True)
    router = Router.load(link)
    router.default_policy = "cost_weight=7"
    router.save(link, overwrite=True)
    assert link.is_symlink()
    assert Router.load(router_folder).default_policy == "cost_weight=7"
    assert sorted(path.name for path in router_folder.parent.iterdir()) == ["current", "router"]
