"""The admin's home: what staff sees of the site, and what nobody else does.

Promises tested: over HTTP, as the browser asks, on the real Redis; queries are counted. On failure: the
broken rule is the test's name.
"""

import json
from datetime import timedelta
from html.parser import HTMLParser
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from caching import node, scoreboard
from caching.history import STEP
from caching.models import PendingInvalidation
from caching.node import Node, current
from caching.tests.ticker import Ticker
from catalog.models import Category
from console import behind
from console.tests.conftest import Colleague
from feeds.fan_out import LAG

pytestmark = pytest.mark.django_db(transaction=True)

HOME = "/admin/"
BOARD = "/admin/scoreboard/"
USE_CASES = {"catalog", "sessions", "rate limits", "feeds", "places", "analytics"}
PLACES = next(case.caches[0] for case in scoreboard.use_cases() if case.name == "places")
FAN_OUT = "Feeds- commit to last timeline"
START = 1_800_000_000
# Of a home and of a poll, whatever there is: a session, a user with permissions, the outbox, the dashboards.
QUERIES = 12


class Page(HTMLParser):
    """Elements of a page: (tag, attributes), and the text by id."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.by_id: dict[str, str] = {}
        self._id = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.elements.append((tag, dict(attrs)))
        self._id = dict(attrs).get("id") or ""

    def handle_data(self, data: str) -> None:
        if self._id:
            self.by_id.setdefault(self._id, data.strip())

    def of(self, tag: str, **attributes: str) -> list[dict[str, str | None]]:
        return [
            found
            for name, found in self.elements
            if name == tag and attributes.items() <= found.items()
        ]


def home(client: Client) -> str:
    response = client.get(HOME)
    assert response.status_code == 200
    return response.content.decode()


def poll(client: Client, **query: Any) -> dict[str, Any]:
    response = client.get(BOARD, query)
    assert response.status_code == 200
    found: dict[str, Any] = response.json()
    return found


def cell(found: dict[str, Any], table: str, line: str, column: str) -> list[str]:
    cells: dict[str, list[str]] = found["cells"]
    return cells["--".join(word.replace(" ", "-") for word in (table, line, column))]


@pytest.fixture
def without_redis(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    """Another process, whose Redis is not there."""
    nowhere = {**settings.CACHES["default"], "LOCATION": "unix:///nonexistent/socket"}
    options = {
        name: value
        for name, value in nowhere["OPTIONS"].items()
        if name not in {"CONNECTION_FACTORY", "HOME", "STARTUP_NODES", "SENTINELS"}
    }
    settings.CACHES = {**settings.CACHES, "nowhere": {**nowhere, "OPTIONS": options}}
    settings.CACHING = {**settings.CACHING, "ALIAS": "nowhere"}
    left = node.forget()
    if left is not None:
        left.bus.stop()


def test_the_home_shows_every_use_case_with_what_it_promises(chief: Client) -> None:
    text = home(chief)
    for case in scoreboard.use_cases():
        for word in (case.name, case.pattern, case.ttl, case.invalidation):
            assert f">{word}<" in text
    assert {case.name for case in scoreboard.use_cases()} >= USE_CASES


def test_the_apps_stay_below_the_scoreboard(chief: Client) -> None:
    text = home(chief)
    assert 0 < text.index('id="scoreboard"') < text.index('href="/admin/catalog/product/"')


def test_the_home_is_for_staff_that_may_look_and_others_have_their_apps(
    colleague: Colleague,
) -> None:
    client = colleague("view_product")
    text = home(client)
    assert 'id="scoreboard"' not in text
    assert "console/scoreboard.js" not in text
    assert 'href="/admin/catalog/product/"' in text
    assert client.get(BOARD).status_code == 403


def test_one_permission_is_enough_to_look(colleague: Colleague) -> None:
    client = colleague("view_scoreboard")
    assert 'id="scoreboard"' in home(client)
    assert set(poll(client)) == {"at", "cells", "notices", "history"}


def test_a_permission_without_staff_is_not_enough(colleague: Colleague) -> None:
    client = colleague("view_scoreboard")
    get_user_model().objects.update(is_staff=False)
    assert client.get(BOARD).status_code == 403


def test_a_stranger_is_refused_in_so_many_words_and_not_led_to_a_form() -> None:
    response = Client().get(BOARD)
    assert response.status_code == 403
    assert response.headers["Content-Type"] == "application/problem+json"
    assert Client().get(HOME).status_code == 302


def test_the_scoreboard_is_only_to_be_read(chief: Client) -> None:
    assert chief.post(BOARD).status_code == 405


def test_the_scoreboard_is_stored_by_nobody(chief: Client) -> None:
    assert "no-store" in chief.get(BOARD).headers["Cache-Control"]
    assert "no-store" in Client().get(BOARD).headers["Cache-Control"]


@pytest.mark.parametrize("since", ["", "-1", "soon", "1e3", "nan", "9" * 12])
def test_what_is_no_time_is_refused(chief: Client, since: str) -> None:
    response = chief.get(BOARD, {"since": since})
    assert response.status_code == 400
    assert response.json()["errors"] == {"since": ["Whole Unix seconds."]}


def test_the_figures_are_those_of_the_command(chief: Client) -> None:
    Category.objects.create(slug="tea", name="Tea")
    for _ in range(3):
        assert chief.get("/api/v1/categories/").status_code == 200
    found = poll(chief)
    out = StringIO()
    call_command("scoreboard", "--json", stdout=out)
    [row] = [row for row in json.loads(out.getvalue())["use_cases"] if row["name"] == "catalog"]
    assert row["hits"]["l1"] > 0
    for column, number in {
        "L1": row["hits"]["l1"],
        "L2": row["hits"]["l2"],
        "Loaded": row["hits"]["db"],
        "Loads": row["loads"],
        "Stale": row["stale"],
    }.items():
        assert cell(found, "reads", "catalog", column)[0] == f"{number:,}"
    assert cell(found, "targets", "catalog", "Hit rate")[0] == f"{row['hit_rate']:.1%}"
    p99 = row["latency"]["load"]["p99"] * 1000
    assert cell(found, "reads", "catalog", "Load p99")[0] == f"{p99:,.2f} ms"


def test_every_cell_of_an_answer_is_on_the_page(chief: Client) -> None:
    page = Page(home(chief))
    cells = poll(chief)["cells"]
    assert cells
    assert cells.keys() == {element["id"] for element in page.of("td") if "id" in element}


def test_a_hit_rate_below_its_target_is_said_in_words(chief: Client) -> None:
    current().ledger.of(PLACES).misses += 100
    found = poll(chief)
    assert cell(found, "targets", "places", "Verdict") == ["missed", "bad"]
    assert "The hit rate of places is below its target." in found["notices"]


def test_what_waits_in_the_outbox_is_told_when_the_relay_should_have_had_it(chief: Client) -> None:
    row = PendingInvalidation.objects.create(subject="a", ids='["1"]', tags="[]")
    found = poll(chief)
    assert cell(found, "behind", "Outbox", "State") == ["1 waiting", ""]
    assert "Invalidations wait in the outbox." not in found["notices"]
    row.written_at = timezone.now() - timedelta(seconds=behind.WAITED + 60)
    row.save()
    found = poll(chief)
    assert cell(found, "behind", "Outbox", "State") == ["1 waiting", "warn"]
    assert "Invalidations wait in the outbox." in found["notices"]


def test_dashboards_tell_their_age(chief: Client) -> None:
    found = poll(chief)
    assert cell(found, "behind", "Dashboard revenue", "State") == ["never refreshed", "bad"]
    call_command("refresh_dashboards", stdout=StringIO())
    found = poll(chief)
    assert cell(found, "behind", "Dashboard revenue", "State") == ["ok", "good"]
    assert cell(found, "behind", "Dashboard revenue", "Detail")[0].startswith("Refreshed 0:00:0")


def test_the_lags_of_the_bus_and_of_the_fan_out_are_there(chief: Client) -> None:
    found = poll(chief)
    assert cell(found, "behind", FAN_OUT, "State") == ["not yet measured", ""]
    current().came_back(0.003)
    current().ledger.of(LAG).timed_load(0.03)
    found = poll(chief)
    assert "p50" in cell(found, "behind", "Bus", "Detail")[0]
    assert "p99" in cell(found, "behind", FAN_OUT, "Detail")[0]


def test_notices_have_no_figures_that_would_be_read_aloud_at_every_poll(chief: Client) -> None:
    current().ledger.of(PLACES).misses += 100
    PendingInvalidation.objects.create(
        subject="a", ids="[]", tags="[]", written_at=timezone.now() - timedelta(hours=1)
    )
    notices = poll(chief)["notices"]
    assert len(notices) > 2
    assert not any(char.isdigit() for notice in notices for char in notice)


def test_without_redis_the_page_says_so_and_still_opens(chief: Client, without_redis: None) -> None:
    text = home(chief)
    assert "Redis does not answer" in text
    for case in scoreboard.use_cases():
        assert f">{case.name}<" in text
    found = poll(chief)
    assert cell(found, "behind", "Redis", "State") == ["does not answer", "bad"]
    assert cell(found, "reads", "catalog", "L1") == ["-", ""]
    assert cell(found, "targets", "catalog", "Verdict") == ["-", ""]
    assert found["history"] is None


def test_the_hour_is_asked_for_once_and_then_what_came_since(
    chief: Client, monkeypatch: pytest.MonkeyPatch, caching_prefix: str
) -> None:
    ticker = Ticker(START)
    mine = Node(alias="default", prefix=caching_prefix, clock=ticker.clock())
    monkeypatch.setattr(node, "_current", mine)
    mine.flush()
    for hits in (30, 60, 90):
        ticker.pass_by(STEP)
        mine.ledger.of(PLACES).l1_hits += hits
        mine.flush()
    # The step before is of the login.
    found = poll(chief, since=START)["history"]
    assert found["ended"] == [START + step * STEP for step in (1, 2, 3)]
    assert found["use_cases"]["places"]["reads"] == [3.0, 6.0, 9.0]
    assert found["use_cases"]["places"]["rate"] == [100.0, 100.0, 100.0]
    assert found["use_cases"]["catalog"]["rate"] == [None, None, None]
    assert poll(chief, since=START + 2 * STEP)["history"]["ended"] == [START + 3 * STEP]


def test_the_page_is_made_of_tables_with_captions_and_scopes(chief: Client) -> None:
    page = Page(home(chief))
    tables = page.of("table", role="table")
    assert len(tables) == 3
    assert len(page.of("th", scope="col", role="columnheader")) == 7 + 11 + 3
    assert len(page.of("th", scope="row", role="rowheader")) >= 2 * len(USE_CASES)
    assert page.of("div", role="status")
    charts = page.of("div", role="img")
    assert {chart["data-name"] for chart in charts} >= USE_CASES
    assert all(chart["aria-label"] for chart in charts)


@pytest.mark.parametrize("url", [HOME, BOARD])
def test_looking_takes_few_queries(
    chief: Client, url: str, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    chief.get(url)
    with django_assert_max_num_queries(QUERIES):
        chief.get(url)
