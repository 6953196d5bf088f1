"""The rules of `places/nearby/`: what is found, in which order, page by page.

Promise: every answer is held against brute force, with the index and without.
On failure: the broken rule is the test's name.
"""

import random
import re
from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client

from places import tiles
from places.models import Place
from places.tests.conftest import MakePlace, fill
from places.tests.oracle import Oracle, Wanted, differences
from places.tests.test_api_places import FIELDS, assert_problem, ids

URL = "/api/v1/places/nearby/"
Index = Callable[[], int]
INDEX, TABLE = "headwater; hit", "headwater; fwd=uri-miss; detail=db"


@pytest.fixture(params=["index", "table"])
def source(request: pytest.FixtureRequest, index: Index) -> Callable[[], str]:
    """Has the index or the table answer from here on; what `Cache-Status` begins with then."""

    def choose() -> str:
        if request.param == "table":
            return TABLE
        index()
        return INDEX

    return choose


@pytest.fixture
def town(transactional_db: None) -> Oracle:
    """Three hundred places around a point, some of them at one spot, and one at each end of the world."""
    chance = random.Random(7)
    places = [
        Place(
            id=f"p{number:03}",
            name=f"Place {number}",
            latitude=48.0 + chance.uniform(-0.1, 0.1) * (number % 10 > 0),
            longitude=16.0 + chance.uniform(-0.1, 0.1) * (number % 10 > 0),
            cuisine=("thai", "deli", "")[number % 3],
            rating=None if number % 7 == 0 else number % 11 / 2,
        )
        for number in range(300)
    ]
    places += [
        Place(id="north", name="North", latitude=90.0, longitude=5.0),
        Place(id="south", name="South", latitude=-89.9, longitude=-100.0),
        Place(id="east", name="East", latitude=0.5, longitude=179.95),
        Place(id="west", name="West", latitude=0.5, longitude=-179.95),
    ]
    fill(places)
    return Oracle(list(Place.objects.all()))


def found(response: Any) -> list[tuple[str, float]]:
    """Ids and metres."""
    assert response.status_code == 200, response.content
    results = response.json()["results"]
    return [(place["id"], place["distance_km"] * 1000) for place in results]


def walk(client: Client, url: str) -> list[list[tuple[str, float]]]:
    """What this page and all behind it hold."""
    pages = []
    address: str | None = url
    while address:
        response = client.get(address)
        pages.append(found(response))
        assert response.json()["previous"] is None
        address = response.json()["next"]
    return pages


def test_a_place_nearby_has_all_its_fields_and_how_far_and_where_it_is(
    client: Client, make_place: MakePlace
) -> None:
    make_place("p1", 48.0, 16.0, metadata={"a": 1})
    body = client.get(f"{URL}?lat=48.1&lon=16").json()
    assert list(body) == ["next", "previous", "results"]
    assert (body["next"], body["previous"]) == (None, None)
    [place] = body["results"]
    assert list(place) == [*FIELDS, "distance_km", "coordinates"]
    assert place["coordinates"] == [16.0, 48.0]
    assert place["metadata"] == {"a": 1}
    # A tenth of a degree on a sphere of 6371.0088 km.
    assert place["distance_km"] == 11.119508


