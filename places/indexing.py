"""Keeps the index and the cards as the table is: what follows a write, whoever made it.

Promises: once a write has returned, every process finds the place where it is now. It is the rows that are
written to the index, as they are when it comes to that, so doing it twice, late, or out of order is the same.
On failure: a write that Redis does not take makes the index absent; then the table answers until it is made
anew. Whoever commits and dies before all is done, or has no Redis then, leaves that to the outbox's relay.
"""

import random
import time
from collections.abc import Collection, Sequence
from typing import Any

from django.db import router

from caching import outbox
from caching.errors import FarDown
from caching.node import current
from places import geoindex, tiles
from places.cards import cards
from places.geoindex import Position
from places.models import Place
from places.sphere import Point

# What a transaction that has written places carries; `commit.uncommitted` asks for it.
CHANGED = "changed"
# Seconds between looks whether another writer has put a place: 0.3 s in all.
PAUSES = (0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128)


class Contended(Exception):
    """Others write the same rows without end."""


def on_places_changed(ids: Collection[str], using: str, **_: Any) -> None:
    """Announced inside the transaction of the write; followed up when it commits."""
    outbox.on_commit(geoindex.NAME, ids=ids, tags=(CHANGED,), using=using)
    cards.invalidate(ids, using=using)


def reposition(ids: Sequence[str]) -> list[tuple[Point, str]]:
    """Have the index say of these places what the table does. Raises FarDown, Contended.

    Returns where they are and, as far as the index knew, were, and of which cuisine.
    """
    places: list[tuple[Point, str]] = []
    for start in range(0, len(ids), geoindex.BATCH):
        rest = list(ids[start : start + geoindex.BATCH])
        for _ in range(geoindex.TRIES):
            token = geoindex.fence(rest)
            positions = _read(rest)
            again, before = geoindex.put(positions, token)
            places += ((point, cuisine) for _, point, cuisine in positions if point)
            places += before
            rest = _not_put_by_others(again)
            if not rest:
                break
        else:
            raise Contended(f"{len(rest)} places are written by others all the time")
    return places


def _not_put_by_others(ids: list[str]) -> list[str]:
    """Those of which somebody else has set up a fence and does not put them, within a moment.

    Who came later reads later, so what they put has all that the caller knows. To set up a fence again would
    only send them back in turn, and with a few writers nobody would ever get through.
    """
    for pause in PAUSES:
        if not ids:
            break
        time.sleep(pause * random.uniform(0.5, 1.0))
        ids = geoindex.fenced(ids)
    return ids


def follow_up(ids: tuple[str, ...], _tags: tuple[str, ...]) -> None:
    """Have index and tiles be as a committed write wants them. Raises FarDown, Contended: not yet.

    A tile may still have a place that has left it, if somebody died or another write came in between; whoever
    reads it sees that by the card (places/nearby.py). None lacks a place that is in it.
    """
    places = None
    try:
        places = reposition(ids)
    except BaseException:
        # The index does not have what was committed, so it must not answer.
        geoindex.forget()
        raise
    finally:
        if places is None:
            tiles.drop_all()
        else:
            tiles.drop(places)
    if current().far.journal.pending:
        raise FarDown("Redis did not take it all")


def _read(ids: Sequence[str]) -> list[Position]:
    # Not from a replica, which may lag behind the commit.
    rows = Place.objects.using(router.db_for_write(Place)).filter(pk__in=ids).order_by()
    found = {
        id: Position(id, Point(latitude, longitude), cuisine)
        for id, latitude, longitude, cuisine in rows.values_list(
            "pk", "latitude", "longitude", "cuisine"
        )
    }
    return [found.get(id) or Position(id, None, "") for id in ids]


outbox.subject(geoindex.NAME, apply=follow_up)
