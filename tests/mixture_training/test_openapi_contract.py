"""schemathesis against the server's own description: no 500, and every answer as it is described."""

import pytest

schemathesis = pytest.importorskip("schemathesis", reason="needs schemathesis (pip install schemathesis)")
from hypothesis import HealthCheck, settings  # noqa: E402

from tests.mixture_training.live_server import live_server  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]  # the library's own warnings are not ours

#: Requests made up for each operation.
EXAMPLES = 40


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    options = ("--embeddings_url", "http://127.0.0.1:9/v1", "--request_timeout_s", "5")  # nobody listens there
    with live_server(tmp_path_factory.mktemp("contract"), *options) as running:
        yield running


@pytest.fixture(scope="module")
def described(server):
    return schemathesis.openapi.from_url(server.url.removesuffix("/v1") + "/openapi.json")


contract = schemathesis.pytest.from_fixture("described")


@contract.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
def test_every_answer_is_as_described(case, server):
    case.call_and_validate(headers={"Authorization": f"Bearer {server.key}"}, timeout=30)
    assert '"event": "problem"' not in server.log(), server.log()[-2000:]


def test_the_description_has_every_address(server):
    described = server.ask("GET", "/openapi.json").json["paths"]
    assert {"/v1/chat/completions", "/v1/completions", "/v1/models", "/v1/embeddings", "/v1/feedback"} <= set(described)
    assert {"/v1/route", "/healthz", "/readyz", "/metrics", "/v1/decisions/{id}"} <= set(described)
