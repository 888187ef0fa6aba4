"""What a build tells on the terminal: the plan before, the tables and the warnings after."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from dataset_build.src.dataset_summary import DatasetSummary, ExpertSummary

if TYPE_CHECKING:
    from dataset_build.src.building import BuildResult
    from dataset_build.src.planning import BuildPlan, ExpertPlan

#: Experts for which the cost of each category is printed one by one; of more, only the sum.
MOST_COLUMNS = 4
#: Fewer rows than this say little.
ENOUGH_ROWS = 20
#: Names shown of a longer list.
MOST_LISTED = 8
#: USD from which on the cost of each category is printed.
WORTH_TELLING_USD = 0.001


def print_plan(plan: "BuildPlan") -> None:
    """Print, per expert, what is reused, what is asked and what that may cost."""
    rows = [_plan_row(expert) for expert in plan.experts]
    if len(rows) > 1:
        rows.append(_plan_row(_total(plan)))
    _print(
        f"{plan.instructions:,} instructions, {sum(expert.to_ask for expert in plan.experts):,} calls to make",
        ("expert", "reused", "to ask", "tokens read", "USD at least", "likely", "at most"),
        rows,
    )
    if plan.renamed:
        _say(f"{plan.renamed:,} instructions are there from a source of another name: their answers are reused.")
    if plan.inherited:
        _say(
            f"{plan.inherited:,} instructions are there with another reference: their answers are reused and scored "
            "anew."
        )
    if plan.spent_usd:
        lost = f", at most USD {plan.lost_usd:.4g} of it on calls in flight when a run ended" if plan.lost_usd else ""
        _say(f"Spent by earlier runs: USD {plan.spent_usd:.4g}{lost}.")
    _say(
        "Likely: by the mean of the answers that are there. At most: every answer as long as it may be, tools as slow "
        "as their deadline."
    )


def _total(plan: "BuildPlan") -> "ExpertPlan":
    from dataset_build.src.planning import ExpertPlan

    likely = [expert.likely_usd for expert in plan.experts if expert.to_ask]
    return ExpertPlan(
        "all",
        reused=sum(expert.reused for expert in plan.experts),
        to_ask=sum(expert.to_ask for expert in plan.experts),
        prompt_tokens=sum(expert.prompt_tokens for expert in plan.experts),
        least_usd=sum(expert.least_usd for expert in plan.experts),
        likely_usd=None if None in likely else sum(usd or 0.0 for usd in likely),
        most_usd=plan.most_usd,
    )


def _plan_row(expert: "ExpertPlan") -> tuple[str, ...]:
    again = f" ({expert.failed_before:,} failed before)" if expert.failed_before else ""
    return (
        expert.name,
        f"{expert.reused:,}",
        f"{expert.to_ask:,}{again}",
        f"{expert.prompt_tokens:,}",
        f"{expert.least_usd:.4g}",
        "unknown" if expert.likely_usd is None else f"{expert.likely_usd:.4g}",
        "unbounded" if expert.most_usd is None else f"{expert.most_usd:.4g}",
    )


def print_result(result: "BuildResult") -> None:
    """Print the experts, and what each category cost where anything did."""
    summary = result.summary
    is_whole = not any(expert.missing for expert in summary.experts.values())
    header = ["expert", "mean score", "answered", "failed", "not asked", "USD"]
    rows = [_expert_row(name, expert) for name, expert in _ranked(summary)]
    _print(
        f"{summary.instructions:,} instructions, {result.asked:,} calls to experts in this run",
        _without(4, header) if is_whole else header,
        [_without(4, row) for row in rows] if is_whole else rows,
    )
    if result.lost_tries_usd:
        _say(f"USD {result.lost_tries_usd:.4g} more may have been charged for answers that were lost on their way.")
    if result.lost_usd:
        _say(f"At most USD {result.lost_usd:.4g} was lost with calls in flight when a run ended; it counts as spent.")
    cost = sum(expert.cost_sum for expert in summary.experts.values())
    cost += sum(cell.cost_sum for cell in summary.judging.values())
    if cost >= WORTH_TELLING_USD and (len(summary.categories) > 1 or summary.judging):
        _print("Cost, USD", *_costs(summary))
    if result.abilities is not None and result.abilities.agreement:
        rows = [
            (name, f"{one.both:,}", f"{one.only_given:,}", f"{one.only_tagger:,}", f"{one.f1 or 0.0:.3f}")
            for name, one in sorted(result.abilities.agreement.items())
        ]
        _print(
            f"Abilities that came with instructions beside those by {result.abilities.by}",
            ("ability", "both", "only given", "only tagger", "F1"),
            rows,
        )
    for reason, count in sorted(result.cleaning.dropped.items()):
        _say(f"Dropped before asking: {count:,} instructions ({reason}).")


def _ranked(summary: DatasetSummary) -> list[tuple[str, ExpertSummary]]:
    return sorted(summary.experts.items(), key=lambda item: (-(item[1].mean_score or 0.0), item[0]))


def _expert_row(name: str, expert: ExpertSummary) -> tuple[str, ...]:
    mean = "none" if expert.mean_score is None else f"{expert.mean_score:.3f}"
    failed = ", ".join(f"{kind} {count:,}" for kind, count in expert.errors.most_common()) or "0"
    return (name, mean, f"{expert.answered:,}", failed, f"{expert.missing:,}", f"{expert.cost_sum:.4g}")


def _without(place: int, cells: Sequence[str]) -> Sequence[str]:
    return [*cells[:place], *cells[place + 1 :]]


def _costs(summary: DatasetSummary) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return header and rows of the cost by category, and by expert where they are few."""
    dearest = sorted(summary.experts.items(), key=lambda item: (-item[1].cost_sum, item[0]))
    shown = dearest if len(dearest) <= MOST_COLUMNS else []

    def cost(experts: Iterable[tuple[str, ExpertSummary]], category: str) -> float:
        return sum(one.by_category[category].cost_sum for _, one in experts if category in one.by_category)

    rows = [
        (
            category,
            *(f"{cost([pair], category):.4g}" for pair in shown),
            f"{cost(dearest, category):.4g}",
        )
        for category in sorted(summary.categories)
    ]
    rows += [(name, *("" for _ in shown), f"{cell.cost_sum:.4g}") for name, cell in sorted(summary.judging.items())]
    return ("category", *(name for name, _ in shown), "all"), rows


