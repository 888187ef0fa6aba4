"""The whole way from an endpoint that fails to the dataset: every instruction ends in an answer or a named error."""

import asyncio
import json
import os
import random
import signal
import socket
import subprocess
import threading
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from benchmarks.kills import against_an_endpoint
from dataset_build import BuildConfig, Expert, ExpertUnavailableError, read_dataset_json, read_table
from dataset_build.src import calls, limits, querying
from dataset_build.src.build_report import warnings_of
from dataset_build.src.building import BuildResult, build
from dataset_build.src.errors import ConfigError, EarlyStopError
from dataset_build.src.instruction_store import InstructionStore
from dataset_build.src.records import Answer, Instruction
from dataset_build.src.response_store import JOURNAL_NAME, ResponseStore
from tests.fault_server import RANDOM_FAULTS, FaultServer, start_fault_server

#: Fault -> how the call ends when it always meets it: an error's kind, or None for an answer.
ALWAYS = {
    "429": "rate_limit",
    "429_retry_after": "rate_limit",
    "400": "bad_request",
    "401": "auth",
    "402": "quota",
    "500": "server_error",
    "503": "overloaded",
    "504": "timeout",
    "529": "overloaded",
    "reset": "connection",
    "reset_body": "connection",
    "cut_body": "connection",
    "slow_drip": "timeout",
    "never": "timeout",
    "truncated_json": "invalid_response",
    "html": "invalid_response",
    "wrong_type": None,
    "empty_choices": "invalid_response",
    "error_in_200": "server_error",
    "empty_content": "empty_response",
    "content_filter": "content_filter",
    "length": None,
    "huge": "invalid_response",
    "other_model": None,
    "no_usage": None,
}


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(calls, "FIRST_WAIT_S", 0.002)
    monkeypatch.setattr(limits, "FIRST_COOL_DOWN_S", 0.02)
    monkeypatch.setattr(limits, "LONGEST_COOL_DOWN_S", 0.1)


@pytest.fixture
def server():
    with start_fault_server() as running:
        yield running


def questions(folder: Path, texts: list[str]) -> dict[str, str]:
    path = folder / "questions.jsonl"
    path.write_text("".join(json.dumps({"instruction": text, "reference": text}) + "\n" for text in texts))
    return {"source": "file", "path": str(path)}


def endpoint(name: str, url: str, **options) -> dict:
    return {"provider": "openai_compatible", "name": name, "base_url": url, "model": "m", **options}


def config_of(folder: Path, texts: list[str], experts: list[dict], **options) -> BuildConfig:
    values = {"timeout_s": 0.6, "retries": 1, "concurrency": 8, "output": folder / "dataset", **options}
    return BuildConfig.model_validate({"sources": [questions(folder, texts)], "experts": experts, **values})


def rows(result: BuildResult, expert: str | None = None) -> pd.DataFrame:
    table = read_table(result.folder)
    assert not table.duplicated(["instruction_id", "expert"]).any()
    assert table["score"].notna().sum() == table["response"].notna().sum()
    failed = table["error"].notna()
    assert (table["response"].isna() == failed).all()
    assert table.loc[failed, "score"].isna().all()
    return table if expert is None else table[table["expert"] == expert]


def kinds(table: pd.DataFrame) -> Counter[str]:
    return Counter("answered" if pd.isna(error) else error.partition(":")[0] for error in table["error"])


@pytest.mark.parametrize("fault", sorted(ALWAYS))
def test_an_instruction_that_always_fails_has_a_named_error_and_all_others_an_answer(
    tmp_path: Path, server: FaultServer, fault: str
):
    server.change(drip_s=0.05, huge_mb=3)
    texts = [f"text {n}" for n in range(12)] + [f"poison <<{fault}>>"]
    options = {"max_response_mb": 1, "price": {"completion_per_million": 1.0}}
    result = build(config_of(tmp_path, texts, [endpoint("e", server.url, **options)]))
    table = rows(result)
    assert len(table) == len(texts)
    assert table[table["instruction"].str.startswith("text")]["score"].eq(1.0).all()
    (poison,) = table[table["instruction"].str.startswith("poison")].to_dict("records")
    assert (None if pd.isna(poison["error"]) else poison["error"].partition(":")[0]) == ALWAYS[fault], poison["error"]
    if fault == "other_model":
        assert any("asked for the model m and another-model answered 1" in line for line in warnings_of(result.summary))
        assert read_dataset_json(result.folder)["other_models"] == {"e": {"another-model": 1}}
    if fault == "length":
        assert read_dataset_json(result.folder)["truncated"] == {"e": 1}
    if fault == "no_usage":
        assert poison["tokens_estimated"]


