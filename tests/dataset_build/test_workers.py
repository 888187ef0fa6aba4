import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from dataset_build.src.errors import ConfigError, MissingDependencyError
from dataset_build.src.experts.base import ToolExpert
from dataset_build.src.records import Instruction, Price
from dataset_build.src.worker_process import serve
from dataset_build.src.workers import Job, WorkerPool, available_cores, recipe_of
from tests.dataset_build.sample_experts import BadWarmUp, Shout, Trouble

ROOT = Path(__file__).resolve().parents[2]


def run(tools, texts, *, chunk=100, workers=1, timeout_s=30.0, grace_s=1.0):
    """Return {(text, expert): response}."""
    jobs = [Job(Instruction(id=text, text=text), tool) for text in texts for tool in tools]
    chunks = iter([jobs[start : start + chunk] for start in range(0, len(jobs), chunk)])
    pool = WorkerPool(tools, workers=workers, timeout_s=timeout_s, grace_s=grace_s)
    responses = []
    asyncio.run(pool.run(chunks, responses.append))
    assert len(responses) == len(jobs)
    return {(one.instruction_id, one.expert): one for one in responses}


def test_tools_are_rebuilt_with_name_price_and_options_and_cost_their_cpu_time():
    tool = Shout("loud", price=Price(per_call=2.0), description="d", mark="?")
    tool.options = {"mark": "?"}
    found = run([tool], ["a", "🙂\ud800\x00"])
    assert found["a", "loud"].text == "A?"
    assert found["🙂\ud800\x00", "loud"].text == "🙂\ud800\x00?"
    assert found["a", "loud"].cost == 2.0
    assert found["a", "loud"].latency_s >= 0


def test_what_goes_wrong_in_one_call_stays_in_that_call():
    texts = ["a", "raise", "cannot", "die", "b", "sleep", "c", "none", "print", "d"]
    found = {text: one for (text, _), one in run([Trouble()], texts, timeout_s=0.5).items()}
    assert [found[text].text for text in "abcd"] == ["a ok", "b ok", "c ok", "d ok"]
    assert found["print"].text == "print ok"
    assert found["raise"].error == "crash: ZeroDivisionError: by zero"
    assert found["cannot"].text == "I cannot answer this: not a sum"
    assert found["die"].error == "crash: its process died (exit code 7)"
    assert found["sleep"].error == "timeout: no answer within 0.5 s"
    assert found["none"].error_kind == "crash"


@pytest.mark.slow
def test_a_tool_that_cannot_be_interrupted_is_killed_and_the_rest_goes_on():
    found = run([Trouble()], ["a", "deaf", "swallow", "b"], timeout_s=0.5, grace_s=0.5)
    assert found["a", "trouble"].text == "a ok"
    assert found["b", "trouble"].text == "b ok"
    assert found["deaf", "trouble"].error == "timeout: no answer within 0.5 s; its process was killed"
    assert found["swallow", "trouble"].error_kind == "timeout"


def test_several_workers_share_the_chunks_and_draw_them_only_when_free():
    drawn = []

    def chunks():
        for number in range(40):
            drawn.append(number)
            yield [Job(Instruction(id=str(number), text="x"), tool)]

    tool = Shout()
    responses = []
    most_ahead = 0

    def on_response(response):
        nonlocal most_ahead
        responses.append(response)
        most_ahead = max(most_ahead, len(drawn) - len(responses))

    asyncio.run(WorkerPool([tool], workers=2, timeout_s=30).run(chunks(), on_response))
    assert sorted(int(one.instruction_id) for one in responses) == list(range(40))
    assert most_ahead <= 2


def test_a_tool_that_cannot_warm_up_fails_its_calls_and_no_others():
    found = run([BadWarmUp(), Shout()], ["a"])
    assert found["a", "bad_warm_up"].error == "crash: OSError: no dictionary"
    assert found["a", "shout"].text == "A!"


def test_a_missing_package_ends_the_build_with_its_install_line():
    with pytest.raises(MissingDependencyError, match="pip install"):
        run([Trouble()], ["missing"])


