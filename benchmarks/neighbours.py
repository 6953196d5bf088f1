"""The ways to ask for the nearest places that are compared with ours, each as its own documentation shows.

Promises: each returns the ids of up to `LIMIT` places within `RADIUS` metres, nearest first. R*Tree and
PostGIS measure exactly; Redis's cells put a place up to 0.33 m beside where it is.
On failure: what the library raises.
"""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg
import redis

from benchmarks.city import LIMIT, RADIUS, Ask, distance
from places.models import Place
from places.sphere import Point, around

# Metres of the first of the radii that are doubled.
FIRST = 250.0
KEY = "benchmark:places"
RTREE = "CREATE VIRTUAL TABLE spots USING rtree(number, west, east, south, north, +id, +lat, +lon)"
BOX = "SELECT id, lat, lon FROM spots WHERE east >= ? AND west <= ? AND north >= ? AND south <= ?"
# On the sphere, as all others: the index gives the nearest, of which those within the radius count.
KNN = """
    SELECT id FROM (
        SELECT id, spot <-> ST_MakePoint(%(east)s, %(north)s)::geography AS metres
        FROM spots ORDER BY metres LIMIT %(limit)s
    ) AS nearest WHERE metres <= %(radius)s ORDER BY metres, id
"""


def geoadd(client: redis.Redis, places: Sequence[Place]) -> int:
    """Put the places into one sorted set; the bytes it takes."""
    for start in range(0, len(places), 1000):
        words: list[Any] = []
        for place in places[start : start + 1000]:
            words += (place.longitude, place.latitude, place.id)
        client.geoadd(KEY, words)
    return int(client.memory_usage(KEY, samples=0))  # type: ignore[arg-type]


def geosearch(client: redis.Redis) -> Ask:
    """One GEOSEARCH of the whole radius."""
    return lambda center: _search(client, center, RADIUS)


def geosearch_doubling(client: redis.Redis) -> Ask:
    """GEOSEARCH with a radius that is doubled until there are enough."""

    def ask(center: Point) -> list[str]:
        radius = FIRST
        while True:
            found = _search(client, center, radius)
            if len(found) >= LIMIT or radius >= RADIUS:
                return found
            radius = min(2 * radius, RADIUS)

    return ask


def _search(client: redis.Redis, center: Point, radius: float) -> list[str]:
    found: Any = client.geosearch(
        KEY,
        longitude=center.longitude,
        latitude=center.latitude,
        radius=radius,
        unit="m",
        sort="ASC",
        count=LIMIT,
        withdist=True,
    )
    return [id.decode() for id, _ in found]


def rtree(file: Path, places: Sequence[Place]) -> Ask:
    """SQLite's R*Tree: boxes that are doubled too, and the haversine formula on what is in them."""
    database = sqlite3.connect(file)
    database.execute(RTREE)
    with database:
        database.executemany(
            "INSERT INTO spots VALUES (?1, ?2, ?2, ?3, ?3, ?4, ?3, ?2)",
            [(at, each.longitude, each.latitude, each.id) for at, each in enumerate(places)],
        )

    def ask(center: Point) -> list[str]:
        radius = FIRST
        while True:
            span = around(center, radius)
            rows = database.execute(BOX, (span.west, span.east, span.south, span.north))
            hits = [(distance(center, lat, lon), id) for id, lat, lon in rows]
            found = sorted(hit for hit in hits if hit[0] <= radius)
            if len(found) >= LIMIT or radius >= RADIUS:
                return [id for _, id in found[:LIMIT]]
            radius = min(2 * radius, RADIUS)

    return ask


def postgis(connection: psycopg.Connection[Any], places: Sequence[Place]) -> Ask:
    """PostGIS: geography with a GiST index, ordered by it."""
    connection.execute("CREATE EXTENSION postgis")
    connection.execute("CREATE TABLE spots (id text PRIMARY KEY, spot geography(Point) NOT NULL)")
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO spots VALUES (%s, ST_MakePoint(%s, %s)::geography)",
            [(place.id, place.longitude, place.latitude) for place in places],
        )
    connection.execute("CREATE INDEX ON spots USING gist (spot)")
    connection.execute("VACUUM ANALYZE spots")

    def ask(center: Point) -> list[str]:
        given = {"east": center.longitude, "north": center.latitude}
        rows = connection.execute(KNN, {**given, "radius": RADIUS, "limit": LIMIT})
        return [id for (id,) in rows]

    return ask


def versions(connection: psycopg.Connection[Any]) -> str:
    """What the tables are measured on."""
    server = connection.info.parameter_status("server_version") or ""
    [(extension,)] = connection.execute("SELECT postgis_lib_version()").fetchall()
    return (
        f"SQLite {sqlite3.sqlite_version}, PostgreSQL {server.partition(' ')[0]}, "
        f"PostGIS {extension}."
    )