def warnings_of(summary: DatasetSummary) -> list[str]:
    """Return what a user should know about a dataset that was written all the same."""
    silent = [name for name, expert in sorted(summary.experts.items()) if not expert.answered]
    found = []
    if silent:
        whom = "no expert gave" if len(silent) == len(summary.experts) else f"{', '.join(silent)} did not give"
        kinds = ", ".join(sorted({kind for name in silent for kind in summary.experts[name].errors}))
        found.append(
            f"{whom} a single answer ({kinds or 'never asked'}); when that is mended, "
            "--use_existing_dataset True tries the failed calls again"
        )
    for name, expert in sorted(summary.experts.items()):
        if expert.missing and expert.answered:
            found.append(
                f"{name} was not asked {expert.missing:,} instructions: it was down, the money was spent, or it "
                "is no longer among the experts; --use_existing_dataset True asks those that are"
            )
        for model, count in sorted(expert.other_models.items()):
            found.append(f"{name} was asked for the model {expert.model} and {model} answered {count:,} times")
        if expert.truncated:
            found.append(f"{name}: {expert.truncated:,} answers reached their length limit and may be cut off")
        if expert.estimated and expert.cost_sum:
            found.append(f"{name} reported no usage: the tokens and cost of {expert.estimated:,} answers are estimates")
    found += [
        f"{count:,} answers have no score by {metric}: {reason}"
        for (metric, reason), count in sorted(summary.unscored.items())
    ]
    return found + _weak_labels(summary)


def _weak_labels(summary: DatasetSummary) -> list[str]:
    """Return what makes the labels teach less than their number promises."""
    found = []
    if summary.compared >= ENOUGH_ROWS:
        never = [name for name, one in sorted(summary.experts.items()) if one.scored and not one.best_alone]
        idle = [name for name in never if not summary.experts[name].best_tied]
        if idle and len(idle) < len(summary.experts):
            found.append(f"never among the best on any instruction, so of use only where it is cheap: {_listed(idle)}")
    small = [name for name, count in sorted(summary.categories.items()) if count < ENOUGH_ROWS]
    if small and len(summary.categories) > 1:
        sizes = [f"{name} ({summary.categories[name]:,})" for name in small]
        found.append(f"categories with fewer than {ENOUGH_ROWS} instructions teach little: {_listed(sizes)}")
    for metric, one in sorted(summary.ranges.items()):
        if one.scored >= ENOUGH_ROWS and one.lowest == one.highest:
            found.append(f"{metric} gave all {one.scored:,} answers the score {one.lowest:g}: it tells nothing apart")
    return found


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:MOST_LISTED])
    return shown if len(names) <= MOST_LISTED else f"{shown} and {len(names) - MOST_LISTED} more"


def _print(title: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    from rich.table import Table
    from rich.text import Text

    from dataset_build.src.console import terminal

    table = Table(title=title)
    for number, name in enumerate(header):
        table.add_column(Text(name), justify="left" if number == 0 else "right", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))  # as it is: `judge:one:x` is no picture and `[a]` no colour
    terminal().print(table)


def _say(line: str) -> None:
    from dataset_build.src.console import terminal

    terminal().print(line, highlight=False, markup=False, emoji=False)
