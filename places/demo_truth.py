"""What a search of the demo must answer, by brute force over all places of a city as they were last written.

Promises: knows neither the index nor the table's search nor their formula: distances are those of chords
between unit vectors. A place that was being moved while a search ran may be in its answer or not; all others
must be there, at their distance and in their order.
On failure: `wrong` says in words what differs.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import asin, cos, inf, pi, radians, sin, sqrt
from typing import NamedTuple

from places.sphere import Point, Span

RADIUS = 6_371_008.8
MILLIMETRE = 1e-3
# Seconds that another process may still answer where a place was; see catalog/demo_traffic.py.
LONGEST_DELAY = 0.25

Vector = tuple[float, float, float]


class Known(NamedTuple):
    """A place as the table has it."""

    id: str
    point: Point
    cuisine: str
    rating: float | None


class Move(NamedTuple):
    """A write that put a place somewhere: monotonic times of request and answer, and who answered."""

    point: Point
    began: float
    answered: float
    worker: str


class Question(NamedTuple):
    """A search around a centre, radius in metres, or in a span; up to `limit` places."""

    center: Point
    limit: int
    radius: float = inf
    span: Span | None = None
    cuisine: str = ""
    min_rating: float = 0.0


@dataclass(frozen=True)
class Seen:
    """An answer: ids, kilometres where they are told, times of the request, and the page before."""

    question: Question
    ids: Sequence[str]
    kilometres: Sequence[float]
    began: float
    ended: float
    worker: str
    before: "Seen | None" = None


class Truth:
    """The places of one city, of which those with the ids `moving` will be moved; add to `moves` who did."""

    def __init__(self, places: Iterable[Known], moving: Iterable[str]) -> None:
        by_id = {place.id: place for place in places}
        self.moving = {id: by_id.pop(id) for id in moving if id in by_id}
        self.moves: dict[str, list[Move]] = {id: [] for id in self.moving}
        self._resting = [(vector(place.point), place) for place in by_id.values()]
        # People ask the same at the same spot.
        self._hits: dict[Question, list[tuple[float, str]]] = {}

    def wrong(self, seen: Seen) -> str | None:
        """What is wrong with an answer; None if nothing is."""
        if len(seen.ids) > seen.question.limit or len(set(seen.ids)) < len(seen.ids):
            return f"{seen.question}: too many, or one twice: {seen.ids}"
        sure, wild = self._movers(seen)
        after = (-1.0, "")
        if seen.before is not None:
            last = seen.before.ids[-1]
            place = self._place_of(last, seen.before)
            if place is None:
                return None
            after = place
        expected = sorted([*self._still(seen.question), *self._moved(sure, seen.question)])
        expected = expected[bisect_right(expected, after) :]
        shown = [(id, at) for at, id in enumerate(seen.ids) if id not in wild]
        if [id for id, _ in shown] != [id for _, id in expected[: len(shown)]]:
            return f"{seen.question}: {seen.ids}, by brute force {expected[: seen.question.limit]}"
        if len(seen.ids) < seen.question.limit and len(shown) < len(expected):
            return f"{seen.question}: only {len(seen.ids)} of {len(expected)}"
        for (_, at), (metres, id) in zip(shown, expected, strict=False):
            if seen.kilometres and abs(1000 * seen.kilometres[at] - metres) > MILLIMETRE:
                return f"{seen.question}: {id} at {seen.kilometres[at]} km, not {metres} m"
        return None

    def _movers(self, seen: Seen) -> tuple[list[Known], set[str]]:
        """The moved places whose position was sure when the answer was made, and the ids of the others."""
        sure, wild = [], set()
        for id, place in self.moving.items():
            points = self._points(id, seen)
            if len(points) == 1:
                sure.append(place._replace(point=points.pop()))
            else:
                wild.add(id)
        return sure, wild

    def _points(self, id: str, seen: Seen) -> set[Point]:
        """Where the place may have been for who answered."""
        points = [self.moving[id].point]
        for move in self.moves[id]:
            grace = 0.0 if move.worker == seen.worker else LONGEST_DELAY
            if move.answered + grace <= seen.began:
                points = [move.point]
            elif move.began < seen.ended:
                points.append(move.point)
        return set(points)

    def _place_of(self, id: str, seen: Seen) -> tuple[float, str] | None:
        """Where a place stood in an answer; None if it was being moved, or should not have been in it."""
        sure = self._movers(seen)[0]
        hits = [*self._still(seen.question), *self._moved(sure, seen.question)]
        return next((hit for hit in hits if hit[1] == id), None)

    def _still(self, question: Question) -> list[tuple[float, str]]:
        hits = self._hits.get(question)
        if hits is None:
            hits = self._hits[question] = sorted(_fitting(self._resting, question))
        return hits

    def _moved(self, sure: Sequence[Known], question: Question) -> list[tuple[float, str]]:
        return _fitting([(vector(place.point), place) for place in sure], question)


def _fitting(places: Sequence[tuple[Vector, Known]], question: Question) -> list[tuple[float, str]]:
    """Metres and ids of the places that a search is for; in a span, none are far."""
    fitting = [
        (place_vector, place)
        for place_vector, place in places
        if (not question.cuisine or place.cuisine == question.cuisine)
        and (not question.min_rating or (place.rating or 0.0) >= question.min_rating)
    ]
    if question.span is not None:
        span = question.span
        return [(0.0, place.id) for _, place in fitting if inside(span, place.point)]
    a, b, c = vector(question.center)
    longest = chord(question.radius)
    squares = (
        ((x - a) * (x - a) + (y - b) * (y - b) + (z - c) * (z - c), place.id)
        for (x, y, z), place in fitting
    )
    return [(arc(square), id) for square, id in squares if square <= longest]


def vector(point: Point) -> Vector:
    """The point on the unit sphere."""
    north, east = radians(point.latitude), radians(point.longitude)
    return cos(north) * cos(east), cos(north) * sin(east), sin(north)


def chord(metres: float) -> float:
    """The square of the chord, on the unit sphere, of so many metres along it."""
    return (2 * sin(min(metres / RADIUS, pi) / 2)) ** 2


def arc(square: float) -> float:
    """Metres along the sphere between the ends of a chord, of which this is the square."""
    return 2 * RADIUS * asin(min(1.0, sqrt(square) / 2))


def apart(one: Point, other: Point) -> float:
    """Metres along the sphere."""
    square = sum((x - y) ** 2 for x, y in zip(vector(one), vector(other), strict=True))
    return arc(square)


def inside(span: Span, point: Point) -> bool:
    """Whether a point is in a box."""
    if not span.south <= point.latitude <= span.north:
        return False
    if span.west <= span.east:
        return span.west <= point.longitude <= span.east
    return point.longitude >= span.west or point.longitude <= span.east
