"""One process as a member of the whole: its way to Redis, its end of the bus, its counts, its clock.

There is one `current()` node a process, made at the first read of any cache and forgotten after a fork,
so that a child has its own. Tests make nodes of their own and play several processes in one.
"""

import atexit
import logging
import os
import secrets
import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS

from caching import outbox_rows
from caching.bus import Bus, wire
from caching.clock import SYSTEM_CLOCK, Clock
from caching.counters import TALLY, Counts, Ledger
from caching.errors import FarDown
from caching.far import Call, Far
from caching.registry import apply_of, caches, count_as, counted, senders, tallied
from caching.scripting import COUNT

logger = logging.getLogger(__name__)

# Milliseconds for which a process must get its counts across, once it began to send them.
SERIAL_LIFE = 24 * 3600 * 1000
# Under this the way of each heartbeat along the bus is counted, as a load.
BUS = "caching.bus"
count_as(BUS)


class Member(Protocol):
    """A cache, as the node needs it: somebody to pass on what the bus says."""

    name: str

    def dropped(self, ids: tuple[str, ...], tags: tuple[str, ...]) -> None: ...
    def dropped_all(self) -> None: ...
    def unbind(self) -> None: ...


class Node:
    """What the caches of one process share. `alias` names the django-redis entry of CACHES."""

    def __init__(self, *, alias: str, prefix: str, clock: Clock = SYSTEM_CLOCK) -> None:
        self.name = secrets.token_hex(8)
        self.clock = clock
        self.far = Far(
            alias=alias, prefix=prefix, node=self.name, clock=clock, message=wire(self.name)
        )
        self.bus = Bus(far=self.far, node=self.name, clock=clock, listener=self)
        self.ledger = Ledger()
        self._members: dict[str, weakref.ref[Member]] = {}

    def join(self, member: Member, fingerprint: str) -> None:
        """Take a cache in."""
        self.far.declare(member.name, fingerprint)
        self._members[member.name] = weakref.ref(member)

    def invalidated(self, cache: str, ids: tuple[str, ...], tags: tuple[str, ...]) -> None:
        """The bus heard of another process's invalidation."""
        member = self._member(cache)
        if member is not None:
            member.dropped(ids, tags)

    def missed(self) -> None:
        """The bus may have missed something: nothing in L1 can be relied on."""
        for name in list(self._members):
            member = self._member(name)
            if member is not None:
                member.dropped_all()

    def came_back(self, lag: float) -> None:
        """A heartbeat took that many seconds along the bus."""
        counts = self.ledger.of(BUS)
        counts.loads += 1
        counts.timed_load(lag)

    def flush(self) -> None:
        """Send the counts to Redis, if it answers; else they stay for the next time."""
        try:
            self.ledger.flush(self._send_counts)
            for send in senders():
                send(self)
        except FarDown:
            return  # kept by the ledger, and the breaker has said why

    def report(self, names: Sequence[str]) -> dict[str, Counts]:
        """The totals of these caches over all processes. Raises FarDown."""
        totals: dict[str, Counts] = {}
        for name, numbers in zip(names, self._totals(names), strict=True):
            totals[name] = Counts()
            totals[name].add(numbers)
        return totals

    def tallies(self) -> dict[str, dict[str, int]]:
        """The totals of what is no cache's over all processes, by name and number. Raises FarDown."""
        known = tallied()
        totals = self._totals([f"{TALLY}{name}" for name in known])
        return {
            name: {number: found.get(number, 0) for number in known[name]}
            for name, found in zip(known, totals, strict=True)
        }

    def leave(self) -> None:
        """Let every cache of this node go: its next use joins the node that is current then."""
        for name in list(self._members):
            member = self._member(name)
            if member is not None:
                member.unbind()

    def close(self) -> None:
        """Stop the bus, and send the last counts."""
        self.bus.stop()
        self.farewell()

    def farewell(self) -> None:
        """Send what is left, or leave it to the relay; says how many nobody will ever hear of."""
        self.flush()
        try:
            self.far.guarded(lambda client: client.ping())
        except FarDown:
            lost = sum(
                len(what.ids) + len(what.tags)
                for what in self.far.journal.unsent()
                if not (apply_of(what.cache) and outbox_rows.keep(what, DEFAULT_DB_ALIAS))
            )
            if lost:
                logger.error("%d invalidations are lost: Redis is down as this process ends", lost)

    def _member(self, name: str) -> Member | None:
        reference = self._members.get(name)
        return reference() if reference is not None else None

    def _totals(self, names: Sequence[str]) -> list[dict[str, int]]:
        """What all processes have counted under these names."""
        self.ledger.flush(self._send_counts)
        keys = [self.far.key("c", self.far.shard_of(name), name) for name in names]

        def fetch(client: Any) -> list[dict[bytes, bytes]]:
            pipe = client.pipeline(transaction=False)
            for key in keys:
                pipe.hgetall(key)
            answers: list[dict[bytes, bytes]] = pipe.execute()
            return answers

        return [
            {key.decode(): int(count) for key, count in numbers.items()}
            for numbers in self.far.guarded(fetch)
        ]

    def _send_counts(self, serial: int, new: Mapping[str, Mapping[str, int]]) -> None:
        calls = []
        for cache, numbers in new.items():
            shard = self.far.shard_of(cache)
            keys = [self.far.key("c", shard, cache), self.far.key("n", shard, cache, self.name)]
            pairs = [word for name, count in numbers.items() for word in (name, count)]
            calls.append(Call(COUNT, keys, [serial, SERIAL_LIFE, *pairs]))
        self.far.run(calls)


_lock = threading.Lock()
_current: Node | None = None


def current() -> Node:
    """This process's node, with its bus running."""
    global _current
    if _current is None:
        with _lock:
            if _current is None:
                node = Node(alias=settings.CACHING["ALIAS"], prefix=settings.CACHING["PREFIX"])
                node.bus.start(node.flush)
                _current = node
    return _current


def ready(*, within: float = 0.0) -> None:
    """Raises FarDown if Redis does not answer, or does not begin to within that many seconds."""
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


def report() -> dict[str, Counts]:
    """The totals of every cache, and of what is counted as one, over all processes, by name.

    Raises FarDown when Redis does not answer.
    """
    return current().report(counted())


def tallies() -> dict[str, dict[str, int]]:
    """The totals of what is no cache's, over all processes, by name and number. Raises FarDown."""
    return current().tallies()


def forget() -> Node | None:
    """Have the next `current()` make a new node, and all caches start empty; returns the old one."""
    global _current, _lock
    node, _current = _current, None
    # After a fork another thread may have held it, and that thread is not here.
    _lock = threading.Lock()
    if node is not None:
        node.leave()
    return node


@atexit.register
def _farewell() -> None:
    if _current is not None:
        _current.farewell()


def _start_over() -> None:
    """In a forked child: its parent's node is not its own, and locks may be held by threads it lacks."""
    forget()
    for cache in caches():
        cache.unbind()


os.register_at_fork(after_in_child=_start_over)
