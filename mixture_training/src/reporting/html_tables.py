"""Tables of the page: with headings that belong to their rows and columns, and with cells shaded by their value."""

import math
from collections.abc import Mapping, Sequence

from mixture_training.src.evaluation_result import CategoryResult, EvaluationResult, Result
from mixture_training.src.metrics.bootstrap import Interval
from mixture_training.src.reporting.axes import Scale
from mixture_training.src.reporting.formats import cost_unit, number, share, with_interval
from mixture_training.src.reporting.interval_bar import direction, interval_bar, interval_scale
from mixture_training.src.reporting.markup import escaped, tag
from mixture_training.src.reporting.tables import Table, main_headings, main_row

#: A difference in mean score, and a share, that take the full shade.
_FULL_DIFFERENCE, _FULL_SHARE = 0.3, 1.0
#: The fullest shade; text on it keeps its contrast.
_FULL_SHADE = 0.5
#: Columns of experts in a table of choices; the choices of the others are summed.
_EXPERTS = 24
#: Headings longer than this in all stand upright.
_UPRIGHT = 90


def scrolled(name: str, table: str) -> str:
    """Return a table in a box that scrolls sideways, by keyboard too."""
    return tag("div", table, class_="scroll", tabindex="0", role="region", aria_label=name)


def text_table(name: str, table: Table) -> str:
    """Return a table of text with a row heading in its first column."""
    headings, rows = table
    body = [_row(row[0], [tag("td", escaped(cell)) for cell in row[1:]]) for row in rows]
    return _table(name, headings, [tag("tbody", *body)])


def results_table(name: str, result: EvaluationResult, groups: Mapping[str, Mapping[str, Result]]) -> str:
    """Return quality and cost of the routers in each group, with the gain over best single drawn as a bar."""
    unit = cost_unit(result)
    scored = {**result.methods, "per category": result.references["best_per_category"]}
    scale = interval_scale(entry.vs_best_single for entry in scored.values())
    body = []
    for group, shown in groups.items():
        heading = tag("th", tag("span", escaped(group)), scope="rowgroup", colspan="7")
        class_ = "method" if shown is result.methods else None
        rows = [_result_row(main_row(label, entry, unit), entry, scale, class_) for label, entry in shown.items()]
        if rows:
            body.append(tag("tbody", tag("tr", heading, class_="group"), *rows))
    headings = main_headings(unit)
    return _table(name, [*headings[:3], "", *headings[3:]], body, "results")


def _result_row(texts: Sequence[str], entry: Result, scale: Scale, class_: str | None) -> str:
    heading, quality, gain, *others = texts
    cells = [
        tag("td", escaped(quality)),
        tag("td", escaped(gain), class_=direction(entry.vs_best_single)),
        tag("td", interval_bar(entry.vs_best_single, scale), class_="bars"),
        *(tag("td", escaped(cell)) for cell in others),
    ]
    return _row(heading, cells, class_)


def quality_map(name: str, result: EvaluationResult) -> str:
    """Return methods, references and experts over categories, each cell shaded by its distance from best single."""
    best = result.references["best_single"].by_category
    shown: dict[str, tuple[Result, str | None]] = {one: (entry, "method") for one, entry in result.methods.items()}
    for reference in ("best_single", "best_per_category", "oracle"):
        shown[reference.replace("_", " ")] = (result.references[reference], "reference")
    experts = sorted(result.experts, key=lambda one: -_or_least(result.references[f"expert:{one}"].quality.value))
    rows = [_quality_row(one, entry, best, class_) for one, (entry, class_) in shown.items()]
    rows += [_quality_row(one, result.references[f"expert:{one}"], best, None) for one in experts]
    counts = [tag("td", f"{part.instructions:,}") for part in best.values()]
    body = [_row("instructions", [tag("td"), *counts], "counts"), *rows]
    return _table(name, ["", "all", *best], [tag("tbody", *body)], "map")


def versus_map(name: str, result: EvaluationResult) -> str:
    """Return each method against each other and some references: the paired difference, starred where it is shown."""
    rivals = list(dict.fromkeys(other for entry in result.methods.values() for other in entry.versus))
    order = {one: place for place, one in enumerate(result.methods)}
    rivals.sort(key=lambda other: order.get(other, len(order)))
    body = []
    for method, entry in result.methods.items():
        cells = [_versus_cell(f"{method} against {one}", entry.versus.get(one)) for one in rivals]
        body.append(_row(method, cells, "method"))
    headings = [one if one in result.methods else one.replace("_", " ") for one in rivals]
    return _table(name, ["", *headings], [tag("tbody", *body)], "map")


