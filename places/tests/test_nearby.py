"""What a search finds, rule by rule: filters, pages, ties, the edges of the map, writes that show at once."""

from collections.abc import Collection
from math import inf
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from caching import node
from places import box, density, geoindex, nearby, services, tiles
from places.filters import Filters
from places.models import Place
from places.rings import BEGIN
from places.sphere import Point, Span, measure
from places.spots import Hit
from places.tests.conftest import Index, MakePlace, fill
from places.tests.world import world

pytestmark = pytest.mark.django_db(transaction=True)

HERE = Point(48.0, 2.0)


def near(center: Point = HERE, **given: Any) -> list[str]:
    """The ids, nearest first."""
    found = nearby.nearest(center, **{"limit": 20, **given})
    return [place.id for place, _ in found.places]


def counted() -> tuple[int, int]:
    """How often the index and the table have answered."""
    counts = node.current().ledger.of(geoindex.NAME)
    return counts.l2_hits, counts.misses


@pytest.fixture(params=["index", "table", "tiles"])
def by(request: pytest.FixtureRequest, index: Index, monkeypatch: pytest.MonkeyPatch) -> str:
    """Who answers: nobody may tell the difference."""
    if request.param != "table":
        index()
    if request.param == "tiles":
        monkeypatch.setattr(tiles, "BUSY", 1)
    chosen: str = request.param
    return chosen


def test_the_nearest_come_first_and_no_more_than_asked_for(by: str, make_place: MakePlace) -> None:
    for number in (3, 1, 2):
        make_place(f"p{number}", 48.0 + number / 1000, 2.0)
    assert near(limit=2) == ["p1", "p2"]


def test_a_radius_is_kept_to_the_metre(by: str, make_place: MakePlace) -> None:
    place = make_place("edge", 48.01, 2.0)
    exact = measure(HERE)(place.latitude, place.longitude)
    assert near(radius=exact + 0.001) == ["edge"]
    assert near(radius=exact - 0.001) == []


def test_ties_go_by_id(by: str, make_place: MakePlace) -> None:
    for id in ("c", "a", "b"):
        make_place(id, 48.001, 2.001)
    assert near() == ["a", "b", "c"]
    assert near(limit=2) == ["a", "b"]


def test_a_crowd_at_one_point_is_paged_through_without_a_gap(by: str, index: Index) -> None:
    fill(Place(id=f"p{number:03}", name="x", latitude=48.0, longitude=2.0) for number in range(130))
    seen: list[str] = []
    after = BEGIN
    while True:
        page = nearby.nearest(HERE, limit=25, after=after)
        seen += [place.id for place, _ in page.places]
        if page.next is None:
            break
        after = page.next
    assert seen == sorted(seen)
    assert len(seen) == 130


def test_a_crowd_at_one_point_is_not_read_for_the_sake_of_a_few(
    transactional_db: None, index: Index
) -> None:
    fill(Place(id=f"p{number:03}", name="x", latitude=48.0, longitude=2.0) for number in range(500))
    fill([Place(id="nearer", name="x", latitude=48.0, longitude=2.01)])
    index()
    center = Point(48.0, 2.02)
    found = geoindex.outward(center, least=0.0, last=inf, most=25)
    assert found.ids == ["nearer"]
    assert found.complete == pytest.approx(measure(center)(48.0, 2.0), abs=2)
    assert len(geoindex.outward(center, least=0.0, last=inf, most=600).ids) == 501


def test_filters_still_fill_the_limit(by: str, make_place: MakePlace) -> None:
    for number in range(60):
        make_place(f"poor{number:02}", 48.0 + number / 100_000, 2.0, rating=1.0)
        make_place(f"none{number:02}", 48.0 + number / 100_000, 2.0, rating=None)
    for number in range(5):
        make_place(f"good{number}", 48.1 + number / 1000, 2.0, rating=4.9, cuisine="greek")
    good = [f"good{number}" for number in range(5)]
    assert near(limit=5, filters=Filters(min_rating=4.5)) == good
    assert near(limit=5, filters=Filters("greek")) == good
    assert near(limit=5, filters=Filters("thai", 4.5)) == []
    assert near(limit=5, filters=Filters("unheard-of")) == []


