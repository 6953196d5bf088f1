"""The contract of `dashboards/`: shapes, ages, windows, conditional reads, and the problems of the rest.

Promise: an answer says how old it is and where it came from. On failure: the broken rule is the test's name.
"""

from datetime import timedelta
from typing import Any

import celery
import pytest
import time_machine
from django.contrib.auth import get_user_model
from django.test import Client
from django.utils import timezone
from kombu.exceptions import OperationalError

from analytics import refreshing, tasks
from analytics.tests.orders import NAMES, an_order
from analytics.tests.test_api_orders import assert_problem
from caching.node import current

URL = "/api/v1/dashboards/"
REVENUE = f"{URL}revenue/"


@pytest.fixture
def sold(noon: time_machine.Traveller, transactional_db: None) -> time_machine.Traveller:
    """A few orders, and dashboards that have them."""
    an_order("3.00", product="a", category="x")
    an_order("0.50", product="b", category="x")
    an_order("1.00", product="b", category="", created_at=timezone.now() - timedelta(days=3))
    for name in NAMES:
        refreshing.refresh(name)
    return noon


def test_revenue_has_every_day_of_the_window(
    sold: time_machine.Traveller, somebody: Client
) -> None:
    response = somebody.get(f"{REVENUE}?days=4")
    assert response.content == (
        b'{"generated_at":"2025-11-24T12:00:00Z","age_seconds":0,"stale":false,"data":['
        b'{"date":"2025-11-21","total_revenue":"1.00","order_count":1,"avg_order_value":"1.00"},'
        b'{"date":"2025-11-22","total_revenue":"0.00","order_count":0,"avg_order_value":null},'
        b'{"date":"2025-11-23","total_revenue":"0.00","order_count":0,"avg_order_value":null},'
        b'{"date":"2025-11-24","total_revenue":"3.50","order_count":2,"avg_order_value":"1.75"}]}'
    )


def test_thirty_days_that_end_today_if_nothing_else_is_said(
    sold: time_machine.Traveller, somebody: Client
) -> None:
    data = somebody.get(REVENUE).json()["data"]
    assert [data[0]["date"], data[-1]["date"], len(data)] == ["2025-10-26", "2025-11-24", 30]


@pytest.mark.parametrize(
    ("query", "totals"),
    [
        ("days=2&until=2025-11-21", ["0.00", "1.00"]),
        ("days=1&category=x", ["3.50"]),
        ("days=4&category=", ["1.00", "0.00", "0.00", "0.00"]),
        ("days=1&category=unknown", ["0.00"]),
    ],
)
def test_revenue_of_a_window_and_a_category(
    sold: time_machine.Traveller, somebody: Client, query: str, totals: list[str]
) -> None:
    data = somebody.get(f"{REVENUE}?{query}").json()["data"]
    assert [row["total_revenue"] for row in data] == totals


def test_products_by_what_they_came_to(sold: time_machine.Traveller, somebody: Client) -> None:
    body = somebody.get(f"{URL}top-products/?days=7&limit=1").json()
    assert body["data"] == [{"product": "a", "total_revenue": "3.00", "order_count": 1}]
    assert len(somebody.get(f"{URL}top-products/").json()["data"]) == 2


def test_all_hours_of_the_day(sold: time_machine.Traveller, somebody: Client) -> None:
    data = somebody.get(f"{URL}orders-by-hour/").json()["data"]
    assert data[12] == {"hour": 12, "total_revenue": "4.50", "order_count": 3}
    assert [row["hour"] for row in data] == list(range(24))


def test_an_answer_says_how_old_it_is(sold: time_machine.Traveller, somebody: Client) -> None:
    sold.shift(100)
    response = somebody.get(REVENUE)
    assert (response.json()["age_seconds"], response["Age"]) == (100, "100")
    assert response.json()["stale"] is False
    sold.shift(1701)
    # The session has ended meanwhile.
    somebody.force_login(get_user_model().objects.get())
    assert somebody.get(REVENUE).json()["stale"] is True


def test_an_answer_says_where_it_came_from(sold: time_machine.Traveller, somebody: Client) -> None:
    def status() -> str:
        return str(somebody.get(REVENUE)["Cache-Status"]).rpartition("detail=")[2]

    assert status() == "db"
    assert status() == "l1"
    current().missed()
    assert status() == "l2"


def test_the_tag_is_of_the_figures_and_not_of_their_age(
    sold: time_machine.Traveller, somebody: Client
) -> None:
    first = somebody.get(REVENUE)
    assert first["ETag"].startswith('W/"')
    sold.shift(50)
    again = somebody.get(REVENUE, headers={"If-None-Match": first["ETag"]})
    assert (again.status_code, again.content, again["Age"]) == (304, b"", "50")
    an_order("9.00")
    refreshing.refresh("revenue")
    changed = somebody.get(REVENUE, headers={"If-None-Match": first["ETag"]})
    assert changed.status_code == 200
    assert changed["ETag"] != first["ETag"]


