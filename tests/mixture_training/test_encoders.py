import json

import numpy as np
import pytest

from dataset_build import ConfigError
from mixture_training.src.encoders.factory import load_encoder, make_encoder, save_encoder
from mixture_training.src.encoders.tfidf import TfidfEncoder
from mixture_training.src.pretrained import find_pretrained, is_pretrained_name

VERBS = ["add", "take", "see"] * 8
TEXTS = [f"{verb} the number {n} and the {noun}" for n, verb in enumerate(VERBS) for noun in ("cat", "dog")]


@pytest.mark.parametrize("name", ["minilm", "tfidf", "minilm+tfidf", "tiny_bert"])
def test_saved_and_loaded_an_encoder_gives_the_very_same_vectors(name, tmp_path, tiny_bert_dir):
    encoder = make_encoder(str(tiny_bert_dir) if name == "tiny_bert" else name).fit(TEXTS)
    saved = json.loads(json.dumps(save_encoder(encoder, tmp_path / "encoder")))
    odd = [*TEXTS, "", "never seen 数学", "\ud800"]
    vectors = encoder.encode(odd)
    assert vectors.dtype == np.float32
    np.testing.assert_array_equal(load_encoder(tmp_path / "encoder", saved).encode(odd), vectors)
    np.testing.assert_allclose(encoder.encode(odd[3:4])[0], vectors[3], atol=1e-6)
    assert encoder.encode([]).shape == (0, vectors.shape[1])
    assert not [path for path in tmp_path.rglob("*") if path.suffix in (".pkl", ".bin", ".pt")]


def test_tfidf_sees_the_last_digit_of_a_number():
    encoder = TfidfEncoder().fit([f"is {n} even?" for n in range(1000, 1400)])
    even, odd, also_even = encoder.encode(["is 1234 even?", "is 1397 even?", "is 1394 even?"])
    assert even @ also_even > even @ odd


def test_tfidf_reduces_to_the_dimensions_asked_for():
    assert TfidfEncoder(dimensions=5).fit(TEXTS).encode(TEXTS).shape == (len(TEXTS), 5)
    few = TfidfEncoder().fit(["one text"])
    np.testing.assert_allclose(np.linalg.norm(few.encode(["one text"])), 1.0, atol=1e-3)
    assert not few.encode(["###"]).any()


def test_an_unknown_encoder_names_the_nearest():
    with pytest.raises(ConfigError, match="Did you mean 'minilm'"):
        make_encoder("minilmm")
    with pytest.raises(ConfigError, match="Unknown encoder 'hf'"):
        make_encoder("hf")
    with pytest.raises(ConfigError, match="Unknown encoder 'tfid'"):
        make_encoder("minilm+tfid")


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
