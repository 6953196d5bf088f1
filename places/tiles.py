"""Tiles: where the places of a busy square are, kept in L1 and L2, so that a search there asks nobody.

Guarantee: exact. A tile has every place in it, of one cuisine or of all, and a circle is answered by all the
tiles it touches; who asks measures. A write drops the tiles that have the place, where it was and where it
is, and no others. One may keep a place that has left it, if a writer died or two came at once: so who asks
believes it only what the cards say too (places/nearby.py); none lacks a place. They are loaded from the
table, not by way of cards, which may be a bus delay old. There are tiles of nine sizes, for as many
densities; a search takes those whose sides are about its radius. Only where many ask do they pay: a square of
a tenth of a degree has to be asked for twenty times in a minute. Nearer to the poles than 75 degrees, for
circles beyond 20 km, and for tiles with a crowd in them, the index is asked. A tile without a place is
unknown, and remembered as such for a minute: who asks for cuisines that nobody cooks fills no cache.
When Redis is down: L1 and the table answer.
"""

import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import product
from math import floor, radians
from struct import Struct

import msgspec

from caching import Near, TieredCache
from places import rows, sphere
from places.filters import Filters
from places.models import CUISINE
from places.sphere import Point, Span
from places.spots import Group, Spot

MINUTE = 60
DAY = 86_400
# Degrees of a side, by level: 180 / 2**18, some 76 m, up to some 20 km. Multiples of these are exact in
# float64.
SIDES = tuple(180 / 2**power for power in range(18, 9, -1))
# The least side, as a part of the radius: smaller tiles are more to look up, larger ones have more to
# measure.
LEAST = 0.9
NORTHERNMOST = 75.0
# Tiles that are worth it for one search, and places in one.
MOST_TILES = 48
MOST_SPOTS = 400
# Places written at once; with more, all tiles are dropped.
MOST_DROPPED = 50
# Questions within so many seconds that make a square busy, and the squares that are counted.
BUSY = 20
WINDOW = 60.0
MOST_COUNTED = 10_000
ALL = "all"
# Degrees beside a tile that the table is asked for: a coordinate may round into it.
BESIDE = 1e-9
# Degrees that the index may misplace a place by, with room to spare.
MISPLACED = 1e-5

# A latitude and a longitude.
POINT = Struct("<2d")

_METRES_A_DEGREE = radians(sphere.RADIUS)


class Tile(msgspec.Struct, frozen=True):
    """The places in a tile, none and not `whole` if they are too many to keep: ids, coordinates, ratings.

    Most places that a search looks at are out of reach. Their coordinates stand side by side in memory, where
    as objects each is somewhere else: with a city's tiles in L1, fetching these took longer than measuring.
    """

    whole: bool
    ids: tuple[str, ...] = ()
    points: bytes = b""
    ratings: tuple[float | None, ...] = ()

    def group(self) -> Group:
        """All of them."""
        return self.ids, POINT.iter_unpack(self.points)

    def rated(self, good: Callable[[float | None], bool]) -> Group:
        """Those with a good rating."""
        rated = zip(self.ids, POINT.iter_unpack(self.points), self.ratings, strict=True)
        fitting = [(id, point) for id, point, rating in rated if good(rating)]
        return [id for id, _ in fitting], [point for _, point in fitting]


