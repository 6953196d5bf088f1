"""Orders and dashboards as staff see them in the admin.

Promises tested: over HTTP, as the browser asks; queries are counted. On failure: the broken rule is the
test's name.
"""

import json
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.contrib.staticfiles import finders
from django.core.management import call_command
from django.db import OperationalError
from django.test import Client
from django.utils import timezone
from msgspec import Struct

from analytics import buckets, dashboard_admin, dashboards, dirty, lease, refreshing, serving
from analytics.buckets import Dimension
from analytics.dashboards import Dashboard
from analytics.models import Order
from analytics.tables import RefreshRun
from analytics.tests.orders import NAMES, an_order, total
from analytics.windows import Window
from caching import registry

pytestmark = pytest.mark.django_db(transaction=True)

ORDERS = "/admin/analytics/order/"
BOARDS = "/admin/analytics/watermark/"
REVENUE = f"{BOARDS}revenue/change/"


@pytest.fixture
def root() -> Client:
    """A client that may do everything."""
    client = Client()
    client.force_login(get_user_model().objects.create_superuser("root"))
    return client


@pytest.fixture
def viewer() -> Client:
    """A client of staff that may only look."""
    user = get_user_model().objects.create_user("viewer", is_staff=True)
    names = ["view_watermark", "view_order"]
    user.user_permissions.set(Permission.objects.filter(codename__in=names))
    client = Client()
    client.force_login(user)
    return client


def text(response: Any) -> str:
    assert response.status_code == 200, response.content
    return str(response.content.decode())


def form(**changes: str) -> dict[str, str]:
    fields = {"id": "ord_1", "customer": "ada", "product": "p", "category": "x", "quantity": "1"}
    moment = {"created_at_0": "2025-11-20", "created_at_1": "10:00:00"}
    return {**fields, "amount": "3.00", "status": "paid", **moment, **changes}


def test_an_order_is_made_and_corrected_and_the_dashboards_follow(
    root: Client, noon: time_machine.Traveller
) -> None:
    assert root.post(f"{ORDERS}add/", form()).status_code == 302
    refreshing.refresh("revenue")
    assert total(key="x") == Decimal("3.00")
    changed = form(category="y", amount="4.00")
    assert root.post(f"{ORDERS}ord_1/change/", changed).status_code == 302
    refreshing.refresh("revenue")
    assert (total(key="x"), total(key="y")) == (Decimal(0), Decimal("4.00"))
    assert Order.objects.get().amount == Decimal("4.00")


def test_what_is_corrected_elsewhere_while_a_form_is_open_stays(root: Client) -> None:
    an_order("5.00", id="ord_1")
    page = text(root.get(f"{ORDERS}ord_1/change/"))
    inputs = r'<input type="(?:text|hidden|number)" name="([^"]+)" value="([^"]*)"'
    opened = {**dict(re.findall(inputs, page)), "status": "refunded", "initial-status": "paid"}
    Order.objects.update(amount=Decimal("7.00"))
    assert root.post(f"{ORDERS}ord_1/change/", opened).status_code == 302
    order = Order.objects.get()
    assert (order.amount, order.status) == (Decimal("7.00"), "refunded")


def test_an_order_is_deleted_and_the_dashboards_follow(root: Client) -> None:
    an_order(id="ord_1")
    refreshing.refresh("revenue")
    root.post(f"{ORDERS}ord_1/delete/", {"post": "yes"})
    root.post(ORDERS, {"action": "delete_selected", "_selected_action": ["none"], "post": "yes"})
    refreshing.refresh("revenue")
    assert total() == 0


@pytest.mark.parametrize("changes", [{"amount": "-1"}, {"amount": "1.001"}, {"status": "lost"}])
def test_a_bad_order_is_refused_on_its_page(root: Client, changes: dict[str, str]) -> None:
    assert "errorlist" in text(root.post(f"{ORDERS}add/", form(**changes)))
    assert not Order.objects.exists()


def test_an_id_that_is_taken_is_a_message(root: Client) -> None:
    an_order(id="ord_1")
    page = text(root.post(f"{ORDERS}add/", form(), follow=True))
    assert "already" in page


