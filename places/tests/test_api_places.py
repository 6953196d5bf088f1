"""The contract of `places/`: shapes, writes by staff, and the problems of the rest.

Promise: what a write answers is what the next read answers, byte for byte.
On failure: the broken rule is the test's name.
"""

import json
import re
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from places import cards
from places.metadata import MOST_NESTED
from places.models import METADATA_BYTES, Place
from places.tests.conftest import MakePlace

URL = "/api/v1/places/"
JSON = "application/json"
FIELDS = ["id", "name", "longitude", "latitude", "cuisine", "rating", "metadata"]
NEW = {"name": "Café", "longitude": 13.4, "latitude": 52.5}


def assert_problem(response: Any, status: int, *fields: str) -> None:
    """Check an RFC 9457 answer, and which fields it blames."""
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    body = response.json()
    assert list(body)[:4] == ["type", "title", "status", "detail"]
    assert body["status"] == status
    assert body["detail"]
    assert sorted(body.get("errors", {})) == sorted(fields)


def ids(response: Any) -> list[str]:
    """The ids of a page."""
    assert response.status_code == 200, response.content
    return [place["id"] for place in response.json()["results"]]


def test_a_place_has_its_fields_in_order_and_numbers_as_numbers(
    client: Client, make_place: MakePlace
) -> None:
    make_place("p1", 52.5, 13.4, metadata={"seats": 20})
    response = client.get(f"{URL}p1/")
    assert response["Content-Type"] == JSON
    assert list(response.json()) == FIELDS
    assert response.content == (
        b'{"id":"p1","name":"Place p1","longitude":13.4,"latitude":52.5,"cuisine":"thai",'
        b'"rating":3.5,"metadata":{"seats":20}}'
    )


@pytest.mark.parametrize("id", ["none", "a" * 65, "a b", "%00", "%ED%A0%80", "a.b", "p1%0A"])
def test_an_unknown_id_is_404(client: Client, make_place: MakePlace, id: str) -> None:
    make_place("p1", 0, 0)
    assert_problem(client.get(f"{URL}{id}/"), 404)


def test_creating_a_place_clears_the_memory_of_its_absence(staff: Client) -> None:
    assert_problem(staff.get(f"{URL}p1/"), 404)
    assert staff.post(URL, {**NEW, "id": "p1"}, JSON).status_code == 201
    assert staff.get(f"{URL}p1/").status_code == 200


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"longitude": 180},
        {"longitude": -180.0, "latitude": -90},
        {"longitude": -0.0, "latitude": -0.0, "rating": -0.0},
        {"longitude": "1e1", "latitude": " +5 ", "rating": "4."},
        {"longitude": 0.1 + 0.2, "latitude": 5e-324, "rating": 5},
        {"rating": None, "cuisine": ""},
        {"name": "  Zum\u00a0Ж 🍜  ", "cuisine": " thai "},
        {"metadata": {"zz": 1, "b": [1.0, 1, -0.0, True, None], "a": {"y": "\u2028", "x": 1e-7}}},
        {"metadata": {"most": 2**63 - 1, "least": -(2**63), "large": 1e18, "small": 1e-300}},
        {"metadata": {"": "", "é": "\U0001f35c", "d": {"d": {"d": []}}}},
    ],
)
def test_a_write_answers_what_the_next_read_answers(staff: Client, values: dict[str, Any]) -> None:
    created = staff.post(URL, {**NEW, **values, "id": "p1"}, JSON)
    assert created.status_code == 201, created.content
    assert created["Location"].endswith(f"{URL}p1/")
    for _ in range(2):
        assert staff.get(f"{URL}p1/").content == created.content
    changed = staff.patch(f"{URL}p1/", {"rating": 1}, JSON)
    assert changed.content == staff.get(f"{URL}p1/").content
    replaced = staff.put(f"{URL}p1/", {**NEW, **values}, JSON)
    assert replaced.content == created.content == staff.get(f"{URL}p1/").content


def test_longitude_180_is_answered_as_its_other_name(staff: Client) -> None:
    body = staff.post(URL, {**NEW, "longitude": 180.0}, JSON).json()
    assert body["longitude"] == -180.0