def _versus_cell(told: str, difference: Interval | None) -> str:
    if difference is None or not math.isfinite(difference.value):
        return tag("td", "·", class_="none")
    star = "" if direction(difference) == "open" else "*"
    shade = _shade(min(abs(difference.value) / _FULL_DIFFERENCE, 1.0))
    class_ = "p" if difference.value >= 0 else "n"
    title = f"{told}: {with_interval(difference, sign='+')}"
    return tag("td", f"{difference.value + 0.0:+.3f}{star}", title=title, class_=class_, style=shade)


def overall_share_map(name: str, result: EvaluationResult) -> str:
    """Return methods over experts: the share of all instructions each expert got."""
    shown = dict(result.methods)
    shown |= {one.replace("_", " "): result.references[one] for one in ("best_per_category", "oracle")}
    return _share_map(name, result, {one: entry.share for one, entry in shown.items()})


def category_share_map(name: str, result: EvaluationResult, entry: Result) -> str:
    """Return categories over experts: the share of each category's instructions each expert got from one method."""
    shares = {category: part.share for category, part in entry.by_category.items() if part.instructions}
    return _share_map(name, result, shares)


def _share_map(name: str, result: EvaluationResult, rows: Mapping[str, Mapping[str, float]]) -> str:
    totals = {expert: sum(got.get(expert, 0.0) for got in rows.values()) for expert in result.experts}
    used = sorted((expert for expert in totals if totals[expert] > 0), key=lambda expert: -totals[expert])
    columns, others = used[:_EXPERTS], used[_EXPERTS:]
    body = []
    for label, got in rows.items():
        values = [got.get(expert, 0.0) for expert in columns]
        values += [sum(got.get(expert, 0.0) for expert in others)] if others else []
        body.append(_row(label, [_share_cell(value) for value in values]))
    headings = ["", *columns, *([f"{len(others)} others"] if others else [])]
    return _table(name, headings, [tag("tbody", *body)], "map")


def _share_cell(value: float) -> str:
    if value <= 0:
        return tag("td", "·", class_="none")
    text = share(value).replace(".0 %", " %") if value < 0.1 else f"{value * 100:.0f} %"
    return tag("td", text, class_="p", style=_shade(value / _FULL_SHARE))


def _quality_row(name: str, entry: Result, best: Mapping[str, CategoryResult], class_: str | None) -> str:
    cells = [tag("td", number(entry.quality.value, "{:.2f}"), title=with_interval(entry.quality), class_="all")]
    for category in best:
        part = entry.by_category[category]
        base = best[category].quality.value
        cells.append(_quality_cell(f"{name}, {category}: {with_interval(part.quality)}", part.quality.value, base))
    return _row(name, cells, class_)


def _quality_cell(told: str, value: float, base: float) -> str:
    difference = value - base
    if not math.isfinite(difference):
        return tag("td", number(value, "{:.2f}"), title=told)
    title = f"{told}, {difference:+.3f} against best single"
    shade = _shade(min(abs(difference) / _FULL_DIFFERENCE, 1.0))
    return tag("td", f"{value:.2f}", title=title, class_="p" if difference >= 0 else "n", style=shade)


def _shade(part: float) -> str:
    return f"--d:{math.sqrt(part) * _FULL_SHADE:.2f}".rstrip("0").rstrip(".")


def _or_least(value: float) -> float:
    return -1.0 if math.isnan(value) else value


def _row(heading: str, cells: Sequence[str], class_: str | None = None) -> str:
    return tag("tr", tag("th", tag("bdi", escaped(heading)), scope="row"), *cells, class_=class_)


def _table(name: str, headings: Sequence[str], bodies: Sequence[str], class_: str = "") -> str:
    upright = sum(map(len, headings[1:])) > _UPRIGHT and class_ == "map"
    head = [tag("td") if not headings[0] else tag("th", escaped(headings[0]), scope="col")]
    for heading in headings[1:]:
        head.append(tag("th", tag("span", escaped(heading), title=heading), scope="col") if heading else tag("td"))
    classes = f"{class_} upright" if upright else class_
    return tag(
        "table",
        tag("caption", escaped(name)),
        tag("thead", tag("tr", *head)),
        *bodies,
        class_=classes or None,
    )
