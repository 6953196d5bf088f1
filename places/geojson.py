"""Places as GeoJSON (RFC 7946): a FeatureCollection of points.

Promises: longitude before latitude; `bbox` is what the points of the collection cover, narrowest, with
west > east across the antimeridian (5.2), and all longitudes with a pole (5.3); none without points. The link
to what is behind is a foreign member, `next` (6.1).
On failure: nothing can fail here.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from places.cards import PlaceCard
from places.sphere import Point, Span
from rest.renderers import JSONRenderer

# Members of a feature that are no properties of it.
BESIDE = {"id", "longitude", "latitude", "coordinates"}
# For OpenAPI.
_PROPERTIES = {
    "name": {"type": "string"},
    "cuisine": {"type": "string"},
    "rating": {"type": "number", "nullable": True},
    "metadata": {"type": "object", "additionalProperties": {}},
    "distance_km": {"type": "number", "description": "Of what was found nearby."},
}
_POINT = {
    "type": "object",
    "required": ["type", "coordinates"],
    "properties": {
        "type": {"type": "string", "enum": ["Point"]},
        "coordinates": {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2},
    },
}
_FEATURE = {
    "type": "object",
    "required": ["type", "id", "geometry", "properties"],
    "properties": {
        "type": {"type": "string", "enum": ["Feature"]},
        "id": {"type": "string"},
        "geometry": _POINT,
        "properties": {"type": "object", "properties": _PROPERTIES},
    },
}
COLLECTION: dict[str, Any] = {
    "type": "object",
    "required": ["type", "features", "next"],
    "properties": {
        "type": {"type": "string", "enum": ["FeatureCollection"]},
        "bbox": {"type": "array", "items": {"type": "number"}, "minItems": 4, "maxItems": 4},
        "features": {"type": "array", "items": _FEATURE},
        "next": {"type": "string", "format": "uri", "nullable": True},
    },
}


class GeoJSONRenderer(JSONRenderer):
    """`application/geo+json`."""

    media_type = "application/geo+json"
    format = "geojson"


def collection(places: Sequence[PlaceCard], link: str | None) -> dict[str, Any]:
    """A page of places, with the address of the one behind it."""
    members: dict[str, Any] = {"type": "FeatureCollection"}
    if places:
        span = extent([Point(place.latitude, place.longitude) for place in places])
        members["bbox"] = [span.west, span.south, span.east, span.north]
    return {**members, "features": [_feature(place) for place in places], "next": link}


def extent(points: Sequence[Point]) -> Span:
    """The narrowest span with these points, of which there is at least one."""
    latitudes = [point.latitude for point in points]
    south, north = min(latitudes), max(latitudes)
    if south == -90.0 or north == 90.0:
        return Span(south, north, -180.0, 180.0)
    # The widest gap between neighbours, once around, is what the span leaves out.
    longitudes = sorted({point.longitude for point in points})
    gaps = [(eastern - western, western, eastern) for western, eastern in pairwise(longitudes)]
    around = (longitudes[0] + 360.0 - longitudes[-1], longitudes[-1], longitudes[0])
    _, east, west = max([around, *gaps], key=lambda gap: gap[0])
    # An eastern edge on the antimeridian goes by its eastern name.
    return Span(south, north, west, 180.0 if east == -180.0 < west else east)


def _feature(place: PlaceCard) -> dict[str, Any]:
    names = [name for name in place.__struct_fields__ if name not in BESIDE]
    return {
        "type": "Feature",
        "id": place.id,
        "geometry": {"type": "Point", "coordinates": [place.longitude, place.latitude]},
        "properties": {name: getattr(place, name) for name in names},
    }