def test_a_place_without_an_id_gets_a_sortable_one(staff: Client) -> None:
    first, second = (staff.post(URL, NEW, JSON).json()["id"] for _ in range(2))
    assert re.fullmatch(r"place_[0-9a-hjkmnp-tv-z]{26}", first)
    assert first != second


def test_a_put_resets_what_it_does_not_give(staff: Client, make_place: MakePlace) -> None:
    make_place("p1", 1, 2, metadata={"a": 1})
    body = staff.put(f"{URL}p1/", NEW, JSON).json()
    assert body == {**NEW, "id": "p1", "cuisine": "", "rating": None, "metadata": {}}


def test_a_patch_keeps_what_it_does_not_give(staff: Client, make_place: MakePlace) -> None:
    make_place("p1", 1, 2, metadata={"a": 1})
    body = staff.patch(f"{URL}p1/", {"name": "New"}, JSON).json()
    assert body == {
        "id": "p1",
        "name": "New",
        "longitude": 2.0,
        "latitude": 1.0,
        "cuisine": "thai",
        "rating": 3.5,
        "metadata": {"a": 1},
    }


@pytest.mark.parametrize("value", [True, 1.0, "1"])
def test_metadata_that_only_python_takes_for_the_same_is_written(
    staff: Client, make_place: MakePlace, value: Any
) -> None:
    make_place("p1", 1, 2, metadata={"a": 1})
    changed = staff.patch(f"{URL}p1/", {"metadata": {"a": value}}, JSON)
    assert json.dumps(changed.json()["metadata"]) == json.dumps({"a": value})
    assert changed.content == staff.get(f"{URL}p1/").content


def test_an_id_that_is_taken_is_409(staff: Client, make_place: MakePlace) -> None:
    make_place("p1", 1, 2)
    assert_problem(staff.post(URL, {**NEW, "id": "p1"}, JSON), 409)
    assert Place.objects.get().name == "Place p1"


def test_an_id_does_not_change(staff: Client, make_place: MakePlace) -> None:
    make_place("p1", 1, 2)
    assert staff.patch(f"{URL}p1/", {"id": "p1"}, JSON).status_code == 200
    assert_problem(staff.patch(f"{URL}p1/", {"id": "p2"}, JSON), 400, "id")


@pytest.mark.parametrize("id", ["nearby", "within"])
def test_the_address_of_a_search_is_no_id(staff: Client, id: str) -> None:
    assert_problem(staff.post(URL, {**NEW, "id": id}, JSON), 400, "id")
    assert_problem(staff.put(f"{URL}{id}/", NEW, JSON), 405)


@pytest.mark.parametrize("id", ["none", "%00", "a%00b", "a b", "a" * 65])
@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_writing_an_unknown_place_is_404(staff: Client, method: str, id: str) -> None:
    assert_problem(getattr(staff, method)(f"{URL}{id}/", NEW, JSON), 404)
    assert not Place.objects.exists()


def test_a_deleted_place_is_gone_at_once(staff: Client, make_place: MakePlace) -> None:
    make_place("p1", 1, 2)
    assert staff.get(f"{URL}p1/").status_code == 200
    response = staff.delete(f"{URL}p1/")
    assert (response.status_code, response.content) == (204, b"")
    assert_problem(staff.get(f"{URL}p1/"), 404)
    assert ids(staff.get(URL)) == []


