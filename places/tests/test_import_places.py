"""`import_places` as its users run it: CSV, JSON lines and GeoJSON, good and bad, twice, with an index live.

Promise: good places are kept and found, whatever stands between them; the exit status tells what happened.
On failure: the broken rule is the test's name.
"""

import gzip
import json
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from caching import node
from places import nearby
from places.models import Place
from places.sphere import Point
from places.tests import index_keys
from places.tests.conftest import Index

HEADER = "id,name,longitude,latitude,cuisine,rating,metadata"

pytestmark = pytest.mark.django_db(transaction=True)


class Outcome(NamedTuple):
    """What a run of the command printed, and its exit status."""

    status: int
    out: str
    err: list[str]
    error: str


def run(path: Path, *options: str) -> Outcome:
    out, err = StringIO(), StringIO()
    status, error = 0, ""
    try:
        call_command("import_places", str(path), *options, stdout=out, stderr=err)
    except CommandError as raised:
        status, error = raised.returncode, str(raised)
    return Outcome(status, out.getvalue(), err.getvalue().splitlines(), error)


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join((HEADER, *lines, "")))
    return path


def good(number: int) -> str:
    metadata = '"{""seats"": 4, ""share"": 0.5}"'
    return f"place_{number},Place {number},{number / 100 - 20},{number / 200},thai,3.5,{metadata}"


def feature(id: Any = "place_1", position: Any = (7.5, 47.0), **properties: Any) -> dict[str, Any]:
    return {
        "type": "Feature",
        "id": id,
        "geometry": {"type": "Point", "coordinates": position},
        "properties": {"name": "One", **properties},
    }


def collection(path: Path, *features: Any, **members: Any) -> Path:
    text = json.dumps({"type": "FeatureCollection", **members, "features": features})
    path.write_text(text)
    return path


def found_at(latitude: float, longitude: float) -> list[str]:
    page = nearby.nearest(Point(latitude, longitude), limit=5, radius=1.0)
    return [near.place.id for near in page.places]


def test_a_file_is_imported_and_again_without_a_write_while_the_index_is_live(
    tmp_path: Path, index: Index
) -> None:
    index()
    path = write(tmp_path / "places.csv", *map(good, range(2500)))
    first = run(path)
    assert (first.status, first.err) == (0, [])
    assert first.out.startswith("created 2500, updated 0, unchanged 0, bad 0; ")
    place = Place.objects.get(pk="place_700")
    assert (place.name, place.longitude, place.latitude) == ("Place 700", -13.0, 3.5)
    assert (place.cuisine, place.rating) == ("thai", 3.5)
    assert place.metadata == {"seats": 4, "share": 0.5}
    assert index_keys.check(node.current())
    assert found_at(3.5, -13.0) == ["place_700"]
    with CaptureQueriesContext(connection) as queries:
        second = run(path)
    assert second.out.startswith("created 0, updated 0, unchanged 2500, bad 0; ")
    written = ("INSERT", "UPDATE", "DELETE")
    assert not [query for query in queries if query["sql"].startswith(written)]


