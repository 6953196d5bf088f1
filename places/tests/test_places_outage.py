"""Places outlive Redis, which is really killed, emptied, and brought back without what it wrote last.

Promises tested: the answers stay the same; a write while it is gone shows at once and when it is back; an
index that may lack a write is absent, and made anew; threads that write the same places leave the index as
the table. On failure: the rule's name, and the server's log.
"""

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from caching.node import current
from caching.relay import relay
from caching.tests.conftest import ALIAS
from caching.tests.mortal_child import killed
from caching.tests.redis_server import RedisServer
from caching.tests.test_cluster import Cluster, lent
from caching.tests.witnesses import answers, eventually
from places import geoindex, nearby, rebuilding, services, tasks, tiles
from places.models import Place
from places.sphere import Point
from places.tests import index_keys
from places.tests.conftest import Index, MakePlace, fill

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

HERE = Point(48.0, 2.0)
IDS = [f"p{number}" for number in range(8)]


@pytest.fixture
def killable(server: RedisServer, settings: Any) -> RedisServer:
    """The index is in a Redis of this test's own."""
    settings.CACHING = {**settings.CACHING, "ALIAS": ALIAS}
    return server


def near() -> list[str]:
    return [place.id for place, _ in nearby.nearest(HERE, limit=20, radius=5_000.0).places]


def test_without_redis_the_answers_are_the_same(
    killable: RedisServer, make_place: MakePlace, index: Index
) -> None:
    for number, id in enumerate(IDS):
        make_place(id, 48.0 + number / 1000, 2.0)
    index()
    before = near()
    assert before == IDS
    killable.kill()
    assert near() == before
    services.update_place(id="p0", changes={"latitude": 48.02})
    assert near() == [*IDS[1:], "p0"]
    killable.start()
    eventually(answers, within=10)
    assert near() == [*IDS[1:], "p0"]
    # The bus may be sending what Redis has missed: then a rebuild is refused, and comes again.
    eventually(lambda: tasks.rebuild() == len(IDS), within=10)
    assert index_keys.check(current())
    assert near() == [*IDS[1:], "p0"]


def test_a_server_that_was_started_anew_has_no_index_whatever_it_remembers(
    killable: RedisServer, make_place: MakePlace, index: Index
) -> None:
    make_place("p0", 48.0, 2.0)
    index()
    killable.keep()
    services.update_place(id="p0", changes={"latitude": 48.03})
    make_place("p1", 48.001, 2.0)
    killable.kill()
    killable.start(as_kept=True)
    eventually(answers, within=10)
    assert near() == ["p1", "p0"]
    eventually(lambda: tasks.rebuild() == 2, within=10)
    assert tasks.rebuild() == 0
    assert index_keys.check(current())


def test_a_flushed_redis_costs_a_rebuild_and_nothing_else(
    killable: RedisServer, make_place: MakePlace, index: Index
) -> None:
    make_place("p0", 48.0, 2.0)
    index()
    killable.client.flushall()
    assert near() == ["p0"]
    eventually(lambda: tasks.rebuild() == 1, within=10)
    assert index_keys.check(current())


def test_a_builder_that_stopped_halfway_is_gone_on_from(
    killable: RedisServer, transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(geoindex, "BATCH", 100)
    fill(Place(id=f"p{n:04}", name="x", latitude=n / 100, longitude=2.0) for n in range(1000))
    dead = rebuilding.rebuild()
    for _ in range(6):
        next(dead)  # never closed: a killed process gives nothing back
    with pytest.raises(rebuilding.Busy):
        list(rebuilding.rebuild())
    services.update_place(id="p0000", changes={"latitude": 50.0})
    services.delete_place(id="p0001")
    # The builder's lease has run out.
    current().far.client().delete(geoindex.builders_keys()[2])
    assert sum(map(len, rebuilding.rebuild())) == 400
    assert index_keys.check(current())


def test_threads_that_move_the_same_places_leave_the_index_as_the_table(
    killable: RedisServer, make_place: MakePlace, index: Index
) -> None:
    for id in IDS:
        make_place(id, 48.0, 2.0)
    index()

    def move(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(40):
            changes = {
                "latitude": 48.0 + chance.random(),
                "cuisine": chance.choice(("thai", "greek", "")),
            }
            services.update_place(id=chance.choice(IDS), changes=changes)
        connection.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(move, range(8)))
    assert index_keys.check(current())


def test_a_writer_that_is_killed_after_its_commit_leaves_no_place_where_it_was(
    killable: RedisServer, make_place: MakePlace, index: Index
) -> None:
    make_place("p0", 48.0, 2.0)
    index()
    killed(
        lambda: services.update_place(id="p0", changes={"latitude": 48.03}), at=(geoindex, "fence")
    )
    assert Place.objects.get().latitude == 48.03
    assert relay(older_than=0) == 2
    assert index_keys.check(current())
    assert nearby.nearest(Point(48.03, 2.0), limit=1, radius=1.0).places[0].place.id == "p0"


@pytest.mark.parametrize("moment", ["drop", "tiles"])
def test_a_writer_that_is_killed_before_the_tiles_are_dropped_leaves_no_ghost(
    killable: RedisServer,
    make_place: MakePlace,
    index: Index,
    monkeypatch: pytest.MonkeyPatch,
    moment: str,
) -> None:
    monkeypatch.setattr(tiles, "BUSY", 1)
    make_place("p0", 48.0, 2.0)
    index()
    assert near() == ["p0"]
    at = (tiles, "drop") if moment == "drop" else (geoindex, "put")
    killed(lambda: services.update_place(id="p0", changes={"latitude": 48.3}), at=at)
    if moment == "tiles":
        # Another moves it on before the relay comes by.
        nearby.nearest(Point(48.3, 2.0), limit=1, radius=100.0)
        services.update_place(id="p0", changes={"latitude": 48.6})
    relay(older_than=0)
    assert near() == []
    at_first = nearby.nearest(Point(48.3, 2.0), limit=1, radius=100.0).places
    assert bool(at_first) == (moment == "drop")
    assert nearby.nearest(Point(48.45, 2.0), limit=1, radius=20_000.0).places[0].place.id == "p0"


def test_what_is_forgotten_leaves_nothing_behind(
    killable: RedisServer, make_place: MakePlace, index: Index
) -> None:
    make_place("p0", 48.0, 2.0)
    for _ in range(3):
        index()
        geoindex.forget()
    index()
    assert len(list(killable.client.scan_iter("*:g:places.index:*!keys"))) == 1


def test_many_who_write_one_place_do_not_cost_the_index(
    killable: RedisServer, make_place: MakePlace, index: Index
) -> None:
    make_place("p0", 48.0, 2.0)
    index()

    def move(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(20):
            services.update_place(id="p0", changes={"latitude": 48.0 + chance.random()})
        connection.close()

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(move, range(12)))
    assert index_keys.check(current())


@pytest.fixture
def cluster(tmp_path: Path, settings: Any, caching_prefix: str) -> Iterator[Cluster]:
    """Three real nodes."""
    with lent(tmp_path, settings) as cluster:
        yield cluster


def test_on_a_cluster_it_is_the_same(cluster: Cluster, make_place: MakePlace, index: Index) -> None:
    for number, id in enumerate(IDS):
        make_place(id, 48.0 + number / 1000, 2.0)
    index()
    services.update_place(id="p0", changes={"latitude": 48.02, "cuisine": "greek"})
    services.delete_place(id="p1")
    assert near() == [*IDS[2:], "p0"]
    index()
    assert near() == [*IDS[2:], "p0"]
    assert current().ledger.of("places.index").misses == 0
