"""From start to end: failover, hot swap, several workers, SIGTERM in the middle of a stream."""

import http.client
import json
import os
import shutil
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from mixture_training.src.feedback_store import FeedbackStore
from tests.mixture_training.live_server import LiveServer, live_server

pytestmark = pytest.mark.slow


def stream(server: LiveServer) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
    """Ask for a stream and return it when it has begun."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    body = json.dumps({"model": "moe", "stream": True, "messages": [{"role": "user", "content": "3 and 4?"}]})
    headers = {"Authorization": f"Bearer {server.key}", "Content-Type": "application/json"}
    connection.request("POST", "/v1/chat/completions", body, headers)
    return connection, connection.getresponse()


def stored(server: LiveServer) -> int:
    with FeedbackStore(server.store) as store:
        return store.counts().decisions


@pytest.fixture
def server(tmp_path):
    with live_server(tmp_path, "--settle_s", "0.3", "--retries", "0") as running:
        yield running


def test_an_expert_that_fails_before_the_first_piece_is_replaced_unseen(server: LiveServer):
    first = server.ask("POST", "/v1/route", {"model": "moe", "messages": [{"role": "user", "content": "3 and 4?"}]})
    chosen = first.json["chosen"]
    other = next(name for name in server.experts if name != chosen)
    server.experts[chosen].change(mode="error")
    connection, response = stream(server)
    text = response.read().decode()
    connection.close()
    assert (response.status, response.headers["x-moe-expert"]) == (200, other)
    assert text.endswith("data: [DONE]\n\n")
    assert [attempt["expert"] for attempt in json.loads(text.split("data: ")[-2])["moe"]["attempts"]] == [chosen, other]


def test_an_expert_that_breaks_off_is_told_and_not_finished(server: LiveServer):
    for expert in server.experts.values():
        expert.change(mode="cut")
    connection, response = stream(server)
    text = response.read().decode()
    connection.close()
    if response.status == 200:
        assert "[DONE]" not in text
        error = json.loads(text.split("data: ")[-1])["error"]
        assert {"message", "type", "param", "code"} <= error.keys()
        assert error["decision"] == response.headers["x-moe-decision"]
    else:
        assert json.loads(text)["error"]["code"] == "experts_failed"


def test_sigterm_lets_a_stream_end_and_writes_every_decision(server: LiveServer):
    for expert in server.experts.values():
        expert.change(mode="slow", slow_s=2.0)
    with ThreadPoolExecutor(4) as pool:
        running = [pool.submit(server.chat, stream=True) for _ in range(4)]
        time.sleep(0.7)
        server.server.process.send_signal(signal.SIGTERM)
        server.wait_for(lambda: server.ask("GET", "/readyz", key=None).status == 503)
        answers = [one.result() for one in running]
    assert [answer.status for answer in answers] == [200] * 4
    assert all(answer.body.endswith(b"data: [DONE]\n\n") for answer in answers)
    assert server.server.process.wait(20) == 0
    with pytest.raises(OSError, match="refused"):
        server.chat()
    assert stored(server) == 4
    assert "Traceback" not in server.log()


def test_the_end_does_not_wait_for_ever(tmp_path):
    with live_server(tmp_path, "--settle_s", "0", "--shutdown_timeout_s", "0.5") as server:
        for expert in server.experts.values():
            expert.change(mode="silent")
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        headers = {"Authorization": f"Bearer {server.key}", "Content-Type": "application/json"}
        connection.request(
            "POST", "/v1/chat/completions", b'{"model":"moe","messages":[{"role":"user","content":"a"}]}', headers
        )
        time.sleep(0.5)
        server.server.process.send_signal(signal.SIGTERM)
        assert server.server.process.wait(15) == 0
        connection.close()
        with FeedbackStore(server.store) as store:
            assert [decision.outcome for decision in store.decisions()] == ["cancelled"]


def test_a_router_is_swapped_under_load_and_no_request_fails(server: LiveServer):
    folder = server.folder / "router"
    before = server.chat().headers["x-moe-router-version"]
    new = server.folder / "new"
    shutil.copytree(folder, new)
    content = json.loads((new / "router.json").read_text())
    content["default_policy"] = "cost_weight=50"
    (new / "router.json").write_text(json.dumps(content))
    statuses, stop = [], threading.Event()

    def ask() -> None:
        while not stop.is_set():
            statuses.append(server.chat().status)

    asking = [threading.Thread(target=ask) for _ in range(4)]
    for thread in asking:
        thread.start()
    try:
        folder.rename(server.folder / "old")
        new.rename(folder)
        server.wait_for(lambda: server.chat().json["moe"]["policy"] == "cost_weight=50")
        assert server.chat().headers["x-moe-router-version"] != before
        (folder / "router.json").write_text("{")
        time.sleep(2.5)
        assert server.chat().json["moe"]["policy"] == "cost_weight=50"
    finally:
        stop.set()
        for thread in asking:
            thread.join()
    assert set(statuses) == {200}


def test_killed_in_the_middle_nothing_that_was_answered_is_lost(server: LiveServer):
    ids = [server.chat().headers["x-moe-decision"] for _ in range(30)]
    os.kill(server.server.process.pid, signal.SIGKILL)
    server.server.process.wait()
    from mixture_training.src.storing.opening import open_store

    with open_store(server.store, None) as store:
        assert {decision.id for decision in store.decisions()} >= set(ids)


def test_a_worker_that_dies_is_started_again_and_all_are_counted_together(tmp_path):
    with live_server(tmp_path, "--workers", "2", "--settle_s", "0") as server:
        tree = psutil.Process(server.server.process.pid).children()
        assert len(tree) == 2
        for _ in range(40):
            assert server.chat().status == 200
        key = server.make_key(requests_per_minute=6)
        assert sum(server.chat(key=key).status == 200 for _ in range(20)) <= 2
        tree[0].send_signal(signal.SIGKILL)
        children = psutil.Process(server.server.process.pid).children
        server.wait_for(
            lambda: tree[0].pid not in {c.pid for c in children() if c.status() != "zombie"} and len(children()) == 2
        )
        server.wait_for(lambda: answers(server) == 20)
        text = server.ask("GET", "/metrics", key=None).body.decode()
        counted = [
            line
            for line in text.splitlines()
            if line.startswith('moe_requests_total{route="/v1/chat/completions",status="200"}')
        ]
        assert sum(float(line.rsplit(" ", 1)[1]) for line in counted) >= 41
        server.server.process.send_signal(signal.SIGTERM)
        assert server.server.process.wait(20) == 0
        assert stored(server) >= 41


def test_workers_end_with_their_parent(tmp_path):
    with live_server(tmp_path, "--workers", "2", "--settle_s", "0") as server:
        workers = psutil.Process(server.server.process.pid).children()
        server.server.process.kill()
        server.server.process.wait()
        _, alive = psutil.wait_procs(workers, timeout=20)
        assert alive == []


def answers(server: LiveServer) -> int:
    """Return how many of twenty requests are answered."""
    good = 0
    for _ in range(20):
        try:
            good += server.chat().status == 200
        except OSError:
            time.sleep(0.05)
    return good
