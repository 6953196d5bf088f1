"""Fifty thousand places in a city, where people stand in it, and what is near them by brute force.

Promises: equal in every run. The brute force is numpy over all places, in float64: candidates by the cosine
of the angle, then the haversine formula; what it says is what all others are held against.
On failure: WrongAnswer for a peer that says something else.
"""

import random
from collections.abc import Callable, Sequence
from itertools import accumulate
from math import asin, cos, degrees, radians, sin, sqrt
from typing import Any

import numpy as np

from benchmarks.errors import WrongAnswer
from places.models import Place
from places.sphere import RADIUS as EARTH
from places.sphere import Point

# Metres of the city's sides, and how far to look; `LIMIT` places are wanted.
SIDE, RADIUS = 20_000.0, 5_000.0
LIMIT = 20
MIDDLE = Point(52.52, 13.405)
CUISINES = ("thai", "deli", "pizza", "sushi", "curry", "tapas", "pho", "bistro", "grill", "cafe")
# Spots where people stand, the first of them twice as often as the second.
SPOTS = 1_000
# Candidates beyond those wanted: the cosine is short of digits where places are near.
SPARE = 12
# Metres that Redis's cells may put a place beside where it is, there and here.
CELL = 1.0

Ask = Callable[[Point], Sequence[str]]


def city(number: int) -> list[Place]:
    """Places all over the city."""
    numbers = random.Random(1)
    return [
        Place(
            id=f"place_{at:05}",
            name=f"Place {at}",
            latitude=point.latitude,
            longitude=point.longitude,
            cuisine=numbers.choice(CUISINES),
            rating=numbers.choice([None, 3.0, 3.5, 4.0, 4.5]),
            metadata={"street": f"Street {at % 500}", "seats": at % 60},
        )
        for at, point in enumerate(anywhere(number, seed=2))
    ]


def anywhere(number: int, *, seed: int) -> list[Point]:
    """Points all over the city, none more likely than another."""
    numbers = random.Random(seed)
    north = degrees(SIDE / 2 / EARTH)
    east = north / cos(radians(MIDDLE.latitude))
    return [
        Point(
            MIDDLE.latitude + numbers.uniform(-north, north),
            MIDDLE.longitude + numbers.uniform(-east, east),
        )
        for _ in range(number)
    ]


def popular(number: int) -> list[Point]:
    """Points as people ask for them: of `SPOTS`, by Zipf's law."""
    weights = list(accumulate(1 / rank for rank in range(1, SPOTS + 1)))
    return random.Random(3).choices(anywhere(SPOTS, seed=4), cum_weights=weights, k=number)


def distance(a: Point, latitude: float, longitude: float) -> float:
    """Metres, by the haversine formula; not the site's own, which is measured here."""
    north, east = radians(latitude - a.latitude) / 2, radians(longitude - a.longitude) / 2
    parallels = cos(radians(a.latitude)) * cos(radians(latitude))
    return 2 * EARTH * asin(sqrt(sin(north) ** 2 + parallels * sin(east) ** 2))


class BruteForce:
    """All places, as arrays."""

    def __init__(self, places: Sequence[Place]) -> None:
        self.positions = {place.id: Point(place.latitude, place.longitude) for place in places}
        self._ids = np.array(list(self.positions))
        self._degrees = np.array(list(self.positions.values()))
        self._radians = np.radians(self._degrees)
        self._vectors = _vectors(self._radians)

    def ask(self, center: Point) -> list[str]:
        """The ids of the `LIMIT` nearest within `RADIUS`, nearest first, ties by id."""
        here = np.radians(np.array(center))
        cosines = self._vectors @ _vectors(here)
        count = min(LIMIT + SPARE, len(cosines))
        nearest = np.argpartition(cosines, -count)[-count:]
        north, east = (self._radians[nearest] - here).T / 2
        parallels = np.cos(here[0]) * np.cos(self._radians[nearest, 0])
        h = np.sin(north) ** 2 + parallels * np.sin(east) ** 2
        metres = 2 * EARTH * np.arcsin(np.sqrt(h))
        order = np.lexsort((self._ids[nearest], metres))
        found: list[str] = self._ids[nearest][order][metres[order] <= RADIUS][:LIMIT].tolist()
        return found

    def hold(self, name: str, ask: Ask, centers: Sequence[Point], *, exact: bool) -> float:
        """Compare answers; the share of those that are equal. Raises WrongAnswer.

        Not `exact`: the places may be others, or in another order, if they are as near give or take a cell.
        """
        equal = 0
        for center in centers:
            answer, wanted = list(ask(center)), self.ask(center)
            equal += answer == wanted
            if answer != wanted and (exact or not self._as_near(center, answer, wanted)):
                raise WrongAnswer(f"{name} answered {answer} around {center}, not {wanted}")
        return equal / len(centers)

    def _as_near(self, center: Point, answer: list[str], wanted: list[str]) -> bool:
        ours, theirs = (
            [distance(center, *self.positions[id]) for id in ids] for ids in (answer, wanted)
        )
        return len(ours) == len(theirs) and all(
            abs(one - other) < CELL for one, other in zip(ours, theirs, strict=True)
        )


def _vectors(points: Any) -> Any:
    """Unit vectors of points in radians."""
    north, east = points.T
    return np.stack([np.cos(north) * np.cos(east), np.cos(north) * np.sin(east), np.sin(north)], -1)
