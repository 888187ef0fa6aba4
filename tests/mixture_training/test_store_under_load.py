import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from mixture_training.src.feedback_store import FeedbackStore
from mixture_training.src.storing.rows import NANO
from mixture_training.src.storing.spool import drain_left_behind
from tests.mixture_training.store_worker import COST, decision

ROOT = Path(__file__).resolve().parents[2]


def start(place, folder, key, count, shared=""):
    command = [
        sys.executable,
        "-m",
        "tests.mixture_training.store_worker",
        *map(str, (place, folder, key, count, shared)),
    ]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def read_all(processes):
    """Return what each process printed, read while they run, and what they complained about."""
    said = [[] for _ in processes]

    def read(process, lines):
        lines.extend(line.decode().strip() for line in process.stdout if line.endswith(b"\n"))

    threads = [threading.Thread(target=read, args=pair) for pair in zip(processes, said, strict=True)]
    for thread in threads:
        thread.start()
    return said, threads


def wait_for(is_so, within_s=60):
    until = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.mark.slow
@pytest.mark.parametrize("outage", [None, "stop", "kill"])
def test_two_processes_lose_nothing_and_count_nothing_twice(postgres, tmp_path, outage):
    url, count = postgres.new_database(), 150
    with FeedbackStore(url) as store:
        key, _ = store.keys.add("a")
        shared = decision()
        store.remember(shared)
    processes = [start(url, tmp_path / "spool", key.id, count, shared.id) for _ in range(2)]
    said, threads = read_all(processes)
    if outage is not None:
        for _ in range(2):
            wait_for(lambda: min(map(len, said)) >= 10)  # opening a store needs its database
            getattr(postgres, outage)()
            time.sleep(0.3)
            postgres.start()
    for process, thread in zip(processes, threads, strict=True):
        thread.join()
        assert process.stderr.read().decode().count("Error") == 0
        assert process.wait() == 0
        process.stdout.close()
        process.stderr.close()
    ids = {each for lines in said for each in lines}
    assert len(ids) == 2 * count
    with FeedbackStore(url) as store:
        assert {each.id for each in store.decisions()} == ids | {shared.id}
        assert Counter(each.decision_id for each in store.feedback()) == {shared.id: count, **dict.fromkeys(ids, 1)}
        assert store.spent(key.id) == 2 * count * round(COST * NANO) / NANO
        assert sum(each.calls for each in store.traffic()) == 2 * count + 1
        assert sum(each.judgements for each in store.traffic()) == 3 * count


@pytest.mark.slow
def test_processes_killed_in_the_middle_of_writing_charge_every_decision_once(postgres, tmp_path):
    url, folder = postgres.new_database(), tmp_path / "spool"
    with FeedbackStore(url) as store:
        key, _ = store.keys.add("a")
    ids = set()
    for pause_s in (0.3, 0.05, 0.1):
        processes = [start(url, folder, key.id, 0) for _ in range(2)]
        said, threads = read_all(processes)
        wait_for(lambda said=said: min(map(len, said)) >= 50)
        time.sleep(pause_s)
        for process, thread in zip(processes, threads, strict=True):
            process.kill()
            process.wait()
            thread.join()
            process.stdout.close()
            process.stderr.close()
        ids |= {each for lines in said for each in lines}
    with FeedbackStore(url) as store:
        drain_left_behind(store, folder)
        made = store.decisions()
        assert ids <= {each.id for each in made}
        assert store.spent(key.id) == len(made) * round(COST * NANO) / NANO
        assert sum(each.calls for each in store.traffic()) == len(made)
    assert list(folder.glob("*.jsonl")) == []
