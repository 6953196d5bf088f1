"""The contract of `products/`: shapes, writes by staff, and the problems of the rest.

Promise: what a write answers is what the next read answers, byte for byte.
On failure: the broken rule is the test's name.
"""

import re
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import InterfaceError, OperationalError
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from catalog import cache
from catalog.models import Category, Product
from catalog.tests.conftest import MakeProduct
from catalog.tests.database import connection

URL = "/api/v1/products/"
FIELDS = [
    "id",
    "name",
    "description",
    "price",
    "category",
    "stock",
    "is_active",
    "created_at",
    "updated_at",
]
NEW = {"name": "Bread", "price": "1.50", "category": "grocery"}


def assert_problem(response: Any, status: int, *fields: str) -> None:
    """Check an RFC 9457 answer, and which fields it blames."""
    assert response.status_code == status
    assert response["Content-Type"] == "application/problem+json"
    body = response.json()
    assert list(body)[:4] == ["type", "title", "status", "detail"]
    assert body["status"] == status
    assert body["detail"]
    assert sorted(body.get("errors", {})) == sorted(fields)


def test_a_product_has_its_fields_in_order_price_as_text_and_times_in_utc(
    client: Client, ice: Product
) -> None:
    response = client.get(f"{URL}prod_ice/")
    body = response.json()
    assert response["Content-Type"] == "application/json"
    assert list(body) == FIELDS
    assert body["price"] == "3.49"
    assert body["category"] == "grocery"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", body["created_at"])


def test_an_inactive_product_is_answered_by_id(client: Client, make_product: MakeProduct) -> None:
    make_product("prod_old", is_active=False)
    assert client.get(f"{URL}prod_old/").json()["is_active"] is False


@pytest.mark.parametrize("id", ["prod_none", "a" * 65, "a b", "%00", "%F0%9F%8D%9E", "a.b"])
def test_an_unknown_id_is_404(client: Client, transactional_db: None, id: str) -> None:
    assert_problem(client.get(f"{URL}{id}/"), 404)


def test_creating_a_product_clears_the_memory_of_its_absence(
    staff: Client, grocery: Category
) -> None:
    assert_problem(staff.get(f"{URL}prod_b/"), 404)
    assert staff.post(URL, {**NEW, "id": "prod_b"}, "application/json").status_code == 201
    assert staff.get(f"{URL}prod_b/").status_code == 200


def test_a_write_answers_what_the_next_read_answers(staff: Client, grocery: Category) -> None:
    created = staff.post(URL, {**NEW, "price": 1.5, "id": "prod_b"}, "application/json")
    assert created.status_code == 201
    assert created["Location"].endswith(f"{URL}prod_b/")
    assert created.content == staff.get(f"{URL}prod_b/").content
    changed = staff.patch(f"{URL}prod_b/", {"price": "2"}, "application/json")
    assert changed.status_code == 200
    assert changed.json()["price"] == "2.00"
    assert changed.content == staff.get(f"{URL}prod_b/").content
    replaced = staff.put(f"{URL}prod_b/", {**NEW, "stock": 9}, "application/json")
    assert replaced.content == staff.get(f"{URL}prod_b/").content


@pytest.mark.parametrize("price", ["-0.00", "-0", -0.0, "-0e5"])
def test_a_price_of_zero_has_no_sign_in_any_answer(
    staff: Client, ice: Product, price: str | float
) -> None:
    created = staff.post(URL, {**NEW, "id": "prod_b", "price": price}, "application/json")
    assert created.json()["price"] == "0.00"
    assert created.content == staff.get(f"{URL}prod_b/").content
    changed = staff.patch(f"{URL}prod_ice/", {"price": price}, "application/json")
    assert changed.content == staff.get(f"{URL}prod_ice/").content


def test_a_product_without_an_id_gets_a_sortable_one(staff: Client, grocery: Category) -> None:
    first, second = (staff.post(URL, NEW, "application/json").json()["id"] for _ in range(2))
    assert re.fullmatch(r"prod_[0-9a-hjkmnp-tv-z]{26}", first)
    assert first != second


def test_a_put_resets_what_it_does_not_give(staff: Client, ice: Product) -> None:
    body = staff.put(f"{URL}prod_ice/", NEW, "application/json").json()
    assert (body["name"], body["description"], body["stock"]) == ("Bread", "", 0)


