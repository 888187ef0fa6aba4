"""A build that is continued: what counts as spent, what may not be dropped unsaid, what is told before it starts."""

import inspect
import json
import logging

import pytest

from dataset_build import BuildConfig, read_dataset_json, read_table
from dataset_build.src.building import build, plan_build
from dataset_build.src.errors import ConfigError, DataError, EarlyStopError
from dataset_build.src.experts import providers
from dataset_build.src.response_store import JOURNAL_NAME, ResponseStore

FUNCTIONS = """
import os

def answer(text):
    with open(os.environ["CALLS_FILE"], "a") as calls:
        calls.write(".")
    return text

def shout(text, mark):
    return text + mark
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
    path = folder / f"questions_{start}.jsonl"
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
    with pytest.raises(EarlyStopError, match="the budget of USD 1 is met.* 1,024 tokens where max_tokens is not set"):
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
    with monkeypatch.context() as patched:
        patched.setattr(ResponseStore, "delete", ResponseStore.close)  # killed just before
        with pytest.raises(EarlyStopError):
            build(job(tmp_path, budget_usd=1, partial=True))
    assert (tmp_path / "data" / JOURNAL_NAME).is_file()
    assert plan_build(job(tmp_path, budget_usd=2, use_existing_dataset=True)).spent_usd == pytest.approx(1.0)


def interrupted(folder, config, *, after):
    """Run a build that ends early, with `after` answers in its journal."""
    capped = config.model_copy(update={"budget_usd": 0.04 * after})
    with pytest.raises(EarlyStopError):
        build(capped)
    assert (folder / "data" / JOURNAL_NAME).is_file()


def test_answers_that_another_configuration_would_drop_are_not_dropped_unsaid(tmp_path, calls):
    interrupted(tmp_path, job(tmp_path, 40), after=12)
    other = job(tmp_path, 40, experts=[paid(), paid("new")], max_iter=3)
    for attempt in (build, plan_build):
        with pytest.raises(ConfigError, match=r"holds 12 answers \(to other instructions; USD 0.48\).*--overwrite"):
            attempt(job(tmp_path, source=questions(tmp_path, 5, start=100)))
        with pytest.raises(ConfigError, match=r"holds 9 answers .*the same configuration as before, choose another"):
            attempt(other)
        with pytest.raises(ConfigError, match=r"holds 12 answers \(of paid as configured then; USD 0.48\)"):
            attempt(job(tmp_path, 40, experts=[paid("new")]))
    assert calls() == 12
    build(other.model_copy(update={"overwrite": True}))  # it drops what has no use, and keeps what has
    assert calls() == 12 + 3
    assert len(read_table(tmp_path / "data")) == 6


def test_more_experts_and_instructions_go_on_with_what_an_unfinished_build_left(tmp_path, calls):
    interrupted(tmp_path, job(tmp_path, 15), after=12)
    build(job(tmp_path, 20, experts=[paid(), paid("new")]))
    assert calls() == 40


def test_a_continuation_that_was_killed_has_no_answers_to_drop_but_its_own(tmp_path, calls):
    build(job(tmp_path, 5))
    more = job(tmp_path, 5, experts=[paid("more"), paid("most")], use_existing_dataset=True)
    interrupted(tmp_path, more, after=7)
    with pytest.raises(ConfigError, match=r"holds [345] answers \(of more as configured then"):
        build(job(tmp_path, 5, experts=[paid(), paid("most")], use_existing_dataset=True))
    build(more)
    assert calls() == 15
    assert len(read_table(tmp_path / "data")) == 15


@pytest.mark.parametrize("run", [build, plan_build])
def test_what_will_do_nothing_or_is_not_covered_is_said_before_the_first_call(tmp_path, calls, caplog, run):
    caplog.set_level(logging.WARNING)
    silent = "openai_compatible"
    unpriced = [{"provider": silent, "name": name, "base_url": "http://127.0.0.1:9", "model": "m"} for name in "ab"]
    config = job(tmp_path, 2, experts=[paid(), *unpriced], budget_usd=1, use_existing_dataset=True, retries=0)
    run(config)
    assert f"There is no dataset in {tmp_path / 'data'} to continue: all 3 experts are asked all 2" in caplog.text
    assert "No price is known for a, b: the cap of --budget_usd does not cover them." in caplog.text
    caplog.clear()
    priced = [{**one, "price": {"prompt_per_million": 1}} for one in unpriced]
    run(job(tmp_path, 2, experts=[paid(), *priced], budget_usd=1, overwrite=True, retries=0))
    assert "price" not in caplog.text
    assert "to continue" not in caplog.text


def test_a_metric_that_sources_overrule_is_said_to_judge_nothing(tmp_path, calls, caplog):
    caplog.set_level(logging.WARNING)
    source = questions(tmp_path, 3, metric="exact_match")
    build(job(tmp_path, source=source))
    build(job(tmp_path, source=source, use_existing_dataset=True))
    assert "judges nothing" not in caplog.text
    build(job(tmp_path, source=source, use_existing_dataset=True, metric="token_f1"))
    assert "The metric token_f1 judges nothing: every instruction has its metric from its source" in caplog.text
    caplog.clear()
    rules = [{"source": "*", "metric": "token_f1"}]
    build(job(tmp_path, source=source, use_existing_dataset=True, metrics=rules))
    assert set(read_table(tmp_path / "data")["metric"]) == {"token_f1"}
    assert not caplog.text


def test_an_expert_with_other_options_is_said_to_lose_its_answers(tmp_path, calls, caplog):
    caplog.set_level(logging.WARNING)
    build(job(tmp_path, 3, experts=[paid(function="paid_functions:shout", options={"mark": "!"})]))
    assert "has other options" not in caplog.text
    build(
        job(
            tmp_path,
            3,
            experts=[paid(function="paid_functions:shout", options={"mark": "?"})],
            use_existing_dataset=True,
        )
    )
    assert "paid has other options than in" in caplog.text


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_a_dataset_of_which_a_file_is_gone_or_cut_is_not_paid_for_again(tmp_path, calls, split):
    build(job(tmp_path, 40))
    file = tmp_path / "data" / "data" / f"{split}.parquet"
    whole = file.read_bytes()
    file.unlink()
    continued = job(tmp_path, 40, use_existing_dataset=True)
    for attempt in (build, plan_build):
        with pytest.raises(DataError, match=rf"{split}\.parquet is missing; \d+ instructions were in it: put it back"):
            attempt(continued)
    read_table(tmp_path / "data").head(1).to_parquet(file)
    with pytest.raises(DataError, match=r"holds \d+ responses and dataset.json says 40"):
        build(continued)
    file.write_bytes(whole)
    build(continued)
    assert calls() == 40


def test_the_progress_of_a_resumed_build_starts_from_what_is_spent(tmp_path, calls, capsys):
    interrupted(tmp_path, job(tmp_path, 40), after=24)
    with pytest.raises(EarlyStopError):
        build(job(tmp_path, 40, budget_usd=1.4), show_progress=True)
    said = capsys.readouterr().err
    assert "USD 1.28 of 1.4" in said


def test_an_unknown_metric_in_a_column_is_said_where_it_stands(tmp_path, calls):
    source = questions(tmp_path, 3)
    with source.open("a") as file:
        file.write('\n{"instruction": "say what", "metric": "exact_mach", "instruction_id": "q7"}\n')
    said = (
        r"questions_0\.jsonl, instruction q7 \('say what'\): Unknown metric 'exact_mach'\. Did you mean 'exact_match'"
    )
    for attempt in (build, plan_build):
        with pytest.raises(ConfigError, match=said):
            attempt(job(tmp_path, source=source))


@pytest.mark.parametrize("provider", ["openai_compatible", "litellm"])
def test_the_tokens_an_answer_may_have_are_those_that_messages_name(provider):
    assert inspect.signature(providers[provider]).parameters["max_tokens"].default == 1024


def test_answers_of_a_dataset_that_are_replaced_do_not_stand_in_the_way_of_the_killed_build(tmp_path, calls):
    def shouting(mark):
        return paid(function="paid_functions:shout", options={"mark": mark})

    build(job(tmp_path, 5, experts=[shouting("!")]))
    changed = job(tmp_path, 5, experts=[shouting("?")], use_existing_dataset=True)
    interrupted(tmp_path, changed, after=2)
    build(changed)
    assert read_table(tmp_path / "data")["response"].str.endswith("?").all()
