"""The README's main job, small: everything of it runs, and what it claims of the router holds."""

import json
from pathlib import Path

import pytest

from mixture_training.src.cli import main
from mixture_training.src.commands.quickstart import EXAMPLES


@pytest.mark.slow
def test_the_quickstart_builds_trains_judges_and_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["quickstart", "--max_iter", "500"]) == 0
    said = capsys.readouterr().out
    assert all(example[:40] in said for example in EXAMPLES)
    assert "moe_quickstart/report/report.html" in said
    made = tmp_path / "moe_quickstart"
    assert (made / "report" / "report.html").is_file()
    router = json.loads((made / "report" / "report.json").read_text())["methods"]["router"]
    assert router["vs_best_single_ci95"][0] > 0.25
    assert router["gap_closed"] > 0.7

    before = json.loads((made / "dataset" / "dataset.json").read_text())["content_hash"]
    assert main(["quickstart", "--max_iter", "500"]) == 0
    assert "15,000 of them there already" in capsys.readouterr().err
    assert json.loads((made / "dataset" / "dataset.json").read_text())["content_hash"] == before
