"""Which caches this process has declared: what the scoreboard, the metrics and the bus go by.

Declaring happens at import, before settings or Redis are touched. A second cache of the same name is an
error at that moment, since their entries would mix.
"""

import time
from typing import TYPE_CHECKING, Any

from caching.errors import DuplicateName, FarDown

if TYPE_CHECKING:
    from caching.tiered import TieredCache

_caches: dict[str, "TieredCache[Any]"] = {}


def register(cache: "TieredCache[Any]") -> None:
    """Called by every TieredCache when it is declared. Raises DuplicateName."""
    if cache.name in _caches:
        raise DuplicateName(
            f"there is a TieredCache named {cache.name!r} already; give this one its own name"
        )
    _caches[cache.name] = cache


def caches() -> tuple["TieredCache[Any]", ...]:
    """All declared caches, by name."""
    return tuple(_caches[name] for name in sorted(_caches))


def ready(*, within: float = 0.0) -> None:
    """Raises FarDown if Redis does not answer, or does not begin to within that many seconds."""
    from caching.node import current

    far, deadline = current().far, time.monotonic() + within
    while True:
        try:
            far.guarded(lambda client: client.ping())
        except FarDown:
            if time.monotonic() >= deadline:
                raise
            time.sleep(0.1)
        else:
            return