@pytest.mark.parametrize(("method", "url"), [("post", URL), ("patch", f"{URL}p1/")])
def test_only_staff_may_write(
    client: Client, visitor: Client, make_place: MakePlace, method: str, url: str
) -> None:
    make_place("p1", 1, 2)
    stranger = getattr(client, method)(url, NEW, JSON)
    assert_problem(stranger, 401)
    assert stranger["WWW-Authenticate"].startswith("Bearer")
    assert_problem(getattr(visitor, method)(url, NEW, JSON), 403)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "a\0b"}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": None}, "name"),
        ({"longitude": 180.1}, "longitude"),
        ({"longitude": -180.00001}, "longitude"),
        ({"latitude": 90.0001}, "latitude"),
        ({"latitude": -91}, "latitude"),
        ({"latitude": None}, "latitude"),
        ({"rating": 5.1}, "rating"),
        ({"rating": -0.1}, "rating"),
        ({"cuisine": "Thai"}, "cuisine"),
        ({"cuisine": "a b"}, "cuisine"),
        ({"cuisine": "x" * 65}, "cuisine"),
        ({"cuisine": None}, "cuisine"),
        ({"cuisine": "٣"}, "cuisine"),
        ({"id": "a/b"}, "id"),
        ({"id": ""}, "id"),
        ({"id": "x" * 65}, "id"),
        ({"id": "é"}, "id"),
        ({"metadata": None}, "metadata"),
        ({"metadata": []}, "metadata"),
        ({"metadata": "{}"}, "metadata"),
        ({"metadata": {"a": 2**63}}, "metadata"),
        ({"metadata": {"a": -(10**400)}}, "metadata"),
        ({"metadata": {"a": [1e300]}}, "metadata"),
        ({"metadata": {"a": "\0"}}, "metadata"),
        ({"metadata": {"\0": 1}}, "metadata"),
    ],
)
def test_a_bad_value_is_400_and_names_its_field(
    staff: Client, values: dict[str, Any], field: str
) -> None:
    assert_problem(staff.post(URL, {**NEW, **values}, JSON), 400, field)
    assert not Place.objects.exists()


@pytest.mark.parametrize("field", ["longitude", "latitude", "rating"])
def test_what_is_no_finite_number_is_400_and_names_its_field(staff: Client, field: str) -> None:
    texts = ["NaN", "nan", "Infinity", "-inf", "1e999", "1_0", "٣", "\uff11", "", "x", "9" * 5000]
    for value in (*texts, True, False, [1], {}, 10**400, 1e308):
        assert_problem(staff.post(URL, {**NEW, field: value}, JSON), 400, field)
    assert not Place.objects.exists()


def test_every_bad_field_is_named(staff: Client) -> None:
    bad = {"longitude": 181, "latitude": "x", "cuisine": "A", "rating": 6, "metadata": 1}
    assert_problem(staff.post(URL, bad, JSON), 400, "name", *bad)


@pytest.mark.parametrize("depth", [MOST_NESTED, MOST_NESTED + 1, 900, 100_000])
def test_metadata_of_any_depth_is_no_server_error(staff: Client, depth: int) -> None:
    inner = depth - 1
    body = json.dumps({**NEW, "metadata": {"a": "?"}}).replace('"?"', "[" * inner + "]" * inner)
    response = staff.generic("POST", URL, body, content_type=JSON)
    assert response.status_code == (201 if depth <= MOST_NESTED else 400), response.content


