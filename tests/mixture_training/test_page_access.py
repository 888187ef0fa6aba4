"""The page for everybody: by keyboard, in light and dark, on a narrow screen, with names for what is not text."""

import os
from pathlib import Path

import pytest

from tests.mixture_training.live_server import live_server
from tests.mixture_training.page_browser import watched

pytestmark = pytest.mark.slow

SUM = "Maria buys 3 pencils at 40 cents each and pays with a 100 dollar bill. How much money is left?"
VIEWS = ("try", "compare", "live", "router")
#: `axe.min.js` of axe-core, by which the page is checked as well where it is installed (npm install axe-core).
AXE = Path(os.environ.get("AXE_CORE", "node_modules/axe-core/axe.min.js"))
#: Texts whose contrast with what lies behind them is below AA; what is disabled may be.
CONTRAST = """() => {
  const rgba = (text) => {
    const canvas = Object.assign(document.createElement('canvas'), {width: 1, height: 1});
    const context = canvas.getContext('2d', {willReadFrequently: true});
    context.fillStyle = text;
    context.fillRect(0, 0, 1, 1);
    return [...context.getImageData(0, 0, 1, 1).data].map((value) => value / 255);
  };
  const light = ([r, g, b]) => [r, g, b].map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const colour = rgba(getComputedStyle(at).backgroundColor);
      if (colour[3] > 0.99) return colour;
    }
    return [1, 1, 1, 1];
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !node.checkVisibility()) continue;
    if (node.closest('title, :disabled, noscript, .hidden-text, .skip')) continue;
    const style = getComputedStyle(node);
    const ink = rgba(node instanceof SVGElement ? style.fill : style.color);
    const [one, other] = [light(ink), light(behind(node))].sort((a, b) => b - a);
    const size = parseFloat(style.fontSize);
    const least = size >= 24 || (size >= 18.66 && style.fontWeight >= 700) ? 3 : 4.5;
    const ratio = (one + 0.05) / (other + 0.05);
    if (ratio < least) found.push(`${walker.currentNode.data.trim().slice(0, 40)}: ${ratio.toFixed(2)}`);
  }
  return found;
}"""