@pytest.mark.parametrize("stream", [False, True])
def test_faults_mixed_at_random_leave_every_instruction_with_an_answer_or_a_named_error(tmp_path: Path, stream: bool):
    more = ("content_filter", "empty_content", "400", "length", "wrong_type")
    texts = [f"text {n}" for n in range(400)]
    with start_fault_server(faults=0.3, kinds=(*RANDOM_FAULTS, *more), seed=3, retry_after_s=0.01) as server:
        experts = [endpoint(name, server.url, stream=stream, system_prompt=name) for name in ("a", "b")]
        result = build(config_of(tmp_path, texts, experts, retries=3, timeout_s=5))
        truth = server.stats()
    table = rows(result)
    assert len(table) == 2 * len(texts)
    found = kinds(table)
    assert set(found) <= {kind for kind in ALWAYS.values() if kind} | {"answered"}
    assert found["answered"] > 700
    assert found["content_filter"] <= truth["faults"]["content_filter"]
    assert truth["answered"] + truth["faults"]["length"] + truth["faults"]["wrong_type"] == found["answered"]


def certificate(folder: Path) -> tuple[str, str]:
    pair = str(folder / "cert.pem"), str(folder / "key.pem")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    if subprocess.run([*command, "-out", pair[0], "-keyout", pair[1]], capture_output=True, check=False).returncode:
        pytest.skip("needs openssl")
    return pair


def test_endpoints_that_cannot_be_reached_hold_up_no_other_and_are_named(tmp_path: Path, server: FaultServer):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{closed.getsockname()[1]}/v1"
    texts = [f"text {n}" for n in range(60)]
    with start_fault_server(tls=certificate(tmp_path)) as untrusted:
        experts = [
            endpoint("good", server.url),
            endpoint("nobody", nobody),
            endpoint("dns", "http://no-such-host.invalid/v1"),
            endpoint("tls", untrusted.url),
        ]
        result = build(config_of(tmp_path, texts, experts, retries=0, timeout_s=5))
    assert kinds(rows(result, "good")) == {"answered": 60}
    for name, kind in (("nobody", "connection"), ("dns", "dns"), ("tls", "tls")):
        found = kinds(rows(result, name))
        assert set(found) == {kind}
        assert found[kind] < 30, "it was asked long after it was plainly down"
        assert read_dataset_json(result.folder)["missing"][name] == 60 - found[kind]


def test_an_endpoint_that_comes_back_is_asked_what_is_missing_and_what_failed(tmp_path: Path, server: FaultServer):
    server.change(always="503")
    texts = [f"text {n}" for n in range(100)]
    with start_fault_server(latency_s=0.02) as other:
        experts = [endpoint("flaky", server.url), endpoint("steady", other.url, system_prompt="slow", concurrency=2)]
        healed = threading.Timer(0.3, server.change, kwargs={"always": None})
        healed.start()
        result = build(config_of(tmp_path, texts, experts))
        healed.join()
    assert kinds(rows(result)) == {"answered": 200}
    assert result.asked == 200


def test_an_endpoint_that_stays_down_is_asked_by_the_next_run_and_nothing_is_paid_twice(
    tmp_path: Path, server: FaultServer
):
    texts = [f"text {n}" for n in range(50)]
    with start_fault_server(always="503") as down:
        experts = [endpoint("good", server.url), endpoint("down", down.url)]
        result = build(config_of(tmp_path, texts, experts))
        assert set(kinds(rows(result, "down"))) == {"overloaded"}
        assert any("down" in line for line in warnings_of(result.summary))
        down.change(always=None)
        again = build(config_of(tmp_path, texts, experts, use_existing_dataset=True))
        assert down.stats()["answered"] == 50
    assert server.stats()["answered"] == 50
    assert kinds(rows(again)) == {"answered": 100}


def test_instructions_in_a_row_that_always_fail_do_not_take_the_rest_with_them(tmp_path: Path, server: FaultServer):
    texts = [f"poison {n} <<500>>" for n in range(40)] + [f"text {n}" for n in range(200)]
    result = build(config_of(tmp_path, texts, [endpoint("e", server.url)]))
    assert kinds(rows(result)) == {"server_error": 40, "answered": 200}
    assert server.requests < 200 + 40 * 4 + 30


def test_one_instruction_that_always_fails_does_not_keep_an_endpoint_down_that_came_back(
    tmp_path: Path, server: FaultServer
):
    server.change(always="503")
    texts = ["poison <<500>>"] + [f"text {n}" for n in range(100)]
    healed = threading.Timer(0.02, server.change, kwargs={"always": None})
    with start_fault_server(latency_s=0.03) as other:
        healed.start()
        experts = [endpoint("e", server.url), endpoint("other", other.url, system_prompt="slow", concurrency=4)]
        result = build(config_of(tmp_path, texts, experts))
        healed.join()
    assert kinds(rows(result, "e")) == {"server_error": 1, "answered": 100}