def test_a_place_that_moved_is_found_where_it_is_and_nowhere_else(
    tmp_path: Path, index: Index
) -> None:
    run(write(tmp_path / "a.csv", *map(good, range(3))))
    index()
    assert found_at(0.005, -19.99) == ["place_1"]
    moved = "place_1,Place 1,-60.0,-30.0,greek,,"
    outcome = run(write(tmp_path / "b.csv", good(0), moved, good(2)))
    assert outcome.out.startswith("created 0, updated 1, unchanged 2, bad 0; ")
    assert found_at(0.005, -19.99) == []
    assert found_at(-30.0, -60.0) == ["place_1"]
    assert index_keys.check(node.current())


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("place_x,Bad,NaN,1,thai,3,", "longitude is not a number"),
        ("place_x,Bad,1,Infinity,thai,3,", "latitude is not a number"),
        ("place_x,Bad,1,-inf,thai,3,", "latitude is not a number"),
        ("place_x,Bad,180.0001,1,thai,3,", "longitude is not from -180 to 180"),
        ("place_x,Bad,1,1e400,thai,3,", "latitude is not from -90 to 90"),
        ("place_x,Bad,1,-90.5,thai,3,", "latitude is not from -90 to 90"),
        ("place_x,Bad,,1,thai,3,", "longitude is missing"),
        ("place_x,Bad,east,1,thai,3,", "longitude is not a number"),
        ("place_x,Bad,1,1,Thai Food,3,", "cuisine is not valid"),
        ("place_x,Bad,1,1,thai,5.1,", "rating is not from 0 to 5"),
        ("place_x,Bad,1,1,thai,-1,", "rating is not from 0 to 5"),
        ("place_x,Bad,1,1,thai,good,", "rating is not a number"),
        ("place_x,Bad,1,1,thai,3,[]", "metadata is not a JSON object"),
        ("place_x,Bad,1,1,thai,3,{", "metadata is not a JSON object"),
        ('place_x,Bad,1,1,thai,3,"{""a"": NaN}"', "metadata is not a JSON object"),
        ('place_x,Bad,1,1,thai,3,"{""a"": ""\\u0000""}"', "metadata: No NUL"),
        ('place_x,Bad,1,1,thai,3,"{""a"": 99999999999999999999}"', "metadata: Numbers of up to"),
        ("place_x,,1,1,thai,3,", "name is missing"),
        ("place x,Bad,1,1,thai,3,", "id is not valid"),
        ("nearby,Bad,1,1,thai,3,", "id is not valid: 'nearby'"),
        ("place_1,Twice,1,1,thai,3,", "duplicate id place_1: see line 2"),
        ("place_x,Bad,1,1,thai,3", "6 columns instead of 7"),
    ],
)
def test_a_bad_row_is_named_and_the_good_ones_are_kept(
    tmp_path: Path, row: str, reason: str
) -> None:
    outcome = run(write(tmp_path / "places.csv", good(1), row, good(2)))
    assert (outcome.status, outcome.error) == (1, "1 bad lines were skipped")
    [line] = outcome.err
    assert line.startswith("line 3: ")
    assert reason in line
    assert set(Place.objects.values_list("pk", flat=True)) == {"place_1", "place_2"}


def test_the_meridian_of_180_is_stored_by_its_one_name(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "a,East,180,-0.0,,,", "b,West,-180.0,90,,,{}")
    assert run(path).out.startswith("created 2, ")
    assert set(Place.objects.values_list("longitude", flat=True)) == {-180.0}
    assert str(Place.objects.get(pk="a").latitude) == "0.0"
    assert run(path).out.startswith("created 0, updated 0, unchanged 2, bad 0; ")


def test_json_lines_are_typed_and_gzip_is_taken_as_it_is(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"id": "a", "name": "A", "longitude": 1.5, "latitude": 2, "metadata": {"deep": [1.25]}},
        {"id": "b", "name": "B", "longitude": True, "latitude": 2},
        {"id": "c", "name": "C", "longitude": [1], "latitude": 2},
        {"id": "d", "name": "D", "longitude": 1, "latitude": 2, "metadata": "no object"},
        {"id": "e", "name": "E", "longitude": 1},
        {
            "id": "f",
            "name": "F",
            "longitude": "1.5",
            "latitude": 2,
            "rating": None,
            "cuisine": None,
        },
    ]
    path = tmp_path / "places.jsonl.gz"
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode()))
    outcome = run(path)
    assert outcome.status == 1
    assert [line.split(":")[0] for line in outcome.err] == ["line 2", "line 3", "line 4", "line 5"]
    assert list(Place.objects.values_list("pk", "metadata")) == [
        ("a", {"deep": [1.25]}),
        ("f", {}),
    ]


@pytest.mark.parametrize("name", ["places.geojson", "places.json", "places.geojson.gz"])
def test_a_collection_of_features_is_imported_with_what_has_no_column_as_metadata(
    tmp_path: Path, name: str
) -> None:
    path = collection(
        tmp_path / name,
        feature("a", (180, 47.25, 300), cuisine="thai", rating=4.5, seats=3, open=[1.5, None]),
        feature(7, metadata={"only": "this"}, seats=3),
        {**feature(None, (1, 2)), "properties": {"name": "Own", "id": "own"}},
    )
    if name.endswith(".gz"):
        path.write_bytes(gzip.compress(path.read_bytes()))
    outcome = run(path)
    # An id of null is none.
    assert (outcome.status, outcome.err) == (0, [])
    rows = Place.objects.values_list("pk", "longitude", "latitude", "cuisine", "rating", "metadata")
    assert list(rows) == [
        ("7", 7.5, 47.0, "", None, {"only": "this"}),
        ("a", -180.0, 47.25, "thai", 4.5, {"seats": 3, "open": [1.5, None]}),
        ("own", 1.0, 2.0, "", None, {}),
    ]
    assert run(path).out.startswith("created 0, updated 0, unchanged 3, bad 0; ")


