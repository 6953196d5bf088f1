"""The cities of the demo: where they are, and where their people stand.

Promises: always the same; 20 x 20 km each, one of them on both sides of the antimeridian.
On failure: nothing can fail here.
"""

import random
from math import cos, radians
from typing import NamedTuple

from places import sphere
from places.models import meridian
from places.sphere import Point

SIDE = 20_000.0  # metres of a city, from side to side
SPOTS = 16  # a city: squares and stations, where its places and its people are
SEED = 1729
MIDDLES = {
    "Lisbon": Point(38.72, -9.14),
    "Nairobi": Point(-1.29, 36.82),
    "Osaka": Point(34.69, 135.50),
    "Lima": Point(-12.05, -77.04),
    "Taveuni": Point(-16.85, -180.0),
}


class City(NamedTuple):
    """Its middle, and its spots, the most popular first."""

    name: str
    middle: Point
    spots: list[Point]


def cities() -> list[City]:
    """All of them."""
    chance = random.Random(SEED)
    return [
        City(name, middle, [anywhere(middle, chance) for _ in range(SPOTS)])
        for name, middle in MIDDLES.items()
    ]


def anywhere(middle: Point, chance: random.Random) -> Point:
    """A point of the city."""
    return beside(middle, *(chance.uniform(-SIDE / 2, SIDE / 2) for _ in range(2)))


def around(spot: Point, metres: float, chance: random.Random) -> Point:
    """A point near a spot; `metres` is one standard deviation in either direction."""
    return beside(spot, chance.gauss(0, metres), chance.gauss(0, metres))


def beside(point: Point, north: float, east: float) -> Point:
    """The point so many metres north and east of another, to a millionth of a degree."""
    metres = radians(sphere.RADIUS)
    longitude = point.longitude + east / metres / cos(radians(point.latitude))
    longitude = (longitude + 180.0) % 360.0 - 180.0
    return Point(round(point.latitude + north / metres, 6), meridian(round(longitude, 6)))
