"""Makes the index anew, beside the one that is there, and swaps them.

Promises: one builder at a time over all processes; writes meanwhile reach both; a builder that dies is gone
on from where it was, by whoever comes next, unless that one distrusts what there is; until the swap the old
index answers, or the table if there is none. It puts places by the same way as a write does
(places/indexing.py), so it overwrites nothing that is newer. On failure: FarDown when Redis goes, what the
database raises; started again it goes on. `Busy` if somebody else is building, `Void` when a write did not
reach the index that was being built: begin again.
"""

import logging
import secrets
import time
from collections.abc import Iterator
from contextlib import suppress
from threading import Lock

from celery import current_app
from kombu.exceptions import KombuError, OperationalError

from caching.errors import FarDown
from caching.far import Call
from caching.node import current
from caching.scripting import RELEASE, read
from places import geoindex, indexing, tiles
from places.models import Place

logger = logging.getLogger(__name__)

REBUILD = "places.rebuild"
BUILD = read(__file__, "geo_build")
SWAP = read(__file__, "geo_swap")
# Seconds a builder may take for one batch before it is taken to be dead.
LEASE = 15
# Seconds until a process asks again for an index that is missing.
ASK_AGAIN = 5.0

_asking = Lock()
_asked = 0.0


class Busy(Exception):
    """Somebody else is building."""


class Void(Exception):
    """What was built lacks a write that Redis did not take, or the server was started anew: begin again."""


def rebuild(*, anew: bool = False) -> Iterator[list[str]]:
    """Build and swap; yields the ids of each batch. Raises Busy, Void, FarDown.

    `anew`: from the first place on, though another builder got further and died: for who has written past
    the announcements since, perhaps to places that were put before.
    """
    keys = geoindex.builders_keys()
    _live, building, lease, position, _prefix, names = keys
    token = secrets.token_hex(8)

    def hold(last: str) -> str:
        life = 1000 * geoindex.LIFE
        words = (token, 1000 * LEASE, life, last, int(anew))
        call = Call(BUILD, [building, lease, position, names], words)
        [answer] = current().far.run([call])
        if answer == 0:
            raise Busy
        if answer == 1:
            raise Void(Void.__doc__)
        return str(answer.decode())

    try:
        last = hold("")
        while ids := _behind(last):
            indexing.reposition(ids)
            last = hold(ids[-1])
            yield ids
        life = 1000 * geoindex.LIFE
        afterlife = life + 1000 * geoindex.AFTERLIFE
        [swapped] = current().far.run([Call(SWAP, keys, [token, life, afterlife])])
        if not swapped:
            raise Void(Void.__doc__)
        # Whoever rebuilds by hand has written past the announcements, perhaps.
        tiles.drop_all()
    finally:
        # Whoever is interrupted must not keep the next one waiting; after the swap there is nothing to give.
        with suppress(FarDown):
            current().far.run([Call(RELEASE, [lease], [token, 0])])


def rebuild_if_missing() -> int:
    """Build if there is no index, or it ends within the hour; how many places were put. Raises likewise."""
    return sum(map(len, rebuild())) if geoindex.life() < geoindex.AFTERLIFE else 0


def wanted() -> None:
    """Have a worker make the index that is missing; a broker that is down costs nothing but a line."""
    global _asked
    with _asking:
        now = time.monotonic()
        if now - _asked < ASK_AGAIN and _asked:
            return
        _asked = now
    try:
        current_app.send_task(REBUILD, retry=False)
    except (KombuError, OperationalError, OSError) as error:
        logger.warning("the index of places waits for the beat: %s", type(error).__name__)


def _behind(last: str) -> list[str]:
    rows = Place.objects.filter(pk__gt=last).order_by("pk")
    return list(rows.values_list("pk", flat=True)[: geoindex.BATCH])
