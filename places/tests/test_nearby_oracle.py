"""Answers of all kinds against brute force: from tiles, from the index, from the table.

Promises tested: the same ids in the same order, distances within a millimetre, pages that go on;
poles, antimeridian, ties and filters included.
"""

import random
from math import inf

import pytest

from caching import node
from places import box, geoindex, nearby, tiles
from places.filters import Filters
from places.models import Place
from places.sphere import Point, Span
from places.tests.conftest import Index, fill
from places.tests.oracle import Oracle, Wanted, differences
from places.tests.world import east, some_filters, somewhere, world

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

QUESTIONS = 700
RADII = (10.0, 500.0, 5_000.0, 20_000.0, 100_000.0, 500_000.0)


@pytest.fixture
def oracle(transactional_db: None) -> Oracle:
    """The world, in the table, and as arrays."""
    fill(world(1))
    return Oracle(list(Place.objects.all()))


def walked(
    center: Point, limit: int, pages: int, radius: float, filters: Filters
) -> list[tuple[str, float]]:
    """That many pages, one behind the other."""
    found = []
    page = nearby.nearest(center, limit=limit, radius=radius, filters=filters)
    for number in range(1, pages + 1):
        found += [(near.place.id, near.distance) for near in page.places]
        if number == pages or page.next is None:
            break
        page = nearby.nearest(center, limit=limit, radius=radius, filters=filters, after=page.next)
    return found


def ask(oracle: Oracle, seed: int, questions: int, *, spots: int = 300) -> None:
    """Questions of all kinds at so many spots; names the first that is answered wrongly."""
    chance = random.Random(seed)
    places = list(Place.objects.all())
    centers = [somewhere(chance, places) for _ in range(spots)]
    for number in range(questions):
        center = chance.choice(centers)
        filters = some_filters(chance)
        limit = chance.choice((1, 5, 20, 20, 100))
        radius = inf if chance.random() < 0.3 else chance.choice(RADII) * chance.random()
        pages = chance.choice((1, 1, 1, 3))
        found = walked(center, limit, pages, radius, filters)
        wanted = Wanted(*center, pages * limit, radius, *filters)
        wrong = differences(found, oracle.nearest(wanted), wanted.limit)
        own = [(metres, id) for id, metres in found]
        assert own == sorted(own), "ties go by id"
        assert not wrong, f"question {number} of seed {seed}: {wanted}: {wrong[:3]}"


def ask_boxes(oracle: Oracle, seed: int, questions: int) -> None:
    """Boxes of all sizes."""
    chance = random.Random(seed)
    places = list(Place.objects.all())
    for number in range(questions):
        center = somewhere(chance, places)
        tall, wide = (chance.choice((0.01, 0.3, 3, 40, 170)) * chance.random() for _ in range(2))
        south, north = max(-90.0, center.latitude - tall), min(90.0, center.latitude + tall)
        west, eastern = east(center.longitude - wide), east(center.longitude + wide)
        if chance.random() < 0.1:
            eastern = 180.0
        cuisine = chance.choice(("", "", "thai"))
        span = Span(south, north, west, eastern)
        page = box.within(span, limit=100, filters=Filters(cuisine))
        true = oracle.within(west, south, eastern, north, cuisine)
        assert [place.id for place in page.places] == true[:100], f"box {number}: {span}"
        assert (page.next is not None) == (len(true) > 100)


def test_nearby_is_what_brute_force_says_with_the_index(oracle: Oracle, index: Index) -> None:
    index()
    ask(oracle, 2, QUESTIONS)
    ask_boxes(oracle, 3, QUESTIONS)


def test_nearby_is_what_brute_force_says_without_it(oracle: Oracle) -> None:
    ask(oracle, 4, QUESTIONS)
    ask_boxes(oracle, 5, QUESTIONS)


def test_nearby_is_what_brute_force_says_where_every_spot_is_popular(
    oracle: Oracle, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiles, "BUSY", 1)
    index()
    ask(oracle, 6, QUESTIONS, spots=20)
    counts = tiles.tiles._counts
    assert counts.l1_hits > QUESTIONS / 20


def test_the_index_answers_most_of_it(oracle: Oracle, index: Index) -> None:
    index()
    ask(oracle, 7, 200)
    counts = node.current().ledger.of(geoindex.NAME)
    assert counts.l2_hits > counts.misses
