"""What answers a search: the index and what is cached, or where these say nothing, the table.

Promise: the same answer from either; a transaction that has written places itself reads the table.
When there is no index, one is asked for. On failure: what the table raises.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from caching.commit import open_batches, uncommitted
from caching.errors import FarDown
from caching.node import current
from caching.reading import Read
from places import geoindex, rebuilding
from places.geoindex import Absent, Beyond
from places.indexing import CHANGED

R = TypeVar("R")

# How an answer of the index, or of the table, is told beside the reads of tiles and cards.
INDEXED: Read[Any] = Read(None, "l2", stale=False, ttl=geoindex.LIFE)
TABLE: Read[Any] = Read(None, "db", stale=False, ttl=0.0)


def answered(caches: Callable[[], R], table: Callable[[], R], asked: list[Read[Any]]) -> R:
    """What the caches say, or, where they say nothing, the table; notes that in `asked`."""
    counts = current().ledger.of(geoindex.NAME)
    if not (open_batches() and uncommitted(geoindex.NAME, "", (CHANGED,))):
        try:
            found = caches()
            counts.l2_hits += INDEXED in asked
        except Beyond:
            pass
        except Absent:
            rebuilding.wanted()
        except FarDown:
            counts.far_errors += 1
        else:
            return found
    counts.misses += 1
    counts.loads += 1
    asked.append(TABLE)
    return table()