def test_a_bad_feature_is_named_by_its_number_and_costs_itself_alone(tmp_path: Path) -> None:
    bad: list[tuple[Any, str]] = [
        ({**feature(), "type": "Thing"}, "not a GeoJSON Feature"),
        ({**feature(), "geometry": None}, "geometry is not a Point"),
        ({**feature(), "geometry": {"type": "Polygon", "coordinates": []}}, "is not a Point"),
        (feature(position=[1]), "coordinates are not"),
        (feature(position=["1", "2"]), "coordinates are not"),
        (feature(position=[True, 2]), "coordinates are not"),
        (feature(position=[181, 2]), "longitude is not from"),
        (feature(position=[float("nan"), 2]), "not a JSON object"),
        (feature(position=[1, float("-inf")]), "not a JSON object"),
        ({**feature(), "properties": [1]}, "properties is not an object"),
        ({**feature(), "properties": None}, "missing name"),
        (feature(None), "missing id"),
        (feature([1]), "id is not valid"),
        (feature(name="\ud800"), "not a JSON object"),
        (feature("good"), "duplicate id good: see feature 1"),
        (17, "not a JSON object"),
    ]
    features = [feature("good"), *(each for each, _ in bad), feature("last")]
    outcome = run(collection(tmp_path / "places.geojson", *features))
    assert (outcome.status, outcome.error) == (1, f"{len(bad)} bad features were skipped")
    for number, (line, (_, reason)) in enumerate(zip(outcome.err, bad, strict=True), 2):
        assert line.startswith(f"feature {number}: ")
        assert reason in line
    assert set(Place.objects.values_list("pk", flat=True)) == {"good", "last"}


@pytest.mark.parametrize("suffix", ["geojsonl", "geojsons", "ndgeojson", "geojsonseq"])
def test_features_may_stand_one_a_line(tmp_path: Path, suffix: str) -> None:
    lines = [json.dumps(feature("a", seats=2)), "{", "", "\x1e" + json.dumps(feature("b"))]
    path = tmp_path / f"places.{suffix}"
    path.write_text("\n".join(lines))
    outcome = run(path)
    assert [line.split(":")[0] for line in outcome.err] == ["line 2"]
    assert list(Place.objects.values_list("pk", "metadata")) == [("a", {"seats": 2}), ("b", {})]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "cut off"),
        ("[]", "not JSON"),
        ('{"type": "Topology", "features": []}', "not a GeoJSON FeatureCollection"),
        ('{"type": "FeatureCollection"}', "no features"),
        ('{"features": {}}', "no features"),
        ('{"features": [1, ', "after feature 1: cut off"),
        ('{"features": [1 2]}', "after feature 1: not JSON"),
        ('{"features": []} {}', "something follows"),
        ('{"crs": {"properties": {"name": "urn:ogc:def:crs:EPSG::27700"}}}', "the crs"),
        ('{"features": [' + "[" * 100_000, "nested too deeply"),
        ('{"features": ["\xff', "not UTF-8"),
    ],
)
def test_a_file_that_is_no_collection_is_one_line_and_exit_2(
    tmp_path: Path, text: str, reason: str
) -> None:
    path = tmp_path / "places.geojson"
    path.write_bytes(text.encode("latin-1"))
    outcome = run(path)
    assert outcome.status == 2
    assert reason in outcome.error
    assert "\n" not in outcome.error


def test_a_csv_without_a_column_is_exit_2(tmp_path: Path) -> None:
    path = tmp_path / "places.csv"
    path.write_text("id,name,longitude\n")
    assert run(path).error.startswith("missing column latitude")
    assert run(path).status == 2


def test_a_dry_run_counts_the_same_and_writes_nothing(tmp_path: Path) -> None:
    path = collection(tmp_path / "places.geojson", feature("a"), feature("a"))
    dry = run(path, "--dry-run")
    assert (dry.status, dry.out[:44]) == (1, "dry run: created 1, updated 0, unchanged 0, ")
    assert not Place.objects.exists()
