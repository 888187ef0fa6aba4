"""The disk fills up in the middle of a build: it ends with 3, everything kept, and more room finishes it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dataset_build import read_dataset_json, read_table
from dataset_build.src.builder import main
from tests.fault_server import start_fault_server

ROOT = Path(__file__).resolve().parents[2]
BUILDER = ROOT / "dataset_build" / "src" / "builder.py"


@pytest.fixture
def small_disk(tmp_path):
    """Mount a small file system, and return where it is and a function that changes its size in MB."""
    if not shutil.which("mount") or os.geteuid() != 0:
        pytest.skip("needs root to mount a small file system")
    place = tmp_path / "small"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", place], check=False).returncode:
        pytest.skip("mounting is not allowed here")
    yield place, lambda mb: subprocess.run(["mount", "-o", f"remount,size={mb}m", place], check=True)
    subprocess.run(["umount", "-l", place], check=True)


def command(folder: Path, url: str, output: Path, *more: str, count: int, concurrency: int = 64) -> list[str]:
    with (folder / "questions.jsonl").open("w") as file:
        for n in range(count):
            file.write(json.dumps({"instruction": f"question {n}", "reference": f"question {n}"}) + "\n")
    expert = {"provider": "openai_compatible", "name": "e", "base_url": url, "model": "m"}
    config = {"experts": [expert], "sources": [{"source": "file", "path": str(folder / "questions.jsonl")}]}
    (folder / "build.json").write_text(json.dumps(config))
    options = ["--config", str(folder / "build.json"), "--output", str(output), "--concurrency", str(concurrency)]
    return [*options, "--quiet", *more]


@pytest.mark.slow
def test_a_disk_that_fills_up_costs_nothing_that_was_finished(tmp_path, small_disk):
    disk, resize = small_disk
    count, concurrency = 1200, 64
    with start_fault_server(answer="x" * 12_000, latency_s=0.005, own_process=True) as server:
        asked = command(tmp_path, server.url, disk / "dataset", count=count, concurrency=concurrency)
        run = subprocess.run([sys.executable, str(BUILDER), *asked], capture_output=True, text=True, check=False)
        assert run.returncode == 3, run.stderr
        assert "The disk is full with" in run.stderr
        assert len(run.stderr.strip().splitlines()) == 1
        paid = server.stats()["answered"]
        assert f"with {paid:,} of {count:,} answers kept" in run.stderr, run.stderr  # not one of them is lost
        again = subprocess.run([sys.executable, str(BUILDER), *asked], capture_output=True, text=True, check=False)
        assert again.returncode == 3, again.stderr
        assert len(again.stderr.strip().splitlines()) <= 2, again.stderr
        resize(80)
        last = subprocess.run([sys.executable, str(BUILDER), *asked], capture_output=True, text=True, check=False)
        assert last.returncode == 0, last.stderr
        assert server.stats()["answered"] == count  # nothing is paid twice
        whole = command(tmp_path, server.url, tmp_path / "whole", count=count)
        assert main(whole) == 0
    assert read_dataset_json(disk / "dataset")["content_hash"] == read_dataset_json(tmp_path / "whole")["content_hash"]
    assert read_table(disk / "dataset")["response"].notna().sum() == count
    assert not [path for path in (disk / "dataset").iterdir() if path.name.startswith("journal")]


@pytest.mark.slow
def test_a_disk_that_fills_up_while_the_dataset_is_written_keeps_every_answer(tmp_path, small_disk):
    disk, resize = small_disk
    resize(40)
    with start_fault_server(latency_s=0.0) as server:
        asked = command(tmp_path, server.url, disk / "dataset", count=400)
        filler = disk / "filler"
        stop = subprocess.run(
            [sys.executable, "-c", _FILL_BEFORE_WRITING, str(filler), *asked],
            capture_output=True,
            text=True,
            cwd=ROOT,
            check=False,
        )
        assert stop.returncode == 3, stop.stderr
        assert "every response is kept" in stop.stderr or "every response before is kept" in stop.stderr, stop.stderr
        assert not (disk / "dataset" / "dataset.json").exists()
        filler.unlink()
        assert main(asked) == 0
        assert server.stats()["answered"] == 400
    assert read_table(disk / "dataset")["response"].notna().sum() == 400


#: Runs a build whose disk has four kilobytes left from the moment the tables are written.
_FILL_BEFORE_WRITING = """
import os, sys
from dataset_build.src import building
from dataset_build.src.builder import main

write = building.write_tables

def filled(*args, **options):
    space = os.statvfs(os.path.dirname(sys.argv[1]))
    with open(sys.argv[1], "wb") as file:
        os.posix_fallocate(file.fileno(), 0, space.f_bavail * space.f_frsize - 4096)
    return write(*args, **options)

building.write_tables = filled
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.slow
def test_no_room_for_the_instructions_is_said_in_one_line(tmp_path, small_disk):
    disk, resize = small_disk
    resize(1)
    with start_fault_server() as server:
        asked = command(tmp_path, server.url, tmp_path / "dataset", count=60_000)
        run = subprocess.run(
            [sys.executable, str(BUILDER), *asked, "--deduplicate", "none", "--max_iter", "60000"],
            capture_output=True,
            text=True,
            env={**os.environ, "SQLITE_TMPDIR": str(disk), "TMPDIR": str(disk)},
            check=False,
        )
        assert server.requests == 0
    assert run.returncode == 3, run.stderr[-1500:]
    assert "The disk is full" in run.stderr
    assert "Traceback" not in run.stderr
