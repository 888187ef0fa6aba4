"""An evaluation as Markdown, for a README; the plot lies beside it."""

from collections.abc import Iterator, Sequence

from mixture_training.src.evaluation_result import EvaluationResult
from mixture_training.src.reporting import tables, words
from mixture_training.src.reporting.markup import one_line

#: The picture's name in the report's folder.
PLOT_PNG = "cost_quality.png"


def to_markdown(result: EvaluationResult) -> str:
    """Return the report as Markdown; the plot lies beside it as `cost_quality.png`."""
    lines = [f"# {_line(words.title(result))}", "", f"**{_line(words.headline(result).text)}**", ""]
    lines += [f"> **Caution:** {_line(text)}\n" for text in words.cautions(result)]
    lines += [*_table(*tables.main_table(result)), "", _line(tables.notes(result)), ""]
    lines += [f"![Quality against cost]({PLOT_PNG})", ""]
    if result.methods:
        lines += ["## Methods", "", *_table(*tables.curve_table(result)), "", *_table(*tables.choice_table(result)), ""]
        lines += [f"- {_line(one.text)}" for one in words.verdicts(result)]
        lines += [f"- {_line(one.about)}: {_line(one.text)}" for one in words.repeats(result)] + [""]
    lines += _section("Quality per category", tables.category_table(result))
    lines += _section("Where the instructions went", tables.share_table(result))
    found = list(words.diagnostics(result))
    if found:
        lines += ["## Diagnostics", "", *(f"- **{one.about}.** {_line(one.text)}" for one in found), ""]
    lines += _section("Categories never seen in train", tables.left_out_table(result))
    return "\n".join(lines)


def _section(title: str, table: tables.Table) -> Iterator[str]:
    if table[1]:
        yield from (f"## {title}", "", *_table(*table), "")


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(_line(cell).replace("|", "\\|") for cell in cells) + " |"

    return [line(headings), "|---|" + "---:|" * (len(headings) - 1), *map(line, rows)]


def _line(text: str) -> str:
    """Return text that stays on its line, whose tags are not HTML, and that links nowhere."""
    return one_line(text).replace("<", "&lt;").replace("](", "]\\(")
