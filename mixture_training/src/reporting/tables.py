"""The tables of a report as headings and rows of text, for Markdown, the terminal and the page."""

import math
from collections.abc import Iterator

from mixture_training.src.evaluation_result import EvaluationResult, Result
from mixture_training.src.metrics.bootstrap import Interval
from mixture_training.src.reporting.formats import (
    UNKNOWN,
    CostUnit,
    cost_unit,
    duration,
    number,
    share,
    share_with_interval,
    with_interval,
)

Table = tuple[list[str], list[list[str]]]

#: References that are neither a single expert nor said twice.
REFERENCES = ("random", "best_single", "best_per_category", "zero_router", "oracle")


def sections(result: EvaluationResult) -> Iterator[tuple[str, Result]]:
    """Yield every reference, then every method."""
    yield from result.references.items()
    yield from result.methods.items()


def label(name: str, entry: Result) -> str:
    """Return a row's name, with what its mean leaves out."""
    return f"{name} ({entry.unscored} unscored)" if entry.unscored else name


def main_table(result: EvaluationResult) -> Table:
    """Return quality and cost of every reference and method."""
    unit = cost_unit(result)
    return main_headings(unit), [main_row(name, entry, unit) for name, entry in sections(result)]


def main_headings(unit: CostUnit) -> list[str]:
    """Return the headings of the main table."""
    return ["", "quality [95 %]", "vs best single [95 %]", "gap closed", f"cost{unit.short}", "AIQ"]


def main_row(name: str, entry: Result, unit: CostUnit) -> list[str]:
    """Return one router's row of the main table."""
    return [
        label(name, entry),
        with_interval(entry.quality),
        with_interval(entry.vs_best_single, sign="+"),
        share(entry.gap_closed.value),
        unit.tell(entry.cost),
        number(entry.aiq),
    ]


def curve_table(result: EvaluationResult) -> Table:
    """Return what is measured along each method's curve."""
    headings = [
        "method",
        "AIQ",
        "AIQ over zero router",
        "APGR",
        "CPT50",
        "CPT80",
        "cost saved",
        "Pareto distance",
        "Arena",
    ]
    rows = [
        [
            name,
            with_interval(measured(entry, "aiq")),
            with_interval(entry.aiq_versus["zero_router"], sign="+") if "zero_router" in entry.aiq_versus else UNKNOWN,
            with_interval(measured(entry, "apgr")),
            *(number(value * 100, "{:.0f} %") for value in (entry.cpt50, entry.cpt80)),
            share_with_interval(measured(entry, "cost_saving")),
            *(with_interval(measured(entry, measure)) for measure in ("pareto_distance", "arena_score")),
        ]
        for name, entry in result.methods.items()
    ]
    return headings, rows


def choice_table(result: EvaluationResult) -> Table:
    """Return what each method's choices were like and what they took."""
    headings = [
        "method", "wins / ties / losses", "regret", "quality gained", "p (Holm)", "entropy", "ECE", "Brier", "training",
        "one route",
    ]  # fmt: skip
    rows = [
        [
            name,
            " / ".join(number(part * 100, "{:.0f}") for part in (entry.wins.wins, entry.wins.ties, entry.wins.losses)),
            number(entry.regret),
            number(entry.performance_gain * 100, "{:+.1f} %"),
            number(entry.p_holm),
            number(entry.entropy, "{:.2f}"),
            number(math.nan if entry.reliability is None else entry.reliability.ece),
            number(math.nan if entry.reliability is None else entry.reliability.brier),
            duration(entry.train_s),
            duration(entry.route_us / 1e6),
        ]
        for name, entry in result.methods.items()
    ]
    return headings, rows


def category_table(result: EvaluationResult) -> Table:
    """Return category, how many, then the quality of the references that matter and of each method."""
    shown = {name: result.references[name] for name in ("best_single", "best_per_category", "oracle")} | result.methods
    rows = [
        [
            category,
            f"{part.instructions:,}",
            *(with_interval(entry.by_category[category].quality) for entry in shown.values()),
        ]
        for category, part in result.references["oracle"].by_category.items()
    ]
    return ["category", "n", *shown], rows


def share_table(result: EvaluationResult) -> Table:
    """Return expert, then the share of the instructions each method sent it."""
    shown = {name: result.references[name] for name in ("best_per_category", "oracle")} | result.methods
    rows = [[expert, *(share(entry.share.get(expert, 0.0)) for entry in shown.values())] for expert in result.experts]
    return ["expert", *shown], rows


def left_out_table(result: EvaluationResult) -> Table:
    """Return what a method reaches on categories it never saw."""
    headings = ["category", "n", "never seen [95 %]", "seen", "best single", "vs best single [95 %]"]
    found = {} if result.diagnostics is None else result.diagnostics.left_out
    rows = [
        [
            category,
            f"{one.instructions:,}",
            with_interval(one.quality),
            number(one.seen.value),
            number(one.best_single.value),
            with_interval(one.vs_best_single, sign="+"),
        ]
        for category, one in found.items()
    ]
    return headings, rows


def notes(result: EvaluationResult) -> str:
    """Return what the columns mean."""
    weak, strong = result.weak or "–", result.best_single
    return (
        f"quality: mean score · cost: mean USD {cost_unit(result).phrase} · gap closed: share of the way from best "
        f"single ({strong}) to oracle · AIQ: mean quality over the cost range of single experts and oracle "
        f"(RouterBench) · APGR, CPT: between {weak} and {strong} (RouteLLM) · cost saved: at the quality "
        "of best single · one route: median time for one instruction"
    )


def measured(entry: Result, measure: str) -> Interval:
    """Return a measure with its interval, unknown ends where it has none."""
    return entry.intervals.get(measure, Interval(getattr(entry, measure), math.nan, math.nan))
