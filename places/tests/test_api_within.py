"""The rules of `places/within/`: what is in a box, page by page, and which boxes there are.

Promise: the edges belong to the box, the antimeridian cuts none, and index and table answer alike.
On failure: the broken rule is the test's name.
"""

import re
from collections.abc import Callable, Sequence
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client

from places.cards import PlaceCard, cards
from places.models import Place
from places.tests.conftest import MakePlace
from places.tests.test_api_nearby import NO_NUMBERS, TABLE
from places.tests.test_api_places import FIELDS, assert_problem, ids
from rest.cursor import Cursor

URL = "/api/v1/places/within/"
Index = Callable[[], int]


@pytest.fixture
def world(make_place: MakePlace) -> None:
    """Places in a town, at its edges, at both sides of the antimeridian and at a pole."""
    for id, latitude, longitude in [
        *[("a", 48.0, 16.0), ("b", 48.1, 16.1), ("c", 48.2, 16.2), ("d", 48.2000001, 16.2)],
        *[("e", -17.0, 179.5), ("f", -17.0, 180.0), ("g", -17.0, -179.5), ("h", -17.0, 0.0)],
        *[("n", 90.0, 7.0), ("z", 0.0, 0.0)],
    ]:
        rating = {"b": None, "c": 4.5}.get(id, 2.0)
        cuisine = "deli" if id in "bd" else "thai"
        make_place(id, latitude, longitude, cuisine=cuisine, rating=rating)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("bbox=16,48,16.2,48.2", "abc"),
        ("bbox=16.1,48.1,16.1,48.1", "b"),
        ("bbox=16.1,48,16.1,49", "b"),
        ("bbox=16,48.1,17,48.1", "b"),
        ("bbox=16.05,48.05,16.15,48.15", "b"),
        ("bbox=16.15,48,16.05,48.2", "ac"),
        ("bbox=179,-18,-179,-16", "efg"),
        ("bbox=179,-18,180,-16", "ef"),
        ("bbox=-180,-18,-179,-16", "fg"),
        ("bbox=180,-18,-179,-16", "fg"),
        ("bbox=180,-17,180,-17", "f"),
        ("bbox=-180,-17,-180,-17", "f"),
        ("bbox=180,-17,-180,-17", "f"),
        ("bbox=179.5,-17,-179.5,-17", "efg"),
        ("bbox=-179.5,-18,179.5,-16", "egh"),
        ("bbox=-180,-90,180,90", "abcdefghnz"),
        ("bbox=1,-90,0,90", "abcdefghnz"),
        ("bbox=-180,89,180,90", "n"),
        ("bbox=6,90,8,90", "n"),
        ("bbox=-0,-0,0,0", "z"),
        ("bbox=%2B1.6e1,4.8e1,16.2,48.2", "abc"),
        ("bbox=1,1,2,2&bbox=16,48,16.2,48.2", "abc"),
        ("bbox=16,48,17,49&cuisine=deli", "bd"),
        ("bbox=16,48,17,49&min_rating=2.5", "c"),
        ("bbox=16,48,17,49&min_rating=0", "acd"),
        ("bbox=16,48,17,49&cuisine=thai&min_rating=2", "ac"),
        ("bbox=16,48,17,49&limit=2", "ab"),
        ("bbox=16,48,17,49&limit=&cuisine=&min_rating=&cursor=&format=&unknown=1", "abcd"),
    ],
)
def test_a_box_has_the_places_in_it_and_on_its_edges(
    client: Client, world: None, index: Index, query: str, expected: str
) -> None:
    assert client.get(f"{URL}?{query}")["Cache-Status"] == TABLE
    for _ in range(2):
        assert "".join(ids(client.get(f"{URL}?{query}"))) == expected
        index()


def test_a_place_in_a_box_is_answered_as_by_its_id(client: Client, world: None) -> None:
    body = client.get(f"{URL}?bbox=16,48,16,48").json()
    assert list(body) == ["next", "previous", "results"]
    assert (body["next"], body["previous"]) == (None, None)
    assert list(body["results"][0]) == FIELDS
    assert body["results"] == [client.get("/api/v1/places/a/").json()]


@pytest.mark.parametrize("limit", [1, 3, 9, 10])
@pytest.mark.parametrize("indexed", [True, False])
def test_the_links_lead_through_every_place_once_and_keep_the_parameters(
    client: Client, world: None, index: Index, limit: int, indexed: bool
) -> None:
    if indexed:
        index()
    address = f"{URL}?bbox=-180,-90,180,90&limit={limit}&min_rating=1&unknown=a%26b"
    pages = []
    while address:
        assert parse_qs(urlsplit(address).query).keys() >= {"bbox", "limit", "unknown"}
        body = client.get(address).json()
        pages.append("".join(place["id"] for place in body["results"]))
        assert body["previous"] is None
        address = body["next"]
    assert "".join(pages) == "acdefghnz"
    assert all(len(page) == limit for page in pages[:-1])