def test_a_patch_keeps_what_it_does_not_give(staff: Client, ice: Product) -> None:
    body = staff.patch(f"{URL}prod_ice/", {"stock": 1}, "application/json").json()
    assert (body["name"], body["description"], body["stock"]) == ("Ice", "Frozen", 1)


def test_an_id_that_is_taken_is_409(staff: Client, ice: Product) -> None:
    assert_problem(staff.post(URL, {**NEW, "id": "prod_ice"}, "application/json"), 409)


def test_an_id_does_not_change(staff: Client, ice: Product) -> None:
    assert staff.patch(f"{URL}prod_ice/", {"id": "prod_ice"}, "application/json").status_code == 200
    assert_problem(staff.patch(f"{URL}prod_ice/", {"id": "prod_b"}, "application/json"), 400, "id")


@pytest.mark.parametrize("id", ["prod_none", "%00", "a%00b", "a b", "a" * 65])
@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_writing_an_unknown_product_is_404(
    staff: Client, grocery: Category, method: str, id: str
) -> None:
    assert_problem(getattr(staff, method)(f"{URL}{id}/", NEW, "application/json"), 404)
    assert not Product.objects.exists()


def test_a_deleted_product_is_gone_at_once(staff: Client, ice: Product) -> None:
    assert staff.get(f"{URL}prod_ice/").status_code == 200
    response = staff.delete(f"{URL}prod_ice/")
    assert (response.status_code, response.content) == (204, b"")
    assert_problem(staff.get(f"{URL}prod_ice/"), 404)


@pytest.mark.parametrize(("method", "url"), [("post", URL), ("patch", f"{URL}prod_ice/")])
def test_only_staff_may_write(
    client: Client, visitor: Client, ice: Product, method: str, url: str
) -> None:
    stranger = getattr(client, method)(url, NEW, "application/json")
    assert_problem(stranger, 401)
    assert stranger["WWW-Authenticate"].startswith("Bearer")
    assert_problem(getattr(visitor, method)(url, NEW, "application/json"), 403)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "a\0b"}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"price": "-1"}, "price"),
        ({"price": "1.005"}, "price"),
        ({"price": "NaN"}, "price"),
        ({"price": "Infinity"}, "price"),
        ({"price": "1e30"}, "price"),
        ({"price": None}, "price"),
        ({"price": "1_0"}, "price"),
        ({"price": "١٢"}, "price"),
        ({"price": "\uff11\uff12"}, "price"),
        ({"price": True}, "price"),
        ({"stock": "1_0"}, "stock"),
        ({"stock": "١٢"}, "stock"),
        ({"stock": -1}, "stock"),
        ({"stock": 2**31}, "stock"),
        ({"stock": 10**400}, "stock"),
        ({"stock": "many"}, "stock"),
        ({"category": "none"}, "category"),
        ({"category": ["grocery"]}, "category"),
        ({"id": "a/b"}, "id"),
        ({"id": "x" * 65}, "id"),
        ({"is_active": "perhaps"}, "is_active"),
        ({"description": "x" * 10_001}, "description"),
    ],
)
def test_a_bad_value_is_400_and_names_its_field(
    staff: Client, grocery: Category, values: dict[str, Any], field: str
) -> None:
    assert_problem(staff.post(URL, NEW | values, "application/json"), 400, field)
    assert not Product.objects.exists()


@pytest.mark.parametrize(
    "body",
    ["{", "", "[" * 100_000, '{"name": NaN}', '"\\ud800"', b"\xff", "1" * 5000, '{"a": 1e999}'],
    ids=["open", "empty", "deep", "nan", "surrogate", "bytes", "digits", "range"],
)
def test_malformed_json_is_400(staff: Client, grocery: Category, body: str | bytes) -> None:
    response = staff.generic("POST", URL, body, content_type="application/json")
    assert_problem(response, 400, *response.json().get("errors", {}))


@pytest.mark.parametrize("text", [r"\ud800", r"\ud800 and more", r"\udc00", r"\\\ud83d"])
def test_half_a_surrogate_pair_is_named_as_such(
    staff: Client, grocery: Category, text: str
) -> None:
    body = f'{{"name":"{text}"}}'
    response = staff.generic("POST", URL, body, content_type="application/json")
    assert_problem(response, 400)
    assert "surrogate pair" in response.json()["detail"]


