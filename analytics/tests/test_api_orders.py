"""The contract of `orders/`: shapes, who may, one or a thousand at once, and the problems of the rest.

Promise: what a write answers is what the next read answers, byte for byte; of many orders all are taken or
none.
On failure: the broken rule is the test's name.
"""

import json
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.test import Client

from analytics import refreshing
from analytics.models import Order
from analytics.tests.orders import an_order, total

URL = "/api/v1/orders/"
BULK = f"{URL}bulk/"
JSON = "application/json"
NEW = {"customer": "ada", "product": "prod_1", "amount": "3.19"}
FIELDS = [
    *("id", "customer", "product", "category", "quantity", "amount", "status"),
    *("created_at", "updated_at"),
]


def assert_problem(response: Any, status: int, *fields: str) -> None:
    """Check an RFC 9457 answer, and which fields it blames."""
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    assert sorted(response.json().get("errors", {})) == sorted(fields)


def post(client: Client, body: Any, url: str = URL) -> Any:
    return client.post(url, json.dumps(body), JSON)


def test_an_order_has_its_fields_in_order_and_its_amount_as_text(
    staff: Client, noon: time_machine.Traveller
) -> None:
    response = post(staff, {**NEW, "id": "ord_1"})
    assert response.status_code == 201
    assert response["Location"].endswith("/api/v1/orders/ord_1/")
    assert list(response.json()) == FIELDS
    assert response.content == (
        b'{"id":"ord_1","customer":"ada","product":"prod_1","category":"","quantity":1,'
        b'"amount":"3.19","status":"pending","created_at":"2025-11-24T12:00:00Z",'
        b'"updated_at":"2025-11-24T12:00:00Z"}'
    )
    assert staff.get(f"{URL}ord_1/").content == response.content


def test_the_server_makes_an_id_and_keeps_a_given_moment(staff: Client) -> None:
    body = post(staff, {**NEW, "created_at": "2025-01-01T01:30:00+02:00"}).json()
    assert body["id"].startswith("ord_")
    assert body["created_at"] == "2024-12-31T23:30:00Z"
    assert Order.objects.get().day == date(2024, 12, 31)
    assert Order.objects.get().hour == 23


def test_names_are_kept_but_for_spaces_around_them(staff: Client) -> None:
    made = post(staff, {**NEW, "id": "ord_1", "customer": " ada ", "product": "a\u00a0b "}).json()
    assert (made["customer"], made["product"]) == ("ada", "a\u00a0b")
    assert staff.get(f"{URL}ord_1/").json() == made


def test_an_id_that_is_taken_is_a_conflict(staff: Client) -> None:
    an_order(id="ord_1")
    assert_problem(post(staff, {**NEW, "id": "ord_1"}), 409)
    assert Order.objects.get().amount == Decimal("1.00")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"amount": "-0.01"}, "amount"),
        ({"amount": "0.001"}, "amount"),
        ({"amount": "NaN"}, "amount"),
        ({"amount": True}, "amount"),
        ({"amount": "999999999999.99"}, "amount"),
        ({"amount": None}, "amount"),
        ({"quantity": -1}, "quantity"),
        ({"quantity": 2**31}, "quantity"),
        ({"status": "lost"}, "status"),
        ({"id": "bulk"}, "id"),
        ({"id": "a b"}, "id"),
        ({"category": "a b"}, "category"),
        *(
            ({"amount": "1_000"}, "amount"),
            ({"amount": "\u0661"}, "amount"),
            ({"amount": True}, "amount"),
        ),
        *(({"amount": "1000000000"}, "amount"), ({"quantity": "1_0"}, "quantity")),
        ({"customer": ""}, "customer"),
        ({"customer": "a" * 65}, "customer"),
        ({"product": "a\0b"}, "product"),
        ({"created_at": "yesterday"}, "created_at"),
        ({"created_at": "2025-01-01T00:00:00"}, "created_at"),
        ({"created_at": "0001-01-01T00:00:00+14:00"}, "created_at"),
        ({"created_at": 5}, "created_at"),
        *(
            ({"created_at": moment}, "created_at")
            for moment in ("2026-W01-1T00:00:00Z", "20260101T000000Z", "2025-01-01 10Z")
        ),
        ({"created_at": "2025-01-01T00:00:00+23:59:59.999999"}, "created_at"),
        ({"created_at": "2025-01-01T00:00:00.1234567Z"}, "created_at"),
        ({"customer": " "}, "customer"),
    ],
)
def test_what_is_no_order_is_refused_with_the_field_that_is_wrong(
    staff: Client, changes: dict[str, Any], field: str
) -> None:
    assert_problem(post(staff, NEW | changes), 400, field)
    assert not Order.objects.exists()


