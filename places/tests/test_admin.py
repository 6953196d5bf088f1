"""Places in the admin: its pages, its map, and what they do to the index and the caches.

Promise: every page opens, no list asks a query a row, nothing is loaded from elsewhere, and what is written
here is found where it is now.
On failure: the broken rule is the test's name.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.contrib.staticfiles import finders
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from caching.node import current
from places import admin_map, geoindex, services
from places.cards import cards
from places.models import Place
from places.nearby import nearest
from places.sphere import Point
from places.tests.conftest import MakePlace, fill

PLACES = "/admin/places/place/"
NOODLES = f"{PLACES}place_noodles/"
BERLIN = {"latitude": 52.52, "longitude": 13.405}
FORM = {"name": "Noodles", "cuisine": "thai", "rating": "3.5", "metadata": "{}", **BERLIN}
AROUND: dict[str, Any] = {**BERLIN, "radius": "5000"}


@pytest.fixture
def noodles(make_place: MakePlace) -> Place:
    """A place in Berlin."""
    return make_place("place_noodles", **BERLIN, name="Noodles")


@pytest.fixture
def colleague(transactional_db: None) -> Callable[..., Client]:
    """Makes a client logged in as staff with the given permissions on places."""

    def make(*verbs: str) -> Client:
        user = get_user_model().objects.create_user("colleague", is_staff=True)
        names = [f"{verb}_place" for verb in verbs]
        user.user_permissions.set(Permission.objects.filter(codename__in=names))
        client = Client()
        client.force_login(user)
        return client

    return make


def text_of(client: Client, url: str) -> str:
    response = client.get(url)
    assert response.status_code == 200
    return response.content.decode()


def near(latitude: float, longitude: float, radius: float = 1000.0) -> list[str]:
    found = nearest(Point(latitude, longitude), limit=10, radius=radius)
    assert geoindex.life()
    return [place.id for place, _ in found.places]


@pytest.mark.parametrize(
    "url",
    [
        PLACES,
        f"{PLACES}?q=noodles&cuisine=thai",
        f"{PLACES}?_facets=True",
        f"{PLACES}add/",
        f"{NOODLES}change/",
        f"{NOODLES}history/",
        f"{NOODLES}delete/",
        f"{NOODLES}nearby/",
        f"{PLACES}neighbours/?latitude=52.52&longitude=13.405&radius=5000",
    ],
)
def test_every_page_opens_with_an_index_and_without_one(
    staff: Client, noodles: Place, index: Callable[[], int], url: str
) -> None:
    assert staff.get(url).status_code == 200
    index()
    assert staff.get(url).status_code == 200


@pytest.mark.parametrize("url", [PLACES, f"{NOODLES}change/", f"{NOODLES}nearby/"])
def test_every_page_opens_with_redis_gone(
    staff: Client, noodles: Place, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    text_of(staff, url)
    monkeypatch.setattr(current().far, "guarded", _down)
    page = text_of(staff, url)
    if url.endswith("change/"):
        assert "Redis does not answer" in page


def _down(*_: Any) -> Any:
    from caching.errors import FarDown

    raise FarDown("unplugged")


def test_a_list_of_places_asks_no_query_a_row(
    staff: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    fill(Place(id=f"place_{n}", name="Noodles", **BERLIN) for n in range(90))
    with django_assert_max_num_queries(8):
        staff.get(PLACES)


@pytest.mark.parametrize("page", ["change", "nearby"])
def test_the_page_of_a_place_asks_no_query_a_neighbour(
    staff: Client, noodles: Place, django_assert_max_num_queries: DjangoAssertNumQueries, page: str
) -> None:
    fill(Place(id=f"place_{n}", name="Noodles", **BERLIN) for n in range(90))
    with django_assert_max_num_queries(10):
        staff.get(f"{NOODLES}{page}/")


def test_places_are_found_by_id_and_by_name(staff: Client, make_place: MakePlace) -> None:
    make_place("place_b25671", **BERLIN, name="Kottbusser Grill")
    make_place("place_c", **BERLIN, name="Other")
    for query in ("b25671", "kottbusser"):
        page = text_of(staff, f"{PLACES}?q={query}")
        assert "Kottbusser Grill" in page
        assert "Other" not in page


def test_the_list_filters_by_cuisine_and_by_none(staff: Client, make_place: MakePlace) -> None:
    make_place("place_a", **BERLIN, name="Curry", cuisine="thai")
    make_place("place_b", **BERLIN, name="Bench", cuisine="")
    page = text_of(staff, f"{PLACES}?cuisine=thai")
    assert "Curry" in page
    assert "Bench" not in page
    page = text_of(staff, f"{PLACES}?cuisine=(none)")
    assert "Bench" in page
    assert "Curry" not in page


@pytest.mark.parametrize("value", ["%00", "a b", "THAI", "a" * 65, "%F0%9F%8D%9C"])
def test_what_is_no_cuisine_has_no_places(staff: Client, noodles: Place, value: str) -> None:
    assert "0 places" in text_of(staff, f"{PLACES}?cuisine={value}")


@pytest.mark.parametrize(
    "query",
    ["id__regex=(", "name=%00", "latitude__gte=nan", "metadata__a=1", "cuisine__contains=t"],
)
def test_nothing_else_is_looked_up_by_an_address(staff: Client, noodles: Place, query: str) -> None:
    assert staff.get(f"{PLACES}?{query}").status_code == 400


@pytest.mark.parametrize("id", ["%00", "a%00b", "a b", "a" * 65])
def test_what_is_no_id_is_the_page_of_no_place(
    staff: Client, transactional_db: None, id: str
) -> None:
    assert staff.get(f"{PLACES}{id}/nearby/").status_code == 404
    for page in ("change", "delete", "history"):
        assert staff.get(f"{PLACES}{id}/{page}/")["Location"] == "/admin/"


@pytest.mark.parametrize("url", [f"{PLACES}add/", f"{NOODLES}change/", f"{NOODLES}nearby/"])
def test_a_page_with_a_map_loads_local_files_that_exist_and_has_no_script_in_it(
    staff: Client, noodles: Place, url: str
) -> None:
    page = text_of(staff, url)
    loaded = re.findall(r'<(?:script|img)\b[^>]*?\ssrc="([^"]*)"', page)
    loaded += re.findall(r'<link\b[^>]*?\shref="([^"]*)"', page)
    loaded += re.findall(r'data-(?:icon|retina|shadow)="([^"]*)"', page)
    assert "/static/places/leaflet/leaflet.js" in loaded
    for address in loaded:
        assert address.startswith("/")
        assert not address.startswith("//")
        answer = staff.get(address)
        answer.close()
        assert answer.status_code == 200, address
    scripts = re.findall(r"<script\b([^>]*)>([^<]*)<", page)
    assert all("src=" in attributes and not body.strip() for attributes, body in scripts)
    assert not re.search(r"<style\b|\sstyle=|\son[a-z]+=|javascript:", page)


def test_the_map_itself_names_no_other_machine_and_no_file_that_is_missing() -> None:
    for name in ("place-map.js", "place-map.css", "leaflet/leaflet.css", "leaflet/leaflet.js"):
        found = finders.find(f"places/{name}")
        assert found is not None
        text = Path(found).read_text()
        assert "sourceMappingURL" not in text
        if not name.startswith("leaflet/"):
            assert not re.search(r"https?:|//[a-z]", text)
        for address in set(re.findall(r"url\(([^)]+)\)", text)) - {"#default#VML"}:
            assert finders.find(f"places/leaflet/{address}")
    assert finders.find("places/leaflet/LICENSE")


def test_who_may_change_a_place_may_move_its_pin(staff: Client, noodles: Place) -> None:
    for page in (text_of(staff, f"{NOODLES}change/"), text_of(staff, f"{PLACES}add/")):
        assert "data-movable" in page
        assert 'id="id_latitude"' in page
        assert f'data-neighbours="{PLACES}neighbours/"' in page
    assert 'data-latitude="52.52"' in text_of(staff, f"{NOODLES}change/")
    assert 'data-latitude=""' in text_of(staff, f"{PLACES}add/")


def test_who_may_only_look_sees_the_map_and_moves_nothing(
    colleague: Callable[..., Client], noodles: Place
) -> None:
    looker = colleague("view")
    page = text_of(looker, f"{NOODLES}change/")
    assert 'data-latitude="52.52"' in page
    assert "data-movable" not in page
    assert 'id="id_latitude"' not in page
    assert "data-movable" not in text_of(looker, f"{NOODLES}nearby/")
    assert looker.get(f"{PLACES}neighbours/", AROUND).status_code == 200
    assert looker.post(f"{NOODLES}change/", {**FORM, "latitude": "1"}).status_code == 403
    assert looker.post(f"{PLACES}add/", {**FORM, "id": "place_b"}).status_code == 403
    assert looker.post(f"{NOODLES}delete/", {"post": "yes"}).status_code == 403
    assert list(Place.objects.values_list("latitude", flat=True)) == [52.52]


def test_who_may_not_look_sees_no_neighbours(
    colleague: Callable[..., Client], noodles: Place
) -> None:
    adder = colleague("add")
    assert 'data-neighbours=""' in text_of(adder, f"{PLACES}add/")
    for client, status in ((adder, 403), (Client(), 302)):
        assert client.get(f"{NOODLES}nearby/").status_code == status
        assert client.get(f"{PLACES}neighbours/", AROUND).status_code == status


def test_numbers_are_written_for_the_map_as_scripts_read_them(
    staff: Client, noodles: Place, settings: Any
) -> None:
    settings.LANGUAGE_CODE = "de"
    assert 'data-latitude="52.52"' in text_of(staff, f"{NOODLES}change/")


def test_a_place_that_moves_is_found_where_it_is_now(
    staff: Client, noodles: Place, index: Callable[[], int]
) -> None:
    index()
    assert near(52.52, 13.405) == ["place_noodles"]
    moved = {**FORM, "name": "Soup", "latitude": "-33.9", "longitude": "18.4"}
    assert staff.post(f"{NOODLES}change/", moved).status_code == 302
    assert near(52.52, 13.405) == []
    assert near(-33.9, 18.4) == ["place_noodles"]
    card = cards.get("place_noodles")
    assert card is not None
    assert (card.name, card.latitude) == ("Soup", -33.9)


def test_a_place_added_is_found_and_gets_an_id(
    staff: Client, transactional_db: None, index: Callable[[], int]
) -> None:
    index()
    given = re.search(r'name="id" value="(place_\w+)"', text_of(staff, f"{PLACES}add/"))
    assert given is not None
    assert staff.post(f"{PLACES}add/", {**FORM, "id": given[1]}).status_code == 302
    assert near(52.52, 13.405) == [given[1]]


def test_what_was_not_changed_on_a_page_is_not_written(
    staff: Client, noodles: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = []
    monkeypatch.setattr(services, "update_place", lambda **given: written.append(given))
    opened = {f"initial-{name}": value for name, value in FORM.items()}
    staff.post(f"{NOODLES}change/", {**FORM, **opened, "rating": "4"})
    assert written == [{"id": "place_noodles", "changes": {"rating": 4.0}}]


def test_places_deleted_on_their_page_or_in_the_list_are_gone(
    staff: Client, noodles: Place, make_place: MakePlace, index: Callable[[], int]
) -> None:
    make_place("place_soup", **BERLIN)
    index()
    cards.get_many(["place_noodles", "place_soup"])
    staff.post(f"{NOODLES}delete/", {"post": "yes"})
    assert near(52.52, 13.405) == ["place_soup"]
    data = {"action": "delete_selected", "_selected_action": ["place_soup"], "post": "yes"}
    staff.post(PLACES, data)
    assert near(52.52, 13.405) == []
    assert cards.get_many(["place_noodles", "place_soup"]) == {}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("longitude", value) for value in ("nan", "inf", "-inf", "181", "-180.1", "", "x")),
        *(("latitude", value) for value in ("nan", "inf", "90.1", "-91", "1e999", "")),
        *(("rating", value) for value in ("nan", "5.1", "-1")),
        *(("metadata", value) for value in ("[1]", "1", "{", '{"a": NaN}', '{"a": "\\u0000"}')),
        ("metadata", '{"a": 1' + "0" * 30 + "}"),
        ("metadata", '{"a": "' + "x" * 70_000 + '"}'),
        ("metadata", "[" * 100_000),
        ("metadata", '{"a": ' + "9" * 5_000 + "}"),
        ("metadata", '{"a": "\\ud800"}'),
        ("name", " "),
        ("name", "a\0b"),
        ("cuisine", "Th ai"),
        *(("id", value) for value in ("", "a b", "a\0b", "nearby", "place_noodles")),
    ],
)
def test_bad_input_is_an_error_of_the_form_by_field(
    staff: Client, noodles: Place, field: str, value: str
) -> None:
    response = staff.post(f"{PLACES}add/", {**FORM, "id": "place_b", field: value})
    assert response.status_code == 200
    assert list(response.context["adminform"].form.errors) == [field]
    assert Place.objects.count() == 1


def test_metadata_left_empty_is_an_empty_object(staff: Client, noodles: Place) -> None:
    assert staff.post(f"{NOODLES}change/", {**FORM, "metadata": ""}).status_code == 302
    assert Place.objects.get().metadata == {}


def test_a_longitude_of_180_is_stored_as_minus_180(staff: Client, noodles: Place) -> None:
    assert staff.post(f"{NOODLES}change/", {**FORM, "longitude": "180"}).status_code == 302
    assert Place.objects.get().longitude == -180.0


@pytest.mark.parametrize(
    ("raised", "message"),
    [
        (services.PlaceExists, "There is a place of this id already."),
        (Place.DoesNotExist, "The place was deleted meanwhile."),
    ],
)
def test_who_comes_second_is_told_so(
    staff: Client,
    noodles: Place,
    monkeypatch: pytest.MonkeyPatch,
    raised: type[Exception],
    message: str,
) -> None:
    def refuse(**_: Any) -> None:
        raise raised

    monkeypatch.setattr(services, "update_place", refuse)
    response = staff.post(f"{NOODLES}change/", {**FORM, "name": "Soup"}, follow=True)
    assert message in response.content.decode()


def test_the_page_nearby_lists_the_nearest_others_with_their_distances(
    staff: Client, noodles: Place, make_place: MakePlace
) -> None:
    make_place("place_25671", 52.52, 13.406, name="Next door")
    make_place("place_far", 53.55, 10.0, name="Hamburg")
    page = text_of(staff, f"{NOODLES}nearby/")
    rows = re.findall(r'<th scope="row"><a href="([^"]+)">([^<]+)</a>', page)
    assert [name for _, name in rows] == ["Next door", "Hamburg"]
    assert "67.7 m" in page
    assert "254.82 km" in page
    for url, name in rows:
        assert name in text_of(staff, url)


def test_the_page_nearby_lists_a_bounded_number(
    staff: Client, noodles: Place, index: Callable[[], int]
) -> None:
    fill(Place(id=f"place_{n}", name="Noodles", **BERLIN) for n in range(30))
    index()
    page = text_of(staff, f"{NOODLES}nearby/")
    assert len(re.findall(r'<th scope="row">', page)) == admin_map.NEAREST


def test_the_page_of_a_place_leads_to_those_nearby(staff: Client, make_place: MakePlace) -> None:
    make_place("place_25671", **BERLIN)
    link = reverse("admin:places_place_nearby", args=["place_5F25671"])
    assert f'href="{link}"' in text_of(staff, f"{PLACES}place_5F25671/change/")
    assert staff.get(link).status_code == 200


def test_the_dots_are_the_places_around_with_their_pages(
    staff: Client, noodles: Place, make_place: MakePlace
) -> None:
    make_place("place_far", 53.55, 10.0)
    answer = staff.get(f"{PLACES}neighbours/", AROUND).json()
    assert answer == {
        "places": [
            {
                "id": "place_noodles",
                "name": "Noodles",
                **BERLIN,
                "url": "/admin/places/place/place_5Fnoodles/change/",
            }
        ]
    }
    assert staff.post(f"{PLACES}neighbours/").status_code == 405


@pytest.mark.parametrize(
    ("name", "value"),
    [("latitude", "nan"), ("latitude", "91"), ("longitude", "inf"), ("longitude", "-181"),
     ("radius", "0"), ("radius", "500001"), ("radius", "nan"), ("radius", "")],
)  # fmt: skip
def test_dots_around_no_circle_are_refused_by_field(
    staff: Client, transactional_db: None, name: str, value: str
) -> None:
    response = staff.get(f"{PLACES}neighbours/", {**AROUND, name: value})
    assert response.status_code == 400
    assert list(response.json()["errors"]) == [name]


def test_the_page_of_a_place_shows_each_layer_and_loads_nothing(
    staff: Client, noodles: Place
) -> None:
    page = text_of(staff, f"{NOODLES}change/")
    assert "L1, this process: nothing" in page
    assert "L2, Redis: nothing" in page
    assert cards.peek("place_noodles").far is None
    cards.get("place_noodles")
    assert "L2, Redis: Noodles, fresh, ttl" in text_of(staff, f"{NOODLES}change/")
