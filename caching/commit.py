"""Invalidations that wait for their transaction: sent when it commits, forgotten when it rolls back.

Inside a transaction the writes are nobody else's business yet. Until the commit the same thread reads
what it has invalidated from the database, past the cache; and nothing that is loaded inside a transaction
is put where others could read it, since it may be rolled back, or be the view of an old snapshot.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

# Called with ids, tags, and the values to store after these are forgotten.
Send = Callable[[tuple[str, ...], tuple[str, ...], Mapping[str, Any]], None]


class Batch:
    """What one transaction (or savepoint) has invalidated and set in one cache; called when it commits."""

    def __init__(self, cache: str, send: Send) -> None:
        self.cache = cache
        self._send = send
        self.ids: dict[str, None] = {}
        self.tags: dict[str, None] = {}
        self.values: dict[str, Any] = {}
        _open[id(self)] = None

    def add(self, ids: Iterable[str], tags: Iterable[str], values: Mapping[str, Any]) -> None:
        """What comes later wins: an invalidation over a value set before, a value over an earlier one."""
        for each in ids:
            self.ids[each] = None
            self.values.pop(each, None)
        for tag in tags:
            self.tags[tag] = None
            self.values.clear()
        self.values.update(values)

    def __call__(self) -> None:
        self._send(tuple(self.ids), tuple(self.tags), self.values)

    def __del__(self) -> None:
        # Django drops its callbacks after a commit as after a rollback: this is the end in either case.
        _open.pop(id(self), None)


# Non-empty while any thread has a batch: lets the read path skip the closer look below.
_open: dict[int, None] = {}


def open_batches() -> dict[int, None]:
    """Falsy when no transaction of this process waits to invalidate anything."""
    return _open


def on_commit(
    cache: str,
    send: Send,
    *,
    ids: Iterable[str],
    tags: Iterable[str],
    values: Mapping[str, Any],
    using: str,
) -> None:
    """Have `send(ids, tags, values)` called when the transaction on `using` commits; at once outside of one.

    `values` are for some of the `ids`. Raises TransactionManagementError where autocommit is off and nothing
    tells of the commit.
    """
    connection = transaction.get_connection(using)
    if not _in_transaction(connection):
        send(tuple(dict.fromkeys(ids)), tuple(dict.fromkeys(tags)), values)
        return
    batch = _joinable(connection, cache)
    if batch is None:
        batch = Batch(cache, send)
        transaction.on_commit(batch, using=using)
        # Before all others, behind our own: Django drops the callbacks behind one that raises.
        callbacks = connection.run_on_commit
        ours = sum(isinstance(entry[1], Batch) for entry in callbacks[:-1])
        callbacks.insert(ours, callbacks.pop())
    batch.add(ids, tags, values)


def waiting(cache: str, id: str, using: str) -> Any | None:
    """The value that this transaction, under the same savepoints, has set before."""
    connection = transaction.get_connection(using)
    batch = _joinable(connection, cache) if connection.in_atomic_block else None
    return batch.values.get(id) if batch is not None else None


def uncommitted(cache: str, id: str, tags: tuple[str, ...]) -> bool:
    """Whether this thread is in a transaction that has invalidated the id, or a tag of it."""
    for connection in connections.all(initialized_only=True):
        for entry in connection.run_on_commit:
            callback = entry[1]
            if (
                isinstance(callback, Batch)
                and callback.cache == cache
                and (id in callback.ids or any(tag in callback.tags for tag in tags))
            ):
                return True
    return False


def in_transaction() -> bool:
    """Whether this thread is inside a transaction on any database."""
    return any(_in_transaction(c) for c in connections.all(initialized_only=True))


def _in_transaction(connection: BaseDatabaseWrapper) -> bool:
    # `get_autocommit` would connect.
    manual = connection.connection is not None and not connection.autocommit
    return connection.in_atomic_block or manual


def _joinable(connection: BaseDatabaseWrapper, cache: str) -> Batch | None:
    """The last batch of this cache, if it is under the very same savepoints: both live or die together."""
    for entry in reversed(connection.run_on_commit):
        savepoints, callback = entry[0], entry[1]
        if isinstance(callback, Batch) and callback.cache == cache:
            return callback if savepoints == set(connection.savepoint_ids) else None
    return None