def test_the_antimeridian_is_no_border(by: str, make_place: MakePlace) -> None:
    make_place("east", 10.0, -179.999)
    make_place("west", 10.0, 179.998)
    make_place("on", 10.0, 180.0)
    for longitude in (-180.0, 179.9999, -179.9999):
        assert set(near(Point(10.0, longitude), radius=1_000.0)) == {"east", "west", "on"}
    page = box.within(Span(9.0, 11.0, 179.0, -179.0), limit=10)
    assert [place.id for place in page.places] == ["east", "on", "west"]


def test_the_poles_are_points_like_others(by: str, make_place: MakePlace) -> None:
    make_place("pole", 90.0, 0.0)
    make_place("beside", 89.999, 135.0)
    make_place("across", 89.999, -45.0)
    assert near(Point(89.999, 135.0), radius=300.0) == ["beside", "pole", "across"]
    assert near(Point(90.0, -33.0), limit=1) == ["pole"]


def test_a_place_beyond_the_index_is_found(by: str, make_place: MakePlace) -> None:
    make_place("far", 85.0501, 20.0)
    make_place("near", 85.0499, 20.0)
    assert near(Point(85.04, 20.0), radius=5_000.0) == ["near", "far"]


def test_the_nearest_are_found_however_far_they_are(by: str, make_place: MakePlace) -> None:
    make_place("home", 48.0, 2.0)
    assert near(Point(-48.0, -178.0), limit=1) == ["home"]
    page = nearby.nearest(Point(-48.0, -178.0), limit=1)
    assert page.places[0].distance == pytest.approx(20_015_114.4, abs=1)


def test_a_box_is_in_the_order_of_the_ids_and_goes_on(by: str, make_place: MakePlace) -> None:
    for number in range(5):
        make_place(f"p{number}", 48.0, 2.0 + number / 100)
    make_place("out", 48.0, 2.1)
    page = box.within(Span(47.9, 48.1, 1.9, 2.05), limit=3)
    assert ([place.id for place in page.places], page.next) == (["p0", "p1", "p2"], "p2")
    page = box.within(Span(47.9, 48.1, 1.9, 2.05), limit=3, after="p2")
    assert ([place.id for place in page.places], page.next) == (["p3", "p4"], None)


def test_the_edges_of_a_box_are_in_it(by: str, make_place: MakePlace) -> None:
    make_place("corner", 47.5, 1.5)
    make_place("other", 48.5, 2.5)
    page = box.within(Span(47.5, 48.5, 1.5, 2.5), limit=3)
    assert [place.id for place in page.places] == ["corner", "other"]


def test_a_crowded_box_is_the_tables(index: Index) -> None:
    fill(
        Place(id=f"p{number:04}", name="x", latitude=48.0, longitude=2.0 + number / 1e6)
        for number in range(box.MOST_IN_BOX)
    )
    index()
    page = box.within(Span(47.9, 48.1, 1.9, 2.1), limit=100)
    assert [place.id for place in page.places] == [f"p{number:04}" for number in range(100)]
    assert counted() == (0, 1)


def test_a_move_a_rename_and_a_deletion_show_at_once(by: str, make_place: MakePlace) -> None:
    for number in range(3):
        make_place(f"p{number}", 48.0 + number / 1000, 2.0)
    assert near(radius=5_000.0) == ["p0", "p1", "p2"]
    services.update_place(id="p0", changes={"latitude": 48.0025})
    assert near(radius=5_000.0) == ["p1", "p2", "p0"]
    services.update_place(id="p1", changes={"name": "Renamed", "cuisine": "greek"})
    assert nearby.nearest(HERE, limit=1).places[0].place.name == "Renamed"
    assert near(filters=Filters("thai")) == ["p2", "p0"]
    services.delete_place(id="p2")
    assert near(radius=5_000.0) == ["p1", "p0"]
    services.update_place(id="p1", changes={"longitude": -2.0})
    assert near(radius=5_000.0) == ["p0"]
    assert near(Point(48.001, -2.0), radius=10.0) == ["p1"]


