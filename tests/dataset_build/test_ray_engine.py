"""Builds on Ray, started as a user starts them: a command in a process of its own."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest

from dataset_build.src.engine import load_engine, ray_cluster
from dataset_build.src.engine.ray_cluster import running_cluster
from dataset_build.src.errors import ConfigError, MissingDependencyError
from dataset_build.src.querying import query_all
from tests.fault_server import start_fault_server

ROOT = Path(__file__).parents[2]
KEY = "sk-never-to-be-seen-4711"
needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason='Ray is not installed: pip install "moe-toolkit[ray]"')
LOOPBACK = ("127.", "::1", "::ffff:127.")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "answers.py").write_text("def ask(text):\n    return text[::-1]\n")
    (tmp_path / "home").mkdir()
    with tempfile.TemporaryDirectory() as scratch:  # a short path, which Ray needs
        (tmp_path / "scratch").symlink_to(scratch)
        yield tmp_path


@contextmanager
def building(folder, name, *, engine="ray", **options):
    """A build that goes on, in a process group of its own; killed at the end where it still runs."""
    flags = {"sources": "questions.jsonl", "experts": "experts.yaml", "output": name, "engine": engine, **options}
    command = [sys.executable, str(ROOT / "dataset_build/src/builder.py"), "--quiet"]
    command += [text for flag, value in flags.items() for text in (f"--{flag}", str(value))]
    environment = {**os.environ, "STUB_KEY": KEY, "HOME": str(folder / "home")}
    environment["TMPDIR"] = str((folder / "scratch").resolve())
    with open(folder / f"{name}.log", "ab") as log:
        process = psutil.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
        try:
            yield process
        finally:
            if process.is_running():
                process.kill()
            process.wait()


def build(folder, name, **options):
    """Return the facts of a finished build."""
    with building(folder, name, **options) as process:
        assert process.wait() == 0, (folder / f"{name}.log").read_text()
    return json.loads((folder / name / "dataset.json").read_text())


def ask(folder, server, count, *, experts=(), texts=(), **stub):
    """Write what a build asks: `count` questions of an endpoint, and of further experts."""
    texts = [f"question {number}" for number in range(count)] + list(texts)
    lines = [json.dumps({"instruction": text, "reference": text}) for text in texts]
    (folder / "questions.jsonl").write_text("\n".join(lines))
    endpoint = {
        "provider": "openai_compatible",
        "name": "stub",
        "base_url": server.url,
        "model": "m",
        "api_key_env": "STUB_KEY",
    }
    (folder / "experts.yaml").write_text(json.dumps([{**endpoint, **stub}, *experts]))


def is_alive(process):
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def await_requests(server, process, count):
    while server.requests < count:
        assert is_alive(process)
        time.sleep(0.02)


def parts_of(process, name):
    return [child for child in process.children(recursive=True) if " ".join(child.cmdline()).startswith(f"ray::{name}")]


def still_running(processes):
    _, alive = psutil.wait_procs(processes, timeout=20)
    return alive


@needs_ray
@pytest.mark.slow
def test_every_kind_of_expert_gives_the_same_dataset_as_without_ray_and_nobody_else_can_listen(folder):
    experts = ["echo", "calculator", "unit_table", {"provider": "python", "name": "mine", "function": "answers:ask"}]
    faults = ["<<400>> never", "<<500*2>> the third time", "17 * 3", "5 km in miles"]
    with start_fault_server(latency_s=0.02, own_process=True) as server:
        ask(folder, server, 60, experts=experts, texts=faults, concurrency=6)
        options = {"workers": 2, "batch_size": 4, "retries": 3}
        local = build(folder, "local", engine="local", **options)
        asked = server.requests
        with building(folder, "spread", **options) as process:
            await_requests(server, process, asked + 10)
            family = [process, *process.children(recursive=True)]
            heard = [each.laddr.ip for one in family for each in one.net_connections() if each.status == "LISTEN"]
            commands = " ".join(" ".join(one.cmdline()) for one in family)
            assert process.wait() == 0, (folder / "spread.log").read_text()
        spread = json.loads((folder / "spread" / "dataset.json").read_text())
        assert spread["content_hash"] == local["content_hash"]
        assert server.requests == 2 * asked - 2  # the two that failed by count
        assert server.stats()["peak_in_flight"] <= 6
    assert heard
    assert all(address.startswith(LOOPBACK) for address in heard)
    assert KEY not in commands
    assert not still_running(family)
    assert not list((folder / "scratch").iterdir())
    assert not (folder / "home" / ".ray").exists()
    assert "ray" not in (folder / "spread.log").read_text().lower().replace("--engine ray", "")


@needs_ray
@pytest.mark.slow
def test_killing_a_worker_changes_nothing_and_costs_at_most_its_calls_in_flight(folder):
    with start_fault_server(latency_s=0.2, own_process=True) as server:
        ask(folder, server, 160, experts=["echo"], concurrency=8)
        with building(folder, "killed", workers=2) as process:
            await_requests(server, process, 30)
            parts_of(process, "MapWorker")[0].kill()
            assert process.wait() == 0, (folder / "killed.log").read_text()
        assert "anew" not in (folder / "killed.log").read_text()
        stats = server.stats()
        assert 160 <= stats["answered"] <= 160 + 8
        assert stats["peak_in_flight"] <= 2 * 8  # those of the dead one may go on for a moment
        again = build(folder, "local", engine="local")
    killed = json.loads((folder / "killed" / "dataset.json").read_text())
    assert killed["content_hash"] == again["content_hash"]


@needs_ray
@pytest.mark.slow
def test_losing_the_coordinator_costs_at_most_the_calls_in_flight(folder):
    with start_fault_server(latency_s=0.2, own_process=True) as server:
        ask(folder, server, 100, concurrency=8, price={"per_call": 0.01})
        with building(folder, "killed", workers=2, budget_usd=2) as process:
            await_requests(server, process, 30)
            parts_of(process, "Coordinator")[0].kill()
            assert process.wait() == 0, (folder / "killed.log").read_text()
        assert "started anew" in (folder / "killed.log").read_text()
        assert 100 <= server.stats()["answered"] <= 100 + 3 * 8


@needs_ray
@pytest.mark.slow
def test_two_workers_keep_one_rate_limit(folder):
    rate, count = 20, 90
    with start_fault_server(own_process=True) as server:
        ask(folder, server, count, requests_per_minute=60 * rate)
        with building(folder, "rated", workers=2, batch_size=2) as process:
            seen = []
            while server.requests < count:
                assert is_alive(process)
                seen.append((time.monotonic(), server.requests))
                time.sleep(0.02)
            first = next(at for at, requests in seen if requests)
            lasted = time.monotonic() - first
            assert process.wait() == 0, (folder / "rated.log").read_text()
    # One second's worth at once, then the rate. Two limiters would need 0.4 of that, a slow machine needs more.
    assert lasted > 0.9 * (count - rate) / rate - 0.1


@needs_ray
@pytest.mark.slow
def test_an_interrupted_build_keeps_all_that_finished_and_the_other_engine_ends_it(folder):
    with start_fault_server(latency_s=0.1, own_process=True) as server:
        ask(folder, server, 120, experts=["echo"], concurrency=8)
        with building(folder, "cut", workers=2) as process:
            await_requests(server, process, 30)
            process.send_signal(signal.SIGINT)
            assert process.wait() == 3, (folder / "cut.log").read_text()
        assert "stopped by Ctrl-C" in (folder / "cut.log").read_text()
        assert server.stats()["in_flight"] == 0
        build(folder, "cut", engine="local")
        assert server.stats()["answered"] == 120


@needs_ray
@pytest.mark.slow
def test_a_killed_driver_loses_nothing_that_was_written_and_leaves_no_worker(folder):
    with start_fault_server(latency_s=0.1, own_process=True) as server:
        ask(folder, server, 100, concurrency=8, price={"per_call": 0.01})
        with building(folder, "cut", workers=2) as process:
            await_requests(server, process, 40)
            at_work = parts_of(process, "MapWorker") + parts_of(process, "Coordinator")
            process.kill()
        assert len(at_work) == 3
        assert not still_running(at_work)
        with building(folder, "cut", workers=2, budget_usd=0.9) as process:  # all its runs together
            assert process.wait() == 3
        assert "the budget of USD 0.9 is met" in (folder / "cut.log").read_text()
        # Calls in flight, as many that were not written yet, and those whose result was on its way.
        assert server.stats()["answered"] <= 90 + 3 * 8
        build(folder, "cut", engine="local", budget_usd=2)
        assert server.stats()["answered"] <= 100 + 3 * 8


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("nonsense", "`host:port`"),
        ("ray://127.0.0.1:10001", "`host:port`"),
        ("127.0.0.1:99999999999", "No Ray cluster answers"),
        ("127.0.0.1:1", "No Ray cluster answers"),
    ],
)
def test_an_address_without_a_cluster_is_told_at_once(address, says):
    with pytest.raises(ConfigError, match=says), running_cluster(address, 1, needs_gpu=False):
        pass


def test_something_else_at_the_address_is_told(monkeypatch):
    monkeypatch.setattr(ray_cluster, "CONTACT_S", 5)
    with start_fault_server() as server:
        address = server.root.removeprefix("http://")
        with pytest.raises(ConfigError, match="No Ray cluster answers"), running_cluster(address, 1, needs_gpu=False):
            pass


def test_without_ray_the_message_is_the_install_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    install = r'pip install "moe-toolkit\[ray\]"'
    with pytest.raises(MissingDependencyError, match=install), running_cluster(None, 1, needs_gpu=False):
        pass


def test_engines_are_loaded_by_name():
    assert load_engine("local") is query_all


@needs_ray
def test_naming_the_engine_does_not_import_ray():
    code = (
        "import sys; from dataset_build.src.engine import load_engine; load_engine('ray'); print('ray' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"
