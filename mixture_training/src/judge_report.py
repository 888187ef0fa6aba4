"""The calibration of a judge for people (terminal, Markdown, a plot) and for programs (JSON)."""

import io
import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dataset_build import ConfigError, JudgedSample
from mixture_training.src.judge_calibration import MEASURES, JudgeCalibration

if TYPE_CHECKING:
    from rich.console import Console

    from mixture_training.src.metrics.bootstrap import Interval

REPORT_MD, REPORT_JSON, PLOT_PNG = "report.md", "report.json", "scatter.png"
#: How far points of the plot are moved, so that equal ones do not hide each other.
JITTER = 0.015


def print_calibration(result: JudgeCalibration, console: "Console") -> None:
    """Print the measures, the canaries and the warnings."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=escape(_title(result)))
    for name in ("measure", "value", "95 % interval", "what it says"):
        table.add_column(name, justify="right" if name in ("value", "95 % interval") else "left", overflow="fold")
    for name, interval in result.measures.items():
        table.add_row(name, _number(interval.value), _range(interval), MEASURES[name])
    console.print(table)
    for line in [*_canary_lines(result), *(f"Warning: {line}" for line in result.warnings)]:
        console.print(line, highlight=False, markup=False)


def to_json(result: JudgeCalibration) -> str:
    """Return the calibration as JSON; what is not defined is null."""
    values = asdict(result)
    values["measures"] = {
        name: {"value": _known(one.value), "ci95": [_known(one.low), _known(one.high)], "means": MEASURES[name]}
        for name, one in result.measures.items()
    }
    return json.dumps(values, indent=2, ensure_ascii=False, default=str) + "\n"


def write_report(result: JudgeCalibration, sample: JudgedSample, folder: Path) -> Path:
    """Write the report and the plot into a folder; return the report.

    Raises:
        ConfigError: they cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / REPORT_JSON).write_text(to_json(result), encoding="utf-8")
        (folder / REPORT_MD).write_text(_markdown(result), encoding="utf-8")
        (folder / PLOT_PNG).write_bytes(scatter_png(sample))
    except OSError as problem:
        raise ConfigError(f"Cannot write {folder}: {problem.strerror or problem}.") from None
    return folder / REPORT_MD


def scatter_png(sample: JudgedSample) -> bytes:
    """Return the judge's scores over the known ones as PNG, drawn without a display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    judged = [one for one in sample.responses if one.value is not None]
    figure = Figure(figsize=(6.2, 6.0), dpi=140, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    moved = np.random.default_rng(0).uniform(-JITTER, JITTER, size=(2, len(judged)))
    gold = np.array([one.gold for one in judged], dtype=np.float64)
    value = np.array([one.value for one in judged], dtype=np.float64)
    axes.plot([0, 1], [0, 1], color="0.6", linestyle="--", zorder=1)
    axes.scatter(gold + moved[0], value + moved[1], s=14, alpha=0.35, edgecolors="none", zorder=2)
    axes.set_xlim(-0.05, 1.05)
    axes.set_ylim(-0.05, 1.05)
    axes.set_xlabel("known score")
    axes.set_ylabel("share of wins" if sample.mode == "pairwise" else "judge's score")
    axes.set_title(f"{sample.judge.replace('$', chr(92) + '$')}: {len(judged):,} responses")
    axes.grid(alpha=0.25)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", metadata={"Software": None})
    return picture.getvalue()


def _markdown(result: JudgeCalibration) -> str:
    rows = "\n".join(
        f"| {name} | {_number(one.value)} | {_range(one)} | {MEASURES[name]} |" for name, one in result.measures.items()
    )
    lines = "\n".join(f"- {line}" for line in [*_canary_lines(result), *result.warnings])
    return (
        f"# {_title(result)}\n\n{result.instructions:,} instructions; the tolerance is {result.tolerance:g}.\n\n"
        f"| measure | value | 95 % interval | what it says |\n|---|---:|---:|---|\n{rows}\n\n{lines}\n\n"
        f"![the judge's scores over the known ones]({PLOT_PNG})\n"
    )


def _title(result: JudgeCalibration) -> str:
    pairs = f", {result.pairs:,} pairs" if result.mode == "pairwise" else ""
    return f"Judge {result.judge} ({result.mode}): {result.judged:,} of {result.responses:,} responses{pairs}"


def _canary_lines(result: JudgeCalibration) -> list[str]:
    lines = []
    for name, member in result.facts.get("experts", {}).items():
        counts = ", ".join(
            f"{kind} {member['fell_for'].get(kind, 0)} of {asked}" for kind, asked in member["canaries"].items()
        )
        lines.append(f"Canaries that {name} fell for: {counts or 'none was judged'}.")
    return lines


def _number(value: float) -> str:
    return "undefined" if math.isnan(value) else f"{value:.3f}"


def _range(interval: "Interval") -> str:
    return "" if math.isnan(interval.low) else f"{interval.low:.3f} to {interval.high:.3f}"


def _known(value: float) -> Any:  # noqa: ANN401 - a number or null
    return None if math.isnan(value) else value
