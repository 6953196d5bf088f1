"""Invalidations Redis has not got for sure: kept here, and sent again when it answers.

Two kinds. *Pending*: sending failed, Redis was down. *Recent*: sent, but within the last `MEMORY` seconds;
a Redis that was killed may come back from its append-only file, or from a lagging replica, without them.
While anything is pending its process reads nothing from Redis, or it could read its own past.

This memory dies with its process. What lasts is in the outbox (G4): a row of each transaction, until Redis
took it. The journal is there for what a row cannot do: it keeps its process from reading Redis too early.
"""

import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple

Kind = Literal["id", "tag"]

# Seconds a sent invalidation is remembered; above the longest loss of an AOF synced every second.
MEMORY = 5.0


class Invalidation(NamedTuple):
    """What a committed write made old: ids and tags of one cache, or of another subject of the outbox."""

    cache: str
    ids: tuple[str, ...]
    tags: tuple[str, ...]


class Journal:
    """Thread-safe; `now` is a monotonic clock in seconds. An outage costs memory by the id, not the write."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._sent: deque[tuple[float, Invalidation]] = deque()
        # How often the connection was lost: what Redis says may be older than what it said before.
        self.losses = 0
        # While the connection is lost nothing that was sent is forgotten.
        self._cut = False
        # By cache, kind, and id or tag. The number tells what comes in during a replay from what is replayed.
        self.pending: dict[tuple[str, Kind, str], int] = {}
        self._serial = itertools.count()

    def sent(self, invalidation: Invalidation) -> None:
        """Remember what Redis took, for as long as Redis might forget it."""
        now = self._now()
        with self._lock:
            self._sent.append((now, invalidation))
            while not self._cut and self._sent[0][0] < now - MEMORY:
                self._sent.popleft()

    def failed(self, invalidation: Invalidation) -> None:
        """Keep what Redis did not take."""
        with self._lock:
            self._add(invalidation)

    def connection_lost(self) -> None:
        """Redis may have died, and forgotten what it was sent lately: all that is pending again."""
        horizon = self._now() - MEMORY
        with self._lock:
            self._doubt(horizon)
            self._cut = True
            self.losses += 1

    def connection_found(self) -> None:
        """Redis may have died again since: what was sent meanwhile is pending too."""
        with self._lock:
            if self._cut:
                self._doubt(horizon=0.0)
                self._cut = False

    def replay(self, send: Callable[[Iterable[Invalidation]], None]) -> None:
        """Send all that is pending; what `send` raises leaves it pending."""
        with self._lock:
            batch = dict(self.pending)
        merged = _merged(batch)
        send(merged)
        for invalidation in merged:
            self.sent(invalidation)
        with self._lock:
            for what, serial in batch.items():
                if self.pending[what] == serial:
                    del self.pending[what]

    def unsent(self) -> list[Invalidation]:
        """All that is pending, one invalidation a cache."""
        with self._lock:
            return _merged(self.pending)

    def _add(self, invalidation: Invalidation) -> None:
        serial = next(self._serial)
        for id in invalidation.ids:
            self.pending[invalidation.cache, "id", id] = serial
        for tag in invalidation.tags:
            self.pending[invalidation.cache, "tag", tag] = serial

    def _doubt(self, horizon: float) -> None:
        for at, invalidation in self._sent:
            if at >= horizon:
                self._add(invalidation)
        self._sent.clear()


def _merged(pending: Iterable[tuple[str, Kind, str]]) -> list[Invalidation]:
    """One invalidation a cache."""
    caches: dict[str, dict[Kind, list[str]]] = {}
    for cache, kind, name in pending:
        caches.setdefault(cache, {"id": [], "tag": []})[kind].append(name)
    return [
        Invalidation(cache, tuple(names["id"]), tuple(names["tag"]))
        for cache, names in caches.items()
    ]
