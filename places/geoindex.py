"""The index: where every place is, in Redis's sorted sets of 52-bit cells, one for all and one a cuisine.

Guarantee: the index is whole or absent. Whole: a place whose row was committed is in it where the row has it,
once the write has returned. What it answers are candidates: a cell puts a place up to 0.33 m beside where it
is, and Redis's sphere is 0.03 % larger, so radii are taken with that margin, and who asks measures again.
Nothing is misplaced, since who writes sets up a fence for the place first, then reads its row, and puts what
it read only if the fence is still its own: of two writers the one that read later wins, whoever comes first.
Beyond 85.05 degrees north and south, where Redis knows no cell, there is no index, and no ring or box reaches
there; what lies `beside` is the table's. When Redis is down, or the index absent: `FarDown`, `Absent`, and
the database answers (places/nearby.py). A write that Redis does not take makes the index absent, before this
process reads it again; so does a restart of the server, since it may have forgotten a second of writes.
places/rebuilding.py makes it anew.
"""

import secrets
from collections.abc import Sequence
from math import inf, nextafter
from typing import Any, NamedTuple

from caching.far import Call, Far
from caching.journal import Invalidation
from caching.node import current
from caching.registry import count_as
from caching.scripting import Script, read
from places import sphere
from places.sphere import Point, Span

NAME = "places.index"
LAYOUT = "1"
LIVE = "live"
# Degrees: Redis has cells up to 85.05112878.
NORTHERNMOST = 85.05
# Metres of a circle or half a box: further out the 3 x 3 cells that Redis looks at are of no use.
FARTHEST = 2_500_000.0
# Redis's sphere to ours, and the metres that a cell and four decimals may misplace, rounded up.
LARGER = 6_372_797.560856 / sphere.RADIUS
MISPLACED = 0.5
# Seconds until an index is made anew, whatever happened; its parts live longer than the marker says.
LIFE = 86_400
AFTERLIFE = 3_600
# Places a single call puts: it must not hold up Redis for more than a few milliseconds.
BATCH = 500
# Times a writer reads a row again that somebody else has set up a fence for, and not put.
TRIES = 5

count_as(NAME)

RING = read(__file__, "geo_ring")
OUTWARD = read(__file__, "geo_outward")
BOX = read(__file__, "geo_box")
PUT = read(__file__, "geo_put")
LEFT = read(__file__, "geo_left")


class Absent(Exception):
    """There is no index now."""


class Beyond(Exception):
    """Redis has no answer for such a circle or box."""


class Ring(NamedTuple):
    """Ids of the nearest places, and the metres up to which none is missing; `radius`: how far was looked."""

    ids: list[str]
    complete: float
    radius: float


class Placed(NamedTuple):
    """The ids that somebody else has set up a fence for since, and not put yet; and where the others were
    before, give or take a cell, and of which cuisine, as far as there was an index.
    """

    again: list[str]
    before: list[tuple[Point, str]]


class Position(NamedTuple):
    """Where a place belongs; a point of None: nowhere."""

    id: str
    point: Point | None
    cuisine: str


def ring(
    center: Point, *, first: float, last: float, enough: int, most: int, cuisine: str = ""
) -> Ring:
    """The nearest ids, up to `most`, in a radius from `first` that grows until there are `enough`, or to
    `last`.

    Radii are in metres. One round trip. Raises Beyond, Absent, FarDown.
    """
    margin = _margin(center, last)
    shortest, longest = (metres * margin + MISPLACED for metres in (first, last))
    numbers = [repr(n) for n in (center.longitude, center.latitude, shortest, longest)]
    answer = _ask(RING, [*numbers, enough, most, cuisine])
    reached = float(answer[0])
    ids = [id.decode() for id in answer[1]]
    # Not calculated back where it need not be: rounded, the last radius would seem not to be reached.
    radius = last if reached >= longest else (reached - MISPLACED) / margin
    if len(ids) == most:
        # Behind the last one there may be others, as near as Redis's error.
        east, north = answer[2]
        edge = sphere.measure(center)(float(north), float(east))
        return Ring(ids, min(radius, edge - MISPLACED), radius)
    return Ring(ids, radius, radius)


def outward(center: Point, *, least: float, last: float, most: int, cuisine: str = "") -> Ring:
    """The nearest ids from `least` metres up to `last`, `most` of them.

    However far that is, and wherever: it costs more than `ring` does for what is near, but neither what is
    nearer than `least` nor what is empty costs anything. One round trip. Raises Absent, FarDown.
    """
    numbers = [repr(n) for n in (center.longitude, center.latitude, least, last)]
    answer = _ask(OUTWARD, [*numbers, most, cuisine, repr(sphere.RADIUS), repr(MISPLACED)])
    complete = float(answer[1]) if answer[1] is not None else inf
    return Ring([id.decode() for id in answer[0]], complete, inf)


