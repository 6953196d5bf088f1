"""Every list and page, with a site's worth of rows behind it: see crowd.py.

Promises tested: as many queries as with few rows, none of which takes long, and pages that do not either; of
lists with every filter, a search that finds much, one that finds nothing, each order, and the last page.
On failure: the address, and the query.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from html import unescape
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

from accounts.key_services import create_key
from accounts.models import SCOPES, User
from caching.tests.slow_queries import no_slow_queries
from console.tests import crowd
from console.tests.test_lists import LIST_QUERIES, PAGE_QUERIES, every_model, url

pytestmark = [pytest.mark.slow, pytest.mark.django_db]

# Seconds of this thread, in which a page is put together, and SQLite works.
PAGE = 2.0
API_QUERIES = 10


@pytest.fixture(scope="module")
def rows(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """All of them, for all tests of this module."""
    with django_db_blocker.unblock():
        crowd.make()
    yield
    with django_db_blocker.unblock():
        call_command("flush", interactive=False, verbosity=0)


@pytest.fixture
def visitor(rows: None, db: None) -> Client:
    """The superuser."""
    client = Client()
    client.force_login(User.objects.get(username="chief"))
    return client


def looked_at(client: Client, address: str, most: int, **headers: str) -> Any:
    """The page, found sound."""
    began = thread_time()
    with CaptureQueriesContext(connection) as captured, no_slow_queries():
        response = client.get(address, headers=headers)
    took = thread_time() - began
    assert response.status_code == 200, (address, response.status_code, response.content[:300])
    asked = [each["sql"] for each in captured if '"in_doubt_since" IS NOT NULL' not in each["sql"]]
    assert len(asked) <= most, (address, asked)
    assert took <= PAGE, (address, took)
    return response


def links(text: str) -> set[str]:
    """What filters, columns and page numbers of a list lead to: of each the first ones and the last."""
    by_name: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
    for each in re.findall(r'href="(\?[^"]+)"', text):
        query = unescape(each)
        by_name[tuple(sorted(parse_qs(query[1:])))].append(query)
    return {query for found in by_name.values() for query in (*found[:3], found[-1])}


@every_model
def test_a_list_is_quick_however_it_is_filtered_searched_and_ordered(
    visitor: Client, model: type[Model]
) -> None:
    listed = url(model, "changelist")
    visitor.get(listed)
    page = looked_at(visitor, listed, LIST_QUERIES)
    asked = {"?q=a", "?q=1", "?q=user00777", "?q=nothing-of-this-name"}
    asked |= links(page.content.decode())
    for query in sorted(asked):
        # Facets are a query a filter.
        facets = len(admin.site._registry[model].list_filter) if "_facets" in query else 0
        looked_at(visitor, listed + query, LIST_QUERIES + 2 * facets)


@every_model
def test_every_page_of_a_row_is_quick(visitor: Client, model: type[Model]) -> None:
    row = model._default_manager.order_by("-pk").first()
    if row is None:
        return
    site = admin.site._registry[model]
    pages = [url(model, page, quote(row.pk)) for page in ("change", "history")]
    request = visitor.get(url(model, "changelist")).wsgi_request
    if site.has_add_permission(request):
        pages.append(url(model, "add"))
    if site.has_delete_permission(request, row):
        pages.append(url(model, "delete", quote(row.pk)))
    for address in pages:
        visitor.get(address)
        looked_at(visitor, address, PAGE_QUERIES)


def test_the_home_is_quick(visitor: Client) -> None:
    for address in ("/admin/", "/admin/scoreboard/"):
        visitor.get(address)
        looked_at(visitor, address, PAGE_QUERIES)


LISTS = [
    "products/",
    "products/?category=category-007",
    "products/?search=product",
    "products/?search=nothing-of-this-name",
    "products/?min_price=100&max_price=101",
    "products/?in_stock=false",
    "products/?category=category-007&search=nothing&in_stock=true&per_page=100",
    f"products/{crowd.PRODUCT}/",
    "categories/",
    "categories/category-007/products/",
    "places/",
    "places/?cuisine=cuisine7&per_page=100",
    "places/nearby/?lat=52.5&lon=13.1&radius_km=5",
    "places/nearby/?lat=52.5&lon=13.1&limit=100&cuisine=cuisine7&min_rating=4.9",
    "places/nearby/?lat=-52.5&lon=-13.1&limit=20",
    "places/within/?bbox=13.0,52.4,13.2,52.6",
    f"places/{crowd.PLACE}/",
    f"orders/{crowd.ORDER}/",
    f"posts/{crowd.POST}/",
    "users/user00777/",
    "feed/",
    "feed/?page=2",
    "sessions/",
    "api-keys/",
    "rate-limit/",
    "dashboards/",
]


@pytest.mark.parametrize("path", LISTS)
def test_a_list_of_the_api_is_quick_from_its_first_page_to_its_last(rows: None, path: str) -> None:
    owner = User.objects.get(username="user00777")
    _, key = create_key(user=owner, name="looker", scopes=SCOPES, plan="demo")
    client, address = Client(), f"/api/v1/{path}"
    for _ in range(3):
        body = looked_at(client, address, API_QUERIES, **{"X-API-Key": key}).json()
        address = body.get("next")
        if not address:
            break
