import json
import sys
from contextlib import contextmanager

import numpy as np
import pytest

from dataset_build import ConfigError, MissingDependencyError
from mixture_training.src.encoders import encoders
from mixture_training.src.encoders.factory import load_encoder, make_encoder, save_encoder
from mixture_training.src.encoders.tfidf import TfidfEncoder
from mixture_training.src.pretrained import find_pretrained, is_pretrained_name

VERBS = ["add", "take", "see"] * 8
TEXTS = [f"{verb} the number {n} and the {noun}" for n, verb in enumerate(VERBS) for noun in ("cat", "dog")]
ODD = [
    "", " ", "\n\n\t", "\ud800", "a \udfff b", "\x00", "never seen 数学 رياضيات математика", "🙂" * 50, "x" * 30_000,
    "9" * 30_000, "1 " * 15_000, "((((" * 5_000, "ﬁ ½ ٣ ³ İ", "-" * 200, "1,2,3,4", "?" * 3_000, "a\r\nb\rc",
]  # fmt: skip
NAMES = ["static", "minilm", "minilm-fp32", "tfidf", "features", "minilm+tfidf", "static+tfidf+features", "tiny_bert"]
#: A transformer's rounding may depend on how many texts are run at a time.
TOLERANCE = {"tiny_bert": 1e-6}


@pytest.fixture(scope="module", params=NAMES)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def make(name, tiny_bert_dir):
    return lambda: make_encoder(str(tiny_bert_dir) if name == "tiny_bert" else name)


@pytest.fixture(scope="module")
def encoder(make):
    return make().fit(TEXTS)


@pytest.fixture(scope="module")
def vectors(encoder):
    return encoder.encode([*TEXTS, *ODD])


def test_every_encoder_is_in_the_contract():
    assert set(encoders) - {"hf", "openai"} <= set(NAMES)


def test_vectors_are_finite_bounded_and_float32(vectors):
    assert vectors.dtype == np.float32
    assert vectors.shape[0] == len(TEXTS) + len(ODD)
    assert np.isfinite(vectors).all()
    assert np.linalg.norm(vectors, axis=1).max() < 5


def test_saved_and_loaded_an_encoder_gives_the_very_same_vectors(encoder, vectors, tmp_path):
    saved = json.loads(json.dumps(save_encoder(encoder, tmp_path / "encoder")))
    loaded = load_encoder(tmp_path / "encoder", saved)
    np.testing.assert_array_equal(loaded.encode([*TEXTS, *ODD]), vectors)
    assert loaded.seconds_per_text == encoder.seconds_per_text
    assert loaded.fingerprint() == encoder.fingerprint()
    assert not [path for path in tmp_path.rglob("*") if path.suffix in (".pkl", ".bin", ".pt")]


def test_a_second_save_has_the_same_bytes(encoder, tmp_path):
    for name in ("one", "two"):
        save_encoder(encoder, tmp_path / name)
    for file in (tmp_path / "one").rglob("*"):
        if file.is_file():
            assert file.read_bytes() == (tmp_path / "two" / file.relative_to(tmp_path / "one")).read_bytes()


def test_a_texts_vector_does_not_depend_on_the_others(name, encoder, vectors):
    singles = np.concatenate([encoder.encode([text]) for text in [*TEXTS, *ODD]])
    np.testing.assert_allclose(singles, vectors, rtol=0, atol=TOLERANCE.get(name, 0))
    np.testing.assert_allclose(encoder.encode([*TEXTS, *ODD][::-1])[::-1], vectors, rtol=0, atol=TOLERANCE.get(name, 0))


def test_no_text_gives_no_rows(encoder, vectors):
    assert encoder.encode([]).shape == (0, vectors.shape[1])
    assert encoder.encode([]).dtype == np.float32


def test_two_encoders_of_one_name_agree_to_the_bit(make, encoder, vectors):
    other = make().fit(TEXTS)
    np.testing.assert_array_equal(other.encode([*TEXTS, *ODD]), vectors)
    assert other.fingerprint() == encoder.fingerprint()


def test_what_a_text_costs_is_declared(encoder):
    assert 0 < encoder.seconds_per_text < 1


