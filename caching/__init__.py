"""One coherent cache for Django: L1 in the process, L2 in Redis, the database behind.

Public: `TieredCache` and `Near` to declare a cache, `Read` and `Peek` for what it answers, `outbox` for what
else must hear of commits, `registry` for what is declared, `errors` for what can go wrong. The promises
G1-G10 are in docs/kernel.md.
"""

from caching import errors, outbox, registry
from caching.near import Near
from caching.reading import LayerState, Peek, Read
from caching.tiered import TieredCache

__all__ = ["LayerState", "Near", "Peek", "Read", "TieredCache", "errors", "outbox", "registry"]
