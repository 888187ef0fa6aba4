"""The sentence encoder as every peer gets it: the same weights, from a local folder, through transformers.

Texts of the problem have their vectors already; `encode` computes, `known` looks up.
"""

import json
import threading
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from typing import Any

import numpy as np
from exchange import Array, Foreign, Problem, Split

#: Tokens read of each text, as in this project.
MAX_TOKENS = 256


class Embedder:
    """Unit vectors by mean pooling.

    Attributes:
        is_live: Whether texts of the problem are encoded too, as a route would.
    """

    def __init__(self, problem: Problem) -> None:
        self._folder = problem.encoder
        self._model: Any = None
        self._known: dict[str, Array] = {}
        for split in (problem.train, problem.validation, problem.test):
            self._remember(split)
        self.is_live = False

    def _remember(self, split: Split) -> None:
        self._known |= dict(zip(split.texts, split.vectors, strict=True))

    def __call__(self, text: str) -> Array:
        """Return the vector of a text, float32."""
        if not self.is_live and text in self._known:
            return self._known[text]
        vector: Array = self.encode([text])[0]
        return vector

    def encode(self, texts: Sequence[str]) -> Array:
        """Return the vectors of `texts`, computed."""
        torch: Foreign = import_module("torch")
        if self._model is None:
            transformers: Foreign = import_module("transformers")
            self._tokenizer = transformers.AutoTokenizer.from_pretrained(self._folder, local_files_only=True)
            self._model = transformers.AutoModel.from_pretrained(self._folder, local_files_only=True).eval()
        tokens = self._tokenizer(list(texts), padding=True, truncation=True, max_length=MAX_TOKENS, return_tensors="pt")
        with torch.no_grad():
            hidden = self._model(**tokens).last_hidden_state
        mask = tokens["attention_mask"].unsqueeze(-1)
        pooled = (hidden * mask).sum(1) / mask.sum(1)
        found: Array = torch.nn.functional.normalize(pooled, dim=-1).numpy().astype(np.float32)
        return found


def serve_embeddings(embedder: Embedder) -> str:
    """Start an OpenAI-compatible embeddings endpoint on a free port of this machine and return its base URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:  # noqa: N802 - the name the library calls
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            texts = [asked["input"]] if isinstance(asked["input"], str) else asked["input"]
            rows = [
                {"object": "embedding", "index": index, "embedding": embedder(text).tolist()}
                for index, text in enumerate(texts)
            ]
            usage = {"prompt_tokens": 0, "total_tokens": 0}
            body = json.dumps({"object": "list", "model": asked["model"], "data": rows, "usage": usage}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name the library uses
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}/v1"
