"""The demo of places: rows that are the same everywhere and created once, and a verdict that sees.

Promise: the cities are those of the demo, only smaller. On failure: the broken rule is the test's name.
"""

import random
from collections import Counter
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from caching import registry, scoreboard
from caching.workload import Reply
from places import demo, demo_traffic, services
from places.demo_cities import SIDE, beside, cities
from places.demo_traffic import _checks, _path, _truth
from places.demo_truth import LONGEST_DELAY, Known, Move, Question, Seen, Truth, apart, inside
from places.models import Place
from places.sphere import Point, Span

pytestmark = pytest.mark.django_db(transaction=True)

HOME = Point(10.0, 20.0)


def silent(what: str, done: int, total: int) -> None:
    """Shows no progress."""


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cities for a test."""
    monkeypatch.setattr(demo, "PLACES", {"small": 60, "full": 150})
    monkeypatch.setattr(demo, "CHUNK", 40)


def rows() -> list[tuple[Any, ...]]:
    names = ("id", "name", "latitude", "longitude", "cuisine", "rating", "metadata")
    return [tuple(row) for row in Place.objects.order_by("id").values_list(*names)]


def test_seeding_twice_creates_everything_once() -> None:
    assert demo.seed("small", silent) == 60
    assert demo.seed("small", silent) == 0
    assert Place.objects.count() == 60


def test_full_continues_small_and_the_rows_are_the_same_by_either_way() -> None:
    demo.seed("small", silent)
    assert demo.seed("full", silent) == 90
    either = rows()
    Place.objects.all().delete()
    demo.seed("full", silent)
    assert rows() == either


def test_a_place_that_was_moved_stays_and_one_that_was_deleted_comes_back() -> None:
    demo.seed("small", silent)
    services.update_place(id="place_demo000003", changes={"latitude": 1.0})
    services.delete_place(id="place_demo000004")
    assert demo.seed("small", silent) == 1
    assert Place.objects.get(pk="place_demo000003").latitude == 1.0


def test_the_places_are_valid_near_their_cities_and_on_both_sides_of_the_antimeridian() -> None:
    demo.seed("full", silent)
    middles = {city.name: city.middle for city in cities()}
    sides: Counter[tuple[str, bool]] = Counter()
    for place in Place.objects.all():
        place.full_clean()
        city = place.metadata["city"]
        assert apart(middles[city], Point(place.latitude, place.longitude)) < SIDE
        sides[city, place.longitude > 0] += 1
    assert sides["Taveuni", True]
    assert sides["Taveuni", False]


def test_progress_ends_at_the_total() -> None:
    steps: list[tuple[str, int, int]] = []
    demo.seed("small", lambda what, done, total: steps.append((what, done, total)))
    assert steps == [("places", 40, 60), ("places", 60, 60)]


def test_the_demo_takes_part_and_claims_all_caches_of_places() -> None:
    assert demo in list(scoreboard.demo_modules())
    mine = {name for name in registry.counted() if name.startswith("places.")}
    assert set(demo.USE_CASE.caches) == mine


@pytest.fixture
def truth() -> Truth:
    """Four places to the north of home, a hundred metres from one to the next; `c` is going to move."""
    places = [
        Known(id, beside(HOME, 100.0 * (at + 1), 0.0), "thai" if at % 2 else "cafe", 1.0 + at)
        for at, id in enumerate("abcd")
    ]
    return Truth(places, ["c"])


def seen(
    question: Question, ids: Sequence[str], *, at: float = 10.0, worker: str = "one", **values: Any
) -> Seen:
    return Seen(question, list(ids), values.pop("km", []), at, at + 0.01, worker, **values)


def test_an_answer_that_is_right_is_right(truth: Truth) -> None:
    for ids, question in {
        "abcd": Question(HOME, 10),
        "ab": Question(HOME, 2),
        "abc": Question(HOME, 10, radius=350.0),
        "bd": Question(HOME, 10, cuisine="thai"),
        "cd": Question(HOME, 10, min_rating=3.0),
        "": Question(HOME, 10, radius=50.0),
    }.items():
        assert truth.wrong(seen(question, ids)) is None
    south_north = Span(10.0005, 10.0025, 19.9, 20.1)
    assert truth.wrong(seen(Question(HOME, 9, span=south_north), "ab")) is None


@pytest.mark.parametrize(
    ("question", "ids"),
    [
        (Question(HOME, 10), "abc"),
        (Question(HOME, 10), "abdc"),
        (Question(HOME, 10), "abccd"),
        (Question(HOME, 2), "ac"),
        (Question(HOME, 2), "abc"),
        (Question(HOME, 10, radius=250.0), "abc"),
        (Question(HOME, 10, cuisine="thai"), "abcd"),
        (Question(HOME, 10, min_rating=3.0), "d"),
        (Question(HOME, 10), "abcde"),
        (Question(HOME, 9, span=Span(10.0005, 10.0025, 19.9, 20.1)), "ba"),
    ],
)
def test_an_answer_that_is_wrong_is_seen(truth: Truth, question: Question, ids: str) -> None:
    assert truth.wrong(seen(question, ids))


def test_a_distance_that_is_wrong_by_two_millimetres_is_seen(truth: Truth) -> None:
    exact = apart(HOME, beside(HOME, 100.0, 0.0)) / 1000
    assert truth.wrong(seen(Question(HOME, 1), "a", km=[exact])) is None
    assert truth.wrong(seen(Question(HOME, 1), "a", km=[exact + 2e-6]))


def test_a_next_page_goes_on_behind_the_one_before(truth: Truth) -> None:
    first = seen(Question(HOME, 2), "ab")
    assert truth.wrong(seen(Question(HOME, 2), "cd", before=first)) is None
    assert truth.wrong(seen(Question(HOME, 2), "bc", before=first))
    assert truth.wrong(seen(Question(HOME, 2), "d", before=first))


@pytest.mark.parametrize(
    ("at", "worker", "ids", "holds"),
    [
        (10.0, "one", "abcd", True),  # before the move
        (10.0, "one", "cabd", False),
        (20.05, "one", "abcd", True),  # during it
        (20.05, "one", "cabd", True),
        (20.05, "one", "bacd", False),
        (20.2, "one", "abcd", False),  # after it, where it was made
        (20.2, "one", "cabd", True),
        (20.2, "two", "abcd", True),  # elsewhere, as long as a message may take
        (20.1 + LONGEST_DELAY, "two", "abcd", False),
        (20.1 + LONGEST_DELAY, "two", "cabd", True),
    ],
)
def test_a_moved_place_is_where_it_was_or_is_as_long_as_that_is_allowed(
    truth: Truth, at: float, worker: str, ids: str, holds: bool
) -> None:
    truth.moves["c"].append(Move(beside(HOME, 10.0, 0.0), 20.0, 20.1, "one"))
    assert (truth.wrong(seen(Question(HOME, 10), ids, at=at, worker=worker)) is None) == holds


def test_a_box_may_cross_the_antimeridian() -> None:
    span = Span(-1.0, 1.0, 179.0, -179.0)
    assert inside(span, Point(0.0, -180.0))
    assert inside(span, Point(0.0, 179.5))
    assert not inside(span, Point(0.0, 178.0))
    assert beside(Point(0.0, 179.9999), 0.0, 100.0).longitude < -179.9


def test_searches_are_written_as_the_api_takes_them() -> None:
    question = Question(HOME, 20, radius=500.0, cuisine="thai", min_rating=4.0)
    assert _path(question, "geojson") == (
        "/api/v1/places/nearby/?limit=20&cuisine=thai&min_rating=4.0&format=geojson"
        "&lat=10.000000&lon=20.000000&radius_km=0.5"
    )
    box = Question(HOME, 100, span=Span(1.0, 2.0, 3.0, 4.0))
    assert _path(box, "") == (
        "/api/v1/places/within/?limit=100&bbox=3.000000,1.000000,4.000000,2.000000"
    )


def traffic(truth: Truth, **values: Any) -> Any:
    """What a run would have seen in which all held."""
    truth.moves["c"].append(Move(HOME, 20.0, 20.1, "one"))
    given = {
        "truths": [truth],
        "seen": [(truth, seen(Question(HOME, 10), "abcd"))],
        "errors": Counter(),
        "missed": 0,
        "delays": [0.0, LONGEST_DELAY * 0.9],
    }
    return SimpleNamespace(**{**given, **values})


def test_all_holds_if_every_promise_was_kept(truth: Truth) -> None:
    assert [check.holds for check in _checks(traffic(truth))] == [True] * 4


@pytest.mark.parametrize(
    ("broken", "at"),
    [
        ({"errors": Counter({"500": 1})}, 0),
        ({"seen": []}, 1),
        ({"missed": 1}, 2),
        ({"delays": [LONGEST_DELAY * 1.1]}, 3),
        ({"delays": []}, 3),
    ],
)
def test_one_broken_promise_is_a_miss(truth: Truth, broken: dict[str, Any], at: int) -> None:
    held = [check.holds for check in _checks(traffic(truth, **broken))]
    assert [place for place, holds in enumerate(held) if not holds] == [at]


def test_a_wrong_answer_is_a_miss_that_says_what_was_wrong(truth: Truth) -> None:
    wrong = (truth, seen(Question(HOME, 10), "abd"))
    check = list(_checks(traffic(truth, seen=[wrong])))[1]
    assert not check.holds
    assert "['a', 'b', 'd'], by brute force" in check.measured


def test_a_move_that_is_not_found_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_traffic, "PATIENCE", 0.0)
    run: Any = SimpleNamespace(missed=0, delays=[])
    run.search = lambda *_: (None, seen(Question(HOME, 1), ""), None)
    moved = Reply(200, {}, b"", "one", 0.0, 0.0)
    for worker in ("one", "two", "two"):
        probe: Any = SimpleNamespace(worker=worker)
        demo_traffic._look(run, probe, (0, "x"), (HOME, HOME), moved)
    assert (run.missed, len(run.delays)) == (1, 2)


def test_the_truth_of_a_city_is_the_table_and_only_demo_places_move() -> None:
    demo.seed("small", silent)
    city = cities()[0]
    services.create_place(
        id="other", name="Other", latitude=city.middle.latitude, longitude=city.middle.longitude
    )
    truth = _truth(city, demo.PREFIX, random.Random(1))
    assert len(truth.moves) == demo_traffic.MOVED
    assert "other" not in truth.moves
    assert truth.wrong(seen(Question(city.middle, 1), ["other"])) is None
