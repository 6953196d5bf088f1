"""Every list and page, with a site's worth of rows behind it: see crowd.py.

Promises tested: no more queries than with few rows (test_lists.py has the same bounds), none of which takes
long, and pages that do not either; of lists with every filter, searches that find much, one and nothing, each
order, and the last page. Every address of the API that can be read is among them.
On failure: the address, and the query.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from html import unescape
from io import StringIO
from time import thread_time
from typing import Any
from urllib.parse import parse_qs

import pytest
from django.contrib import admin
from django.contrib.admin.utils import quote
from django.core.management import call_command
from django.db import connection
from django.db.models import Model
from django.test import Client
from django.test.utils import CaptureQueriesContext
from drf_spectacular.generators import SchemaGenerator

from accounts.key_services import create_key
from accounts.models import SCOPES, User
from accounts.tests.page_queries import of_the_page
from analytics import dashboards
from analytics.tables import Watermark
from caching import node
from caching.tests.slow_queries import no_slow_queries
from catalog.models import Category
from console.tests import crowd
from console.tests.test_lists import (
    DELETE_QUERIES,
    LIST_QUERIES,
    PAGE_QUERIES,
    every_model,
    most,
    url,
)
from rest import bounded_lists

pytestmark = [pytest.mark.slow, pytest.mark.django_db]

# Seconds of this thread, in which a page is put together, and SQLite works.
PAGE = 2.0
API_QUERIES = 10
# Of whoever asks by a session; keys have none.
CURRENT = "/api/v1/sessions/current/"
# Without the index the table looks for what is near in rings, each twice as wide as the one before, from
# some metres to half around the earth: as many where there are few places.
RING_QUERIES = 20


@pytest.fixture(scope="module")
def rows(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """All of them, for all tests of this module."""
    with django_db_blocker.unblock():
        crowd.make()
    yield
    with django_db_blocker.unblock():
        call_command("flush", interactive=False, verbosity=0)


@pytest.fixture(scope="module")
def refreshed(rows: None, django_db_blocker: Any) -> None:
    """The dashboards are of these rows. A refresh is nobody's page, and may take its time."""
    with django_db_blocker.unblock():
        call_command("refresh_dashboards", stdout=StringIO())
    left = node.forget()
    assert left is not None
    left.bus.stop()


@pytest.fixture
def visitor(rows: None, db: None) -> Client:
    """The superuser."""
    client = Client()
    client.force_login(User.objects.get(username="chief"))
    return client


def looked_at(client: Client, address: str, bound: int, **headers: str) -> Any:
    """The page, found sound."""
    began = thread_time()
    with CaptureQueriesContext(connection) as captured, no_slow_queries():
        response = client.get(address, headers=headers)
    took = thread_time() - began
    assert response.status_code == 200, (address, response.status_code, response.content[:300])
    asked = of_the_page(captured)
    assert len(asked) <= bound, (address, asked)
    assert took <= PAGE, (address, took)
    return response


def links(text: str) -> set[str]:
    """What filters, columns and page numbers of a list lead to: all columns, of others two and the last."""
    by_name: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
    for each in re.findall(r'href="(\?[^"]+)"', text):
        query = unescape(each)
        by_name[tuple(sorted(parse_qs(query[1:])))].append(query)
    return {
        query
        for name, found in by_name.items()
        for query in (found if name == ("o",) else (*found[:2], found[-1]))
    }


