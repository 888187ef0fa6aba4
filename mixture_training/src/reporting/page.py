"""An evaluation as one self-contained page: no script, nothing loaded, light and dark, readable without its charts."""

import math
from collections.abc import Iterator

from mixture_training.src.evaluation_result import EvaluationResult, Result
from mixture_training.src.reporting import tables, words
from mixture_training.src.reporting.formats import cost_unit, duration, number, share
from mixture_training.src.reporting.frontier_chart import frontier_chart
from mixture_training.src.reporting.html_tables import (
    category_share_map,
    overall_share_map,
    quality_map,
    results_table,
    scrolled,
    text_table,
    versus_map,
)
from mixture_training.src.reporting.learning_chart import learning_chart
from mixture_training.src.reporting.markers import COLOURS, SHAPES, marker, method_class
from mixture_training.src.reporting.markup import escaped, tag
from mixture_training.src.reporting.reliability_chart import reliability_chart
from mixture_training.src.reporting.style import STYLE, method_styles

#: What the page may load: nothing but the style in it.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
#: More experts than this are folded away until asked for.
_OPEN_EXPERTS = 12


def to_html(result: EvaluationResult) -> str:
    """Return the report as one page."""
    parts = [part for part in _sections(result) if part[2]]
    links = "".join(tag("li", tag("a", escaped(name), href=f"#{key}")) for key, name, _ in parts)
    body = "".join(
        tag("section", tag("h2", escaped(name), id=f"{key}-name"), content, id=key, aria_labelledby=f"{key}-name")
        for key, name, content in parts
    )
    title = escaped(words.title(result))
    styles = STYLE + method_styles(COLOURS, len(SHAPES), len(result.methods))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{styles}</style>\n</head>\n<body>\n"
        f'<a class="skip" href="#results">To the results</a>\n<main>\n<h1>{title}</h1>\n{_head(result)}\n'
        f'<nav aria-label="Sections"><ul>{links}</ul></nav>\n{body}\n{_foot(result)}\n</main>\n</body>\n</html>\n'
    )


def _sections(result: EvaluationResult) -> Iterator[tuple[str, str, str]]:
    """Yield id, name and content of every section; what the result has nothing for is empty."""
    yield "frontier", "Quality and cost", _frontier(result)
    yield "results", "Results", _results(result)
    yield "categories", "Quality per category", _categories(result)
    yield "choices", "Who is chosen for what", _choices(result)
    yield "calibration", "Do predicted scores mean what they say?", _calibration(result)
    yield "learning", "What more data brings", _learning(result)
    yield "diagnostics", "Checks", _diagnostics(result)


def _head(result: EvaluationResult) -> str:
    first = words.headline(result)
    warned = [tag("li", escaped(text)) for text in words.cautions(result)]
    cautions = tag("section", tag("h2", "Read with care"), tag("ul", *warned), class_="cautions") if warned else ""
    name = words.headline_method(result)
    tiles = "" if name is None else tag("dl", *_tiles(result, result.methods[name]), class_="tiles")
    return tag("p", escaped(first.text), class_=f"headline {first.tone}") + tiles + cautions


def _tiles(result: EvaluationResult, entry: Result) -> Iterator[str]:
    gain, gap, saving = entry.vs_best_single, entry.gap_closed, tables.measured(entry, "cost_saving")
    tone = "good" if gain.low > 0 else "bad" if gain.high < 0 else None
    yield _tile("over best single", number(gain.value, "{:+.3f}"), _between(gain.low, gain.high, "{:+.3f}"), tone)
    if math.isfinite(gap.value):
        between = _between(gap.low * 100, gap.high * 100, "{:.1f} %")
        yield _tile("of the way to the best choice", share(gap.value), between)
    if math.isfinite(saving.value):
        between = _between(saving.low * 100, saving.high * 100, "{:.1f} %")
        yield _tile("saved at equal quality", share(saving.value), between)
    unit = cost_unit(result)
    if math.isfinite(entry.cost):
        best = unit.tell(result.references["best_single"].cost)
        yield _tile(f"cost {unit.phrase}", unit.tell(entry.cost), f"best single {best}")
    if math.isfinite(entry.route_us):
        yield _tile("one route", duration(entry.route_us / 1e6), "median")