def test_a_page_whose_places_go_as_it_is_read_leads_on(
    client: Client, world: None, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    index()
    hydrate = cards.get_many

    def get_many(ids: Sequence[str]) -> dict[str, PlaceCard]:
        found = hydrate(ids)
        Place.objects.filter(pk="a").delete()
        return found

    monkeypatch.setattr(cards, "get_many", get_many)
    first = client.get(f"{URL}?bbox=16,48,17,49&limit=1")
    assert ids(first) == []
    assert ids(client.get(first.json()["next"])) == ["b"]


def test_places_that_come_and_go_make_no_page_skip_or_repeat_another(
    client: Client, world: None, make_place: MakePlace, index: Index
) -> None:
    index()
    first = client.get(f"{URL}?bbox=16,48,17,49&limit=2").json()
    Place.objects.filter(pk="b").delete()
    make_place("aa", 48.1, 16.1)
    make_place("bb", 48.1, 16.1)
    assert ids(client.get(first["next"])) == ["bb", "c"]


@pytest.mark.parametrize(
    "bbox",
    [
        *(
            "",
            "1",
            "1,2,3",
            "1,2,3,4,5",
            "1,2,3,4,5,6",
            ",,,",
            "1,2,3,",
            ",2,3,4",
            "1,,3,4",
            "1 2 3 4",
        ),
        *("-180.1,0,0,0", "0,-90.1,0,0", "0,0,180.1,0", "0,0,0,90.1", "0,1,0,0", "1;2;3;4"),
        *("1, 2,3,4", "[1,2,3,4]", "1,2,3,4\0", "1,2,3,4\n", "1\uff0c2,3,4"),
    ],
)
def test_what_is_no_box_is_400_and_named(client: Client, transactional_db: None, bbox: str) -> None:
    assert_problem(client.get(URL, {"bbox": bbox}), 400, "bbox")


@pytest.mark.parametrize("side", range(4))
def test_a_side_is_a_number_in_ascii(client: Client, transactional_db: None, side: int) -> None:
    for text in NO_NUMBERS:
        sides = ["0", "0", "0", "0"]
        sides[side] = text
        assert_problem(client.get(f"{URL}?bbox={','.join(sides)}"), 400, "bbox")


def test_the_problem_says_which_side_is_wrong_and_how(
    client: Client, transactional_db: None
) -> None:
    said = {
        bbox: client.get(f"{URL}?bbox={bbox}").json()["errors"]["bbox"]
        for bbox in ("1,2,3", "0,91,0,92", "0,0,nan,0", "0,2,0,1")
    }
    assert list(said.values()) == [
        ["Four numbers: west,south,east,north."],
        ["The south: A number from -90 to 90."],
        ["The east: A number from -180 to 180."],
        ["The south is not above the north."],
    ]


def test_every_bad_parameter_is_named(client: Client, transactional_db: None) -> None:
    assert_problem(client.get(URL), 400, "bbox")
    fields = ("bbox", "limit", "min_rating", "cuisine", "format", "cursor")
    query = "bbox=1&limit=101&min_rating=NaN&cuisine=A%20B&format=kml&cursor=%00"
    assert_problem(client.get(f"{URL}?{query}"), 400, *fields)


@pytest.mark.parametrize("cursor", ["x", Cursor("a", back=True).encode(), "bnByb2RfMw=="])
def test_a_cursor_of_no_page_of_a_box_is_400(
    client: Client, transactional_db: None, cursor: str
) -> None:
    assert_problem(client.get(f"{URL}?bbox=0,0,1,1&cursor={cursor}"), 400, "cursor")


def test_the_status_names_the_table_or_at_best_the_index(
    client: Client, world: None, index: Index
) -> None:
    url = f"{URL}?bbox=16,48,17,49"
    assert [client.get(url)["Cache-Status"] for _ in range(2)] == [TABLE, TABLE]
    index()
    for address in (url, f"{URL}?bbox=50,50,51,51"):
        status = client.get(address)["Cache-Status"]
        assert re.fullmatch(r"headwater; hit; ttl=\d+; detail=l2", status)
    assert client.get(f"{URL}?bbox=16,48,17,90")["Cache-Status"] == TABLE


def test_an_answer_the_client_has_is_304(client: Client, world: None) -> None:
    url = f"{URL}?bbox=16,48,17,49"
    headers = {"If-None-Match": client.get(url)["ETag"]}
    assert client.get(url, headers=headers).status_code == 304
    Place.objects.filter(pk="a").delete()
    assert client.get(url, headers=headers).status_code == 200
