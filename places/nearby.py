"""The places pattern: what is near a point, from Redis's index and the cards, else from the table.

Guarantee: exact, and the same from either. Redis names candidates with a margin (places/geoindex.py), the
cards have the stored coordinates, and the haversine formula decides (places/rings.py); ties go by id. Pages
go on behind the last place of the one before, by (distance, id).
In a busy square tiles answer, in the process (places/tiles.py); else the index does, in one round
trip a page; cards that L1 lacks are one more. First pages are looked for in rings, and what lies far out, or
behind a page, from there outwards: no page reads all that is nearer. The table answers where Redis cannot
(places/layers.py): while there is no index, beyond 85.05 degrees, and for more candidates than are worth
fetching. When Redis is down: the table answers. When the table is: what is in index and cached.
"""

from collections.abc import Callable, Iterable, Sequence
from math import inf
from typing import Any, NamedTuple

from caching.reading import Read
from places import density, geoindex, rings, rows, sphere, tiles
from places.cards import PlaceCard, cards
from places.filters import ANY, Filters
from places.geoindex import Beyond
from places.layers import INDEXED, TABLE, answered
from places.models import BEST_RATING
from places.rings import BEGIN, Look, Ring
from places.sphere import Point
from places.spots import Found, Group, Hit, Spot, group
from places.tiles import Tile

# Candidates that are fetched from the index for one page; with more the table is quicker.
MOST_CANDIDATES = 4_000
# The same, from a distance outwards: each costs Redis 5 us, and nobody else is answered meanwhile.
MOST_OUTWARD = 1_000
# How many times as far as at first a ring may reach in one round trip.
GROWTH = 16
# The part of the places that is taken to have a rating, if nothing else is known.
LEAST_SHARE = 0.02


class Near(NamedTuple):
    """A place, and the metres to it."""

    place: PlaceCard
    distance: float


class Nearby(NamedTuple):
    """The nearest places, nearest first, the hit to go on behind, None at the end, and the reads."""

    places: list[Near]
    next: Hit | None
    reads: list[Read[Any]]


def nearest(
    center: Point,
    *,
    limit: int,
    radius: float = inf,
    filters: Filters = ANY,
    after: Hit = BEGIN,
) -> Nearby:
    """Up to `limit` places within `radius` metres, behind `after`."""
    known: dict[str, Read[PlaceCard]] = {}
    asked: list[Read[Any]] = []
    used: list[str] = []
    tiled = False

    def search(look: Callable[[Look], Ring]) -> list[Found]:
        return rings.nearest(
            look,
            center,
            limit + 1,
            radius=radius,
            after=after,
            first=density.guess(center, filters.cuisine, (limit + 1) / _share(filters)),
            share=_share(filters),
        )

    def from_index(look: Look) -> Ring:
        found = _candidates(center, filters.cuisine, look, after)
        asked.append(INDEXED)
        _read(found.ids, known)
        spots = _fitting(filters, [known[id].value for id in found.ids])
        spots |= _beside(center, min(found.complete, look.last), filters, asked)
        return Ring([group(spots.values())], found.complete, found.radius)

    def from_tiles(look: Look) -> Ring:
        nonlocal tiled
        found = _from_tiles(center, filters, look)
        tiled = found is not None
        if found is None:
            return from_index(look)
        reads, groups = found
        used.extend(reads)
        asked.extend(reads.values())
        return Ring(groups, look.first, look.first)

    def from_caches() -> list[Found]:
        if tiles.busy(center):
            hits = search(from_tiles)
            if not tiled or _are_there(filters, hits, known):
                return hits
            tiles.tiles.invalidate(used)
            asked.clear()
        return search(from_index)

    hits = answered(
        from_caches,
        lambda: search(lambda look: _from_table(center, filters, look)),
        asked,
    )
    more = Hit(*hits[limit - 1][:2]) if len(hits) > limit else None
    hits = hits[:limit]
    _read([hit.id for hit in hits], known)
    reads = [known[hit.id] for hit in hits]
    # Deleted since: it is gone, and nothing takes its place on this page.
    places = [
        Near(read.value, hit.distance) for hit, read in zip(hits, reads, strict=True) if read.value
    ]
    return Nearby(places, more, [*asked, *reads])


