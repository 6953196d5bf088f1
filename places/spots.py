"""Where a place is, and how far: what rings and boxes are measured in.

Promises: hits sort by distance, then id, so that ties have an order.
On failure: nothing can fail here.
"""

from typing import NamedTuple

# A place: its id, latitude and longitude in degrees.
Spot = tuple[str, float, float]


class Hit(NamedTuple):
    """A place, in metres from the centre."""

    distance: float
    id: str
