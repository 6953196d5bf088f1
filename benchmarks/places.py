"""The nearest 20 places within 5 km of a point in a city of 50,000: the index, the table, and other ways.

Promises: before they are timed all peers answer as numpy's brute force does, the same ids in the same order,
but for plain GEOSEARCH, which may be a cell off; points seldom come again, but for the popular ones.
On failure: WrongAnswer for a peer that answers something else, PostgresFailed when PostgreSQL does not start.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from itertools import cycle, repeat
from pathlib import Path
from time import perf_counter
from typing import Any

import psycopg
import redis
from django.core.management import call_command
from django.db import connections, models, router

from accounts.key_services import create_key
from accounts.models import User
from benchmarks import neighbours, postgis
from benchmarks.city import LIMIT, RADIUS, Ask, BruteForce, anywhere, city, popular
from benchmarks.errors import WrongAnswer
from benchmarks.load import CONNECTIONS, requests_per_second
from benchmarks.page import Page, Table, at_least
from benchmarks.rounds import Peer, interleave
from benchmarks.scratch import socket_of
from benchmarks.serving import start
from caching.node import current
from demo.processes import Children
from places import geoindex, rebuilding, tiles
from places.cards import cards
from places.models import Place
from places.nearby import nearest
from places.sphere import Point

UNIFORM, POPULAR = "places.nearby, any point", "places.nearby, popular points"
ALONE = "places.nearby, its index alone"
PLAIN, DOUBLING = "GEOSEARCH, whole radius", "GEOSEARCH, doubling from 250 m"
NUMPY, RTREE, POSTGIS = "numpy, brute force", "SQLite R*Tree", "PostGIS"
TABLE, TABLE_POSTGRES = "places.nearby, SQLite table", "places.nearby, PostgreSQL table"
MANY_URLS, ONE_URL = "nearby, many points", "nearby, one point"
PLACES, QUICK_PLACES = 50_000, 2_000
POINTS, QUICK_POINTS = 200_000, 1_000
HELD, QUICK_HELD = 300, 10
# Questions asked before anything is timed, so that what is kept of the city is there.
ASKED, QUICK_ASKED = 40_000, 200
URLS = 500
# Seconds: the slowest takes milliseconds a question, and after others the quickest begins with cold data.
TURN = 0.2
HTTP_ROUNDS, QUICK_HTTP_ROUNDS = 9, 2
SECONDS, QUICK_SECONDS = 2.0, 0.2
NOT_HERE = (
    "PostGIS is not here (Debian's postgresql-postgis): its row and PostgreSQL's are missing."
)


def run(home: Path, *, quick: bool) -> Page:
    call_command("migrate", verbosity=0, interactive=False)
    places = city(QUICK_PLACES if quick else PLACES)
    Place.objects.bulk_create(places, batch_size=1000)
    for _ in rebuilding.rebuild():
        pass
    _warm([place.id for place in places])
    truth = BruteForce(places)
    client = redis.Redis(unix_socket_path=str(socket_of(home)))
    plain = float(neighbours.geoadd(client, places))
    indexed, shares = _with_the_index(client, truth, quick=quick)
    served = _over_http(home, quick=quick)
    whole = _index_bytes(client)
    sizes = {"places.index": whole / len(places), "GEOADD, one set": plain / len(places)}
    geoindex.forget()
    with postgis.postgis() as folder, _postgres_peers(folder, places) as (more, versions):
        tables = _without_the_index(home, places, truth, more, quick=quick)
    by_index = Table(f"Nearest {LIMIT}, in Redis and in memory", "queries/s", PLAIN, indexed)
    by_table = Table(f"Nearest {LIMIT}, in tables", "queries/s", RTREE, tables)
    http = Table(f"Nearest {LIMIT} over HTTP", "requests/s", MANY_URLS, served)
    return Page(
        title=f"places: the nearest {LIMIT} within {RADIUS / 1000:.0f} km, of {len(places):,} in a city",
        method="Places and points are all over 20 x 20 km, but the popular points: a thousand by Zipf's law. "
        f"{QUICK_ASKED if quick else ASKED:,} questions were asked before, so the tiles of the city are in "
        "L1; its index alone, and its table, is what answers where few ask. "
        "places.nearby answers the places themselves, their cards in L1, and exactly; all others answer "
        "ids. GEOSEARCH is redis-py's, with its defaults; it measures to Redis's cells, so neighbours may "
        "change places. R*Tree doubles its box from 250 m too, and measures in Python. PostGIS has a "
        "geography with a GiST index, on the sphere. places.nearby on a table is what it does while there "
        "is no index. The index in Redis has one a cuisine besides. HTTP is as for http, "
        f"{CONNECTIONS} connections, with the site's real settings: an API key checked and an exact limit "
        f"counted at every request; {URLS} points in turn, or one. {versions}",
        tables=[
            by_index,
            Table("Answers that are exact", "%", UNIFORM, shares),
            by_table,
            Table("The index, bytes a place", "bytes", "GEOADD, one set", _twice(sizes)),
            http,
        ],
        verdicts=[
            at_least("20 times GEOSEARCH, any point", by_index.ratio(UNIFORM), 20, " times"),
            at_least("20 times GEOSEARCH, popular points", by_index.ratio(POPULAR), 20, " times"),
            at_least("20 times GEOSEARCH, its index alone", by_index.ratio(ALONE), 20, " times"),
            at_least("1,000 requests/s", http.median(MANY_URLS), 1000, " requests/s"),
        ],
    )


def _warm(ids: Sequence[str]) -> None:
    """Bring all cards into L1. A thousand at a time: one call for all would hold up Redis, and the bus."""
    for first in range(0, len(ids), 1000):
        cards.get_many(ids[first : first + 1000])
    if any(read.layer != "l1" for read in cards.read_many(ids).values()):
        raise WrongAnswer("places.nearby has not all cards in L1")


def _with_the_index(
    client: redis.Redis, truth: BruteForce, *, quick: bool
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Queries a second, and per cent of answers that are exact, by peer."""
    points = QUICK_POINTS if quick else POINTS
    anyone, crowd = anywhere(points, seed=5), popular(points)
    peers: dict[str, tuple[Ask, Sequence[Point]]] = {
        UNIFORM: (_nearby, anyone),
        POPULAR: (_nearby, crowd),
        ALONE: (_without_tiles, anyone),
        PLAIN: (neighbours.geosearch(client), anyone),
        DOUBLING: (neighbours.geosearch_doubling(client), anyone),
        NUMPY: (truth.ask, anyone),
    }
    loose = {PLAIN, DOUBLING}
    shares = {
        name: 100 * truth.hold(name, ask, _held(points, quick=quick), exact=name not in loose)
        for name, (ask, points) in peers.items()
        if ask != truth.ask
    }
    for center in anywhere(QUICK_ASKED if quick else ASKED, seed=7):
        _nearby(center)
    measured = interleave(
        [_peer(name, *peer) for name, peer in peers.items()], quick=quick, turn=TURN
    )
    if not geoindex.life():
        raise WrongAnswer("places.nearby has lost its index")
    return _per_second(measured), _twice(shares)


