"""schemathesis against the server's own description: no 500, and every answer as it is described."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.serving.upstream import start_upstream
from tests.mixture_training.live_server import live_server

SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")
#: Requests made up for each address by chance, beside those that are made from the limits of the description.
EXAMPLES = 20

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with (
        start_upstream() as embeddings,
        live_server(tmp_path_factory.mktemp("contract"), "--embeddings_url", embeddings.url) as running,
    ):
        yield running


@pytest.mark.skipif(not SCHEMATHESIS.exists(), reason="needs schemathesis (pip install schemathesis)")
def test_every_answer_is_as_described(server, tmp_path):
    place = server.url.removesuffix("/v1") + "/openapi.json"
    options = ["--max-examples", str(EXAMPLES), "--generation-deterministic", "--continue-on-failure"]
    command = [str(SCHEMATHESIS), "run", place, "--header", f"Authorization: Bearer {server.key}", *options]
    with server.without_problems():
        run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-1000:]


def test_the_description_has_every_address(server):
    described = server.ask("GET", "/openapi.json").json["paths"]
    assert {"/v1/chat/completions", "/v1/completions", "/v1/models", "/v1/embeddings", "/v1/feedback"} <= set(described)
    assert {"/v1/route", "/healthz", "/readyz", "/metrics", "/v1/decisions/{id}"} <= set(described)