def test_metadata_past_64_kilobytes_is_413_and_changes_nothing(
    staff: Client, make_place: MakePlace
) -> None:
    make_place("p1", 1, 2)
    most = METADATA_BYTES - len('{"a":""}')
    for text in ("x" * (most + 1), "é" * (most // 2 + 1)):
        assert_problem(staff.patch(f"{URL}p1/", {"metadata": {"a": text}}, JSON), 413)
    assert Place.objects.get().metadata == {}
    response = staff.patch(f"{URL}p1/", {"metadata": {"a": "x" * most}}, JSON)
    assert response.content == staff.get(f"{URL}p1/").content


@pytest.mark.parametrize(
    "body",
    ["{", "", '{"latitude": NaN}', '"\\ud800"', b"\xff", '{"latitude": 1e999}', "[]", "null"],
    ids=["open", "empty", "nan", "surrogate", "bytes", "range", "list", "null"],
)
def test_malformed_json_is_400(staff: Client, body: str | bytes) -> None:
    response = staff.generic("POST", URL, body, content_type=JSON)
    assert_problem(response, 400, *response.json().get("errors", {}))


@pytest.mark.parametrize(
    ("method", "url"),
    [("put", URL), ("post", f"{URL}p1/"), ("post", f"{URL}nearby/"), ("delete", f"{URL}within/")],
)
def test_a_method_that_is_not_there_is_405_for_anyone(
    client: Client, staff: Client, method: str, url: str
) -> None:
    for caller in (client, staff):
        assert_problem(getattr(caller, method)(url, {}, JSON), 405)


def test_the_list_has_all_places_in_the_order_of_their_ids_page_by_page(
    client: Client, make_place: MakePlace
) -> None:
    for number in (3, 1, 4, 0, 2):
        make_place(f"p{number}", number, number, cuisine="deli" if number % 2 else "thai")
    first = client.get(f"{URL}?per_page=2")
    assert list(first.json()) == ["next", "previous", "results"]
    assert ids(first) == ["p0", "p1"]
    second = client.get(first.json()["next"])
    assert ids(second) == ["p2", "p3"]
    third = client.get(second.json()["next"])
    assert (ids(third), third.json()["next"]) == (["p4"], None)
    assert ids(client.get(third.json()["previous"])) == ["p2", "p3"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("cuisine=deli", "13"),
        ("cuisine=%20deli%20", "13"),
        ("cuisine=none", ""),
        ("cuisine=", "01234"),
        ("cuisine=thai&cuisine=deli", "13"),
        ("unknown=1&format=xml", "01234"),
    ],
)
def test_the_list_is_narrowed_by_cuisine(
    client: Client, make_place: MakePlace, query: str, expected: str
) -> None:
    for number in range(5):
        make_place(f"p{number}", 0, 0, cuisine="deli" if number % 2 else "thai")
    assert ids(client.get(f"{URL}?{query}")) == [f"p{digit}" for digit in expected]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("cuisine=Deli", "cuisine"),
        ("cuisine=%00", "cuisine"),
        ("cuisine=" + "x" * 65, "cuisine"),
        ("cuisine=%ED%A0%80", "cuisine"),
        ("per_page=0", "per_page"),
        ("per_page=101", "per_page"),
        ("per_page=%D9%A3", "per_page"),
        ("cursor=x", "cursor"),
    ],
)
def test_a_bad_parameter_of_the_list_is_400_and_named(
    client: Client, transactional_db: None, query: str, field: str
) -> None:
    assert_problem(client.get(f"{URL}?{query}"), 400, field)


def test_a_page_of_the_list_costs_two_queries_and_then_one(
    client: Client, make_place: MakePlace, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(5):
        make_place(f"p{number}", 0, 0)
    for queries in (2, 1):
        with django_assert_num_queries(queries):
            response = client.get(URL)
        assert response["Cache-Status"] == "headwater; fwd=uri-miss; detail=db"


def test_one_place_names_its_layer_and_is_304_for_who_has_it(
    client: Client, make_place: MakePlace
) -> None:
    make_place("p1", 1, 2)
    first = client.get(f"{URL}p1/")
    assert first["Cache-Status"] == "headwater; fwd=uri-miss; stored; detail=db"
    second = client.get(f"{URL}p1/", headers={"If-None-Match": first["ETag"]})
    assert (second.status_code, second.content) == (304, b"")
    assert re.fullmatch(r"headwater; hit; ttl=\d+; detail=l[12]", second["Cache-Status"])


def test_with_the_database_gone_cached_reads_go_on_and_the_rest_is_503(
    staff: Client, client: Client, make_place: MakePlace
) -> None:
    def broken(*_: Any) -> None:
        raise OperationalError("could not connect to server: secret-host")

    make_place("p1", 1, 2)
    assert client.get(f"{URL}p1/").status_code == 200
    with connection.execute_wrapper(broken):
        assert client.get(f"{URL}p1/").status_code == 200
        for response in (
            *(client.get(url) for url in (f"{URL}p2/", URL, f"{URL}nearby/?lat=0&lon=0")),
            staff.patch(f"{URL}p1/", NEW, JSON),
        ):
            assert_problem(response, 503)
            assert int(response["Retry-After"]) > 0
            assert b"secret-host" not in response.content
    assert client.get(URL).status_code == 200


def test_a_card_built_from_a_write_is_the_card_that_is_loaded(make_place: MakePlace) -> None:
    place = make_place("p1", 1.5, 180.0, metadata={"a": 1})
    assert cards.card_of(place) == cards.load_cards(["p1"])["p1"]
