"""The tables after a build: who answered, who failed, who was not asked, and what everything cost."""

from collections import Counter
from pathlib import Path

import pytest

from dataset_build.src.build_report import print_result
from dataset_build.src.building import BuildResult
from dataset_build.src.cleaning import CleaningReport
from dataset_build.src.dataset_summary import CategoryCell, DatasetSummary, ExpertSummary


@pytest.fixture
def told(capsys, monkeypatch):
    """Return the lines that are printed of a summary."""
    monkeypatch.setenv("COLUMNS", "120")

    def tell(summary, **facts):
        print_result(BuildResult(Path("data"), summary, 59, CleaningReport(), **facts))
        return [" ".join(line.replace("│", " ").split()) for line in capsys.readouterr().out.splitlines()]

    return tell


def summary_of(*, missing=0):
    good = ExpertSummary(answered=59, scored=59, score_sum=59.0, cost_sum=0.5, by_category={"x": CategoryCell(59, 0.5)})
    down = ExpertSummary(errors=Counter(connection=19), missing=missing)
    return DatasetSummary({"good": good, "down": down}, instructions=59, categories=Counter(x=59))


def test_what_an_expert_was_not_asked_is_in_the_table(told):
    lines = told(summary_of(missing=40))
    assert "59 instructions, 59 calls to experts in this run" in lines
    assert "down none 0 connection 19 40 0" in lines
    assert "good 1.000 59 0 0 0.5" in lines
    lines = told(summary_of())
    assert "down none 0 connection 19 0" in lines
    assert not any("not asked" in line for line in lines)


def test_judges_are_in_the_table_of_costs(told):
    summary = summary_of()
    assert not any("Cost" in line for line in told(summary))
    summary.judging["judge:one:honest"] = CategoryCell(39, 0.39)
    lines = told(summary)
    assert "Cost, USD" in lines
    assert "x 0.5 0 0.5" in lines
    assert "judge:one:honest 0.39" in lines, lines[-8:]


def test_money_for_answers_that_never_arrived_is_told(told):
    line = "USD 0.08 more may have been charged for answers that were lost on their way."
    assert line in told(summary_of(), lost_tries_usd=0.08)
    assert line not in told(summary_of())
