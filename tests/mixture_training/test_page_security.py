"""The page and who means harm: names, instructions and answers full of markup, keys, addresses elsewhere."""

import json

import pytest

from mixture_training.src.server.page_routes import PAGE_HEADERS
from tests.mixture_training.live_server import live_server
from tests.mixture_training.page_browser import watched

pytestmark = pytest.mark.slow

SUM = "Maria buys 3 pencils at 40 cents each and pays with a 100 dollar bill. How much money is left?"
#: Does something as soon as it is taken for markup or for an address.
HOSTILE = (
    '<img src=x onerror="window.hacked=1">',
    "<script>window.hacked=1</script>",
    '"><svg onload=window.hacked=1>',
    "javascript:window.hacked=1",
    "</textarea><iframe srcdoc='<script>parent.hacked=1</script>'>",
    "{{constructor.constructor('window.hacked=1')()}}",
    "\u202egnp.exe\u202c \ufeff",
)


@pytest.fixture(scope="module")
def closed_server(tmp_path_factory):
    """One that wants keys."""
    with live_server(tmp_path_factory.mktemp("closed")) as running:
        yield running


@pytest.fixture(scope="module")
def hostile_server(tmp_path_factory):
    """One whose experts have hostile names and give hostile answers."""
    with live_server(tmp_path_factory.mktemp("hostile"), "--no_auth", "--keep_texts", experts=HOSTILE[:3]) as running:
        for expert in running.experts.values():
            expert.change(mode="raw", raw=hostile_stream())
        yield running


def hostile_stream() -> str:
    """Return a whole answer to a request for a stream whose text is every hostile one."""
    events = [{"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]} for text in HOSTILE]
    events.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    body = "".join(
        f"data: {json.dumps({'id': 'a', 'object': 'chat.completion.chunk', **event})}\n\n" for event in events
    )
    return f"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n{body}data: [DONE]\n\n"


def unharmed(seen) -> bool:
    """Whether nothing of what came in was taken for markup."""
    return seen.page.evaluate(
        "() => window.hacked === undefined"
        " && !document.querySelector('main img, main script, main iframe, main [onload], main [onerror]')"
        " && ![...document.querySelectorAll('[href]')].some((node) => node.protocol === 'javascript:')"
    )


def latest_of(server):
    """Return the latest decision."""
    found = server.ask("GET", "/v1/page/live", key=None).json["latest"][0]["id"]
    return server.ask("GET", f"/v1/decisions/{found}", key=None).json


@pytest.mark.parametrize("text", HOSTILE)
def test_whatever_comes_in_is_shown_as_the_text_it_is(hostile_server, browser, text):
    with watched(browser, hostile_server.url) as seen:
        seen.ask(text)
        seen.see("#view-try .judge")
        shown = seen.page.locator("#view-try .answer").evaluate("node => node.textContent")
        assert all(one in shown for one in HOSTILE)
        assert seen.page.inner_text("#view-try .decision .who") in HOSTILE
        seen.page.click("text=All 3 experts as a table")
        assert unharmed(seen)
        hostile_server.wait_for(lambda: latest_of(hostile_server)["instruction"] == text)
        seen.page.goto(f"{seen.origin}/#live")
        seen.see("#view-live .tiles")
        seen.page.click("#view-live a >> nth=0")
        seen.see("#view-try blockquote")
        assert seen.page.evaluate("() => document.querySelector('#view-try blockquote').textContent") == text
        assert unharmed(seen)


@pytest.mark.parametrize("view", ["compare", "router", "try/%3Cimg%20src%3Dx%3E", "%00<script>"])
def test_names_and_addresses_are_no_markup_either(hostile_server, browser, view):
    with watched(browser, hostile_server.url, view, expected=("404",)) as seen:
        seen.see("main > section:not([hidden]) h1")
        if view == "compare":
            seen.page.fill("#view-compare textarea", HOSTILE[0])
            seen.page.click("text=Ask them")
            seen.see(".vote button")
            seen.page.click("text=A tie")
            seen.see(".vote [role=status]", "Recorded")
        seen.page.wait_for_timeout(300)
        assert unharmed(seen)


def test_the_browser_may_load_nothing_from_elsewhere(closed_server, browser):
    answer = closed_server.ask("GET", "/", key=None)
    policy = answer.headers["Content-Security-Policy"]
    assert policy == PAGE_HEADERS["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    with watched(browser, closed_server.url, expected=("401", "Content Security Policy")) as seen:
        seen.see("#key-dialog[open]")
        assert seen.page.evaluate("() => fetch('http://127.0.0.1:9/').then(() => 'went', () => 'refused')") == "refused"
        seen.page.evaluate(
            "() => { const own = document.createElement('script'); own.textContent = 'window.hacked = 1';"
            " document.body.append(own); }"
        )
        assert seen.page.evaluate("() => window.hacked") is None
        seen.elsewhere.clear()  # the request this test made was not let out


def test_the_key_is_asked_for_once_and_kept_in_the_tab_only(closed_server, browser):
    with watched(browser, closed_server.url, expected=("401",)) as seen:
        page = seen.page
        seen.see("#key-dialog[open]")
        page.fill("#key-input", "moe-wrong")
        page.click("text=Use this key")
        seen.see("#key-reason", "refused the key")
        page.fill("#key-input", closed_server.key)
        page.keyboard.press("Enter")
        seen.see("#view-try textarea")
        seen.ask(SUM)
        seen.see("#view-try .judge")
        page.reload()
        seen.see("#view-try textarea")
        assert not page.is_visible("#key-dialog")
        kept = page.evaluate(
            "[JSON.stringify(localStorage), JSON.stringify(sessionStorage), document.cookie, location.href]"
        )
        assert [closed_server.key in one for one in kept] == [False, True, False, False]
        assert not [address for address in seen.addresses if closed_server.key in address]
        assert closed_server.key not in page.content()
        page.click("#key-button")
        page.click("text=Forget the key")
        seen.see("#key-dialog[open]")
        assert page.evaluate("sessionStorage.getItem('moe-key')") is None


def test_a_key_with_limits_sees_its_own_spend_and_nobody_elses(closed_server, browser):
    limited = closed_server.make_key(budget_usd=2.0)
    for _ in range(2):
        closed_server.chat()
    mine = closed_server.chat(key=limited)
    assert mine.status == 200
    with watched(browser, closed_server.url, "live", key=limited) as seen:
        seen.see("#view-live .budgets", "of $2.00 spent")
        assert seen.page.inner_text("#view-live .tiles dd >> nth=0").startswith("1")
        assert not seen.page.is_visible("text=Calls by the hour")
        assert seen.page.locator("#view-live .budgets li").count() == 1
    with watched(browser, closed_server.url, "live", key=closed_server.key) as seen:
        seen.see("text=Calls by the hour")
        assert seen.page.locator("#view-live .budgets li").count() >= 2