def beside(span: Span) -> list[Span]:
    """What of a span, if not empty, lies where there is no index: around the poles."""
    north, south = nextafter(NORTHERNMOST, 90.0), nextafter(-NORTHERNMOST, -90.0)
    caps = (
        span._replace(south=max(span.south, north)),
        span._replace(north=min(span.north, south)),
    )
    return [cap for cap in caps if cap.south <= cap.north]


def box(span: Span, *, most: int, cuisine: str = "") -> list[str]:
    """The ids in a span and a little beside it, in no order; `most` of them if there are that many.

    One round trip. Raises Beyond, Absent, FarDown.
    """
    middle = sphere.middle(span)
    # A span may be a line or a point, which no circle is.
    _margin(middle, max(sphere.half_diagonal(span), MISPLACED))
    if max(-span.south, span.north) > NORTHERNMOST:
        raise Beyond
    sides = [side * LARGER * (1 + sphere.SLACK) + 4 * MISPLACED for side in sphere.sides(span)]
    words = [repr(number) for number in (middle.longitude, middle.latitude, *sides)]
    return [id.decode() for id in _ask(BOX, [*words, most, cuisine])]


def fence(ids: Sequence[str]) -> str:
    """Say that these rows are going to be read; the token to `put` them under. Raises FarDown."""
    far = _far()
    token = secrets.token_hex(8)
    key = _key(far, "f")
    far.guarded(lambda client: client.hset(key, mapping=dict.fromkeys(ids, token)))
    return token


def put(positions: Sequence[Position], token: str) -> Placed:
    """Have places be where they belong, as read under the token. Raises FarDown."""
    far = _far()
    keys = [*_markers(far), _key(far, "f"), _key(far, "g", "")]
    words: list[str | int] = []
    for id, point, cuisine in positions:
        if point is None or abs(point.latitude) > NORTHERNMOST:
            words += (id, "", "", cuisine)
        else:
            words += (id, repr(point.longitude), repr(point.latitude), cuisine)
    [(again, before)] = far.run([Call(PUT, keys, [token, 1000 * (LIFE + AFTERLIFE), *words])])
    were = [
        (Point(float(north), float(east)), cuisine.decode())
        for east, north, cuisine in zip(before[::3], before[1::3], before[2::3], strict=True)
    ]
    return Placed([id.decode() for id in again], were)


def fenced(ids: Sequence[str]) -> list[str]:
    """Those of the places that somebody has set up a fence for, and not put yet. Raises FarDown."""
    far = _far()
    found = far.guarded(lambda client: client.hmget(_key(far, "f"), ids))
    return [id for id, token in zip(ids, found, strict=True) if token is not None]


def life() -> float:
    """Seconds that the index still lives; 0 if there is none. Raises FarDown."""
    far = _far()
    [left] = far.run([Call(LEFT, [_markers(far)[0]], [])])
    return float(max(0, left)) / 1000


def forget() -> None:
    """Have there be no index: now, or before this process reads Redis again."""
    _far().publish(Invalidation(NAME, (LIVE,), ()))


def builders_keys() -> list[str]:
    """The markers, the builder's lease, how far it is, the prefix, and the names of all generations.

    Raises FarDown.
    """
    far = _far()
    return [*_markers(far), *(_key(far, kind) for kind in "bp"), _key(far, "g", ""), _key(far, "n")]


def _margin(center: Point, metres: float) -> float:
    """What to multiply a radius up to `metres` by, so that Redis misses nothing in it. Raises Beyond.

    Redis makes sure that its 3 x 3 cells reach far enough east and west along the centre's own parallel.
    """
    reach = sphere.parallel_reach(center, metres)
    span = sphere.around(center, metres)
    if metres > FARTHEST or reach > 2 * metres or max(-span.south, span.north) > NORTHERNMOST:
        raise Beyond
    return max(reach / metres, 1.0) * LARGER * (1 + sphere.SLACK)


def _ask(script: Script, arguments: Sequence[str | int]) -> Any:
    far = _far()
    [answer] = far.run([Call(script, [_markers(far)[0], _key(far, "g", "")], arguments)])
    if answer == 0:
        raise Absent
    return answer


def _markers(far: Far) -> list[str]:
    """What `forget` deletes: an entry is the marker of the live generation, its lease that of the next."""
    return [_key(far, "e", LIVE), _key(far, "l", LIVE)]


def _key(far: Far, kind: str, *parts: str) -> str:
    """The whole index is under one hash tag: a script looks at several keys."""
    return far.key(kind, far.shard_of(LIVE), NAME, LAYOUT, *parts)


def _far() -> Far:
    far = current().far
    far.declare(NAME, LAYOUT)
    return far
