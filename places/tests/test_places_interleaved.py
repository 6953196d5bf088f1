"""The index and the tiles under seeded interleavings of writers, rebuilds, readers, losses and outages.

Every actor hands control back around each call of Redis and each look at the table, so that another may come
in between; a failure names its seed, and the same seed plays the same interleaving. Promises tested: the
index is whole or absent, whatever races; a tile that survives is true; a builder that dies is gone on from.
"""

import random
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from django.db import connection

from caching import registry
from caching.errors import FarDown
from caching.node import Node
from caching.tests.simulation import Scheduler
from caching.tests.stage import Stage
from places import density, geoindex, indexing, layers, nearby, rebuilding, rows, services, tiles
from places.filters import Filters
from places.models import Place
from places.sphere import Point
from places.tests import index_keys
from places.tests.oracle import Oracle, Wanted, differences

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

INTERLEAVINGS = 120
# Seconds a step may take: the builder's lease of fifteen outlives the first, and seldom the last.
PACES = ((0.0, 0.0, 0.001), (0.0, 0.001, 0.5))
CENTER = Point(48.0, 2.0)
IDS = ("a", "b", "c", "d")
CUISINES = ("thai", "greek", "")


class World(Stage):
    """One Redis, one table, and actors that share both."""

    def __init__(self, prefix: str) -> None:
        self.scheduler = Scheduler(random.Random(0))
        self.node = Node(alias="default", prefix=prefix, clock=self.scheduler.clock())

    def linger(self) -> int:
        # Sometimes long enough for others to commit something and put it.
        return self.scheduler.choose.choice((1, 1, 20))

    def begin(self, seed: int) -> None:
        self.scheduler.choose = choose = random.Random(seed)
        self.scheduler.pace = choose.choice(PACES)
        self.scheduler.log = []
        random.seed(seed)
        density._per_square_metre.clear()
        for id in IDS[:3]:
            services.create_place(id=id, name=id, **self.spot())
        geoindex.forget()
        if choose.random() < 0.7:
            self.rebuild_once()

    def spot(self) -> dict[str, Any]:
        choose = self.scheduler.choose
        near = choose.choice((0.001, 0.01, 1.0))
        return {
            "latitude": CENTER.latitude + choose.uniform(-near, near),
            "longitude": CENTER.longitude + choose.uniform(-near, near),
            "cuisine": choose.choice(CUISINES),
        }

    def write(self) -> None:
        choose = self.scheduler.choose
        for _ in range(choose.randint(1, 3)):
            id = choose.choice(IDS)
            if not Place.objects.filter(pk=id).exists():
                services.create_place(id=id, name=id, **self.spot())
            elif choose.random() < 0.25:
                services.delete_place(id=id)
            else:
                services.update_place(id=id, changes=self.spot())
            self.pause("written")

    def read(self) -> None:
        for _ in range(self.scheduler.choose.randint(1, 3)):
            page = nearby.nearest(CENTER, limit=3)
            distances = [near.distance for near in page.places]
            assert distances == sorted(distances)

    def rebuild_once(self) -> None:
        try:
            for _ in rebuilding.rebuild():
                # One builder in a while dies here, and never knows.
                if self.scheduler.choose.random() < 0.15:
                    return
                self.pause("built a part")
        except (FarDown, rebuilding.Busy, rebuilding.Void, indexing.Contended):
            self.pause("not rebuilt")

    def rebuild(self) -> None:
        for _ in range(self.scheduler.choose.randint(1, 2)):
            self.pause("before a rebuild")
            self.rebuild_once()

    def trouble(self) -> None:
        choose = self.scheduler.choose
        for _ in range(choose.randint(0, 20)):
            self.scheduler.pause("calm")
        mishap = choose.choice(("none", "none", "flushed", "lease", "down"))
        client: Any = self.node.far.client()
        if mishap == "flushed":
            keys = client.keys(f"{self.node.far._prefix}:*")
            if keys:
                client.delete(*keys)
        elif mishap == "lease":
            client.delete(geoindex.builders_keys()[2])
        elif mishap == "down":
            self.redis_down = True
            for _ in range(choose.randint(1, 30)):
                self.scheduler.pause("down")
            self.redis_down = False

    def settle(self) -> None:
        """When all is over: the index, if there is one, is the table; and so is every answer."""
        # As the bus does all the time: what Redis has missed goes out before anything is read.
        self.node.far.guarded(lambda client: client.ping())
        before = index_keys.check(self.node)
        self.ask()
        if not before:
            self.scheduler.now += 2 * rebuilding.LEASE
            client: Any = self.node.far.client()
            client.delete(geoindex.builders_keys()[2])
            assert sum(map(len, rebuilding.rebuild())) >= 0
        assert index_keys.check(self.node)
        self.ask()

    def ask(self) -> None:
        oracle = Oracle(list(Place.objects.all()))
        for cuisine in CUISINES:
            for radius in (300.0, 2_000.0, 400_000.0):
                page = nearby.nearest(CENTER, limit=5, radius=radius, filters=Filters(cuisine))
                found = [(near.place.id, near.distance) for near in page.places]
                wanted = Wanted(*CENTER, 5, radius, cuisine)
                wrong = differences(found, oracle.nearest(wanted), wanted.limit)
                assert not wrong, f"{wanted}: {wrong}"


@pytest.fixture
def site(caching_prefix: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A node of the actors' own, whose bus does not run: it would be a thread beside them."""
    world = World(f"{caching_prefix}:own")
    for module in (geoindex, layers, rebuilding):
        monkeypatch.setattr(module, "current", lambda: world.node)
    for cache in registry.caches():
        if cache.name.startswith("places."):
            cache.unbind()
            cache.bind(world.node)
    monkeypatch.setattr(tiles, "BUSY", 1)
    monkeypatch.setattr(geoindex, "BATCH", 2)
    monkeypatch.setattr(world.node.far, "guarded", world.far(world.node.far.guarded))
    monkeypatch.setattr(indexing, "_read", world.stepped(indexing._read, "the rows"))
    monkeypatch.setattr(rebuilding, "_behind", world.stepped(rebuilding._behind, "the ids"))
    monkeypatch.setattr(rows, "spots", world.stepped(rows.spots, "the table"))
    monkeypatch.setattr(tiles, "_fill", world.stepped(tiles._fill, "the tiles"))
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("PRAGMA synchronous=OFF")
    yield world
    world.node.leave()
    world.node.close()


def play(seed: int, world: World) -> None:
    world.begin(seed)
    for actor in (
        *(world.write, world.write, world.write),
        *(world.read, world.read, world.rebuild, world.rebuild, world.trouble),
    ):
        world.scheduler.spawn(partial(actor))
    world.scheduler.run(max_steps=20_000)
    world.settle()
    Place.objects.all().delete()


def test_the_index_is_whole_or_absent_in_any_interleaving(site: World) -> None:
    for seed in range(INTERLEAVINGS):
        try:
            play(seed, site)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error
