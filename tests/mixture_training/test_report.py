import json
import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from io import StringIO
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from mixture_training.src.evaluation import evaluate
from mixture_training.src.metrics.bootstrap import Interval
from mixture_training.src.report import print_report, to_dict, to_html, to_json, to_markdown, write_report
from mixture_training.src.reporting import words
from mixture_training.src.reporting.axes import scale_of
from mixture_training.src.reporting.formats import cost_unit, duration, share_with_interval, shortened, with_interval
from mixture_training.src.reporting.labels import LINE, Wanted, place, width_of
from mixture_training.src.reporting.markup import escaped
from mixture_training.src.reporting.style import STYLE
from mixture_training.src.training_data import TrainingData
from tests.mixture_training.made_results import NOTHING, around, made_result

LONG = [f"organisation-{index}/a-model-of-forty-chars-{index:02d}" for index in range(60)]
HOSTILE = ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "a|b](http://x)\n# hi", "\u202e\x00</svg>$x$"]
VOID = {"meta", "input", "br"}


class Page(HTMLParser):
    """Reads a page, fails on tags that do not match, and keeps what the tests ask about."""

    def __init__(self, text):
        super().__init__()
        self.open, self.starts, self.shown = [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.starts.append((tag, dict(attrs), tuple(self.open)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.shown.append(data)

    def all(self, tag):
        return [attributes for name, attributes, _ in self.starts if name == tag]


def bare(rows=3):
    """Return what `evaluate` finds on the smallest data: one expert, no costs, no categories."""
    nothing = np.full((2 * rows, 1), np.nan)
    return evaluate(
        TrainingData(
            ids=tuple(str(row) for row in range(2 * rows)),
            texts=tuple(f"text {row}" for row in range(2 * rows)),
            categories=(None,) * 2 * rows,
            splits=("train",) * rows + ("test",) * rows,
            experts=("only",),
            scores=np.arange(2.0 * rows)[:, None] % 2,
            costs=nothing,
            latencies=nothing,
        ),
        [],
    )


def some_costs(result):
    """Return the result with one expert whose cost is unknown, one that is free, and others a thousand times apart."""
    references = dict(result.references)
    for name, cost in (("expert-0", 0.0), ("expert-1", math.nan), ("expert-2", 1e-6)):
        references[f"expert:{name}"] = replace(references[f"expert:{name}"], cost=cost)
    return replace(result, references=references)


CASES = {
    "usual": made_result,
    "bare": bare,
    "one expert": lambda: made_result(experts=1, categories=0, methods=1, rows=3, checks=False),
    "no costs": lambda: made_result(costs=False),
    "no methods": lambda: made_result(methods=0),
    "hostile": lambda: made_result(names=HOSTILE),
    "some costs": lambda: some_costs(made_result()),
    "other scripts": lambda: made_result(names=["模型一号", "نموذج", "मॉडल", "model 😀"]),
    "sixty experts": lambda: made_result(names=LONG, categories=2, methods=1),
    "nothing known": lambda: replace(
        made_result(),
        methods={"blind": replace(made_result().methods["method 0"], quality=NOTHING, vs_best_single=NOTHING)},
    ),
}


@pytest.fixture(scope="module", params=CASES)
def result(request):
    return CASES[request.param]()


def printed(result):
    console = Console(file=StringIO(), width=80)
    print_report(result, console)
    return console.file.getvalue()


def test_the_page_is_well_formed_and_loads_nothing(result):
    page = Page(to_html(result))
    assert not page.all("script") + page.all("link") + page.all("img") + page.all("iframe")
    assert all(link["href"].startswith("#") for link in page.all("a"))
    ids = [attributes["id"] for _, attributes, _ in page.starts if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {link["href"][1:] for link in page.all("a")} <= set(ids)
    assert not [key for _, attributes, _ in page.starts for key in attributes if key.startswith("on")]


def test_the_page_can_be_heard_and_used_by_keyboard(result):
    page = Page(to_html(result))
    for svg in page.all("svg"):
        assert svg.get("aria-hidden") == "true" or (svg["role"] == "img" and svg["aria-label"])
    assert len(page.all("caption")) == len(page.all("table"))
    assert all("scope" in heading for heading in page.all("th"))
    assert all("label" in above for tag, _, above in page.starts if tag == "input")
    assert all(box["tabindex"] == "0" and box["aria-label"] for box in page.all("div") if box.get("class") == "scroll")


def test_every_chart_is_well_formed_xml(result):
    charts = re.findall(r"<svg.*?</svg>", to_html(result), flags=re.S)
    for chart in charts:
        ElementTree.fromstring(chart)


def test_what_is_not_known_is_never_shown_as_nan(result):
    shown = " ".join(Page(to_html(result)).shown)
    for text in (shown, to_markdown(result), printed(result), to_json(result)):
        assert not re.search(r"\b(nan|inf)\b", text, flags=re.I)
    assert not re.search(r'"(nan|inf)', to_html(result))


def test_a_terminal_of_80_columns_is_enough(result):
    assert max(map(len, printed(result).splitlines())) <= 80


def test_a_terminal_obeys_no_name():
    text = printed(made_result(names=["\x1b[2Jgone", "\u202eback", "two\nlines"]))
    assert not set("\x1b\u202e") & set(text)
    assert "two lines" in text


def test_the_headline_comes_first_in_every_form(result):
    first = words.headline(result).text
    assert printed(result).startswith(first[:20])
    page = Page(to_html(result))
    assert [name for name, attributes, _ in page.starts if "headline" in (attributes.get("class") or "")] == ["p"]
    assert to_markdown(result).splitlines()[2].startswith("**")


def test_markdown_tables_keep_their_columns(result):
    counts, blocks = [], []
    for line in [*to_markdown(result).splitlines(), ""]:
        if line.startswith("|"):
            counts.append(len(re.findall(r"(?<!\\)\|", line)))
        elif counts:
            blocks.append(set(counts))
            counts = []
    assert blocks
    assert all(len(block) == 1 for block in blocks)


def test_the_same_result_is_the_same_files(tmp_path):
    one, other = (write_report(made_result(seed=3), tmp_path / name) for name in ("one", "other"))
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in other]


@pytest.mark.parametrize(
    "case", ["hostile", "some costs", "other scripts", "sixty experts", "one expert", "no costs", "bare"]
)
def test_the_picture_of_any_result_is_drawn(case, tmp_path):
    written = write_report(CASES[case](), tmp_path)
    assert written[3].read_bytes().startswith(b"\x89PNG")


def test_a_large_evaluation_is_still_a_small_page():
    assert len(to_html(made_result(experts=30, categories=20, methods=10)).encode()) < 1_500_000


def test_names_stay_text():
    text = to_html(made_result(names=HOSTILE))
    assert "<script" not in text
    assert "<img" not in text
    assert "\u202e" not in text
    assert "\x00" not in text
    markdown = to_markdown(made_result(names=HOSTILE))
    assert "<script" not in markdown
    assert "](http" not in markdown
    assert "\n# hi" not in markdown


def luminance(colour):
    digits = colour[1:] if len(colour) == 7 else "".join(digit * 2 for digit in colour[1:])
    parts = (int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4))
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_colours_keep_their_contrast(scheme):
    """WCAG 2.2 AA: 4.5 for text, 3 for what a chart draws; the shades of cells lie under text at half strength."""
    root = re.findall(r":root\{(.*?)\}", STYLE, flags=re.S)[scheme].replace("\n", "")
    colours = dict(re.findall(r"--([\w-]+):(#\w+)", root))
    for text in ("ink", "soft", "accent", "good", "bad"):
        assert contrast(colours[text], colours["card"]) >= 4.5, text
        assert contrast(colours[text], colours["page"]) >= 4.5, text
    for text, ground in (("ink", "good-soft"), ("ink", "bad-soft"), ("ink", "warn-soft"), ("warn", "warn-soft")):
        assert contrast(colours[text], colours[ground]) >= 4.5, ground
    for index in range(10):
        assert contrast(colours[f"c{index}"], colours["card"]) >= 3, index
    card = (
        [int(digit * 2, 16) for digit in colours["card"][1:]]
        if len(colours["card"]) == 4
        else [int(colours["card"][place : place + 2], 16) for place in (1, 3, 5)]
    )
    for name in "pn":
        shade = map(int, re.search(rf"--{name}:(\d+) (\d+) (\d+)", root).groups())
        mixed = "#" + "".join(f"{round((one + other) / 2):02x}" for one, other in zip(shade, card, strict=True))
        assert contrast(colours["ink"], mixed) >= 4.5, name


@given(st.text())
def test_escaped_text_is_read_back_as_text(text):
    page = Page(f"<p>{escaped(text)}</p>")
    assert [name for name, _, _ in page.starts] == ["p"]


def test_the_page_shows_every_part_of_a_full_result():
    page = to_html(made_result())
    for part in ("frontier", "results", "categories", "choices", "calibration", "learning", "diagnostics"):
        assert f'<section id="{part}"' in page or f'id="{part}"' in page
    for text in ("ECE 0.030", "Brier 0.150", "no leak", "Method against method", "43.0 % [35.0, 51.0]"):
        assert text in page
    assert page.count('class="band') >= 5


def test_every_curve_point_tells_its_figures():
    result = made_result(methods=1)
    chart = re.search(r"<svg.*?</svg>", to_html(result), flags=re.S)[0]
    titles = re.findall(r"<title>(.*?)</title>", chart)
    assert len([title for title in titles if title.startswith("method 0: ")]) == 41
    assert all(any(name in title for title in titles) for name in result.experts)


def test_every_line_stays_inside_its_chart(result):
    for chart in re.findall(r'<svg viewBox="0 0 (\d+) (\d+)"(.*?)</svg>', to_html(result), flags=re.S):
        width, height = float(chart[0]), float(chart[1])
        for drawn in re.findall(r' d="M(.*?)Z?"', chart[2]):
            for point in re.split("[LHV]", drawn)[:-1]:
                x, y = map(float, point.split())
                assert 0 <= x <= width
                assert -1 <= y <= height + 1


def test_the_oracle_costs_less_than_any_expert_and_is_drawn_where_it_is():
    chart = re.search(r"<svg.*?</svg>", to_html(made_result()), flags=re.S)[0]
    points = re.search(r'd="M([^"]*)" class="ideal"', chart)[1].split("L")
    places = [float(point.split()[0]) for point in points]
    assert places == sorted(places, reverse=True)
    assert len(set(places)) == 5


def test_the_headline_says_better_only_where_the_interval_does():
    result = made_result(methods=1)

    def told(gain, **more):
        entry = replace(result.methods["method 0"], vs_best_single=gain)
        return words.headline(replace(result, methods={"m": entry}, **more))

    assert "m is better than always asking expert-3" in told(Interval(0.1, 0.05, 0.15)).text
    assert "+0.100 [+0.050, +0.150]" in told(Interval(0.1, 0.05, 0.15)).text
    assert "is not shown to differ from" in told(Interval(0.1, -0.05, 0.15)).text
    assert "is WORSE than" in told(Interval(-0.1, -0.15, -0.05)).text
    assert told(Interval(-0.1, -0.15, -0.05)).tone == "bad"
    few = told(Interval(0.1, 0.05, 0.15), instructions=7)
    assert few.text.startswith("On 7 instructions, too few to tell")
    assert few.tone == "open"
    assert "cannot be compared" in told(NOTHING).text
    assert "it would cost 43.0 % [35.0, 51.0] less" in told(Interval(0.1, 0.05, 0.15)).text
    assert "Under quality it pays" in told(Interval(0.1, 0.05, 0.15)).text


def test_a_dearer_method_is_told_so():
    result = made_result(methods=1)
    entry = replace(result.methods["method 0"], cost_saving=-0.2, intervals={"cost_saving": around(-0.2, 0.1)})
    assert "it would cost 20.0 % [10.0, 30.0] MORE" in words.headline(replace(result, methods={"m": entry})).text
    open_ = replace(entry, intervals={"cost_saving": around(0.1, 0.2)})
    told = words.headline(replace(result, methods={"m": open_})).text
    assert "that it would cost less at equal quality is not shown, 10.0 % [-10.0, 30.0]" in told
    silent = replace(entry, cost_saving=math.nan, intervals={})
    assert "costs" not in words.headline(replace(result, methods={"m": silent})).text


def test_a_policy_that_gives_up_score_tells_the_price():
    result = replace(made_result(methods=1), policy="cost_weight=100")
    entry = replace(result.methods["method 0"], vs_best_single=around(-0.1), cost=1e-4)
    found = words.headline(replace(result, methods={"m": entry}))
    assert re.search(r"Under cost_weight=100 it pays \$0.1 per 1,000 instructions instead of \$\d", found.text)
    assert found.tone == "open"


def test_without_methods_the_headline_says_what_routing_could_gain():
    result = made_result(methods=0)
    assert "routing could gain up to" in words.headline(result).text


def test_the_headline_is_about_auto_or_the_best():
    result = made_result(methods=3)
    assert words.headline_method(result) == "method 0"
    assert any("best of 3 methods" in text for text in words.cautions(result))
    named = replace(result, methods={"other": result.methods["method 0"], "auto": result.methods["method 2"]})
    assert words.headline_method(named) == "auto"
    assert not any("best of" in text for text in words.cautions(named))


def test_cautions_name_what_flatters():
    result = made_result(methods=1, rows=12)
    entry = replace(result.methods["method 0"], unscored=4, share={"expert-1": 1.0})
    told = " ".join(words.cautions(replace(result, methods={"m": entry})))
    assert "12 instructions are too few" in told
    assert "without a score for 4 of 12" in told
    assert "100.0 % of the instructions to expert-1: it hardly routes" in told
    assert "few for some categories" in told


def test_holm_takes_back_what_many_comparisons_gave():
    result = made_result(methods=2)
    methods = {name: replace(entry, p_holm=0.2) for name, entry in result.methods.items()}
    corrected = replace(result, methods=methods)
    for found in (next(words.verdicts(corrected)), words.headline(corrected)):
        assert "not so after correction for 2 methods" in found.text
        assert found.tone == "open"


def diagnosed(**changes):
    result = made_result(methods=1)
    found = words.diagnostics(replace(result, diagnostics=replace(result.diagnostics, **changes)))
    return {one.about: one for one in found}


def test_a_leak_is_shouted():
    result = made_result(methods=1)
    assert diagnosed()["Shuffled-label control"].tone == "good"
    leaking = replace(result.diagnostics.shuffled, vs_best_single=around(0.1))
    found = diagnosed(shuffled=leaking)["Shuffled-label control"]
    assert "LEAK" in found.text
    assert found.tone == "bad"


def test_duplicates_are_judged_by_their_share():
    none = replace(made_result().diagnostics.duplicates, exact=0, near=0)
    assert diagnosed(duplicates=none)["Duplicates"].tone == "good"
    many = replace(none, exact=60, near=80)
    assert "80 of 800 judged instructions (10.0 %)" in diagnosed(duplicates=many)["Duplicates"].text
    assert diagnosed(duplicates=many)["Duplicates"].tone == "bad"


def test_the_category_check_says_where_the_gain_comes_from():
    assert "55.0 % of the gain of method 0: the rest comes from" in diagnosed()["Category only"].text
    assert "a table of categories would do" in diagnosed(category_share=0.97)["Category only"].text
    assert diagnosed(category_share=math.nan)["Category only"].tone == "open"


def test_the_learning_curve_is_read_at_half_and_all():
    points = made_result(methods=1).diagnostics.learning_curve
    assert "From 2,000 to 4,000 train instructions" in diagnosed()["Learning curve"].text
    flat = tuple(replace(point, quality=around(0.8)) for point in points)
    assert "more rows alone will not change much" in diagnosed(learning_curve=flat)["Learning curve"].text
    falling = (*flat[:-1], replace(flat[-1], quality=around(0.6)))
    assert "FELL" in diagnosed(learning_curve=falling)["Learning curve"].text


def test_categories_never_seen_are_counted():
    assert "better than best single in 0 of 3 and worse in none" in diagnosed()["Unseen categories"].text
    left_out = made_result(methods=1).diagnostics.left_out
    bad = {name: replace(one, vs_best_single=around(-0.1)) for name, one in left_out.items()}
    assert "WORSE in 3: category 0, category 1, category 2" in diagnosed(left_out=bad)["Unseen categories"].text


def test_json_holds_every_figure_and_is_strict():
    result = made_result()
    content = json.loads(to_json(result), parse_constant=lambda text: pytest.fail(text))
    assert content == to_dict(result)
    method = content["methods"]["method 0"]
    assert method["cost_saving"] == 0.43
    assert method["cost_saving_ci95"] == pytest.approx([0.35, 0.51])
    assert method["reliability"]["ece"] == 0.03
    assert len(method["curve"]["quality_low"]) == len(method["curve"]["cost"])
    assert content["diagnostics"]["leaks"] is False
    assert [point["instructions"] for point in content["diagnostics"]["learning_curve"]] == [400, 1000, 2000, 4000]
    assert content["methods"]["method 1"]["by_category"]["category 0"]["share"]["expert-0"] == 0.25


def test_costs_are_told_for_as_many_instructions_as_make_them_readable():
    result = made_result(methods=0)

    def unit(cost):
        entries = {name: replace(entry, cost=cost) for name, entry in result.references.items()}
        return cost_unit(replace(result, references=entries))

    assert unit(0.5).tell(0.5) == "$0.5"
    assert unit(0.002).tell(0.002) == "$2.00"
    assert unit(0.002).phrase == "per 1,000 instructions"
    assert unit(3e-6).phrase == "per million instructions"
    assert unit(0.0).phrase == unit(math.nan).phrase == "per instruction"
    assert unit(math.nan).tell(math.nan) == "–"


def test_numbers_are_told_as_people_write_them():
    assert with_interval(Interval(0.5, 0.4, 0.6), sign="+") == "+0.500 [+0.400, +0.600]"
    assert with_interval(Interval(0.5, math.nan, math.nan)) == "0.500"
    assert with_interval(NOTHING) == share_with_interval(NOTHING) == "–"
    assert share_with_interval(Interval(0.5, math.nan, math.nan)) == "50.0 %"
    assert [duration(value) for value in (4.1e-4, 0.0123, 3.21, 600, math.nan)] == [
        "410 µs", "12.3 ms", "3.21 s", "10 min", "–",
    ]  # fmt: skip
    assert shortened("abcdefghij", 7) == "abc…hij"
    assert shortened("abc", 7) == "abc"


@given(st.lists(st.floats(0, 1e4) | st.just(math.nan), max_size=12), st.booleans())
def test_a_scale_keeps_every_value_in_its_place(values, logarithmic):
    scale = scale_of(values, 40.0, 600.0, may_be_logarithmic=logarithmic)
    known = sorted(value for value in values if not math.isnan(value))
    places = [scale(value) for value in known]
    assert all(40.0 <= place <= 600.0 + 1e-6 for place in places)
    assert places == sorted(places)
    ticks = scale.ticks(6)
    assert all(39.9 <= scale(tick) <= 600.1 for tick in ticks)
    assert len(ticks) <= 12


@given(
    st.lists(
        st.builds(Wanted, st.text("ab字", min_size=1, max_size=20), st.floats(0, 500), st.floats(0, 300)), max_size=40
    )
)
def test_no_label_lies_on_another_on_a_point_or_outside(wanted):
    placed = place(wanted, (0, 0, 500, 300), [(one.x, one.y) for one in wanted], [])
    boxes = [(one.x, one.y + 3.5 - LINE, one.x + width_of(one.text), one.y + 3.5) for one in placed]
    for number, (left, top, right, bottom) in enumerate(boxes):
        assert 0 <= left < right <= 500 + 1e-6
        assert -1e-6 <= top < bottom <= 300 + 1e-6
        for other in boxes[:number]:
            assert left >= other[2] or other[0] >= right or top >= other[3] - 1e-6 or other[1] >= bottom - 1e-6
        assert not any(left < one.x < right and top < one.y < bottom for one in wanted)


def test_the_only_label_stands_right_beside_its_point():
    assert [one.x for one in place([Wanted("a", 100, 100)], (0, 0, 500, 300), [(100, 100)], [])] == [107]
