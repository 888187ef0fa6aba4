"""An evaluation as JSON, Markdown, a terminal table, a plot and a page."""

import json
from pathlib import Path

from dataset_build import ConfigError
from mixture_training.src.cost_quality_plot import plot_png
from mixture_training.src.evaluation_result import EvaluationResult
from mixture_training.src.reporting.as_json import to_dict
from mixture_training.src.reporting.markdown import PLOT_PNG, to_markdown
from mixture_training.src.reporting.page import to_html
from mixture_training.src.reporting.terminal import print_report

__all__ = ["print_report", "to_dict", "to_html", "to_json", "to_markdown", "write_report"]


def write_report(result: EvaluationResult, folder: Path) -> list[Path]:
    """Write `report.{html,md,json}` and `cost_quality.png` into `folder` and return their paths.

    Raises:
        ConfigError: the folder cannot be written.
    """
    contents = {
        "report.html": to_html(result).encode(),
        "report.md": to_markdown(result).encode(),
        "report.json": to_json(result).encode(),
        PLOT_PNG: plot_png(result),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            (folder / name).write_bytes(content)
    except OSError as problem:
        raise ConfigError(f"Cannot write the report to {folder}: {problem.strerror or problem}.") from None
    return [folder / name for name in contents]


def to_json(result: EvaluationResult) -> str:
    """Return `to_dict` as text."""
    return json.dumps(to_dict(result), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