def test_orders_are_found_by_how_their_id_begins(
    root: Client, django_assert_max_num_queries: Any
) -> None:
    for number in range(30):
        an_order(id=f"ord_{number:02}")
    with django_assert_max_num_queries(12):
        page = text(root.get(f"{ORDERS}?q=ord_1"))
    assert len(re.findall(r'href="/admin/analytics/order/ord_5F\d\d/change/', page)) == 10
    an_order(id="bulky")
    assert "bulky" in text(root.get(f"{ORDERS}?q=bulk"))
    assert "ord_" not in text(root.get(f"{ORDERS}?q=%25")).split("result_list")[-1]
    assert root.get(f"{ORDERS}?status__exact=paid").status_code == 200


@pytest.mark.parametrize(
    "address",
    [f"{ORDERS}?status__exact=%00", f"{ORDERS}?status=%00", f"{BOARDS}a%00/history/"],
)
def test_a_nul_in_an_address_is_no_error_of_the_site(root: Client, address: str) -> None:
    assert root.get(address).status_code in {302, 400, 404}


@pytest.mark.parametrize("id", ["none", "a%00b", "_25"])
def test_an_unknown_order_is_no_error(root: Client, id: str) -> None:
    assert root.get(f"{ORDERS}{id}/change/").status_code in {302, 404}


def test_all_dashboards_are_listed_even_if_never_refreshed(
    root: Client, noon: time_machine.Traveller
) -> None:
    refreshing.refresh("revenue")
    noon.shift(45 * 60)
    page = text(_again(root).get(BOARDS))
    for shown in ("Revenue by day", "Top products", "Orders by hour of day", "warn", "0:45:00"):
        assert shown in page
    assert page.count("never refreshed") >= 2
    assert refreshing.refresh("top-products").buckets == 0


def _again(client: Client) -> Client:
    """The same user; the session may have ended meanwhile."""
    client.force_login(get_user_model().objects.get())
    return client


def test_the_page_has_the_figures_for_eyes_and_for_the_chart(
    root: Client, noon: time_machine.Traveller, django_assert_max_num_queries: Any
) -> None:
    an_order("3.00", category="x")
    an_order("1.00", category="", created_at=timezone.now() - timedelta(days=2))
    for name in NAMES:
        refreshing.refresh(name)
    with django_assert_max_num_queries(12):
        page = text(root.get(f"{REVENUE}?days=7"))
    chart = chart_in(page)
    assert chart["money"] == [0, 0, 0, 0, 1, 0, 3]
    assert chart["orders"] == [0, 0, 0, 0, 1, 0, 1]
    assert datetime.fromtimestamp(chart["x"][-1], UTC) == datetime(2025, 11, 24, tzinfo=UTC)
    assert "2025-11-24</th><td>3.00</td><td>1</td><td>3.00</td>" in page
    assert "Ok: of 2025-11-24 12:00:00" in page
    assert chart_in(text(root.get(f"{REVENUE}?days=7&category=x")))["money"][4] == 0
    assert chart_in(text(root.get(f"{REVENUE}?days=7&category=")))["money"][4] == 1
    assert len(chart_in(text(root.get(f"{REVENUE}?days=x&category=a+b")))["x"]) == 30
    products = chart_in(text(root.get(f"{BOARDS}top-products/change/")))
    assert (products["labels"], products["money"]) == (["prod_1"], [4])
    assert len(chart_in(text(root.get(f"{BOARDS}orders-by-hour/change/")))["x"]) == 24


def chart_in(page: str) -> dict[str, Any]:
    found = re.search(
        r'<script id="dashboard-figures" type="application/json">(.*?)</script>', page
    )
    assert found is not None
    chart: dict[str, Any] = json.loads(found[1])
    return chart


