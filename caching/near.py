"""L1: the entries one process keeps for itself, in `cachebox`, and the rules for trusting them.

Promises (G1, G2): an entry is served only while the bus proves that no invalidation was missed, or for
`GRACE` seconds after it was read from a source of truth; a load that began before an invalidation is
refused at `put`, because the striped epoch counter it read has moved on. Nothing here fails or blocks:
a hit takes no lock but the one inside `cachebox`, and hands out the very object, without a copy.
"""

import math
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import cachebox

V = TypeVar("V")

# Seconds for which an entry needs no proof from the bus; under the 2 s that G1 allows a cut bus.
GRACE = 1.5

# Ids share this many counters: a collision refuses one put too many, and never one too few.
STRIPES = 1024
# The stripes of one tag, as all entries that carry it have them: no object of its own for each.
SINGLE = tuple((stripe,) for stripe in range(STRIPES))


class Trust(Protocol):
    """Until when (monotonic seconds) every published invalidation is known to have arrived."""

    fresh_until: float


@dataclass(frozen=True, slots=True)
class Near:
    """How a cache keeps its L1: at most `size` entries, the least recently used leave first."""

    size: int = 10_000

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError("Near(size=...) must be at least 1; use near=None for no L1")


class Kept(Generic[V]):
    """An entry in L1. `expires` and `trusted_until` are monotonic seconds."""

    __slots__ = ("epoch", "expires", "stale", "stripes", "trusted_until", "value")

    def __init__(
        self,
        value: V | None,
        expires: float,
        trusted_until: float,
        stripes: tuple[int, ...],
        epoch: int,
        *,
        stale: bool,
    ) -> None:
        self.value = value
        self.expires = expires
        self.trusted_until = trusted_until
        self.stripes = stripes
        self.epoch = epoch
        self.stale = stale


class NearLayer(Generic[V]):
    """The L1 of one cache in one process; thread-safe."""

    def __init__(
        self,
        size: int,
        tags: Callable[[str], tuple[str, ...]] | None,
        trust: Trust,
        now: Callable[[], float],
    ) -> None:
        self._entries: cachebox.LRUCache[str, Kept[V]] | None = (
            cachebox.LRUCache(size) if size else None
        )
        self._get: Callable[[str], Kept[V] | None] = (
            self._entries.get if self._entries is not None else _nothing
        )
        self._tags = tags
        self._trust = trust
        self._now = now
        self._lock = threading.Lock()
        # Only ever incremented, so an unchanged sum means that no part of it changed.
        self._ids = [0] * STRIPES
        self._groups = [0] * STRIPES

    def find(self, id: str) -> Kept[V] | None:
        """The entry if it may be served now."""
        kept = self._get(id)
        return kept if kept is not None and self._servable(kept, self._now()) else None

    def find_many(self, ids: Iterable[str]) -> dict[str, Kept[V] | None]:
        """Like `find` for each id, at one moment."""
        get, servable, now = self._get, self._servable, self._now()
        return {
            id: kept if (kept := get(id)) is not None and servable(kept, now) else None
            for id in ids
        }

    def epoch(self, id: str) -> int:
        """What `put` will compare: to be read before the value is."""
        return self._ids[hash(id) % STRIPES] + self._group_epoch(self._stripes(id))

    def epochs(self, ids: Iterable[str]) -> dict[str, int]:
        """`epoch` of each id."""
        return {id: self.epoch(id) for id in ids}

    def oldest_joinable(self, now: float) -> float:
        """When a read under way must have begun at the earliest for its answer to do for one at `now`."""
        return -math.inf if now < self._trust.fresh_until else now - GRACE

    def put(
        self,
        id: str,
        value: V | None,
        *,
        epoch: int,
        read_at: float,
        expires: float,
        stale: bool = False,
    ) -> bool:
        """Keep `value`, read at `read_at` (monotonic), unless `id` was invalidated since `epoch` was read."""
        if self._entries is None:
            return False
        stripes = self._stripes(id)
        with self._lock:
            groups = self._group_epoch(stripes)
            if self._ids[hash(id) % STRIPES] + groups != epoch:
                return False
            self._entries.insert(
                id, Kept(value, expires, read_at + GRACE, stripes, groups, stale=stale)
            )
        return True

    def invalidate(self, ids: Iterable[str] = (), tags: Iterable[str] = ()) -> None:
        """Drop the entries, and refuse the puts of loads that are under way."""
        with self._lock:
            for id in ids:
                self._ids[hash(id) % STRIPES] += 1
                if self._entries is not None:
                    self._entries.pop(id, None)
            for tag in tags:
                self._groups[hash(tag) % STRIPES] += 1

    def clear(self) -> None:
        """Drop everything, and refuse the puts of all loads that are under way."""
        with self._lock:
            for stripe in range(STRIPES):
                self._ids[stripe] += 1
            if self._entries is not None:
                self._entries.clear()

    def __len__(self) -> int:
        return len(self._entries) if self._entries is not None else 0

    def _servable(self, kept: Kept[V], now: float) -> bool:
        if now >= kept.expires or (now >= self._trust.fresh_until and now >= kept.trusted_until):
            return False
        return not kept.stripes or self._group_epoch(kept.stripes) == kept.epoch

    def _stripes(self, id: str) -> tuple[int, ...]:
        tags = self._tags(id) if self._tags else ()
        if len(tags) == 1:
            return SINGLE[hash(tags[0]) % STRIPES]
        return tuple(hash(tag) % STRIPES for tag in tags)

    def _group_epoch(self, stripes: tuple[int, ...]) -> int:
        groups = self._groups
        if len(stripes) == 1:
            return groups[stripes[0]]
        return sum([groups[stripe] for stripe in stripes])


def _nothing(id: str) -> Any:
    return None
