"""Every list and page of the admin, whatever models are registered, with few rows and with many.

Promises tested: over HTTP; queries are counted, and are as many for many rows as for few. On failure: the
model and the page are in the test's name.
"""

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.utils import quote
from django.db import connection
from django.db.models import Model
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.tests.page_queries import of_the_page
from console.tests.pages import inline_code
from console.tests.rows import ROWS

pytestmark = pytest.mark.django_db(transaction=True)

FEW, MANY = 2, 30
# A list: user, page, count, filters. A page of one row: what it refers to, and what it may choose. Before a
# user is deleted each table that refers to users is asked how many, and which.
LIST_QUERIES, PAGE_QUERIES, DELETE_QUERIES = 8, 16, 32
MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)
every_model = pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label_lower)


def url(model: type[Model], page: str, *args: Any) -> str:
    meta = model._meta
    return reverse(f"admin:{meta.app_label}_{meta.model_name}_{page}", args=args)


def queries(client: Client, address: str) -> int:
    with CaptureQueriesContext(connection) as captured:
        response = client.get(address)
    assert response.status_code == 200, (address, response.status_code)
    return len(of_the_page(captured))


def most(address: str) -> int:
    """How many queries a page of a row may ask."""
    return DELETE_QUERIES if address.endswith("/delete/") else PAGE_QUERIES


def addresses(client: Client, model: type[Model]) -> list[str]:
    """The list, searched and filtered, and all pages of one row that may be opened."""
    row = model._default_manager.order_by("-pk").first()
    assert row is not None
    listed = url(model, "changelist")
    pages = [listed, f"{listed}?q=a", f"{listed}?_facets=True"]
    pages += [url(model, page, quote(row.pk)) for page in ("change", "history")]
    site, request = admin.site._registry[model], client.get(listed).wsgi_request
    if site.has_add_permission(request):
        pages.append(url(model, "add"))
    if site.has_delete_permission(request, row):
        pages.append(url(model, "delete", quote(row.pk)))
    return pages


def test_every_model_of_the_admin_is_walked_over() -> None:
    assert set(MODELS) == set(ROWS)


@every_model
def test_a_list_takes_as_many_queries_for_many_rows_as_for_few(
    chief: Client, model: type[Model]
) -> None:
    listed = url(model, "changelist")
    ROWS[model](range(FEW))
    chief.get(listed)
    few = queries(chief, listed)
    ROWS[model](range(FEW, MANY))
    assert queries(chief, listed) == few <= LIST_QUERIES


@every_model
def test_every_page_of_a_row_takes_few_queries(chief: Client, model: type[Model]) -> None:
    ROWS[model](range(MANY))
    for address in addresses(chief, model):
        chief.get(address)
        assert queries(chief, address) <= most(address), address


@every_model
def test_every_list_is_searched_and_filtered_and_has_columns(model: type[Model]) -> None:
    site = admin.site._registry[model]
    request: Any = None
    assert site.get_search_fields(request)
    assert site.get_list_filter(request)
    assert list(site.get_list_display(request)) != ["__str__"]


@every_model
def test_no_page_has_code_in_it_that_the_policy_would_stop(
    chief: Client, model: type[Model]
) -> None:
    ROWS[model](range(FEW))
    for address in addresses(chief, model):
        response = chief.get(address)
        assert inline_code(response.content.decode()) == [], address
        assert response.headers["Content-Security-Policy"].startswith("default-src 'none'")


@every_model
def test_every_action_asks_before_it_does_anything(chief: Client, model: type[Model]) -> None:
    ROWS[model](range(FEW))
    row = model._default_manager.order_by("-pk").first()
    assert row is not None
    listed = url(model, "changelist")
    page = chief.get(listed)
    site = admin.site._registry[model]
    for action in site.get_actions(page.wsgi_request):
        response = chief.post(listed, {"action": action, "_selected_action": [row.pk]})
        assert response.status_code == 200, action
        text = response.content.decode()
        assert 'name="post" value="yes"' in text, action
        assert inline_code(text) == [], action
        # It is there as it was.
        row.refresh_from_db()