class _Counted:
    """How often squares were asked for in this minute and the last, in this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._began = 0.0
        self._counts: dict[tuple[int, int], int] = {}
        self._busy: frozenset[tuple[int, int]] = frozenset()

    def busy(self, square: tuple[int, int]) -> bool:
        with self._lock:
            now = time.monotonic()
            if now - self._began > WINDOW or len(self._counts) >= MOST_COUNTED:
                self._busy = frozenset(s for s, count in self._counts.items() if count >= BUSY)
                self._counts, self._began = {}, now
            count = self._counts.get(square, 0) + 1
            self._counts[square] = count
            return count >= BUSY or square in self._busy


_counted = _Counted()


def busy(center: Point) -> bool:
    """Count a question at that point; whether tiles are worth it there."""
    square = floor(center.longitude * 10), floor(center.latitude * 10)
    return abs(center.latitude) < NORTHERNMOST and _counted.busy(square)


def cover(center: Point, metres: float, cuisine: str) -> list[str] | None:
    """The tiles that a circle touches; None if there are none so large, or too many."""
    level = _level(metres)
    if level is None:
        return None
    span, side = sphere.around(center, metres), SIDES[level]
    columns = {
        x
        for west, east in span.runs()
        for x in range(_number(west, -180.0, side), _number(east, -180.0, side) + 1)
    }
    lines = range(_number(span.south, -90.0, side), _number(span.north, -90.0, side) + 1)
    if len(columns) * len(lines) > MOST_TILES:
        return None
    return [f"{level}/{x}/{y}/{cuisine}" for x, y in product(sorted(columns), lines)]


def load(keys: Sequence[str]) -> Mapping[str, Tile]:
    """What the table has in each tile that has any: one query for all tiles of a size and cuisine, as one
    search wants.
    """
    groups: dict[tuple[int, str], dict[tuple[int, int], list[tuple[Spot, float | None]]]] = {}
    for key in keys:
        level, x, y, cuisine = _parsed(key)
        groups.setdefault((level, cuisine), {})[x, y] = []
    full = [group for group, wanted in groups.items() if not _fill(group, wanted)]
    tiles = {}
    for key in keys:
        level, x, y, cuisine = _parsed(key)
        found = groups[level, cuisine][x, y]
        if (level, cuisine) in full or len(found) > MOST_SPOTS:
            tiles[key] = Tile(whole=False)
        elif found:
            tiles[key] = _tile(found)
    return tiles


def _tile(places: Sequence[tuple[Spot, float | None]]) -> Tile:
    return Tile(
        whole=True,
        ids=tuple(id for (id, _, _), _ in places),
        points=b"".join(POINT.pack(*point) for (_, *point), _ in places),
        ratings=tuple(rating for _, rating in places),
    )


def drop(places: Collection[tuple[Point, str]]) -> None:
    """Have every process forget the tiles that have a place of a cuisine at a point."""
    if len(places) > MOST_DROPPED:
        drop_all()
    else:
        tiles.invalidate(dict.fromkeys(key for place in places for key in _keys_of(*place)))


def drop_all() -> None:
    """Have every process forget all tiles."""
    tiles.invalidate_tag(ALL)


def _fill(
    group: tuple[int, str], wanted: dict[tuple[int, int], list[tuple[Spot, float | None]]]
) -> bool:
    """Put the places of these tiles into them; False if there are more than they may hold."""
    level, cuisine = group
    side, most = SIDES[level], MOST_SPOTS * len(wanted)
    found = rows.matching(_span(wanted, side), Filters(cuisine)).order_by()
    columns = list(found.values_list("pk", "latitude", "longitude", "rating")[: most + 1])
    for id, latitude, longitude, rating in columns:
        place = _number(longitude, -180.0, side), _number(latitude, -90.0, side)
        if place in wanted:
            wanted[place].append(((id, latitude, longitude), rating))
    return len(columns) <= most


def _span(places: Iterable[tuple[int, int]], side: float) -> Span:
    """What has all these tiles in it, and a hair beside; the shorter way round."""
    xs, ys = zip(*places, strict=True)
    around = round(360 / side)
    if max(xs) - min(xs) > around / 2:
        first, last = min(x for x in xs if x > around / 2), max(x for x in xs if x <= around / 2)
    else:
        first, last = min(xs), max(xs)
    return Span(
        min(ys) * side - 90 - BESIDE,
        (max(ys) + 1) * side - 90 + BESIDE,
        first * side - 180 - BESIDE,
        (last + 1) * side - 180 + BESIDE,
    )


def _keys_of(point: Point, cuisine: str) -> Iterator[str]:
    for level, side in enumerate(SIDES):
        # The index says of a place where it was, and not quite: perhaps it was in the tile beside.
        for east, north in product((-MISPLACED, MISPLACED), repeat=2):
            x = _number(sphere.east_of(point.longitude, east), -180.0, side)
            y = _number(point.latitude + north, -90.0, side)
            for kind in {"", cuisine}:
                yield f"{level}/{x}/{y}/{kind}"


def _level(metres: float) -> int | None:
    for level, side in enumerate(SIDES):
        if side * _METRES_A_DEGREE >= LEAST * metres:
            return level
    return None


def _number(degrees: float, first: float, side: float) -> int:
    """Which tile of a row or column a coordinate is in."""
    return floor((degrees - first) / side)


def _parsed(key: str) -> tuple[int, int, int, str]:
    level, x, y, cuisine = key.split("/")
    if cuisine and not CUISINE.fullmatch(cuisine):
        raise ValueError(f"no tile: {key!r:.80}")
    return int(level), int(x), int(y), cuisine


def _tags(key: str) -> tuple[str, ...]:
    return (ALL,)


tiles = TieredCache(
    "places.tile",
    load=load,
    schema=Tile,
    ttl=DAY,
    negative_ttl=MINUTE,
    near=Near(size=20_000),
    tags=_tags,
)
