"""The `Cache-Status` header (RFC 9211): which layer answered, and how fresh that was.

Promise: one member named `headwater`. A hit says `hit`, the seconds it stays fresh in `ttl` (negative
when it was served stale) and its layer in `detail`; a load says `fwd=uri-miss` and `detail=db`, with
`stored` when a layer kept it.
On failure: none; this is a pure function of what the read reported.
"""

from collections.abc import Iterable
from math import floor
from typing import Any

from caching import Read

CACHE = "headwater"
LAYERS = ("l1", "l2", "db")  # nearest first


def cache_status(reads: Iterable[Read[Any]]) -> str:
    """Return the header for an answer made of `reads`: the farthest layer and the shortest ttl count.

    No read at all is a request no cache was asked for: `fwd=bypass`.
    """
    asked = list(reads)
    if not asked:
        return f"{CACHE}; fwd=bypass"
    farthest = max(asked, key=lambda read: LAYERS.index(read.layer)).layer
    ttl = min(read.ttl for read in asked)
    if farthest == "db":
        stored = "; stored" if ttl > 0 else ""
        return f"{CACHE}; fwd=uri-miss{stored}; detail=db"
    seconds = min(-1, floor(ttl)) if any(read.stale for read in asked) else max(0, floor(ttl))
    return f"{CACHE}; hit; ttl={seconds}; detail={farthest}"