@pytest.mark.parametrize(
    "wanted",
    [
        Wanted(48.0, 16.0, 20),
        Wanted(48.05, 16.02, 100, 5_000.0),
        Wanted(48.05, 16.02, 100, 700.0),
        Wanted(48.0, 16.0, 100, 1e-9),
        Wanted(48.0, 16.0, 50, 20_000.0, "deli"),
        Wanted(48.0, 16.0, 100, cuisine="thai", min_rating=4.0),
        Wanted(48.0, 16.0, 100, 500_000.0, min_rating=0.0),
        Wanted(90.0, 0.0, 3),
        Wanted(-90.0, 77.0, 3),
        Wanted(0.5, 180.0, 2, 50_000.0),
        Wanted(0.5, -180.0, 2, 50_000.0),
        Wanted(-48.0, -164.0, 100),
    ],
)
def test_the_nearest_are_found_in_their_order_and_to_the_millimetre(
    client: Client, town: Oracle, source: Callable[[], str], wanted: Wanted
) -> None:
    source()
    query: dict[str, Any] = {"lat": wanted.latitude, "lon": wanted.longitude, "limit": wanted.limit}
    if wanted.radius < float("inf"):
        query["radius_km"] = wanted.radius / 1000
    if wanted.cuisine:
        query["cuisine"] = wanted.cuisine
    if wanted.min_rating is not None:
        query["min_rating"] = wanted.min_rating
    assert differences(found(client.get(URL, query)), town.nearest(wanted), wanted.limit) == []


@pytest.mark.parametrize("limit", [1, 7, 29, 30, 31, 100])
def test_the_links_lead_through_every_place_once_and_end(
    client: Client, town: Oracle, source: Callable[[], str], limit: int
) -> None:
    source()
    # Thirty of them at the centre itself: ties go by id, over the ends of pages too.
    radius = 1_500.0 if limit == 1 else 20_000.0
    pages = walk(client, f"{URL}?lat=48&lon=16&radius_km={radius / 1000}&limit={limit}")
    every = [place for page in pages for place in page]
    assert [id for id, _ in every[:30]] == [f"p{number:03}" for number in range(0, 300, 10)]
    assert differences(every, town.nearest(Wanted(48.0, 16.0, 500, radius)), 500) == []
    assert all(len(page) == limit for page in pages[:-1])
    assert pages[-1]


def test_the_next_page_keeps_the_other_parameters(client: Client, town: Oracle) -> None:
    asked = {
        "lat": "48.0",
        "lon": "+16",
        "radius_km": "1e1",
        "limit": "3",
        "cuisine": "thai",
        "min_rating": "0.5",
        "unknown": "a b&é",
    }
    link = client.get(URL, asked).json()["next"]
    given = parse_qs(urlsplit(link).query)
    assert given.pop("cursor")
    assert given == {name: [value] for name, value in asked.items()}


def test_places_that_come_and_go_make_no_page_skip_or_repeat_another(
    client: Client, make_place: MakePlace, source: Callable[[], str]
) -> None:
    for number in range(6):
        make_place(f"p{number}", number / 1000, 0)
    source()
    first = client.get(f"{URL}?lat=0&lon=0&limit=3").json()
    Place.objects.filter(pk="p2").delete()
    make_place("near", 0.0005, 0)
    make_place("far", 0.0045, 0)
    assert ids(client.get(first["next"])) == ["p3", "p4", "far"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("lat=%2B0&lon=-0", "012345"),
        ("lat=0e0&lon=.0", "012345"),
        ("lat=9&lat=0&lon=0", "012345"),
        ("lat=0&lon=180&lon=0&radius_km=", "012345"),
        ("lat=0&lon=0&radius_km=0.3", "012"),
        ("lat=0&lon=0&radius_km=1&limit=2", "01"),
        ("lat=0&lon=0&cuisine=deli", "135"),
        ("lat=0&lon=0&cuisine=%20deli%20&limit=2", "13"),
        ("lat=0&lon=0&cuisine=none", ""),
        ("lat=0&lon=0&min_rating=3", "345"),
        ("lat=0&lon=0&min_rating=-0", "012345"),
        ("lat=0&lon=0&min_rating=5", "5"),
        ("lat=0&lon=0&cuisine=&min_rating=&cursor=&format=&limit=", "012345"),
        ("lat=0&lon=0&format=json&unknown=%ED%A0%80%00", "012345"),
    ],
)
def test_parameters_narrow_a_search(
    client: Client, make_place: MakePlace, index: Index, query: str, expected: str
) -> None:
    for number in range(6):
        cuisine = "deli" if number % 2 else "thai"
        make_place(f"p{number}", number / 1000, 0, cuisine=cuisine, rating=number)
    for _ in range(2):
        assert ids(client.get(f"{URL}?{query}")) == [f"p{digit}" for digit in expected]
        index()


