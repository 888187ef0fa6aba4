import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from dataset_build import ConfigError, DataError
from mixture_training.src.artifacts import Router
from mixture_training.src.encoders import endpoint
from mixture_training.src.encoders.cache import encode_cached
from mixture_training.src.encoders.factory import load_encoder, make_encoder, save_encoder
from mixture_training.src.fitting import fit_router
from mixture_training.src.linear import LinearClassifier


class EmbeddingsServer:
    """An `/embeddings` endpoint whose vectors tell the text's length; fails as `faults` says, one a request."""

    def __init__(self):
        self.faults = []
        self.requests = []
        self.dimensions = 3
        self.longest = 100_000
        self.reversed = True
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                server.requests.append((self.path, dict(self.headers), asked))
                status, headers, reply = server.reply(asked)
                body = reply if isinstance(reply, bytes) else json.dumps(reply).encode()
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def reply(self, asked):
        if self.faults:
            fault = self.faults.pop(0)
            if fault is not None:
                return fault
        if any(len(text) > self.longest for text in asked["input"]):
            return 400, {}, {"error": {"message": "This model's maximum context length is 512 tokens"}}
        data = [
            {"index": index, "embedding": [float(len(text)), 1.0, *[0.0] * (self.dimensions - 2)]}
            for index, text in enumerate(asked["input"])
        ]
        return 200, {}, {"data": data[::-1] if self.reversed else data, "model": asked["model"]}

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(endpoint, "pause_s", lambda attempt, retry_after_s: 0.0)
    server = EmbeddingsServer()
    yield server
    server.close()


def expected(texts):
    raw = np.array([[len(text), 1.0, 0.0] for text in texts])
    return (raw / np.linalg.norm(raw, axis=1, keepdims=True)).astype(np.float32)


def test_vectors_come_in_batches_in_order_and_have_length_one(server):
    texts = [f"{'x' * (number % 50)}{number}" for number in range(200)]
    encoder = make_encoder(f"openai:bge@{server.url}")
    np.testing.assert_array_equal(encoder.encode(texts), expected(texts))
    assert sorted(len(asked["input"]) for _, _, asked in server.requests) == [8, 64, 64, 64]
    path, headers, asked = server.requests[0]
    assert (path, asked["model"]) == ("/v1/embeddings", "bge")
    assert "Authorization" not in headers
    assert encoder.encode(texts).tobytes() == np.concatenate([encoder.encode([text]) for text in texts]).tobytes()


def test_empty_and_odd_texts(server):
    encoder = make_encoder(f"openai:bge@{server.url}")
    assert encoder.encode([]).shape == (0, 3)
    vectors = encoder.encode(["", " \n", "a\ud800b", "x" * 30_000])
    np.testing.assert_array_equal(vectors[:2], np.zeros((2, 3)))
    np.testing.assert_array_equal(vectors[2:], expected(["a?b", "x" * 20_000]))


def test_the_key_is_read_from_the_named_variable_and_stored_nowhere(server, monkeypatch, tmp_path):
    encoder = make_encoder(f"openai:bge@{server.url}#MY_KEY")
    with pytest.raises(ConfigError, match="MY_KEY"):
        encoder.encode(["a"])
    monkeypatch.setenv("MY_KEY", "sk-123secret")
    vectors = encoder.encode(["a"])
    assert server.requests[-1][1]["Authorization"] == "Bearer sk-123secret"
    saved = save_encoder(encoder, tmp_path / "encoder")
    state = {"model": "bge", "base_url": server.url, "api_key_env": "MY_KEY", "dimensions": 3}
    assert saved == {"kind": "openai", "state": state}
    assert list((tmp_path / "encoder").iterdir()) == []
    loaded = load_encoder(tmp_path / "encoder", json.loads(json.dumps(saved)))
    np.testing.assert_array_equal(loaded.encode(["a"]), vectors)
    assert loaded.fingerprint() == encoder.fingerprint() != make_encoder(f"openai:e5@{server.url}").fingerprint()


def test_a_server_that_repeats_the_key_does_not_make_us_show_it(server, monkeypatch):
    monkeypatch.setenv("MY_KEY", "sk-123secret")
    server.faults = [(401, {}, {"error": {"message": "no such key sk-123secret"}})]
    with pytest.raises(ConfigError, match=r"no such key \*\*\*.*Check the key") as failure:
        make_encoder(f"openai:bge@{server.url}#MY_KEY").encode(["a"])
    assert "secret" not in str(failure.value)