#: Controls and regions without a name, ids given twice, and tables without a heading.
NAMES = """() => {
  const found = [];
  const ids = [...document.querySelectorAll('[id]')].map((node) => node.id);
  for (const id of new Set(ids)) if (ids.filter((one) => one === id).length > 1) found.push(`#${id} twice`);
  for (const node of document.querySelectorAll('[aria-labelledby], [aria-describedby], label[for], output[for]')) {
    for (const name of ['aria-labelledby', 'aria-describedby', 'for']) {
      const id = node.getAttribute(name);
      if (id && !document.getElementById(id)) found.push(`${node.tagName} points to #${id}`);
    }
  }
  const all = (selector) => [...document.querySelectorAll(selector)].filter((node) => node.checkVisibility());
  const tell = (what, node) => found.push(`${what}: ${node.outerHTML.slice(0, 80)}`);
  const isCalled = (node) => node.getAttribute('aria-label') || node.getAttribute('aria-labelledby');
  for (const node of all('input, select, textarea')) if (!node.labels.length && !isCalled(node)) tell('unnamed', node);
  for (const node of all('button, a, summary')) if (!node.textContent.trim() && !isCalled(node)) tell('unnamed', node);
  for (const node of all('svg[role=img]')) if (!node.querySelector('title')?.textContent) tell('no title', node);
  for (const node of all('table')) if (!node.caption?.textContent || !node.tHead) tell('no heading', node);
  for (const node of all('section')) if (!isCalled(node)) tell('unnamed', node);
  return found;
}"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with live_server(tmp_path_factory.mktemp("access"), "--no_auth") as running:
        yield running


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("view", VIEWS)
def test_text_can_be_read_and_controls_have_names(server, browser, view, theme):
    with watched(browser, server.url, view, color_scheme=theme) as seen:
        show(seen, view)
        assert seen.page.evaluate(CONTRAST) == []
        assert seen.page.evaluate(NAMES) == []


def show(seen, view):
    """Fill a view with everything it can show."""
    if view == "try":
        seen.ask(SUM)
        seen.see(".judge")
        seen.page.click("text=Correct it")
        seen.page.click("text=All 2 experts as a table")
        seen.page.select_option("#view-try select", "weight")
    elif view == "compare":
        seen.page.select_option("#view-compare select", "chosen")
        for box in seen.page.locator("#view-compare input[type=checkbox]:visible").all()[:3]:
            if box.is_enabled() and box.get_attribute("value"):
                box.check()
        seen.page.fill("#view-compare textarea", SUM)
        seen.page.click("text=Ask them")
        seen.see(".vote button")
    elif view == "live":
        seen.see("#view-live .tiles")
        seen.page.wait_for_timeout(300)
    else:
        seen.see("#view-router .versions")
    for folded in seen.page.locator("details:visible > summary").all():
        if not folded.evaluate("node => node.parentElement.open"):
            folded.click()
    seen.page.wait_for_timeout(200)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("view", VIEWS)
def test_axe_finds_nothing(server, browser, view, theme):
    if not AXE.is_file():
        pytest.skip("needs axe-core: npm install axe-core, or AXE_CORE=the path of its axe.min.js")
    with watched(browser, server.url, view, color_scheme=theme) as seen:
        show(seen, view)
        seen.page.evaluate(AXE.read_text(encoding="utf-8"))
        found = seen.page.evaluate("() => axe.run()")["violations"]
        assert [(one["id"], [node["html"][:120] for node in one["nodes"][:3]]) for one in found] == []


@pytest.mark.parametrize("view", VIEWS)
def test_nothing_is_wider_than_a_narrow_screen(server, browser, view):
    with watched(browser, server.url, view, viewport={"width": 320, "height": 640}) as seen:
        show(seen, view)
        assert seen.page.evaluate("() => document.documentElement.scrollWidth") <= 320
        charts = seen.page.locator("svg.chart:visible")
        assert charts.count() > 0 or view == "compare"
        for chart in charts.all():
            assert chart.bounding_box()["width"] <= 320


def test_everything_can_be_done_by_keyboard(server, browser):
    with watched(browser, server.url) as seen:
        keyboard, page = seen.page.keyboard, seen.page
        seen.see("#view-try textarea")
        keyboard.press("Tab")
        assert page.evaluate("() => document.activeElement.className") == "skip"
        reach(page, "textarea")
        keyboard.type(SUM)
        keyboard.press("Control+Enter")
        seen.see(".judge")
        reach(page, ".judge button")
        keyboard.press("Enter")
        seen.see(".judge [role=status]", "Recorded: good")
        reach(page, "nav a[href='#compare']", "Shift+Tab")
        keyboard.press("Enter")
        seen.see("#view-compare textarea")
        assert page.evaluate("() => document.activeElement.id") == "main"
        reach(page, "#view-compare textarea")
        keyboard.type(SUM)
        keyboard.press("Control+Enter")
        seen.see(".vote button")
        reach(page, ".vote button")
        keyboard.press("Space")
        seen.see(".vote [role=status]", "Recorded")


def reach(page, selector, key="Tab"):
    """Go on until the focus is on something, and check that it can be seen there."""
    for _ in range(60):
        page.keyboard.press(key)
        if page.evaluate("(selector) => document.activeElement.matches(selector)", selector):
            outline = page.evaluate("() => getComputedStyle(document.activeElement).outline")
            assert "none" not in outline
            assert "0px" not in outline
            return
    raise AssertionError(f"{selector} cannot be reached with {key}")


def test_what_somebody_has_reached_stays_while_figures_are_renewed(server, browser):
    server.chat(key=None)
    with watched(browser, server.url, "live") as seen:
        seen.see("#view-live a").focus()
        before = seen.page.inner_text("#view-live .title-row p")
        seen.page.wait_for_function(
            "(before) => document.querySelector('#view-live .title-row p').textContent !== before", arg=before
        )
        assert seen.page.evaluate("() => document.activeElement.matches('#view-live a')")


def test_colours_follow_the_system_until_they_are_chosen(server, browser):
    paper = "() => getComputedStyle(document.body).backgroundColor"
    with watched(browser, server.url, color_scheme="dark") as seen:
        seen.see("#view-try textarea")
        dark = seen.page.evaluate(paper)
        seen.page.click("#theme-button")
        assert seen.page.inner_text("#theme-button") == "Light"
        light = seen.page.evaluate(paper)
        assert light != dark
        seen.page.reload()
        seen.see("#view-try textarea")
        assert seen.page.evaluate(paper) == light
        seen.page.click("#theme-button")
        assert seen.page.evaluate(paper) == dark
        seen.page.click("#theme-button")
        seen.page.emulate_media(color_scheme="light")
        assert seen.page.evaluate(paper) == light


def test_nothing_moves_for_whoever_wants_that(server, browser):
    moving = """() => [...document.querySelectorAll('*')].filter((node) => {
        const style = getComputedStyle(node);
        return parseFloat(style.transitionDuration) > 0 || style.animationName !== 'none'; }).length"""
    with watched(browser, server.url, reduced_motion="reduce") as seen:
        seen.see("#view-try textarea")
        assert seen.page.evaluate(moving) == 0