def test_a_better_rating_shows_at_once(by: str, make_place: MakePlace) -> None:
    make_place("p", 48.0, 2.0, rating=2.0)
    good = Filters(min_rating=4.0)
    assert near(filters=good, radius=100.0) == []
    services.update_place(id="p", changes={"rating": 4.0})
    assert near(filters=good, radius=100.0) == ["p"]


@pytest.mark.parametrize("way", ["update", "bulk_update", "bulk_create", "queryset", "instance"])
def test_every_way_to_write_is_seen(by: str, make_place: MakePlace, way: str) -> None:
    place = make_place("p", 48.0, 2.0)
    assert near(radius=100.0) == ["p"]
    if way == "update":
        Place.objects.update(latitude=49.0)
    elif way == "bulk_update":
        place.latitude = 49.0
        Place.objects.bulk_update([place], ["latitude"])
    elif way == "bulk_create":
        moved = Place(id="p", name="x", latitude=49.0, longitude=2.0)
        Place.objects.bulk_create(
            [moved], update_conflicts=True, update_fields=["latitude"], unique_fields=["id"]
        )
    elif way == "queryset":
        Place.objects.filter(pk="p").delete()
    else:
        place.delete()
    assert near(radius=100.0) == []


def test_what_is_rolled_back_was_never_there(by: str, make_place: MakePlace) -> None:
    make_place("p", 48.0, 2.0)
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        services.update_place(id="p", changes={"latitude": 49.0})
        # The transaction itself reads what it has written.
        assert near(radius=100.0) == []
        raise ZeroDivisionError
    assert near(radius=100.0) == ["p"]


def test_180_degrees_east_is_180_degrees_west(make_place: MakePlace) -> None:
    assert make_place("a", 0.0, 180.0).longitude == -180.0
    Place.objects.bulk_create([Place(id="b", name="x", latitude=0.0, longitude=180.0)])
    Place.objects.filter(pk="a").update(longitude=180.0)
    assert list(Place.objects.values_list("longitude", flat=True)) == [-180.0, -180.0]


def test_a_missing_index_is_asked_for_once_and_the_table_answers(
    make_place: MakePlace, no_broker: list[str]
) -> None:
    make_place("p", 48.0, 2.0)
    assert near() == near() == ["p"]
    assert no_broker == ["places.rebuild"]
    assert counted() == (0, 2)


def test_a_warm_search_by_the_index_asks_no_database(make_place: MakePlace, index: Index) -> None:
    for number in range(30):
        make_place(f"p{number:02}", 48.0 + number / 1000, 2.0)
    index()
    near()
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert len(near()) == 20
    assert len(queries) == 0


def test_a_busy_square_is_answered_in_the_process(make_place: MakePlace, index: Index) -> None:
    for number in range(30):
        make_place(f"p{number:02}", 48.0 + number / 1000, 2.0)
    index()
    for _ in range(tiles.BUSY):
        near(radius=800.0, limit=1)
    before = counted()
    reads = nearby.nearest(HERE, limit=1, radius=800.0).reads
    assert {read.layer for read in reads} == {"l1"}
    assert counted() == before


def test_the_tiles_of_a_change_are_dropped_and_others_stay(
    make_place: MakePlace, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiles, "BUSY", 1)
    make_place("p", 48.0, 2.0)
    make_place("q", 48.5, 2.0)
    index()
    there = Point(48.5, 2.0)
    for center in (HERE, there):
        nearby.nearest(center, limit=1, radius=100.0)
    loads = tiles.tiles._counts.loads
    services.update_place(id="p", changes={"latitude": 48.0001})
    nearby.nearest(there, limit=1, radius=100.0)
    assert tiles.tiles._counts.loads == loads
    nearby.nearest(HERE, limit=1, radius=100.0)
    assert tiles.tiles._counts.loads == loads + 1


