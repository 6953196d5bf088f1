"""What a search on the map asks for, read from the parameters of a request.

Promises: what passes is finite and in range, written in ASCII; an empty parameter is none, of several by one
name the last counts, unknown ones are ignored.
On failure: a 400 that names every bad parameter and says what to write.
"""

from collections.abc import Callable, Collection, Mapping
from functools import partial
from math import inf
from typing import Any, NamedTuple

from rest_framework.exceptions import ValidationError

from places import onward
from places.filters import Filters
from places.models import BEST_RATING, CUISINE, meridian
from places.rings import BEGIN
from places.sphere import Point, Span
from places.spots import Hit
from rest.cursor import decode_cursor
from rest.numbers import number, whole

LIMIT = 20
MOST = 100
FARTHEST_KM = 500
METRES = 1000
JSON, GEOJSON = "json", "geojson"


class NearbyQuery(NamedTuple):
    """What is searched for around a point; the radius is in metres, `form` empty if not said."""

    center: Point
    radius: float
    limit: int
    filters: Filters
    after: Hit
    form: str


class WithinQuery(NamedTuple):
    """What is searched for in a box, behind the id `after`."""

    span: Span
    limit: int
    filters: Filters
    after: str
    form: str


def read_nearby(parameters: Mapping[str, str]) -> NearbyQuery:
    """The query of a request for what is nearby. Raises ValidationError (400)."""
    found = _taken(parameters, TAKE_NEARBY, required=("lat", "lon"))
    return NearbyQuery(
        Point(found["lat"], found["lon"]),
        found.get("radius_km", inf),
        found.get("limit", LIMIT),
        Filters(found.get("cuisine", ""), found.get("min_rating")),
        found.get("cursor", BEGIN),
        found.get("format", ""),
    )


def read_within(parameters: Mapping[str, str]) -> WithinQuery:
    """The query of a request for what is in a box. Raises ValidationError (400)."""
    found = _taken(parameters, TAKE_WITHIN, required=("bbox",))
    return WithinQuery(
        found["bbox"],
        found.get("limit", LIMIT),
        Filters(found.get("cuisine", ""), found.get("min_rating")),
        found.get("cursor", ""),
        found.get("format", ""),
    )


def read_cuisine(parameters: Mapping[str, str]) -> str:
    """The cuisine that a list is of, empty for all. Raises ValidationError (400)."""
    cuisine: str = _taken(parameters, {"cuisine": _cuisine}).get("cuisine", "")
    return cuisine


def _taken(
    parameters: Mapping[str, str],
    take: Mapping[str, Callable[[str], Any]],
    required: Collection[str] = (),
) -> dict[str, Any]:
    found, errors = {}, {}
    for name, taker in take.items():
        text = parameters.get(name)
        try:
            if text:
                found[name] = taker(text)
            elif name in required:
                raise ValueError("This is needed.")
        except ValueError as error:
            errors[name] = [str(error)]
    if errors:
        raise ValidationError(errors)
    return found


def _longitude(text: str) -> float:
    return meridian(number(text, -180, 180))


def _radius(text: str) -> float:
    try:
        kilometres = number(text, 0, FARTHEST_KM)
    except ValueError:
        kilometres = 0.0
    if kilometres == 0.0:
        raise ValueError(f"A number of kilometres, more than 0 and up to {FARTHEST_KM}.")
    return kilometres * METRES


def _cuisine(text: str) -> str:
    text = text.strip()
    if text and not CUISINE.fullmatch(text):
        raise ValueError("Up to 64 small letters, digits, '_' and '-' only.")
    return text


def _format(text: str) -> str:
    if text not in (JSON, GEOJSON):
        raise ValueError(f"Either {JSON} or {GEOJSON}.")
    return text


def _bbox(text: str) -> Span:
    try:
        west, south, east, north = text.split(",")
    except ValueError:
        raise ValueError("Four numbers: west,south,east,north.") from None
    span = Span(
        _side("south", south, 90),
        _side("north", north, 90),
        _side("west", west, 180),
        _side("east", east, 180),
    )
    if span.south > span.north:
        raise ValueError("The south is not above the north.")
    return span


def _side(name: str, text: str, most: float) -> float:
    try:
        return number(text, -most, most)
    except ValueError as error:
        raise ValueError(f"The {name}: {error}") from None


def _behind(text: str) -> str:
    try:
        cursor = decode_cursor(text)
    except ValidationError:
        cursor = None
    if cursor is None or cursor.back:
        raise ValueError("This is not a cursor of this list.")
    return cursor.id


TAKE_COMMON: Mapping[str, Callable[[str], Any]] = {
    "limit": partial(whole, least=1, most=MOST),
    "cuisine": _cuisine,
    "min_rating": partial(number, least=0, most=BEST_RATING),
    "format": _format,
}
TAKE_NEARBY: Mapping[str, Callable[[str], Any]] = {
    "lat": partial(number, least=-90, most=90),
    "lon": _longitude,
    "radius_km": _radius,
    "cursor": onward.decode,
    **TAKE_COMMON,
}
TAKE_WITHIN: Mapping[str, Callable[[str], Any]] = {"bbox": _bbox, "cursor": _behind, **TAKE_COMMON}
