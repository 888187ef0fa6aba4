"""A headless browser before the page of a running server, and what it saw go wrong."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest

#: Where a browser may be; the first that is there is used.
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
#: Milliseconds within which everything appears; far more than it takes.
PATIENCE_MS = 20_000


@dataclass
class Watched:
    """A page with what its console said and where its requests went."""

    page: Any
    origin: str
    said: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)
    #: Statuses the browser may complain about, because the test wants them.
    expected: tuple[str, ...] = ()

    def see(self, selector: str, text: str | None = None) -> Any:
        """Wait for an element that is visible, and return it."""
        found = self.page.locator(selector)
        if text is not None:
            found = found.filter(has_text=text)
        found.first.wait_for()
        return found.first

    def ask(self, text: str) -> None:
        """Type an instruction under Try and have it answered; what was answered before is cleared away first."""
        self.see("#view-try .answer-box").evaluate("node => node.replaceChildren()")
        self.page.fill("#view-try textarea", text)
        self.page.click("#view-try button.primary")
        self.see("#view-try .judge, #view-try .answer-box .notice")

    def check(self) -> None:
        """Raise where something went wrong that nobody expected."""
        assert self.elsewhere == []
        assert [text for text in self.said if not any(status in text for status in self.expected)] == []


@contextmanager
def started_browser() -> Iterator[Any]:
    """Run a headless Chromium while the block lasts; the test is skipped where there is none."""
    sync = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
    path = next((found for found in map(shutil.which, BROWSERS) if found), None)
    if path is None:
        pytest.skip(f"needs a browser, one of {', '.join(BROWSERS)}")
    with sync.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def watched(
    browser: Any, url: str, view: str = "try", *, expected: tuple[str, ...] = (), key: str | None = None, **options: Any
) -> Iterator[Watched]:
    """Open the page and check at the end that it neither complained nor asked anybody else.

    Args:
        browser: Which.
        url: Of the server, up to `/v1` or without it.
        view: The one to open.
        expected: Statuses the console may tell of.
        key: Put where the page keeps it; None has the page ask.
        options: Of the browser's context: color_scheme, viewport, …
    """
    origin = url.removesuffix("/v1")
    context = browser.new_context(**{"viewport": {"width": 1200, "height": 800}, **options})
    if key is not None:
        context.add_init_script(f"sessionStorage.getItem('was') || sessionStorage.setItem('moe-key', {key!r});")
        context.add_init_script("sessionStorage.setItem('was', '1');")
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    seen = Watched(page, origin, expected=expected)
    page.on("console", lambda message: seen.said.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda problem: seen.said.append(f"error: {problem}"))
    page.on("dialog", lambda dialog: (seen.said.append(f"dialog: {dialog.message}"), dialog.dismiss()))

    def note(request: Any) -> None:
        parts = urlsplit(request.url)
        seen.addresses.append(request.url)
        if parts.scheme != "data" and f"{parts.scheme}://{parts.netloc}" != origin:
            seen.elsewhere.append(request.url)

    page.on("request", note)
    page.goto(f"{origin}/#{view}")
    try:
        yield seen
        seen.check()
    finally:
        context.close()
