"""Where a place is, and how far: what rings and boxes are measured in.

Promises: hits sort by distance, then id, so that ties have an order.
On failure: nothing can fail here.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

# A place: its id, latitude and longitude in degrees.
Spot = tuple[str, float, float]
# The ids of places and, in the same order, their latitudes and longitudes: who looks only at these need not
# fetch an id from memory for each place that is out of reach.
Group = tuple[Sequence[str], Iterable[tuple[float, float]]]


class Hit(NamedTuple):
    """A place, in metres from the centre."""

    distance: float
    id: str


class Found(NamedTuple):
    """A hit, and where the place was taken to be."""

    distance: float
    id: str
    latitude: float
    longitude: float


def group(spots: Iterable[Spot]) -> Group:
    """Places as a search measures them."""
    ids, points = [], []
    for id, latitude, longitude in spots:
        ids.append(id)
        points.append((latitude, longitude))
    return ids, points