def _tile(name: str, value: str, below: str, tone: str | None = None) -> str:
    small = tag("small", escaped(below)) if below else ""
    return tag("div", tag("dt", escaped(name)), tag("dd", escaped(value), small, class_=tone))


def _between(low: float, high: float, pattern: str) -> str:
    return f"{pattern.format(low)} to {pattern.format(high)}" if math.isfinite(low + high) else ""


def _frontier(result: EvaluationResult) -> str:
    wide = frontier_chart(result, width=1000, height=560)
    if not wide:
        return tag("p", "No cost is known, so there is nothing to trade.", class_="soft")
    narrow = frontier_chart(result, width=380, height=420)
    caption = (
        "Up and to the left is better. Dots are single experts, the square is the best single one; the dashed line is "
        "what mixing two of them by chance reaches (zero router), so only what lies above it is routing; the dotted "
        "line is the best choice every time (oracle). Curves are "
        "the methods as cost weighs more and more, their shade the 95 % interval, the large marker the policy judged. "
        "Point at anything for its figures."
    )
    return tag(
        "figure",
        tag("div", wide, class_="wide"),
        tag("div", narrow, class_="narrow"),
        _legend(result),
        tag("figcaption", caption),
    )


def _legend(result: EvaluationResult) -> str:
    """Return the methods with boxes that show and hide them."""
    items = []
    for index, name in enumerate(result.methods):
        sample = tag(
            "svg",
            '<path class="curve" d="M1 7H33"/>' + marker(SHAPES[index % len(SHAPES)], 17, 7, 5, name),
            viewBox="0 0 34 14",
            aria_hidden="true",
            class_=f"method {method_class(index).partition(' ')[2]}",
        )
        box = f'<input type="checkbox" id="m{index}" checked> '
        items.append(tag("li", tag("label", box, sample, tag("bdi", escaped(name)))))
    if any(entry.band is not None for entry in result.methods.values()):
        items.append(tag("li", tag("label", '<input type="checkbox" id="bands" checked> ', "intervals")))
    shapes = (("★", "oracle"), ("◆", "best per category"), ("✕", "random"), ("■", "best single"))
    items += [tag("li", f"{shape} {name}", class_="soft") for shape, name in shapes]
    return tag("ul", *items, class_="legend")


def _results(result: EvaluationResult) -> str:
    references = {name.replace("_", " "): result.references[name] for name in tables.REFERENCES}
    order = sorted(result.experts, key=lambda name: -_known(result.references[f"expert:{name}"]))
    experts = {name: result.references[f"expert:{name}"] for name in order}
    groups = {"Methods": result.methods, "Reference points": references}
    few = len(experts) <= _OPEN_EXPERTS
    if few:
        groups["Single experts"] = experts
    found = [scrolled("Results", results_table("Results", result, groups))]
    if not few:
        table = results_table("Single experts", result, {"Single experts, best first": experts})
        found.append(
            f"<details><summary>{len(experts)} single experts</summary>{scrolled('Single experts', table)}</details>"
        )
    if result.methods:
        for name, table_of in (("Along the cost curve", tables.curve_table), ("The choices", tables.choice_table)):
            found += [tag("h3", name), scrolled(name, text_table(name, table_of(result)))]
        if any(entry.versus for entry in result.methods.values()):
            name = "Method against method"
            told = "Row minus column, mean score on the same instructions; * where the 95 % interval leaves out 0."
            found += [tag("h3", name), tag("p", told, class_="soft"), scrolled(name, versus_map(name, result))]
        said = [tag("li", escaped(one.text), class_=one.tone) for one in words.verdicts(result)]
        said += [
            tag("li", tag("b", escaped(one.about)), escaped(one.text), class_=one.tone) for one in words.repeats(result)
        ]
        found += [tag("h3", "In words"), tag("ul", *said, class_="verdicts")]
    return "".join([*found, tag("p", escaped(tables.notes(result)), class_="soft")])


