"""A server that explores, and learns from what it is told, while it serves."""

import io
import json
from typing import Any

import pytest
from pydantic import ValidationError

from benchmarks.serving.router_folder import KINDS
from mixture_training.src.feedback_store import FeedbackStore
from mixture_training.src.server import learning
from mixture_training.src.server.serve_config import ServeConfig
from mixture_training.src.versions import list_versions
from tests.mixture_training.live_server import LiveServer, live_server

EXPLORING = ("--explore", "epsilon", "--explore_quality", "0.3", "--explore_budget_usd", "100")


def instructions(count: int, start: int = 0) -> list[str]:
    """Return instructions of all kinds in turn, sums first."""
    kinds = list(KINDS.values())
    return [kinds[n % len(kinds)].format(a=n, b=n * 7 % 97) for n in range(start, start + count)]


def route(server: LiveServer, text: str) -> dict[str, Any]:
    return server.ask("POST", "/v1/route", {"model": "moe", "messages": [{"role": "user", "content": text}]}).json


def metric(server: LiveServer, name: str) -> float:
    lines = server.ask("GET", "/metrics").body.decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


@pytest.mark.slow
def test_a_running_server_learns_that_an_expert_has_become_bad_and_asks_another(tmp_path):
    with live_server(tmp_path, "--update_every_s", "1", *EXPLORING) as server, server.without_problems():
        first = route(server, instructions(1)[0])
        bad = first["greedy"]
        for number, text in enumerate(instructions(600)):
            user = f"user-{number % 60}"
            answer = server.chat(text, headers={"x_moe_user": user}).json["moe"]
            judged = {"id": answer["decision"], "score": float(answer["expert"] != bad), "user": user}
            assert server.ask("POST", "/v1/feedback", judged).status == 200

        def is_learned() -> bool:
            receipt = route(server, instructions(1, 9000)[0])
            return receipt["greedy"] != bad and receipt["router_version"] != first["router_version"]

        server.wait_for(is_learned)
        server.wait_for(lambda: metric(server, 'moe_updates_total{outcome="promoted"}') >= 1)
        events = [json.loads(line) for line in server.log().splitlines() if '"event": "update"' in line]
        assert any(event["promoted"] and event["version"] == 2 for event in events)
        with FeedbackStore(server.store) as store:
            explored = [one for one in store.decisions() if 0.0 < one.propensities[bad] < 1.0]
            assert len(explored) > 100
        assert [row.state for row in list_versions(tmp_path / "router")][0] == "replaced"


@pytest.mark.slow
def test_an_update_that_cannot_be_made_is_told_and_serving_goes_on(tmp_path):
    with live_server(tmp_path, "--update_every_s", "0.5", "--update_canary", "0.2") as server:
        server.wait_for(lambda: metric(server, 'moe_updates_total{outcome="kept"}') >= 1)
        (tmp_path / "router" / "router.json").write_text("{")
        server.wait_for(lambda: metric(server, 'moe_updates_total{outcome="failed"}') >= 1)
        assert server.chat().status == 200
        told = [json.loads(line) for line in server.log().splitlines() if '"failed"' in line]
        assert "router.json" in told[-1]["failed"]
        assert "Traceback" not in server.log()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"update_canary": 0.1}, "give that too"),
        ({"update_canary": 1.0, "update_every_s": 60}, "less than 1"),
        ({"update_every_s": 60, "keep_features": False}, "neither is kept"),
    ],
)
def test_learning_from_nothing_or_on_trial_by_itself_is_refused(given, said):
    with pytest.raises(ValidationError, match=said):
        ServeConfig(router="r", **given)


def test_what_nobody_foresaw_in_an_update_is_told_by_its_type_only(tmp_path, monkeypatch):
    def breaks(*_: object, **__: object) -> None:
        raise RuntimeError("what a user wrote")

    monkeypatch.setattr("mixture_training.src.updating.update_router", breaks)
    monkeypatch.setattr(learning.os, "nice", lambda _: 0)
    setup = {"router": "runs/router", "feedback": str(tmp_path / "f.sqlite3"), "canary": None}
    monkeypatch.setattr(learning.sys, "stdin", io.StringIO(json.dumps(setup)))
    with pytest.raises(SystemExit, match=r"^RuntimeError; `moe update --router runs/router` shows where$"):
        learning.main()
