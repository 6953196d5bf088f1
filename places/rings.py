"""The nearest places, by rings that grow until one is sure to hold them all.

Promises: exact. A ring says up to which distance it lacks nothing; only what is nearer counts, and is
measured on the stored coordinates. Whoever looks, the index or the table, the answer is the same.
On failure: whatever the one who looks raises.
"""

from collections.abc import Callable, Iterable
from math import hypot, inf
from typing import NamedTuple

from places.sphere import FARTHEST, Point, measured
from places.spots import Found, Group, Hit

BEGIN = Hit(-1.0, "")
# Candidates beyond those that are wanted, since the order of the index is not quite the true one.
SPARE = 4


class Look(NamedTuple):
    """What to look for: a first radius and the last, in metres, and how many spots are enough there."""

    first: float
    last: float
    enough: int
    most: int


class Ring(NamedTuple):
    """The places that fit, and the metres up to which none is missing; `radius`: how far was looked."""

    groups: Iterable[Group]
    complete: float
    radius: float


def nearest(
    look: Callable[[Look], Ring],
    center: Point,
    count: int,
    *,
    radius: float = inf,
    after: Hit = BEGIN,
    first: float,
    share: float = 1.0,
) -> list[Found]:
    """The `count` nearest hits up to `radius` metres, nearest first, behind `after`.

    `share`: which part of the places may fit, and `first`, the radius that may hold as many as are wanted,
    are guesses: wrong ones cost time, nothing else.
    """
    last = min(radius, FARTHEST)
    if after.distance > last:
        return []
    enough = int(count / share) + 1
    most = enough + SPARE
    # Around what lies before `after`, the ring of the same area as a circle of the first radius.
    reach = min(hypot(max(after.distance, 0.0), first), last)
    while True:
        ring = look(Look(reach, last, enough, most))
        sure = min(ring.complete, last)
        hits = measured(center, sure, ring.groups)
        if after is not BEGIN:
            hits = [hit for hit in hits if hit[:2] > after]
        if len(hits) >= count or ring.complete >= last:
            hits.sort()
            return [Found(*hit) for hit in hits[:count]]
        if ring.complete < ring.radius:
            most = enough = 4 * most
            reach = min(ring.radius, last)
        else:
            reach = min(2 * ring.radius, last)
            enough = most = max(most, 2 * enough)
