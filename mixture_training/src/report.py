"""An evaluation as JSON, Markdown, a terminal table, a plot and a page."""

import base64
import html
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dataset_build import ConfigError
from mixture_training.src.cost_quality_plot import plot_png
from mixture_training.src.evaluation_result import EvaluationResult, Result
from mixture_training.src.metrics.bootstrap import Interval
from mixture_training.src.model_recommender import usd
from mixture_training.src.reporting.as_json import to_dict

if TYPE_CHECKING:
    from rich.console import Console

#: Headings of the main table, the row's name first.
_HEADINGS = (
    "",
    "quality [95 %]",
    "cost",
    "gap closed",
    "vs best single [95 %]",
    "AIQ",
    "APGR",
    "CPT50",
    "CPT80",
    "route",
)

#: Experts in the terminal's table; the report has all.
_PRINTED_EXPERTS = 5
#: Fewer instructions than this get a caution.
_FEW = 30

_NOTES = (
    "quality: mean score · cost: mean USD per instruction · gap closed: share of the way from best single ({strong}) "
    "to oracle · AIQ: mean quality over the cost range of single experts and oracle (RouterBench) · "
    "APGR, CPT: between {weak} and {strong} (RouteLLM) · route: median time to route one instruction"
)


def write_report(result: EvaluationResult, folder: Path) -> list[Path]:
    """Write `report.{json,md,html}` and `cost_quality.png` into `folder` and return their paths.

    Raises:
        ConfigError: the folder cannot be written.
    """
    plot = plot_png(result)
    contents = {
        "report.html": to_html(result, plot).encode(),
        "report.md": to_markdown(result).encode(),
        "report.json": to_json(result).encode(),
        "cost_quality.png": plot,
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


def print_report(result: EvaluationResult, console: "Console") -> None:
    """Print the best experts, the references and the methods, the quality per category, and what it comes to."""
    shown = _worth_printing(result)
    main = [
        [
            *_cells(name, entry)[:1],
            _plus_minus(entry.quality),
            *_cells(name, entry)[2:4],
            _plus_minus(entry.vs_best_single, sign="+"),
            _number(entry.aiq),
        ]
        for name, entry in shown.items()
    ]
    headings = ["", "quality ±95 %", "cost", "gap", "vs best", "AIQ"]
    _print_table(console, _title(result), headings, main, len(shown) - len(result.methods))
    left_out = len(result.references) + len(result.methods) - len(shown)
    if left_out:
        console.print(f"{left_out} weaker experts are in the report", style="dim")
    if result.methods:
        rows = [
            [name, *_cells(name, entry)[6:9], _number(entry.train_s, "{:.1f} s"), *_cells(name, entry)[9:]]
            for name, entry in result.methods.items()
        ]
        _print_table(console, "Methods", ["", "APGR", "CPT50", "CPT80", "training", "one route"], rows, 0)
    headings, full = _category_table(result)
    if full:
        values = [[row[0], row[1], *(cell.partition(" ")[0] for cell in row[2:])] for row in full]
        _print_table(console, "Quality per category", headings, values, len(values))
    console.print(_notes(result), style="dim", markup=False, highlight=False)
    for line in (*_verdicts(result), *_cautions(result)):
        console.print(line, markup=False, highlight=False)


def _worth_printing(result: EvaluationResult) -> dict[str, Result]:
    """Return all references and methods, of the experts only the `_PRINTED_EXPERTS` best."""
    experts = [name for name in result.references if name.startswith("expert:")]
    experts.sort(key=lambda name: -np.nan_to_num(result.references[name].quality.value, nan=-1.0))
    dropped = set(experts[_PRINTED_EXPERTS:])
    return {name: entry for name, entry in _sections(result) if name not in dropped}


def _verdicts(result: EvaluationResult) -> Iterator[str]:
    """Yield one sentence a method: what it gains over the best single expert, with intervals."""
    for name, entry in result.methods.items():
        gain, gap = entry.vs_best_single, entry.gap_closed
        if math.isnan(gain.value):
            continue
        share = "" if math.isnan(gap.value) else f", {_percent(gap)} of the way to the oracle"
        if gain.low > 0:
            word = "better than"
        else:
            word = "WORSE than" if gain.high < 0 else "not shown to differ from"
        yield (
            f"{name} is {word} always asking {result.best_single}: {gain.value:+.3f} "
            f"[{gain.low:+.3f}, {gain.high:+.3f}]{share}."
        )


def _percent(share: Interval) -> str:
    return f"{share.value:.1%} [{share.low:.1%}, {share.high:.1%}]"


def _cautions(result: EvaluationResult) -> Iterator[str]:
    """Yield what keeps the figures from meaning what they seem to."""
    if result.instructions < _FEW:
        yield f"Caution: {result.instructions} instructions are too few; intervals from so few rows are too narrow."
    for name, entry in result.methods.items():
        if entry.unscored:
            yield (
                f"Caution: {name} chose an expert without a score for {entry.unscored} of {result.instructions} "
                "instructions; its mean leaves them out and does not compare with the others."
            )


def _print_table(
    console: "Console", title: str, headings: Sequence[str], rows: Sequence[Sequence[str]], plain: int
) -> None:
    """Print one table; the rows after the first `plain` are bold."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(
        title=escape(title),
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    for index, heading in enumerate(headings):
        table.add_column(escape(heading), justify="right" if index else "left", overflow="fold", no_wrap=False)
    for number, row in enumerate(rows):
        table.add_row(*map(escape, row), style="bold" if number >= plain else None)
    console.print(table)


def _plus_minus(interval: Interval, *, sign: str = "") -> str:
    """Return a value and half the width of its interval, for narrow tables."""
    if math.isnan(interval.low):
        return _number(interval.value, f"{{:{sign}.3f}}")
    return f"{interval.value:{sign}.3f} ±{(interval.high - interval.low) / 2:.3f}"


def to_markdown(result: EvaluationResult) -> str:
    """Return the report as Markdown; the plot lies beside it as `cost_quality.png`."""
    rows = [_cells(name, entry) for name, entry in _sections(result)]
    lines = [f"# {_title(result)}", "", *_markdown_table(_HEADINGS, rows), "", _notes(result), ""]
    lines += ["![Quality against cost](cost_quality.png)", ""]
    headings, categories = _category_table(result)
    if categories:
        lines += ["## Quality per category", "", *_markdown_table(headings, categories), ""]
    lines += ["## Where the instructions went", "", *_markdown_table(*_share_table(result)), ""]
    return "\n".join(lines)


def to_html(result: EvaluationResult, plot: bytes) -> str:
    """Return the report as one self-contained page with the plot inside."""
    main = _html_table(
        _HEADINGS, [_cells(name, entry) for name, entry in _sections(result)], strong=set(result.methods)
    )
    headings, categories = _category_table(result)
    per_category = f"<h2>Quality per category</h2>{_html_table(headings, categories)}" if categories else ""
    share = _html_table(*_share_table(result))
    image = base64.b64encode(plot).decode()
    title = html.escape(_title(result))
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head><body>\n<h1>{title}</h1>\n"
        f"{main}\n<p>{html.escape(_notes(result))}</p>\n"
        f'<img alt="Quality against cost of every router and reference point" src="data:image/png;base64,{image}">\n'
        f"{per_category}\n<h2>Where the instructions went</h2>{share}\n</body></html>\n"
    )


_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:75rem;margin:2rem auto;padding:0 1rem;color:#222}"
    "table{border-collapse:collapse;margin:1rem 0;display:block;overflow-x:auto}"
    "th,td{padding:.3rem .7rem;border-bottom:1px solid #ddd;text-align:right;white-space:nowrap}"
    "th:first-child,td:first-child{text-align:left}tr.method td{font-weight:600;background:#f2f7fc}"
    "img{max-width:100%;height:auto}p{color:#555}"
)


def _title(result: EvaluationResult) -> str:
    return f"{result.dataset}: {result.instructions} instructions of split {result.split}, policy {result.policy}"


def _notes(result: EvaluationResult) -> str:
    return _NOTES.format(weak=result.weak or "–", strong=result.best_single)


def _sections(result: EvaluationResult) -> Iterator[tuple[str, Result]]:
    yield from result.references.items()
    yield from result.methods.items()


def _cells(name: str, entry: Result) -> list[str]:
    label = name if not entry.unscored else f"{name} ({entry.unscored} unscored)"
    return [
        label,
        _with_interval(entry.quality),
        "–" if math.isnan(entry.cost) else usd(entry.cost),
        _number(entry.gap_closed.value * 100, "{:.1f} %"),
        _with_interval(entry.vs_best_single, sign="+"),
        _number(entry.aiq),
        _number(entry.apgr),
        _number(entry.cpt50 * 100, "{:.0f} %"),
        _number(entry.cpt80 * 100, "{:.0f} %"),
        _number(entry.route_us / 1000, "{:.2f} ms"),
    ]


def _category_table(result: EvaluationResult) -> tuple[list[str], list[list[str]]]:
    """Return headings and rows: category, how many, then the quality of the references that matter and each method."""
    shown = {name: result.references[name] for name in ("best_single", "best_per_category", "oracle")}
    shown |= result.methods
    categories = list(result.references["oracle"].by_category)
    rows = [
        [
            category,
            str(result.references["oracle"].by_category[category].instructions),
            *(_with_interval(entry.by_category[category].quality) for entry in shown.values()),
        ]
        for category in categories
    ]
    return ["category", "n", *shown], rows


def _share_table(result: EvaluationResult) -> tuple[list[str], list[list[str]]]:
    """Return headings and rows: expert, then the share of the instructions each method sent it."""
    shown = {name: result.references[name] for name in ("best_per_category", "oracle")} | result.methods
    rows = [
        [expert, *(_number(entry.share.get(expert, 0.0) * 100, "{:.1f} %") for entry in shown.values())]
        for expert in result.experts
    ]
    return ["expert", *shown], rows


def _markdown_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(" ".join(cell.replace("|", "\\|").split()) for cell in cells) + " |"

    return [line(headings), "|---|" + "---:|" * (len(headings) - 1), *map(line, rows)]


def _html_table(
    headings: Sequence[str], rows: Sequence[Sequence[str]], *, strong: set[str] | frozenset[str] = frozenset()
) -> str:
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in headings)
    body = "".join(
        f"<tr{' class=method' if row[0].partition(' (')[0] in strong else ''}>"
        + "".join(f"<td>{html.escape(cell)}</td>" for cell in row)
        + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _with_interval(interval: Interval, *, sign: str = "") -> str:
    if math.isnan(interval.value):
        return "–"
    value, low, high = (f"{number:{sign}.3f}" for number in (interval.value, interval.low, interval.high))
    return f"{value} [{low}, {high}]"


def _number(value: float, pattern: str = "{:.3f}") -> str:
    return "–" if math.isnan(value) else pattern.format(value)