class Customers(Dashboard):
    """Of a site's own, with rows of its own."""

    name, title = "customers", "Customers"
    dimension = Dimension("customer")

    class Row(Struct, frozen=True):
        customer: str
        cents_a_day: int

    row = Row

    def compute(self, window: Window, *, current: bool, tail: Any = None) -> list["Customers.Row"]:
        sums = buckets.of_keys(self.name, window.first, window.until)
        return [self.Row(key, state.cents // window.days) for key, state in sums.items()]


def test_a_dashboard_of_one_s_own_has_a_page(root: Client, monkeypatch: Any) -> None:
    monkeypatch.setattr(registry, "_caches", {**registry._caches})
    monkeypatch.setattr(dashboards, "_registered", {**dashboards._registered})
    monkeypatch.setattr(serving, "_caches", {**serving._caches})
    dashboards.register(Customers())
    an_order("60.00")
    page = text(root.get(f"{BOARDS}customers/change/?days=30"))
    assert "Cents a day" in page
    assert "200</td>" in page
    assert "data-figures" not in page


def test_whatever_a_page_loads_is_here(root: Client) -> None:
    refreshing.refresh("revenue")
    page = text(root.get(REVENUE))
    loaded = re.findall(r'(?:src|href)="([^"]+\.(?:js|css))"', page)
    assert {"analytics/uplot/uPlot.iife.min.js", "analytics/dashboard-chart.js"} <= {
        path.removeprefix("/static/") for path in loaded
    }
    for path in loaded:
        assert path.startswith("/static/"), path
        assert finders.find(path.removeprefix("/static/")), path
    assert not re.search(r"<script(?![^>]*(src=|application/json))", page)


def test_a_product_cannot_break_out_of_the_page(root: Client) -> None:
    an_order(product="</script><script>alert(1)</script>")
    refreshing.refresh("top-products")
    page = text(root.get(f"{BOARDS}top-products/change/"))
    assert "<script>alert" not in page
    assert chart_in(page)["labels"] == ["</script><script>alert(1)</script>"]


def test_staff_refresh_a_dashboard_now(root: Client) -> None:
    an_order("3.00")
    page = text(root.post(f"{BOARDS}revenue/refresh/", follow=True))
    assert "Refreshed: 1 buckets recomputed, 1 differed." in page
    assert total() == Decimal("3.00")
    assert RefreshRun.objects.count() == 1
    assert dirty.is_clean("revenue")


def test_a_refresh_that_fails_is_a_message_and_stands_in_the_history(
    root: Client, monkeypatch: Any
) -> None:
    an_order("3.00")
    refreshing.refresh("revenue")

    def fails(*_args: Any) -> Any:
        raise OperationalError("the disk is full")

    monkeypatch.setattr(buckets, "recompute", fails)
    page = text(root.post(f"{BOARDS}revenue/refresh/", follow=True))
    assert "Revenue could not be refreshed: OperationalError. The last good view stays." in page
    assert "failed: OperationalError" in page
    assert "1 refresh failed since." in page
    assert chart_in(page)["money"][-1] == 3


def test_a_refresh_that_somebody_else_does_is_a_message(root: Client, monkeypatch: Any) -> None:
    monkeypatch.setattr(dashboard_admin, "PATIENCE", 0.05)
    refreshing.refresh("revenue")
    with lease.held("revenue", wait=0, done=lambda: False):
        page = text(root.post(f"{BOARDS}revenue/refresh/", follow=True))
    assert "being refreshed by another process" in page


def test_who_may_only_look_has_no_button_and_cannot_refresh(
    viewer: Client, staff: Client, client: Client
) -> None:
    refreshing.refresh("revenue")
    assert "Refresh now" not in text(viewer.get(REVENUE))
    assert viewer.post(f"{BOARDS}revenue/refresh/").status_code == 403
    assert staff.get(REVENUE).status_code == 403
    assert client.get(REVENUE).status_code == 302
    assert client.post(f"{BOARDS}revenue/refresh/").status_code == 302
    assert RefreshRun.objects.count() == 1


def test_a_dashboard_is_neither_added_nor_deleted_nor_edited(root: Client) -> None:
    refreshing.refresh("revenue")
    assert root.get(f"{BOARDS}add/").status_code == 404
    assert root.get(f"{BOARDS}revenue/delete/").status_code == 403
    assert root.post(REVENUE).status_code == 405
    assert root.get(f"{BOARDS}revenue/refresh/").status_code == 405
    assert root.get(f"{BOARDS}sales/change/").status_code == 404
    assert root.post(f"{BOARDS}sales/refresh/").status_code == 404


def test_a_refresh_needs_the_csrf_token() -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(get_user_model().objects.create_superuser("root"))
    assert client.post(f"{BOARDS}revenue/refresh/").status_code == 403


def test_the_admin_finds_nothing_to_complain_of() -> None:
    call_command("check", "admin", verbosity=0)
