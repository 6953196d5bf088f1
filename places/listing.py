"""The list of places: a page of ids from the table, in their order, and the cards of these.

Guarantee: a page costs one range of the primary key, and a query more for cards that no layer has; rows that
come and go meanwhile make no page skip or repeat another.
When Redis is down: L1 and the table answer. When the table is: what the database raises.
"""

from typing import NamedTuple

from caching import Read
from places.cards import PlaceCard, cards
from places.models import Place
from rest.cursor import keyset_page


class PlacePage(NamedTuple):
    """A page with its places, the cursors of its neighbours, and the reads it was made of."""

    places: list[PlaceCard]
    next: str | None
    previous: str | None
    reads: list[Read[PlaceCard]]


def read_page(*, cuisine: str, cursor: str | None, per_page: int) -> PlacePage:
    """One page of the places, of one cuisine unless that is empty."""
    rows = Place.objects.filter(cuisine=cuisine) if cuisine else Place.objects.all()
    page = keyset_page(rows, cursor, per_page)
    reads = list(cards.read_many(page.ids).values())
    places = [read.value for read in reads if read.value]
    return PlacePage(places, page.next, page.previous, reads)
