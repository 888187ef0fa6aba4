"""An evaluation on a terminal of 80 columns: what it comes to first, then the tables, then what to know about them."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mixture_training.src.evaluation_result import EvaluationResult, Result
from mixture_training.src.reporting import tables, words
from mixture_training.src.reporting.formats import cost_unit, duration, number, plus_minus, share
from mixture_training.src.reporting.markup import one_line

if TYPE_CHECKING:
    from rich.console import Console

#: Experts in the terminal's table; the report has all.
_EXPERTS = 5
#: Methods in the table of categories; the report has all.
_METHODS = 4


def print_report(result: EvaluationResult, console: "Console") -> None:
    """Print the headline, the best experts, the references and the methods, the categories, and what to know."""
    first = words.headline(result)
    console.print(one_line(first.text), style=_STYLES[first.tone], markup=False, highlight=False)
    _print_main(result, console)
    if result.methods:
        _print_methods(result, console)
    _print_categories(result, console)
    console.print(one_line(tables.notes(result)), style="dim", markup=False, highlight=False)
    said = [one.text for one in words.verdicts(result)]
    said += [f"{one.about}: {one.text}" for one in words.repeats(result)]
    said += [f"{one.about}: {one.text}" for one in words.diagnostics(result)]
    for line in (*said, *(f"Caution: {text}" for text in words.cautions(result))):
        console.print(one_line(line), markup=False, highlight=False)


_STYLES = {"good": "bold green", "bad": "bold red", "open": "bold"}


def _print_main(result: EvaluationResult, console: "Console") -> None:
    unit = cost_unit(result)
    shown = _worth_printing(result)
    rows = [
        [
            tables.label(name.removeprefix("expert:") if name in result.references else name, entry),
            plus_minus(entry.quality),
            unit.tell(entry.cost),
            share(entry.gap_closed.value),
            plus_minus(entry.vs_best_single, sign="+"),
            number(entry.aiq),
        ]
        for name, entry in shown.items()
    ]
    headings = ["", "quality ±95 %", "cost", "gap", "vs best", "AIQ"]
    _print_table(console, words.title(result), headings, rows, len(shown) - len(result.methods))
    left_out = len(result.references) + len(result.methods) - len(shown)
    if left_out:
        console.print(f"{left_out} weaker experts are in the report", style="dim")


def _print_methods(result: EvaluationResult, console: "Console") -> None:
    rows = [
        [
            name,
            number(entry.apgr),
            number(entry.cpt50 * 100, "{:.0f} %"),
            number(entry.cpt80 * 100, "{:.0f} %"),
            share(entry.cost_saving),
            number(entry.entropy, "{:.2f}"),
            duration(entry.train_s),
            duration(entry.route_us / 1e6),
        ]
        for name, entry in result.methods.items()
    ]
    headings = ["", "APGR", "CPT50", "CPT80", "saved", "entropy", "training", "one route"]
    _print_table(console, "Methods", headings, rows, 0)


def _print_categories(result: EvaluationResult, console: "Console") -> None:
    references = {"best": "best_single", "per cat.": "best_per_category", "oracle": "oracle"}
    shown = {heading: result.references[name] for heading, name in references.items()}
    order = sorted(result.methods, key=lambda name: -_known(result.methods[name]))[:_METHODS]
    shown |= {name: result.methods[name] for name in result.methods if name in order}
    rows = [
        [
            category,
            f"{part.instructions:,}",
            *(number(entry.by_category[category].quality.value) for entry in shown.values()),
        ]
        for category, part in result.references["oracle"].by_category.items()
    ]
    if rows:
        _print_table(console, "Quality per category", ["category", "n", *shown], rows, len(rows))


def _worth_printing(result: EvaluationResult) -> dict[str, Result]:
    """Return all references and methods, of the experts only the `_EXPERTS` best."""
    experts = [name for name in result.references if name.startswith("expert:")]
    experts.sort(key=lambda name: -_known(result.references[name]))
    dropped = set(experts[_EXPERTS:])
    return {name: entry for name, entry in tables.sections(result) if name not in dropped}


def _known(entry: Result) -> float:
    return -1.0 if math.isnan(entry.quality.value) else entry.quality.value


def _print_table(
    console: "Console", title: str, headings: Sequence[str], rows: Sequence[Sequence[str]], plain: int
) -> None:
    """Print one table; the rows after the first `plain` are bold."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(
        title=escape(one_line(title)),
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    for index, heading in enumerate(headings):
        table.add_column(
            escape(one_line(heading)), justify="right" if index else "left", overflow="fold", no_wrap=False
        )
    for row_number, row in enumerate(rows):
        table.add_row(*(escape(one_line(cell)) for cell in row), style="bold" if row_number >= plain else None)
    console.print(table)
