"""A small world with all that is hard about the real one: poles, the antimeridian, ties, crowds, empty seas.

Promise: the same places for the same seed. On failure: there is nothing to fail.
"""

import random
from math import asin, degrees

from places.filters import Filters
from places.models import Place
from places.sphere import Point

CITIES = ((48.85, 2.35), (-33.9, 151.2), (64.1, -21.9), (1.3, 103.8), (-17.0, 179.98))
CUISINES = ("thai", "greek", "")
LATITUDES = (90.0, -90.0, 89.999, 85.05, 85.0501, -85.06, 84.9, 86.0)
EDGES = (180.0, -180.0, 179.9999, -179.9999, 179.5)


def world(seed: int, *, crowd: int = 400, lone: int = 300) -> list[Place]:
    """Places, not saved: `crowd` a city, and `lone` of each other kind."""
    chance = random.Random(seed)
    where: list[tuple[float, float]] = []
    for latitude, longitude in CITIES:
        where += [
            (latitude + chance.gauss(0, 0.03), east(longitude + chance.gauss(0, 0.03)))
            for _ in range(crowd)
        ]
    for number in range(lone):
        where.append((degrees(asin(chance.uniform(-1, 1))), chance.uniform(-180, 180)))
        where.append((chance.choice(LATITUDES), chance.uniform(-180, 180)))
        where.append((chance.uniform(-80, 80), chance.choice(EDGES)))
        where.append((10.0 + number % 20 / 1000, 20.0))
    return [
        Place(
            id=f"place_{chance.randrange(10**9):09}_{number}",
            name=f"Place {number}",
            latitude=latitude,
            longitude=longitude,
            cuisine=chance.choice(CUISINES),
            rating=chance.choice((None, chance.randint(0, 50) / 10)),
        )
        for number, (latitude, longitude) in enumerate(where)
    ]


def east(longitude: float) -> float:
    """The same meridian, -180 up to 180."""
    return (longitude + 180) % 360 - 180


def somewhere(chance: random.Random, places: list[Place]) -> Point:
    """A point to ask for: near a place, at one, at an edge of the map, or anywhere."""
    kind = chance.random()
    place = chance.choice(places)
    if kind < 0.4:
        latitude = place.latitude + chance.gauss(0, 0.2)
        return Point(max(-90.0, min(90.0, latitude)), east(place.longitude + chance.gauss(0, 0.2)))
    if kind < 0.55:
        return Point(place.latitude, place.longitude)
    if kind < 0.7:
        return Point(chance.choice(LATITUDES), chance.uniform(-180, 179))
    if kind < 0.85:
        return Point(chance.uniform(-85, 85), east(chance.choice(EDGES)))
    return Point(degrees(asin(chance.uniform(-1, 1))), chance.uniform(-180, 179))


def some_filters(chance: random.Random) -> Filters:
    """Mostly none."""
    cuisine = chance.choice(("thai", "greek", "none")) if chance.random() < 0.4 else ""
    rating = chance.choice((0.0, 2.5, 3.8, 4.7, 5.0)) if chance.random() < 0.3 else None
    return Filters(cuisine, rating)
