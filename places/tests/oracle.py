"""Brute force over every place, in float64: what the answers are held against.

Promises: knows no index, no span and no ring; distances come from the vectors of the points (the angle
between them by its tangent, which is exact near and far), so that it shares no formula with what it judges.
On failure: `differences` says in words what differs.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from places.models import Place

RADIUS = 6_371_008.8
# Metres: two distances this close may come in either order.
TIE = 1e-6
MILLIMETRE = 1e-3


class Wanted(NamedTuple):
    """One question."""

    latitude: float
    longitude: float
    limit: int
    radius: float = np.inf
    cuisine: str = ""
    min_rating: float | None = None


def _vectors(latitudes: np.ndarray, longitudes: np.ndarray) -> np.ndarray:
    north, east = np.radians(latitudes), np.radians(longitudes)
    return np.stack(
        [np.cos(north) * np.cos(east), np.cos(north) * np.sin(east), np.sin(north)], axis=-1
    )


class Oracle:
    """All places, as arrays."""

    def __init__(self, places: Sequence[Place]) -> None:
        self.ids = np.array([place.id for place in places])
        self.latitudes = np.array([place.latitude for place in places])
        self.longitudes = np.array([place.longitude for place in places])
        self.cuisines = np.array([place.cuisine for place in places])
        self.ratings = np.array(
            [np.nan if place.rating is None else place.rating for place in places]
        )
        self._vectors = _vectors(self.latitudes, self.longitudes)

    def nearest(self, wanted: Wanted) -> list[tuple[str, float]]:
        """Ids and metres, nearest first, ties by id; behind the limit those that are as far as the last."""
        fits = self._fits(wanted.cuisine, wanted.min_rating)
        center = _vectors(np.array(wanted.latitude), np.array(wanted.longitude))
        # By the chord first, which is enough to leave most of them out.
        chords = self._vectors @ center
        chords[~fits] = -np.inf
        count = min(int(fits.sum()), wanted.limit + 50)
        near = np.argpartition(-chords, count - 1)[:count] if count else np.array([], dtype=int)
        if count and np.isclose(chords[near].min(), chords[fits].min(), atol=0):
            near = np.flatnonzero(fits)
        across = np.linalg.norm(np.cross(self._vectors[near], center), axis=-1)
        metres = RADIUS * np.arctan2(across, self._vectors[near] @ center)
        found = sorted(
            (float(distance), str(id)) for distance, id in zip(metres, self.ids[near], strict=True)
        )
        inside = [(id, distance) for distance, id in found if distance <= wanted.radius]
        last = inside[wanted.limit - 1][1] if len(inside) > wanted.limit else 0.0
        return [hit for at, hit in enumerate(inside) if at < wanted.limit or hit[1] - last <= TIE]

    def within(
        self, west: float, south: float, east: float, north: float, cuisine: str = ""
    ) -> list[str]:
        """The ids in a box, in order."""
        inside = self._fits(cuisine, None)
        inside &= (self.latitudes >= south) & (self.latitudes <= north)
        if west <= east:
            across = (self.longitudes >= west) & (self.longitudes <= east)
            if east == 180.0:
                across |= self.longitudes == -180.0
        else:
            across = (self.longitudes >= west) | (self.longitudes <= east)
        return sorted(str(id) for id in self.ids[inside & across])

    def _fits(self, cuisine: str, min_rating: float | None) -> np.ndarray:
        fits = np.ones(len(self.ids), dtype=bool)
        if cuisine:
            fits &= self.cuisines == cuisine
        if min_rating is not None:
            fits &= self.ratings >= min_rating
        return fits


def differences(
    found: Sequence[tuple[str, float]], true: Sequence[tuple[str, float]], limit: int
) -> list[str]:
    """What differs between two answers: ids by their order, and distances by more than a millimetre.

    Of places that are as far but for rounding either may come first.
    """
    if len(found) != min(len(true), limit):
        return [f"{len(found)} places instead of {min(len(true), limit)}"]
    if len({id for id, _ in found}) < len(found):
        return ["a place twice"]
    wrong = []
    for at, ((id, metres), (right, exact)) in enumerate(zip(found, true, strict=False)):
        if abs(metres - exact) > MILLIMETRE:
            wrong.append(f"{at}: {id} at {metres} m, {right} at {exact} m")
        elif not any(other == id and abs(there - exact) <= TIE for other, there in true):
            wrong.append(f"{at}: {id} instead of {right} at {exact} m")
    return wrong
