import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dataset_build import ConfigError, DataError, MiniLM, MissingDependencyError
from dataset_build.src import minilm

TEXTS = [
    "What is 17% of 2,340?",
    "",
    "Die Katze sitzt auf dem Tisch.",
    "def f(x):\n    return x ** 2",
    "数学 und 🙂 emoji",
    "word " * 1000,
    "convert 3 miles to kilometres, please",
]


@pytest.fixture(scope="module")
def int8() -> MiniLM:
    return MiniLM.load()


def test_vectors_are_unit_length_and_alike_where_the_meaning_is(int8):
    vectors = int8.encode(["How tall is the tower?", "What is the height of the tower?", "Bake a cake"])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    assert vectors.dtype == np.float32
    assert vectors[0] @ vectors[1] > 0.8 > 0.3 > vectors[0] @ vectors[2]


def test_a_vector_does_not_depend_on_its_batch_or_on_threads(int8, monkeypatch):
    many = [f"{text} {number}" for number in range(10) for text in TEXTS]
    monkeypatch.setattr(minilm, "_cores", lambda: 3)
    threaded = int8.encode(many)
    monkeypatch.setattr(minilm, "_cores", lambda: 1)
    np.testing.assert_array_equal(threaded, int8.encode(many))
    np.testing.assert_array_equal(threaded[5], int8.encode(many[5:6])[0])


def test_no_text_and_odd_texts(int8):
    assert int8.encode([]).shape == (0, 384)
    assert np.isfinite(int8.encode(["\ud800 lone surrogate", "\x00", "x" * 100_000])).all()


def test_only_the_first_256_tokens_count(int8):
    same = int8.encode(["word " * 300, "word " * 300 + "and something else"])
    np.testing.assert_array_equal(same[0], same[1])


def test_saved_and_loaded_it_gives_the_same(int8, tmp_path):
    int8.save(tmp_path)
    np.testing.assert_array_equal(MiniLM.load(folder=tmp_path).encode(TEXTS), int8.encode(TEXTS))
    with pytest.raises(DataError, match="precision 'fp32'"):
        MiniLM.load("fp32", folder=tmp_path)


def test_damaged_files_are_named(int8, tmp_path):
    int8.save(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(DataError, match="no readable tokenizer"):
        MiniLM.load(folder=tmp_path)
    (tmp_path / "minilm_int8.onnx").write_bytes(b"nonsense")
    with pytest.raises(DataError, match="no readable ONNX model"):
        MiniLM.load(folder=tmp_path)


def test_a_damaged_cache_is_made_again(tmp_path, monkeypatch):
    monkeypatch.setenv("MOE_TOOLKIT_CACHE", str(tmp_path))
    before = MiniLM.load().encode(TEXTS[:1])
    (cached,) = tmp_path.rglob("minilm_int8.onnx")
    cached.write_bytes(cached.read_bytes()[:1000])
    np.testing.assert_array_equal(MiniLM.load().encode(TEXTS[:1]), before)
    assert cached.stat().st_size > 20_000_000
    assert not list(tmp_path.rglob(".*"))


def test_a_cache_that_cannot_be_written_is_said(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("MOE_TOOLKIT_CACHE", str(tmp_path / "file"))
    with pytest.raises(ConfigError, match="MOE_TOOLKIT_CACHE"):
        MiniLM.load()


def test_wrong_weights_are_refused(tmp_path, monkeypatch):
    (tmp_path / "model.safetensors").write_bytes(b"other")
    monkeypatch.setenv("MOE_TOOLKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(MiniLM, "packaged_folder", staticmethod(lambda: tmp_path))
    with pytest.raises(DataError, match="SHA-256 differs"):
        MiniLM.load()


def test_without_the_package_the_install_line_is_said(monkeypatch):
    monkeypatch.setattr(minilm, "_PACKAGE", "no_such_package_here")
    with pytest.raises(MissingDependencyError, match=r"moe-toolkit\[tools\]"):
        MiniLM.packaged_folder()


def test_unknown_precision_is_refused():
    with pytest.raises(ConfigError, match="'int4'"):
        MiniLM.load("int4")  # type: ignore[arg-type]


def test_it_needs_no_torch():
    code = "from dataset_build import MiniLM; import sys; MiniLM.load().encode(['a']); print('torch' in sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "False"


@pytest.mark.slow
def test_it_is_the_original_model(int8):
    import torch
    from transformers import AutoModel, AutoTokenizer

    folder = str(MiniLM.packaged_folder())
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    expected = []
    with torch.inference_mode():
        for text in TEXTS:
            inputs = tokenizer(text, truncation=True, max_length=256, return_tensors="pt")
            pooled = model(**inputs).last_hidden_state.mean(dim=1)
            expected.append(torch.nn.functional.normalize(pooled)[0].numpy())
    np.testing.assert_allclose(MiniLM.load("fp32").encode(TEXTS), np.array(expected), atol=1e-5)
    assert (int8.encode(TEXTS) * np.array(expected)).sum(axis=1).mean() > 0.985
