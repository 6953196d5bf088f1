"""Places as the API answers them, by id, through all layers: L1, Redis, the table.

Guarantee: after a write commits, this process reads the new place, others within the bus delay. A missing one
is loaded, never left out.
When Redis is down: L1 and the table answer. When the table is: what is cached, marked stale after a day.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from caching import Near, TieredCache
from places.models import Place

MINUTE = 60
DAY = 86_400
ALL = "all"


class PlaceCard(msgspec.Struct, frozen=True):
    """A place as the API answers it; `metadata` is not to be changed."""

    id: str
    name: str
    longitude: float
    latitude: float
    cuisine: str
    rating: float | None
    metadata: dict[str, Any]


def card_of(place: Place) -> PlaceCard:
    """What a read of a place just saved answers, without reading it."""
    return PlaceCard(*(getattr(place, name) for name in PlaceCard.__struct_fields__))


def load_cards(ids: Sequence[str]) -> Mapping[str, PlaceCard]:
    """The cards of those `ids` that exist, in one query."""
    rows = Place.objects.filter(pk__in=ids).order_by()
    return {
        row[0]: PlaceCard(*row) for row in rows.values_list(*PlaceCard.__struct_fields__).iterator()
    }


def forget_all() -> None:
    """Have every process forget all cards: those of rows that are gone too, which no list of ids names."""
    cards.invalidate_tag(ALL)


def _tags(id: str) -> tuple[str, ...]:
    return (ALL,)


cards = TieredCache(
    "places.place",
    load=load_cards,
    schema=PlaceCard,
    ttl=DAY,
    stale_for=DAY,
    negative_ttl=MINUTE,
    near=Near(size=100_000),
    tags=_tags,
)
