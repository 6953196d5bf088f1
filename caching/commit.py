"""Invalidations that wait for their transaction: sent when it commits, forgotten when it rolls back.

Inside a transaction the writes are nobody else's business yet. Until the commit the same thread reads
what it has invalidated from the database, past the cache; and nothing that is loaded inside a transaction
is put where others could read it, since it may be rolled back, or be the view of an old snapshot.

What is `durable` also becomes a row of the outbox, in the last statement before the commit, and the row is
deleted after the sending (G4). On failure: what cannot be sent stays there for the relay.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any
from weakref import WeakSet

from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from caching import outbox_rows
from caching.errors import FarDown
from caching.journal import Invalidation

logger = logging.getLogger(__name__)

# Called with ids, tags, and the values to store after these are forgotten. Raises FarDown if Redis is.
Send = Callable[[tuple[str, ...], tuple[str, ...], Mapping[str, Any]], None]


class Batch:
    """What one transaction (or savepoint) has invalidated and set in one cache; called when it commits."""

    def __init__(self, cache: str, send: Send, *, durable: bool) -> None:
        self.cache = cache
        self.durable = durable
        self._send = send
        self.ids: dict[str, None] = {}
        self.tags: dict[str, None] = {}
        self.values: dict[str, Any] = {}
        self.sent = False
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
        try:
            self.sent = _sent(
                self.cache, self._send, tuple(self.ids), tuple(self.tags), self.values
            )
        finally:
            # Not later: the error of a row that could not be deleted may hold on to the batch.
            _open.pop(id(self), None)

    def __del__(self) -> None:
        # After a rollback Django drops its callbacks, and tells nobody.
        _open.pop(id(self), None)


# Non-empty while any thread has a batch: lets the read path skip the closer look below.
_open: dict[int, None] = {}
# The connections whose commits write rows.
_writing: WeakSet[BaseDatabaseWrapper] = WeakSet()


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
    durable: bool = False,
) -> None:
    """Have `send(ids, tags, values)` called when the transaction on `using` commits; at once outside of one.

    `values` are for some of the `ids`. `durable` needs a subject of that name, for the relay. Raises
    TransactionManagementError where autocommit is off and nothing tells of the commit.
    """
    connection = transaction.get_connection(using)
    if not _in_transaction(connection):
        listed, tagged = tuple(dict.fromkeys(ids)), tuple(dict.fromkeys(tags))
        if not _sent(cache, send, listed, tagged, values) and durable:
            outbox_rows.keep(Invalidation(cache, listed, tagged), connection.alias)
        return
    batch = _joinable(connection, cache)
    if batch is None:
        batch = Batch(cache, send, durable=durable)
        transaction.on_commit(batch, using=using)
        _bring_forward(connection)
        if durable:
            _write_at_commits(connection)
    batch.add(ids, tags, values)


def waiting(cache: str, id: str, using: str) -> Any | None:
    """The value that this transaction, under the same savepoints, has set before."""
    connection = transaction.get_connection(using)
    batch = _joinable(connection, cache) if connection.in_atomic_block else None
    return batch.values.get(id) if batch is not None else None


def uncommitted(cache: str, id: str, tags: tuple[str, ...]) -> bool:
    """Whether this thread is in a transaction that has invalidated the id, or a tag of it."""
    for connection in connections.all(initialized_only=True):
        for batch in _batches(connection):
            if batch.cache == cache and (id in batch.ids or any(tag in batch.tags for tag in tags)):
                return True
    return False


def in_transaction() -> bool:
    """Whether this thread is inside a transaction on any database."""
    return any(_in_transaction(c) for c in connections.all(initialized_only=True))


def _in_transaction(connection: BaseDatabaseWrapper) -> bool:
    # `get_autocommit` would connect.
    manual = connection.connection is not None and not connection.autocommit
    return connection.in_atomic_block or manual


def _batches(connection: BaseDatabaseWrapper) -> list[Batch]:
    return [entry[1] for entry in connection.run_on_commit if isinstance(entry[1], Batch)]


def _joinable(connection: BaseDatabaseWrapper, cache: str) -> Batch | None:
    """The last batch of this cache, if it is under the very same savepoints: both live or die together."""
    for entry in reversed(connection.run_on_commit):
        savepoints, callback = entry[0], entry[1]
        if isinstance(callback, Batch) and callback.cache == cache:
            return callback if savepoints == set(connection.savepoint_ids) else None
    return None


def _bring_forward(connection: BaseDatabaseWrapper) -> None:
    """Have the last callback called before all but the batches: Django drops those behind one that raises."""
    last = connection.run_on_commit.pop()
    connection.run_on_commit.insert(len(_batches(connection)), last)


def _write_at_commits(connection: BaseDatabaseWrapper) -> None:
    """Have every commit of the connection preceded by the rows; Django tells of a commit when it is made."""
    if connection in _writing:
        return
    _writing.add(connection)
    commit = connection.commit

    def commit_with_rows() -> None:
        _write_rows(connection)
        commit()

    connection.commit = commit_with_rows  # type: ignore[method-assign]


def _write_rows(connection: BaseDatabaseWrapper) -> None:
    """Insert what the transaction invalidates, and have it deleted when that was sent."""
    using = connection.alias
    batches = [batch for batch in _batches(connection) if batch.durable]
    if batches and outbox_rows.has_outbox(using):
        rows = [Invalidation(batch.cache, tuple(batch.ids), tuple(batch.tags)) for batch in batches]
        pks = outbox_rows.write(rows, using)
        # Not `transaction.on_commit`: Django takes itself to be out of the transaction here.
        discard = partial(_discard, batches, pks, using)
        connection.run_on_commit.append((set(), discard, False))  # type: ignore[arg-type]
        _bring_forward(connection)


def _discard(batches: Iterable[Batch], pks: Iterable[int], using: str) -> None:
    # A database that does not tell the ids of its rows leaves them to the relay.
    done = [pk for batch, pk in zip(batches, pks, strict=False) if batch.sent]
    if done:
        outbox_rows.discard(done, using)


def _sent(
    cache: str,
    send: Send,
    ids: tuple[str, ...],
    tags: tuple[str, ...],
    values: Mapping[str, Any],
) -> bool:
    """Call `send`. It comes after a commit, so what it raises is nobody's to handle: the log has it."""
    try:
        send(ids, tags, values)
    except FarDown:
        return False  # the breaker has said why
    except Exception:
        logger.exception("%s has not heard of a commit", cache)
        return False
    return True