def _from_tiles(
    center: Point, filters: Filters, look: Look
) -> tuple[dict[str, Read[Tile]], list[Group]] | None:
    """The tiles of a ring, and the places that they tell of; None if there are none for it, or a crowd in
    them.
    """
    keys = tiles.cover(center, look.first, filters.cuisine)
    if keys is None:
        return None
    reads = tiles.tiles.read_many(keys)
    # A tile that is unknown has no place in it.
    found = [read.value for read in reads.values() if read.value is not None]
    if not all(tile.whole for tile in found):
        return None
    if filters.min_rating is None:
        return reads, [tile.group() for tile in found]
    return reads, [tile.rated(filters.good) for tile in found]


def _are_there(filters: Filters, hits: Sequence[Found], known: dict[str, Read[PlaceCard]]) -> bool:
    """Whether the cards say the same as tiles of the places that were hit.

    A tile may have a place that has left it; whatever it has too much, it lacks nothing.
    """
    _read([hit.id for hit in hits], known)
    for _, id, latitude, longitude in hits:
        card = known[id].value
        if card is None or (card.latitude, card.longitude) != (latitude, longitude):
            return False
        if not (filters is ANY or filters.takes(card.cuisine, card.rating)):
            return False
    return True


def _candidates(center: Point, cuisine: str, look: Look, after: Hit) -> geoindex.Ring:
    """From the centre in rings; behind a page, and where no ring reaches, outwards. Raises likewise."""
    if look.most > MOST_CANDIDATES:
        raise Beyond
    if after is not BEGIN:
        return _outward(center, cuisine, look, after.distance)
    last = min(look.last, GROWTH * look.first)
    try:
        found = geoindex.ring(
            center, first=look.first, last=last, enough=look.enough, most=look.most, cuisine=cuisine
        )
    except Beyond:
        found = _outward(center, cuisine, look, 0.0)
    if found.complete < inf:
        density.learn(center, cuisine, len(found.ids), found.complete)
    return found


def _outward(center: Point, cuisine: str, look: Look, least: float) -> geoindex.Ring:
    if look.most > MOST_OUTWARD:
        raise Beyond
    return geoindex.outward(center, least=least, last=look.last, most=look.most, cuisine=cuisine)


def _fitting(filters: Filters, places: Iterable[PlaceCard | None]) -> dict[str, Spot]:
    takes = filters.takes
    return {
        place.id: (place.id, place.latitude, place.longitude)
        for place in places
        if place is not None and (filters is ANY or takes(place.cuisine, place.rating))
    }


def _read(ids: Iterable[str], known: dict[str, Read[PlaceCard]]) -> None:
    """Have their cards be known."""
    missing = [id for id in ids if id not in known]
    if missing:
        known |= cards.read_many(missing)


def _beside(
    center: Point, metres: float, filters: Filters, asked: list[Read[Any]]
) -> dict[str, Spot]:
    """What of a circle lies beside the index, by the table: around the poles, where places are few."""
    caps = geoindex.beside(sphere.around(center, metres))
    asked += [TABLE] * len(caps)
    return {spot[0]: spot for cap in caps for spot in rows.spots(cap, filters)}


def _from_table(center: Point, filters: Filters, look: Look) -> Ring:
    if filters.min_rating is not None:
        # Hardly any place may have that rating: a ring after the other would read the table again and again.
        few = rows.few(sphere.around(center, look.last), filters)
        if few is not None:
            return Ring([group(few)], look.last, look.last)
    found = rows.spots(sphere.around(center, look.first), filters)
    if filters.min_rating is None:
        density.learn(center, filters.cuisine, len(found), look.first)
    return Ring([group(found)], look.first, look.first)


def _share(filters: Filters) -> float:
    """A guess at which part of a cuisine's places has the rating."""
    if not filters.min_rating:
        return 1.0
    return max(LEAST_SHARE, 1 - filters.min_rating / BEST_RATING)
