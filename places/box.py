"""What is in a box: candidates of the index, held against the cards; else the table.

Guarantee: exact, and the same from either, in the order of the ids; pages go on behind the last id.
When Redis is down, for a box with a crowd in it, or near the poles: the table answers.
"""

from typing import Any, NamedTuple

from caching.reading import Read
from places import geoindex, rows
from places.cards import PlaceCard, cards
from places.filters import ANY, Filters
from places.geoindex import Beyond
from places.layers import INDEXED, answered
from places.sphere import Span

# A box with this many is read from the table, which has an order.
MOST_IN_BOX = 1_000


class Within(NamedTuple):
    """The places of a box in the order of their ids, the id to go on behind, None at the end, and the
    reads.
    """

    places: list[PlaceCard]
    next: str | None
    reads: list[Read[Any]]


def within(
    span: Span,
    *,
    limit: int,
    filters: Filters = ANY,
    after: str = "",
) -> Within:
    """Up to `limit` places of the box with ids behind `after`."""
    asked: list[Read[Any]] = []

    def from_index() -> list[str]:
        ids = geoindex.box(span, most=MOST_IN_BOX, cuisine=filters.cuisine)
        if len(ids) >= MOST_IN_BOX:
            raise Beyond
        asked.append(INDEXED)
        found = cards.get_many(ids).values()
        fitting = [
            card.id
            for card in found
            if card.id > after
            and span.holds(card.latitude, card.longitude)
            and filters.takes(card.cuisine, card.rating)
        ]
        return sorted(fitting)[: limit + 1]

    def from_table() -> list[str]:
        ids = rows.matching(span, filters).filter(pk__gt=after).order_by("pk")
        return list(ids.values_list("pk", flat=True)[: limit + 1])

    ids = answered(from_index, from_table, asked)
    page = ids[:limit]
    reads = list(cards.read_many(page).values())
    # One deleted since is gone, and nothing takes its place; so the page may be empty, and still go on.
    places = [read.value for read in reads if read.value]
    return Within(places, page[-1] if len(ids) > limit else None, [*asked, *reads])
