"""The scoreboard's page in a browser: what it shows, when it asks, and what it says when that fails.

Promises tested: in a real Chromium, on a real server; time is that of the page, which is awaited. On failure:
the broken rule is the test's name.
"""

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from caching.node import current
from caching.scoreboard import use_cases
from console.tests.browser import DESK, Visitor

PHONE = {"width": 360, "height": 740}
PLACES = next(case.caches[0] for case in use_cases() if case.name == "places")


def answered(page: Page) -> None:
    """Wait for the next answer."""
    with page.expect_response(lambda response: "/admin/scoreboard/" in response.url):
        pass


def test_the_figures_move_while_the_page_is_open(window: Visitor) -> None:
    before = window.page.inner_text("#reads--places--L1")
    current().ledger.of(PLACES).l1_hits += 4321
    expect(window.page.locator("#reads--places--L1")).to_have_text("4,321")
    assert before == "0"


def test_it_asks_every_two_seconds(window: Visitor) -> None:
    answered(window.page)
    began = window.page.evaluate("performance.now()")
    for _ in range(3):
        answered(window.page)
    took = window.page.evaluate("performance.now()") - began
    assert 5_900 < took < 9_000


def test_nobody_asks_while_the_page_is_hidden_and_at_once_when_it_is_seen_again(
    window: Visitor,
) -> None:
    page = window.page
    answered(page)
    asked: list[str] = []

    def note(request: Any) -> None:
        if "/scoreboard/" in request.url:
            asked.append(request.url)

    page.on("request", note)
    see = "Object.defineProperty(document, 'hidden', {value: %s, configurable: true});"
    see += "document.dispatchEvent(new Event('visibilitychange'))"
    page.evaluate(see % "true")
    page.wait_for_timeout(5_000)
    assert asked == []
    page.evaluate(see % "false")
    page.wait_for_timeout(500)
    assert len(asked) == 1


def test_it_can_be_paused_by_the_keyboard(window: Visitor) -> None:
    page = window.page
    answered(page)
    button = page.get_by_role("button", name="Pause")
    button.focus()
    page.keyboard.press("Enter")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(5_000)
    assert asked == []
    page.get_by_role("button", name="Resume").press("Enter")
    answered(page)


def test_a_screen_reader_hears_of_a_change_and_not_of_every_answer(window: Visitor) -> None:
    page = window.page
    page.evaluate("""() => {
        window.heard = 0;
        new MutationObserver(() => window.heard++).observe(document.getElementById('scoreboard-status'),
            {childList: true, characterData: true, subtree: true});
    }""")
    for _ in range(2):
        current().ledger.of(PLACES).l1_hits += 10
        answered(page)
    assert page.evaluate("window.heard") == 0
    current().ledger.of(PLACES).misses += 1_000
    expect(page.get_by_role("status")).to_contain_text("places is below its target")
    assert page.evaluate("window.heard") == 1


def test_a_site_that_does_not_answer_is_said_and_asked_again(window: Visitor) -> None:
    page = window.page
    answered(page)
    window.context.set_offline(True)
    trouble = page.locator("#scoreboard-trouble")
    expect(trouble).to_contain_text("does not answer")
    window.context.set_offline(False)
    expect(trouble).to_be_hidden()
    # The browser itself notes what it could not load.
    window.complaints[:] = [each for each in window.complaints if "ERR_INTERNET" not in each]


def test_who_is_logged_out_is_told_so_and_asks_no_more(window: Visitor) -> None:
    page = window.page
    answered(page)
    window.context.clear_cookies()
    expect(page.locator("#scoreboard-trouble")).to_contain_text("You are logged out")
    page.get_by_role("link", name="Log in").click()
    expect(page.locator("#id_username")).to_be_visible()
    assert page.url.endswith("/admin/login/?next=%2Fadmin%2F")
    window.complaints[:] = [each for each in window.complaints if "403" not in each]


def test_charts_are_drawn_of_the_hour_and_say_in_words_what_they_show(window: Visitor) -> None:
    page = window.page
    for _ in range(2):
        current().ledger.of(PLACES).l1_hits += 90
        current().ledger.of(PLACES).misses += 10
        page.wait_for_timeout(10_500)
    chart = page.locator("[data-of=places]")
    expect(chart.locator("canvas")).to_be_visible()
    expect(chart).to_have_attribute(
        "aria-label", "places: Hit rate of the last hour: from 90% to 90%, last 90%"
    )
    page.get_by_label("Reads", exact=True).check()
    expect(chart).to_have_attribute("aria-label", re.compile("^places: Reads of the last hour"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_the_page_fits_its_window_and_has_no_serious_finding(
    window: Visitor, size: dict[str, int], scheme: str
) -> None:
    page = window.page
    page.set_viewport_size(size)  # type: ignore[arg-type]
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    current().ledger.of(PLACES).misses += 1_000
    expect(page.get_by_role("status")).to_contain_text("places is below its target")
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    # Tables, also where their rows are drawn as blocks.
    assert (
        page.get_by_role("table", name="Target against measured").get_by_role("rowheader").count()
        >= 6
    )
    assert window.judged() == []