def _without_the_index(
    home: Path,
    places: Sequence[Place],
    truth: BruteForce,
    more: Mapping[str, Ask],
    *,
    quick: bool,
) -> dict[str, list[float]]:
    """Queries a second by peer."""
    points = anywhere(QUICK_POINTS if quick else POINTS, seed=6)
    if geoindex.life():
        raise WrongAnswer("places.nearby still has an index")
    peers = {TABLE: _without_tiles, RTREE: neighbours.rtree(home / "rtree.sqlite3", places), **more}
    for name, ask in peers.items():
        truth.hold(name, ask, _held(points, quick=quick), exact=True)
    measured = interleave(
        [_peer(name, ask, points) for name, ask in peers.items()], quick=quick, turn=TURN
    )
    return _per_second(measured)


def _nearby(center: Point) -> list[str]:
    return [place.id for place, _ in nearest(center, limit=LIMIT, radius=RADIUS).places]


def _without_tiles(center: Point) -> list[str]:
    """As where nobody has asked before."""
    tiles.busy = _nobody
    try:
        return _nearby(center)
    finally:
        tiles.busy = _busy


def _nobody(center: Point) -> bool:
    return False


_busy = tiles.busy


class Elsewhere:
    """A database router: for a moment, places are read from another database."""

    alias: str | None = None

    def db_for_read(self, model: type[models.Model], **_: Any) -> str | None:
        return self.alias if model is Place else None


