"""A real Chromium that looks at the site, and notes what a visitor should never see.

Promises: what a page logs as an error, throws, or asks of another machine is noted, whatever else a test
looks at; accessibility is axe-core's judgement by WCAG 2.2, A and AA: nothing serious.
On failure: without a Chromium the tests fail, in one line that says what to install.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, expect

AXE = Path(__file__).parent / "axe" / "axe.min.js"
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
DESK = {"width": 1280, "height": 900}
PASSWORD = "a long way to the sea"
# Milliseconds that anything on a page may take.
PATIENCE = 20_000
# But for two that come with Django: the tooltips of its two lists, and Select2's box, which has no name.
JUDGE = """async () => (await axe.run({exclude: ['.help-tooltip', '.select2-container']}, {
    preload: false, runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'],
})).violations.map(({id, impact, nodes}) => ({id, impact, nodes: nodes.map(({html}) => html)}))"""
SERIOUS = ("serious", "critical")


def launch(playwright: Playwright) -> Browser:
    """Start the Chromium of this machine."""
    program = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        pytest.fail(
            "NO CHROMIUM HERE: apt-get install chromium, or CHROMIUM=/its/path", pytrace=False
        )
    expect.set_options(timeout=PATIENCE)
    return playwright.chromium.launch(executable_path=program, args=list(FLAGS))


class Visitor:
    """One person's browser window, at `address`."""

    def __init__(self, context: BrowserContext, address: str) -> None:
        context.set_default_timeout(PATIENCE)
        self.context = context
        self.address = address
        self.page: Page = context.new_page()
        self.complaints: list[str] = []
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.complaints.append(f"thrown: {error}"))
        context.on("request", lambda request: self._asked(request.url))

    def open(self, path: str) -> Page:
        """Open a page of the site."""
        self.page.goto(f"{self.address}{path}")
        return self.page

    def log_in(self, username: str, password: str) -> None:
        """By the form of the admin."""
        page = self.open("/admin/login/?next=/admin/")
        page.fill("#id_username", username)
        page.fill("#id_password", password)
        page.click("[type=submit]")
        page.wait_for_url("**/admin/")

    def judged(self) -> list[dict[str, Any]]:
        """What axe-core finds serious of the page as it is."""
        # Evaluated by the browser's debugger, which no policy of a page keeps out.
        self.page.evaluate(AXE.read_text())
        found: list[dict[str, Any]] = self.page.evaluate(JUDGE)
        return [each for each in found if each["impact"] in SERIOUS]

    def _said(self, message: Any) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(f"{message.type}: {message.text} ({message.location})")

    def _asked(self, url: str) -> None:
        if not url.startswith((self.address, "data:", "blob:", "about:")):
            self.complaints.append(f"asked another machine: {url}")


@contextmanager
def visitor(browser: Browser, address: str, **window: Any) -> Iterator[Visitor]:
    """A window of its own; at the end whoever it is has had nothing to complain of."""
    context = browser.new_context(**window)
    try:
        visitor = Visitor(context, address)
        yield visitor
        assert not visitor.complaints, visitor.complaints
    finally:
        context.close()
