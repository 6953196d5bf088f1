"""What the admin's map and its list of neighbours show of places.

Promises: what is nearby comes from places/nearby.py, the index or the table; every file that a map loads is
among MEDIA and the template, and local. On failure: as nearby.
"""

from typing import Any

from django.contrib.admin.utils import quote
from django.forms import Media
from django.urls import reverse

from places.admin_forms import FARTHEST
from places.cards import PlaceCard
from places.models import Place
from places.nearby import nearest
from places.sphere import Point

MEDIA = Media(
    css={"all": ["places/leaflet/leaflet.css", "places/place-map.css"]},
    js=["places/leaflet/leaflet.js", "places/place-map.js"],
)
# Dots on a map, and places on the page "nearby".
DOTS = 100
NEAREST = 20


def map_of(place: Place | None, *, movable: bool, neighbours: bool) -> dict[str, Any]:
    """What the template of a map reads; numbers are as JavaScript has them, whatever the language."""
    return {
        "media": MEDIA,
        "movable": movable,
        "place": place.pk if place else "",
        "latitude": repr(place.latitude) if place else "",
        "longitude": repr(place.longitude) if place else "",
        "neighbours": reverse("admin:places_place_neighbours") if neighbours else "",
        "farthest": str(FARTHEST),
    }


def dots(center: Point, radius: float) -> list[dict[str, Any]]:
    """The places up to `radius` metres away, as the script draws them; the nearest `DOTS` of them."""
    return [
        {
            "id": place.id,
            "name": place.name,
            "latitude": place.latitude,
            "longitude": place.longitude,
            "url": _page_of(place),
        }
        for place, _ in nearest(center, limit=DOTS, radius=radius).places
    ]


def neighbours(place: Place) -> list[dict[str, Any]]:
    """The `NEAREST` other places, as the page lists them."""
    # One more: it is among its own neighbours, though not always the first.
    found = nearest(Point(place.latitude, place.longitude), limit=NEAREST + 1)
    others = [near for near in found.places if near.place.id != place.id]
    return [
        {"place": other, "distance": _length(metres), "url": _page_of(other)}
        for other, metres in others[:NEAREST]
    ]


def _page_of(place: PlaceCard) -> str:
    # Quoted as the admin reads it: there `_25` is a percent sign.
    return reverse("admin:places_place_change", args=[quote(place.id)])


def _length(metres: float) -> str:
    return f"{metres:,.1f} m" if metres < 1000 else f"{metres / 1000:,.2f} km"