@pytest.mark.parametrize("min_rating", ["", "&min_rating=0"])
def test_a_place_without_a_rating_has_not_even_the_least(
    client: Client, make_place: MakePlace, min_rating: str
) -> None:
    make_place("p1", 0, 0, rating=None)
    assert ids(client.get(f"{URL}?lat=0&lon=0{min_rating}")) == ([] if min_rating else ["p1"])


NO_NUMBERS = [
    *("x", "%20", "NaN", "nan", "Infinity", "-inf", "1e999", "9" * 5000, "1_0", "0x1", "1,0"),
    *("%00", "%D9%A3", "%EF%BC%91", "%C2%B2", "%ED%A0%80", "%ff", "%201", "1%20", "+1", "1%0A"),
]


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("lat", ["", "90.0001", "-91", *NO_NUMBERS]),
        ("lon", ["", "180.0001", "-181", *NO_NUMBERS]),
        ("radius_km", ["0", "-0", "1e-400", "-1", "500.0001", *NO_NUMBERS]),
        ("min_rating", ["-0.1", "5.1", *NO_NUMBERS]),
        ("limit", ["0", "101", "-1", "%2B1", "1.0", "1e1", "0020", *NO_NUMBERS]),
        ("cuisine", ["Thai", "a%20b", "x" * 65, "%00", "%D9%A3", "%ED%A0%80", "a%0Ab", "%22"]),
        ("format", ["xml", "GeoJSON", "geojson%00", "%ED%A0%80", "api"]),
        ("cursor", ["x", "=", "%00", "%F0%9F%8D%9E", "bnByb2RfMw", "A" * 5000]),
    ],
)
def test_a_bad_parameter_is_400_and_named(
    client: Client, transactional_db: None, field: str, values: list[str]
) -> None:
    for value in values:
        query = {"lat": "1", "lon": "1", field: value}
        address = "&".join(f"{name}={text}" for name, text in query.items())
        assert_problem(client.get(f"{URL}?{address}"), 400, field)


def test_every_bad_parameter_is_named(client: Client, transactional_db: None) -> None:
    assert_problem(client.get(URL), 400, "lat", "lon")
    query = "lon=181&limit=x&radius_km=0&min_rating=9&format=xml&cuisine=A&cursor=x"
    fields = ("lat", "lon", "limit", "radius_km", "min_rating", "format", "cuisine", "cursor")
    assert_problem(client.get(f"{URL}?{query}"), 400, *fields)


@pytest.mark.parametrize(
    "text",
    [
        "0x1.8p+1 1 p1",
        "0x1.8000000000000p+9999 1 p1",
        "inf 1 p1",
        "nan 1 p1",
        "-0x1.8000000000000p+1 p1",
        "0x1.8000000000000p+1",
        "0x1.8000000000000p+1 1 p1",
        "0x1.8000000000000p+1 p/1",
        "0x1.8000000000000p+1 p1\n",
    ],
)
def test_a_cursor_that_was_not_made_here_is_400(
    client: Client, transactional_db: None, text: str
) -> None:
    cursor = urlsafe_b64encode(text.encode()).decode().rstrip("=")
    assert_problem(client.get(f"{URL}?lat=1&lon=1&cursor={cursor}"), 400, "cursor")


@pytest.mark.parametrize("text", ["0x1.fffffffffffffp+1023 p1", "0x0.0p+0 p1"])
def test_a_cursor_from_nowhere_costs_nothing_but_an_answer(
    client: Client, make_place: MakePlace, index: Index, text: str
) -> None:
    make_place("p1", 1, 1)
    make_place("p2", 1, 1)
    cursor = urlsafe_b64encode(text.encode()).decode().rstrip("=")
    expected = ["p2"] if text.startswith("0x0") else []
    for _ in range(2):
        for radius in ("", "&radius_km=5"):
            url = f"{URL}?lat=1&lon=1&cursor={cursor}{radius}"
            assert ids(client.get(url)) == expected
        index()