def test_a_place_that_a_tile_still_has_though_it_left_is_found_once_and_where_it_is(
    make_place: MakePlace, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiles, "BUSY", 1)
    make_place("p", 48.001, 2.0)
    make_place("q", 48.003, 2.0)
    index()
    assert near(radius=800.0) == ["p", "q"]
    drop = tiles.drop

    def where_it_is(places: Collection[tuple[Point, str]]) -> None:
        """As if the message of the tile that it left had been lost."""
        drop([(point, cuisine) for point, cuisine in places if point.latitude > 48.005])

    with monkeypatch.context() as patch:
        patch.setattr(tiles, "drop", where_it_is)
        services.update_place(id="p", changes={"latitude": 48.007})
    assert near(radius=800.0) == near(radius=800.0) == ["q", "p"]


def test_what_a_cuisine_that_nobody_cooks_leaves_in_redis_goes_within_minutes(
    make_place: MakePlace, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiles, "BUSY", 1)
    make_place("p", 48.0, 2.0)
    index()
    far = node.current().far
    client: Any = far.client()
    for number in range(20):
        assert near(radius=500.0, filters=Filters(f"made-up-{number}")) == []
    entries = list(client.scan_iter(far.key("e", 0, tiles.tiles.name, "*made-up*"), count=1000))
    assert entries
    assert max(map(client.ttl, entries)) < 5 * tiles.MINUTE


def test_the_first_place_of_a_tile_shows_at_once(
    make_place: MakePlace, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiles, "BUSY", 1)
    index()
    thai = Filters("thai")
    assert near(radius=100.0) == near(radius=100.0, filters=thai) == []
    make_place("p", 48.0, 2.0)
    assert near(radius=100.0) == near(radius=100.0, filters=thai) == ["p"]


def test_a_cursor_behind_everything_is_an_empty_page(by: str, make_place: MakePlace) -> None:
    make_place("p", 48.0, 2.0)
    page = nearby.nearest(HERE, limit=5, radius=1_000.0, after=Hit(999.0, "z"))
    assert (page.places, page.next) == ([], None)
    assert near(radius=inf, after=Hit(3e7, "z")) == []


def test_a_tile_with_a_place_that_has_left_it_is_seen_through(
    make_place: MakePlace, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiles, "BUSY", 1)
    make_place("p", 48.0, 2.0)
    make_place("q", 48.001, 2.0)
    index()
    assert near(limit=2, radius=500.0) == ["p", "q"]
    # As if the writer had died before it dropped the tile, or another had moved it once more in between.
    monkeypatch.setattr(tiles, "drop", lambda places: None)
    services.update_place(id="p", changes={"latitude": 48.3})
    assert near(limit=2, radius=500.0) == ["q"]
    assert near(limit=2, radius=500.0) == ["q"]


def test_a_distance_that_a_cursor_makes_up_costs_no_more_than_a_true_one(
    make_place: MakePlace, index: Index
) -> None:
    for number in range(30):
        make_place(f"p{number:02}", 48.0 + number / 1000, 2.0)
    make_place("far", -48.0, -178.0)
    index()
    with CaptureQueriesContext(connection) as queries:
        assert near(after=Hit(500_000.0, "a"), radius=500_000.0) == []
        assert near(after=Hit(3e7, "a")) == []
    assert len(queries) == 0
    assert near(after=Hit(500_000.0, "a")) == ["far"]


def test_what_is_far_from_everything_is_answered_by_the_index(
    make_place: MakePlace, index: Index
) -> None:
    for number in range(30):
        make_place(f"p{number:02}", 48.0 + number / 1000, 2.0)
    index()
    for center in (Point(1.0, -30.0), Point(45.0, 30.0), Point(20.0, 60.0)):
        there = measure(center)
        hits = sorted(Hit(there(p.latitude, p.longitude), p.id) for p in Place.objects.all())
        assert near(center, limit=5) == [hit.id for hit in hits[:5]]
        with CaptureQueriesContext(connection) as queries:
            near(center, limit=5)
        assert len(queries) == 0


