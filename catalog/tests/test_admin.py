"""The catalog in the admin: its pages, its buttons, and what they do to the caches.

Promise: every page opens, no list asks a query a row, and a button takes POST, CSRF and permission.
On failure: the broken rule is the test's name.
"""

import re

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoAssertNumQueries

from catalog import cache, services
from catalog.models import Category, Product
from catalog.tests.conftest import MakeProduct
from catalog.tests.database import connection

PRODUCTS = "/admin/catalog/product/"
ICE = f"{PRODUCTS}prod_ice/"


@pytest.mark.parametrize(
    "url",
    [
        PRODUCTS,
        f"{PRODUCTS}?q=ice&is_active__exact=1",
        f"{PRODUCTS}add/",
        f"{ICE}change/",
        f"{ICE}history/",
        f"{ICE}delete/",
        "/admin/catalog/category/",
        "/admin/catalog/category/grocery/change/",
    ],
)
def test_every_page_opens(staff: Client, ice: Product, url: str) -> None:
    assert staff.get(url).status_code == 200


def test_a_list_of_products_asks_no_query_a_row(
    staff: Client, make_product: MakeProduct, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(30):
        make_product(f"prod_{number}")
    with django_assert_max_num_queries(8):
        staff.get(PRODUCTS)


def test_the_page_of_a_product_shows_each_layer_and_loads_nothing(
    staff: Client, ice: Product
) -> None:
    page = staff.get(f"{ICE}change/").content.decode()
    assert "L1, this process: nothing" in page
    assert "L2, Redis: nothing" in page
    assert cache.products.peek("prod_ice").far is None
    cache.products.get("prod_ice")
    page = staff.get(f"{ICE}change/").content.decode()
    assert "L2, Redis: updated" in page
    assert "fresh, ttl" in page


def test_the_buttons_warm_and_evict(staff: Client, ice: Product) -> None:
    response = staff.post(f"{ICE}cache/warm/")
    assert response["Location"] == "/admin/catalog/product/prod_5Fice/change/"
    assert cache.products.peek("prod_ice").far is not None
    staff.post(f"{ICE}cache/evict/")
    assert cache.products.peek("prod_ice").far is None
    assert cache.products.peek("prod_ice").near is None


@pytest.mark.parametrize("id", ["prod_25671", "prod_5F"])
def test_the_buttons_lead_back_to_the_product_whatever_its_id_looks_like(
    staff: Client, make_product: MakeProduct, id: str
) -> None:
    make_product(id)
    link = re.search(rf'href="({PRODUCTS}[^"]+/change/)', staff.get(PRODUCTS).content.decode())
    assert link is not None
    page = staff.get(link[1])
    buttons = re.findall(r'action="([^"]+/cache/[^"]+)"', page.content.decode())
    assert len(buttons) == 2
    for button in buttons:
        response = staff.post(button)
        assert response["Location"] == link[1]
        back = staff.get(response["Location"])
        assert back.status_code == 200
        assert id in back.content.decode()


@pytest.mark.parametrize("id", ["%00", "a%00b", "a b", "a" * 65])
def test_what_is_no_id_is_the_page_of_no_product(
    staff: Client, transactional_db: None, id: str
) -> None:
    for verb in ("evict", "warm"):
        assert staff.post(f"{PRODUCTS}{id}/cache/{verb}/").status_code == 404
    for page in ("change", "delete", "history"):
        assert staff.get(f"{PRODUCTS}{id}/{page}/")["Location"] == "/admin/"


@pytest.mark.parametrize("verb", ["evict", "warm"])
def test_a_button_takes_post_csrf_and_permission(staff: Client, ice: Product, verb: str) -> None:
    url = f"{ICE}cache/{verb}/"
    assert staff.get(url).status_code == 405
    assert Client().post(url).status_code == 302
    assert staff.post(f"{PRODUCTS}none/cache/{verb}/").status_code == 404
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(get_user_model().objects.get())
    assert strict.post(url).status_code == 403
    looker = Client()
    looker.force_login(get_user_model().objects.create_user("looker", is_staff=True))
    assert looker.post(url).status_code == 403


@pytest.mark.parametrize("verb", ["evict", "warm"])
def test_the_actions_ask_and_then_work_on_what_is_selected(
    staff: Client, ice: Product, verb: str
) -> None:
    cache.products.get("prod_ice")
    data = {"action": f"{verb}_selected", "_selected_action": ["prod_ice"]}
    asked = staff.post(PRODUCTS, data)
    assert f"{verb.title()} 1 products in the caches of all processes?" in asked.content.decode()
    assert cache.products.peek("prod_ice").far is not None
    data["post"] = "yes"
    response = staff.post(PRODUCTS, data, follow=True)
    assert "1 products" in response.content.decode()
    assert (cache.products.peek("prod_ice").far is None) is (verb == "evict")


def test_warming_all_that_is_selected_asks_for_a_chunk_at_a_time(
    staff: Client, make_product: MakeProduct, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        make_product(f"prod_{number}")
    monkeypatch.setattr(services, "WARM_CHUNK", 2)
    chosen = {"_selected_action": ["prod_0"], "select_across": "1"}
    data = {"action": "warm_selected", "post": "yes", **chosen}
    with CaptureQueriesContext(connection) as queries:
        response = staff.post(PRODUCTS, data, follow=True)
    assert "Warmed 5 products" in response.content.decode()
    loads = [query["sql"] for query in queries if "description" in query["sql"]]
    assert [sql.count("'prod_") for sql in loads if "prod_" in sql] == [2, 2, 1]
    assert all(cache.products.peek(f"prod_{number}").far for number in range(5))


def test_a_product_deleted_in_the_list_leaves_the_caches(staff: Client, ice: Product) -> None:
    cache.products.get("prod_ice")
    data = {"action": "delete_selected", "_selected_action": ["prod_ice"], "post": "yes"}
    staff.post(PRODUCTS, data)
    assert cache.products.get("prod_ice") is None


def test_a_product_edited_on_its_page_is_read_anew(
    staff: Client, ice: Product, deli: Category
) -> None:
    cache.products.get("prod_ice")
    form = {"name": "Snow", "description": "", "price": "1", "category": "deli", "stock": "2"}
    assert staff.post(f"{ICE}change/", form).status_code == 302
    card = cache.products.get("prod_ice")
    assert card is not None
    assert (card.name, card.category, card.is_active) == ("Snow", "deli", False)


def test_a_product_added_without_an_id_gets_one(staff: Client, grocery: Category) -> None:
    page = staff.get(f"{PRODUCTS}add/").content.decode()
    assert 'value="prod_' in page
    form = {"id": "prod_b", "name": "B", "price": "1", "category": "grocery", "stock": "2"}
    assert staff.post(f"{PRODUCTS}add/", form).status_code == 302
    assert cache.products.get("prod_b") is not None
