"""Who may ask a server, how often, and for how much."""

import json
import subprocess
import sys

import pytest

from benchmarks.serving.router_folder import make_router_folder
from tests.mixture_training.live_server import LiveServer, live_server

pytestmark = pytest.mark.slow

GATED = [("POST", "/v1/chat/completions"), ("POST", "/v1/completions"), ("POST", "/v1/embeddings"),
         ("POST", "/v1/route"), ("POST", "/v1/feedback"), ("GET", "/v1/models"), ("GET", "/v1/models/moe"),
         ("GET", "/v1/decisions/a")]  # fmt: skip
OPEN = ["/healthz", "/readyz", "/openapi.json"]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with live_server(tmp_path_factory.mktemp("access")) as running:
        yield running


@pytest.mark.parametrize(("method", "path"), GATED)
@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "Basic bW9lOm1vZQ==", "Bearer moe-wrong", "Bearer " + "x" * 500]
)
def test_without_a_good_key_nothing_is_told(server: LiveServer, method, path, header):
    headers = {} if header is None else {"Authorization": header}
    answer = server.ask(method, path, {} if method == "POST" else None, key=None, **headers)
    assert (answer.status, answer.error["code"]) == (401, "invalid_api_key")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("path", OPEN)
def test_what_watchdogs_ask_needs_no_key(server: LiveServer, path):
    assert server.ask("GET", path, key=None).status == 200


def test_a_key_is_for_its_experts_only(server: LiveServer):
    key = server.make_key(experts=["small"])
    assert server.chat(key=key).json["model"] == "small"
    assert server.chat(key=key, model="small").status == 200
    answer = server.chat(key=key, model="large")
    assert (answer.status, answer.error["code"]) == (403, "model_not_allowed")
    listed = [model["id"] for model in server.ask("GET", "/v1/models", key=key).json["data"]]
    assert listed == ["moe", "moe-quality", "moe-cheap", "small"]


def test_a_key_is_for_its_policies_only(server: LiveServer):
    key = server.make_key(policies=["cost_weight=50"])
    assert server.chat(key=key, model="moe:cost_weight=50").status == 200
    answer = server.chat(key=key, model="moe-quality")
    assert (answer.status, answer.error["code"]) == (403, "policy_not_allowed")


def test_a_key_that_asks_too_often_is_told_when_to_come_again(server: LiveServer):
    key = server.make_key(requests_per_minute=6)
    statuses = [server.chat(key=key).status for _ in range(3)]
    assert statuses[0] == 200
    answer = server.chat(key=key)
    assert (answer.status, answer.error["code"]) == (429, "rate_limit_exceeded")
    assert 1 <= int(answer.headers["Retry-After"]) <= 10
    assert server.chat().status == 200


def test_a_key_without_money_is_told_so(server: LiveServer):
    cost = server.chat(model="large").json["moe"]["cost_usd"]
    key = server.make_key(budget_usd=max(cost, 0.001) * 3)
    assert server.chat(key=key, model="large").status == 200
    server.wait_for(lambda: server.chat(key=key, model="large").status == 429)
    answer = server.chat(key=key)
    assert (answer.error["code"], answer.error["type"]) == ("insufficient_quota", "insufficient_quota")


def test_a_key_sees_its_own_decisions_only(server: LiveServer):
    other = server.make_key()
    made = server.chat().headers["x-moe-decision"]
    for method, path, body in (
        ("GET", f"/v1/decisions/{made}", None),
        ("POST", "/v1/feedback", {"id": made, "score": 1}),
    ):
        answer = server.ask(method, path, body, key=other)
        assert (answer.status, answer.error["code"]) == (404, "decision_not_found")
        assert answer.error == server.ask(method, path.replace(made, "f" * 16), body and {**body, "id": "f" * 16}).error


def test_a_revoked_key_is_refused_soon(server: LiveServer):
    run = [sys.executable, "-m", "mixture_training.src.cli", "keys"]
    where = ["--feedback", server.store]
    added = subprocess.run([*run, "add", "short", *where, "--json"], capture_output=True, text=True, check=True)
    made = json.loads(added.stdout)
    server.wait_for(lambda: server.chat(key=made["secret"]).status == 200)
    listed = subprocess.run([*run, "list", *where], capture_output=True, text=True, check=True)
    assert made["id"] in listed.stdout
    assert made["secret"] not in listed.stdout
    subprocess.run([*run, "revoke", made["id"], *where], capture_output=True, check=True)
    server.wait_for(lambda: server.chat(key=made["secret"]).status == 401)


def test_without_keys_only_names_of_this_machine_are_answered(tmp_path):
    with live_server(tmp_path, "--no_auth") as server:
        assert server.chat(key=None).status == 200
        for headers, code in (
            ({"Host": "evil.example"}, "host_not_allowed"),
            ({"Host": "127.0.0.1.evil.example"}, "host_not_allowed"),
            ({"Host": "evil.example:8080"}, "host_not_allowed"),
            ({"Origin": "http://evil.example"}, "origin_not_allowed"),
            ({"Origin": "null"}, "origin_not_allowed"),
            ({"Sec-Fetch-Site": "cross-site"}, "origin_not_allowed"),
        ):
            answer = server.chat(key=None, headers=headers)
            assert (answer.status, answer.error["code"]) == (403, code)
            assert "Access-Control-Allow-Origin" not in answer.headers
        assert server.chat(key=None, headers={"Host": "localhost:99", "Origin": "http://localhost:99"}).status == 200


def serve(*options: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "mixture_training.src.cli", "serve", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("refused") / "router"
    return str(
        make_router_folder(place, {"small": "http://127.0.0.1:9/v1", "large": "http://127.0.0.1:9/v1"}, encoder="tfidf")
    )


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--host", "0.0.0.0"], "moe keys add NAME"),
        (["--host", "0.0.0.0", "--no_auth"], "no_auth takes requests from everybody"),
        (["--host", "203.0.113.7"], "give another --host"),
        (["--policy", "cheapest"], "Unknown policy"),
        (["--workers", "0"], "workers"),
        (["--config", "/nowhere.yaml"], "No such configuration file"),
        (["--explore", "luck"], "explore"),
    ],
)  # fmt: skip
def test_a_server_that_cannot_be_set_up_so_says_it_in_one_line(folder, options, says):
    done = serve("--router", folder, "--port", "0", *options)
    assert done.returncode == 2
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_port_that_is_taken_is_told_in_one_line(server: LiveServer, folder):
    for workers in ("1", "2"):
        done = serve("--router", folder, "--port", str(server.port), "--workers", workers, "--no_auth")
        assert (done.returncode, len(done.stderr.strip().splitlines())) == (2, 1)
        assert "--port" in done.stderr


def test_a_router_that_is_none_is_told_in_one_line(tmp_path):
    for place in (tmp_path / "nothing", tmp_path):
        done = serve("--router", str(place), "--port", "0")
        assert (done.returncode, len(done.stderr.strip().splitlines())) == (2, 1)
    assert list(tmp_path.iterdir()) == []