@pytest.mark.parametrize("body", ["[]", "null", "3", '"text"'])
def test_json_that_is_no_object_is_400(staff: Client, grocery: Category, body: str) -> None:
    assert_problem(staff.post(URL, body, "application/json"), 400, "non_field_errors")


def test_a_body_too_long_is_413(staff: Client, grocery: Category, settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100
    assert_problem(staff.post(URL, NEW | {"name": "x" * 100}, "application/json"), 413)


def test_a_body_of_another_type_is_415(staff: Client, grocery: Category) -> None:
    assert_problem(staff.post(URL, "name=Bread", "application/x-www-form-urlencoded"), 415)


@pytest.mark.parametrize(
    ("method", "url"),
    [("put", URL), ("delete", URL), ("post", f"{URL}prod_ice/"), ("post", "/api/v1/categories/")],
)
def test_a_method_that_is_not_there_is_405_for_anyone(
    client: Client, staff: Client, ice: Product, method: str, url: str
) -> None:
    for caller in (client, staff):
        response = getattr(caller, method)(url, {}, "application/json")
        assert_problem(response, 405)
        assert "GET" in response["Allow"]


def test_a_type_that_is_not_offered_is_406(client: Client, ice: Product) -> None:
    assert_problem(client.get(f"{URL}prod_ice/", headers={"Accept": "text/csv"}), 406)


def test_an_address_under_the_api_that_is_not_there_is_a_problem_too(client: Client) -> None:
    assert_problem(client.get("/api/v1/nothing/"), 404)


def test_a_product_read_from_the_database_costs_one_query_and_none_after(
    client: Client, ice: Product, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(1):
        client.get(f"{URL}prod_ice/")
    with django_assert_num_queries(0):
        client.get(f"{URL}prod_ice/")


def test_with_the_database_gone_cached_reads_go_on_and_the_rest_is_503(
    staff: Client, client: Client, ice: Product
) -> None:
    def broken(*_: Any) -> None:
        raise OperationalError("could not connect to server: secret-host")

    assert client.get(f"{URL}prod_ice/").status_code == 200
    with connection.execute_wrapper(broken):
        assert client.get(f"{URL}prod_ice/").status_code == 200
        for response in (client.get(f"{URL}prod_none/"), client.get(URL)):
            assert_problem(response, 503)
            assert int(response["Retry-After"]) > 0
            assert b"secret-host" not in response.content
    assert client.get(URL).status_code == 200


@pytest.mark.parametrize("error", [OperationalError, InterfaceError])
def test_with_the_database_gone_who_signed_in_reads_as_anonymous_and_writes_nothing(
    staff: Client, ice: Product, error: type[Exception]
) -> None:
    def broken(*_: Any) -> None:
        raise error("server closed the connection")

    pages = [f"{URL}prod_ice/", URL, "/api/v1/categories/", "/api/v1/categories/grocery/products/"]
    before = [staff.get(page).content for page in pages]
    with connection.execute_wrapper(broken):
        for page, content in zip(pages, before, strict=True):
            response = staff.get(page)
            assert (response.status_code, response.content) == (200, content)
            assert staff.head(page).status_code == 200
        for method in ("patch", "put", "delete"):
            response = getattr(staff, method)(f"{URL}prod_ice/", NEW, "application/json")
            assert_problem(response, 503)
            assert int(response["Retry-After"]) > 0
        assert_problem(staff.get(f"{URL}prod_none/"), 503)
    assert Product.objects.get().name == "Ice"
    assert staff.patch(f"{URL}prod_ice/", {"stock": 1}, "application/json").status_code == 200


def test_the_session_of_staff_who_left_writes_nothing(staff: Client, ice: Product) -> None:
    get_user_model().objects.update(is_active=False)
    assert_problem(staff.delete(f"{URL}prod_ice/"), 401)
    assert Product.objects.exists()


@pytest.mark.parametrize("url", [URL, f"{URL}prod_ice/", "/api/v1/categories/"])
def test_a_parameter_named_format_is_unknown_and_so_ignored(
    client: Client, ice: Product, url: str
) -> None:
    assert client.get(f"{url}?format=xml").content == client.get(url).content


def test_a_card_built_from_a_write_is_the_card_that_is_loaded(ice: Product) -> None:
    assert cache.card_of(ice) == cache.load_products(["prod_ice"])["prod_ice"]