def test_what_there_is_little_of_costs_a_look_at_the_poles_and_not_the_whole_table(
    make_place: MakePlace, index: Index
) -> None:
    make_place("home", 48.0, 2.0)
    make_place("away", -48.0, -178.0)
    make_place("pole", 89.0, 2.0)
    for number in range(30):
        make_place(f"p{number:02}", 48.0 + number / 1000, 2.0, cuisine="deli")
    index()
    assert near(filters=Filters("thai")) == ["home", "pole", "away"]
    with CaptureQueriesContext(connection) as queries:
        near(filters=Filters("thai"))
    assert len(queries) == 2
    # As SQLite writes the number, or PostgreSQL.
    assert all("8.505" in query["sql"] or "85.05" in query["sql"] for query in queries)


def test_a_rating_that_hardly_any_place_has_costs_the_table_one_look(
    make_place: MakePlace,
) -> None:
    for number in range(30):
        make_place(f"p{number:02}", 48.0 + number / 1000, 2.0, rating=4.0)
    make_place("far", -48.0, -178.0, rating=5.0)
    best = Filters(min_rating=5.0)
    assert near(filters=best) == ["far"]
    with CaptureQueriesContext(connection) as queries:
        assert near(filters=best) == ["far"]
        assert near(filters=best, radius=50_000.0) == []
    assert len(queries) == 2


def test_a_page_costs_no_more_for_all_the_pages_before_it(index: Index) -> None:
    fill(
        Place(
            id=f"p{n:04}", name="x", latitude=48.0 + n % 80 / 1000, longitude=2.0 + n // 80 / 1000
        )
        for n in range(6_000)
    )
    index()
    there = measure(HERE)
    hits = sorted(Hit(there(p.latitude, p.longitude), p.id) for p in Place.objects.all())
    for rank in (1, 100, 5_000, 5_995):
        after, expected = hits[rank - 1], [hit.id for hit in hits[rank : rank + 20]]
        assert near(after=after, radius=50_000.0) == expected
        with CaptureQueriesContext(connection) as queries:
            assert near(after=after, radius=50_000.0) == expected
        assert len(queries) == 0


def test_pages_without_a_radius_lead_through_every_place_of_the_world_once(by: str) -> None:
    fill(world(4, crowd=30, lone=30))
    seen: list[Hit] = []
    after = BEGIN
    while True:
        page = nearby.nearest(HERE, limit=20, after=after)
        seen += [Hit(distance, place.id) for place, distance in page.places]
        if page.next is None:
            break
        after = page.next
    there = measure(HERE)
    assert seen == sorted(Hit(there(p.latitude, p.longitude), p.id) for p in Place.objects.all())


def test_a_filtered_search_says_nothing_of_how_many_places_there_are(make_place: MakePlace) -> None:
    for number in range(30):
        make_place(f"p{number:02}", 48.0 + number / 10_000, 2.0, rating=1.0)
    near(limit=5)
    before = dict(density._per_square_metre)
    near(limit=100, filters=Filters(min_rating=5.0))
    assert density._per_square_metre == before


def test_ids_are_ordered_by_code_point_whoever_answers(by: str, make_place: MakePlace) -> None:
    ids = ["_x", "-k", "a", "b", "B", "c", "D", "place_2", "placeA", "Z"]
    for id in ids:
        make_place(id, 48.0, 2.0)
    page = box.within(Span(47.9, 48.1, 1.9, 2.1), limit=100)
    assert [place.id for place in page.places] == sorted(ids)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT collation_name FROM information_schema.columns"
                " WHERE table_name = 'places_place' AND column_name = 'id'"
            )
            assert cursor.fetchone() == ("C",)
