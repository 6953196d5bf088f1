"""What every test of the project gets: its own key prefix, and a kernel that has just woken up.

A test talks to the real Redis of the settings. Its keys start with a prefix of its own, so tests neither
see one another nor need a flush; the prefix dies with the test session's server, or by expiry.
"""

import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings

from caching import node
from caching.tests import stalls


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have tests that have a database have all there are; they would have `default` alone."""
    if len(settings.DATABASES) == 1:
        return
    for item in items:
        mark = item.get_closest_marker("django_db")
        if mark or not {"db", "transactional_db"}.isdisjoint(getattr(item, "fixturenames", ())):
            given = {**(mark.kwargs if mark else {}), "databases": "__all__"}
            item.add_marker(pytest.mark.django_db(**given), append=False)


@pytest.fixture(scope="session", autouse=True)
def stalls_are_noted() -> None:
    """From the first test on; see caching/tests/stalls.py."""
    stalls.watch()


@pytest.fixture(autouse=True)
def caching_prefix(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The prefix of this test's keys; the node of the test before, its bus and its L1 are gone."""
    # Only here are the apps ready.
    from accounts import touches

    # A test says itself when the table is to hear of what was in use.
    monkeypatch.setattr(touches, "start", lambda: None)
    prefix = f"test:{secrets.token_hex(4)}"
    settings.CACHING = {**settings.CACHING, "PREFIX": prefix}
    yield prefix
    # What waits to be told is of rows that are gone with the test.
    touches.start_over()
    left = node.forget()
    if left is not None:
        left.bus.stop()
        left.flush()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A Chromium for a module's tests; not for all, as Playwright has an event loop in this thread."""
    from playwright.sync_api import sync_playwright

    from console.tests.browser import launch

    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        # Playwright has an event loop in this thread, which Django takes for one that queries would block.
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        browser = launch(playwright)
        yield browser
        browser.close()