@every_model
def test_a_list_is_quick_however_it_is_filtered_searched_and_ordered(
    visitor: Client, model: type[Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = url(model, "changelist")
    visitor.get(listed)
    looked_at(visitor, listed, LIST_QUERIES)
    # Most of the time of a list goes into its HTML; which rows are found takes as long for fewer of them.
    monkeypatch.setattr(admin.site._registry[model], "list_per_page", 20)
    page = looked_at(visitor, listed, LIST_QUERIES)
    asked = {"?q=a", "?q=1", "?q=user00777", "?q=nothing-of-this-name"}
    asked |= links(page.content.decode())
    for query in sorted(asked):
        # Facets are a query a filter, where there are any.
        facets = len(admin.site._registry[model].list_filter) if "_facets" in query else 0
        looked_at(visitor, listed + query, LIST_QUERIES + 2 * facets)


@every_model
def test_every_page_of_a_row_is_quick(visitor: Client, model: type[Model]) -> None:
    visitor.get(url(model, "changelist"))  # which has a row of each dashboard
    row = model._default_manager.order_by("-pk").first()
    assert row is not None
    site = admin.site._registry[model]
    pages = [url(model, page, quote(row.pk)) for page in ("change", "history")]
    request = visitor.get(url(model, "changelist")).wsgi_request
    if site.has_add_permission(request):
        pages.append(url(model, "add"))
    if site.has_delete_permission(request, row):
        pages.append(url(model, "delete", quote(row.pk)))
    for address in pages:
        visitor.get(address)
        looked_at(visitor, address, most(address))


def test_the_last_page_of_a_list_without_an_end_has_rows(visitor: Client) -> None:
    page = looked_at(visitor, "/admin/analytics/order/", LIST_QUERIES).content.decode()
    last = max(int(number) for number in re.findall(r'href="\?p=(\d+)"', page))
    assert last * 100 == bounded_lists.MOST
    listed = looked_at(visitor, f"/admin/analytics/order/?p={last}", LIST_QUERIES)
    assert listed.content.decode().count('name="_selected_action"') == 100


def test_what_very_much_refers_to_says_how_much_before_it_is_deleted(visitor: Client) -> None:
    last = User.objects.order_by("-pk")[0]
    page = looked_at(visitor, url(User, "delete", last.pk), DELETE_QUERIES).content.decode()
    followers = last.followed_by.count() + last.follows.count()
    assert followers > 9_000
    assert f"{followers:,} follows" in page
    category = Category.objects.order_by("-pk")[0]
    page = looked_at(visitor, url(Category, "delete", category.pk), DELETE_QUERIES).content.decode()
    assert f"{category.products.count():,} products" in page
    assert 'name="post" value="yes"' not in page


def test_the_home_is_quick(visitor: Client) -> None:
    for address in ("/admin/", "/admin/scoreboard/", CURRENT):
        visitor.get(address)
        looked_at(visitor, address, PAGE_QUERIES)


NEAR = [
    "places/nearby/?lat=52.5&lon=13.1&radius_km=5",
    "places/nearby/?lat=52.5&lon=13.1&limit=100&cuisine=cuisine7&min_rating=4.9",
    "places/nearby/?lat=-52.5&lon=-13.1&limit=20",
    "places/within/?bbox=13.0,52.4,13.2,52.6",
]
DASHBOARDS = [
    "dashboards/",
    "dashboards/revenue/",
    "dashboards/revenue/?days=365&category=category-007",
    "dashboards/revenue/?days=365&live=true",
    "dashboards/top-products/?days=365&limit=100",
    "dashboards/top-products/?days=364&live=true",
    "dashboards/orders-by-hour/?days=365",
]
LISTS = [
    "products/",
    "products/?category=category-199",
    "products/?search=product",
    "products/?search=nothing-of-this-name",
    "products/?min_price=100&max_price=101",
    "products/?in_stock=false",
    "products/?category=category-199&search=nothing&in_stock=true&per_page=100",
    f"products/{crowd.PRODUCT}/",
    "categories/",
    "categories/category-199/products/",
    "places/",
    "places/?cuisine=cuisine7&per_page=100",
    f"places/{crowd.PLACE}/",
    f"orders/{crowd.ORDER}/",
    f"posts/{crowd.POST}/",
    "users/user09999/",
    "feed/",
    "feed/?page=2",
    "sessions/",
    "api-keys/",
    "rate-limit/",
]


def every_page(path: str, bound: int) -> None:
    """The first pages of it, found sound."""
    owner = User.objects.get(username="user00777")
    _, key = create_key(user=owner, name="looker", scopes=SCOPES, plan="demo")
    client, address = Client(), f"/api/v1/{path}"
    for _ in range(3):
        body = looked_at(client, address, bound, **{"X-API-Key": key}).json()
        address = body.get("next")
        if not address:
            break


def test_every_address_of_the_api_that_can_be_read_is_looked_at() -> None:
    document = SchemaGenerator().get_schema(public=True)  # type: ignore[no-untyped-call]
    read = {path for path, methods in document["paths"].items() if "get" in methods}
    looked = [f"/api/v1/{path.partition('?')[0]}" for path in LISTS + NEAR + DASHBOARDS]
    patterns = {path: re.sub(r"\{\w+\}", "[^/]+", path) for path in read}
    missed = {
        p for p, pattern in patterns.items() if not any(map(re.compile(pattern).fullmatch, looked))
    }
    assert missed == {CURRENT}


@pytest.mark.parametrize("path", LISTS)
def test_a_list_of_the_api_is_quick_page_after_page(rows: None, path: str) -> None:
    every_page(path, API_QUERIES)


@pytest.mark.parametrize("path", NEAR)
def test_what_is_near_is_found_quickly_even_without_the_index(rows: None, path: str) -> None:
    every_page(path, RING_QUERIES)


def test_dashboards_of_a_year_are_quick(refreshed: None, visitor: Client) -> None:
    for path in DASHBOARDS:
        every_page(path, API_QUERIES)
    for dashboard in dashboards.everyone():
        looked_at(visitor, url(Watermark, "change", dashboard.name), PAGE_QUERIES)
