"""A database of versions, caches of it on several nodes, and readers that hold both to account.

Promises: a version is committed before its invalidation, as a transaction would; every read is kept with
its times, its answer or its error, and judged after the fact by `caching.freshness`. On failure: the
AssertionError lists the first offences.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import msgspec

from caching import Near, Read, TieredCache
from caching.errors import FarDown
from caching.freshness import StaleRead, Witness
from caching.node import Node, current
from caching.tests.stalls import ran, ran_between

CUT_BOUND = 2.0  # seconds: what G1 allows a process that the bus does not reach


class Row(msgspec.Struct, frozen=True):
    """A value that tells which commit it is from."""

    id: str
    version: int


class DatabaseDown(Exception):
    """What the loader raises while `Database.fails` is set."""


class Database:
    """Versions by id; counts loads, and can be slow or fail."""

    def __init__(self, *ids: str) -> None:
        self.rows = {id: Row(id, 1) for id in ids}
        self.loads: list[list[str]] = []
        self.takes = 0.0
        self.fails = False

    def load(self, ids: Sequence[str]) -> dict[str, Row]:
        self.loads.append(list(ids))
        found = {id: self.rows[id] for id in ids if id in self.rows}
        if self.fails:
            raise DatabaseDown
        if self.takes:
            time.sleep(self.takes)
        return found

    def commit(self, id: str) -> Row:
        row = Row(id, self.rows[id].version + 1 if id in self.rows else 1)
        self.rows[id] = row
        return row


def a_cache(
    node: Node,
    database: Database,
    *,
    near: Near | None = Near(1000),  # noqa: B008
    ttl: float = 600.0,
    stale_for: float = 0.0,
) -> TieredCache[Row]:
    """The same cache on each node that it is made for."""
    return TieredCache(
        "rows",
        load=database.load,
        schema=Row,
        ttl=ttl,
        stale_for=stale_for,
        near=near,
        node=node,
    )


class Seen(NamedTuple):
    """One read: `error` in place of an answer."""

    reader: str
    id: str
    began: float
    took: float
    read: Read[Row] | None
    error: BaseException | None


class Court:
    """Readers and writers of caches on one database, and what they saw."""

    def __init__(self, database: Database, **caches: TieredCache[Row]) -> None:
        self.database = database
        self.caches = caches
        self._wrote: list[tuple[str, str, float, str]] = []
        self.reads: list[Seen] = []
        self.writes: list[float] = []
        self._over = threading.Event()

    def write(self, name: str, id: str) -> None:
        """Commit the next version through the node of that name."""
        began = time.monotonic()
        row = self.database.commit(id)
        self.caches[name].invalidate([id])
        answered = time.monotonic()
        self.writes.append(answered - began)
        self._wrote.append((id, str(row.version), answered, name))

    def read(self, name: str, id: str) -> Seen:
        """Read through the node of that name, and keep what came of it."""
        began = time.monotonic()
        read, raised = None, None
        try:
            read = self.caches[name].read(id)
        except Exception as error:  # noqa: BLE001
            raised = error
        seen = Seen(name, id, began, time.monotonic() - began, read, raised)
        self.reads.append(seen)
        return seen

    @contextmanager
    def in_session(
        self,
        ids: Sequence[str],
        *,
        threads: int = 2,
        writer: str | None = None,
        every: float = 0.02,
    ) -> Iterator[None]:
        """Meanwhile, `threads` threads on each node read all ids in turn, and `writer` writes them."""
        self._over.clear()

        def read(name: str) -> None:
            while not self._over.is_set():
                for id in ids:
                    self.read(name, id)
                self._over.wait(0.002)

        def write(name: str) -> None:
            while not self._over.is_set():
                for id in ids:
                    self.write(name, id)
                    self._over.wait(every)

        running = [
            threading.Thread(target=read, args=(name,))
            for name in self.caches
            for _ in range(threads)
        ]
        if writer is not None:
            running.append(threading.Thread(target=write, args=(writer,)))
        for thread in running:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in running:
                thread.join()

    def assert_never_refused(self, *, within: float) -> None:
        """Every read was answered, in less than `within` seconds."""
        assert self.reads
        refused = [seen for seen in self.reads if seen.error is not None]
        assert not refused, refused[:3]
        slow = sorted(
            (
                seen
                for seen in self.reads
                if ran_between(seen.began, seen.began + seen.took) > within
            ),
            key=lambda seen: seen.took,
        )
        assert not slow, (len(slow), slow[-3:])

    def older_than(self, bound: float, *, since: float = 0.0) -> list[StaleRead]:
        """Reads begun after `since` that missed a write answered more than `bound` seconds before them.

        A read by the process that wrote has no such grace.
        """
        witness = Witness()
        for id, version, answered, worker in self._wrote:
            witness.wrote(id, version, answered=answered, worker=worker)
        for seen in self.reads:
            if seen.read is not None and seen.began >= since:
                value = seen.read.value
                version = str(value.version) if value is not None else "none"
                witness.saw(seen.id, version, began=seen.began, worker=seen.reader)
        return [stale for stale in witness.stale() if stale.same_process or stale.lag > bound]


def eventually(condition: Callable[[], object], *, within: float) -> float:
    """Wait for another thread or process; returns the seconds it ran for, at most `within`."""
    began = time.monotonic()
    while not condition():
        assert ran(began) < within, f"not true within {within} s"
        time.sleep(0.005)
    return ran(began)


def connected(*nodes: Node) -> bool:
    """Whether none of these nodes knows its bus to be cut."""
    return all(node.bus.connected for node in nodes)


def trusting(*nodes: Node) -> bool:
    """Whether the buses of all these nodes prove that nothing was missed."""
    return all(node.bus.fresh_until > time.monotonic() for node in nodes)


def answers() -> bool:
    """Whether the Redis of this process does."""
    try:
        current().far.guarded(lambda client: client.ping())
    except FarDown:
        return False
    return True