def test_workers_use_one_thread_each():
    assert run([Trouble()], ["environment"])["environment", "trouble"].text == "1"


def test_a_class_no_other_process_can_import_is_refused():
    class Local(ToolExpert):
        def solve(self, text):
            return text

    with pytest.raises(ConfigError, match="top level of a module"):
        recipe_of(Local("local"))


def test_a_worker_that_cannot_start_is_said_in_one_line(monkeypatch):
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(ConfigError, match="A worker process ended at its start"):
        run([Shout()], ["a"])


def test_there_is_at_least_one_core():
    assert available_cores() >= 1


@pytest.mark.slow
def test_workers_end_when_their_parent_is_killed_even_in_the_middle_of_a_call(tmp_path):
    code = (
        "import asyncio, sys\n"
        "from dataset_build.src.records import Instruction\n"
        "from dataset_build.src.workers import Job, WorkerPool\n"
        "from tests.dataset_build.sample_experts import Trouble\n"
        "tool = Trouble()\n"
        "jobs = [Job(Instruction(id=t, text=t), tool) for t in ('a', 'sleep')]\n"
        "pool = WorkerPool([tool], workers=1, timeout_s=600)\n"
        "asyncio.run(pool.run(iter([jobs]), lambda one: print(one.text, flush=True)))"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE) as parent:
        assert parent.stdout.readline() == b"a ok\n"
        children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children")
        if not children.exists():
            parent.kill()
            pytest.skip("this system does not list child processes")
        (child,) = (int(number) for number in children.read_text().split())
        os.kill(child, signal.SIGINT)  # not the worker's to decide about
        time.sleep(0.2)
        os.kill(child, 0)
        parent.kill()
    for _ in range(100):
        if not Path(f"/proc/{child}").exists() or "Z" in Path(f"/proc/{child}/stat").read_text().split()[2]:
            return
        time.sleep(0.05)
    pytest.fail("the worker outlived its parent")


def test_the_inside_of_a_worker_answers_line_by_line_and_leaves_at_the_end():
    ours, theirs = socket.socketpair()
    left = []
    results = []

    def parent():
        calls = [{"tool": 0, "id": "i", "text": text} for text in ("a", "raise", "sleep", "missing", "none", "cannot")]
        setup = {"tools": [recipe_of(Trouble())], "timeout_s": 0.3}
        ours.sendall(b"".join(json.dumps(line).encode() + b"\n" for line in (setup, *calls)))
        with ours.makefile("rb") as lines:
            results.extend(json.loads(lines.readline()) for _ in range(1 + len(calls)))
        ours.close()

    before = signal.getsignal(signal.SIGALRM)
    thread = threading.Thread(target=parent)
    thread.start()
    try:
        serve(theirs, leave=left.append)
    finally:
        signal.signal(signal.SIGALRM, before)
    thread.join()
    theirs.close()
    ready, fine, raised, slow, missing, none, cannot = results
    assert ready == {"ready": True}
    assert fine["text"] == "a ok"
    assert raised["error"].startswith("crash: ZeroDivisionError")
    assert slow["error"].startswith("timeout")
    assert "pip install" in missing["missing"]
    assert "a str was expected" in none["error"]
    assert cannot["text"].startswith("I cannot answer this")


@pytest.mark.parametrize("sent", [b"", b'{"tools": [], "timeout_s": 1}\n'])
def test_a_worker_leaves_when_its_parent_dies_with_messages_unread(sent):
    ours, theirs = socket.socketpair()
    theirs.sendall(b"unread")  # closing a socket with unread data resets the connection
    ours.sendall(sent)
    left = []
    before = signal.getsignal(signal.SIGALRM)
    threading.Timer(0.1, ours.close).start()
    try:
        serve(theirs, leave=left.append)
    finally:
        signal.signal(signal.SIGALRM, before)
    for _ in range(100):
        if left == [0]:
            break
        time.sleep(0.01)
    theirs.close()
    assert left == [0]