def test_the_tag_is_another_when_the_day_is(sold: time_machine.Traveller, somebody: Client) -> None:
    sold.shift(12 * 3600 - 1)
    somebody.force_login(get_user_model().objects.get())
    before = somebody.get(REVENUE)
    sold.shift(2)
    after = somebody.get(REVENUE, headers={"If-None-Match": before["ETag"]})
    assert after.status_code == 200
    assert after.json()["data"][-1]["date"] == "2025-11-25"


def test_no_shared_cache_keeps_it(sold: time_machine.Traveller, somebody: Client) -> None:
    assert somebody.get(REVENUE)["Cache-Control"] == "private, no-cache"


def test_a_live_day_is_summed_up_now(sold: time_machine.Traveller, somebody: Client) -> None:
    sold.shift(60)
    an_order("9.00", category="x")
    an_order("7.00", created_at=timezone.now() - timedelta(days=1))
    kept = somebody.get(f"{REVENUE}?days=2").json()
    assert [row["total_revenue"] for row in kept["data"]] == ["0.00", "3.50"]
    assert "live_at" not in kept
    live = somebody.get(f"{REVENUE}?days=2&live=true")
    assert [row["total_revenue"] for row in live.json()["data"]] == ["0.00", "12.50"]
    assert live.json()["live_at"] == "2025-11-24T12:01:00Z"
    assert live.json()["generated_at"] == "2025-11-24T12:00:00Z"
    products = somebody.get(f"{URL}top-products/?live=true").json()["data"]
    assert [row["product"] for row in products] == ["prod_1", "a", "b"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        *(("days=0", "days"), ("days=366", "days"), ("days=x", "days"), ("days=1.5", "days")),
        *(("until=2025-11-25", "until"), ("until=20251124", "until"), ("until=x", "until")),
        *(("until=1969-12-31", "until"), ("until=2025-02-30", "until")),
        ("until=2025-W47-1", "until"),
        *(("live=1", "live"), ("live=true&until=2025-11-23", "live")),
        *(("category=a%20b", "category"), (f"category={'a' * 65}", "category")),
    ],
)
def test_what_is_no_window_is_refused_with_the_parameter_that_is_wrong(
    sold: time_machine.Traveller, somebody: Client, query: str, field: str
) -> None:
    assert_problem(somebody.get(f"{REVENUE}?{query}"), 400, field)


@pytest.mark.parametrize("limit", ["0", "101", "x"])
def test_a_limit_is_from_one_to_a_hundred(
    sold: time_machine.Traveller, somebody: Client, limit: str
) -> None:
    assert_problem(somebody.get(f"{URL}top-products/?limit={limit}"), 400, "limit")


def test_dashboards_are_for_those_who_are_known(client: Client, transactional_db: None) -> None:
    for url in (URL, REVENUE):
        assert_problem(client.get(url), 401)


def test_all_dashboards_are_listed_with_their_age(
    noon: time_machine.Traveller, somebody: Client
) -> None:
    refreshing.refresh("revenue")
    noon.shift(7)
    listed = somebody.get(URL).json()["results"]
    assert [each["name"] for each in listed] == list(NAMES)
    assert listed[0] == {
        "name": "revenue",
        "title": "Revenue by day",
        "windows": [7, 30, 90, 365],
        "interval_seconds": 900,
        "generated_at": "2025-11-24T12:00:00Z",
        "age_seconds": 7,
        "stale": False,
    }
    assert listed[1]["generated_at"] is None
    assert listed[1]["stale"] is True


def test_an_unknown_dashboard_is_404(staff: Client) -> None:
    assert_problem(staff.get(f"{URL}sales/"), 404)
    assert_problem(staff.post(f"{URL}sales/refresh/"), 404)


def test_staff_have_a_worker_refresh(
    staff: Client, somebody: Client, client: Client, monkeypatch: Any
) -> None:
    sent: list[Any] = []
    monkeypatch.setattr(
        celery.current_app, "send_task", lambda name, args, **_: sent.append((name, args))
    )
    url = f"{REVENUE}refresh/"
    assert_problem(client.post(url), 401)
    assert_problem(somebody.post(url), 403)
    response = staff.post(url)
    assert response.status_code == 202
    assert response.json() == {"dashboard": "revenue", "status": "queued"}
    assert sent == [(refreshing.TASK, ["revenue"])]
    assert tasks.refresh.name == refreshing.TASK
    assert tasks.refresh("revenue") == ["revenue"]


def test_without_a_queue_staff_are_told_to_try_again(staff: Client, monkeypatch: Any) -> None:
    def fails(*_args: Any, **_kwargs: Any) -> None:
        raise OperationalError("no broker")

    monkeypatch.setattr(celery.current_app, "send_task", fails)
    response = staff.post(f"{REVENUE}refresh/")
    assert_problem(response, 503)
    assert response["Retry-After"] == "5"


def test_the_first_reader_of_all_has_the_dashboard_refreshed(somebody: Client) -> None:
    an_order("3.00")
    assert somebody.get(REVENUE).json()["data"][-1]["total_revenue"] == "3.00"
