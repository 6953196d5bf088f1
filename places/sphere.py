"""The sphere that distances are measured on, and what of it a circle or a box covers.

Promises: distances are the haversine formula on WGS84's mean radius, in float64; a span covers its circle or
box whole, at the poles and across the antimeridian too.
On failure: nothing can fail here for finite degrees. Knows no table and no Redis.
"""

from collections.abc import Callable, Iterable, Iterator
from math import asin, cos, degrees, hypot, inf, pi, radians, sin, sqrt
from typing import NamedTuple

from places.spots import Group

# Metres: (2a + b) / 3 of WGS84.
RADIUS = 6_371_008.8
FARTHEST = pi * RADIUS
# Metres, relative and absolute, that rounding may cost a bound.
SLACK = 1e-9
GRAIN = 1e-3


class Point(NamedTuple):
    """Degrees north, -90 to 90, and east, -180 up to 180."""

    latitude: float
    longitude: float


class Span(NamedTuple):
    """Between two parallels and two meridians, in degrees; `west` > `east` crosses the antimeridian."""

    south: float
    north: float
    west: float
    east: float

    def holds(self, latitude: float, longitude: float) -> bool:
        """Whether a point is in it, its edges included."""
        if not self.south <= latitude <= self.north:
            return False
        if self.west <= self.east:
            # 180 is stored as -180: an eastern edge there has the western name too.
            return self.west <= longitude <= self.east or (
                self.east == 180.0 and longitude == -180.0
            )
        return longitude >= self.west or longitude <= self.east

    def runs(self) -> Iterator[tuple[float, float]]:
        """The longitudes as one or two runs of stored values, none across the antimeridian."""
        if self.west <= self.east:
            yield self.west, self.east
            if self.east == 180.0 and self.west > -180.0:
                yield -180.0, -180.0
        else:
            yield self.west, 180.0
            yield -180.0, self.east


def measure(center: Point) -> Callable[[float, float], float]:
    """What gives the metres from a point to a latitude and longitude: the haversine formula.

    Sinnott, "Virtues of the haversine", Sky and Telescope 68 (1984).
    """
    north, east = radians(center.latitude), radians(center.longitude)
    parallel = cos(north)

    def metres(latitude: float, longitude: float) -> float:
        here = radians(latitude)
        up, along = sin((here - north) / 2), sin((radians(longitude) - east) / 2)
        return 2 * RADIUS * asin(min(1.0, sqrt(up * up + parallel * cos(here) * along * along)))

    return metres


def measured(
    center: Point, metres: float, groups: Iterable[Group]
) -> list[tuple[float, str, float, float]]:
    """The distances, as by `measure`, ids, latitudes and longitudes of the places in a circle.

    A search spends most of its time here. Most spots of a tile are out of reach, and comparing is a tenth of
    measuring; a call for each would be another third.
    """
    span = around(center, metres)
    # Across the antimeridian any longitude is measured.
    south, north, west, east = span if span.west <= span.east < 180.0 else (*span[:2], -inf, inf)
    up, along = radians(center.latitude), radians(center.longitude)
    parallel = cos(up)
    hits = []
    for ids, points in groups:
        for number, (latitude, longitude) in enumerate(points):
            if south <= latitude <= north and west <= longitude <= east:
                here = radians(latitude)
                a, b = sin((here - up) / 2), sin((radians(longitude) - along) / 2)
                distance = 2 * RADIUS * asin(min(1.0, sqrt(a * a + parallel * cos(here) * b * b)))
                if distance <= metres:
                    hits.append((distance, ids[number], latitude, longitude))
    return hits


def around(center: Point, metres: float) -> Span:
    """The smallest span that holds a circle, give or take a hair.

    Where the circle reaches its east and west, it is not beside its centre but nearer to the pole: the
    tangent meridians are at asin(sin r / cos latitude).
    """
    angle = (metres * (1 + SLACK) + GRAIN) / RADIUS
    south, north = center.latitude - degrees(angle), center.latitude + degrees(angle)
    if south <= -90.0 or north >= 90.0:
        return Span(max(south, -90.0), min(north, 90.0), -180.0, 180.0)
    half = degrees(asin(min(1.0, sin(angle) / cos(radians(center.latitude)))))
    if half >= 180.0:
        return Span(south, north, -180.0, 180.0)
    west, east = center.longitude - half, center.longitude + half
    return Span(south, north, west + 360 * (west < -180.0), east - 360 * (east > 180.0))


def east_of(longitude: float, degrees: float) -> float:
    """So many degrees further east, by its one name: -180 up to 180."""
    there = longitude + degrees
    return there + 360 * (there < -180.0) - 360 * (there >= 180.0)


def width(span: Span) -> float:
    """Degrees from west to east."""
    return span.east - span.west + 360 * (span.west > span.east)


def middle(span: Span) -> Point:
    """The point in the middle of a span."""
    return Point((span.south + span.north) / 2, east_of(span.west, width(span) / 2))


def sides(span: Span) -> tuple[float, float]:
    """Metres from west to east where that is longest, and from south to north; along the circles."""
    nearest = 0.0 if span.south <= 0.0 <= span.north else min(abs(span.south), abs(span.north))
    return (
        radians(width(span)) * cos(radians(nearest)) * RADIUS,
        radians(span.north - span.south) * RADIUS,
    )


def half_diagonal(span: Span) -> float:
    """Metres from the middle of a small span that no point of it is farther than."""
    return hypot(*sides(span)) / 2


def parallel_reach(center: Point, metres: float) -> float:
    """Metres from the centre along its own parallel that the tangent meridians of a circle are away; or inf.

    Who covers a circle by looking that far east and west of its centre, as Redis does, misses nothing.
    """
    angle = metres / RADIUS
    edge = sin(angle) / cos(radians(center.latitude))
    if angle >= pi / 2 or edge >= 1.0:
        return inf
    return 2 * RADIUS * asin(cos(radians(center.latitude)) * sin(asin(edge) / 2))