def test_orders_are_for_staff(client: Client, somebody: Client) -> None:
    an_order(id="ord_1")
    for method, url in (("get", f"{URL}ord_1/"), ("post", URL), ("post", BULK)):
        assert_problem(getattr(client, method)(url, content_type=JSON), 401)
        assert_problem(getattr(somebody, method)(url, content_type=JSON), 403)


def test_an_order_is_corrected(staff: Client) -> None:
    an_order(id="ord_1")
    refreshing.refresh("revenue")
    response = staff.patch(f"{URL}ord_1/", json.dumps({"status": "refunded"}), JSON)
    assert response.json()["status"] == "refunded"
    assert response.content == staff.get(f"{URL}ord_1/").content
    refreshing.refresh("revenue")
    assert total() == 0


def test_the_id_does_not_change(staff: Client) -> None:
    an_order(id="ord_1")
    assert_problem(staff.patch(f"{URL}ord_1/", json.dumps({"id": "ord_2"}), JSON), 400, "id")


@pytest.mark.parametrize("id", ["none", "a" * 65, "%00", "a.b"])
def test_an_unknown_order_is_404(staff: Client, id: str) -> None:
    assert_problem(staff.get(f"{URL}{id}/"), 404)
    assert_problem(staff.patch(f"{URL}{id}/", "{}", JSON), 404)


@pytest.mark.parametrize("method", ["put", "delete"])
def test_an_order_is_neither_replaced_nor_deleted(staff: Client, method: str) -> None:
    an_order(id="ord_1")
    assert_problem(getattr(staff, method)(f"{URL}ord_1/", content_type=JSON), 405)


def test_a_thousand_orders_are_taken_at_once(
    staff: Client, django_assert_max_num_queries: Any
) -> None:
    rows = [{**NEW, "status": "paid", "category": f"c{n % 7}"} for n in range(1000)]
    with django_assert_max_num_queries(60):
        response = post(staff, rows, BULK)
    assert response.status_code == 201, response.content
    assert len(response.json()["results"]) == Order.objects.count() == 1000
    first = response.json()["results"][0]
    assert staff.get(f"{URL}{first['id']}/").json() == first
    refreshing.refresh("revenue")
    assert total() == Decimal("3190.00")


@pytest.mark.parametrize("rows", [[], {}, "x", None, [NEW] * 1001])
def test_neither_none_nor_more_than_a_thousand_are_taken(staff: Client, rows: Any) -> None:
    assert_problem(post(staff, rows, BULK), 400, "orders")


def test_of_many_orders_with_a_bad_one_none_is_taken_and_it_is_named(staff: Client) -> None:
    rows = [NEW, {**NEW, "amount": "x"}, NEW, {"customer": "ada", "amount": "1"}, 5]
    response = post(staff, rows, BULK)
    assert_problem(response, 400, "1.amount", "3.product", "4.non_field_errors")
    assert_problem(post(staff, [NEW, None, None], BULK), 400, "1", "2")
    assert not Order.objects.exists()


def test_of_many_orders_with_one_that_is_there_none_is_taken(staff: Client) -> None:
    an_order(id="ord_3")
    response = post(staff, [{**NEW, "id": f"ord_{n}"} for n in range(5)], BULK)
    assert_problem(response, 409)
    assert "ord_3" in response.json()["detail"]
    assert Order.objects.count() == 1


def test_the_same_id_twice_is_refused(staff: Client) -> None:
    assert_problem(post(staff, [{**NEW, "id": "ord_1"}] * 2, BULK), 400, "id")