def test_a_storm_of_429_that_asks_for_a_pause_is_waited_out(tmp_path: Path, server: FaultServer):
    server.change(always="429_retry_after", retry_after_s=0.7)
    texts = [f"text {n}" for n in range(80)]
    healed = threading.Timer(0.5, server.change, kwargs={"always": None})
    healed.start()
    result = build(config_of(tmp_path, texts, [endpoint("e", server.url)], concurrency=64, timeout_s=5))
    healed.join()
    assert kinds(rows(result)) == {"answered": 80}
    assert server.stats()["faults"]["429_retry_after"] <= 20


def test_an_endpoint_that_asks_for_hours_is_left_alone_and_the_build_ends(tmp_path: Path, server: FaultServer):
    texts = [f"text {n}" for n in range(30)]
    with start_fault_server(always="429_retry_after", retry_after_s=7200, latency_s=0.01) as closed:
        experts = [endpoint("good", server.url), endpoint("closed", closed.url)]
        result = build(config_of(tmp_path, texts, experts))
        assert closed.requests <= 8
    assert kinds(rows(result, "good")) == {"answered": 30}
    assert set(kinds(rows(result, "closed"))) == {"rate_limit"}


def test_a_busy_endpoint_is_asked_no_more_at_a_time_than_it_takes(tmp_path: Path, server: FaultServer):
    server.change(most_in_flight=12, latency_s=0.01)
    texts = [f"text {n}" for n in range(600)]
    result = build(config_of(tmp_path, texts, [endpoint("e", server.url)], concurrency=128, retries=5, timeout_s=5))
    assert kinds(rows(result)) == {"answered": 600}
    truth = server.stats()
    assert truth["faults"].get("429", 0) < 150
    assert truth["peak_in_flight"] < 64


def test_a_key_that_is_refused_ends_the_calls_of_its_expert_and_a_better_one_resumes(
    tmp_path: Path, server: FaultServer
):
    server.change(always="401")
    texts = [f"text {n}" for n in range(100)]
    config = config_of(tmp_path, texts, [endpoint("e", server.url)])
    with pytest.raises(ConfigError, match="No expert gave a single answer; the first call ended in 'auth"):
        build(config)
    assert server.requests < 40
    server.change(always=None)
    assert kinds(rows(build(config))) == {"answered": 100}


class Interrupting(Expert):
    """Asks for an end after some calls, and counts the calls that start afterwards."""

    def __init__(self) -> None:
        super().__init__("interrupting")
        self.calls = self.late = 0
        self.is_over = False

    async def answer(self, instruction):
        self.calls += 1
        self.late += self.is_over
        if self.calls == 3:
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.sleep(0.05)
            self.is_over = True
        await asyncio.sleep(0.1)
        return Answer("x")


def test_after_an_interrupt_no_call_starts_that_was_waiting_for_its_turn(tmp_path: Path, monkeypatch):
    expert = Interrupting()
    asked = InstructionStore(Instruction(id=f"i{n}", text=f"text {n}") for n in range(500))
    with ResponseStore(tmp_path / JOURNAL_NAME) as store, pytest.raises(EarlyStopError, match="Ctrl-C"):
        asyncio.run(querying.query_all(asked, [expert], store=store, config=BuildConfig(concurrency=64)))
    assert expert.calls == limits.START_LEVEL
    assert expert.late == 0


def test_what_failed_for_want_of_an_endpoint_is_asked_once_more_in_the_same_run(tmp_path: Path):
    class Moody(Expert):
        """Fails its first call to each instruction, whatever the retries."""

        def __init__(self) -> None:
            super().__init__("moody")
            self.seen: Counter[str] = Counter()

        async def answer(self, instruction):
            self.seen[instruction.id] += 1
            if self.seen[instruction.id] == 1 and random.Random(instruction.id).random() < 0.3:
                raise ExpertUnavailableError("not now", expert=self.name)
            return Answer("x")

    expert, seen, repeats = Moody(), [], []
    asked = InstructionStore(Instruction(id=f"i{n}", text=f"text {n}") for n in range(100))
    with ResponseStore(tmp_path / JOURNAL_NAME) as store:
        asyncio.run(
            querying.query_all(
                asked,
                [expert],
                store=store,
                config=BuildConfig(retries=0),
                on_response=seen.append,
                on_repeat=repeats.append,
            )
        )
        assert querying.count_answered(asked, [expert], store) == 100
    assert len(seen) == 100
    assert 0 < len(repeats) < 60
    assert max(expert.seen.values()) == 2


@pytest.mark.slow
def test_builds_killed_at_random_lose_nothing_finished_and_pay_twice_only_what_was_in_flight(tmp_path: Path):
    """The last kill falls into the export. Set KILLS=50 for the full number."""
    kills = int(os.environ.get("KILLS", "3"))
    outcome = against_an_endpoint(tmp_path, kills, 800 * kills, 32, seed=1)
    assert outcome.kills == kills
    assert outcome.during_export == 1
    assert outcome.lost == 0
    assert all(0 <= count <= outcome.in_flight for count in outcome.unkept)
    assert outcome.handed_out - outcome.answers == sum(outcome.unkept)
    assert outcome.same_hash
    assert outcome.same_tables