@pytest.mark.parametrize("radius", ["5e-324", "1e-300", "1e-16", "0.001", "500"])
def test_any_radius_is_answered(
    client: Client, make_place: MakePlace, source: Callable[[], str], radius: str
) -> None:
    make_place("p1", 48, 16)
    status = source()
    client.get("/api/v1/places/p1/")
    response = client.get(f"{URL}?lat=48&lon=16&radius_km={radius}")
    assert ids(response) == ["p1"]
    assert response["Cache-Status"].startswith(status)


def test_a_radius_with_fewer_places_than_asked_for_is_answered_by_the_index(
    client: Client, make_place: MakePlace, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiles, "BUSY", 1000)
    make_place("p1", 48, 16)
    index()
    client.get("/api/v1/places/p1/")
    chance = random.Random(1)
    for radius in (1, 5, *(chance.uniform(0.1, 50) for _ in range(30))):
        response = client.get(f"{URL}?lat=48&lon=16&radius_km={radius}")
        assert (ids(response), response["Cache-Status"][:14]) == (["p1"], INDEX)


def test_the_status_names_the_table_or_at_best_the_index(
    client: Client, make_place: MakePlace, index: Index
) -> None:
    url = f"{URL}?lat=0&lon=0&radius_km=1"
    assert client.get(url)["Cache-Status"] == TABLE
    make_place("p1", 0, 0)
    assert [client.get(url)["Cache-Status"] for _ in range(2)] == [TABLE, TABLE]
    index()
    statuses = {client.get(url)["Cache-Status"] for _ in range(3)}
    statuses.add(client.get(f"{URL}?lat=9&lon=9&radius_km=1")["Cache-Status"])
    for status in statuses:
        match = re.fullmatch(r"headwater; hit; ttl=(\d+); detail=l2", status)
        assert match is not None, status
        assert 0 < int(match[1]) <= 86_400
    Place.objects.filter(pk="p1").update(name="New")
    # Where it is, is in the index; what it is, is to be read.
    assert client.get(url)["Cache-Status"] == "headwater; fwd=uri-miss; stored; detail=db"


def test_an_answer_the_client_has_is_304_until_a_place_in_it_changes(
    client: Client, make_place: MakePlace, index: Index
) -> None:
    url = f"{URL}?lat=0&lon=0&radius_km=1"
    make_place("p1", 0, 0)
    index()
    first = client.get(url)
    headers = {"If-None-Match": first["ETag"]}
    second = client.get(url, headers=headers)
    assert (second.status_code, second.content) == (304, b"")
    assert second["Cache-Status"].startswith(INDEX)
    assert client.head(url)["ETag"] == first["ETag"]
    Place.objects.filter(pk="p1").update(rating=1.0)
    assert client.get(url, headers=headers).status_code == 200


def test_what_is_written_over_http_is_found_where_it_is_now(
    staff: Client, client: Client, source: Callable[[], str]
) -> None:
    here, there = f"{URL}?lat=10&lon=10&radius_km=1", f"{URL}?lat=20&lon=20&radius_km=1"
    source()
    new = {"id": "p1", "name": "Café", "longitude": 10, "latitude": 10}
    staff.post("/api/v1/places/", new, "application/json")
    assert (ids(client.get(here)), ids(client.get(there))) == (["p1"], [])
    address, moved = "/api/v1/places/p1/", {"longitude": 20, "latitude": 20, "name": "Bar"}
    staff.patch(address, moved, "application/json")
    assert (ids(client.get(here)), ids(client.get(there))) == ([], ["p1"])
    assert client.get(there).json()["results"][0]["name"] == "Bar"
    staff.delete(address)
    assert ids(client.get(there)) == []