def test_fingerprints_tell_encoders_apart_and_are_file_names(tiny_bert_dir):
    made = [make_encoder(name).fit(TEXTS).fingerprint() for name in ("minilm", "minilm-fp32", str(tiny_bert_dir))]
    assert len(set(made)) == 3
    assert all(fingerprint and fingerprint.replace("-", "").isalnum() for fingerprint in made)
    assert make_encoder("tfidf").fit(TEXTS).fingerprint() is None


def test_the_fingerprint_of_a_hugging_face_encoder_changes_with_its_weights(tiny_bert_dir):
    import torch

    encoder = make_encoder(str(tiny_bert_dir))
    before = make_encoder(str(tiny_bert_dir)).fingerprint()
    _, model = encoder._loaded()
    with torch.no_grad():
        next(model.parameters())[0, 0] += 1
    assert encoder.fingerprint() != before


def test_tfidf_sees_the_last_digit_of_a_number():
    encoder = TfidfEncoder().fit([f"is {n} even?" for n in range(1000, 1400)])
    even, odd, also_even = encoder.encode(["is 1234 even?", "is 1397 even?", "is 1394 even?"])
    assert even @ also_even > even @ odd


def test_tfidf_reduces_to_the_dimensions_asked_for():
    assert TfidfEncoder(dimensions=5).fit(TEXTS).encode(TEXTS).shape == (len(TEXTS), 5)
    few = TfidfEncoder().fit(["one text"])
    np.testing.assert_allclose(np.linalg.norm(few.encode(["one text"])), 1.0, atol=1e-3)
    assert not few.encode(["###"]).any()


def test_what_tfidf_remembers_changes_no_vector(monkeypatch):
    from mixture_training.src.encoders import tfidf

    encoder = TfidfEncoder().fit(TEXTS)
    first = encoder.encode(TEXTS)
    np.testing.assert_array_equal(encoder.encode(TEXTS), first)
    monkeypatch.setattr(tfidf, "_MOST_REMEMBERED", 2)
    np.testing.assert_array_equal(TfidfEncoder().fit(TEXTS).encode(TEXTS), first)


def test_an_unknown_encoder_names_the_nearest():
    with pytest.raises(ConfigError, match="Did you mean 'minilm'"):
        make_encoder("minilmm")
    with pytest.raises(ConfigError, match="Did you mean 'static'"):
        make_encoder("statik")
    with pytest.raises(ConfigError, match="Unknown encoder 'hf'"):
        make_encoder("hf")
    with pytest.raises(ConfigError, match="Unknown encoder 'openai'.*openai:MODEL@URL"):
        make_encoder("openai")
    with pytest.raises(ConfigError, match="Unknown encoder 'tfid'"):
        make_encoder("minilm+tfid")


@pytest.mark.parametrize("name", ["static", "minilm", "minilm-fp32"])
def test_weights_that_are_not_installed_are_named(name, monkeypatch, tmp_path):
    from dataset_build.src import minilm

    monkeypatch.setenv("MOE_TOOLKIT_CACHE", str(tmp_path))
    monkeypatch.setattr(minilm, "find_spec", lambda package: None)
    with pytest.raises(MissingDependencyError, match="pip install"):
        make_encoder(name).encode(["a"])


@contextmanager
def without(*packages):
    hidden = {name: sys.modules.pop(name) for name in [*sys.modules] if name.partition(".")[0] in packages}
    sys.modules.update(dict.fromkeys(packages))
    try:
        yield
    finally:
        for package in packages:
            del sys.modules[package]
        sys.modules.update(hidden)


def test_a_package_that_is_not_installed_is_named(tiny_bert_dir):
    with without("transformers"), pytest.raises(MissingDependencyError, match=r'pip install "moe-toolkit\[train\]"'):
        make_encoder(str(tiny_bert_dir)).encode(["a"])


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"no config\.json"):
        find_pretrained(str(tmp_path))
    with pytest.raises(ConfigError, match="No such model folder"):
        find_pretrained("./absent")


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("minilm", True),
        ("roberta-large", True),
        ("org/name", True),
        ("./x", True),
        ("roberta-lrage", False),
        ("a b", False),
    ],
)
def test_what_can_be_a_pretrained_model(name, is_one):
    assert is_pretrained_name(name) is is_one


def test_a_hub_that_cannot_be_used_is_one_line(monkeypatch):
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ConfigError, match=r"Cannot load model 'roberta-large'.*give a local path") as failure:
        make_encoder("roberta-large").encode(["a"])
    assert "\n" not in str(failure.value)