def _categories(result: EvaluationResult) -> str:
    if not result.references["oracle"].by_category:
        return ""
    key = (
        'Mean scores; <span class="key p"></span> above and <span class="key n"></span> below what '
        f"{escaped(result.best_single)}, the best single expert, reaches in the same category."
    )
    return tag("p", key, class_="soft") + scrolled("Quality per category", quality_map("Quality per category", result))


def _choices(result: EvaluationResult) -> str:
    name = "Share of all instructions each expert gets"
    found = [tag("p", f"{name}.", class_="soft"), scrolled(name, overall_share_map(name, result))]
    first = words.headline_method(result)
    shown = {**result.methods, "oracle": result.references["oracle"]}
    for method, entry in shown.items():
        if any(part.share for part in entry.by_category.values()):
            table = category_share_map(f"Choices of {method} per category", result, entry)
            opened = " open" if method == first else ""
            found.append(
                f"<details{opened}><summary>{escaped(method)}, per category</summary>"
                f"{scrolled(f'Choices of {method}', table)}</details>"
            )
    return "".join(found)


def _calibration(result: EvaluationResult) -> str:
    found = []
    for index, (name, entry) in enumerate(result.methods.items()):
        one = entry.reliability
        if one is not None and len(one.counts):
            chart = reliability_chart(name, one, method_class(index).partition(" ")[2])
            caption = f"ECE {number(one.ece)} · Brier {number(one.brier)}"
            heading = tag("h3", tag("bdi", escaped(name)))
            found.append(tag("figure", heading, chart, tag("figcaption", escaped(caption))))
    if not found:
        return ""
    told = (
        "On the dashed line a predicted score of 0.7 is reached 0.7 on average; below it predictions promise too much. "
        "Bars show how many predictions each point stands for. ECE: mean distance from the line; Brier: mean squared "
        "error."
    )
    return tag("p", told, class_="soft") + tag("div", *found, class_="multiples")


def _learning(result: EvaluationResult) -> str:
    found = result.diagnostics
    if found is None or not found.learning_curve:
        return ""
    index = list(result.methods).index(found.method) if found.method in result.methods else 0
    best = result.references["best_single"].quality
    classes = method_class(index).partition(" ")[2]
    chart = learning_chart(found.learning_curve, best, result.best_single, classes)
    if not chart:
        return ""
    caption = f"{found.method or 'The method'} fitted to parts of train; the shade is the 95 % interval."
    return tag("figure", chart, tag("figcaption", escaped(caption)))


def _diagnostics(result: EvaluationResult) -> str:
    said = [
        tag("li", tag("b", escaped(one.about)), escaped(one.text), class_=one.tone) for one in words.diagnostics(result)
    ]
    if not said:
        return ""
    found = [tag("ul", *said, class_="verdicts")]
    left_out = tables.left_out_table(result)
    if left_out[1]:
        name = "Categories never seen in train"
        found += [tag("h3", name), scrolled(name, text_table(name, left_out))]
    duplicates = result.diagnostics.duplicates if result.diagnostics else None
    if duplicates is not None and duplicates.examples:
        pairs = "".join(
            tag("li", tag("q", escaped(one)), " — ", tag("q", escaped(other))) for one, other in duplicates.examples
        )
        found.append(f"<details><summary>Examples of duplicates: judged, train</summary><ul>{pairs}</ul></details>")
    return "".join(found)


def _foot(result: EvaluationResult) -> str:
    samples = f"{result.samples:,} resamples" if result.samples else "resamples"
    text = (
        f"Intervals: 95 %, paired percentile bootstrap over instructions, {samples}, seed {result.seed}. "
        f"Best single expert, best per category and methods learned from train; judged on split {result.split}."
    )
    return tag("footer", escaped(text))


def _known(entry: Result) -> float:
    return -1.0 if math.isnan(entry.quality.value) else entry.quality.value