def test_openai_itself_gets_its_own_key_and_nobody_else_does(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-123")
    assert make_encoder("openai:text-embedding-3-small").api_key_env == "OPENAI_API_KEY"
    assert make_encoder("openai:bge@http://127.0.0.1:1/v1").api_key_env is None


def test_what_may_pass_is_tried_again(server):
    odd = {"data": [{"index": 0, "embedding": ["a"]}]}
    server.faults = [(503, {}, b"busy"), (429, {"Retry-After": "0"}, b""), (200, {}, b"<html>"), (200, {}, odd)]
    np.testing.assert_array_equal(make_encoder(f"openai:bge@{server.url}").encode(["abc"]), expected(["abc"]))
    assert len(server.requests) == 5


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ((500, {}, b"oops"), "HTTP 500.*the server runs"),
        ((404, {}, {"error": {"message": "no model bge"}}), "no model bge.*model's name"),
        ((200, {}, {"data": []}), "0 embeddings for 1 texts"),
        ((200, {}, {"data": [{"index": 0, "embedding": []}]}), "different lengths"),
        ((200, {}, b'{"data": [{"index": 0, "embedding": [NaN, 1]}]}'), "no numbers"),
        ((200, {}, {"data": {"index": 0}}), "no list of embeddings"),
    ],
)
def test_what_does_not_pass_is_one_clear_line(server, fault, message):
    server.faults = [fault] * 10
    with pytest.raises(ConfigError, match=message) as failure:
        make_encoder(f"openai:bge@{server.url}").encode(["a"])
    assert "\n" not in str(failure.value)
    assert f"openai:bge at {server.url}" in str(failure.value)


def test_a_server_that_is_not_there_is_one_clear_line(server):
    url = server.url
    server.close()
    server.close = lambda: None
    with pytest.raises(ConfigError, match=r"openai:bge at http.*Check the address"):
        make_encoder(f"openai:bge@{url}").encode(["a"])


def test_only_the_text_that_is_too_long_is_cut(server):
    server.longest = 1000
    texts = ["short", "x" * 3000, "also short"]
    vectors = make_encoder(f"openai:bge@{server.url}").encode(texts)
    np.testing.assert_array_equal(vectors, expected(["short", "x" * 750, "also short"]))
    server.longest = 10
    with pytest.raises(ConfigError, match="longer context"):
        make_encoder(f"openai:bge@{server.url}").encode(["x" * 3000])


def test_another_model_behind_the_address_is_noticed(server):
    encoder = make_encoder(f"openai:bge@{server.url}")
    encoder.encode(["a"])
    server.dimensions = 5
    with pytest.raises(DataError, match="now gives 5 dimensions instead of 3"):
        encoder.encode(["b"])


def test_paid_vectors_are_asked_for_once(server, tmp_path, monkeypatch):
    monkeypatch.setenv("MOE_TOOLKIT_CACHE", str(tmp_path))
    for _ in range(3):
        encode_cached(make_encoder(f"openai:bge@{server.url}"), ["a", "b"])
    assert Counter(len(asked["input"]) for _, _, asked in server.requests) == {2: 1}


def test_an_endpoint_can_be_described_in_a_file(server, tmp_path):
    file = tmp_path / "encoder.yaml"
    file.write_text(f"model: bge\nbase_url: {server.url}\n")
    assert make_encoder(str(file)).encode(["a"]).shape == (1, 3)
    file.write_text("model: bge\nkey: sk-1\n")
    with pytest.raises(ConfigError, match="unknown key 'key', no base_url"):
        make_encoder(str(file))


def test_a_name_that_cannot_be_an_endpoint_is_explained_without_repeating_a_key():
    with pytest.raises(ConfigError, match=r"expected a plain web address.*openai:MODEL@URL"):
        make_encoder("openai:bge@localhost")
    with pytest.raises(ConfigError, match="name of a model"):
        make_encoder("openai:")
    with pytest.raises(ConfigError, match="never the key itself") as failure:
        make_encoder("openai:bge@http://127.0.0.1:1/v1#sk-123secret")
    assert "secret" not in str(failure.value)
    with pytest.raises(ConfigError, match="plain web address") as failure:
        make_encoder("openai:bge@http://user:sk-123secret@127.0.0.1:1/v1")
    assert "secret" not in str(failure.value)


def test_it_can_be_joined_with_others(server):
    encoder = make_encoder(f"features+openai:bge@{server.url}").fit(["one", "two 2"])
    assert encoder.encode(["a", "b"]).shape[1] == encoder.parts[0].encode(["a"]).shape[1] + 3


def test_a_router_that_asks_an_endpoint_keeps_no_key_and_no_weights(server, small_data, tmp_path, monkeypatch):
    monkeypatch.setenv("MOE_TOOLKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MY_KEY", "sk-123secret")
    router = fit_router(small_data, LinearClassifier(encoder=f"openai:bge@{server.url}#MY_KEY"))
    router.save(tmp_path / "router")
    files = [file for file in (tmp_path / "router").rglob("*") if file.is_file()]
    assert not [file for file in files if b"secret" in file.read_bytes()]
    assert not [file for file in files if "encoder" in file.parts]
    texts = small_data.split("test").texts
    loaded = Router.load(tmp_path / "router")
    np.testing.assert_array_equal(loaded.classifier.predict(texts).scores, router.classifier.predict(texts).scores)
