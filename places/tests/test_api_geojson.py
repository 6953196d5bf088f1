"""Searches as GeoJSON (RFC 7946): how one is asked for, and what it holds.

Promise: longitude before latitude everywhere; the box is the narrowest around the points that are answered.
On failure: the broken rule is the test's name.
"""

import pytest
from django.test import Client

from places.geojson import extent
from places.sphere import Point
from places.tests.conftest import MakePlace
from places.tests.test_api_places import assert_problem

NEARBY = "/api/v1/places/nearby/?lat=48&lon=16"
WITHIN = "/api/v1/places/within/?bbox=-180,-90,180,90"
GEOJSON = "application/geo+json"


def test_nearby_is_a_collection_of_points_with_how_far_they_are(
    client: Client, make_place: MakePlace
) -> None:
    make_place("p1", 48.0, 16.0, metadata={"a": 1})
    make_place("p2", 48.1, 16.5, rating=None, cuisine="")
    response = client.get(f"{NEARBY}&format=geojson")
    assert response["Content-Type"] == GEOJSON
    body = response.json()
    assert list(body) == ["type", "bbox", "features", "next"]
    assert (body["type"], body["next"]) == ("FeatureCollection", None)
    assert body["bbox"] == [16.0, 48.0, 16.5, 48.1]
    assert body["features"][0] == {
        "type": "Feature",
        "id": "p1",
        "geometry": {"type": "Point", "coordinates": [16.0, 48.0]},
        "properties": {
            "name": "Place p1",
            "cuisine": "thai",
            "rating": 3.5,
            "metadata": {"a": 1},
            "distance_km": 0.0,
        },
    }
    assert body["features"][1]["properties"]["rating"] is None
    assert body["features"][1]["properties"]["distance_km"] == pytest.approx(38.8, abs=0.1)


def test_a_box_is_a_collection_of_points_without_a_distance(
    client: Client, make_place: MakePlace
) -> None:
    make_place("p1", 48.0, 16.0)
    [feature] = client.get(f"{WITHIN}&format=geojson").json()["features"]
    assert list(feature) == ["type", "id", "geometry", "properties"]
    assert list(feature["properties"]) == ["name", "cuisine", "rating", "metadata"]


@pytest.mark.parametrize("url", [NEARBY, WITHIN])
def test_no_places_are_a_collection_without_a_box(
    client: Client, transactional_db: None, url: str
) -> None:
    body = client.get(f"{url}&format=geojson").json()
    assert body == {"type": "FeatureCollection", "features": [], "next": None}


@pytest.mark.parametrize("url", [NEARBY, WITHIN])
def test_the_next_page_is_a_member_of_its_own_and_geojson_again(
    client: Client, make_place: MakePlace, url: str
) -> None:
    for number in range(3):
        make_place(f"p{number}", 48.0 + number, 16.0)
    found, address = [], f"{url}&format=geojson&limit=1"
    while address:
        response = client.get(address)
        assert response["Content-Type"] == GEOJSON
        found += [feature["id"] for feature in response.json()["features"]]
        address = response.json()["next"]
    assert found == ["p0", "p1", "p2"]


@pytest.mark.parametrize("url", [NEARBY, WITHIN])
@pytest.mark.parametrize(
    ("accept", "form", "expected"),
    [
        ("*/*", "", "application/json"),
        ("application/json", "", "application/json"),
        (GEOJSON, "", GEOJSON),
        ("*/*, application/geo+json", "", GEOJSON),
        ("*/*, application/geo+json;q=0.5", "", "application/json"),
        ("application/json;q=0.1, application/geo+json", "", GEOJSON),
        ("application/geo+json;q=0.1, application/json", "", "application/json"),
        ("application/geo+json;q=0, */*;q=0.1", "", "application/json"),
        ("application/json;q=0, */*", "", GEOJSON),
        ("application/json;q=0.2, application/*;q=0.8", "", GEOJSON),
        ("application/geo+json;charset=utf-8, application/json;q=0.9", "", GEOJSON),
        ("application/json;q=x, application/geo+json;q=2", "", "application/json"),
        ("application/json", "&format=geojson", GEOJSON),
        (GEOJSON, "&format=geojson", GEOJSON),
        (GEOJSON, "&format=json", "application/json"),
        ("*/*", "&format=", "application/json"),
    ],
)
def test_the_parameter_decides_and_without_one_the_accept_header(
    *, client: Client, make_place: MakePlace, url: str, accept: str, form: str, expected: str
) -> None:
    make_place("p1", 48.0, 16.0)
    response = client.get(url + form, headers={"Accept": accept})
    assert response["Content-Type"] == expected
    assert ("features" in response.json()) == (expected == GEOJSON)
    assert "Accept" in response["Vary"]


@pytest.mark.parametrize("url", [NEARBY, WITHIN])
def test_another_format_is_400_and_another_type_406(
    client: Client, transactional_db: None, url: str
) -> None:
    for form in ("xml", "GEOJSON", "geojson%20", "%00"):
        assert_problem(client.get(f"{url}&format={form}"), 400, "format")
    for accept in ("application/xml", "application/geo+json;q=0", "*/*;q=0", "geojson", ""):
        assert_problem(client.get(url, headers={"Accept": accept}), 406)
    # A problem is one in any format.
    bad = client.get("/api/v1/places/nearby/?format=geojson", headers={"Accept": GEOJSON})
    assert_problem(bad, 400, "lat", "lon")


def test_the_tag_tells_the_formats_apart(client: Client, make_place: MakePlace) -> None:
    make_place("p1", 48.0, 16.0)
    plain, collection = (client.get(f"{NEARBY}&format={form}") for form in ("json", "geojson"))
    assert plain["ETag"] != collection["ETag"]
    headers = {"If-None-Match": collection["ETag"]}
    assert client.get(f"{NEARBY}&format=geojson", headers=headers).status_code == 304
    assert client.get(NEARBY, headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("points", "box"),
    [
        ([(1, 2)], [2, 1, 2, 1]),
        ([(1, 2), (-3, 4)], [2, -3, 4, 1]),
        ([(-17, 177), (-20, -178)], [177, -20, -178, -17]),
        ([(0, 170), (0, -170), (0, 175)], [170, 0, -170, 0]),
        ([(0, -180), (0, 179)], [179, 0, 180, 0]),
        ([(0, -180), (0, -179)], [-180, 0, -179, 0]),
        ([(0, -180)], [-180, 0, -180, 0]),
        ([(0, -90), (0, 90)], [-90, 0, 90, 0]),
        ([(0, -120), (0, 0), (0, 120)], [-120, 0, 120, 0]),
        ([(90, 7), (80, 8)], [-180, 80, 180, 90]),
        ([(-90, 7)], [-180, -90, 180, -90]),
    ],
)
def test_the_box_is_the_narrowest_around_the_points(
    points: list[tuple[float, float]], box: list[float]
) -> None:
    span = extent([Point(*point) for point in points])
    assert [span.west, span.south, span.east, span.north] == box