@contextmanager
def _postgres_peers(
    folder: Path | None, places: Sequence[Place]
) -> Iterator[tuple[dict[str, Ask], str]]:
    """PostGIS, and our table in PostgreSQL, none without a server; and what the versions are."""
    if folder is None:
        yield {}, NOT_HERE
        return
    database = {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": str(folder),
        "NAME": postgis.DATABASE,
        "USER": postgis.USER,
        "CONN_MAX_AGE": None,
    }
    every: Any = {**connections.settings, "postgis": database}
    connections.settings = connections.configure_settings(every)
    elsewhere = Elsewhere()
    router.routers = [elsewhere]
    with connections["postgis"].schema_editor() as editor:
        editor.create_model(Place)
    # Without announcements: these are not the site's.
    rows: models.QuerySet[Place, Place] = models.QuerySet(Place, using="postgis")
    rows.bulk_create(places, batch_size=1000)
    with connections["postgis"].cursor() as cursor:
        cursor.execute("VACUUM ANALYZE places_place")

    def on_postgres(center: Point) -> list[str]:
        elsewhere.alias = "postgis"
        try:
            return _without_tiles(center)
        finally:
            elsewhere.alias = None

    address = f"host={folder} dbname={postgis.DATABASE} user={postgis.USER}"
    with (
        psycopg.connect(address, autocommit=True) as connection,
        closing(connections["postgis"]),
    ):
        peers = {TABLE_POSTGRES: on_postgres, POSTGIS: neighbours.postgis(connection, places)}
        yield peers, neighbours.versions(connection)


def _over_http(home: Path, *, quick: bool) -> dict[str, list[float]]:
    """Requests a second; the server's first rounds warm it up."""
    user = User.objects.create(username="benchmark")
    header = f"X-API-Key: {create_key(user=user, name='benchmark', plan='demo')[1]}"
    paths = [
        f"/api/v1/places/nearby/?lat={center.latitude}&lon={center.longitude}"
        f"&radius_km={RADIUS / 1000:.0f}&limit={LIMIT}"
        for center in anywhere(URLS, seed=7)
    ]
    rounds, seconds = (QUICK_HTTP_ROUNDS, QUICK_SECONDS) if quick else (HTTP_ROUNDS, SECONDS)
    samples: dict[str, list[float]] = {MANY_URLS: [], ONE_URL: []}
    with Children(home / "logs") as children:
        url = start(
            children,
            "places",
            application="config.wsgi:application",
            path=paths[0],
            header=header,
            environment={"DJANGO_SETTINGS_MODULE": "config.settings"},
        )
        site = url.removesuffix(paths[0])
        urls = [site + path for path in paths]
        for number in range(rounds if quick else rounds + 1):
            for name, some in ((MANY_URLS, urls), (ONE_URL, urls[:1])):
                rate = requests_per_second(some, seconds, header)
                if quick or number:
                    samples[name].append(rate)
    return samples


def _index_bytes(client: redis.Redis) -> float:
    """What all keys of the index take, by MEMORY USAGE."""
    prefix = current().far.key("g", 0, geoindex.NAME)
    keys = list(client.scan_iter(f"{prefix}*"))
    sizes: list[Any] = [client.memory_usage(key, samples=0) for key in keys]
    return float(sum(sizes))


def _peer(name: str, ask: Ask, points: Sequence[Point]) -> Peer:
    """A peer that is asked for one point after the other."""
    turns = cycle(points)

    def run(number: int) -> float:
        began = perf_counter()
        for _ in repeat(None, number):
            ask(next(turns))
        return perf_counter() - began

    return Peer(name, run)


def _held(points: Sequence[Point], *, quick: bool) -> Sequence[Point]:
    return points[-(QUICK_HELD if quick else HELD) :]


def _per_second(seconds: Mapping[str, list[float]]) -> dict[str, list[float]]:
    return {name: [1 / each for each in figures] for name, figures in seconds.items()}


def _twice(figures: Mapping[str, float]) -> dict[str, list[float]]:
    """What does not differ between rounds."""
    return {name: [figure, figure] for name, figure in figures.items()}
