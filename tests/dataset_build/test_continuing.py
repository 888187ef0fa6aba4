"""A build that is continued: what counts as spent, what may not be dropped unsaid, what is told before it starts."""

import json
import logging
import sqlite3

import pytest

from dataset_build import BuildConfig, read_dataset_json, read_table
from dataset_build.src.building import build, plan_build
from dataset_build.src.errors import ConfigError, DataError, EarlyStopError
from dataset_build.src.response_store import JOURNAL_NAME, ResponseStore

FUNCTIONS = """
import os

def answer(text):
    with open(os.environ["CALLS_FILE"], "a") as calls:
        calls.write(".")
    if text == os.environ.get("STOP_AT"):
        raise KeyboardInterrupt
    return text
"""


@pytest.fixture
def calls(tmp_path, monkeypatch):
    """A module with an expert on the path; returns what tells how often it was called."""
    (tmp_path / "paid_functions.py").write_text(FUNCTIONS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("CALLS_FILE", str(tmp_path / "calls"))
    (tmp_path / "calls").touch()
    return lambda: (tmp_path / "calls").stat().st_size


def questions(folder, count, *, start=0, **columns):
    path = folder / f"questions_{start}_{count}.jsonl"
    rows = [{"instruction": f"say {n}", "reference": f"say {n}", **columns} for n in range(start, start + count)]
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


def paid(name="paid", usd=0.04, **options):
    price = {} if usd is None else {"price": {"per_call": usd}}
    return {"provider": "python", "name": name, "function": "paid_functions:answer", **price, **options}


def job(folder, count=59, *, experts=None, source=None, **options):
    source = source or questions(folder, count)
    return BuildConfig(
        sources=[{"source": "file", "path": str(source)}],
        experts=experts or [paid()],
        output=folder / "data",
        concurrency=1,
        **options,
    )


def test_a_cap_holds_over_all_runs_of_a_build_that_writes_what_it_has(tmp_path, calls):
    with pytest.raises(EarlyStopError, match="the budget of USD 1 is met"):
        build(job(tmp_path, budget_usd=1, partial=True))
    assert calls() == 25
    assert read_dataset_json(tmp_path / "data")["unfinished"] == {"spent_usd": pytest.approx(1.0)}
    for _ in range(2):
        with pytest.raises(EarlyStopError, match="USD 1 are spent"):
            build(job(tmp_path, budget_usd=1, partial=True, use_existing_dataset=True))
    assert calls() == 25
    assert plan_build(job(tmp_path, budget_usd=2, use_existing_dataset=True)).spent_usd == pytest.approx(1.0)

    with pytest.raises(EarlyStopError, match="the budget of USD 2 is met"):  # without partial: the journal stays
        build(job(tmp_path, budget_usd=2, use_existing_dataset=True))
    with pytest.raises(EarlyStopError, match="the budget of USD 2 is met"):
        build(job(tmp_path, budget_usd=2, use_existing_dataset=True, partial=True))
    assert calls() == 50
    build(job(tmp_path, budget_usd=2.36, use_existing_dataset=True))
    assert calls() == 59
    assert "unfinished" not in read_dataset_json(tmp_path / "data")
    build(job(tmp_path, budget_usd=0.4, use_existing_dataset=True, experts=[paid(), paid("other", 0.005)]))
    assert len(read_table(tmp_path / "data")) == 2 * 59


def test_money_counts_once_where_the_journal_of_a_written_dataset_is_still_there(tmp_path, calls, monkeypatch):
    with monkeypatch.context() as patched, pytest.raises(EarlyStopError):
        patched.setattr(ResponseStore, "delete", ResponseStore.close)  # killed just before
        build(job(tmp_path, budget_usd=1, partial=True))
    assert (tmp_path / "data" / JOURNAL_NAME).is_file()
    assert plan_build(job(tmp_path, budget_usd=2, use_existing_dataset=True)).spent_usd == pytest.approx(1.0)
