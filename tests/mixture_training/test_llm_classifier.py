import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from dataset_build import ConfigError
from mixture_training.src.llm_choosers import make_chooser, parse_choice, parse_llm
from mixture_training.src.llm_classifier import LLMClassifier, preamble, table
from tests.mixture_training.synthetic import EXPERTS, TOPICS, make_data

TRAIN, VALIDATION = make_data(60, seed=1, missing=0.1), make_data(60, split="validation", seed=2, missing=0.1)
TEST = make_data(30, split="test", seed=3)


class Endpoint(BaseHTTPRequestHandler):
    """A chat endpoint that knows its fruit and metals, is silent about animals, and keeps what it was asked."""

    requests: list[dict] = []

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.requests.append(body)
        asked = body["messages"][-1]["content"].rpartition("Instruction: ")[2]
        topic = next((name for name, words in TOPICS.items() if any(word in asked for word in words)), "")
        answer = {"fruit": '{"expert": "fruiterer"}', "metal": "smith"}.get(topic, "I would ask somebody else")
        content = {"choices": [{"message": {"role": "assistant", "content": answer}, "finish_reason": "stop"}]}
        payload = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def base_url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    server.server_close()


def test_an_endpoint_chooses_under_a_schema_and_its_choices_become_scores(base_url, tmp_path):
    llm = {"provider": "openai_compatible", "name": "router", "base_url": base_url, "model": "m"}
    Endpoint.requests.clear()
    classifier = LLMClassifier(llm, calibration_rows=40).fit(TRAIN, VALIDATION)
    assert len(Endpoint.requests) == 40
    schema = Endpoint.requests[0]["response_format"]["json_schema"]["schema"]
    assert schema["properties"]["expert"]["enum"] == list(EXPERTS)
    facts = classifier.diagnostics()
    assert facts["asked_in_fit"] == 40
    assert 0 < facts["outside_in_fit"] < 40

    scores = classifier.predict(TEST.texts).scores
    animals = np.array([category == "animal" for category in TEST.categories])
    assert classifier.diagnostics()["outside_since"] == animals.sum()
    np.testing.assert_allclose(scores[animals], np.tile(TRAIN.expert_means(), (animals.sum(), 1)))
    chosen = scores[~animals].argmax(axis=1)
    assert (chosen == TEST.scores[~animals].argmax(axis=1)).all()

    loaded = LLMClassifier.load(tmp_path, json.loads(json.dumps(classifier.save(tmp_path))))
    np.testing.assert_array_equal(loaded.predict(TEST.texts).scores, scores)


def test_an_endpoint_that_is_down_leaves_the_train_means():
    llm = {"provider": "openai_compatible", "name": "r", "base_url": "http://127.0.0.1:9/v1", "model": "m"}
    chooser = make_chooser(parse_llm(llm), EXPERTS)
    assert np.isnan(chooser.choose(["a"])).all()


@pytest.mark.slow
def test_a_local_model_chooses_by_likelihood(tiny_llama_dir):
    chooser = make_chooser(parse_llm(f"transformers_local:{tiny_llama_dir}"), ["2", "Paris", "Hello!"])
    probabilities = chooser.choose(["Capital of France?", "What is 1 + 1?"])
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)
    assert not np.array_equal(probabilities[0], probabilities[1])
    with pytest.raises(ConfigError, match="fewer than the experts' names need"):
        make_chooser(parse_llm(f"transformers_local:{tiny_llama_dir}"), ["x" * 500])


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ('{"expert": "smith"}', "smith"),
        ('{"expert": "nobody"}', None),
        (" `vet`. ", "vet"),
        ("I would ask the smith.", "smith"),
        ("smith or vet", None),
        ("smithy", None),
        ("", None),
        ("[1]", None),
    ],
)
def test_only_one_known_name_is_a_choice(answer, expected):
    assert parse_choice(answer, EXPERTS) == expected


def test_the_table_is_shrunk_to_the_means_and_blind_to_missing_cells():
    choices = np.array([[1.0, 0.0], [1.0, 0.0], [np.nan, np.nan]])
    scores = np.array([[1.0, np.nan], [1.0, np.nan], [0.0, 0.0]])
    learned = table(choices, scores, np.array([0.5, 0.5]))
    np.testing.assert_allclose(learned, [[(2 + 5) / 12, 0.5], [0.5, 0.5]])


def test_the_prompt_shows_experts_and_examples_on_one_line_each():
    text = preamble(TRAIN, TRAIN.expert_means(), [0, 1])
    assert "- smith: knows metals (mean score 0." in text
    assert text.count("Instruction: ") == 2


def test_examples_are_spread_over_the_experts():
    picked = LLMClassifier(examples=6)._pick_examples(TRAIN)
    best = np.nanargmax(TRAIN.scores[picked], axis=1)
    assert np.bincount(best, minlength=3).tolist() == [2, 2, 2]


def test_a_routing_model_that_is_none_is_refused(tmp_path):
    (tmp_path / "two.yaml").write_text("- provider: echo\n  name: a\n- provider: echo\n  name: b\n")
    with pytest.raises(ConfigError, match="exactly one"):
        parse_llm(str(tmp_path / "two.yaml"))
    with pytest.raises(ConfigError, match="needs a `model`"):
        make_chooser(parse_llm({"provider": "transformers_local"}), EXPERTS)
    with pytest.raises(ConfigError, match="needs a language model"):
        LLMClassifier().fit(TRAIN, VALIDATION)


def test_a_relative_model_folder_is_kept_as_an_absolute_one(tmp_path, monkeypatch):
    (tmp_path / "model").mkdir()
    monkeypatch.chdir(tmp_path)
    assert parse_llm("transformers_local:model").options()["model"] == str(tmp_path / "model")
